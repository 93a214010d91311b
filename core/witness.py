"""Does a log that another one tells of only grow? And how is a checkpoint told to a witness?

A witness keeps the last checkpoint that it was told of, and takes the next one only with the proof
that nothing before it was changed. Knows nothing of where checkpoints are kept, and of what carries
them; the clock is handed in.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from .canonical import canonical, time_text
from .checkpoint import KEY_SIZE, Checkpoint, Malformed, Signed, is_signed, key_id, parse
from .merkle import EMPTY_ROOT, HASH, verify_consistency
from .receipt import checkpoint, text, texts

SIGNATURE = 64  # bytes, of Ed25519
MAX_PROOF = 128  # hashes; a log of 2**63 entries needs no more
FIRST_WAIT, LONGEST_WAIT = 60, 3600  # seconds
_PRIORITY = 13 * 8 + 5  # RFC 5424, section 6.2.1: log audit, notice


class Refusal(str, Enum):
    """Why does a witness not take a checkpoint?"""

    MALFORMED = "malformed"
    KEY = "key"  # signed with another key than the one that is trusted
    SIGNATURE = "signature"
    ROLLED_BACK = "rolled_back"  # older than what the witness has
    FORKED = "forked"  # another one of the same number, or one that does not follow
    UNPROVEN = "unproven"  # newer, and its proof starts elsewhere than at what the witness has

    @property
    def is_alarming(self) -> bool:
        """Does it show that the log was changed, or is no longer the one that it was?

        >>> Refusal.FORKED.is_alarming, Refusal.UNPROVEN.is_alarming
        (True, False)
        """
        return self in (Refusal.KEY, Refusal.SIGNATURE, Refusal.ROLLED_BACK, Refusal.FORKED)


@dataclass(frozen=True)
class Known:
    """What a witness has of a log: the last checkpoint that it took, and the public key that signs the next.

    `number` 0: none was taken yet, and the key is known beforehand.
    """

    key: bytes
    number: int = 0
    size: int = 0
    root: bytes = EMPTY_ROOT
    digest: bytes = b""


@dataclass(frozen=True)
class Statement:
    """What a witness is told: a checkpoint, the public key that it names, and a proof of consistency.

    `since`: from a log of how many entries the proof leads to the checkpoint.
    """

    signed: Signed
    key: bytes
    since: int = 0
    proof: tuple[bytes, ...] = ()


def judge(known: Known, told: Statement) -> Known | Refusal:
    """What does the witness know after it was told this? A Refusal: it keeps what it has.

    Told the same checkpoint again, it knows what it knew. `known.key` alone is trusted, not the key that
    comes along: of a log that it never heard of, the caller decides what that is.

    >>> judge(Known(bytes(32)), Statement(Signed(b"{}", b""), bytes(32)))
    <Refusal.MALFORMED: 'malformed'>
    """
    try:
        found = parse(told.signed.body)
    except Malformed:
        return Refusal.MALFORMED
    if found.number == known.number and found.digest() == known.digest:
        return known  # whichever key is the next: this one was good when it was taken
    if found.key != key_id(known.key):
        return Refusal.KEY
    if not is_signed(told.signed, known.key):
        return Refusal.SIGNATURE
    if (refusal := _refusal(known, found, told)) is not None:
        return refusal
    return Known(found.next_key or known.key, found.number, found.size, found.root, found.digest())


def _refusal(known: Known, found: Checkpoint, told: Statement) -> Refusal | None:
    if found.number < known.number:
        return Refusal.ROLLED_BACK
    if found.number == known.number or found.size < known.size:
        return Refusal.FORKED
    if found.number == known.number + 1 and known.number and found.previous != known.digest:
        return Refusal.FORKED
    if found.size == known.size and found.root != known.root:
        return Refusal.FORKED
    if told.since != known.size:
        return Refusal.UNPROVEN
    is_proven = verify_consistency(known.size, found.size, known.root, found.root, told.proof)
    return None if is_proven else Refusal.FORKED


def stands(head: tuple[int, bytes] | None, newest: int, digest: bytes | None) -> bool:
    """Is a log still the one whose head was noted outside: (number, digest)?

    `newest`: the number of its last checkpoint; `digest`: of that of the head's number, None where it has none.
    A log that has grown since stands; one that is shorter, or has another checkpoint there, does not.

    >>> stands((7, b"7"), 9, b"7"), stands((7, b"7"), 6, None), stands((7, b"7"), 9, b"x"), stands(None, 0, None)
    (True, False, False, True)
    """
    if head is None:
        return True
    return head[0] <= newest and digest == head[1]


def wait(failures: int) -> int:
    """How many seconds after that many failures in a row is it tried again?

    >>> [wait(failures) for failures in (1, 2, 3, 7, 1000)]
    [60, 120, 240, 3600, 3600]
    """
    return min(FIRST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)


def document(told: Statement) -> dict[str, object]:
    """How is a checkpoint told? A line of a log file, with what a reader needs besides.

    >>> document(Statement(Signed(b'{"number":1}', b"s"), bytes(32)))["type"]
    'checkpoint'
    """
    proof = {"from": told.since, "hashes": texts(told.proof)}
    return {"type": "checkpoint", **checkpoint(told.signed), "public_key": text(told.key), "proof": proof}


def read(said: object, proof: object) -> Statement:
    """What was told, from strangers' JSON: a checkpoint and its proof, as `document` writes them.

    Raises ValueError.

    >>> told = document(Statement(Signed(b'{"number":1}', bytes(64)), bytes(32)))
    >>> read(told, told["proof"]).signed.body
    b'{"number":1}'
    """
    body = said.get("body") if isinstance(said, Mapping) else None
    hashes = proof.get("hashes") if isinstance(proof, Mapping) else None
    if not isinstance(body, Mapping):
        raise ValueError("a checkpoint is an object with body, signature and public_key")
    if not isinstance(hashes, (list, tuple)) or len(hashes) > MAX_PROOF or type(proof.get("from")) is not int:
        raise ValueError("a proof is an object with from and hashes")
    signed = Signed(canonical(body), _bytes(said.get("signature"), SIGNATURE))
    key = _bytes(said.get("public_key"), KEY_SIZE)
    return Statement(signed, key, proof["from"], tuple(_bytes(step, HASH) for step in hashes))


def _bytes(said: object, size: int) -> bytes:
    found = b64decode(said, validate=True) if isinstance(said, str) and len(said) <= 2 * size else b""
    if len(found) != size:
        raise ValueError(f"not {size} bytes in base64")
    return found


def syslog_line(told: Statement, at: datetime, host: str) -> bytes:
    """A checkpoint as a message of RFC 5424: facility "log audit", severity "notice".

    >>> one = Statement(Signed(b'{"number":1,"origin":"x","root":"r","size":2}', b"s"), bytes(32))
    >>> syslog_line(one, datetime(2026, 11, 25), "erp").decode()[:60]
    '<109>1 2026-11-25T00:00:00.000000Z erp api_guard - checkpoin'
    """
    body = checkpoint(told.signed)["body"]
    named = " ".join(f'{name}="{_parameter(body.get(name))}"' for name in ("origin", "number", "size", "root"))
    header = f"<{_PRIORITY}>1 {time_text(at)} {_name(host)} api_guard - checkpoint [checkpoint@32473 {named}] "
    return header.encode() + canonical(document(told))


def _parameter(value: object) -> str:
    """RFC 5424, section 6.3.3."""
    return "".join(f"\\{letter}" if letter in '"\\]' else letter for letter in str(value))


def _name(host: str) -> str:
    """RFC 5424, section 6: up to 255 printable ASCII letters, or "-"."""
    return "".join(letter for letter in host if "!" <= letter <= "~")[:255] or "-"


def sign_webhook(secret: str, at: int, body: bytes) -> str:
    """The header by which a webhook knows who sent it, and when: HMAC-SHA256 over "<seconds>.<body>".

    >>> sign_webhook("secret", 1764038400, b"{}")[:20]
    't=1764038400,v1=f2ae'
    """
    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.'.encode() + body, 'sha256').hexdigest()}"
