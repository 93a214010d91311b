"""What must never be told by an answer, and input that makes careless code tell it."""

import re

#: a stack, a path, a driver, a table: things that belong in the server's log
_LEAKS = re.compile(
    rb"Traceback|File \"|/usr/lib|dist-packages|site-packages|\.py\b|psycopg2|pgpool|0x[0-9a-f]{6}"
    rb"|\bapi_[a-z]+_[a-z]+|\bres_[a-z]+\b|\bir_[a-z]+_|NoneType|object is not|unhashable|Error\('|<class "
    rb"|SELECT |INSERT |relation \"|column \"|socket|127\.0\.0\.1:5432",
)

BIG = "A" * 1_000_000
_DEEP = []
for _level in range(60):
    _DEEP = [_DEEP]

#: values of every kind but the one that is expected
WEIRD = {
    "null": None, "true": True, "zero": 0, "negative": -1, "int32": 2**31 - 1, "float": 1.5, "empty": "", "word": "x",
    "nul": "a\0b", "accent": "é€𝄞", "quote": "'; DROP TABLE x; --", "format": "%s%(x)s{0}", "path": "../../etc/passwd",
    "big": BIG, "list": [], "ints": [1, 2], "names": ["name"], "dict": {}, "struct": {"a": [1]}, "deep": _DEEP,
}
#: what only JSON can say
WEIRD_JSON = {**WEIRD, "int64": 2**63, "huge": 10**400, "surrogate": "\ud800"}


def leak(answer):
    """What an answer tells that it should not; None when it is clean."""
    told = b"\n".join([answer.body, *(f"{name}: {text}".encode() for name, text in answer.headers.items())])
    found = _LEAKS.search(told)
    return found and told[max(0, found.start() - 60):found.end() + 60]
