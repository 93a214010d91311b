"""Does each checkpoint follow from the one before? A good chain, and every way to break it."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.checkpoint import (
    Break,
    Checkpoint,
    Fault,
    Head,
    Malformed,
    Signed,
    first_fault,
    follow,
    is_signed,
    key_id,
    parse,
    public_key,
    sign,
    steps_back,
)
from ...core.merkle import EMPTY_ROOT
from .common import examples

KEYS = [bytes([number]) * 32 for number in range(1, 5)]  # private ones
PUBLIC = [public_key(key) for key in KEYS]
NOW = datetime(2026, 11, 25, 2, 43, 35, 123456, tzinfo=timezone.utc)
FIRST = Checkpoint("9f6c", 1, 0, EMPTY_ROOT, NOW, key_id(PUBLIC[0]))
#: What is signed must read the same for as long as a log is kept: a change of this is a new version.
PINNED = (
    b'{"key":"34750f98bd59fcfc","next_key":"gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=","note":"restored","number":2,'
    b'"origin":"9f6c","previous":"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=","root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",'
    b'"size":0,"time":"2026-11-25T02:43:35.123456Z","v":1}'
)


def root_of(size):
    return sha256(str(size).encode()).digest() if size else EMPTY_ROOT


def after(before, size, key, **said):
    return Checkpoint(
        before.origin, before.number + 1, size, root_of(size), before.time + timedelta(minutes=1),
        key_id(public_key(key)), before.digest(), **said,
    )  # fmt: skip


def chain(sizes=(0, 5, 5, 700, 70_000), changes=()):
    """Checkpoints over these sizes, signed; `changes`: at which places the key changes to the next of KEYS."""
    keys, signed, last = iter(KEYS), [], None
    key = next(keys)
    for at, size in enumerate(sizes):
        other = next(keys) if at in changes else None
        said = {"next_key": public_key(other)} if other else {}
        last = after(last, size, key, **said) if last else replace(FIRST, size=size, root=root_of(size), **said)
        signed.append(sign(key, last))
        key = other or key
    return signed


def resigned(signed, private=KEYS[0], **changed):
    return sign(private, replace(parse(signed.body), **changed))


def put(found, at, *others):
    return [*found[:at], *others, *found[at + 1 :]]


checkpoints = st.builds(
    Checkpoint,
    origin=st.text("abc-é", max_size=5),
    number=st.integers(1, 2**53 - 1),
    size=st.integers(0, 2**53 - 1),
    root=st.binary(min_size=32, max_size=32),
    time=st.datetimes(timezones=st.just(timezone.utc)),
    key=st.sampled_from([key_id(key) for key in PUBLIC]),
    previous=st.none() | st.binary(min_size=32, max_size=32),
    next_key=st.none() | st.sampled_from(PUBLIC),
    note=st.none() | st.sampled_from(["restored", ""]),
)


class TestBody(BaseCase):
    def test_format_version_1_is_pinned(self):
        found = Checkpoint(
            "9f6c", 2, 0, EMPTY_ROOT, NOW, key_id(PUBLIC[0]), previous=b"A" * 32, next_key=PUBLIC[1], note="restored"
        )
        self.assertEqual(found.body(), PINNED)
        self.assertEqual(found.digest(), sha256(PINNED).digest())

    @examples
    @given(checkpoints)
    def test_what_was_written_is_read_as_the_same(self, checkpoint):
        self.assertEqual(parse(checkpoint.body()), checkpoint)

    def test_what_is_written_otherwise_is_not_read(self):
        body = PINNED.decode()
        for wrong in (
            "", "null", "[]", "{}", "1", body[:-1], body + " ", body.replace(":", ": ", 1), "[" * 100_000,
            body.replace('"v":1', '"v":2'), body.replace('"v":1', '"v":1,"x":1'), body.replace('"v":1', '"v":true'),
            body.replace('"number":2', '"number":0'), body.replace('"number":2', '"number":2.5'),
            body.replace('"number":2', '"number":"2"'), body.replace('"size":0', '"size":-1'),
            body.replace('"size":0', '"size":9007199254740992'), body.replace('"size":0', '"size":' + "9" * 5000),
            body.replace("QUFB", "QUF", 1), body.replace("QUFB", "QU!B", 1), body.replace("03:", "3:"),
            body.replace("2026-11-25", "2026-13-25"), body.replace(".123456Z", "Z"), body.replace("6Z", "6+00:00"),
            body.replace("2026", "２０２６"), body.replace('"9f6c"', "null"), body.replace('"9f6c"', '"\\ud800"'),
            body.replace('"note":"restored"', '"note":null'), body.replace('"note":"restored"', '"note":7'),
            body.replace(',"size":0', ""), body.replace('"size":0', '"size":0,"size":0'),
        ):  # fmt: skip
            if wrong != body:
                with self.subTest(wrong[:200]), self.assertRaises(Malformed):
                    parse(wrong.encode())
        for wrong in (b"\xff", PINNED.decode().encode("utf-16"), b"\xef\xbb\xbf" + PINNED):
            with self.subTest(wrong[:9]), self.assertRaises(Malformed):
                parse(wrong)

    def test_a_key_signs_only_what_names_it(self):
        self.assertTrue(is_signed(sign(KEYS[0], FIRST), PUBLIC[0]))
        with self.assertRaises(ValueError):
            sign(KEYS[1], FIRST)

    def test_what_is_no_signature_or_no_key_signs_nothing(self):
        signed = sign(KEYS[0], FIRST)
        for signature, key in (
            (b"", PUBLIC[0]), (signed.signature[:-1], PUBLIC[0]), (bytes(64), PUBLIC[0]),
            (signed.signature, PUBLIC[1]), (signed.signature, b""), (signed.signature, b"short"),
        ):  # fmt: skip
            self.assertFalse(is_signed(Signed(signed.body, signature), key))
        self.assertFalse(is_signed(Signed(signed.body + b" ", signed.signature), PUBLIC[0]))


class TestChain(BaseCase):
    def assertBroken(self, found, number, code, keys=PUBLIC[:1], **options):
        fault = first_fault(found, keys, **options)
        self.assertIsNotNone(fault)
        self.assertEqual((fault.number, fault.code), (number, code), fault.sentence)

    def test_a_chain_holds(self):
        self.assertIsNone(first_fault([], PUBLIC[:1]))
        self.assertIsNone(first_fault(chain(), PUBLIC[:1]))
        self.assertIsNone(first_fault(chain(sizes=[3, 3]), PUBLIC[:1]))

    def test_each_way_to_break_it_is_told_with_its_place(self):
        good = chain()
        other_body = Signed(good[2].body.replace(b'"size":5', b'"size":6'), good[2].signature)
        flipped = Signed(good[2].body, bytes([good[2].signature[0] ^ 1]) + good[2].signature[1:])
        for what, found, number, code in (
            ("cannot be read", put(good, 2, Signed(b"{}", good[2].signature)), 3, Break.MALFORMED),
            ("signature changed", put(good, 2, flipped), 3, Break.SIGNATURE),
            ("body changed", put(good, 2, other_body), 3, Break.SIGNATURE),
            ("signed by another", put(good, 2, resigned(good[2], KEYS[1], key=key_id(PUBLIC[1]))), 3, Break.KEY),
            ("another log", put(good, 2, resigned(good[2], origin="other")), 3, Break.ORIGIN),
            ("one removed", put(good, 2), 3, Break.NUMBER),
            ("one twice", put(good, 2, good[2], good[2]), 4, Break.NUMBER),
            ("two swapped", put(put(good, 2, good[3]), 3, good[2]), 3, Break.NUMBER),
            ("the first removed", good[1:], 1, Break.NUMBER),
            ("one made anew", put(good, 2, resigned(good[2], note="x")), 4, Break.PREVIOUS),
            ("one names none", put(good, 2, resigned(good[2], previous=None)), 3, Break.PREVIOUS),
            ("the first names one", put(good, 0, resigned(good[0], previous=bytes(32))), 1, Break.PREVIOUS),
            ("shrunk", chain(sizes=[0, 5, 4]), 3, Break.SIZE),
            ("another root", put(good, 2, resigned(good[2], root=bytes(32))), 3, Break.ROOT),
            ("a root of nothing", put(good, 0, resigned(good[0], root=bytes(32))), 1, Break.ROOT),
        ):  # fmt: skip
            with self.subTest(what):
                self.assertBroken(found, number, code)

    def test_a_clock_that_was_set_back_is_told_and_is_no_fault(self):
        good = chain()
        last = parse(good[-1].body)
        back = replace(after(last, 70_001, KEYS[0]), time=last.time - timedelta(hours=1))
        self.assertIsNone(first_fault([*good, sign(KEYS[0], back)], PUBLIC[:1]))
        self.assertEqual(list(steps_back([*(parse(signed.body) for signed in good), back])), [(6, 3600.0)])

    def test_the_old_key_vouches_for_the_new_one(self):
        found = chain(changes=(1, 3))
        self.assertEqual([parse(signed.body).key for signed in found], [key_id(PUBLIC[n]) for n in (0, 0, 1, 1, 2)])
        self.assertIsNone(first_fault(found, PUBLIC[:1]))
        self.assertBroken(found, 1, Break.KEY, keys=PUBLIC[1:2])

    def test_a_key_that_was_given_up_signs_no_more(self):
        found = chain(changes=(1,))
        last = parse(found[-1].body)
        late = sign(KEYS[0], after(last, 70_001, KEYS[0]))
        for keys in (PUBLIC[:1], PUBLIC[:2]):
            self.assertBroken([*found, late], 6, Break.KEY, keys=keys)

    def test_a_lost_key_is_followed_only_by_one_that_is_trusted(self):
        found = chain()
        anew = sign(KEYS[3], after(parse(found[-1].body), 70_001, KEYS[3], note="key lost"))
        self.assertBroken([*found, anew], 6, Break.KEY)
        self.assertIsNone(first_fault([*found, anew], [PUBLIC[0], PUBLIC[3]]))
        back = sign(KEYS[0], after(parse(anew.body), 70_002, KEYS[0]))
        self.assertBroken([*found, anew, back], 7, Break.KEY, keys=[PUBLIC[0], PUBLIC[3]])

    def test_it_goes_on_where_it_was_found_good(self):
        found = chain(changes=(1,))
        head = None
        for signed in found[:3]:
            head = follow(head, signed, PUBLIC[:1])
            self.assertIsInstance(head, Head)
        self.assertEqual((head.checkpoint.number, head.key, head.spent), (3, PUBLIC[1], {key_id(PUBLIC[0])}))
        self.assertIsNone(first_fault(found[3:], (), head=head))
        self.assertBroken(found[4:], 4, Break.NUMBER, keys=(), head=head)

    def test_midway_the_past_is_taken_on_trust(self):
        found = chain()
        self.assertIsNone(first_fault(found[2:], PUBLIC[:1], midway=True))
        self.assertIsInstance(follow(None, found[2], PUBLIC[:1]), Fault)
        self.assertBroken([resigned(found[2], previous=None)], 1, Break.PREVIOUS, midway=True)
        self.assertBroken(put(found[2:], 1), 4, Break.NUMBER, midway=True)
