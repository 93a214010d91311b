"""Who sees what the log holds of a model, and finds what it does not hold?"""

from odoo.exceptions import UserError, ValidationError
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import SQL

HIDDEN = ("arguments", "results", "read_ids")


@tagged("post_install", "-at_install")
class TestRedaction(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor,base.group_allow_export")
        cls.admin = new_test_user(cls.env, "adm", groups="api_guard.group_auditor,base.group_system")
        cls.plain = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.entries = cls.env["api.audit.entry"]
        # nobody may read mail servers but administrators; contacts are read by every employee
        cls.secret = cls._enter(
            "ir.mail_server",
            "r-secret",
            arguments='{"smtp_host": "hidden"}',
            results="hidden",
            read_ids="7",
            read_fields="smtp_host",
            outcome="failed",
            error_message="hidden",
        )
        cls.shown = cls._enter(
            "res.partner", "r-shown", arguments='{"name": "seen"}', read_ids="3-4", error_message="x.y: read"
        )
        cls.route = cls._enter("/mail_plugin/x", "r-route", arguments='{"email": "hidden"}')
        cls.own = cls._enter("ir.mail_server", "r-own", arguments='{"smtp_host": "hidden"}', user_id=cls.plain.id)

    @classmethod
    def _enter(cls, model, request_id, **values):
        row = {
            "occurred_at": "2026-01-01",
            "kind": "read",
            "door": "json2",
            "verdict": "allow",
            "outcome": "allowed",
            "model": model,
            "request_id": request_id,
            **values,
        }
        cls.env.cr.execute(
            SQL(
                "INSERT INTO api_audit_entry (%s) VALUES (%s) RETURNING id",
                SQL(", ").join(map(SQL.identifier, row)),
                SQL(", ").join(SQL("%s", value) for value in row.values()),
            )
        )
        return cls.entries.browse(cls.env.cr.fetchone()[0])

    def setUp(self):
        super().setUp()
        self.registry_enter_test_mode()  # what is written beside is part of the test
        self.env["api.digest"]._forget()

    def test_values_of_a_model_are_for_those_who_may_read_it(self):
        for user, seen in ((self.auditor, False), (self.admin, True)):
            entry = self.secret.with_user(user)
            with self.subTest(user.login):
                self.assertEqual([bool(entry[name]) for name in HIDDEN], [seen] * 3)
                self.assertEqual(bool(entry.error_message), seen)
                self.assertEqual(entry.is_hidden, not seen)
                self.assertEqual((entry.model, entry.read_fields), ("ir.mail_server", "smtp_host"))
        shown = self.shown.with_user(self.auditor)
        self.assertEqual((shown.arguments, shown.read_ids), ('{"name": "seen"}', "3-4"))
        self.assertFalse(shown.is_hidden)
        self.assertFalse(self.own.with_user(self.plain).arguments)

    def test_what_names_no_model_is_for_administrators(self):
        self.assertFalse(self.route.with_user(self.auditor).arguments)
        self.assertTrue(self.route.with_user(self.auditor).is_hidden)
        self.assertTrue(self.route.with_user(self.admin).arguments)

    def test_what_the_guard_itself_entered_is_for_auditors(self):
        event = self._enter("api.guard", "r-event", arguments="told")
        self.assertEqual(event.with_user(self.auditor).arguments, "told")

    def test_one_users_view_is_not_anothers(self):
        # what a transaction has read once is kept for all its users
        self.assertTrue(self.secret.with_user(self.admin).arguments)
        self.assertFalse(self.secret.with_user(self.auditor).arguments)
        self.assertTrue(self.secret.sudo().arguments)
        self.assertFalse(self.secret.with_user(self.auditor).arguments)

    def test_no_way_of_asking_gives_hidden_values_away(self):
        entries, ids = self.entries.with_user(self.auditor), (self.secret + self.own).ids
        within = ("id", "in", ids)
        for name in (*HIDDEN, "error_message"):
            with self.subTest(name):
                self.assertFalse(entries.search([within, (name, "like", "hid")]))
                self.assertFalse(entries.search([within, (name, "=", "7")]))
                self.assertFalse(entries.search([within, (name, "!=", False)]))
                self.assertEqual(len(entries.search([within, (name, "not like", "hid")])), 2)
                self.assertFalse(entries.search([within]).filtered_domain([(name, "like", "hid")]))
                self.assertEqual([row[name] for row in entries.search_read([within], [name])], [False, False])
                self.assertEqual(entries.search([within]).export_data([name])["datas"], [[""], [""]])
                groups = entries.formatted_read_group([within], [name], ["__count", f"{name}:max", f"{name}:array_agg"])
                self.assertEqual([group[name] for group in groups], [False])
                self.assertNotIn("hidden", str(groups))
                self.assertEqual(entries.search([within], order=f"{name}, id").ids, sorted(ids))
                self.assertEqual(entries.search([within], order=f"{name} desc, id").ids, sorted(ids))

    def test_digests_are_no_field(self):
        self.assertNotIn("digests", self.entries._fields)
        self.assertNotIn("digests", self.entries._table_query.code)

    # ---------------------------------------------------------------- exact value

    def _searchable(self):
        self.env["api.policy"].create({"name": "Searchable", "is_searchable": True})
        self.env["api.digest"]._forget()
        return self.env["api.digest"]._require_key()

    def _digests(self, *values):
        return self.env["api.digest"]._of({"name": values}, ())

    def test_a_value_is_found_by_those_who_may_read_its_model(self):
        self._searchable()
        found = self._enter(
            "res.partner", "r-found", digests=self._digests("Ada Lovelace", 12.5), read_fields="name,credit"
        )
        hidden = self._enter("ir.mail_server", "r-hidden", digests=self._digests("Ada Lovelace"))

        def asked(user, text):
            return self.entries.with_user(user).search([("exact_value", "=", text)])

        self.assertEqual(asked(self.auditor, " Ada Lovelace "), found)
        self.assertEqual(asked(self.auditor, "12.50"), found)
        self.assertEqual(asked(self.auditor, "name=Ada Lovelace"), found)
        self.assertFalse(asked(self.auditor, "email=Ada Lovelace"))
        self.assertFalse(asked(self.auditor, "ada lovelace"))
        self.assertEqual(asked(self.admin, "Ada Lovelace"), found + hidden)
        self.assertFalse(asked(self.plain, "Ada Lovelace"))  # nothing of others
        with self.assertRaises(UserError):
            self.entries.search([("exact_value", "!=", "Ada Lovelace")])
        with self.assertRaises(UserError):
            self.entries.search([("exact_value", "like", "Ada")])

    def test_each_question_is_an_entry_that_does_not_hold_it(self):
        self._searchable()
        for _time in range(2):  # the list and its count ask the same
            self.entries.with_user(self.auditor).search([("exact_value", "=", "Ada Lovelace")])
        found = self.entries.search([("method", "=", "search_exact_value"), ("user_id", "=", self.auditor.id)])
        self.assertEqual(len(found), 1)
        self.assertNotIn("Ada", found.arguments)
        self.assertEqual(found.login, "ann")

    def test_where_no_policy_wants_digests_the_question_is_refused(self):
        self.env.cr.execute("DELETE FROM api_digest_key")
        self.env["api.digest"]._forget()
        with self.assertRaisesRegex(UserError, "Values can be searched for"):
            self.entries.search([("exact_value", "=", "x")])

    def test_the_key_is_sealed_and_made_once(self):
        key = self._searchable()
        self.env.cr.execute("SELECT sealed FROM api_digest_key")
        [(sealed,)] = self.env.cr.fetchall()
        self.assertNotIn(key.hex(), sealed)
        self.env["api.policy"].create({"name": "Another", "is_searchable": True})
        self.env["api.vault"]._reseal()
        self.env["api.digest"]._forget()
        self.assertEqual(self.env["api.digest"]._require_key(), key)

    # -------------------------------------------------------------------- policies

    def test_a_policy_says_what_is_left_out(self):
        policy = self.env["api.policy"].create(
            {
                "name": "P",
                "hide_email": True,
                "hidden_fields": "wage x_*  wage",
                "hidden_types": "html",
                "hidden_values": "###-##\n\n EMP-?? ",
            }
        )
        hiding = policy._compiled().hiding
        self.assertEqual(hiding.names, {"wage", "x_*"})
        self.assertEqual(hiding.masks, {"###-##", "EMP-??"})
        self.assertEqual((hiding.types, hiding.email, hiding.phone), ({"html"}, True, False))
        self.assertFalse(policy._compiled().searchable)

    def test_rules_that_stand_for_nothing_are_refused(self):
        for values in (
            {"hidden_fields": "*"},
            {"hidden_fields": "(a+)+"},
            {"hidden_types": "many2one"},
            {"hidden_values": "##"},
            {"hidden_fields": " ".join(f"x{n}" for n in range(51))},
        ):
            with self.subTest(values), self.assertRaises(ValidationError):
                self.env["api.policy"].create({"name": "P", **values})
