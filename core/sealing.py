"""How is a secret kept that has to be read again? Sealed with a key that is not in the database.

AES-256-GCM, so that what was changed does not open. What a secret is for and whose it is
are sealed with it: moved to another row, it does not open either. Keys and chance are
handed in; where they come from is `models/vault.py`.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE = 32  # bytes
NONCE_SIZE = 12  # bytes, from chance; NIST SP 800-38D, section 8.2.2
VERSION = "v1"

_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{64}")


class Unsealable(ValueError):
    """The text does not open: its key is not there, it was changed, or it belongs elsewhere."""


def parse_keys(text: str) -> tuple[bytes, ...]:
    """The keys in `text`, 32 bytes each in base64 or hexadecimal, separated by commas or white space.

    Raises ValueError for anything else, and never tells what it was.

    >>> [len(key) for key in parse_keys("00" * 32 + ",\\n" + "A" * 43 + "=")]
    [32, 32]
    """
    keys = tuple(_key(part) for part in text.replace(",", " ").split())
    if not keys:
        raise ValueError("no key")
    return keys


def _key(text: str) -> bytes:
    if _HEXADECIMAL.fullmatch(text):
        return bytes.fromhex(text)
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_SIZE:
        raise ValueError(f"a key is {KEY_SIZE} bytes in base64 or hexadecimal")
    return key


def key_id(key: bytes) -> str:
    """By what a sealed text names its key: 16 hex digits that say nothing else of it.

    >>> key_id(bytes(32)) == key_id(bytes(32)) != key_id(b"1" * 32)
    True
    """
    return blake2b(key=key, person=b"api_guard.vault", digest_size=8).hexdigest()


def sealed_with(sealed: str) -> str:
    """The id of the key that opens `sealed`; "" where it names none."""
    return (*sealed.split("."), "", "")[1]


def seal(key: bytes, nonce: bytes, purpose: str, context: str, plaintext: str) -> str:
    """The sealed text: "v1.<key id>.<nonce and ciphertext in base64url>". A nonce is used once.

    `purpose`: what it is for; `context`: whose it is. It opens with the same two alone.

    >>> sealed = seal(bytes(32), bytes(12), "second_factor", "7", "JBSWY3DP")
    >>> open_sealed([bytes(32)], "second_factor", "7", sealed)
    'JBSWY3DP'
    """
    ciphertext = AESGCM(key).encrypt(nonce, plaintext.encode(), _bound(purpose, context))
    return f"{VERSION}.{key_id(key)}.{urlsafe_b64encode(nonce + ciphertext).decode()}"


def open_sealed(keys: Sequence[bytes], purpose: str, context: str, sealed: str) -> str:
    """What was sealed, opened by the one of `keys` that it names. Raises Unsealable.

    >>> open_sealed([b"1" * 32, bytes(32)], "signing", "7", seal(bytes(32), bytes(12), "signing", "7", "text"))
    'text'
    """
    version, _, rest = sealed.partition(".")
    named, _, text = rest.partition(".")
    key = next((key for key in keys if key_id(key) == named), None)
    if version != VERSION or key is None:
        raise Unsealable("its key is not there")
    try:
        content = b64decode(text, altchars=b"-_", validate=True)
        return AESGCM(key).decrypt(content[:NONCE_SIZE], content[NONCE_SIZE:], _bound(purpose, context)).decode()
    except (InvalidTag, ValueError):
        raise Unsealable("it does not open") from None


def _bound(purpose: str, context: str) -> bytes:
    # the length first: no two pairs make the same bytes
    return f"api_guard {len(purpose)} {purpose} {context}".encode()
