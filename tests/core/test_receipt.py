"""Does a receipt prove what it says, with nothing at hand but itself and the public key?"""

import json
from base64 import b64decode
from datetime import datetime, timezone

from odoo.tests.common import BaseCase

from ...core.canonical import canonical, leaf
from ...core.checkpoint import Checkpoint, Signed, is_signed, key_id, parse, public_key, sign
from ...core.merkle import append, consistency_proof, inclusion_proof, leaf_hash, verify_consistency, verify_inclusion
from ...core.merkle import root_at as root_of_tiles
from ...core.receipt import consistency, receipt

PRIVATE = bytes(range(32))
PUBLIC = public_key(PRIVATE)
NOW = datetime(2026, 11, 25, 3, 10, tzinfo=timezone.utc)
LEAVES = [leaf({"id": number, "request_id": f"{number:020x}", "login": "ada é"}) for number in range(300)]
TILES = append(0, None, map(leaf_hash, LEAVES))


def tile(*place):
    return TILES[place]


def sealed(size, number=1, previous=None):
    root = root_of_tiles(size, tile)
    return sign(PRIVATE, Checkpoint("a log", number, size, root, NOW, key_id(PUBLIC), previous))


def read(document):
    """As it comes over the wire."""
    return json.loads(json.dumps(document))


class TestReceipt(BaseCase):
    def test_the_receipt_of_each_entry_is_verified_without_the_log(self):
        signed = sealed(300)
        for index in (0, 1, 255, 256, 299):
            told = read(receipt(LEAVES[index], index, inclusion_proof(index, 300, tile), signed, PUBLIC))
            with self.subTest(index=index):
                again = Signed(canonical(told["checkpoint"]["body"]), b64decode(told["checkpoint"]["signature"]))
                self.assertTrue(is_signed(again, b64decode(told["public_key"])))
                found, proof = parse(again.body), [b64decode(step) for step in told["proof"]]
                entry = canonical(told["entry"])
                self.assertTrue(verify_inclusion(leaf_hash(entry), told["index"], found.size, proof, found.root))
                forged = canonical({**told["entry"], "login": "eve"})
                self.assertFalse(verify_inclusion(leaf_hash(forged), told["index"], found.size, proof, found.root))

    def test_its_form_is_pinned(self):
        told = receipt(b'{"id":1,"v":1}', 7, [b"\1" * 32], Signed(b'{"number":1}', b"s"), PUBLIC)
        self.assertEqual(
            told,
            {
                "format": "api_guard receipt",
                "v": 1,
                "entry": {"id": 1, "v": 1},
                "index": 7,
                "proof": ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="],
                "checkpoint": {"body": {"number": 1}, "signature": "cw=="},
                "public_key": "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
            },
        )

    def test_consistency_is_verified_without_the_log(self):
        old = sealed(256)
        new = sealed(300, 2, parse(old.body).digest())
        told = read(consistency(old, new, consistency_proof(256, 300, tile), [PUBLIC]))
        before, after = (parse(canonical(told[name]["body"])) for name in ("from", "to"))
        proof = [b64decode(step) for step in told["proof"]]
        self.assertTrue(verify_consistency(before.size, after.size, before.root, after.root, proof))
        self.assertEqual([b64decode(key) for key in told["public_keys"]], [PUBLIC])
        self.assertEqual((told["format"], told["v"]), ("api_guard consistency", 1))
