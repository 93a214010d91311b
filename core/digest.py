"""How can a value be found in a log that does not hold it? By a keyed digest of it.

Whoever asks for a value has it; nobody without the key can try values out. A value has one digest
of its own, so that one question finds it wherever it went, and one together with its field's name.
Secrets get none: a log must not be able to tell whether a guess at a password was right.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from math import isfinite

from .sensitive import blank, is_secret_key, is_secret_name, without_secrets

KEY_SIZE = 32  # bytes
MAX_DIGESTS = 64  # of one entry
MAX_TEXT = 1024  # characters of a value that gets one
MAX_VALUES = 2000  # values looked at
MAX_DEPTH = 8

#: what steers a call and is no value of a record
_STEERING = frozenset(
    "aggregates context count_limit fields fields_spec fields_to_export groupby id ids lazy limit load offset"
    " operator order orderby read_specification specification unfold_read_specification".split()
)
_NAME = re.compile(r"[a-z0-9_./]{1,200}")
_NO_VALUES = frozenset("= != < > <= >= in like ilike any child_of parent_of & | !".split()) | {
    "", "not in", "not like", "not ilike", "not any", "=like", "=ilike", "not =like", "not =ilike", "=?",
}  # fmt: skip


def digest(key: bytes, value: str, name: str = "") -> str:
    """The digest of a value as `normal` writes it, in whatever field or in that of `name`: 16 characters, 96 bits.

    >>> len(digest(bytes(32), "Ada")), digest(bytes(32), "Ada") == digest(bytes(32), "Ada", "name")
    (16, False)
    """
    text = f"{name}\0{value}".encode("utf-8", "replace")
    made = blake2b(text, key=key, digest_size=12, person=b"api_guard.value")
    return urlsafe_b64encode(made.digest()).decode()


def normal(value: object) -> str | None:
    """The text by which a value is known again, however it was sent; None for what has no digest.

    >>> normal(" Ada "), normal(12.50), normal(True), normal("")
    ('Ada', '12.5', None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else None
    if isinstance(value, (float, Decimal)):
        return _number(Decimal(str(value))) if isfinite(value) else None
    if isinstance(value, (str, date)) and len(text := str(value)) <= MAX_TEXT:
        return unicodedata.normalize("NFC", text).strip() or None
    return None


def questions(key: bytes, text: str) -> tuple[str, ...]:
    """The digests that whoever types `text` looks for: of the text, of the number that it may be, in any field.

    What stands before "=" may also be the name of a field.

    >>> len(questions(bytes(32), "Ada")), len(questions(bytes(32), "12.50")), len(questions(bytes(32), "name=Ada"))
    (1, 2, 2)
    """
    name, equals, value = text.partition("=")
    asked = [(word, "") for word in _words(text)]
    if equals and _NAME.fullmatch(name.strip()):
        asked += [(word, _last(name.strip())) for word in _words(value)]
    return tuple(digest(key, *words) for words in asked)


def _words(text: str) -> list[str]:
    words = [normal(text)]
    with suppress(InvalidOperation):
        number = Decimal(text.strip())
        words.append(_number(number) if number.is_finite() else None)
    return [word for word in dict.fromkeys(words) if word]


def digests(key: bytes, value: object, secrets: Sequence[str] = ()) -> list[str]:
    """The digests of the values in `value`, at most `MAX_DIGESTS`: of texts first, then of numbers.

    >>> found = digests(bytes(32), {"vals": {"name": "Ada", "password": "x"}})
    >>> found == [digest(bytes(32), "Ada"), digest(bytes(32), "Ada", "name")]
    True
    """
    texts: dict[tuple[str, str], None] = {}
    numbers: dict[tuple[str, str], None] = {}
    for name, found in _leaves("", value, [MAX_VALUES], 0):
        word = normal(found)
        if word is not None:
            (texts if isinstance(found, str) else numbers)[word, name] = None
        if len(texts) >= 2 * MAX_DIGESTS:
            break
    plain = [pair for pair in texts if _is_plain(pair[0], secrets)]
    others = [pair for pair in numbers if pair[0] not in secrets]
    asked = (*_alone(plain), *plain, *_alone(others), *others)
    return [digest(key, *pair) for pair, _place in zip(dict.fromkeys(asked), range(MAX_DIGESTS), strict=False)]


def _alone(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((word, "") for word, _name in pairs)


def _last(name: str) -> str:
    """A field by its own name: "email" of "partner_id.email"."""
    return name.replace("/", ".").rpartition(".")[2]


def _is_plain(word: str, secrets: Sequence[str]) -> bool:
    return blank(word, secrets) == word and without_secrets(word) == word


def _number(value: Decimal) -> str:
    if abs(value.adjusted()) > 40:
        return str(value)
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _leaves(name: str, value: object, left: list[int], depth: int) -> Iterator[tuple[str, object]]:
    """The values in `value` with their fields' names, without operators and what goes by the name of a secret."""
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        yield from _of_mapping(value, left, depth)
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from _of_list(name, value, left, depth)
    else:
        yield name, value


def _of_mapping(value: Mapping[object, object], left: list[int], depth: int) -> Iterator[tuple[str, object]]:
    names_secret = any(is_secret_name(item) for item, _place in zip(value.values(), range(MAX_DIGESTS), strict=False))
    for name, item in value.items():
        if left[0] < 0:
            return
        hidden = is_secret_key(name) or (names_secret and name in ("value", "default_value"))
        if not hidden and name not in _STEERING:
            yield from _leaves(_last(name) if isinstance(name, str) else "", item, left, depth + 1)


def _of_list(name: str, value: Sequence[object], left: list[int], depth: int) -> Iterator[tuple[str, object]]:
    items = list(value) if len(value) <= 3 else value
    if len(value) == 3 and isinstance(items[0], str) and isinstance(items[1], str) and items[1] in _NO_VALUES:
        if not is_secret_name(items[0]):  # a condition of a domain
            yield from _leaves(_last(items[0]), items[2], left, depth + 1)
        return
    if len(value) == 2 and isinstance(items[0], int) and isinstance(items[1], str):  # a record with its name
        yield name, items[1]
        return
    for item in items:
        if left[0] < 0 or is_secret_name(item):
            return  # what follows the name of a secret may be one
        if not (isinstance(item, str) and item in _NO_VALUES):
            yield from _leaves(name, item, left, depth + 1)
