"""What does a witness take, and what does it refuse? And how is it told?"""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.checkpoint import Checkpoint, Signed, key_id, public_key, sign
from ...core.merkle import append, consistency_proof, leaf_hash, root_at
from ...core.witness import Known, Refusal, Statement, document, judge, read, sign_webhook, stands, syslog_line, wait
from .common import examples

KEYS = [bytes([number]) * 32 for number in (1, 2)]
PUBLIC = [public_key(key) for key in KEYS]
NOW = datetime(2026, 11, 25, 3, 10, tzinfo=timezone.utc)


class Log:
    """A log that can be restored from a copy of itself and goes on otherwise."""

    def __init__(self, word=b"entry", tiles=None, size=0, chain=(), private=KEYS[0]):
        self.word, self.tiles, self.size, self.chain = word, dict(tiles or {}), size, list(chain)
        self.private = private

    def tile(self, *place):
        return self.tiles[place]

    def grow(self, count, next_key=None, private=None):
        """Seal so many more entries; the checkpoint's number."""
        hashes = [leaf_hash(self.word + str(self.size + i).encode()) for i in range(count)]
        self.tiles.update(append(self.size, self.tile, hashes))
        self.size += count
        last = self.chain[-1] if self.chain else None
        private = private or self.private
        self.chain.append(Checkpoint(
            "a log", len(self.chain) + 1, self.size, root_at(self.size, self.tile),
            NOW + timedelta(minutes=len(self.chain)), key_id(public_key(private)), last and last.digest(), next_key,
        ))  # fmt: skip
        self.signed = sign(private, self.chain[-1])
        if next_key:
            self.private = next(key for key in KEYS if public_key(key) == next_key)
        return len(self.chain)

    def restored(self, word=b"other"):
        return Log(word, self.tiles, self.size, self.chain, self.private)

    def told(self, since=0):
        """What a witness is told that has a log of `since` entries."""
        proof = tuple(consistency_proof(since, self.size, self.tile)) if since <= self.size else ()
        return Statement(self.signed, PUBLIC[0], since, proof)


def known_of(log):
    return judge(Known(PUBLIC[0]), log.told())


class TestJudge(BaseCase):
    def test_a_log_that_grows_is_taken(self):
        log = Log()
        known = Known(PUBLIC[0])
        for count in (0, 1, 0, 255, 1, 600):
            log.grow(count)
            known = judge(known, log.told(known.size))
            self.assertIsInstance(known, Known)
            self.assertEqual((known.number, known.size), (len(log.chain), log.size))

    def test_told_again_nothing_changes(self):
        log = Log()
        log.grow(5)
        known = known_of(log)
        self.assertIs(judge(known, log.told()), known)

    def test_some_may_be_left_out(self):
        log = Log()
        log.grow(5)
        known = known_of(log)
        log.grow(7)
        log.grow(300)
        self.assertEqual(judge(known, log.told(5)).number, 3)

    def test_what_is_refused(self):
        log = Log()
        log.grow(5)
        old = log.restored()
        first = log.told()
        log.grow(7)
        known = judge(judge(Known(PUBLIC[0]), first), log.told(5))
        forked, grown = old.restored(), old.restored()
        forked.grow(7)
        for count in (7, 1):
            grown.grow(count)
        shrunk = old.restored()
        shrunk.chain.append(shrunk.chain[-1])  # number 3 with 5 entries, where 12 were
        shrunk.grow(0)
        jumped = log.restored()
        jumped.grow(3)
        other_key = log.restored()
        other_key.grow(1, private=KEYS[1])
        told = jumped.told(12)
        for case, statement, refusal in (
            ("older", first, Refusal.ROLLED_BACK),
            ("the same number, another one", forked.told(12), Refusal.FORKED),
            ("it names another one before it", grown.told(12), Refusal.FORKED),
            ("fewer entries", shrunk.told(5), Refusal.FORKED),
            ("the proof starts elsewhere", jumped.told(5), Refusal.UNPROVEN),
            ("a proof of nothing", replace(told, proof=()), Refusal.FORKED),
            ("a proof with one hash too many", replace(told, proof=(*told.proof, bytes(32))), Refusal.FORKED),
            ("another key", other_key.told(12), Refusal.KEY),
            ("no signature", replace(told, signed=replace(told.signed, signature=bytes(64))), Refusal.SIGNATURE),
            ("no checkpoint", replace(told, signed=Signed(b"[]", bytes(64))), Refusal.MALFORMED),
        ):
            with self.subTest(case):
                self.assertIs(judge(known, statement), refusal)
        self.assertEqual(judge(known, told).number, 3)

    def test_a_fork_that_has_overtaken_is_a_fork(self):
        """A backup was restored, and so much was called since that the log is longer than it ever was."""
        log = Log()
        log.grow(5)
        restored = log.restored()
        log.grow(7)
        known = known_of(log)
        for count in (6, 20, 30):
            restored.grow(count)
        self.assertIs(judge(known, restored.told(12)), Refusal.FORKED)
        self.assertIs(judge(known, restored.told(5)), Refusal.UNPROVEN)

    def test_a_new_key_is_signed_by_the_old_one(self):
        log = Log()
        log.grow(5, next_key=PUBLIC[1])
        known = known_of(log)
        self.assertEqual(known.key, PUBLIC[1])
        self.assertIs(judge(known, log.told()), known, "told again, by the key before")
        log.grow(5)
        self.assertEqual(judge(known, log.told(5)).number, 2)
        with_old = Log(tiles=log.tiles, size=10, chain=log.chain, private=KEYS[0])
        with_old.grow(1)
        self.assertIs(judge(judge(known, log.told(5)), with_old.told(10)), Refusal.KEY)

    def test_what_is_alarming(self):
        alarming = {refusal for refusal in Refusal if refusal.is_alarming}
        self.assertEqual(
            alarming, {Refusal.KEY, Refusal.SIGNATURE, Refusal.ROLLED_BACK, Refusal.FORKED}
        )

    @examples
    @given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300), st.booleans())
    def test_what_was_taken_begins_with_what_was_known(self, first, second, other, differs):
        log = Log()
        log.grow(first)
        known = known_of(log)
        if differs:
            log = Log(b"other")
            log.grow(first)
        log.grow(second)
        log.grow(other)
        self.assertEqual(isinstance(judge(known, log.told(first)), Known), not (differs and first))


class TestTelling(BaseCase):
    def _told(self):
        log = Log()
        log.grow(3)
        log.grow(4)
        return log.told(3)

    def test_what_is_told_is_read_the_same(self):
        told = self._told()
        said = json.loads(json.dumps(document(told)))
        self.assertEqual(read(said, said["proof"]), told)

    def test_what_strangers_send_is_refused_and_breaks_nothing(self):
        said = document(self._told())
        proof = said["proof"]
        for case, checkpoint, also in (
            ("nothing", None, None),
            ("a text", "x", proof),
            ("no body", {**said, "body": "x"}, proof),
            ("a body that is no JSON of ours", {**said, "body": {"a": float("nan")}}, proof),
            ("a large number", {**said, "body": {"a": 2**60}}, proof),
            ("no signature", {**said, "signature": None}, proof),
            ("a short signature", {**said, "signature": "cw=="}, proof),
            ("no base64", {**said, "signature": "é" * 88}, proof),
            ("no key", {**said, "public_key": 7}, proof),
            ("no proof", said, None),
            ("a list", said, []),
            ("no beginning", said, {"hashes": []}),
            ("a beginning that is true", said, {"from": True, "hashes": []}),
            ("a long proof", said, {"from": 0, "hashes": proof["hashes"] * 200}),
            ("a proof of numbers", said, {"from": 0, "hashes": [1]}),
            ("a short hash", said, {"from": 0, "hashes": ["cw=="]}),
        ):
            with self.subTest(case), self.assertRaises(ValueError):
                read(checkpoint, also)

    def test_a_syslog_line_is_of_rfc_5424(self):
        told = self._told()
        line = syslog_line(told, NOW, "erp é\n")
        header, _, message = line.decode().partition("] ")
        self.assertRegex(header, r'^<109>1 2026-11-25T03:10:00\.000000Z erp api_guard - checkpoint \[checkpoint@32473 '
                                 r'origin="a log" number="2" size="7" root="[A-Za-z0-9+/=]+"$')
        self.assertEqual(json.loads(message), document(told))
        self.assertNotIn(b"\n", line)

    def test_what_a_syslog_server_reads_is_escaped(self):
        body = b'{"number":1,"origin":"\\"]\\\\ x","root":"r","size":1}'
        line = syslog_line(Statement(Signed(body, b"s"), bytes(32)), NOW, "").decode()
        self.assertIn(r'origin="\"\]\\ x"', line)
        self.assertIn("Z - api_guard", line)

    def test_a_webhook_is_signed_with_its_time(self):
        signed = sign_webhook("secret", 1764038400, b"{}")
        self.assertEqual(signed.partition(",")[0], "t=1764038400")
        for other in (("other", 1764038400, b"{}"), ("secret", 1764038401, b"{}"), ("secret", 1764038400, b"{ }")):
            self.assertNotEqual(sign_webhook(*other).partition(",")[2], signed.partition(",")[2])

    def test_waits_grow_to_an_hour(self):
        self.assertEqual([wait(failures) for failures in range(1, 9)], [60, 120, 240, 480, 960, 1920, 3600, 3600])

    def test_a_log_stands_as_long_as_its_head_is_in_it(self):
        for case, head, newest, digest, expected in (
            ("no head", None, 5, None, True),
            ("the head", (5, b"a"), 5, b"a", True),
            ("it has grown", (5, b"a"), 9, b"a", True),
            ("it is shorter", (5, b"a"), 4, None, False),
            ("it is empty", (1, b"a"), 0, None, False),
            ("another one is there", (5, b"a"), 9, b"b", False),
            ("a gap", (5, b"a"), 9, None, False),
        ):
            with self.subTest(case):
                self.assertEqual(stands(head, newest, digest), expected)
