"""Is a policy's document read exactly, or not at all?"""

import json
from ipaddress import ip_network

import pytz
from odoo.tests.common import BaseCase

from ...core.call import Door, Operation
from ...core.hiding import Hiding
from ...core.lifetime import Rotation, Window
from ...core.limit import Budget, Limit, Per, Period, StoreDown, Unit
from ...core.markup import OnActive
from ...core.mask import Masker
from ...core.network import NetworkRules
from ...core.policy import (
    Detail,
    Keeping,
    Policy,
    compile_policy,
    fingerprint,
    keeping,
    least_detail,
    write_document,
)
from ...core.scope import FieldMode, FieldRule, ScopeLine
from ...core.shape import Shape
from .common import a_policy

WINDOW = {"days": [0, 6], "start": 540, "end": 1020, "zone": "Europe/Paris"}
# fmt: off
SECTIONS = [
    ("mode", "monitor", {"enforced": False}),
    ("mode", "enforce", {"enforced": True}),
    ("networks", [], {"networks": NetworkRules()}),
    ("networks", [["allow", "10.1.2.3/8"]], {"networks": NetworkRules((ip_network("10.0.0.0/8"),))}),
    ("networks", [["deny", "::1"]], {"networks": NetworkRules((), (ip_network("::1/128"),))}),
    ("doors", None, {"doors": None}),
    ("doors", [], {"doors": frozenset()}),
    ("doors", ["json2", "json2"], {"doors": frozenset({Door.JSON2})}),
    ("scopes", None, {"scopes": None}),
    ("scopes", [], {"scopes": ()}),
    ("scopes", [["x", [], []]], {"scopes": (ScopeLine("x", frozenset()),)}),
    (
        "scopes", [["x.*", ["read", "execute"], ["run"]]],
        {"scopes": (ScopeLine("x.*", frozenset({Operation.READ, Operation.EXECUTE}), frozenset({"run"})),)},
    ),
    ("max_age_days", 1, {"max_age_days": 1}),
    ("max_idle_days", 999_999_999, {"max_idle_days": 999_999_999}),
    ("rotation", None, {"rotation": None}),
    ("rotation", {"days": 30}, {"rotation": Rotation(30)}),
    ("rotation", {"days": 36_500, "refuses": False}, {"rotation": Rotation(36_500, refuses=False)}),
    ("window", None, {"window": None}),
    ("window", WINDOW, {"window": Window(frozenset({0, 6}), 540, 1020, pytz.timezone("Europe/Paris"))}),
    (
        "window", {"days": [], "start": 1439, "end": 0, "zone": "UTC"},
        {"window": Window(frozenset(), 1439, 0, pytz.utc)},
    ),
    (
        "window", {"days": [], "start": 0, "end": 1439, "zone": "UTC"},
        {"window": Window(frozenset(), 0, 1439, pytz.utc)},
    ),
    ("refuse_passwords", False, {"refuses_passwords": False}),
    ("refuse_passwords", True, {"refuses_passwords": True}),
    ("read_only", True, {"read_only": True}),
    ("on_active", "flag", {"on_active": OnActive.FLAG}),
    ("limits", [], {"budget": Budget()}),
    (
        "limits", [[4, 600, "calls", "minute", "key", True]],
        {"budget": Budget((Limit(4, 600, Unit.CALLS, Period.MINUTE, Per.KEY, moving=True),))},
    ),
    (
        "limits", [[0, 10**15, "bytes", "month", "network", False]],
        {"budget": Budget((Limit(0, 10**15, Unit.BYTES, Period.MONTH, Per.NETWORK),))},
    ),
    ("concurrency", [9, 4], {"budget": Budget(concurrency=(9, 4))}),
    ("counts_refused", True, {"budget": Budget(counts_refused=True)}),
    ("on_store_down", "local", {"budget": Budget(on_store_down=StoreDown.LOCAL)}),
    ("companies", None, {"companies": None}),
    ("companies", [2, 1, 2], {"companies": frozenset({1, 2})}),
    ("companies", [], {"companies": frozenset()}),
    ("shape", {}, {"shape": Shape()}),
    ("shape", {"ids": 5, "body": 1024}, {"shape": Shape(ids=5, body=1024)}),
    (
        "scopes", [["m", ["read"], [], {"reads": ["only", ["a"]], "domain": "[]", "masks": [["b", "hash"]]}]],
        {"scopes": (ScopeLine(
            "m", frozenset({Operation.READ}), reads=FieldRule(FieldMode.ONLY, frozenset({"a"})), domain="[]",
            masks=(("b", Masker.HASH),),
        ),)},
    ),
    ("detail", None, {"detail": None}),
    ("detail", "values", {"detail": Detail.VALUES}),
    ("detail", "results", {"detail": Detail.RESULTS}),
    ("hiding", {}, {"hiding": Hiding()}),
    ("hiding", {"names": ["wage", "x_*"], "email": True}, {"hiding": Hiding(frozenset({"wage", "x_*"}), email=True)}),
    (
        "hiding", {"types": ["html"], "masks": ["####"], "phone": True},
        {"hiding": Hiding(types=frozenset({"html"}), masks=frozenset({"####"}), phone=True)},
    ),
    ("searchable", True, {"searchable": True}),
]
#: What must not be taken for a policy: an error that is met here is not met in a call, and nothing
#: that restricts is dropped because it is misspelt.
UNREADABLE = [
    ("version", None), ("version", 0), ("version", 2), ("version", "1"),
    ("name", None), ("name", 5), ("name", ["P"]),
    ("mode", None), ("mode", "Enforce"), ("mode", ""), ("mode", True), ("mode", []),
    ("networks", None), ("networks", ""), ("networks", {}), ("networks", ["10.0.0.0/8"]), ("networks", [["allow"]]),
    ("networks", [["permit", "10.0.0.0/8"]]), ("networks", [["allow", "10.0.0.0/33"]]), ("networks", [["allow", 5]]),
    ("networks", [["allow", "10.0.0.0/8", "x"]]),
    ("doors", "json2"), ("doors", ""), ("doors", {}), ("doors", ["json3"]), ("doors", [None]), ("doors", [[]]),
    ("scopes", ""), ("scopes", {}), ("scopes", ["x"]), ("scopes", [["x", ["read"]]]),
    ("scopes", [[None, ["read"], []]]),
    ("scopes", [["x", "read", []]]), ("scopes", [["x", ["READ"], []]]), ("scopes", [["x", ["execute"], "run"]]),
    ("scopes", [["x", ["execute"], [5]]]), ("scopes", [["x", ["read"], [], []]]),
    ("max_age_days", 0), ("max_age_days", -1), ("max_age_days", "30"), ("max_age_days", 1.5), ("max_age_days", True),
    ("max_age_days", 1_000_000_000), ("max_idle_days", 0), ("max_idle_days", "30"), ("max_idle_days", 1_000_000_000),
    ("rotation", []), ("rotation", {}), ("rotation", {"days": 0}), ("rotation", {"days": 36_501}),
    ("rotation", {"days": 30, "refuses": 0}), ("rotation", {"days": True}), ("rotation", {"days": 30, "grace": 1}),
    ("window", []), ("window", "always"), ("window", {}), ("window", {**WINDOW, "holidays": True}),
    ("window", {**WINDOW, "days": [7]}), ("window", {**WINDOW, "days": [-1]}), ("window", {**WINDOW, "days": ["0"]}),
    ("window", {**WINDOW, "days": "01"}), ("window", {**WINDOW, "start": 1440}), ("window", {**WINDOW, "start": -1}),
    ("window", {**WINDOW, "end": 1440}), ("window", {**WINDOW, "end": None}), ("window", {**WINDOW, "start": 9.5}),
    ("window", {**WINDOW, "zone": "Europe/Atlantis"}), ("window", {**WINDOW, "zone": None}),
    ("window", {**WINDOW, "zone": 1}),
    ("refuse_passwords", None), ("refuse_passwords", 1), ("refuse_passwords", "no"),
    ("read_only", None), ("read_only", 1),
    ("on_active", "x"), ("on_active", True), ("companies", [0]), ("companies", "1"), ("companies", [True]),
    ("shape", []), ("shape", {"ids": 0}), ("shape", {"ids": "5"}), ("shape", {"size": 5}), ("shape", {"ids": None}),
    ("detail", ""), ("detail", "all"), ("detail", []),
    ("hiding", None), ("hiding", []), ("hiding", {"fields": ["x"]}), ("hiding", {"names": "wage"}),
    ("hiding", {"names": ["*"]}), ("hiding", {"names": ["(a+)+"]}), ("hiding", {"types": ["many2one"]}),
    ("hiding", {"masks": ["##"]}), ("hiding", {"masks": [5]}), ("hiding", {"email": 1}), ("hiding", {"phone": None}),
    ("hiding", {"names": [f"x{number}" for number in range(51)]}), ("searchable", 1), ("searchable", None),
    ("limits", {}), ("limits", [[1, 5, "calls", "minute", "key"]]),
    ("limits", [[1, 0, "calls", "minute", "key", False]]),
    ("limits", [[1, 5, "call", "minute", "key", False]]), ("limits", [[1, 5, "calls", "week", "key", False]]),
    ("limits", [[1, 5, "calls", "minute", "me", False]]), ("limits", [[1, 5, "rows", "minute", "key", True]]),
    ("limits", [[1, 10_001, "calls", "minute", "key", True]]), ("limits", [[1, 5.0, "calls", "minute", "key", False]]),
    ("limits", [[True, 5, "calls", "minute", "key", False]]),
    ("limits", [[1, 10**15 + 1, "bytes", "day", "key", False]]),
    ("concurrency", 5), ("concurrency", [1, 0]), ("concurrency", [1]), ("counts_refused", 1),
    ("on_store_down", "never"), ("budget", []), ("Doors", ["json2"]), ("", None),
]
NO_DOCUMENTS = ["", " ", "{", "null", "[]", "5", '"P"', "{}", "\x00", '{"version":1}', '{"version":1,"name":"P"}']
# fmt: on


class TestPolicy(BaseCase):
    def test_a_document_without_sections_restricts_nothing(self):
        self.assertEqual(a_policy("P"), Policy("P"))
        self.assertTrue(a_policy("P").readable)

    def test_each_section_is_compiled(self):
        for section, value, expected in SECTIONS:
            with self.subTest(section, value=value):
                self.assertEqual(a_policy(**{section: value}), Policy("P", **expected))

    def test_what_is_not_understood_is_an_error(self):
        good = {"version": 1, "name": "P", "mode": "enforce"}
        compile_policy(json.dumps(good))
        for section, value in UNREADABLE:
            with self.subTest(section, value=value), self.assertRaises(ValueError):
                compile_policy(json.dumps({**good, section: value}))

    def test_what_is_no_document_is_an_error(self):
        for text in NO_DOCUMENTS:
            with self.subTest(text), self.assertRaises(ValueError):
                compile_policy(text)

    def test_an_unreadable_policy_says_so_and_is_enforced(self):
        policy = Policy.unreadable("Broken")
        self.assertEqual((policy.name, policy.readable, policy.enforced), ("Broken", False, True))

    def test_a_compiled_policy_can_be_kept_in_a_set(self):
        self.assertEqual(len({a_policy(window=WINDOW, doors=["json2"]), a_policy(doors=["json2"], window=WINDOW)}), 1)

    def test_a_document_is_written_byte_by_byte_alike(self):
        self.assertEqual(write_document({"b": [1, 2], "a": "é"}), '{"a":"é","b":[1,2]}')
        self.assertEqual(write_document({"a": "é", "b": [1, 2]}), '{"a":"é","b":[1,2]}')

    def test_a_fingerprint_stays_what_it_was(self):
        # Rows of a database in use hold it: another one would read every policy as changed.
        document = write_document({"version": 1, "name": "é", "mode": "enforce"})
        self.assertEqual(fingerprint(document), "67913ca7d94485eb061d88bbba27dcb6")

    def test_the_least_detail_is_kept(self):
        # fmt: off
        cases = [
            ([], Detail.NAMES), ([None], Detail.NAMES), (["values"], Detail.VALUES), (["values", None], Detail.VALUES),
            (["values", "names"], Detail.NAMES), (["names", "none"], Detail.NONE), (["none", "values"], Detail.NONE),
        ]
        # fmt: on
        for details, expected in cases:
            with self.subTest(details):
                policies = tuple(a_policy(detail=detail) for detail in details)
                self.assertIs(least_detail(policies), expected)
        self.assertIs(least_detail((), Detail.NONE), Detail.NONE)

    def test_of_several_policies_each_only_hides_more(self):
        hides_mail, hides_wage = {"hiding": {"email": True}}, {"hiding": {"names": ["wage"]}}
        both = Hiding(frozenset({"wage"}), email=True)
        # fmt: off
        cases = [
            ([], Keeping()), ([a_policy()], Keeping()), ([a_policy(detail="results")], Keeping(Detail.RESULTS)),
            ([a_policy(detail="results"), a_policy(detail="values")], Keeping(Detail.VALUES)),
            ([a_policy(**hides_mail), a_policy(**hides_wage)], Keeping(hiding=both)),
            ([a_policy("P", "monitor", **hides_mail), a_policy(**hides_wage)], Keeping(hiding=both)),
            ([a_policy(searchable=True), a_policy()], Keeping(searchable=True)),
            ([a_policy(searchable=True), a_policy(detail="none")], Keeping(Detail.NONE)),
            ([a_policy(detail="values"), Policy.unreadable("Broken")], Keeping(Detail.NONE)),
        ]
        # fmt: on
        for policies, expected in cases:
            with self.subTest(expected):
                self.assertEqual(keeping(tuple(policies)), expected)
