"""What do the lines of a policy leave of fields and records?"""

from odoo.tests.common import BaseCase

from ...core.call import Operation
from ...core.data import domains_on, hides_by_name, is_given, masker_of, names_fully, restricting, shows
from ...core.mask import Masker
from ...core.policy import compile_policy, write_document

READ, WRITE = Operation.READ, Operation.WRITE


def a_policy(*lines, mode="enforce", **sections):
    content = {"version": 1, "name": "P", "mode": mode, "scopes": [list(line) for line in lines], **sections}
    return compile_policy(write_document(content))


class TestData(BaseCase):
    def test_only_policies_that_are_enforced_and_say_something_restrict(self):
        plain, hiding = (["m", ["read"], []], ["m", ["read"], [], {"reads": ["except", ["a"]]}])
        self.assertEqual(restricting([a_policy(plain)]), ())
        self.assertEqual(len(restricting([a_policy(hiding)])), 1)
        self.assertEqual(restricting([a_policy(hiding, mode="monitor")]), ())
        self.assertEqual(len(restricting([a_policy(plain, companies=[1])])), 1)

    def test_fields(self):
        for rule, shown in (
            (["all", []], {"a": True, "b": True}),
            (["only", ["a"]], {"a": True, "b": False, "id": True, "active": True}),
            (["except", ["a", "active"]], {"a": False, "b": True, "id": True, "active": False}),
            (["only", []], {"a": False, "id": True}),
        ):
            policy = a_policy(["m", ["read", "write"], [], {"reads": rule}])
            for name, expected in shown.items():
                with self.subTest(rule=rule, name=name):
                    self.assertEqual(shows(policy, "m", name, written=False), expected)
                    self.assertTrue(shows(policy, "m", name, written=True))
                    self.assertTrue(shows(policy, "another", name, written=False))

    def test_a_broad_line_lifts_nothing(self):
        policy = a_policy(["m", ["read"], [], {"reads": ["except", ["a"]]}], ["*", ["read"], []])
        self.assertFalse(shows(policy, "m", "a", written=False))

    def test_a_broad_line_that_grants_more_lifts_nothing(self):
        data = {"domain": "[1]", "writes": ["except", ["a"]]}
        for broad in (["*", ["write", "unlink"], []], ["m.*", ["create"], []]):
            policy = a_policy(["m.n", ["read"], [], data], broad)
            with self.subTest(broad=broad):
                self.assertFalse(shows(policy, "m.n", "a", written=True))
                for operation in (WRITE, Operation.CREATE, Operation.UNLINK):
                    self.assertEqual(domains_on(policy, "m.n", operation), ["[1]"])

    def test_a_line_for_creating_lifts_nothing_of_what_binds_writing(self):
        narrow = ["m", ["read"], [], {"writes": ["except", ["a"]]}]
        policy = a_policy(narrow, ["m", ["create"], []], ["*", ["write"], []])
        self.assertFalse(shows(policy, "m", "a", written=True))

    def test_restrictions_of_several_lines_add_up(self):
        policy = a_policy(
            ["m", ["read"], [], {"reads": ["except", ["a"]], "domain": "[1]"}],
            ["m", ["read"], [], {"reads": ["except", ["b"]], "domain": "[2]"}],
        )
        shown = [name for name in "abc" if shows(policy, "m", name, written=False)]
        self.assertEqual(shown, ["c"])
        self.assertEqual(domains_on(policy, "m", READ), ["[1]", "[2]"])

    def test_a_line_restricts_what_it_grants(self):
        policy = a_policy(["m", ["read"], []], ["m", ["write"], [], {"domain": "[1]", "writes": ["only", ["a"]]}])
        self.assertEqual(domains_on(policy, "m", READ), [])
        self.assertEqual(domains_on(policy, "m", WRITE), ["[1]"])
        self.assertFalse(shows(policy, "m", "b", written=True))

    def test_what_no_line_grants_is_restricted_by_all_that_name_the_model(self):
        policy = a_policy(["m", ["execute"], ["run"], {"domain": "[1]"}], ["*", ["read"], []])
        self.assertEqual(domains_on(policy, "m", WRITE), ["[1]"])

    def test_masks_and_what_is_given_by_hand(self):
        data = {"masks": [["a", "email"], ["b", "hash"]], "given": ["c"], "reads": ["except", ["b"]]}
        policy = a_policy(["m", ["read"], [], data])
        self.assertIs(masker_of(policy, "m", "a"), Masker.EMAIL)
        self.assertIsNone(masker_of(policy, "m", "b"), "what is hidden is not masked")
        self.assertIsNone(masker_of(policy, "m", "c"))
        self.assertFalse(shows(policy, "m", "a", written=False))
        self.assertTrue(is_given(policy, "m", "c"))
        self.assertFalse(is_given(policy, "m", "b"), "to be named among the hidden ones allows nothing")
        self.assertTrue(is_given(a_policy(["m", ["read"], [], {"reads": ["only", ["d"]]}]), "m", "d"))

    def test_a_field_is_hidden_by_its_name_or_by_the_names_of_others(self):
        for data, expected in (
            ({"reads": ["except", ["a"]]}, True),
            ({"masks": [["a", "hash"]]}, True),
            ({"reads": ["only", ["b"]]}, False),
            ({"reads": ["except", ["b"]]}, False),
        ):
            with self.subTest(data=data):
                self.assertIs(hides_by_name(a_policy(["m", ["read"], [], data]), "m", "a"), expected)

    def test_a_pattern_names_nothing_fully(self):
        policy = a_policy(["m", ["read"], []], ["*", ["read", "write"], []])
        named = [(model, operation) for model in "mn" for operation in (READ, WRITE)
                 if names_fully(policy, model, operation)]  # fmt: skip
        self.assertEqual(named, [("m", READ)])

    def test_what_makes_no_sense_is_not_read(self):
        for data in (
            {"reads": "all"}, {"reads": ["some", []]}, {"reads": ["only", "name"]}, {"domain": []},
            {"masks": [["a", "rot13"]]}, {"given": [1]}, {"unknown": 1},
        ):  # fmt: skip
            with self.subTest(data=data), self.assertRaises(ValueError):
                a_policy(["m", ["read"], [], data])
        for sections in ({"shape": {"body": 0}}, {"shape": {"x": 1}}, {"companies": ["1"]}, {"read_only": 1}):
            with self.subTest(sections=sections), self.assertRaises(ValueError):
                a_policy(**sections)
