"""What of a call's arguments may an entry keep? No secret, no binary, and not too much."""

import base64
import json
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from time import process_time
from xmlrpc.client import Binary

from odoo.tests.common import BaseCase

from ...core.hiding import Hiding
from ...core.policy import Detail
from ...core.redact import CUT, MAX_DEPTH, MAX_HASHED, MAX_ITEMS, MAX_TEXT, MAX_TOTAL, redact, redact_text
from ...core.secret import RANDOM_BYTES, write_secret
from ...core.sensitive import CARD, EMAIL, IBAN, PHONE, REDACTED, blank, is_secret_name

SECRET = "5f" * 20
PNG = f"[binary, 3 bytes, sha256 {sha256(b'PNG').hexdigest()}]"
ZEROS = f"[binary, 150 bytes, sha256 {sha256(bytes(150)).hexdigest()}]"

# fmt: off
SECRET_NAMES = [
    "password", "new_password", "confirm_passwd", "passwd", "PASSWORD", "passphrase", "pwd", "secret", "client_secret",
    "database.secret", "token", "access_token", "csrf_token", "api_key", "apikey", "API_KEY", "key",
    "private_key", "otp", "totp_secret", "authorization", "authorisation", "credential", "credentials", "cookie",
    "session_id", "sid_session", "pin", "cvc", "cvv2", "signature", "x" * 56 + "password", "user_id.pin",
    "partner_id/key",
    "employee_pin", "encryption_key", "access-key", "api-key", "exact_value", "totp",
]
OTHER_NAMES = [
    "name", "keyword", "keys", "key_id", "pinned", "spin", "pwd_age", "login", "email", "id", "", "x" * 57 + "password",
    None, 5, b"password", ("password",),
]
# (what is given, what is kept of its values)
VALUES = [
    (None, None), (True, True), (False, False), (0, 0), (-5, -5), (1.5, 1.5), ("", ""), ("Ada", "Ada"),
    ("é\n\"", "é\n\""),
    (2**64 - 1, 2**64 - 1), (2**64, "[number, 65 bits]"), (10**5000, "[number, 16610 bits]"),
    (-(2**64), "[number, 65 bits]"),
    (float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf"),
    (Decimal("1.10"), "1.10"), (date(2026, 3, 4), "2026-03-04"),
    (datetime(2026, 3, 4, 12), "2026-03-04 12:00:00"),  # noqa: DTZ001
    (b"PNG", PNG), (bytearray(b"PNG"), PNG), (memoryview(b"PNG"), PNG), (Binary(b"PNG"), PNG),
    (b"", f"[binary, 0 bytes, sha256 {sha256(b'').hexdigest()}]"),
    (object(), "[object]"), (ValueError("x"), "[ValueError]"),
    ((1, "a"), [1, "a"]), ({1}, [1]), (frozenset({1}), [1]), ([], []), ({}, {}), ([[]], [[]]),
    ({1: 2}, {"1": 2}), ({None: 2}, {"None": 2}), ({10**5000: 2}, {"[number, 16610 bits]": 2}),
    ("x-" * (MAX_TEXT // 2), "x-" * (MAX_TEXT // 2)), ("x" * MAX_TEXT + "-", "x" * MAX_TEXT + CUT),
    ({"y!" * MAX_TEXT: 1}, {"y!" * (MAX_TEXT // 2) + CUT: 1}),
    ("A" * 199, "A" * 199), ("A" * 200, ZEROS), ("A" * 200 + "=", ZEROS), ("A" * 200 + "==\n", ZEROS),
    ("A" * 201, "[binary, 201 characters]"), ("A" * 200 + "===", "A" * 200 + "==="),
    ("A" * 76 + "\n" + "A" * 124 + "\n", ZEROS), ("A" * 200 + "!", "A" * 200 + "!"),
    ("data:image/png;base64," + "A" * 200, ZEROS), ("é" + "A" * 200, "é" + "A" * 200),
    # a secret shows in the name that it goes by
    ({"password": "x"}, {"password": REDACTED}), ({"password": ["x", {"y": 1}]}, {"password": REDACTED}),
    ({"pin": 1234}, {"pin": REDACTED}), ({"password": b"x"}, {"password": REDACTED}),
    ({"password": ""}, {"password": ""}), ({"password": False}, {"password": False}),
    ({"password": None}, {"password": None}),
    ({"vals": [{"password": "x", "name": "Ada"}]}, {"vals": [{"password": REDACTED, "name": "Ada"}]}),
    # or in a text before it
    (["password", "=", "hunter22"], ["password", "=", REDACTED]),
    ([("password", "!=", "hunter22")], [["password", "!=", REDACTED]]),
    (["password", "in", ["hunter22", "x"]], ["password", "in", REDACTED]),
    (["password", "in", []], ["password", "in", []]),
    (["password", "=", b"hunter22"], ["password", "=", REDACTED]),
    (["password", "=", 5], ["password", "=", REDACTED]), (["password", "!=", False], ["password", "!=", False]),
    (["password", "=", "x23"], ["password", "=", REDACTED]),
    (["user_id.pin", "=", 1234], ["user_id.pin", "=", REDACTED]),
    (["password", "x23", "x234", 5], ["password", "x23", REDACTED, 5]),
    (("database.secret", "hunter22"), ["database.secret", REDACTED]),
    (["login", "=", "hunter22"], ["login", "=", "hunter22"]),
    ([["login", "=", "ada1"], ["password", "=", "hunter22"]], [["login", "=", "ada1"], ["password", "=", REDACTED]]),
    ([["password", "=", "hunter22"], ["login", "=", "ada1"]], [["password", "=", REDACTED], ["login", "=", "ada1"]]),
    # or in a value beside it
    ({"key": "database.secret", "value": "hunter22"}, {"key": REDACTED, "value": REDACTED}),
    ({"name": "database.secret", "value": "hunter22"}, {"name": "database.secret", "value": REDACTED}),
    ({"name": "my_token", "default_value": "hunter22"}, {"name": "my_token", "default_value": REDACTED}),
    ({"name": "limit", "value": "hunter22"}, {"name": "limit", "value": "hunter22"}),
    ({"x" * 300 + "_password": "hunter22"}, {"x" * MAX_TEXT + CUT: REDACTED}),
    ({"default_pin": "1234", "lang": "fr"}, {"default_pin": REDACTED, "lang": "fr"}),
    ({"line_ids": [(0, 0, {"token": "x"}), (1, 7, {"name": "y"})]},
     {"line_ids": [[0, 0, {"token": REDACTED}], [1, 7, {"name": "y"}]]}),
    # or in a text that is something else
    ('{"password": "hunter22", "a": 1}', f'{{"password": "{REDACTED}", "a": 1}}'),
    ('[["password", "=", "hunter22"]]', f'[["password", "=", "{REDACTED}"]]'),
    ("[('password', '=', 'hunter22')]", f"[('password',{REDACTED}"),
    ("{'password': 'hunter22'}", f"{{'password':{REDACTED}"),
    ("login,password\nada,hunter22", f"login,password\n{REDACTED}"),
    ("<password>hunter22</password>", f"<password>{REDACTED}"), ("a=1&api_key=hunter22", f"a=1&api_key={REDACTED}"),
    ("Authorization: Bearer abcdefgh", f"Authorization:{REDACTED}"), ("bearer abcdefgh", f"bearer {REDACTED}"),
    ("signature=hunter22", f"signature={REDACTED}"),
    ("my password is hunter22", f"my password is {REDACTED}"), ("reset my password today", "reset my password today"),
    ("https://ada:hunter22@example.com/x", f"https://{REDACTED}example.com/x"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", f"-----BEGIN RSA PRIVATE KEY{REDACTED}"),
    ("key " + "5f" * 20, f"key {REDACTED}"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", REDACTED),
    # the numbers of cards and accounts, wherever they stand
    (4111111111111111, CARD), ({"ref": "4111 1111 1111 1111"}, {"ref": CARD}),
    (["x", "=", "4111-1111-1111-1111"], ["x", "=", CARD]), ("4111111111111112", "4111111111111112"),
    ('{"a": ["4111111111111111"]}', f'{{"a": ["{CARD}"]}}'), ({"4111111111111111": 1}, {CARD: 1}),
    ("-" * 250 + " 4111111111111111", "-" * 250 + " [card" + CUT),
    ("-" * 3 + " 4111111111111111" * 200, "-" * 3 + f" {CARD}" * 18 + " " + CUT),
    ("to DE89 3704 0044 0532 0130 00, please", f"to {IBAN}, please"),
]
PEOPLE = {"email": ("char", ""), "name": ("char", ""), "parent_id": ("many2one", "res.partner"), "note": ("html", ""),
          "wage": ("monetary", ""), "user_ids": ("one2many", "res.users")}
FIELDS = {"res.partner": PEOPLE, "res.users": {"partner_id": ("many2one", "res.partner"), "wage": ("float", "")}}
HIDES = Hiding(frozenset({"x_*", "res.users.wage"}), frozenset({"html", "monetary"}), frozenset({"EMP-####"}), True,
True)
# (what is given to res.partner, what is kept of it where HIDES is hidden)
HIDDEN = [
    ({"vals": {"name": "Ada", "note": "y", "x_a": 1}}, {"vals": {"name": "Ada", "note": REDACTED, "x_a": REDACTED}}),
    ({"vals": {"wage": 5, "user_ids": [(0, 0, {"wage": 5})]}}, {"vals": {"wage": REDACTED, "user_ids": [[0, 0,
    {"wage": REDACTED}]]}}),
    ({"vals": {"user_ids": [(0, 0, {"partner_id": {"note": "y"}})]}}, {"vals": {"user_ids": [[0, 0,
    {"partner_id": {"note": REDACTED}}]]}}),
    ([["wage", ">", 5]], [["wage", ">", REDACTED]]), ([["parent_id.note", "like", "y"]], [["parent_id.note", "like",
    REDACTED]]),
    ([["user_ids.wage", "=", 5]], [["user_ids.wage", "=", REDACTED]]), ([["name", "=", "y"]], [["name", "=", "y"]]),
    ([["user_ids", "any", [["wage", "=", 5]]]], [["user_ids", "any", [["wage", "=", REDACTED]]]]),
    ({"context": {"default_note": "y", "search_default_x_a": 1}}, {"context": {"default_note": REDACTED,
    "search_default_x_a": REDACTED}}),
    ({"field_name": "wage", "value": 5}, {"field_name": "wage", "value": REDACTED}),
    ({"parent_id/note": "y", "wage:sum": 5}, {"parent_id/note": REDACTED, "wage:sum": REDACTED}),
    ("is emp-1234 here, emp-12345?", f"is {REDACTED} here, emp-12345?"),
    ("write to ada@example.com", f"write to {EMAIL}"),
    ({"email_from": "ada at home", "mobile": "x"}, {"email_from": REDACTED, "mobile": REDACTED}),
    ("+32 2 555 12 34", PHONE),
    ('{"wage": 5, "z": ["ada@example.com"]}', f'{{"wage": 5, "z": ["{EMAIL}"]}}'),
]
# (what is given, what is kept of its names)
NAMES = [
    (None, "nothing"), (True, "boolean"), (5, "number"), (1.5, "number"), (10**5000, "number"), ("Ada", "text"),
    (b"PNG", "binary"), (Binary(b"PNG"), "text"), ([], []), ([1, 2], "list of 2"), ((1,), "list of 1"),
    ({1, 2, 3}, "list of 3"),
    ({"name": "Ada", "age": 36}, {"name": "text", "age": "number"}), ({"password": "x"}, {"password": "text"}),
    ([{"name": "Ada"}, {"age": 36}], [{"name": "text"}, {"age": "number"}]), ([{"name": "Ada"}, 5], "list of 2"),
    ([{"a": n} for n in range(4)], [{"a": "number"}] * 3), ({10**5000: 1}, {"[number, 16610 bits]": "number"}),
    ({"ids": [1, 2], "vals": {"name": "Ada"}}, {"ids": "list of 2", "vals": {"name": "text"}}),
]
# fmt: on


class TestRedact(BaseCase):
    def test_names_that_secrets_go_by(self):
        for names, expected in ((SECRET_NAMES, True), (OTHER_NAMES, False)):
            for name in names:
                with self.subTest(name):
                    self.assertIs(is_secret_name(name), expected)

    def test_what_is_kept_of_values(self):
        for value, expected in VALUES:
            with self.subTest(str(expected)[:40]):
                self.assertEqual(json.loads(redact(value, Detail.VALUES)), expected)

    def test_what_is_kept_of_names(self):
        for value, expected in NAMES:
            with self.subTest(repr(expected)):
                self.assertEqual(json.loads(redact(value, Detail.NAMES)), expected)

    def test_what_is_hidden_by_name_type_and_look(self):
        def field_of(model, name):
            return FIELDS.get(model, {}).get(name)

        for value, expected in HIDDEN:
            with self.subTest(repr(expected)[:60]):
                kept = redact(value, Detail.VALUES, (), HIDES, "res.partner", field_of)
                self.assertEqual(json.loads(kept), expected)

    def test_results_are_kept_as_values_are(self):
        for value, expected in VALUES:
            with self.subTest(str(expected)[:40]):
                self.assertEqual(json.loads(redact(value, Detail.RESULTS)), expected)

    def test_an_errors_text_is_kept_without_what_is_hidden(self):
        text = f"({SECRET}) ada@example.com 4111111111111111 EMP-1234"
        self.assertEqual(redact_text(text, [SECRET], HIDES), f"({REDACTED}) {EMAIL} {CARD} {REDACTED}")
        self.assertEqual(redact_text("x!" * 300), "x!" * 250 + CUT)

    def test_of_much_binary_the_beginning_is_digested(self):
        content = bytes(MAX_HASHED + 3)
        digest = sha256(bytes(MAX_HASHED)).hexdigest()
        told = f"[binary, {len(content)} bytes, sha256 of the first {MAX_HASHED} {digest}]"
        kept = json.loads(redact([content, b"PNG", base64.b64encode(content).decode()], Detail.VALUES))
        self.assertEqual(kept, [told, "[binary, 3 bytes]", "[binary, 4194307 bytes]"])
        self.assertEqual(json.loads(redact(base64.b64encode(content).decode(), Detail.VALUES)), told)

    def test_nothing_is_kept_where_nothing_is_wanted(self):
        self.assertIsNone(redact({"name": "Ada"}, Detail.NONE))

    def test_long_containers_are_cut_and_say_so(self):
        full, more = list(range(MAX_ITEMS)), list(range(MAX_ITEMS + 2))
        self.assertEqual(json.loads(redact(full, Detail.VALUES)), full)
        self.assertEqual(json.loads(redact(more, Detail.VALUES)), [*full, f"{CUT} 2 more"])
        kept = json.loads(redact({str(n): n for n in more}, Detail.VALUES))
        self.assertEqual(kept, {**{str(n): n for n in full}, CUT: f"{CUT} 2 more"})
        kept = json.loads(redact({str(n): n for n in more}, Detail.NAMES))
        self.assertEqual(kept, {**{str(n): "number" for n in full}, CUT: f"{CUT} 2 more"})

    def test_deep_values_are_cut(self):
        shapes = [
            (Detail.VALUES, lambda inner: [inner], "[", "]", '"end"'),
            (Detail.VALUES, lambda inner: {"a": inner}, '{"a": ', "}", '"end"'),
            (Detail.NAMES, lambda inner: {"a": inner}, '{"a": ', "}", '"text"'),
        ]
        for detail, wrap, opening, closing, end in shapes:
            with self.subTest(opening, detail=detail):
                value = "end"
                for _level in range(MAX_DEPTH):
                    value = wrap(value)
                self.assertEqual(redact(value, detail), opening * MAX_DEPTH + end + closing * MAX_DEPTH)
                self.assertEqual(redact(wrap(value), detail), opening * MAX_DEPTH + f'"{CUT}"' + closing * MAX_DEPTH)

    def test_names_in_deep_lists_are_cut(self):
        value = 5
        for _level in range(3):
            value = [{"a": value}]
        self.assertEqual(redact(value, Detail.NAMES), '[{"a": [{"a": [{"a": "number"}]}]}]')
        self.assertEqual(redact([{"a": value}], Detail.NAMES), '[{"a": [{"a": [{"a": "…"}]}]}]')

    def test_the_bounds_are_these(self):
        # An administrator who sizes the log's disk counts on them.
        self.assertEqual((MAX_TEXT, MAX_ITEMS, MAX_DEPTH, MAX_TOTAL), (256, 40, 6, 4000))

    def test_a_value_that_holds_itself_comes_to_an_end(self):
        rows, mapping = [], {}
        rows.append(rows)
        mapping["self"] = mapping
        for value in (rows, mapping):
            for detail in (Detail.NAMES, Detail.VALUES):
                with self.subTest(type(value).__name__, detail=detail):
                    self.assertLess(len(redact(value, detail)), 100)

    def test_the_whole_stays_below_its_bound(self):
        # in JSON two characters for each of them
        for size in (0, 10, MAX_TOTAL):
            with self.subTest(size):
                text = redact([["\n" * 200] * MAX_ITEMS] * size, Detail.VALUES)
                self.assertLessEqual(len(text), MAX_TOTAL)
                self.assertEqual(text.endswith(CUT), size > 0)
        exact = ["a-" * 100] * 19 + ["x" * 115]
        self.assertEqual(len(redact(exact, Detail.VALUES)), MAX_TOTAL - 5)
        exact[-1] += "y" * 5
        self.assertEqual(json.loads(redact(exact, Detail.VALUES)), exact)
        exact[-1] += "y"
        self.assertEqual((len(redact(exact, Detail.VALUES)), redact(exact, Detail.VALUES)[-1]), (MAX_TOTAL, CUT))


class TestBlank(BaseCase):
    """The secret that came with the call does not come through, wherever the caller put it."""

    def test_the_presented_secret_is_blanked_wherever_it_stands(self):
        # fmt: off
        places = [
            SECRET, f"my key is {SECRET}!", [SECRET], {"name": SECRET}, {SECRET: 1}, {"a": [{"b": (SECRET,)}]},
            SECRET * 3, "x" * (MAX_TEXT - 5) + "!" + SECRET, {"x" * (MAX_TEXT - 5) + "!" + SECRET: 1}, (SECRET,
            {SECRET: {SECRET}}),
        ]
        # fmt: on
        for place in places:
            for detail in (Detail.NAMES, Detail.VALUES):
                with self.subTest(repr(place)[:60], detail=detail):
                    kept = redact(place, detail, [SECRET])
                    self.assertNotIn(SECRET[:5], kept)

    def test_secrets_that_json_spells_in_another_way_are_blanked_too(self):
        quoted = ('pa"ss', "pa\\ss", "pa\nss", "pa\x00ss", "päss", "\ud800pass", "p]}ss")
        for secret in (*quoted, "123456", "true", "null"):
            with self.subTest(repr(secret)):
                kept = redact({"note": f"-{secret}-", "list": [secret]}, Detail.VALUES, [secret])
                self.assertEqual(json.loads(kept), {"note": f"-{REDACTED}-", "list": [REDACTED]})

    def test_a_secret_sent_as_a_number_is_blanked(self):
        self.assertEqual(redact({"code": 123456}, Detail.VALUES, ["123456"]), f'{{"code": {REDACTED}}}')

    def test_of_two_secrets_the_longer_goes_first(self):
        for secrets in (["abcd", "abcdefgh"], ["abcdefgh", "abcd"]):
            with self.subTest(secrets):
                self.assertEqual(blank("abcdefgh abcd", secrets), f"{REDACTED} {REDACTED}")

    def test_texts_too_short_to_be_secrets_stay(self):
        self.assertEqual(blank("abc", ["abc", "a", ""]), "abc")
        self.assertEqual(blank("abcd", ["abcd"]), REDACTED)
        self.assertEqual(blank("abcd", []), "abcd")

    def test_what_looks_like_a_key_is_blanked_whosever_it_is(self):
        key = write_secret(bytes(range(RANDOM_BYTES)))
        for text in (key, key[:-1], key[:30], f"x{key}x", f"key={key}&", key + key, key * 9):
            with self.subTest(text):
                self.assertNotIn(key[3:27], blank(text, []))
        for text in ("ag_", "tag_ids", "flag_of_convenience", "ag_" + "0" * 23):
            with self.subTest(text):
                self.assertEqual(blank(text, []), text)

    def test_a_key_is_kept_neither_as_a_value_nor_as_a_name(self):
        key = write_secret(bytes(range(RANDOM_BYTES)))
        for detail in (Detail.NAMES, Detail.VALUES):
            for value in ({"note": f"use {key}"}, {key: 1}, ["=", key], {"x": {"y": [{"z": "_" * 240 + key}]}}):
                with self.subTest(detail, value=value):
                    self.assertNotIn(key[3:12], redact(value, detail))

    def test_a_caller_cannot_keep_a_worker_busy(self):
        # Milliseconds; it was a minute when the pattern could match blanks in two ways.
        texts = (" " * 200_000 + "!", "A" * 200_000 + "= !", "=" * 200_000, "1 " * 200_000, "11 " * 200_000)
        texts += ("a@" * 200_000, "DE89 " * 200_000, "key:" * 50_000, "[" * 200_000, "0 " * 200_000, "eyJ" * 70_000)
        nested = "end"
        for _level in range(MAX_DEPTH):
            nested = [nested] * MAX_ITEMS
        for value in (*texts, {"x" * 200_000: 1}, ["pass" * 16] * 50_000, nested, [text[:1500] for text in texts] * 9):
            began = process_time()
            redact(value, Detail.VALUES, [SECRET], HIDES)
            self.assertLess(process_time() - began, 0.5)

    def test_fifty_megabytes_take_no_longer_than_five(self):
        size = 50 * 10**6
        for value in (bytes(size), "A" * size, "A " * (size // 2) + "!", "-" * size, [0] * (size // 8)):
            began = process_time()
            redact({"vals_list": [{"datas": value}]}, Detail.VALUES, [SECRET])
            self.assertLess(process_time() - began, 0.2)
