"""Which bytes stand for an entry, so that whoever has it finds the same hash? RFC 8785.

One value has one text: keys in order, no white space, numbers as ECMAScript writes them.
What is sealed, signed and given out is written by this alone. Knows nothing of trees and keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from json import JSONEncoder
from json.encoder import encode_basestring
from math import isfinite

VERSION = 1  # of the bytes of an entry: another one for whatever changes them, and the old one stays readable
MAX_INTEGER = 2**53 - 1  # RFC 8785, section 3.2.2.3 and appendix D: beyond it, readers round

_LEFT_OUT = "xid"  # what the database's own books say of a row, and not the row
_WORDS = {None: "null", True: "true", False: "false"}
_ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def canonical(value: object) -> bytes:
    """The one JSON text of `value`, in UTF-8.

    Raises ValueError for what JSON does not hold or other readers would read as something else:
    integers beyond 2**53 - 1, infinity, half of a surrogate pair, a key that is no text, another type.

    >>> canonical({"b": [1.0, 1e-7, None], "a": "é"}).decode()
    '{"a":"é","b":[1,1e-7,null]}'
    """
    try:
        text = _ENCODER.encode(value) if _is_plain(value) else _written(value)
    except (TypeError, RecursionError):
        raise ValueError("not a value of JSON, or one too deep") from None
    return text.encode()


def leaf(entry: Mapping[str, object]) -> bytes:
    """The bytes that are sealed of an entry: its columns by name, without those that hold nothing.

    Times become texts, in UTC and with six digits of a second; a time without a zone is UTC. What
    a column of a database holds and JSON does not (a large integer, NaN) becomes its text, for
    one odd entry must not stop the sealing of all that follow.

    >>> leaf({"id": 7, "occurred_at": datetime(2026, 11, 25, 2, 43), "xid": 9, "model": None}).decode()
    '{"id":7,"occurred_at":"2026-11-25T02:43:00.000000Z","v":1}'
    """
    if "v" in entry:
        raise ValueError("an entry has no column named v")
    document = {
        name: time_text(value) if isinstance(value, datetime) else value
        for name, value in entry.items()
        if value is not None
    }
    document.pop(_LEFT_OUT, None)
    document["v"] = VERSION
    try:
        return canonical(document)
    except ValueError:
        return canonical({name: _holdable(value) for name, value in document.items()})


def time_text(at: datetime) -> str:
    """How is a moment written? Always as long; without a zone it is UTC.

    >>> time_text(datetime(2026, 11, 25, 2, 43, 35, 120000))
    '2026-11-25T02:43:35.120000Z'
    """
    if at.tzinfo is not None:
        at = at.astimezone(timezone.utc).replace(tzinfo=None)
    return at.isoformat(timespec="microseconds") + "Z"


def _is_plain(value: object) -> bool:
    """Does json's own C code write it as the RFC asks? Of nearly all entries it does, and ten times as fast."""
    if type(value) is dict:  # of ASCII, the order of code points is that of UTF-16
        return "".join(value).isascii() and _are_plain(value.values())
    if type(value) is list:
        return _are_plain(value)
    return _are_plain((value,))


def _are_plain(values: Iterable[object]) -> bool:
    for value in values:
        kind = type(value)
        if kind is str or kind is bool or value is None:
            continue
        if kind is int:
            plain = -MAX_INTEGER <= value <= MAX_INTEGER
        elif kind is float:  # between these, Python and ECMAScript write a fraction alike
            plain = 1e-4 <= abs(value) < 1e16 and not value.is_integer()
        else:
            plain = (kind is dict or kind is list) and _is_plain(value)
        if not plain:
            return False
    return True


def _written(value: object) -> str:
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_written, value))}]"
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"JSON holds no {type(value).__name__}, or none of these keys")
    members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
    return f"{{{','.join(f'{encode_basestring(name)}:{_written(content)}' for name, content in members)}}}"


def _number(value: float) -> str:
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError("an integer beyond 2**53 - 1")
        return int.__repr__(value)
    if not isfinite(value):
        raise ValueError("JSON holds finite numbers alone")
    # Both write the fewest digits that are read back as the same number, and differ in where the exponent begins.
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)
    return ("-" if value < 0 else "") + _placed(digits.rstrip("0"), point)


def _placed(digits: str, point: int) -> str:
    """0.digits × 10**point, as Number::toString of ECMAScript writes it."""
    if not digits:
        return "0"
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"


def _holdable(value: object) -> object:
    is_odd = isinstance(value, (int, float)) and not -MAX_INTEGER <= value <= MAX_INTEGER
    return str(value) if is_odd else value
