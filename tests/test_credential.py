"""Does every key have its companion, whoever makes or deletes it?"""

from datetime import timedelta
from unittest.mock import patch

import psycopg2
from odoo import fields
from odoo.addons.base.models import res_users
from odoo.exceptions import AccessError, UserError
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..core.call import Kind, State
from ..core.secret import RANDOM_BYTES, is_well_formed, write_secret
from ..core.verdict import Reason
from ..models import api_identity


def _in_days(days):
    return fields.Datetime.now() + timedelta(days=days)


@tagged("post_install", "-at_install")
class TestCredential(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager")
        cls.policy = cls.env["api.policy"].create({"name": "Narrow", "refuse_passwords": True})

    def _key(self, user=None, days=1, scope=None, **context):
        keys = self.env["res.users.apikeys"].with_user(user or self.owner).with_context(**context)
        secret = keys._generate(scope, "a key", _in_days(days))
        return secret, self.env["api.credential"]._of_secret(secret, user or self.owner)

    def _identify(self, secret, **options):
        return self.env["api.identity"]._of_key(self.env.cr, secret, **options)

    def test_a_key_made_anywhere_has_a_companion(self):
        _secret, companion = self._key()
        self.assertEqual((companion.user_id, companion.login, companion.state), (self.owner, "ada", "active"))
        self.env.cr.execute(
            "INSERT INTO res_users_apikeys (name, user_id, index, key) VALUES ('raw', %s, '01234567', 'x')"
            " RETURNING id",
            [self.owner.id],
        )
        [key_id] = self.env.cr.fetchone()
        self.assertEqual(self.env["api.credential"].search([("apikey_id", "=", key_id)]).name, "raw")

    def test_a_new_key_bears_its_prefix_and_opens_an_odoo_without_the_guard(self):
        secret, companion = self._key()
        self.assertTrue(is_well_formed(secret))
        self.assertEqual(companion.key_index, secret[:8])
        found = res_users.ResUsersApikeys._check_credentials(self.env["res.users.apikeys"], scope="rpc", key=secret)
        self.assertEqual(found, self.owner.id)

    def test_two_keys_made_in_one_breath_open_each_its_own(self):
        made = [self._key() for _ in range(3)]
        self.assertEqual(len({secret for secret, _companion in made}), 3)
        for secret, companion in made:
            self.assertEqual(self._identify(secret).credential_id, companion.id)

    def test_a_key_that_odoo_made_before_the_guard_goes_on_working(self):
        keys = self.env["res.users.apikeys"].with_user(self.owner)
        with patch.object(type(keys), "_rewrite", lambda self, drawn, secret: drawn):
            secret, companion = self._key()
        self.assertRegex(secret, r"\A[0-9a-f]{40}\Z")
        self.assertEqual(self._identify(secret).credential_id, companion.id)

    def test_a_mistyped_key_is_told_apart_and_not_looked_for(self):
        secret, _companion = self._key()
        for mistyped in (secret[:-1], secret + "0", secret.lower(), secret[:8] + "0" * 31, "ag_"):
            with self.subTest(mistyped), patch.object(api_identity, "_matches", side_effect=AssertionError):
                identity = self._identify(mistyped)
                self.assertEqual(identity.refusal.reason, Reason.KEY_MISTYPED)
                self.assertEqual((identity.credential.kind, identity.uid), (Kind.NONE, None))
        unknown = write_secret(bytes(RANDOM_BYTES))
        self.assertEqual(self._identify(unknown).refusal.reason, Reason.UNKNOWN_CREDENTIAL)

    def test_a_trusted_device_of_the_second_factor_keeps_odoos_form(self):
        if "auth_totp.device" in self.env:
            secret = self.env["auth_totp.device"].with_user(self.owner)._generate("browser", "a device", _in_days(1))
            self.assertRegex(secret, r"\A[0-9a-f]{40}\Z")

    def test_a_deleted_key_leaves_a_tombstone_that_knows_its_secret(self):
        secret, companion = self._key()
        self.assertEqual(self._identify(secret).credential.state, State.ACTIVE)
        companion.with_user(self.owner)._revoke()
        self.assertFalse(companion.apikey_id)
        self.assertEqual(companion.status, "revoked")
        self.assertEqual(self._identify(secret).credential.state, State.REVOKED)
        self.assertEqual(self._identify(secret[:8] + "0" * 32).credential.kind, Kind.NONE)

    def test_odoos_own_garbage_collection_leaves_an_expired_tombstone(self):
        secret, companion = self._key()
        self.env.cr.execute(
            "UPDATE res_users_apikeys SET expiration_date = now() - interval '1 day' WHERE id = %s",
            [companion.apikey_id.id],
        )
        self.env["res.users.apikeys"]._gc_user_apikeys()
        companion.invalidate_recordset()
        self.assertEqual(companion.status, "expired")
        self.assertEqual(self._identify(secret).credential.state, State.EXPIRED)

    def test_a_key_without_companion_opens_nothing(self):
        secret, companion = self._key()
        self.env.cr.execute("DELETE FROM api_credential WHERE id = %s", [companion.id])
        self.assertEqual(self._identify(secret).refusal.reason, Reason.POLICY_UNREADABLE)

    def test_an_archived_owner_opens_nothing(self):
        secret, _companion = self._key()
        self.owner.active = False
        self.env.flush_all()
        self.assertEqual(self._identify(secret).refusal.reason, Reason.USER_INACTIVE)

    def test_policies_of_baseline_user_and_key_apply_together(self):
        baseline, users = self.env["api.policy"].create([{"name": "Base"}, {"name": "User's"}])
        self.env["ir.config_parameter"].sudo().set_param("api_guard.baseline_policy_id", str(baseline.id))
        self.owner.api_policy_id = users
        secret, companion = self._key(api_guard_policy_id=self.policy.id)
        self.env.flush_all()
        self.assertEqual([p.name for p in self._identify(secret).policies], ["Base", "User's", "Narrow"])
        self.assertEqual([p.name for p in companion._policies()], ["Base", "User's", "Narrow"])

    def test_a_baseline_that_is_gone_refuses_everything(self):
        for value in ("999999", "nonsense", "-1", "1 OR 1=1"):
            with self.subTest(value):
                self.env["ir.config_parameter"].sudo().set_param("api_guard.baseline_policy_id", value)
                secret, _companion = self._key()
                self.assertFalse(self._identify(secret).policies[0].readable)

    def test_a_tampered_document_refuses_everything(self):
        secret, _companion = self._key(api_guard_policy_id=self.policy.id)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE api_policy SET document = '{}', fingerprint = 'forged' WHERE id = %s", [self.policy.id]
        )
        self.assertFalse(self._identify(secret).policies[0].readable)

    def test_a_child_has_its_parents_policies_and_dies_with_it(self):
        other = self.env["api.policy"].create({"name": "Child's"})
        _secret, parent = self._key(api_guard_policy_id=self.policy.id, days=1)
        child_secret, child = self._key(days=1)
        child._adopt(policy_id=other.id, parent_id=parent.id)
        self.env.flush_all()
        self.assertEqual([p.name for p in self._identify(child_secret).policies], ["Child's", "Narrow"])
        self.assertLessEqual(child.expires_at, parent.expires_at)
        parent.with_user(self.manager).action_suspend()
        self.env.flush_all()
        self.assertEqual(self._identify(child_secret).refusal.reason, Reason.PARENT_INACTIVE)
        parent.with_user(self.manager).action_resume()
        self.env.flush_all()
        self.assertIsNone(self._identify(child_secret).refusal)
        parent._revoke()
        self.assertEqual(self._identify(child_secret).refusal.reason, Reason.PARENT_INACTIVE)

    def test_a_key_of_another_scope_does_not_open_rpc(self):
        secret, _companion = self._key(scope="odoo.plugin.outlook")
        self.assertEqual(self._identify(secret).refusal.reason, Reason.DOOR_REFUSED)
        self.assertIsNone(self._identify(secret, scope="odoo.plugin.outlook").refusal)

    def test_strange_secrets_are_nobodys(self):
        for secret in ("", "\0", "a\0b", "é" * 40, "\ud800" * 8, "x" * 100_000, None, 5, [], {}, b"bytes"):
            with self.subTest(repr(secret)[:20]):
                self.assertEqual(self._identify(secret).credential.state, State.UNKNOWN)

    def test_only_managers_suspend_and_only_owners_and_managers_revoke(self):
        _secret, companion = self._key()
        stranger = new_test_user(self.env, "eve", groups="base.group_user")
        for user in (self.owner, stranger):
            with self.subTest(user.login), self.assertRaises(AccessError):
                companion.with_user(user).action_suspend()
        with self.assertRaises(AccessError):
            companion.with_user(stranger)._revoke()
        companion.with_user(self.manager).action_suspend()
        self.assertEqual(companion.status, "suspended")
        companion.with_user(self.owner)._revoke()
        self.assertEqual(companion.status, "revoked")

    def test_a_user_chooses_only_among_offered_policies(self):
        offered = self.env["api.policy"].create({"name": "Offered", "is_selectable": True})
        managers = self.env["api.policy"].create(
            {
                "name": "For managers",
                "is_selectable": True,
                "group_ids": [(4, self.env.ref("api_guard.group_manager").id)],
            }
        )
        domain = self.env["api.policy"].with_user(self.owner)._selectable_domain()
        choice = self.env["api.policy"].search(domain)
        self.assertIn(offered, choice)
        self.assertNotIn(managers, choice)
        self.assertNotIn(self.policy, choice)

    def test_totp_devices_have_no_companion(self):
        if "auth_totp.device" not in self.env:
            self.skipTest("auth_totp is not installed")
        before = self.env["api.credential"].search_count([])
        self.env["auth_totp.device"].with_user(self.owner)._generate("browser", "phone", _in_days(1))
        self.assertEqual(self.env["api.credential"].search_count([]), before)
        self.assertFalse(self.env["auth_totp.device"].sudo().search([]).mapped("credential_id"))


@tagged("post_install", "-at_install")
class TestAppendOnly(TransactionCase):
    def _entry(self):
        self.env.cr.execute(
            "INSERT INTO api_audit_entry (kind, occurred_at, request_id, door, verdict, outcome)"
            " VALUES ('read', now(), 'abc', 'json2', 'allow', 'allowed') RETURNING id"
        )
        return self.env["api.audit.entry"].browse(self.env.cr.fetchone()[0])

    def test_the_database_refuses_every_change(self):
        entry = self._entry()
        for statement in (
            "UPDATE api_audit_entry SET outcome = 'refused'",
            "DELETE FROM api_audit_entry",
            "TRUNCATE api_audit_entry",
        ):
            with (
                self.subTest(statement),
                self.assertRaises(psycopg2.Error),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(statement)
        self.assertEqual(entry.outcome, "allowed")

    def test_the_orm_refuses_every_change(self):
        entry = self._entry().sudo()
        for change in (
            lambda: entry.write({"outcome": "refused"}),
            lambda: entry.unlink(),
            lambda: entry.copy(),
            lambda: entry.create({"request_id": "x"}),
        ):
            with self.assertRaises(UserError):
                change()


@tagged("post_install", "-at_install")
class TestFastCheck(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.secret = cls.env["res.users.apikeys"].with_user(cls.owner)._generate(None, "a key", _in_days(1))
        cls.companion = cls.env["api.credential"]._of_secret(cls.secret, cls.owner)

    def _slow_checks(self, secret):
        """How often is the slow hash derived to identify `secret`, and does it find the key?"""
        with patch.object(api_identity, "KEY_CRYPT_CONTEXT", wraps=api_identity.KEY_CRYPT_CONTEXT) as context:
            found = self.env["api.identity"]._of_key(self.env.cr, secret)
        return context.verify.call_count, found.key_id

    def test_a_key_made_with_the_guard_never_needs_the_slow_hash(self):
        key_id = self.companion.apikey_id.id
        self.assertEqual(self._slow_checks(self.secret), (0, key_id))
        self.assertEqual(self._slow_checks(self.secret[:8] + "0" * 32), (0, None))
        self.assertEqual(self._slow_checks("f" * 40), (0, None))

    def test_a_key_from_before_the_guard_needs_it_until_it_was_used(self):
        self.env.cr.execute("UPDATE api_credential SET secret_check = NULL WHERE id = %s", [self.companion.id])
        key_id = self.companion.apikey_id.id
        self.assertEqual(self._slow_checks(self.secret), (1, key_id))
        identity = self.env["api.identity"]._of_key(self.env.cr, self.secret)
        self.env["api.credential"]._write_check(self.env.cr, self.companion.id, self.secret, identity.unchecked_hash)
        self.assertEqual(self._slow_checks(self.secret), (0, key_id))

    def test_another_stored_hash_makes_the_check_say_nothing(self):
        other = api_identity.KEY_CRYPT_CONTEXT.hash("e" * 40)
        self.env.cr.execute("UPDATE res_users_apikeys SET key = %s WHERE id = %s", [other, self.companion.apikey_id.id])
        self.assertEqual(self._slow_checks(self.secret), (1, None))

    def test_a_chosen_secret_gets_no_fast_check(self):
        stored = api_identity.KEY_CRYPT_CONTEXT.hash("chosen by hand")
        self.env.cr.execute(
            "INSERT INTO res_users_apikeys (name, user_id, index, key) VALUES ('weak', %s, 'chosen b', %s)"
            " RETURNING id",
            [self.owner.id, stored],
        )
        [key_id] = self.env.cr.fetchone()
        companion = self.env["api.credential"].search([("apikey_id", "=", key_id)])
        self.env["api.credential"]._write_check(self.env.cr, companion.id, "chosen by hand", stored)
        self.assertEqual(self._slow_checks("chosen by hand"), (1, key_id))
