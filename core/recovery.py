"""The codes on paper, for when the device that shows the other ones is lost.

Eighty random bits each, so that a fast hash keeps them as well as a slow one would.
Written in Crockford's base 32, which has no letters to be mistaken for one another.
"""

from __future__ import annotations

from hashlib import blake2b

COUNT = 10  # codes that are handed out at once
SIZE = 10  # random bytes in each

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _GROUP = SIZE * 8 // 5, 4
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None})
_LONGEST = 2 * _LENGTH  # as it may be typed, with hyphens


def write_recovery(chance: bytes) -> str:
    """The recovery code that is made of `SIZE` random bytes.

    >>> write_recovery(bytes(range(10)))
    '000G-40R4-0M30-E209'
    """
    number = int.from_bytes(chance, "big")
    letters = [_ALPHABET[number >> (5 * place) & 31] for place in reversed(range(_LENGTH))]
    return "-".join("".join(letters[start : start + _GROUP]) for start in range(0, _LENGTH, _GROUP))


def read_recovery(text: str) -> str | None:
    """The code that somebody typed, in its one spelling; None for what is no recovery code.

    >>> read_recovery("ooog-40r4-om30e2o9")
    '000G40R40M30E209'
    """
    if not text.isascii() or len(text) > _LONGEST:
        return None
    code = text.upper().translate(_MISREAD)
    return code if len(code) == _LENGTH and set(code) <= set(_ALPHABET) else None


def hash_recovery(code: str, context: str) -> str:
    """What is kept of a code, as `read_recovery` spells it. `context`: what it belongs to, and opens alone.

    >>> hash_recovery("000G40R40M30E209", "7") == hash_recovery("000G40R40M30E209", "8")
    False
    """
    return blake2b(code.encode(), key=context.encode(), person=b"api_guard.codes", digest_size=32).hexdigest()
