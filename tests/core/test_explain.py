"""Does the merged rule show every restriction, and where it comes from?"""

import dataclasses

from odoo.tests.common import BaseCase

from ...core.explain import SECTIONS, Restriction, restrictions
from ...core.policy import Policy
from .common import a_policy, scopes

FULL = a_policy(
    "Full",
    networks=[["deny", "10.0.0.5"], ["allow", "10.0.0.0/8"], ["allow", "2001:db8::/32"]],
    doors=["xmlrpc", "json2"],
    scopes=scopes(("sale.*", "write read"), ("sale.order", "execute", "b a")),
    max_age_days=90,
    max_idle_days=30,
    rotation={"days": 60, "refuses": False},
    window={"days": [4, 0], "start": 9 * 60 + 5, "end": 17 * 60, "zone": "Europe/Paris"},
    refuse_passwords=True,
    detail="names",
    read_only=True,
    companies=[3, 1],
    shape={"limit": 100, "body": 1024},
    on_active="refuse",
    limits=[[4, 600, "calls", "minute", "key", True], [5, 10**9, "bytes", "month", "policy", False]],
    concurrency=[9, 4],
    second_factor=scopes(("*", "unlink"), ("account.*", "execute", "action_post")),
    hiding={"names": ["wage", "hr.*"], "types": ["html"], "masks": ["###-##"], "email": True, "phone": True},
    searchable=True,
)
TOLD = [
    ("password", ()),
    ("allow", ("10.0.0.0/8", "2001:db8::/32")),
    ("deny", ("10.0.0.5/32",)),
    ("doors", ("json2", "xmlrpc")),
    ("age", ("90",)),
    ("idle", ("30",)),
    ("rotation", ("60", "flag")),
    ("window", ("0,4", "09:05 - 17:00", "Europe/Paris")),
    ("read_only", ()),
    ("scope", ("sale.*: read, write", "sale.order: executes a, b")),
    ("second_factor", ("*: unlink", "account.*: executes action_post")),
    ("companies", ("1", "3")),
    ("shape", ("body 1024", "limit 100")),
    ("on_active", ("refuse",)),
    ("limits", ("600 calls-minute-key", "1000000000 bytes-month-policy")),
    ("concurrency", ("4",)),
    ("detail", ("names",)),
    ("hiding", ("e-mail", "phone", "hr.*", "wage", "type html", "value ###-##")),
    ("searchable", ()),
]


class TestExplain(BaseCase):
    def test_nothing_is_told_where_nothing_is_restricted(self):
        self.assertEqual(restrictions([]), [])
        self.assertEqual(restrictions([a_policy(), a_policy(mode="monitor")]), [])

    def test_every_section_is_told_in_its_own_notation(self):
        expected = [Restriction(section, values, "Full", True) for section, values in TOLD]
        self.assertEqual(restrictions([FULL]), expected)

    def test_sections_that_allow_nothing_are_told(self):
        told = restrictions([a_policy(doors=[], scopes=[])])
        self.assertEqual([(line.section, line.values) for line in told], [("doors", ()), ("scope", ())])

    def test_what_a_line_restricts_is_told(self):
        data = {
            "reads": ["except", ["wage", "ssn"]], "writes": ["only", []], "domain": "[('a', '=', 1)]",
            "masks": [["email", "email"]], "given": ["display_name"],
        }  # fmt: skip
        told = restrictions([a_policy(scopes=[["hr.employee", ["read"], [], data]])])
        line = (
            "hr.employee: read; reads all but ssn, wage; writes only id; masks email (email); [('a', '=', 1)]; "
            "hides what gives the rest away, but for display_name"
        )
        self.assertEqual(told[0].values, (line,))

    def test_an_unreadable_policy_is_told_first(self):
        told = restrictions([FULL, Policy.unreadable("Broken")])
        self.assertEqual(told[0], Restriction("unreadable", (), "Broken", True))

    def test_restrictions_of_several_policies_stand_section_by_section(self):
        first, second = a_policy("A", doors=["json2"], max_age_days=1), a_policy("B", "monitor", doors=["xmlrpc"])
        told = [(line.section, line.policy, line.enforced) for line in restrictions([first, second])]
        self.assertEqual(told, [("doors", "A", True), ("doors", "B", False), ("age", "A", True)])

    def test_every_field_of_a_policy_is_told(self):
        # A restriction that the screens do not show would be a riddle.
        silent = {"name", "enforced", "mark"}
        for field in dataclasses.fields(Policy):
            if field.name in silent:
                continue
            with self.subTest(field.name):
                value = False if field.name == "readable" else getattr(FULL, field.name)
                self.assertTrue(restrictions([dataclasses.replace(Policy("P"), **{field.name: value})]))

    def test_the_full_policy_names_every_section(self):
        self.assertEqual({section for section, _values in TOLD} | {"unreadable"}, set(SECTIONS))
