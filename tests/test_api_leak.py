"""Are keys found wherever they were pasted, and nothing else? Are reported ones suspended?"""

import hashlib
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests.common import TransactionCase, new_test_user, tagged

from ..core.secret import RANDOM_BYTES, write_secret
from ..models import api_leak_scan

ELSEWHERE = write_secret(bytes(RANDOM_BYTES))  # of another database


class LeakCase(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor")
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager")
        cls.leaks, cls.scans = cls.env["api.leak"], cls.env["api.leak.scan"]
        cls.secret, cls.key = cls._key("new")
        keys = cls.env["res.users.apikeys"]
        with patch.object(type(keys), "_rewrite", lambda self, drawn, secret: drawn):
            cls.old_secret, cls.old_key = cls._key("old")

    @classmethod
    def _key(cls, name):
        secret = cls.env["res.users.apikeys"].with_user(cls.owner).sudo()._generate("rpc", name, None)
        return secret, cls.env["api.credential"]._of_secret(secret, cls.owner)

    def _scan(self, is_full=True):
        """Search to the end; what was found."""
        scan, targets = self.scans._open(is_full), self.scans._targets()
        before = self.leaks.search([])
        while not scan.finished_at:
            scan._step(targets)
        self.env.invalidate_all()
        return self.leaks.search([]) - before

    def _places(self, leaks):
        return {(leak.res_model, leak.res_id, leak.field_name) for leak in leaks}


@tagged("post_install", "-at_install")
class TestScan(LeakCase):
    def _plant(self, text):
        """A record of each kind that holds `text`: the places that have to be found."""
        partner = self.env["res.partner"].create({"name": "Ada", "comment": f"<p>{text}</p>"})
        message = partner.message_post(body=f"use {text}", subject=f"key {text}")
        attachment = self.env["ir.attachment"].create(
            [
                {"name": f"{text}.bin", "raw": b"\x00\x01"},
                {"name": "a.txt", "raw": f"key={text}".encode()},
                {"name": "a.json", "raw": f'{{"key": "{text}"}}'.encode(), "mimetype": "application/json"},
            ]
        )
        action = self.env["ir.actions.server"].create(
            {"name": "x", "model_id": self.env.ref("base.model_res_partner").id, "state": "code", "code": f"#{text}"}
        )
        parameter = self.env["ir.config_parameter"].create({"key": "x.key", "value": text})
        return {
            ("res.partner", partner.id, "comment"),
            ("mail.message", message.id, "body"),
            ("mail.message", message.id, "subject"),
            ("ir.attachment", attachment[0].id, "name"),
            ("ir.attachment", attachment[1].id, "raw"),
            ("ir.attachment", attachment[2].id, "raw"),
            ("ir.actions.server", action.id, "code"),
            ("ir.config_parameter", parameter.id, "value"),
        }

    def test_keys_are_found_wherever_they_were_pasted(self):
        for secret, key in ((self.secret, self.key), (self.old_secret, self.old_key)):
            with self.subTest(key.name):
                planted = self._plant(secret)
                found = self._scan()
                self.assertLessEqual(planted, self._places(found))
                self.assertEqual(found.credential_id, key)
                self.assertEqual(set(found.mapped("key_state")), {"active"})
                self.env["ir.config_parameter"].search([("key", "=", "x.key")]).unlink()

    def test_decoys_are_not_found(self):
        wrong = self.secret[:-1] + ("0" if self.secret[-1] != "0" else "1")
        sha = hashlib.sha1(b"x", usedforsecurity=False).hexdigest()
        same_index = self.old_secret[:8] + "0" * 32
        self._plant(f"{wrong} {sha} {same_index} {self.secret[:-1]} {self.old_secret}0")
        self.assertFalse(self._scan())

    def test_a_key_of_another_database_is_found_and_nobodys(self):
        self.env["res.partner"].create({"name": "Ada", "comment": ELSEWHERE})
        [leak] = self._scan()
        self.assertFalse(leak.credential_id)
        self.assertEqual((leak.key_state, leak.status), ("unknown", False))

    def test_a_revoked_key_is_found_and_raises_no_alert(self):
        self.env["res.partner"].create({"name": "Ada", "comment": self.secret})
        self.key._revoke()
        self.env.cr.execute("DELETE FROM api_alert")
        self.assertEqual(self._scan().mapped("key_state"), ["revoked"])
        self.assertFalse(self.env["api.alert"].search([]))

    def test_a_finding_raises_an_alert_that_names_the_place(self):
        partner = self.env["res.partner"].create({"name": "Ada", "comment": self.secret})
        self._scan()
        alert = self.env["api.alert"].search([("credential_id", "=", self.key.id)])
        self.assertEqual((alert.code, alert.user_id), ("key.pasted", self.owner))
        self.assertIn(f"res.partner {partner.id}: comment", alert.detail)

    def test_what_is_open_is_not_found_again_and_what_was_resolved_is(self):
        self.env["res.partner"].create({"name": "Ada", "comment": self.secret})
        leak = self._scan()
        self.assertFalse(self._scan())
        leak.with_user(self.manager).action_resolve()
        self.assertEqual((leak.state, leak.resolved_by), ("resolved", self.manager))
        self.assertEqual(len(self._scan()), 1)

    def test_later_passes_search_what_was_written_since(self):
        old, new = self.env["res.partner"].create([{"name": "old"}, {"name": "new"}])
        self._scan()
        self.env.flush_all()
        self.env.cr.execute("UPDATE res_partner SET comment = %s WHERE id IN %s", [self.secret, (old.id, new.id)])
        long_ago = fields.Datetime.now() - timedelta(days=2)
        self.env.cr.execute("UPDATE res_partner SET write_date = %s WHERE id = %s", [long_ago, old.id])
        self.env.invalidate_all()
        self.assertEqual(self._scan(is_full=False).mapped("res_id"), [new.id])
        self.assertEqual(self._scan(is_full=True).mapped("res_id"), [old.id])

    def test_a_pass_that_was_stopped_goes_on_where_it_was(self):
        partners = self.env["res.partner"].create([{"name": str(n), "comment": self.secret} for n in range(5)])
        scan, targets = self.scans._open(is_full=True), {"res.partner": ["comment"]}
        with patch.object(api_leak_scan, "BATCH", 2):
            scan.write({"model": "res.partner", "last_id": partners[0].id - 1})
            scan._step(targets)
            self.assertEqual((scan.last_id, scan.finding_count), (partners[1].id, 2))
            self.assertEqual(self.scans._open(), scan)
            while not scan.finished_at:
                scan._step(targets)
        self.assertEqual((scan.row_count, scan.finding_count), (5, 5))

    def test_asking_for_everything_starts_the_pass_under_way_anew(self):
        self._scan()
        scan = self.scans._open()
        self.assertTrue(scan.since)
        scan.write({"model": "res.partner", "last_id": 7})
        self.assertEqual(self.scans._open(is_full=True), scan)
        self.assertEqual((scan.since, scan.model, scan.last_id), (False, False, 0))

    def test_neither_the_guards_own_models_nor_passing_ones_are_searched(self):
        targets = self.scans._targets()
        self.assertFalse([name for name in targets if name.startswith("api.")])
        self.assertFalse([name for name in targets if self.env[name]._transient or not self.env[name]._auto])
        self.assertNotIn("res.users.apikeys", targets)
        self.assertLessEqual({"mail.message", "ir.attachment", "ir.config_parameter", "res.partner"}, set(targets))

    def test_a_finding_holds_no_part_of_the_secret(self):
        self.env["res.partner"].create({"name": "Ada", "comment": self.secret})
        leak = self._scan()
        told = str(leak.sudo().read()) + str(self.env["api.alert"].search([]).read())
        for start in range(3, 36):
            self.assertNotIn(self.secret[start : start + 6], told)

    def test_one_button_suspends_the_key(self):
        self.env["res.partner"].create({"name": "Ada", "comment": self.secret})
        leak = self._scan()
        for user in (self.owner, self.auditor):
            with self.subTest(user.login), self.assertRaises(AccessError):
                leak.with_user(user).action_suspend_key()
        leak.with_user(self.manager).action_suspend_key()
        self.assertEqual((self.key.state, self.key.suspension, leak.status), ("suspended", "pasted", "suspended"))
        self.key.with_user(self.manager).action_resume()
        self.assertEqual((self.key.state, self.key.suspension), ("active", False))

    def test_a_record_is_opened_and_one_that_is_gone_is_told(self):
        partner = self.env["res.partner"].create({"name": "Ada", "comment": self.secret})
        leak = self._scan()
        self.assertEqual(leak.action_open_record()["res_id"], partner.id)
        self.assertIn(str(partner.id), leak.place)
        partner.unlink()
        with self.assertRaises(UserError):
            leak.action_open_record()

    def test_only_managers_start_a_search(self):
        with self.assertRaises(AccessError):
            self.leaks.with_user(self.auditor).action_scan()
        with self.assertRaises(AccessError):
            self.scans.with_user(self.auditor).action_scan_all()
        self.assertEqual(self.leaks.with_user(self.manager).action_scan()["tag"], "display_notification")
        self.scans.with_user(self.manager).action_scan_all()
        self.assertFalse(self.scans.search([("finished_at", "=", False)]).since)


@tagged("post_install", "-at_install")
class TestReport(LeakCase):
    def test_a_live_key_is_suspended_and_one_that_is_over_is_not(self):
        suspend, cr = self.env["api.credential"]._suspend_leaked, self.env.cr
        self.assertTrue(suspend(cr, self.key.id))
        self.key.invalidate_recordset()
        self.assertEqual((self.key.state, self.key.suspension), ("suspended", "leaked"))
        self.old_key._revoke()
        self.assertFalse(suspend(cr, self.old_key.id))
        _secret, lapsed = self._key("lapsed")
        cr.execute("UPDATE res_users_apikeys SET expiration_date = now() - interval '1 day' WHERE id = %s",
                   [lapsed.apikey_id.id])  # fmt: skip
        self.assertFalse(suspend(cr, lapsed.id))

    def test_reports_are_counted_by_network(self):
        count, cr = self.env["api.leak.report"]._count, self.env.cr
        self.assertEqual([count(cr, "192.0.2.1")[0] for _ in range(3)], [1, 2, 3])
        self.assertEqual(count(cr, "192.0.2.2")[0], 1)
        self.assertEqual([count(cr, peer)[0] for peer in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")], [1, 2, 1])
        self.assertEqual([count(cr, None)[0] for _ in range(2)], [1, 2])
        self.assertTrue(0 <= count(cr, None)[1] <= 3600)

    def test_an_hour_that_is_over_does_not_count(self):
        count, cr = self.env["api.leak.report"]._count, self.env.cr
        count(cr, "192.0.2.1")
        cr.execute("UPDATE api_leak_report SET hour = hour - interval '1 hour'")
        self.assertEqual(count(cr, "192.0.2.1")[0], 1)
        self.assertEqual(self.env["api.leak.report"].search_count([]), 1)
