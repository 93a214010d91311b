"""Does each checkpoint of a log follow from the one before, and who vouches for it?

A checkpoint is a signed sentence: so many entries there were, and this root stands for them. It
names the hash of the one before, so that none can be taken out, and where the signing key
changes, the old key signs the new one. Keys are handed in; where they are kept, and how the
root was come by (`merkle`), is not known here.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .canonical import MAX_INTEGER, canonical, time_text
from .merkle import EMPTY_ROOT, HASH

VERSION = 1
KEY_SIZE = 32  # bytes of an Ed25519 key, the private and the public one

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_NEEDED = {"v", "origin", "number", "size", "root", "time", "key"}
_ALLOWED = _NEEDED | {"previous", "next_key", "note"}


class Malformed(ValueError):
    """The bytes are no checkpoint of this version: another would read them otherwise, or not at all."""


class Break(str, Enum):
    """How a checkpoint may fail to follow from the one before."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    KEY = "key"
    ORIGIN = "origin"
    NUMBER = "number"
    PREVIOUS = "previous"
    SIZE = "size"
    ROOT = "root"


@dataclass(frozen=True)
class Checkpoint:
    """What was sealed, when, and after which one. Counted from 1; `size` counts leaves.

    `origin`: which log it is of. `time`: an aware one. `key`: the id of the key that signs it. `previous`:
    the digest of the one before, None for the first. `next_key`: the public key that signs the next,
    where that changes.
    """

    origin: str
    number: int
    size: int
    root: bytes
    time: datetime
    key: str
    previous: bytes | None = None
    next_key: bytes | None = None
    note: str | None = None

    def document(self) -> dict[str, object]:
        """What it says, as a document of JSON."""
        said: dict[str, object] = {
            "v": VERSION,
            "origin": self.origin,
            "number": self.number,
            "size": self.size,
            "root": b64encode(self.root).decode(),
            "time": time_text(self.time),
            "previous": self.previous and b64encode(self.previous).decode(),
            "key": self.key,
            "next_key": self.next_key and b64encode(self.next_key).decode(),
            "note": self.note,
        }
        return {name: value for name, value in said.items() if value is not None}

    def body(self) -> bytes:
        """The bytes that are signed."""
        return canonical(self.document())

    def digest(self) -> bytes:
        """By what the next one names it."""
        return sha256(self.body()).digest()


@dataclass(frozen=True)
class Signed:
    """A checkpoint as it is kept: the bytes that were signed, and the signature."""

    body: bytes
    signature: bytes


@dataclass(frozen=True)
class Head:
    """The last checkpoint that was found good, with the public key the next is to be signed with."""

    checkpoint: Checkpoint
    key: bytes
    spent: frozenset[str] = frozenset()  # ids of the keys that were given up


@dataclass(frozen=True)
class Fault:
    """The first checkpoint that does not follow: its number as it should be, how, and a sentence that says so."""

    number: int
    code: Break
    sentence: str


def parse(body: bytes) -> Checkpoint:
    """The checkpoint that `body` is. Raises Malformed for all but the very bytes that it would be written as.

    >>> one = Checkpoint("a log", 1, 0, EMPTY_ROOT, datetime(2026, 1, 1, tzinfo=timezone.utc), "0" * 16)
    >>> parse(one.body()) == one
    True
    """
    try:
        said = json.loads(body)
        found = _of_document(said) if isinstance(said, dict) else None
        is_exact = found is not None and found.body() == body
    except (ValueError, RecursionError):
        is_exact = False
    if not is_exact:
        raise Malformed("no checkpoint of version 1 is written like that")
    return found


def _of_document(said: dict) -> Checkpoint | None:
    texts = [said.get(name, "") for name in _ALLOWED - {"v", "number", "size"}]
    numbers = [said.get(name) for name in ("v", "number", "size")]
    is_typed = all(type(text) is str for text in texts) and all(type(number) is int for number in numbers)
    if not is_typed or not _NEEDED <= set(said) <= _ALLOWED or said["v"] != VERSION:
        return None
    if not 1 <= said["number"] <= MAX_INTEGER or not 0 <= said["size"] <= MAX_INTEGER:
        return None
    if not _TIME.fullmatch(said["time"]):
        return None
    return Checkpoint(
        origin=said["origin"],
        number=said["number"],
        size=said["size"],
        root=_bytes(said["root"]),
        time=datetime.fromisoformat(said["time"][:-1]).replace(tzinfo=timezone.utc),
        key=said["key"],
        previous=_bytes(said["previous"]) if "previous" in said else None,
        next_key=_bytes(said["next_key"]) if "next_key" in said else None,
        note=said.get("note"),
    )


def _bytes(text: str) -> bytes:
    found = b64decode(text, validate=True)
    if len(found) != HASH:  # as long as a key
        raise ValueError("neither a hash nor a key")
    return found


def key_id(public: bytes) -> str:
    """By what a checkpoint names the key that signs it: 16 hex digits.

    >>> key_id(bytes(32))
    '66687aadf862bd77'
    """
    return sha256(public).hexdigest()[:16]


def public_key(private: bytes) -> bytes:
    """The public key of a private one, both raw: 32 bytes.

    >>> public_key(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")).hex()[:16]
    'd75a980182b10ab7'
    """
    key = Ed25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)  # the older of two ways: Odoo allows old releases


def sign(private: bytes, checkpoint: Checkpoint) -> Signed:
    """The checkpoint, signed. Raises ValueError where it names another key than the one that signs."""
    if checkpoint.key != key_id(public_key(private)):
        raise ValueError("it names another key")
    body = checkpoint.body()
    return Signed(body, Ed25519PrivateKey.from_private_bytes(private).sign(body))


def is_signed(signed: Signed, public: bytes) -> bool:
    """Was it signed with the private key of this public one?

    >>> key = bytes(32)
    >>> one = Checkpoint("a log", 1, 0, EMPTY_ROOT, datetime(2026, 1, 1), key_id(public_key(key)))
    >>> is_signed(sign(key, one), public_key(key)), is_signed(sign(key, one), public_key(b"1" * 32))
    (True, False)
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed.signature, signed.body)
    except (InvalidSignature, ValueError):
        return False
    return True


def follow(head: Head | None, signed: Signed, keys: Collection[bytes], *, midway: bool = False) -> Head | Fault:
    """Does the checkpoint follow from `head`? Then it is the next head; else what is wrong with it.

    `head` None: it is the first of the log, or with `midway` any one, whose past is taken on trust.
    `keys`: the public keys that are trusted whatever the log says. The first checkpoint needs one of
    them; later ones need the key before or one that it signed, or, where a key was lost, another of
    them that was not given up yet.

    A time before that of the last checkpoint is no fault: their order is held by numbers and digests,
    the time is what the clock of a machine said, and clocks are set back. `steps_back` tells.
    """
    number = head.checkpoint.number + 1 if head else 1
    try:
        found = parse(signed.body)
    except Malformed as error:
        return Fault(number, Break.MALFORMED, f"Checkpoint {number} cannot be read: {error}.")
    key = _key_of(head, found, keys)
    if key is None:
        named = f" and not {key_id(head.key)}" if head else ""
        return Fault(number, Break.KEY, f"Checkpoint {number} is signed with the key {found.key[:16]!r}{named}.")
    if not is_signed(signed, key):
        return Fault(number, Break.SIGNATURE, f"The signature of checkpoint {number} is not that of its key.")
    fault = _first_fault(found, midway) if head is None else _next_fault(head.checkpoint, found)
    if fault:
        return Fault(number, *fault)
    spent = head.spent if head else frozenset()
    if head and head.key != key:
        spent |= {key_id(head.key)}
    if found.next_key is not None and found.next_key != key:
        return Head(found, found.next_key, spent | {found.key})
    return Head(found, key, spent)


def _key_of(head: Head | None, found: Checkpoint, keys: Collection[bytes]) -> bytes | None:
    if head and key_id(head.key) == found.key:
        return head.key
    spent = head.spent if head else ()
    return next((key for key in keys if key_id(key) == found.key and found.key not in spent), None)


def _first_fault(found: Checkpoint, midway: bool) -> tuple[Break, str] | None:
    if not midway and found.number != 1:
        return Break.NUMBER, f"The first checkpoint is number {found.number}: those before it are missing."
    if (found.number == 1) != (found.previous is None):
        return Break.PREVIOUS, f"Checkpoint {found.number} names none before it, or is the first and names one."
    return _empty_fault(found)


def _next_fault(before: Checkpoint, found: Checkpoint) -> tuple[Break, str] | None:
    after = f"Checkpoint {found.number} "
    if found.origin != before.origin:
        return Break.ORIGIN, f"{after}is of another log."
    if found.number != before.number + 1:
        return Break.NUMBER, f"After checkpoint {before.number} comes {found.number}: one is missing or stands twice."
    if found.previous != before.digest():
        return Break.PREVIOUS, f"{after}follows another checkpoint {before.number} than the one that is here."
    if found.size < before.size:
        return Break.SIZE, f"{after}seals {found.size} entries, and the one before {before.size}."
    if found.size == before.size and found.root != before.root:
        return Break.ROOT, f"{after}seals as many entries as the one before, with another root."
    return _empty_fault(found)


def _empty_fault(found: Checkpoint) -> tuple[Break, str] | None:
    if not found.size and found.root != EMPTY_ROOT:
        return Break.ROOT, f"Checkpoint {found.number} seals no entry, and its root is not that of none."
    return None


def first_fault(
    chain: Iterable[Signed], keys: Collection[bytes], *, head: Head | None = None, midway: bool = False
) -> Fault | None:
    """The first checkpoint that does not follow from those before it; None: all do.

    Goes on after `head`, where that was found good before.

    >>> key = bytes(32)
    >>> one = Checkpoint("a log", 1, 0, EMPTY_ROOT, datetime(2026, 1, 1), key_id(public_key(key)))
    >>> first_fault([sign(key, one)], [public_key(key)])
    >>> first_fault([sign(key, one)] * 2, [public_key(key)]).code
    <Break.NUMBER: 'number'>
    """
    for signed in chain:
        found = follow(head, signed, keys, midway=midway)
        if isinstance(found, Fault):
            return found
        head = found
    return None


def steps_back(checkpoints: Iterable[Checkpoint]) -> Iterator[tuple[int, float]]:
    """Where the clock was set back: the number of the checkpoint and by how many seconds.

    >>> at = datetime(2026, 1, 1), datetime(2025, 12, 31, 23, 59)
    >>> list(steps_back(Checkpoint("a log", n, 0, EMPTY_ROOT, time, "") for n, time in enumerate(at, start=1)))
    [(2, 60.0)]
    """
    before = None
    for checkpoint in checkpoints:
        if before is not None and checkpoint.time < before:
            yield checkpoint.number, (before - checkpoint.time).total_seconds()
        before = checkpoint.time
