"""Is a call that is too large told from one that is not?"""

from dataclasses import fields

from odoo.tests.common import BaseCase

from ...core.shape import KINDS, Excess, Shape

DEEP = [["a", "any", [["b", "any", [["c", "=", 1]]]]]]
# fmt: off
CASES = [  # limits, arguments, body, searches, what is exceeded
    ({}, {"ids": list(range(9999))}, 10**9, True, None),
    ({"body": 10}, {}, 10, False, None),
    ({"body": 10}, {}, 11, False, "body"),
    ({"body": 10}, {}, float("inf"), False, "body"),
    ({"ids": 2}, {"ids": [1, 2]}, 0, False, None),
    ({"ids": 2}, {"ids": [1, 2, 3]}, 0, False, "ids"),
    ({"ids": 2}, {"ids": 1}, 0, False, None),
    ({"limit": 5}, {"limit": 5}, 0, True, None),
    ({"limit": 5}, {"limit": 6}, 0, True, "limit"),
    ({"limit": 5}, {}, 0, True, "limit"),
    ({"limit": 5}, {"limit": None}, 0, True, "limit"),
    ({"limit": 5}, {"limit": 0}, 0, True, "limit"),
    ({"limit": 5}, {"limit": -1}, 0, True, "limit"),
    ({"limit": 5}, {"limit": True}, 0, True, "limit"),
    ({"limit": 5}, {"limit": "5"}, 0, True, "limit"),
    ({"limit": 5}, {}, 0, False, None),
    ({"leaves": 2}, {"domain": [["a", "=", 1], ["b", "=", 2]]}, 0, False, None),
    ({"leaves": 2}, {"domain": ["|", ("a", "=", 1), "|", ("b", "=", 2), ("c", "=", 3)]}, 0, False, "leaves"),
    ({"leaves": 2}, {"domain": DEEP}, 0, False, "leaves"),
    ({"depth": 3}, {"domain": DEEP}, 0, False, None),
    ({"depth": 2}, {"domain": DEEP}, 0, False, "depth"),
    ({"depth": 5}, {"domain": ["!"] * 9 + [["a", "=", 1]]}, 0, False, "depth"),
    ({"levels": 1}, {"specification": {"a": {}}}, 0, False, None),
    ({"levels": 1}, {"specification": {"a": {"fields": {"b": {}}}}}, 0, False, "levels"),
    ({"levels": 1}, {"fields_spec": {"a": {"fields": {"b": {}}}}}, 0, False, "levels"),
    ({"values": 1}, {"vals_list": [{}, {}]}, 0, False, "values"),
    ({"values": 1}, {"vals": {"a": 1, "b": 2}}, 0, False, None),
    ({"values": 1}, {"data": [["x"], ["y"]]}, 0, False, "values"),
    ({"leaves": 2}, {"domain": [["a", "ANY", [["b", "=", 1], ["c", "=", 1]]]]}, 0, False, "leaves"),
    ({"leaves": 2}, {"domain": [], "having": [["__count", ">", 0]] * 3}, 0, False, "leaves"),
    ({"leaves": 2}, {"search_domain": [["a", "=", 1]] * 3}, 0, False, "leaves"),
    ({"limit": 5}, {"limit": 5, "unfold_read_default_limit": 6}, 0, True, "limit"),
    ({"limit": 5}, {"limit": 5, "unfold_read_default_limit": None}, 0, True, "limit"),
    ({"levels": 1}, {"unfold_read_specification": {"a": {"fields": {"b": {}}}}}, 0, False, "levels"),
    ({"values": 2}, {"vals_list": [{"a": [[0, 0, {}]]}]}, 0, False, None),
    ({"values": 2}, {"vals_list": [{"a": [[0, 0, {"b": [[1, 7, {}]]}]]}]}, 0, False, "values"),
    ({"values": 2}, {"vals": {"a": [[6, 0, [1, 2, 3]]]}}, 0, False, None),
    ({"values": 1}, {"vals_list": [{}], "context": {"default_a": [[0, 0, {}]]}}, 0, False, "values"),
    ({"leaves": 2, "depth": 2, "levels": 2}, {"domain": "x", "specification": [], "ids": "x"}, None, False, None),
]
# fmt: on


class TestShape(BaseCase):
    def test_cases(self):
        for limits, arguments, body, searches, expected in CASES:
            with self.subTest(limits=limits, arguments=arguments):
                excess = Shape(**limits).exceeded(arguments, body, searches)
                self.assertEqual(excess and excess.kind, expected)

    def test_records_that_are_written_count_as_those_that_are_created(self):
        shape = Shape(values=1)
        for arguments, writes, expected in (
            ({"ids": [1, 2], "vals": {"a": 1}}, True, Excess("values", 2, 1)),
            ({"ids": [1], "vals": {"a": 1}}, True, None),
            ({"ids": 7, "vals": {"a": 1}}, True, None),
            ({"ids": [1, 2]}, False, None),
        ):
            with self.subTest(arguments=arguments, writes=writes):
                self.assertEqual(shape.exceeded(arguments, None, False, writes), expected)

    def test_an_excess_says_which_size_and_what_it_may_be(self):
        for excess, told in (
            (Excess("rows", 4, 3), "rows: 4, at most 3"),
            (Shape(limit=10).exceeded({}, None, True), "limit: unlimited, at most 10"),
            (Shape(body=10).exceeded({}, float("inf"), False), "body: unlimited, at most 10"),
        ):
            self.assertEqual(str(excess), told)

    def test_every_size_has_a_name(self):
        self.assertEqual(set(KINDS), {field.name for field in fields(Shape)})

    def test_an_answer_is_as_long_as_its_rows(self):
        for limits, rows, expected in (({}, 10**6, None), ({"rows": 2}, 2, None), ({"rows": 2}, 3, "rows")):
            with self.subTest(limits=limits, rows=rows):
                excess = Shape(**limits).exceeded_by_answer(rows)
                self.assertEqual(excess and excess.kind, expected)

    def test_bottomless_nesting_is_measured_and_does_not_break(self):
        domain, levels = [], {}
        for _ in range(5000):
            domain, levels = [["a", "any", domain]], {"a": {"fields": levels}}
        self.assertEqual(Shape(depth=100).exceeded({"domain": domain}, 0, False).kind, "depth")
        self.assertEqual(Shape(levels=100).exceeded({"specification": levels}, 0, False).kind, "levels")
