"""Who sees which screen, and may do what there?"""

import itertools
from datetime import timedelta
from unittest.mock import patch

from lxml import etree
from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import SQL, config
from odoo.tools.safe_eval import safe_eval

from ..core.lockout import Kind
from ..core.protected import PROTECTED
from ..core.steered import STEERED
from ..core.verdict import Reason
from ..models.api_limiter import OPTION
from ..stores.postgres import PostgresStore
from ..stores.store import StoreDown

OPERATIONS = ("read", "write", "create", "unlink")
# model: what a plain user, an auditor and a manager may do
RIGHTS = {
    "api.policy": ("r---", "r---", "rwcu"),
    "api.policy.network": ("----", "r---", "rwcu"),
    "api.policy.limit": ("----", "r---", "rwcu"),
    "api.lockout": ("----", "r---", "r---"),
    "api.scope": ("----", "r---", "rwcu"),
    "api.scope.line": ("----", "r---", "rwcu"),
    "api.scope.mask": ("----", "r---", "rwcu"),
    "api.protected": ("----", "r---", "r---"),
    "api.door": ("r---", "r---", "r---"),
    "api.credential": ("r---", "r---", "rw--"),
    "api.audit.entry": ("r---", "r---", "r---"),
    "api.audit.archive": ("----", "r---", "r---"),
    "api.audit.drop": ("----", "r---", "r---"),
    "api.audit.hold": ("----", "r---", "rwc-"),
    "api.audit.partition": ("----", "r---", "r---"),
    "api.audit.checkpoint": ("----", "r---", "r---"),
    "api.audit.key": ("----", "r---", "r---"),
    "api.audit.verify": ("----", "r---", "r---"),
    "api.audit.rollup": ("----", "r---", "r---"),
    "api.audit.witness": ("----", "r---", "rwcu"),
    "api.audit.witnessed": ("----", "r---", "rwc-"),
    "api.audit.consistency": ("----", "rwc-", "rwc-"),
    "api.audit.retention": ("----", "r---", "rw--"),
    "api.alert": ("----", "r---", "r---"),
    "api.leak": ("----", "r---", "r---"),
    "api.leak.report": ("----", "r---", "r---"),
    "api.leak.scan": ("----", "r---", "r---"),
    "api.breach.report": ("----", "rwc-", "rwc-"),
    "api.policy.test": ("----", "rwc-", "rwc-"),
    "api.scope.preview": ("----", "rwc-", "rwc-"),
    "api.key.rotate": ("rwcu", "rwcu", "rwcu"),
    "api.key.provision": ("----", "----", "rwcu"),
    "api.key.bulk": ("----", "----", "rwc-"),
    "api.second.factor": ("----", "r---", "r---"),
    "api.second.factor.codes": ("r-c-", "r-c-", "r-c-"),
    "api.second.factor.enroll": ("rw--", "rw--", "rw--"),
}
VIEWS = {
    "api.policy": ("list", "kanban", "form", "search"),
    "api.scope": ("list", "kanban", "form", "search"),
    "api.scope.line": ("form",),
    "api.protected": ("list", "kanban", "search"),
    "api.credential": ("list", "kanban", "form", "search"),
    "api.audit.entry": ("list", "kanban", "form", "graph", "pivot", "search"),
    "api.audit.checkpoint": ("list", "kanban", "form", "search"),
    "api.audit.key": ("list", "form"),
    "api.audit.verify": ("list", "kanban", "form", "search"),
    "api.audit.rollup": ("list", "graph", "pivot", "search"),
    "api.audit.witness": ("list", "kanban", "form", "search"),
    "api.audit.witnessed": ("list", "kanban", "form", "search"),
    "api.audit.consistency": ("form",),
    "api.audit.archive": ("list", "kanban"),
    "api.audit.drop": ("list", "kanban", "form", "search"),
    "api.audit.hold": ("list", "kanban", "form", "search"),
    "api.audit.partition": ("list", "kanban", "search"),
    "api.audit.retention": ("list", "kanban", "form"),
    "api.alert": ("list", "kanban", "form", "search"),
    "api.lockout": ("list", "kanban", "form", "graph", "pivot", "search"),
    "api.leak": ("list", "kanban", "form", "search"),
    "api.leak.scan": ("list",),
    "api.breach.report": ("form",),
    "api.policy.test": ("form",),
    "api.scope.preview": ("form",),
    "api.key.rotate": ("form",),
    "api.key.provision": ("form",),
    "api.key.bulk": ("form",),
    "api.second.factor.codes": ("form",),
    "api.second.factor.enroll": ("form",),
    "res.users.apikeys": ("kanban",),
    "res.users.apikeys.description": ("form",),
    "res.users.apikeys.show": ("form",),
    "res.users": ("list", "kanban", "form", "search"),
    "res.config.settings": ("form",),
}


@tagged("post_install", "-at_install")
class TestScreens(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.other = new_test_user(cls.env, "bob", groups="base.group_user")
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor")
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager")
        cls.scope = cls.env["api.scope"].create(
            {
                "name": "Contacts",
                "line_ids": [
                    Command.create({"model_pattern": "res.partner", "methods": "message_post"}),
                    Command.create({"model_pattern": "/mail_plugin/*", "allow_read": False}),
                ],
            }
        )
        cls.policy = cls.env["api.policy"].create(
            {"name": "Reads contacts", "scope_ids": cls.scope.ids, "is_selectable": True}
        )
        cls.keys = {user: cls._key(user) for user in (cls.plain, cls.other)}

    @classmethod
    def _key(cls, user):
        secret = cls.env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", f"Key of {user.login}", None)
        key = cls.env["api.credential"]._of_secret(secret, user)
        key.policy_id = cls.policy
        return key

    def _enter(self, **values):
        """An entry, written as the guard does: without the ORM."""
        row = {"kind": "read", "occurred_at": "2026-01-01", "door": "json2", "verdict": "allow", "outcome": "allowed"}
        row |= values
        self.env.cr.execute(
            SQL(
                "INSERT INTO api_audit_entry (%s) VALUES (%s)",
                SQL(", ").join(map(SQL.identifier, row)),
                SQL(", ").join(SQL("%s", value) for value in row.values()),
            )
        )

    def _lock(self, kind=Kind.PAIR, name="ada", **values):
        now = fields.Datetime.now()
        return self.env["api.lockout"].create(
            {
                "kind": kind.value,
                "network": "203.0.113.0/24",
                "name": name,
                "peer": "203.0.113.7",
                "failures": 5,
                "locked_at": now,
                "locked_until": now + timedelta(minutes=1),
                **values,
            }
        )

    # ------------------------------------------------------------------ rights

    def test_each_group_may_what_the_table_says(self):
        for model, rights in RIGHTS.items():
            for user, granted in zip((self.plain, self.auditor, self.manager), rights, strict=True):
                records = self.env[model].with_user(user)
                found = "".join(
                    letter if records.has_access(operation) else "-"
                    for letter, operation in zip("rwcu", OPERATIONS, strict=True)
                )
                with self.subTest(model=model, user=user.login):
                    self.assertEqual(found, granted)

    def test_the_table_names_every_model_of_the_addon(self):
        data = self.env["ir.model.data"].search([("module", "=", "api_guard"), ("model", "=", "ir.model")])
        ours = self.env["ir.model"].browse(data.mapped("res_id")).filtered(lambda model: model.access_ids)
        ours = {name for name in ours.mapped("model") if name.startswith("api.")}
        self.assertEqual(ours, set(RIGHTS))

    def test_settings_are_told_to_administrators_alone(self):
        """Odoo's `default_get` reads them for everybody, whatever the groups of a field."""
        self.env["ir.config_parameter"].set_param("api_guard.store_url", "redis://:a secret@127.0.0.1/0")
        settings = self.env["res.config.settings"]
        names = [name for name in settings._fields if name.startswith("api_guard_")]
        for user in (self.plain, self.auditor, self.manager):
            self.assertEqual(settings.with_user(user).default_get(names), {}, user.login)
        told = settings.with_user(self.env.ref("base.user_admin")).default_get(names)
        self.assertIn("a secret", told["api_guard_store_url"])

    def test_a_network_that_is_everybody_is_not_trusted(self):
        for text in ("0.0.0.0/0", "10.0.0.0/8, ::/0"):
            with self.subTest(text), self.assertRaises(ValidationError):
                self.env["res.config.settings"].create({"api_guard_lockout_trusted": text})

    def test_users_see_their_own_keys_and_auditors_all(self):
        keys = self.env["api.credential"].browse(key.id for key in self.keys.values())
        for user, seen in ((self.plain, self.keys[self.plain]), (self.auditor, keys), (self.manager, keys)):
            with self.subTest(user=user.login):
                self.assertEqual(self.env["api.credential"].with_user(user).search([("id", "in", keys.ids)]), seen)
        with self.assertRaises(AccessError):
            self.keys[self.other].with_user(self.plain).read(["name"])

    def test_users_see_their_own_entries_and_auditors_all(self):
        self._enter(request_id="plain", user_id=self.plain.id)
        self._enter(request_id="other", user_id=self.other.id)
        self._enter(request_id="nobody")
        everything = {"plain", "other", "nobody"}
        for user, seen in ((self.plain, {"plain"}), (self.auditor, everything), (self.manager, everything)):
            entries = self.env["api.audit.entry"].with_user(user).search([("request_id", "in", list(everything))])
            with self.subTest(user=user.login):
                self.assertEqual(set(entries.mapped("request_id")), seen)

    def test_the_log_survives_the_user_that_it_speaks_of(self):
        self._enter(request_id="gone", user_id=self.other.id, login="bob", credential_id=self.keys[self.other].id)
        self.other.unlink()
        entry = self.env["api.audit.entry"].with_user(self.auditor).search([("request_id", "=", "gone")])
        name = {"fields": {"display_name": {}}}
        [read] = entry.web_read({"user_id": name, "login": {}, "credential_id": name})
        self.assertEqual((read["user_id"], read["login"]), (False, "bob"))
        self.assertEqual(read["credential_id"]["display_name"], "Key of bob")
        [group] = entry.web_read_group([("id", "=", entry.id)], ["user_id"], ["__count"])["groups"]
        self.assertEqual(group["__count"], 1)

    def test_nobody_changes_the_log(self):
        self._enter(request_id="kept")
        entry = self.env["api.audit.entry"].search([("request_id", "=", "kept")])
        for change in (lambda: entry.write({"login": "x"}), entry.unlink, entry.copy, lambda: entry.create({})):
            with self.assertRaises(UserError):
                change()

    # ------------------------------------------------------------------- views

    def test_every_view_loads_for_everybody_who_may_read(self):
        everybody = (self.plain, self.auditor, self.manager, self.env.ref("base.user_admin"))
        for user, (model, kinds) in itertools.product(everybody, VIEWS.items()):
            records = self.env[model].with_user(user)
            if records.has_access("read"):
                with self.subTest(user=user.login, model=model):
                    loaded = records.get_views([(False, kind) for kind in kinds])["views"]
                    self.assertEqual(set(loaded), set(kinds))

    def test_every_action_opens_with_the_views_it_names(self):
        """For auditors; what changes something, for managers."""
        data = self.env["ir.model.data"].search([("module", "=", "api_guard"), ("model", "=", "ir.actions.act_window")])
        actions = self.env["ir.actions.act_window"].browse(data.mapped("res_id"))
        self.assertGreaterEqual(len(actions), 6)
        for action in actions - self.env.ref("api_guard.action_api_guard_settings"):
            with self.subTest(action=action.name):
                self.assertTrue(action.help or action.target == "new", "an empty list explains itself")
                reader = self.manager if action.target == "new" else self.auditor
                self.env[action.res_model].with_user(reader).get_views(action.views, {"toolbar": True})

    def test_what_each_user_opens_can_be_read(self):
        """As the web client does: every field that a view has for this user, of a record that they may see."""
        key = self.keys[self.plain]
        self._enter(request_id="read", user_id=self.plain.id, credential_id=key.id, outcome="refused")
        entry = self.env["api.audit.entry"].search([("request_id", "=", "read")])
        lock = self._lock()
        for user in (self.plain, self.auditor, self.manager):
            records = (key, self.policy, entry) if user == self.plain else (key, self.policy, entry, lock)
            for record, kind in itertools.product(records, ("list", "kanban", "form")):
                with self.subTest(user=user.login, model=record._name, view=kind):
                    self._read_as_view(record.with_user(user), kind)

    def _read_as_view(self, record, kind):
        views = record.get_views([(False, kind)])
        fields = views["models"][record._name]["fields"]
        names = [name for name in fields if f'name="{name}"' in views["views"][kind]["arch"]]
        [read] = record.web_read({name: {} for name in names})
        self.assertEqual(read["id"], record.id)

    def test_menus_are_for_auditors(self):
        root = self.env.ref("api_guard.menu_root")
        for user, shown in ((self.plain, False), (self.auditor, True), (self.manager, True)):
            with self.subTest(user=user.login):
                self.assertEqual(root.id in self.env["ir.ui.menu"].with_user(user)._visible_menu_ids(), shown)

    # ---------------------------------------------------------------- lockouts

    def test_a_lock_says_whom_it_holds_for_and_what_to_do(self):
        told = {
            Kind.PAIR: ("ada", "Login “ada”"),
            Kind.NETWORK: ("", "Everybody without a valid secret"),
            Kind.KEY: ("ag_12345", "Key beginning with “ag_12345”"),
            Kind.TOTP: (str(self.plain.id), "Codes of “ada”"),
            Kind.DEVICE: ("mark", "A browser that has logged in before"),
            Kind.MASTER: ("", "The master password"),
        }
        self.assertEqual(set(told), set(Kind))
        for kind, (name, subject) in told.items():
            lock = self._lock(kind, name).with_user(self.auditor)
            with self.subTest(kind):
                self.assertEqual((lock.subject, lock.status), (subject, "locked"))
                self.assertIn("203.0.113.0/24", lock.story)
                self.assertTrue(lock.advice)
                self.assertEqual(lock.user_id, self.plain if kind in (Kind.PAIR, Kind.TOTP) else self.env["res.users"])

    def test_a_manager_unlocks_and_an_auditor_does_not(self):
        lock = self._lock()
        with self.assertRaises(AccessError):
            lock.with_user(self.auditor).action_unlock()
        lock.with_user(self.manager).action_unlock()
        self.assertEqual((lock.status, lock.unlocked_by), ("unlocked", self.manager))
        over = self._lock(name="bob", locked_until="2026-01-01")
        self.assertEqual(over.status, "over")
        self.assertNotIn(over, self.env["api.lockout"].search([("is_locked", "=", True)]))

    # ------------------------------------------------------------------ limits

    def test_the_filters_of_calls_that_had_to_wait_know_every_reason(self):
        search = etree.fromstring(self.env.ref("api_guard.api_audit_entry_view_search").arch)
        domains = {
            name: safe_eval(search.find(f".//filter[@name='{name}']").get("domain"))
            for name in ("told_to_wait", "limit_observed")
        }
        for reason in Reason:
            met = {"reason": reason.value, "verdict": "deny", "status": 200}  # as over XML-RPC
            self._enter(request_id=f"r {reason.value}", outcome="refused", **met)
            self._enter(request_id=f"o {reason.value}", outcome="allowed", **met)
        waits = {f"r {reason.value}" for reason in Reason if reason.status == 429}
        observed = {"o limit.exceeded", "o limit.concurrency"}
        for name, found in (("told_to_wait", waits), ("limit_observed", observed)):
            with self.subTest(name):
                ours = [("request_id", "=like", "_ %")]
                entries = self.env["api.audit.entry"].search([*domains[name], *ours])
                self.assertEqual(set(entries.mapped("request_id")), found)

    # ----------------------------------------------------------------- entries

    def test_an_entry_says_what_was_refused(self):
        for reason, place, finding, remedy in (
            ("scope.not_covered", "res.country: read", "res.country: Read", "Add a line"),
            ("scope.not_covered", None, "res.partner: Read, Write", "Add a line"),
            ("scope.not_covered", "Access Denied: The scope (request 1)", "res.partner: Read, Write", "Add a line"),
            ("scope.field_hidden", "res.partner.phone", "res.partner.phone", "The call reads or searches"),
            ("scope.field_hidden", "res.partner.phone: write", "res.partner.phone: Write", "The call writes"),
            ("scope.record_hidden", "res.partner: moved", "res.partner: Moved out by its values", "The call reaches"),
            ("shape.too_large", "rows: 4, at most 3", "Records returned: 4, at most 3", "The call exceeds"),
            ("shape.too_large", "body: 1536, at most 1024", "Request (KiB): 1.5, at most 1", "The call exceeds"),
            ("shape.too_large", "limit: unlimited, at most 10",
             "Records searched: no limit given, at most 10", "The call exceeds"),
            ("values.unknown_field", "res.partner.phon", "res.partner.phon", "The values name"),
            ("network.refused", None, "", "The address"),
        ):  # fmt: skip
            with self.subTest(reason=reason, place=place):
                request_id = f"{reason} {place}"
                self._enter(request_id=request_id, reason=reason, error_message=place, outcome="refused",
                            verdict="deny", model="res.partner", method="web_save", operation="read,write")  # fmt: skip
                entry = self.env["api.audit.entry"].search([("request_id", "=", request_id)])
                self.assertEqual(entry.finding or "", finding)
                self.assertIn(remedy, entry.remedy)

    def test_a_method_that_no_line_names_is_named_by_the_entry(self):
        self._enter(request_id="m", reason="scope.not_covered", outcome="refused", verdict="deny",
                    model="sale.order", method="action_confirm", operation="execute")  # fmt: skip
        entry = self.env["api.audit.entry"].search([("request_id", "=", "m")])
        self.assertEqual(entry.finding, "sale.order: action_confirm")

    # ----------------------------------------------------------------- actions

    def test_a_manager_suspends_resumes_and_revokes_many(self):
        keys = self.env["api.credential"].browse(key.id for key in self.keys.values()).with_user(self.manager)
        keys.action_suspend()
        self.assertEqual(keys.mapped("status"), ["suspended"] * 2)
        keys.action_resume()
        self.assertEqual(keys.mapped("status"), ["active"] * 2)
        keys._revoke()
        self.assertEqual(keys.mapped("status"), ["revoked"] * 2)

    def test_an_auditor_changes_no_key(self):
        key = self.keys[self.plain].with_user(self.auditor)
        for action in (key.action_suspend, key.action_resume, key._revoke):
            with self.assertRaises(AccessError):
                action()
        with self.assertRaises(AccessError):
            key.policy_id = False

    def test_an_owner_revokes_only_their_own(self):
        self.keys[self.plain].with_user(self.plain)._revoke()
        self.assertEqual(self.keys[self.plain].status, "revoked")
        with self.assertRaises(AccessError):
            self.keys[self.other].with_user(self.plain)._revoke()

    def test_jumps_lead_to_what_they_say(self):
        key = self.keys[self.plain]
        self._enter(request_id="jump", user_id=self.plain.id, credential_id=key.id, policy_ids=f",7,{self.policy.id},")
        self._enter(request_id="another", policy_ids=f",{self.policy.id}7,")
        for record, method, found in (
            (self.policy, "action_open_credentials", self.keys[self.plain] + self.keys[self.other]),
            (self.policy, "action_open_users", self.env["res.users"]),
            (self.policy, "action_open_entries", None),
            (self.scope, "action_open_policies", self.policy),
            (key, "action_open_entries", None),
        ):
            action = getattr(record.with_user(self.manager), method)()
            records = self.env[action["res_model"]].search(action["domain"])
            with self.subTest(model=record._name, method=method):
                if found is None:
                    self.assertIn("jump", records.mapped("request_id"))
                    self.assertNotIn("another", records.mapped("request_id"))
                else:
                    self.assertEqual(set(records.ids), set(found.ids))

    # ------------------------------------------------------------------- forms

    def test_a_scope_says_in_words_what_it_covers(self):
        self.assertEqual(self.scope.summary, "res.partner: Read, message_post; /mail_plugin/*")

    def test_the_tester_answers_while_one_types(self):
        with Form(
            self.env["api.policy.test"].with_user(self.auditor).with_context(default_policy_id=self.policy.id)
        ) as form:
            self.assertEqual(form.result, "allow")
            form.method = "write"
            self.assertEqual((form.result, form.deciding_policy), ("deny", "Reads contacts"))
            self.assertTrue(form.remedy)
            self.policy.mode = "monitor"
            form.method = "unlink"
            self.assertEqual(form.result, "observe")

    def test_the_secret_comes_with_snippets(self):
        show = self.env["res.users.apikeys.show"].with_user(self.plain).with_context(default_key="s3cret")
        names = ("snippet_curl", "snippet_python", "snippet_javascript")
        values = show.onchange({}, [], {name: {} for name in ("key", *names)})["value"]
        for name in names:
            self.assertIn("Bearer s3cret", values[name])
            self.assertIn(self.env.cr.dbname, values[name])

    def test_the_wizard_offers_what_the_user_may_choose(self):
        hidden = self.env["api.policy"].create({"name": "Hidden"})
        for user, offered in ((self.plain, self.policy), (self.manager, self.policy + hidden)):
            wizard = self.env["res.users.apikeys.description"].with_user(user)
            domain = wizard.fields_get(["policy_id"])["policy_id"]["domain"]
            found = self.env["api.policy"].with_user(user).search([*domain, ("id", "in", (self.policy + hidden).ids)])
            with self.subTest(user=user.login):
                self.assertEqual(set(found.ids), set(offered.ids))

    def test_the_tester_starts_from_an_address_that_may_call(self):
        for network, address in (("10.1.0.0/16", "10.1.0.1"), ("2001:db8::7", "2001:db8::7")):
            self.policy.network_ids = [(5,), (0, 0, {"network": network})]
            for default in ({"default_policy_id": self.policy.id}, {"default_credential_id": self.keys[self.plain].id}):
                with Form(self.env["api.policy.test"].with_context(**default)) as form:
                    self.assertEqual(form.address, address)

    def test_a_scope_line_that_covers_nothing_says_so(self):
        line = self.scope.line_ids[0]
        for values, notice in (
            ({"model_pattern": "res.partnr"}, "There is no such model"),
            ({"model_pattern": "nothing.*"}, "There is no such model"),
            ({"model_pattern": "res.partner"}, False),
            ({"model_pattern": "res.partner", "methods": "message_post"}, False),
            ({"model_pattern": "res.partner", "methods": "message_pots message_post"}, "No such public method"),
            ({"model_pattern": "res.*", "methods": "message_post"}, False),
            ({"model_pattern": "res.*", "methods": "action_nowhere"}, "No such public method"),
            ({"model_pattern": "*", "methods": False}, "Every model"),
            ({"model_pattern": "/nonsense"}, False),
            ({"model_pattern": "res.partner", "allow_read": False, "methods": False}, "Covers nothing"),
        ):
            line.write({"allow_read": True, **values})
            with self.subTest(**values):
                self.assertTrue((line.notice or "").startswith(notice or ""))
                self.assertEqual(bool(line.notice), bool(notice))

    def test_what_a_line_says_of_fields_has_to_make_sense(self):
        mask = lambda name, masker: Command.create({"name": name, "masker": masker})  # noqa: E731
        for values, words in (
            ({"mask_ids": [mask("color", "email")]}, "of type integer"),
            ({"mask_ids": [mask("parent_id", "hash")]}, "of type many2one"),
            ({"mask_ids": [mask("email", "email"), mask("email", "hash")]}, "masked twice"),
            ({"mask_ids": [mask("ref", "hash")], "read_mode": "except", "read_fields": "ref"}, "hidden and masked"),
            ({"mask_ids": [mask("ref", "hash")], "read_mode": "only", "read_fields": "name"}, "not among the fields"),
            ({"given_fields": "email", "read_mode": "except", "read_fields": "email"}, "hidden and shown"),
            ({"given_fields": "email", "mask_ids": [mask("email", "hash")]}, "masked and shown"),
            ({"given_fields": "email", "read_mode": "only", "read_fields": "name"}, "Name it there instead"),
        ):
            with self.subTest(**values), self.assertRaisesRegex(ValidationError, words), self.env.cr.savepoint():
                self.scope.line_ids[0].copy({"mask_ids": [], **values})
        for values in (
            {"mask_ids": [mask("color", "hash"), mask("email", "email")]},
            {"mask_ids": [mask("email", "email")], "read_mode": "only", "read_fields": "name email"},
            {"given_fields": "display_name", "read_mode": "except", "read_fields": "email"},
        ):
            self.assertTrue(self.scope.line_ids[0].copy(values))

    def test_what_a_line_hides_besides_is_told_with_its_source(self):
        line = self.scope.line_ids[0]
        line.write({"read_mode": "except", "read_fields": "phone"})
        self.assertIn("phone_sanitized: is computed from a hidden field (phone)", line.derived_fields)
        self.assertRegex(line.derived_elsewhere, r"(?m)^res\.users: .*\bphone\b")
        line.write({"read_mode": "except", "read_fields": False})
        self.assertFalse(line.derived_fields or line.derived_elsewhere or line.restricted)
        line.write({"read_mode": "all", "write_mode": "only", "write_fields": "name"})
        self.assertFalse(line.derived_fields or line.derived_elsewhere, "what is written is no matter of reading")

    def test_a_name_that_is_shown_all_the_same_is_shown_as_it_is_stored(self):
        line = self.scope.line_ids[0]
        line.domain = "[('color', '=', 7)]"
        self.assertIn("complete_name: ", line.derived_fields)
        line.given_fields = "display_name"
        self.assertNotIn("complete_name: ", line.derived_fields)

    def test_the_tester_says_what_is_not_there_to_call(self):
        with Form(self.env["api.policy.test"].with_context(default_policy_id=self.policy.id)) as form:
            for model, method, notice in (
                ("res.partner", "search_read", False),
                ("res.partnr", "search_read", "no model “res.partnr”"),
                ("res.partner", "search_raed", "no public method “search_raed”"),
                ("res.partner", "_write", "no public method “_write”"),
                ("/mail_plugin/x", "x", False),
            ):
                form.model, form.method = model, method
                with self.subTest(model=model, method=method):
                    self.assertIn(notice or "", form.notice or "")
                    self.assertEqual(bool(form.notice), bool(notice))

    def test_protected_models_that_are_here_can_be_told_from_others(self):
        here = self.env["api.protected"].search([("is_here", "=", True)])
        others = self.env["api.protected"].search([("is_here", "!=", True)])
        self.assertTrue(all(here.mapped("model_count")))
        self.assertFalse(any(others.mapped("model_count")))
        self.assertEqual(len(here) + len(others), len(self.env["api.protected"].search([])))

    def test_locks_are_switched_off_by_zero_alone(self):
        settings, parameters = self.env["res.config.settings"], self.env["ir.config_parameter"]
        wrong = ({"lockout_failures": -3}, {"lockout_minutes": 0}, {"lockout_hours": 0}, {"lockout_failures": 100_001})
        for values in wrong:
            with self.assertRaises(ValidationError):
                settings.create({f"api_guard_{name}": value for name, value in values.items()})

        def is_noticed():
            return any("no lock" in what for _fine, what, _remedy in settings._api_guard_checks())

        for failures in (0, 10):
            settings.create({"api_guard_lockout_failures": failures}).execute()
            self.assertEqual(parameters.get_param("api_guard.lockout_failures"), str(failures))
            self.assertEqual(settings.create({}).api_guard_lockout_failures, failures)
            self.assertEqual(is_noticed(), not failures)

    def test_the_settings_say_what_counts_and_no_password(self):
        settings, parameters = self.env["res.config.settings"], self.env["ir.config_parameter"]
        url = "redis://user:s3cret@10.0.0.5:6379/0"
        for option, setting, words in (
            ("", "", "In use: this database."),
            ("", url, "In use: 10.0.0.5:6379."),
            (url, "", "In use: 10.0.0.5:6379, as odoo.conf says."),
            ("postgresql", url, "In use: this database, as odoo.conf says."),
        ):
            parameters.set_param("api_guard.store_url", setting)
            with self.subTest(words), patch.dict(config.options, {OPTION: option}):
                self.assertEqual(settings._api_guard_store_in_words(), words)
        parameters.set_param("api_guard.store_url", "")
        self.assertEqual(settings.create({}).api_guard_store_used, "In use: this database.")

    def test_the_self_check_asks_the_store(self):
        settings = self.env["res.config.settings"]

        def check():
            return next(check for check in settings._api_guard_checks() if check[1].startswith("Counters"))

        self.assertTrue(check()[0])
        with patch.object(PostgresStore, "load", side_effect=StoreDown("gone")):
            is_fine, what, remedy = check()
        self.assertFalse(is_fine)
        self.assertIn("cannot be reached", what)
        self.assertIn("In use: this database.", remedy)

    def test_a_store_that_does_not_answer_is_not_chosen(self):
        settings = self.env["res.config.settings"]
        for url in ("http://nowhere", "redis://127.0.0.1:1/0", "redis://:hidden@127.0.0.1:1/0"):
            with self.assertRaises(ValidationError) as raised:
                settings.create({"api_guard_store_url": url})
            self.assertNotIn("hidden", str(raised.exception))
        settings.create({"api_guard_store_url": "postgresql"})

    def test_the_self_check_knows_what_the_baseline_does(self):
        settings = self.env["res.config.settings"]

        def programs_use_keys():
            return next(fine for fine, what, _remedy in settings._api_guard_checks() if what.startswith("Programs"))

        settings.create({"api_guard_baseline_policy_id": self.policy.id}).execute()
        self.assertFalse(programs_use_keys())
        self.policy.refuse_passwords = True
        self.assertTrue(programs_use_keys())
        self.policy.mode = "monitor"
        self.assertFalse(programs_use_keys())
        self.assertIn("fa-check-circle", settings.create({}).api_guard_self_check)


@tagged("post_install", "-at_install")
class TestProtected(TransactionCase):
    def test_every_row_of_the_code_is_shown_with_its_reason(self):
        rows = self.env["api.protected"].search([])
        models, methods = rows.filtered(lambda row: not row.method), rows.filtered("method")
        self.assertEqual({row.name: row.reading for row in models}, {row.name: row.reading for row in PROTECTED})
        self.assertEqual({(row.name, row.method) for row in methods}, {(row.model, row.method) for row in STEERED})
        self.assertEqual(len(rows), len(PROTECTED) + len(STEERED))
        self.assertTrue(all(row.reason for row in rows))

    def test_a_row_tells_how_many_models_it_names_and_which_scopes_name_it(self):
        scope = self.env["api.scope"].create(
            {"name": "Actions", "line_ids": [Command.create({"model_pattern": "ir.actions.report"})]}
        )
        rows = self.env["api.protected"]
        actions, cron = (rows.search([("name", "=", name)]) for name in ("ir.actions.*", "ir.cron"))
        self.assertEqual(actions.model_count, sum(name.startswith("ir.actions.") for name in self.env.registry))
        self.assertEqual(cron.model_count, 1)
        self.assertIn(scope, actions.scope_ids)
        self.assertFalse(cron.scope_ids)

    def test_rows_are_grouped_and_ordered(self):
        groups = self.env["api.protected"]._read_group([], ["danger"], ["__count"])
        self.assertEqual(sum(count for _danger, count in groups), len(PROTECTED) + len(STEERED))

    def test_a_method_tells_which_models_have_it_and_which_scopes_name_it(self):
        line = {"model_pattern": "mail.activity", "methods": "get_activity_data"}
        scope = self.env["api.scope"].create({"name": "Activities", "line_ids": [Command.create(line)]})
        rows = self.env["api.protected"]
        activities = rows.search([("method", "=", "get_activity_data")])
        self.assertEqual((activities.model_count, activities.scope_ids), (1, scope))
        routed = rows.search([("method", "=", "message_route")])
        self.assertGreater(routed.model_count, 2)
        self.assertFalse(routed.scope_ids)


@tagged("post_install", "-at_install")
class TestScopePreview(TransactionCase):
    """What a scope leaves of a model to a user, and no more than whoever asks may know."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager")
        cls.program = new_test_user(cls.env, "pia", groups="base.group_user")
        cls.scope = cls.env["api.scope"].create(
            {
                "name": "Blue contacts",
                "line_ids": [
                    Command.create(
                        {
                            "model_pattern": "res.partner",
                            "domain": "[('ref', '=', 'blue')]",
                            "read_mode": "except",
                            "read_fields": "phone",
                            "mask_ids": [Command.create({"name": "email", "masker": "email"})],
                        }
                    ),
                    Command.create({"model_pattern": "ir.config_parameter"}),
                ],
            }
        )
        cls.env["res.partner"].create([{"name": f"Blue {n}", "ref": "blue"} for n in range(3)])
        cls.env["res.partner"].create({"name": "Gone", "ref": "blue", "active": False})

    def _preview(self, model, user=None, asker=None):
        values = {"scope_id": self.scope.id, "user_id": (user or self.program).id, "model": model}
        return self.env["api.scope.preview"].with_user(asker or self.manager).create(values)

    def test_records_and_fields_of_a_covered_model(self):
        seen = self._preview("res.partner")
        self.assertEqual((seen.records, seen.notice), (4, False))
        shown, hidden = seen.shown_fields.split(", "), seen.hidden_fields.split(", ")
        self.assertIn("name", shown)
        self.assertIn("phone", hidden)
        self.assertNotIn("phone", shown)
        self.assertEqual(seen.masked_fields, "email (email)")
        self.assertFalse({"email", "phone_sanitized"} & set(shown))
        self.assertIn("bank_ids", hidden)  # no line covers their model
        self.assertIn("child_ids", shown)

    def test_a_scope_that_restricts_no_data_hides_no_value(self):
        self.scope.line_ids[0].write(
            {"read_mode": "all", "domain": False, "mask_ids": [Command.clear()], "read_fields": False}
        )
        seen = self._preview("res.partner")
        self.assertIn("phone", seen.shown_fields.split(", "))
        self.assertIn("avatar_128", seen.shown_fields.split(", "))
        self.assertFalse(seen.masked_fields)

    def test_what_cannot_be_read_is_said(self):
        self.assertIn("No model", self._preview("no.such.model").notice)
        self.assertIn("No line", self._preview("res.country").notice)
        self.assertIn("may not read", self._preview("ir.config_parameter").notice)
        self.assertFalse(self._preview("ir.config_parameter").shown_fields)

    def test_a_count_tells_of_no_record_that_whoever_asks_may_not_see(self):
        group = self.env.ref("base.group_user")
        self.env["ir.rule"].create(
            {
                "name": "not for managers of the guard",
                "model_id": self.env.ref("base.model_res_partner").id,
                "domain_force": f"[('ref', '!=', 'blue')] if user.id == {self.manager.id} else [(1, '=', 1)]",
                "groups": [Command.link(group.id)],
            }
        )
        self.assertEqual(self._preview("res.partner").records, 0)
        self.assertEqual(self._preview("res.partner", asker=self.env.ref("base.user_admin")).records, 4)

    def test_the_button_opens_it_on_the_first_model(self):
        action = self.scope.with_user(self.manager).action_open_preview()
        form = Form(self.env["api.scope.preview"].with_user(self.manager).with_context(**action["context"]))
        self.assertEqual((form.model, form.user_id), ("res.partner", self.manager))
