"""What proves to somebody outside that an entry is in the log, and that the log only grew?

Documents of JSON that stand by themselves: whoever has one, and trusts its public key, needs no
server. Nothing is looked up or decided here; `offline/verify_log.py` reads what this writes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence

from .checkpoint import Signed, key_id

VERSION = 1
RECEIPT, RECEIPTS, CONSISTENCY = "api_guard receipt", "api_guard receipts", "api_guard consistency"

Document = dict[str, object]


def receipt(leaf: bytes, index: int, proof: Sequence[bytes], signed: Signed, key: bytes) -> Document:
    """What proves that the entry whose bytes are `leaf` is number `index` of the log, counted from 0.

    `proof`: of inclusion, in the tree of the checkpoint `signed`; `key`: the public key that signed it.

    >>> receipt(b'{"v":1}', 0, [], Signed(b'{"size":1}', b"s"), bytes(32))["proof"]
    []
    """
    return {
        "format": RECEIPT,
        "v": VERSION,
        "entry": json.loads(leaf),
        "index": index,
        "proof": texts(proof),
        "checkpoint": checkpoint(signed),
        "public_key": text(key),
    }


def receipts(request_id: str, found: Sequence[Document], withheld: int) -> Document:
    """The receipts of all entries of one request: most have one. `withheld`: how many are not for the caller.

    >>> receipts("0", [], 1)["withheld"]
    1
    """
    return {"format": RECEIPTS, "v": VERSION, "request_id": request_id, "receipts": list(found), "withheld": withheld}


def consistency(old: Signed, new: Signed, proof: Sequence[bytes], keys: Sequence[bytes]) -> Document:
    """What proves that the log of `new` begins with that of `old`: nothing was changed, only appended.

    >>> consistency(Signed(b'{"number":1}', b"s"), Signed(b'{"number":2}', b"s"), [], [])["from"]["body"]
    {'number': 1}
    """
    return {
        "format": CONSISTENCY,
        "v": VERSION,
        "from": checkpoint(old),
        "to": checkpoint(new),
        "proof": texts(proof),
        "public_keys": texts(keys),
    }


def checkpoint(signed: Signed) -> Document:
    """A checkpoint as it is told: its body is what was signed, written by RFC 8785.

    >>> checkpoint(Signed(b'{"number":1}', b"s"))
    {'body': {'number': 1}, 'signature': 'cw=='}
    """
    return {"body": json.loads(signed.body), "signature": text(signed.signature)}


def public_keys(keys: Sequence[bytes]) -> list[Document]:
    """The keys that sign, each with the id that checkpoints name it by.

    >>> public_keys([bytes(32)])[0]["id"]
    '66687aadf862bd77'
    """
    return [{"id": key_id(key), "public": text(key)} for key in keys]


def text(content: bytes) -> str:
    """Bytes as JSON holds them: in base64.

    >>> text(b"s")
    'cw=='
    """
    return b64encode(content).decode()


def texts(contents: Sequence[bytes]) -> list[str]:
    """Several of them.

    >>> texts([b"s"])
    ['cw==']
    """
    return [text(content) for content in contents]
