"""How is a log written down for somebody who has no Odoo? Lines of JSON, one thing in each.

Used for archives, exports, receipts and what is shown to a witness; `offline/verify_log.py`
reads them, and shares nothing with this on purpose. Its reader holds little in memory: keys come
before the checkpoints they signed, leaves in their order, and before the entries of a tile of
level 0 the tile itself and what says why some of them are not there. Knows nothing of files.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime

from .canonical import canonical, time_text
from .checkpoint import Signed

LOG_FORMAT, RECEIPT_FORMAT = "api_guard log", "api_guard receipt"
VERSION = 1


def header_line(origin: str, made: datetime, what: str, *, complete: bool) -> bytes:
    """The first line. `complete`: an entry that is not there and not in a dropped line was removed.

    `what`: what the file holds, in words. An export is complete, an archive of what retention takes is not.

    >>> header_line("9f6c", datetime(2026, 11, 25), "reads", complete=False).decode().strip()
    '{"complete":false,"format":"api_guard log","made":"2026-11-25T...Z","origin":"9f6c",...,"what":"reads"}'
    """
    said = {"type": "header", "format": LOG_FORMAT, "v": VERSION, "origin": origin, "made": time_text(made)}
    return _line({**said, "what": what, "complete": complete})


def key_line(public: bytes) -> bytes:
    """A public key, ahead of what it signed.

    >>> key_line(b"A" * 32).decode().strip()
    '{"public":"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=","type":"key"}'
    """
    return _line({"type": "key", "public": _text(public)})


def checkpoint_line(signed: Signed) -> bytes:
    """A checkpoint: all of an export's from the first, in an archive those that are needed."""
    return b'{"type":"checkpoint",' + _signed(signed) + b"}\n"


def tile_line(level: int, number: int, hashes: bytes) -> bytes:
    """A tile. Those of level 0 stand ahead of their entries, those above them anywhere.

    >>> tile_line(0, 7, b"").decode().strip()
    '{"type":"tile","level":0,"number":7,"hashes":""}'
    """
    return b'{"type":"tile","level":%d,"number":%d,"hashes":"%s"}\n' % (level, number, b64encode(hashes))


def entry_line(index: int | None, leaf: bytes) -> bytes:
    """An entry: its place among the leaves, and the bytes that were sealed of it (`canonical.leaf`).

    None: it stands in the log and in no leaf, though older ones and younger ones do. That is a fault.

    >>> entry_line(7, b'{"id":9,"v":1}').decode().strip()
    '{"type":"entry","leaf":7,"entry":{"id":9,"v":1}}'
    """
    place = b"null" if index is None else b"%d" % index
    return b'{"type":"entry","leaf":%s,"entry":%s}\n' % (place, leaf)


def dropped_line(ranges: Iterable[tuple[int, int]], *, rule: str, kind: str, until: datetime) -> bytes:
    """Why these leaves have no entry: what retention took, by which rule, of which kind and before when.

    `ranges`: first and last leaf of each, in order. Ahead of the tiles they lie in; many are better told in
    many lines, each with its own count.

    >>> dropped_line([(3, 5), (9, 9)], rule="Reads", kind="read", until=datetime(2026, 8, 1)).decode().strip()
    '{"count":4,"kind":"read","ranges":[[3,5],[9,9]],"rule":"Reads","type":"dropped","until":"2026-08-01T...Z"}'
    """
    listed = [[first, last] for first, last in ranges]
    count = sum(last - first + 1 for first, last in listed)
    said = {"type": "dropped", "ranges": listed, "count": count}
    return _line({**said, "rule": rule, "kind": kind, "until": time_text(until)})


def end_line(entries: int) -> bytes:
    """The last line: of how many entries. A complete file without it was cut off.

    >>> end_line(3).decode().strip()
    '{"entries":3,"type":"end"}'
    """
    return _line({"type": "end", "entries": entries})


def receipt(leaf: bytes, index: int, proof: Sequence[bytes], signed: Signed, public: bytes) -> bytes:
    """What a client keeps to prove that this entry was sealed: a document of JSON.

    >>> receipt(b'{"v":1}', 7, [], Signed(b"{}", b""), b"").decode()
    '{"format":"api_guard receipt","v":1,"entry":{"v":1},"index":7,"proof":[],"checkpoint":{"body":{},...'
    """
    said = b'{"format":"%s","v":%d,"entry":%s,"index":%d,"proof":%s,"checkpoint":{%s},"public_key":"%s"}'
    values = (RECEIPT_FORMAT.encode(), VERSION, leaf, index, _proof(proof), _signed(signed), b64encode(public))
    return said % values


def consistency(old: Signed, new: Signed, proof: Sequence[bytes], keys: Sequence[bytes] = ()) -> bytes:
    """What shows that between two checkpoints the log was only appended to: a document of JSON.

    >>> consistency(Signed(b"{}", b""), Signed(b"{}", b""), []).decode()
    '{"from":{"body":{},"signature":""},"to":{"body":{},"signature":""},"proof":[],"public_keys":[]}'
    """
    values = (_signed(old), _signed(new), _proof(proof), _proof(keys))
    return b'{"from":{%s},"to":{%s},"proof":%s,"public_keys":%s}' % values


def _signed(signed: Signed) -> bytes:
    return b'"body":%s,"signature":"%s"' % (signed.body, b64encode(signed.signature))


def _proof(steps: Sequence[bytes]) -> bytes:
    return canonical([_text(step) for step in steps])


def _text(content: bytes) -> str:
    return b64encode(content).decode()


def _line(said: dict[str, object]) -> bytes:
    return canonical(said) + b"\n"
