"""Can a person do in the browser what the addon is for? Policy, key, two calls, and both in the log."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pyotp
from odoo.tests.common import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..hooks import post_load
from ..models import carrier, heads, vault
from .test_vault import ONE


@tagged("post_install", "-at_install")
class TestTours(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        post_load()  # Odoo runs it once, and not at all for a package that pytest has imported before

    def _call(self, secret, method, **arguments):
        return self.url_open(
            f"/json/2/res.partner/{method}", json=arguments, headers={"Authorization": f"Bearer {secret}"}
        )

    def test_a_newcomer_guards_a_key_and_finds_its_calls_in_the_log(self):
        new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        partner = self.env["res.partner"].create({"name": "Before"})
        secrets, keys = [], self.env.registry["res.users.apikeys"]
        generate = keys._generate

        def _generate(keys, *args):
            secrets.append(generate(keys, *args))
            return secrets[-1]

        with patch.object(keys, "_generate", _generate):
            self.start_tour("/odoo/api-policies", "api_guard_policy_and_key", login="mia")
        [secret] = secrets

        allowed = self._call(secret, "search_read", domain=[], fields=["name"], limit=1)
        self.assertEqual(allowed.status_code, 200)
        self.assertEqual(len(allowed.json()), 1)
        with mute_logger("odoo.http"):
            refused = self._call(secret, "write", ids=partner.ids, vals={"name": "After"})
        self.assertEqual(refused.status_code, 403)
        self.assertEqual(partner.name, "Before")

        self.start_tour("/odoo/api-log", "api_guard_audit_log", login="mia")
        with mute_logger("odoo.http"):
            revoked = self._call(secret, "search_read", domain=[], fields=["name"], limit=1)
        self.assertEqual(revoked.status_code, 401)

    def test_a_manager_approves_provisions_and_rotates(self):
        new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        ada = new_test_user(self.env, "ada", groups="base.group_user")
        bot = new_test_user(self.env, "shop", groups="base.group_user", name="Shop bot")
        bot.api_only = True
        policy = self.env["api.policy"].create({"name": "Asks first", "needs_approval": True})
        keys = self.env["res.users.apikeys"].with_user(ada).sudo().with_context(api_guard_policy_id=policy.id)
        asked = keys._generate(None, "Asked for", None)
        with mute_logger("odoo.http"):
            self.assertEqual(self._call(asked, "search_count", domain=[]).status_code, 401)
        self.start_tour("/odoo/api-keys", "api_guard_key_life", login="mia")
        self.authenticate(None, None)  # a session beside another user's key is refused by Odoo itself
        answer = self._call(asked, "search_count", domain=[])
        self.assertEqual(answer.status_code, 200, answer.text)
        old, new = self.env["api.credential"].search([("name", "=", "Nightly export")], order="id")
        self.assertEqual((old.successor_id, new.predecessor_id, new.user_id), (new, old, bot))

    def _key(self, name):
        keys = self.env["res.users.apikeys"].with_user(self.env.ref("base.user_admin")).sudo()
        return keys._generate("rpc", name, None)

    def test_a_manager_is_told_of_a_leaked_key(self):
        new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        answer = self.url_open("/api_guard/v1/leak", json={"secret": self._key("Report")})
        self.assertEqual(answer.status_code, 202)
        self.start_tour("/odoo/api-alerts", "api_guard_alerts", login="mia")

    def test_a_manager_finds_a_pasted_key_and_suspends_it(self):
        new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        self.env["res.partner"].create({"name": "Holder", "comment": self._key("Pasted")})
        scans = self.env["api.leak.scan"]
        scan, targets = scans._open(is_full=True), scans._targets()
        while not scan.finished_at:
            scan._step(targets)
        self.start_tour("/odoo/api-pasted-keys", "api_guard_pasted_keys", login="mia")
        self.assertEqual(self.env["api.credential"].search([("name", "=", "Pasted")]).suspension, "pasted")

    def test_a_manager_sets_up_a_second_factor_and_removes_it(self):
        mia = new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        scope = {"name": "Deleting", "line_ids": [(0, 0, {"model_pattern": "*", "allow_unlink": True})]}
        policy = self.env["api.policy"].create({"name": "Careful", "second_factor_scope_ids": [(0, 0, scope)]})
        # the next step's code, so that it is good for as long as a slow browser takes
        secret = "JBSWY3DPEHPK3PXP" * 2
        name = f"Robot {pyotp.TOTP(secret).at(time.time() + 30)}"
        key = self.env["api.credential"]._of_secret(
            self.env["res.users.apikeys"].with_user(mia).sudo()._generate("rpc", name, None), mia
        )
        key.policy_id = policy
        with patch.object(pyotp, "random_base32", return_value=secret):
            self.start_tour(f"/odoo/api-keys/{key.id}", "api_guard_second_factor", login="mia")
        self.assertFalse(key._second_factor())

    def test_a_manager_limits_a_policy_and_watches_the_gauge_of_a_key(self):
        new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        policy = self.env["api.policy"].create({"name": "Web shop"})
        secret = self._key("Shop")
        key = self.env["api.credential"]._of_secret(secret, self.env.ref("base.user_admin"))
        key.policy_id = policy
        self.start_tour("/odoo/api-policies", "api_guard_limits", login="mia")
        self.assertEqual(policy.limit_ids.mapped("amount"), [600, 100_000, 3])
        self.assertEqual(policy.max_at_once, 4)

        self.authenticate(None, None)  # a session beside another user's key is refused by Odoo itself
        statuses = [self._call(secret, "search_count", domain=[]).status_code for _number in range(3)]
        self.assertEqual(statuses, [200, 200, 200])
        with mute_logger("odoo.http"):
            self.assertEqual(self._call(secret, "search_count", domain=[]).status_code, 429)
        self.start_tour("/odoo/api-keys", "api_guard_limit_gauge", login="mia")

    def test_a_manager_sees_a_lock_and_lifts_it(self):
        new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        new_test_user(self.env, "ada", groups="base.group_user", password="ada-the-user", name="Ada")
        with mute_logger("odoo.http", "odoo.addons.base.models.res_users", "odoo.addons.api_guard.authentication"):
            for _number in range(5):
                self.xmlrpc_common.authenticate(self.env.cr.dbname, "ada", "wrong", {})
        [lock] = self.env["api.lockout"].search([("name", "=", "ada")])
        self.assertTrue(lock.is_locked)
        self.start_tour("/odoo/api-lockouts", "api_guard_lockouts", login="mia")
        self.assertEqual((lock.status, lock.unlocked_by.login), ("unlocked", "mia"))

    def test_a_manager_lets_checkpoints_leave_and_compares_them(self):
        mia = new_test_user(self.env, "mia", groups="api_guard.group_manager", password="mia-the-manager")
        seal, event = self.env["api.audit.seal"], self.env["api.audit.entry"]._append_event
        with TemporaryDirectory() as folder, ExitStack() as patches:
            options = {"data_dir": folder, vault.OPTION: ONE}
            for module in (carrier, heads, vault):
                patches.enter_context(patch.object(module, "config", options))
            for number in range(2):
                event(self.env.cr.execute, "res.partner", "read", request_id=f"{number:020x}")
                seal._seal()
            self.start_tour("/odoo/api-witnesses", "api_guard_witness", login="mia")
            [line] = Path(folder, "api_guard", "witness", "checkpoints.jsonl").read_text().splitlines()
            self.assertEqual(json.loads(line)["body"]["number"], self.env["api.audit.checkpoint"]._last().number)
            self.start_tour("/odoo/api-checkpoints", "api_guard_consistency", login="mia")
            first, last = self.env["api.audit.checkpoint"].search([("note", "=", False)], order="number")[-2:]
            wizard = self.env["api.audit.consistency"].with_user(mia).create({"old_id": first.id, "new_id": last.id})
            self.authenticate("mia", "mia-the-manager")
            told = self.url_open(wizard.action_download()["url"]).json()
            self.assertEqual(told["to"]["body"]["number"], last.number)
