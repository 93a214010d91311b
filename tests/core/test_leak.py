"""Which keys does a text hold, and what is a report of leaked ones?"""

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.leak import MAX_REPORTED, ROUGH_PATTERN, fingerprint, keys_in, read_report
from ...core.secret import RANDOM_BYTES, write_secret
from .common import examples

OURS, OTHER = (write_secret(bytes([number]) * RANDOM_BYTES) for number in (1, 2))
ODOOS = "5f" * 20

# fmt: off
TEXTS = [
    ("", ()), ("no key", ()), (OURS, (OURS,)), (ODOOS, (ODOOS,)), (f"{ODOOS} {OURS}", (OURS, ODOOS)),
    (f"{OURS} {OURS}", (OURS,)), (f"{OURS}{OTHER}", (OURS, OTHER)), (f"x{OURS}x", (OURS,)),
    (json.dumps("a\n" + OURS), (OURS,)), (f'<a href="?key={OURS}&amp;x">', (OURS,)), (f"<b>{OURS}</b>", (OURS,)),
    (f"ag_{OURS}", (OURS,)), ("ag_ag_" + "0" * 36, ()),
    # decoys
    (OURS[:-1], ()), (OURS[:-1] + "!", ()), (OURS.upper(), ()), (OURS.lower(), ()), ("ag_" + "0" * 36, ()),
    (OURS[:10] + "<wbr>" + OURS[10:], ()),
    ("5f" * 32, ()), ("5F" * 20, ()), ("5f" * 20 + "0", ()), ("g" + ODOOS, ()), (f"sha1:{ODOOS}.", (ODOOS,)),
]
REPORTS = [
    ({"secret": "a"}, ("a",)), ({"token": "a"}, ("a",)), ({"secrets": ["a", "b", "a"]}, ("a", "b")),
    ({"secret": "a", "source": "a chat"}, ("a",)), ({"secret": ""}, ("",)), ({"secret": ["a"]}, ("a",)),
    ({"secrets": ["a"] * MAX_REPORTED}, ("a",)),
]
NO_REPORTS = [
    None, [], "a", 5, {}, {"key": "a"}, {"secret": None}, {"secret": 5}, {"secrets": []}, {"secrets": {"a": "b"}},
    {"secrets": ["a", 5]}, {"secrets": [["a"]]}, {"secret": "a", "token": "b"}, {"secrets": ["a"] * (MAX_REPORTED + 1)},
]
# fmt: on


class TestLeak(BaseCase):
    def test_what_in_a_text_is_a_key(self):
        for text, expected in TEXTS:
            with self.subTest(text):
                self.assertEqual(keys_in(text), expected)

    @examples
    @given(st.text(max_size=30), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES), st.text(max_size=30))
    def test_a_key_is_found_wherever_it_stands_and_the_rough_pattern_lets_it_through(self, before, drawn, after):
        secret = write_secret(drawn)
        text = f"{before}{secret}{after}"
        self.assertIn(secret, keys_in(text))
        self.assertRegex(text, re.compile(ROUGH_PATTERN))

    @examples
    @given(st.text(alphabet="ag_0123456789abcdef", max_size=120))
    def test_what_the_rough_pattern_leaves_out_holds_no_key(self, text):
        self.assertTrue(re.search(ROUGH_PATTERN, text) or not keys_in(text))

    def test_a_report_is_its_secrets(self):
        for report, expected in REPORTS:
            with self.subTest(report):
                self.assertEqual(read_report(report), expected)

    def test_what_is_no_report_is_refused(self):
        for report in NO_REPORTS:
            with self.subTest(report), self.assertRaises(ValueError):
                read_report(report)

    def test_a_fingerprint_tells_the_same_secret_and_nothing_of_it(self):
        mark = fingerprint(OURS, "the database's")
        self.assertEqual(mark, fingerprint(OURS, "the database's"))
        self.assertNotEqual(mark, fingerprint(OTHER, "the database's"))
        self.assertNotEqual(mark, fingerprint(OURS, "another's"))
        self.assertRegex(mark, r"\A[0-9a-f]{32}\Z")
