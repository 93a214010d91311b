"""Is what went out added up rightly, and is it told where that is not all?"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.breach import MAX_RANGES, add_up, merged, personal_fields, written
from .common import examples

# fmt: off
PERSONAL = [
    ("res.partner", "name display_name email phone street zip vat comment", "color active child_ids create_date"),
    ("hr.employee", "name private_email birthday marital ssnid wage children user_id", "department_id"),
    ("sale.order", "partner_id partner_id.name partner_id.email partner_invoice_id.phone user_id", "name amount_total"),
    ("sale.order", "email_from contact_name access_ip_address", "mailing_id state_id comment citydata"),
    ("res.users", "login name image_1920", "groups_count"), ("res.partner", "credit_ssn:sum", "credit:sum"),
]
# fmt: on


class TestBreach(BaseCase):
    def test_which_fields_tell_of_persons(self):
        for model, personal, others in PERSONAL:
            with self.subTest(model, fields=personal):
                names = personal.split() + others.split()
                self.assertEqual(personal_fields(model, names), personal.split())

    def test_an_administrator_names_more(self):
        fields = ["x_note", "x_other", "a"]
        self.assertEqual(personal_fields("m", fields, ["x_n*", "m.a", "n.x_other"]), ["x_note", "a"])
        with self.assertRaises(ValueError):
            personal_fields("m", fields, ["(a+)+"])

    def test_what_calls_told_is_added_up(self):
        calls = [
            ("res.partner", "1-3,9", "name,email", 4), ("res.partner", "3-4", "phone", 2),
            ("res.country", "5", None, 1),
            ("res.partner", None, "country_id,__count", 3), ("res.partner", None, None, 0),
        ]  # fmt: skip
        partners, countries = add_up(calls)
        self.assertEqual((partners.calls, partners.rows, partners.untold, partners.records), (4, 9, 1, 5))
        self.assertEqual((partners.ranges, partners.is_whole), (((1, 4), (9, 9)), True))
        self.assertEqual(list(partners.fields), ["name", "email", "phone", "country_id", "__count"])
        self.assertEqual((countries.model, countries.records, countries.has_all_fields), ("res.country", 1, True))

    def test_what_was_cut_is_told(self):
        [exposure] = add_up([("m", "1-3…", "a,b…", 9)])
        self.assertEqual(
            (exposure.is_whole, exposure.has_all_fields, list(exposure.fields)), (False, False, ["a", "b"])
        )

    def test_many_ranges_are_merged_on_the_way(self):
        evens, odds = (
            [("m", ",".join(str(2 * number + odd) for number in range(start, start + 500)), None, 500)
             for start in range(0, MAX_RANGES + 500, 500)] for odd in (0, 1)
        )  # fmt: skip
        [exposure] = add_up([*evens, *odds])
        self.assertEqual(exposure.ranges, ((0, 2 * MAX_RANGES + 999),))
        self.assertEqual(exposure.ids(3), [0, 1, 2])

    @examples
    @given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair)))))
    def test_merging_changes_no_number(self, ranges):
        numbers = {number for first, last in ranges for number in range(first, last + 1)}
        kept = merged(ranges)
        self.assertEqual([number for first, last in kept for number in range(first, last + 1)], sorted(numbers))
        self.assertTrue(all(one[1] + 1 < other[0] for one, other in pairwise(kept)))
        self.assertEqual(written(kept).count(",") + bool(kept), len(kept))
