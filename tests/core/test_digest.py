"""Is a value found by its digest, however it was sent, and never a secret?"""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.digest import MAX_DIGESTS, digest, digests, normal, questions
from .common import examples

KEY = bytes(range(32))
# fmt: off
NORMAL = [
    ("Ada", "Ada"), (" Ada\n", "Ada"), ("e\u0301", "é"), ("", None), ("  ", None), (5, "5"), (-5, "-5"),
    (2**70, None), (12.5, "12.5"),
    (12.0, "12"), (0.0, "0"), (-0.0, "0"), (1e-7, "0.0000001"), (Decimal("1.10"), "1.1"), (float("nan"), None),
    (True, None), (None, None),
    (date(2026, 3, 4), "2026-03-04"), ("x" * 1024, "x" * 1024), ("x" * 1025, None), (b"x", None),
]
# (arguments or results, the values that have digests)
FOUND = [
    ({"vals": {"name": "Ada", "age": 36}}, {"Ada", "36"}), ({"ids": [1], "limit": 5, "fields": ["name"],
    "context": {"a": "b"}}, set()),
    ({"domain": ["|", ["name", "=", "Ada"], ("ref", "in", ["x1", "x2"])]}, {"Ada", "x1", "x2"}),
    ({"domain": [["password", "=", "hunter22"]]}, set()), ({"password": "hunter22", "key": "x"}, set()),
    ({"key": "database.secret", "value": "hunter22"}, set()), (["my_password", "hunter22"], set()),
    ({"note": "password: hunter22"}, set()), ([{"id": 3, "partner_id": [7, "Ada"]}], {"Ada"}), ([[7, "Ada"]], {"Ada"}),
    ({"vals": {"line_ids": [(0, 0, {"name": "Bob"})]}}, {"Bob", "0"}),
    ({"email": "ada@example.com"}, {"ada@example.com"}),
    ({"a": True, "b": None, "c": False}, set()), ({"a": "4111 1111 1111 1111"}, {"4111 1111 1111 1111"}),
]
# fmt: on


class TestDigest(BaseCase):
    def test_how_values_are_written_before_they_are_digested(self):
        for value, expected in NORMAL:
            with self.subTest(repr(value)[:30]):
                self.assertEqual(normal(value), expected)

    def test_which_values_get_a_digest(self):
        for value, expected in FOUND:
            with self.subTest(repr(value)):
                alone = {digest(KEY, word) for word in expected}
                self.assertEqual({found for found in digests(KEY, value) if found in alone}, alone)
                self.assertEqual(bool(digests(KEY, value)), bool(expected))

    def test_a_value_has_a_digest_with_its_fields_name(self):
        for value in (
            {"vals": {"email": "Ada"}},
            [["email", "=", "Ada"]],
            [["user_ids.email", "in", ["Ada"]]],
            {"a/email": "Ada"},
            [{"id": 5, "email": [7, "Ada"]}],
        ):
            with self.subTest(repr(value)):
                self.assertEqual(digests(KEY, value), [digest(KEY, "Ada"), digest(KEY, "Ada", "email")])
                for asked, is_found in (
                    ("email=Ada", True),
                    (" partner_id.email = Ada ", True),
                    ("name=Ada", False),
                    ("Ada", True),
                ):
                    self.assertIs(bool(set(questions(KEY, asked)) & set(digests(KEY, value))), is_found)
        self.assertIn(digest(KEY, "a=b"), questions(KEY, "a=b"))

    def test_a_digest_stays_what_it_was(self):
        # entries are searched for as long as they are kept
        self.assertEqual(digest(KEY, "Ada"), "gsupue6d29dE5fBD")

    def test_a_presented_secret_gets_none(self):
        self.assertEqual(digests(KEY, {"a": "x" * 40, "b": 123456, "c": f"my {'x' * 40}"}, ["x" * 40, "123456"]), [])

    def test_there_are_so_many_and_no_more_texts_first(self):
        found = digests(KEY, {"a": list(range(1000)), "b": [f"x{number}" for number in range(50)]})
        self.assertEqual(found[:50], [digest(KEY, f"x{number}") for number in range(50)])
        self.assertEqual(found[50:], [digest(KEY, f"x{number}", "b") for number in range(MAX_DIGESTS - 50)])

    def test_a_value_that_holds_itself_comes_to_an_end(self):
        rows = []
        rows.append(rows)
        self.assertEqual(digests(KEY, rows), [])

    def test_a_number_is_found_however_it_is_typed(self):
        for typed in ("12.5", " 12.50 ", "1.25e1"):
            with self.subTest(typed):
                self.assertIn(digest(KEY, "12.5"), questions(KEY, typed))
        for typed in ("", "  ", "NaN", "1e", "Ada"):
            with self.subTest(typed):
                self.assertLessEqual(len(questions(KEY, typed)), 1)

    @examples
    @given(st.text(max_size=100) | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False))
    def test_whoever_types_a_value_finds_it(self, value):
        for place in ({"vals": {"name": value}}, [{"id": 1, "name": value}], {"domain": [["name", "=", value]]}):
            found = digests(KEY, place)
            self.assertTrue(not found or set(found) & set(questions(KEY, str(value))))
