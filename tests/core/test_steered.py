"""Which methods does no pattern reach, because a parameter names what they work on?"""

from odoo.tests.common import BaseCase

from ...core.call import Operation, Target
from ...core.scope import ScopeLine, covered
from ...core.steered import STEERED, UNSTEERED, is_steered

EXECUTE = frozenset({Operation.EXECUTE})


class TestSteered(BaseCase):
    def test_parameters_tell(self):
        for parameters, expected in (
            ((), False),
            (("ids", "values"), False),
            (("res_model",), True),
            (("model_name",), True),
            (("models",), True),
            (("domain",), True),
            (("extra_domain",), True),
            (("sequence_code",), True),
            (("code",), True),
            (("method",), True),
            (("func",), True),
            (("remodel", "barcode", "encoded", "methodical"), False),
            (("vals", "python_code"), True),
        ):
            with self.subTest(parameters):
                self.assertEqual(is_steered("some.model", "some_method", parameters), expected)

    def test_what_the_orm_itself_asks_for_is_judged_as_an_operation(self):
        self.assertFalse(is_steered("res.partner", "search_read", ("domain",)))

    def test_rows_hold_whatever_the_parameters_are_called(self):
        self.assertTrue(is_steered("any.model", "message_route", ()))
        self.assertTrue(is_steered("mail.activity", "get_activity_data", ()))
        self.assertFalse(is_steered("any.model", "get_activity_data", ()))

    def test_what_only_looks_like_it_is_exempt_on_its_own_model_and_on_no_other(self):
        self.assertFalse(is_steered("uom.uom", "round", ("rounding_method",)))
        self.assertTrue(is_steered("some.model", "round", ("rounding_method",)))

    def test_each_row_stands_once_and_has_one_verdict(self):
        rows = [(row.model, row.method) for row in STEERED]
        self.assertEqual(len(rows), len(set(rows)))
        self.assertFalse(set(rows) & set(UNSTEERED))
        self.assertTrue(all(UNSTEERED.values()))

    def test_a_pattern_does_not_reach_them_and_a_full_name_does(self):
        target = Target("mail.activity", "get_activity_data", EXECUTE, needs_name=True)
        methods = frozenset({"get_activity_data"})
        for pattern, expected in (("*", False), ("mail.*", False), ("mail.activity", True)):
            with self.subTest(pattern):
                self.assertEqual(covered(target, [ScopeLine(pattern, EXECUTE, methods)]), expected)
