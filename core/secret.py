"""What does a key look like, and is this the secret of that key, without deriving a slow hash?

A slow hash protects secrets that people choose. API keys are drawn: Odoo's are 160
random bits, ours 178, which no amount of fast hashing finds, so beside Odoo's own
slow hash a fast check of the same secret may stand. It is bound to that very hash:
when the hash changes, the check says nothing any more and the slow way is asked.

Ours say what they are (`ag_`) and whether they are whole (a checksum), as GitHub's
tokens do: scanners find them wherever they were pasted, and a mistyped one is told
apart without looking for it. Knows nothing of where either is stored.
"""

from __future__ import annotations

import re
from binascii import crc32
from hashlib import blake2b
from hmac import compare_digest

PREFIX = "ag_"
RANDOM_BYTES = 32  # what `write_secret` is to be given
_BODY, _CHECKSUM = 30, 6  # characters
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#: What scanners look for, as a regular expression that any of them reads; `is_well_formed` then knows a decoy.
PATTERN = r"\bag_[0-9A-Za-z]{36}\b"

_OURS = re.compile(r"ag_[0-9A-Za-z]{36}")
_ODOOS = re.compile(r"[0-9a-f]{40}")


def write_secret(random_bytes: bytes) -> str:
    """The key that `RANDOM_BYTES` random bytes make: `ag_`, 30 base62 characters, 6 of checksum.

    Of 256 bits it keeps the remainder by 62**30 (178.6 bits): some keys are likelier
    than others by one part in 2**77, which is nothing to a guesser.

    >>> write_secret(bytes(32)), len(write_secret(b"\\xff" * 32))
    ('ag_0000000000000000000000000000003jWiV6', 39)
    """
    if len(random_bytes) < RANDOM_BYTES:
        raise ValueError("too few random bytes for a key")
    body = PREFIX + _base62(int.from_bytes(random_bytes, "big"), _BODY)
    return body + _checksum(body)


def derive_secret(secret: str, nonce: bytes) -> str:
    """The key that follows `secret`: always the same for the same nonce, and told by neither of them alone.

    >>> key = write_secret(bytes(32))
    >>> derive_secret(key, b"n" * 32) == derive_secret(key, b"n" * 32), derive_secret(key, b"m" * 32) == key
    (True, False)
    """
    return write_secret(
        blake2b(secret.encode(), key=nonce, digest_size=RANDOM_BYTES, person=b"api_guard.next").digest()
    )


def has_prefix(secret: object) -> bool:
    """Does it claim to be one of our keys?

    >>> has_prefix("ag_1"), has_prefix("5f" * 20), has_prefix(None)
    (True, False, False)
    """
    return isinstance(secret, str) and secret.startswith(PREFIX)


def is_well_formed(secret: str) -> bool:
    """Is it one of our keys, whole and without a slip? Not whether it opens anything.

    The checksum is no secret: it tells a mistyped key from a good one, not a forged one.

    >>> key = write_secret(bytes(32))
    >>> is_well_formed(key), is_well_formed(key[:-1]), is_well_formed(key.lower())
    (True, False, False)
    """
    if _OURS.fullmatch(secret) is None:
        return False
    return secret[-_CHECKSUM:] == _checksum(secret[:-_CHECKSUM])


def is_random(secret: str) -> bool:
    """Does the secret look like one that was drawn, rather than one that somebody thought of?

    >>> is_random("5f" * 20), is_random("my favourite api key"), is_random("0" * 39)
    (True, False, False)
    """
    return _ODOOS.fullmatch(secret) is not None or is_well_formed(secret)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), _CHECKSUM)


def split_code(secret: str) -> tuple[str, str | None]:
    """A key and the code that was sent after it, "<key>:<code>"; None: none was.

    Passwords hold colons, too: only what stands after a key is a code.

    >>> split_code("5f" * 20 + ":123456") == ("5f" * 20, "123456")
    True
    >>> split_code("correct:horse")
    ('correct:horse', None)
    """
    key, colon, code = secret.rpartition(":")
    return (key, code) if colon and is_random(key) else (secret, None)


def write_check(secret: str, stored: str) -> str:
    """The check of `secret`, bound to its slow hash `stored`: "<which hash>:<keyed hash of the secret>".

    Raises ValueError for a secret that is not random enough to be checked quickly.
    """
    if not is_random(secret):
        raise ValueError("only random secrets may have a fast check")
    return f"{_mark(stored)}:{_digest(secret, stored)}"


def read_check(secret: str, stored: str, check: str | None) -> bool | None:
    """Is `secret` the one that `check` was written for? None: the check says nothing, ask the slow hash.

    >>> key, stored = "5f" * 20, "$pbkdf2-sha512$6000$salt$sum"
    >>> check = write_check(key, stored)
    >>> read_check(key, stored, check), read_check("60" * 20, stored, check)
    (True, False)
    >>> read_check(key, "another hash", check) is read_check(key, stored, None) is None
    True
    """
    mark, _, digest = (check or "").partition(":")
    if not digest or not _same(mark, _mark(stored)):
        return None
    return _same(digest, _digest(secret, stored))


def _same(one: str, other: str) -> bool:
    # as bytes: of texts it takes ASCII alone, and a damaged check is not to fail but to say nothing
    return compare_digest(one.encode("utf-8", "replace"), other.encode())


def _mark(stored: str) -> str:
    return blake2b(stored.encode(), digest_size=8).hexdigest()


def _digest(secret: str, stored: str) -> str:
    key = blake2b(stored.encode(), person=b"api_guard.check").digest()
    return blake2b(secret.encode("utf-8", "replace"), key=key, digest_size=32).hexdigest()
