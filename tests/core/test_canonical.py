"""Which bytes stand for a value? The vectors of RFC 8785, and another implementation of it."""

import json
import struct
from datetime import datetime, timedelta, timezone
from enum import Enum
from hashlib import sha256

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.canonical import MAX_INTEGER, canonical, leaf, time_text
from .common import examples

#: RFC 8785, appendix B: the bits of a double, and its text
NUMBERS = [
    ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"), ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"), ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"), ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"), ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"), ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"), ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"), ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"), ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"), ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"), ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]  # fmt: skip
#: RFC 8785, sections 3.2.2 and 3.2.4, and section 3.2.3
TEXTS = [
    (
        r'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        r'"string":"\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}',
        r'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ),
    (
        r'{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",'
        r'"\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}',
        '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis",'
        '"€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    ),
]
DEEP = []
for _ in range(100_000):
    DEEP = [DEEP]
AT = datetime(2026, 11, 25, 2, 43, 35, 123456)  # noqa: DTZ001  as the database gives it
NO_JSON = [
    float("nan"), float("inf"), -float("inf"), MAX_INTEGER + 1, -MAX_INTEGER - 1, 10**30, b"", {1, 2}, object(),
    AT, "\ud800", {"\ud800": 1}, {1: "a"}, {None: "a"}, {"a": 1, 2: 3}, {"é": 1, 2: 3}, {True: 1},
    [[MAX_INTEGER + 1]], {"a": {"b": b""}}, 1j, DEEP,
]  # fmt: skip
ENTRY = {
    "id": 12345, "kind": "write", "xid": 987654, "occurred_at": AT, "request_id": "01JD-é", "door": "json2",
    "route": None, "user_id": 2, "arguments": '{"a": "\u2028\n"}', "committed": True, "duration_ms": 12.0,
    "byte_count": 0, "digests": ["ab", "cd"], "error_message": "",
}  # fmt: skip
#: What is sealed must read the same for as long as a log is kept: a change of this is a new version.
PINNED = (
    '{"arguments":"{\\"a\\": \\"\u2028\\n\\"}","byte_count":0,"committed":true,"digests":["ab","cd"],"door":"json2",'
    '"duration_ms":12,"error_message":"","id":12345,"kind":"write","occurred_at":"2026-11-25T02:43:35.123456Z",'
    '"request_id":"01JD-é","user_id":2,"v":1}'
).encode()
PINNED_HASH = "92960e0544609018060baa949b5cce0f09c8d970c487f2a8e169e89a7eb377e3"

many = settings(examples, max_examples=500)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


class Colour(str, Enum):
    RED = "red"


def double(bits):
    return struct.unpack(">d", bytes.fromhex(bits))[0]


class TestCanonical(BaseCase):
    def test_the_numbers_of_the_rfc(self):
        for bits, text in NUMBERS:
            with self.subTest(text):
                self.assertEqual(canonical(double(bits)), text.encode())
                self.assertEqual(canonical([{"é": double(bits)}]), f'[{{"é":{text}}}]'.encode())

    def test_the_texts_of_the_rfc(self):
        for given_text, expected in TEXTS:
            with self.subTest(expected[:20]):
                self.assertEqual(canonical(json.loads(given_text)), expected.encode())

    def test_where_python_and_ecmascript_part(self):
        for value, text in (
            (1.0, "1"), (-0.0, "0"), (1e15, "1000000000000000"), (1e16, "10000000000000000"), (1e20, "1" + "0" * 20),
            (1e21, "1e+21"), (0.0001, "0.0001"), (0.00001, "0.00001"), (1e-6, "0.000001"), (1e-7, "1e-7"),
            (12345678901234567.0, "12345678901234568"), (123e-20, "1.23e-18"), (0.1, "0.1"), (-1.5, "-1.5"),
            (MAX_INTEGER, "9007199254740991"), (-MAX_INTEGER, "-9007199254740991"),
        ):  # fmt: skip
            with self.subTest(text):
                self.assertEqual(canonical(value), text.encode())
                self.assertEqual(canonical({"a": [value]}), f'{{"a":[{text}]}}'.encode())

    def test_what_json_does_not_hold_is_refused(self):
        for value in NO_JSON:
            for place in (value, [value], {"a": value}, {"é": [value]}):
                with self.subTest(ascii(type(value))), self.assertRaises(ValueError):
                    canonical(place)

    def test_kinds_of_texts_and_lists_are_texts_and_lists(self):
        self.assertEqual(canonical({"a": Colour.RED, "b": (1, 2.0)}), b'{"a":"red","b":[1,2]}')

    @many
    @given(values)
    def test_another_implementation_writes_the_same(self, value):
        self.assertEqual(canonical(value), rfc8785.dumps(value))

    @many
    @given(values)
    def test_what_was_written_is_read_as_the_same(self, value):
        self.assertEqual(json.loads(canonical(value), parse_int=float), json.loads(json.dumps(value), parse_int=float))


class TestLeaf(BaseCase):
    def test_format_version_1_is_pinned(self):
        self.assertEqual(leaf(ENTRY), PINNED)
        self.assertEqual(sha256(b"\0" + PINNED).hexdigest(), PINNED_HASH)

    def test_the_order_of_columns_and_those_that_hold_nothing_say_nothing(self):
        self.assertEqual(leaf(dict(reversed(ENTRY.items())) | {"model": None, "xid": 1}), PINNED)

    def test_what_a_column_holds_says_something(self):
        seen = {leaf(ENTRY)}
        for name, value in ENTRY.items():
            if name not in ("xid", "route"):
                seen.add(leaf({**ENTRY, name: None}))
                seen.add(leaf({**ENTRY, name: AT + timedelta(microseconds=1) if value is AT else f"{value} "}))
        self.assertEqual(len(seen), 1 + 2 * (len(ENTRY) - 2))

    def test_a_time_is_written_in_utc_with_six_digits(self):
        for at, text in (
            (AT.replace(microsecond=0), "2026-11-25T02:43:35.000000Z"),
            (AT, "2026-11-25T02:43:35.123456Z"),
            (AT.replace(tzinfo=timezone.utc), "2026-11-25T02:43:35.123456Z"),
            (AT.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-11-24T21:13:35.123456Z"),
            (AT.min, "0001-01-01T00:00:00.000000Z"),
        ):
            with self.subTest(text):
                self.assertEqual(time_text(at), text)
                self.assertEqual(leaf({"at": at}), f'{{"at":"{text}","v":1}}'.encode())

    def test_an_odd_entry_does_not_stop_the_sealing(self):
        for value, text in (
            (2**53, '"9007199254740992"'), (-(2**63), '"-9223372036854775808"'), (float("nan"), '"nan"'),
            (float("inf"), '"inf"'), (-float("inf"), '"-inf"'), (1e300, '"1e+300"'),
        ):  # fmt: skip
            with self.subTest(text):
                self.assertIn(text.encode(), leaf({**ENTRY, "byte_count": value, "nan": float("nan")}))

    def test_what_no_column_holds_is_refused(self):
        for entry in ({"v": 2}, {"a": b""}, {"a": "\ud800"}):
            with self.subTest(entry), self.assertRaises(ValueError):
                leaf(entry)
