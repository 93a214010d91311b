"""What of a call's arguments may an entry keep?

Used when an entry is written. Secrets and binary never come through, long
values are cut, and the whole stays below a bound. Knows nothing of models: what
a secret is shows in the name that it goes by, and in being the secret that was
presented with the call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Any

from .policy import Detail
from .secret import PREFIX

MAX_TEXT = 256  # characters of one value
MAX_ITEMS = 40  # items of one container
MAX_DEPTH = 6
MAX_TOTAL = 4000  # characters of the whole

REDACTED = "[redacted]"
CUT = "…"

_SECRET_NAME = re.compile(
    r"passw|passphrase|^pwd$|secret|token|api_?key|^key$|private_key|otp|authori[sz]ation|credential|cookie"
    r"|session|^pin$|cvc|cvv|signature",
    re.IGNORECASE,
)
# Wider than the pattern of keys: of one that lost its end or was glued to a word, the rest is too much, too.
_KEY = re.compile(rf"{PREFIX}[0-9A-Za-z]{{24,36}}")
# Nothing in it can match the same text in two ways: a caller chooses what it is matched with.
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{200,}(?:==?\s*)?")


def redact(value: object, detail: Detail, secrets: Sequence[str] = ()) -> str | None:
    """The JSON text of `value` that may be kept, at most `MAX_TOTAL` characters; None for no detail.

    `secrets` are blanked wherever they stand, also inside longer texts.

    >>> redact({"vals": {"name": "Ada", "password": "x"}}, Detail.VALUES)
    '{"vals": {"name": "Ada", "password": "[redacted]"}}'
    >>> redact({"vals": {"name": "Ada", "age": 36}}, Detail.NAMES)
    '{"vals": {"name": "text", "age": "number"}}'
    """
    if detail is Detail.NONE:
        return None
    clean = _names(value, secrets) if detail is Detail.NAMES else _values(value, secrets)
    # texts are clean already, before JSON spells them in another way; this is for numbers
    text = blank(json.dumps(clean, ensure_ascii=False), secrets)
    return text if len(text) <= MAX_TOTAL else text[: MAX_TOTAL - 1] + CUT


def blank(text: str, secrets: Sequence[str]) -> str:
    """`text` without any of `secrets`, and without whatever looks like a key of ours, mistyped ones too.

    >>> blank("bad key 0123456789", ["0123456789"]), blank("ag_" + "0" * 36, [])
    ('bad key [redacted]', '[redacted]')
    """
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        if len(secret) >= 4:  # blanking shorter ones would spell them out by what is missing
            text = text.replace(secret, REDACTED)
    return _KEY.sub(REDACTED, text) if PREFIX in text else text


def is_secret_name(name: object) -> bool:
    """Does a value under this name have to stay out of every log?

    >>> is_secret_name("new_password"), is_secret_name("keyword")
    (True, False)
    """
    return isinstance(name, str) and len(name) <= 64 and bool(_SECRET_NAME.search(name))


def _values(value: object, secrets: Sequence[str], depth: int = 0) -> Any:
    if isinstance(value, Mapping):
        return _container(_pairs(value, secrets, depth), len(value), depth, dict)
    if isinstance(value, (list, tuple, set, frozenset)):
        return _container(_items(list(value), secrets, depth), len(value), depth, list)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[binary, {len(value)} bytes]"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, (str, date, Decimal)):
        return _text(str(value), secrets)
    return f"[{type(value).__name__}]"  # its text may be anything: that of an XML-RPC Binary is its content


def _container(items: Any, size: int, depth: int, kind: type) -> Any:
    if depth >= MAX_DEPTH:
        return CUT
    kept = kind(items)
    if size > MAX_ITEMS:
        more = f"{CUT} {size - MAX_ITEMS} more"
        kept.update({CUT: more}) if kind is dict else kept.append(more)
    return kept


def _pairs(value: Mapping[object, object], secrets: Sequence[str], depth: int) -> Any:
    # {"key": "database.secret", "value": …}: the name of a secret may itself be a value
    names_secret = any(is_secret_name(item) for item in value.values())
    for name, item in list(value.items())[:MAX_ITEMS]:
        hidden = item and (is_secret_name(name) or (names_secret and name in ("value", "default_value")))
        yield _name(name, secrets), REDACTED if hidden else _values(item, secrets, depth + 1)


def _items(value: list[object], secrets: Sequence[str], depth: int) -> Any:
    # ["password", "=", "x"] and ("database.secret", "x"): what follows the name of a secret is hidden
    hiding = False
    for item in value[:MAX_ITEMS]:
        yield REDACTED if hiding and _may_be_secret(item) else _values(item, secrets, depth + 1)
        hiding = hiding or is_secret_name(item)


def _may_be_secret(value: object) -> bool:
    # not an operator, and not a number; a list as in ["password", "in", ["x"]]
    if isinstance(value, (list, tuple, set, frozenset)):
        return bool(value)
    return isinstance(value, (str, bytes)) and len(value) > 3


def _number(value: float) -> float | str:
    if isinstance(value, int):
        # Python refuses to write down a number of thousands of digits
        return value if value.bit_length() <= 64 else f"[number, {value.bit_length()} bits]"
    return value if isfinite(value) else str(value)


def _name(value: object, secrets: Sequence[str]) -> str:
    return str(_values(value, secrets, MAX_DEPTH))


def _text(value: str, secrets: Sequence[str]) -> str:
    if len(value) >= 200 and _BASE64.fullmatch(value):
        return f"[binary, {len(value)} characters]"
    value = blank(value, secrets)  # before it is cut: half of a secret is too much
    return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + CUT


def _names(value: object, secrets: Sequence[str], depth: int = 0) -> Any:
    if isinstance(value, Mapping):
        some = list(value.items())[:MAX_ITEMS]
        pairs = ((_name(name, secrets), _names(item, secrets, depth + 1)) for name, item in some)
        return _container(pairs, len(value), depth, dict)
    if isinstance(value, (list, tuple, set, frozenset)):
        if all(isinstance(item, Mapping) for item in value):
            return _container((_names(item, secrets, depth + 1) for item in list(value)[:3]), len(value), depth, list)
        return f"list of {len(value)}"
    return _KIND_NAMES.get(type(value), "text")


_KIND_NAMES: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "nothing",
    bytes: "binary",
}


_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"|=\([^)]*\)")


def without_values(text: str) -> str:
    """The first line of an error's text, without what it quotes: that came with the call.

    >>> without_values("invalid input syntax for type integer: 'x'\\nLINE 1: SELECT …")
    'invalid input syntax for type integer: …'
    """
    return _LITERAL.sub(CUT, text.partition("\n")[0])
