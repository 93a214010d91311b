"""What an administrator hides: is it read exactly, does it match what it says, and in no time?"""

from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.hiding import NOTHING_MORE, Hiding, check_mask, check_name, hide_all, masks_pattern, names_pattern
from .common import examples

# fmt: off
NAMES = [
    ("wage", "wage", True), ("wage", "wages", False), ("wage", "x_wage", False), ("*wage*", "x_wages", True),
    ("x_?", "x_a", True), ("x_?", "x_ab", False), ("hr.employee.*", "hr.employee.name", True),
    ("hr.employee.*", "hr.employees.name", False), ("a.b", "a_b", False), ("**a", "a", True),
]
NO_NAMES = ["", "*", "**", "?", ".", "A", "a b", "a,b", "[a]", "a" * 101, "a\n", "(a+)+"]
MASKS = [
    ("###-##-####", "123-45-6789", True), ("###-##-####", "x 123-45-6789.", True),
    ("###-##-####", "1123-45-6789", False),
    ("###-##-####", "123-45-67890", False), ("EMP-???", "emp-a1é", True), ("EMP-???", "EMP-a1", False),
    ("a.b*", "a.b*", True),
    ("a.b*", "axbb", False), ("####", "١٢٣٤", True), ("Project X", "project x", True),
]
NO_MASKS = ["", "###", "#" * 41, " ####", "####\n", "a\tbcd"]
# fmt: on


class TestHiding(BaseCase):
    def test_which_names_a_pattern_stands_for(self):
        for pattern, name, expected in NAMES:
            with self.subTest(pattern, name=name):
                self.assertIs(bool(names_pattern([check_name(pattern)]).fullmatch(name)), expected)

    def test_which_values_a_mask_stands_for(self):
        for mask, text, expected in MASKS:
            with self.subTest(mask, text=text):
                self.assertIs(bool(masks_pattern([check_mask(mask)]).search(text)), expected)

    def test_what_stands_for_nothing_is_refused(self):
        for check, texts in ((check_name, NO_NAMES), (check_mask, NO_MASKS)):
            for text in texts:
                with self.subTest(text), self.assertRaises(ValueError):
                    check(text)

    def test_no_rules_match_nothing(self):
        self.assertIsNone(names_pattern([]))
        self.assertIsNone(masks_pattern([]))

    def test_all_together_hide_what_each_of_them_hides(self):
        one = Hiding(names=frozenset({"a"}), types=frozenset({"html"}), email=True)
        other = Hiding(names=frozenset({"b"}), masks=frozenset({"####"}), phone=True)
        both = Hiding(frozenset({"a", "b"}), frozenset({"html"}), frozenset({"####"}), True, True)
        self.assertEqual(hide_all([one, NOTHING_MORE, other]), both)
        self.assertEqual(hide_all([one]), one)
        self.assertEqual(hide_all([]), NOTHING_MORE)

    @examples
    @given(
        st.text(st.sampled_from("ab*?._0"), min_size=1, max_size=100), st.text(st.sampled_from("ab_.0"), max_size=256)
    )
    def test_no_pattern_takes_long(self, pattern, name):
        try:
            found = names_pattern([check_name(pattern)])
        except ValueError:
            return
        began = process_time()
        found.fullmatch(name)
        self.assertLess(process_time() - began, 0.05)
