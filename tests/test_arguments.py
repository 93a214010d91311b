"""What do the arguments of a call hold, by whatever names and in whatever notation they come?"""

from odoo.tests.common import TransactionCase

from ..core.call import Operation
from ..models.api_recorder import rows_of
from ..models.commands import contents_of
from ..models.target import named_arguments

CREATE, READ, UNLINK, WRITE = Operation.CREATE, Operation.READ, Operation.UNLINK, Operation.WRITE


class Told:
    def web_save(self, vals, specification, next_id=None):
        """What an override may hide."""


class Hiding(Told):
    def web_save(self, *args, **kwargs):
        """An override that passes on whatever it is given."""


class TestArguments(TransactionCase):
    def _operations(self, method, model="res.partner", **arguments):
        return contents_of(self.registry, model, method, arguments).operations

    def test_an_override_hides_no_arguments(self):
        values = {"name": "x"}
        for model in (Told, Hiding):
            with self.subTest(model=model):
                named = named_arguments({"m": model}, "m", "web_save", [[7], values, {}], [7])
                self.assertEqual(named, {"ids": [7], "vals": values, "specification": {}})

    def test_commands_ask_for_operations(self):
        banks, lines = "res.partner.bank", "res.partner"
        for name, value, writing, creating in (
            ("bank_ids", [[0, 0, {}]], {(banks, CREATE)}, {(banks, CREATE)}),
            ("bank_ids", [[2, 7, 0]], {(banks, UNLINK)}, {(banks, UNLINK)}),
            ("bank_ids", [7], {(banks, WRITE), (banks, UNLINK)}, {(banks, WRITE)}),
            ("bank_ids", False, {(banks, WRITE), (banks, UNLINK)}, set()),
            ("bank_ids", [], set(), set()),
            ("bank_ids", [[4, 7, 0]], {(banks, WRITE)}, {(banks, WRITE)}),
            ("bank_ids", [[3, 7, 0]], {(banks, WRITE), (banks, UNLINK)}, {(banks, WRITE), (banks, UNLINK)}),
            ("child_ids", [[5, 0, 0]], {(lines, WRITE)}, set()),  # a contact without a parent stays
            ("category_id", [[6, 0, [7]]], set(), set()),
        ):
            with self.subTest(name=name, value=value):
                self.assertEqual(self._operations("write", vals={name: value}), writing)
                self.assertEqual(self._operations("create", vals_list=[{name: value}]), creating)
                context = {f"default_{name}": value}
                self.assertEqual(self._operations("create", vals_list=[{}], context=context), creating)

    def test_values_name_records(self):
        for values, expected in (
            ({"parent_id": 7}, {("res.partner", 7)}),
            ({"parent_id": {"id": 7, "country_id": 8}}, {("res.partner", 7), ("res.country", 8)}),
            ({"category_id": [[6, 0, [7, 8]]]}, {("res.partner.category", 7), ("res.partner.category", 8)}),
            ({"category_id": [7]}, {("res.partner.category", 7)}),
            ({"child_ids": [[1, 7, {"parent_id": 8}]]}, {("res.partner", 7), ("res.partner", 8)}),
            ({"parent_id": False, "name": "7"}, set()),
        ):
            for method, arguments in (("write", {"vals": values}), ("onchange", {"values": values})):
                with self.subTest(method=method, values=values):
                    self.assertEqual(contents_of(self.registry, "res.partner", method, arguments).references, expected)

    def test_an_onchange_reads_the_documents_that_it_names(self):
        values = {"model": "res.country", "res_id": 7}
        self.assertEqual(self._operations("onchange", "mail.message", values=values), {("res.country", READ)})
        self.assertEqual(self._operations("write", "mail.message", vals=values), set())


class TestRows(TransactionCase):
    def test_an_answer_holds_so_many_records(self):
        for answer, rows in (
            (None, 0), (7, 1), ([], 0), ([1, 2], 2), ({"id": 1}, 1),
            ([{"id": 1}, {"id": 2}], 2), ([{"id": 1}, False], 2), ([False, {"id": 1}], 2),
            ({"length": 9, "records": [{}, {}]}, 2),
            ({"groups": [{"x": 1}, {"x": 2, "__records": [{}, {}]}], "length": 2}, 4),
            ([{"x": 1, "__groups": {"groups": [{"y": 1}], "length": 1}}], 2),
            ([[{"x": 1}, {"x": 2}], [], [{}]], 3),
            ([{"name:array_agg": ["a", "b", "c"]}, {"name:array_agg": []}], 4),
            (self.env["res.partner"].browse([1, 2]), 2),
        ):  # fmt: skip
            with self.subTest(answer):
                self.assertEqual(rows_of(answer), rows)
