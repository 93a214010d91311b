"""Is this the secret of that key, without deriving a slow hash?

A slow hash protects secrets that people choose. Odoo's API keys are 160 random
bits, which no amount of fast hashing finds, so beside Odoo's own slow hash a
fast check of the same secret may stand. It is bound to that very hash: when the
hash changes, the check says nothing any more and the slow way is asked. Knows
nothing of where either is stored.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from hmac import compare_digest

#: Secrets with at least this many characters of hexadecimal randomness get a check.
_RANDOM = re.compile(r"[0-9a-f]{40}")


def is_random(secret: str) -> bool:
    """Does the secret look like one that Odoo drew, rather than one that somebody thought of?

    >>> is_random("5f" * 20), is_random("my favourite api key"), is_random("0" * 39)
    (True, False, False)
    """
    return _RANDOM.fullmatch(secret) is not None


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
