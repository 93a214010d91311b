"""What does a value look like to someone who may know that it is there, and not what it is?

Each masker keeps what people recognise a value by and no more. Used where a
scope's line masks a field; knows nothing of models.
"""

from __future__ import annotations

import hmac
import re
from enum import Enum
from hashlib import sha256

_STARS = "***"
_NOT_ALNUM = re.compile(r"[^0-9A-Za-z]")


class Masker(str, Enum):
    """How a readable field is shown."""

    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    CARD = "card"
    NAME = "name"
    HASH = "hash"


def mask(masker: Masker, value: object, key: bytes) -> object:
    """`value` as `masker` shows it. Nothing stays nothing; what is no text becomes one.

    `key`: of the HMAC that stands for a value, so that equal values stay equal and
    nobody without the key can try values out.

    >>> mask(Masker.EMAIL, "jane@example.com", b""), mask(Masker.PHONE, "+32 2 555 12 34", b"")
    ('j***@example.com', '***34')
    >>> mask(Masker.IBAN, "BE68 5390 0754 7034", b""), mask(Masker.NAME, "Ada Lovelace", b"")
    ('BE***7034', 'A*** L***')
    >>> mask(Masker.CARD, "4111 1111 1111 1111", b""), mask(Masker.EMAIL, False, b"")
    ('***1111', False)
    """
    if value is None or value is False or value == "":
        return value
    text = value if isinstance(value, str) else repr(value)
    if masker is Masker.HASH:
        return hmac.new(key, text.encode("utf-8", "replace"), sha256).hexdigest()[:32]
    return _MASKS[masker](text.strip())


def _email(text: str) -> str:
    # a field may hold several, or none at all: only what is one address keeps its domain
    local, at, domain = text.rpartition("@")
    if not (at and local and domain) or re.search(r"[\s,;<>@]", local + domain):
        return _STARS
    return f"{local[0]}{_STARS}@{domain}"


def _phone(text: str) -> str:
    return _tail(text, 2, least=6)


def _card(text: str) -> str:
    return _tail(text, 4, least=12)


def _iban(text: str) -> str:
    country = _NOT_ALNUM.sub("", text)[:2]
    return (country.upper() if country.isalpha() else "") + _card(text)


def _name(text: str) -> str:
    return " ".join(f"{word[0]}{_STARS}" for word in text.split()[:6])


def _tail(text: str, count: int, least: int) -> str:
    """The last characters, where enough others remain hidden."""
    plain = _NOT_ALNUM.sub("", text)
    return _STARS + (plain[-count:] if len(plain) >= least else "")


_MASKS = {
    Masker.EMAIL: _email,
    Masker.PHONE: _phone,
    Masker.IBAN: _iban,
    Masker.CARD: _card,
    Masker.NAME: _name,
}
