"""Is what an answer told of kept, and read again?"""

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.reading import MAX_FIELDS, MAX_IDS, NOTHING, Reading, names, ranges, read_ranges, reading_of
from .common import examples

ADA, BOB = {"id": 3, "name": "Ada", "country_id": [5, "France"]}, {"id": 4, "name": "Bob", "country_id": False}
NESTED = {"name": {}, "country_id": {"fields": {"display_name": {}, "state_ids": {"fields": {"code": {}}}}}}
# fmt: off
READINGS = [
    ("search_read", {}, [ADA, BOB], Reading("3-4", "name,country_id")), ("search_read", {}, [], NOTHING),
    ("read", {}, ({"id": 3, "name": "Ada"},), Reading("3", "name")), ("read", {}, [{"id": 3}], Reading("3", None)),
    ("web_search_read", {"specification": NESTED}, {"length": 2, "records": [ADA, BOB]},
     Reading("3-4", "name,country_id.display_name,country_id.state_ids.code")),
    ("web_read", {"specification": {"country_id": {"fields": {}}}}, [{"id": 3, "country_id": 5}],
    Reading("3", "country_id")),
    ("web_save", {"specification": {"name": {}}}, [{"id": 3, "name": "Ada"}], Reading("3", "name")),
    ("json1", {}, {"id": 3, "name": "Ada"}, Reading("3", "name")),
    ("json1", {}, {"id": 3, "country_id": {"id": 5, "display_name": "France"}, "line_ids": [{"id": 1, "x": 2}]},
     Reading("3", "country_id.display_name,line_ids.x")),
    ("search", {}, [3, 4, 9], Reading("3-4,9", "id")), ("search", {}, [], NOTHING), ("search_count", {}, 3, NOTHING),
    ("exists", {}, [3, 4], NOTHING), ("create", {}, [3, 4], NOTHING), ("create", {}, 3, NOTHING),
    ("write", {}, True, NOTHING),
    ("name_search", {}, [[3, "Ada"], [4, "Bob"]], Reading("3-4", "display_name")),
    ("name_search", {}, [(3, "Ada")], Reading("3", "display_name")),
    ("web_name_search", {}, [{"id": 3, "display_name": "Ada"}], Reading("3", "display_name")),
    ("export_data", {"ids": [3, 4], "fields_to_export": ["name", "country_id/code"]}, {"datas": [["Ada", "FR"]]},
    Reading("3-4", "name,country_id.code")),
    ("read_group", {"groupby": ["country_id"], "fields": ["credit:sum"]}, [{"country_id": [5, "France"], "credit": 5,
    "__domain": []}],
     Reading(None, "country_id,credit")),
    ("formatted_read_group", {"groupby": ["country_id"], "aggregates": ["credit:sum"]},
     [{"country_id": [5, "France"], "credit:sum": 5, "__extra_domain": [], "__count": 2}],
     Reading(None, "country_id,credit:sum")),
    ("web_read_group", {"groupby": "country_id", "unfold_read_specification": {"name": {}}},
     {"length": 1, "groups": [{"country_id": [5, "F"], "__count": 2, "__records": [ADA, BOB]}]},
     Reading("3-4", "country_id,name")),
    ("action_x", {}, [ADA], Reading("3", "name,country_id")),
    ("action_x", {}, {"type": "ir.actions.act_window", "id": "x"}, NOTHING),
    ("fields_get", {}, {"name": {"type": "char"}}, NOTHING), ("read", {}, None, NOTHING),
    ("read", {}, "x", NOTHING), ("read", {}, [None], NOTHING),
    ("read", {}, [ADA, None, {"id": True}, {"id": "x"}], Reading("3", "name,country_id")),
    ("export_data", {"ids": None, "fields_to_export": None}, {}, NOTHING), ("read", {}, [{5: 1, "id": 2}],
    Reading("2", None)),
]
RANGES = [
    ([], ""), ([7], "7"), ([1, 2], "1-2"), ([3, 1, 2, 9, 9, 7], "1-3,7,9"), (list(range(1, 10**5)), "1-99999"),
    ([-1, 5], "-1,5"),
]
# fmt: on


class TestReading(BaseCase):
    def test_what_was_read(self):
        for method, arguments, result, expected in READINGS:
            with self.subTest(method, result=str(result)[:40]):
                self.assertEqual(reading_of(method, arguments, result), expected)

    def test_ranges(self):
        for ids, expected in RANGES:
            with self.subTest(expected):
                self.assertEqual(ranges(ids), expected)

    def test_what_does_not_fit_is_cut_at_a_comma_and_says_so(self):
        text = ranges(range(1, 10_000, 2))
        self.assertLessEqual(len(text), MAX_IDS + 1)
        self.assertRegex(text, r"^(\d+,)+\d+…$")
        self.assertEqual(read_ranges(text)[0][:2], [(1, 1), (3, 3)])
        self.assertFalse(read_ranges(text)[1])
        fields = names(f"field_{number}" for number in range(10_000))
        self.assertLessEqual(len(fields), MAX_FIELDS + 1)
        self.assertTrue(fields.endswith("…"))

    def test_no_name_breaks_the_list(self):
        self.assertEqual(names(["a,b", "", "x" * 201, "ok"]), "ok")

    @examples
    @given(st.lists(st.integers(1, 200), max_size=80))
    def test_ranges_are_read_as_they_were_written(self, ids):
        found, is_whole = read_ranges(ranges(ids))
        self.assertEqual([number for first, last in found for number in range(first, last + 1)], sorted(set(ids)))
        self.assertTrue(is_whole)
