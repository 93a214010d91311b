"""Who sets up a key's second factor, and what is kept of it?"""

from datetime import datetime, timedelta, timezone
from unittest.mock import patch

import pyotp
from odoo.exceptions import AccessError, UserError
from odoo.tests.common import TransactionCase, new_test_user, tagged

from ..core.verdict import Reason
from ..exceptions import Refused
from ..models import api_second_factor, vault
from ..seams.exchange import Exchange, bind
from .test_vault import ONE, TWO, Places

UTC_NOW = "now() AT TIME ZONE 'utc'"


def _now():
    return datetime.now(timezone.utc)


@tagged("post_install", "-at_install")
class TestSecondFactor(Places, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.other = new_test_user(cls.env, "bob", groups="base.group_user")
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor")
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager")
        cls.secret = cls.env["res.users.apikeys"].with_user(cls.owner).sudo()._generate("rpc", "Robot", None)
        cls.key = cls.env["api.credential"]._of_secret(cls.secret, cls.owner)
        cls.factors = cls.env["api.second.factor"]

    def setUp(self):
        super().setUp()
        self.options[vault.OPTION] = ONE

    def _wizard(self, user=None):
        key = self.key.with_user(user or self.owner)
        return key.env["api.second.factor.enroll"].browse(key._set_up_second_factor()["res_id"])

    def _set_up(self, user=None):
        """Set it up; its secret and its recovery codes."""
        wizard = self._wizard(user)
        secret = wizard.secret
        shown = wizard._confirm(pyotp.TOTP(secret).now())
        self.key.invalidate_recordset()
        return secret, shown["context"]["default_codes"].split("\n")

    def _refusal(self, code, at=None):
        at = at or _now()
        return self.factors._refusal_of(self.env.cr, self.key.id, code, at)[0]

    def _next_code(self, secret):
        """A code that was not used: that of the step after this one."""
        return pyotp.TOTP(secret).at(_now() + timedelta(seconds=30))

    def _row(self):
        self.env.cr.execute(
            f"SELECT *, EXTRACT(EPOCH FROM locked_until - {UTC_NOW}) / 60 AS minutes"  # noqa: S608
            " FROM api_second_factor WHERE lineage_id = %s",
            [self.key.id],
        )
        return next(iter(self.env.cr.dictfetchall()), None)

    # ------------------------------------------------------------------ set-up

    def test_an_owner_sets_it_up_with_a_code_and_sees_ten_recovery_codes(self):
        secret, codes = self._set_up()
        self.assertEqual(len(set(codes)), 10)
        self.assertTrue(self.key.second_factor_set_up_at)
        self.assertEqual(self.key.recovery_codes_left, 10)
        kept = str(self._row())
        self.assertNotIn(secret, kept)
        self.assertFalse([code for code in codes if code in kept or code.replace("-", "") in kept])
        self.assertFalse(self.env["api.second.factor.enroll"].sudo().search([("credential_id", "=", self.key.id)]))

    def test_the_picture_is_of_the_address_that_apps_read(self):
        wizard = self._wizard()
        parsed = pyotp.parse_uri(wizard.address)
        self.assertEqual((parsed.secret, parsed.digits, parsed.interval), (wizard.secret, 6, 30))
        self.assertEqual(parsed.issuer, self.owner.company_id.name)
        self.assertTrue(wizard.picture)

    def test_a_secret_without_its_first_code_opens_nothing_and_replaces_nothing(self):
        secret, _codes = self._set_up()
        wizard = self._wizard()
        self.assertNotEqual(wizard.secret, secret)
        for code in ("", None, "000000x", pyotp.TOTP(secret).now()):
            with self.subTest(code), self.assertRaises(UserError):
                wizard._confirm(code)
        self.assertEqual(self._refusal(self._next_code(wizard.secret)), Reason.CODE_WRONG)
        self.assertIsNone(self._refusal(self._next_code(secret)))

    def test_the_code_that_confirmed_it_is_used(self):
        secret, _codes = self._set_up()
        self.assertEqual(self._refusal(pyotp.TOTP(secret).now()), Reason.CODE_REUSED)

    def test_setting_it_up_anew_ends_the_former_secret_and_codes(self):
        secret, codes = self._set_up()
        self._set_up(self.manager)
        self.assertEqual(self._refusal(self._next_code(secret)), Reason.CODE_WRONG)
        self.assertEqual(self._refusal(codes[0]), Reason.CODE_WRONG)

    def test_others_set_up_remove_and_unlock_nothing(self):
        self._set_up()
        for user in (self.other, self.auditor):
            key = self.key.with_user(user)
            for action in (key._set_up_second_factor, key._remove_second_factor, key.action_unlock_second_factor):
                with self.subTest(user.login, action=action.__name__), self.assertRaises(AccessError):
                    action()
        with self.assertRaises(AccessError):
            self.key.with_user(self.owner).action_unlock_second_factor()
        self.assertTrue(self._row())

    def test_its_owner_removes_it(self):
        secret, _codes = self._set_up()
        self.key.with_user(self.owner)._remove_second_factor()
        self.assertEqual(self._refusal(self._next_code(secret)), Reason.CODE_NOT_ENROLLED)
        self.assertFalse(self.key.second_factor_set_up_at)

    def test_a_key_that_is_gone_gets_none_and_loses_the_one_it_had(self):
        self._set_up()
        self.factors._gc_ended()
        self.assertTrue(self._row())
        self.key.with_user(self.owner)._revoke()
        with self.assertRaises(UserError):
            self.key.with_user(self.owner)._set_up_second_factor()
        self.factors._gc_ended()
        self.assertFalse(self._row())

    def test_a_program_neither_reads_nor_confirms_nor_removes(self):
        wizard = self._wizard()
        secret = wizard.secret
        wizard.invalidate_recordset()
        exchange = Exchange()
        exchange.running = True
        bind(exchange, self.env.cr)
        self.addCleanup(bind, None, self.env.cr)
        for action in (
            lambda: wizard.secret,
            lambda: wizard._confirm(pyotp.TOTP(secret).now()),
            self.key.with_user(self.owner)._set_up_second_factor,
            self.key.with_user(self.owner)._remove_second_factor,
            self.key.with_user(self.manager).action_unlock_second_factor,
        ):
            with self.assertRaises(Refused):
                action()

    def test_without_the_vaults_key_nothing_is_set_up_and_no_code_passes(self):
        secret, _codes = self._set_up()
        self.options[vault.OPTION] = TWO
        self.assertEqual(self._refusal(self._next_code(secret)), Reason.VAULT_UNREADABLE)
        self.options[vault.OPTION] = None
        self.assertEqual(self._refusal(self._next_code(secret)), Reason.VAULT_UNREADABLE)
        with self.assertRaises(UserError):
            self.key.with_user(self.owner)._set_up_second_factor()

    # ------------------------------------------------------------------- codes

    def test_five_wrong_codes_lock_it_for_twice_as_long_each_time(self):
        secret, codes = self._set_up()
        for minutes in (15, 30, 60, 120, 240, 480, 960, 1440, 1440):
            reasons = [self._refusal("wrong") for _attempt in range(6)]
            self.assertEqual(reasons, [Reason.CODE_WRONG] * 5 + [Reason.CODE_LOCKED])
            self.assertAlmostEqual(float(self._row()["minutes"]), minutes, delta=1)
            self.assertEqual(self._refusal(self._next_code(secret)), Reason.CODE_LOCKED)
            self.assertEqual(self._refusal(codes[0]), Reason.CODE_LOCKED)
            self.env.cr.execute(f"UPDATE api_second_factor SET locked_until = {UTC_NOW} - interval '1 s'")  # noqa: S608
        self.assertIsNone(self._refusal(self._next_code(secret)))
        row = self._row()
        self.assertEqual((row["failures"], row["locks"], row["locked_until"]), (0, 0, None))

    def test_a_right_code_forgives_the_wrong_ones_before_it(self):
        secret, codes = self._set_up()
        for right in (self._next_code(secret), codes[0], codes[1]):
            for _attempt in range(4):
                self._refusal("000000x")
            self.assertIsNone(self._refusal(right))

    def test_a_used_code_is_no_failure(self):
        secret, _codes = self._set_up()
        self.assertEqual({self._refusal(pyotp.TOTP(secret).now()) for _attempt in range(9)}, {Reason.CODE_REUSED})
        self.assertEqual(self._row()["failures"], 0)

    def test_a_manager_unlocks(self):
        secret, _codes = self._set_up()
        for _attempt in range(5):
            self._refusal("wrong")
        self.key.invalidate_recordset()
        self.assertTrue(self.key.second_factor_locked_until)
        self.key.with_user(self.manager).action_unlock_second_factor()
        self.assertFalse(self.key.second_factor_locked_until)
        self.env.flush_all()
        self.assertIsNone(self._refusal(self._next_code(secret)))

    def test_a_recovery_code_stands_in_once(self):
        _secret, codes = self._set_up()
        self.assertIsNone(self._refusal(codes[0].lower().replace("-", "")))
        self.assertEqual(self._refusal(codes[0]), Reason.CODE_WRONG)
        self.assertIsNone(self._refusal(codes[1]))
        self.key.invalidate_recordset()
        self.assertEqual(self.key.recovery_codes_left, 8)

    def test_a_clock_that_is_off_is_told_to_the_log(self):
        secret, _codes = self._set_up()
        at = _now()
        code = pyotp.TOTP(secret).at(at - timedelta(minutes=10))
        told = self.factors._refusal_of(self.env.cr, self.key.id, code, at)
        self.assertEqual(told, (Reason.CODE_WRONG, "the caller's clock seems 10 minutes behind"))

    def test_the_greatest_lock_is_a_day(self):
        self.assertLess(api_second_factor.FIRST_LOCK * 2**10, 2**31)

    # ---------------------------------------------------------------- policies

    def test_a_scope_that_demands_a_code_cannot_be_deleted(self):
        scope = self.env["api.scope"].create({"name": "Deleting", "line_ids": [(0, 0, {
            "model_pattern": "*", "allow_read": False, "allow_unlink": True})]})  # fmt: skip
        policy = self.env["api.policy"].create({"name": "Careful", "second_factor_scope_ids": scope.ids})
        self.assertEqual([line.pattern for line in policy._compiled().second_factor], ["*"])
        self.assertIsNone(policy._compiled().scopes)
        before = policy.fingerprint
        scope.line_ids.model_pattern = "res.*"
        self.assertNotEqual(policy.fingerprint, before)
        scope.active = False
        with self.assertRaises(UserError):
            scope.unlink()
        self.key.policy_id = policy
        self.env.flush_all()
        self.assertTrue(self.key.needs_second_factor)
        self.assertIn("A second factor is needed for", self.key.effective_rule)

    def test_an_owner_without_two_factors_makes_no_key_under_a_policy_that_wants_them(self):
        strict = self.env["api.policy"].create({"name": "Strict", "require_mfa": True, "is_selectable": True})
        none = self.env["api.policy"]
        wizard = self.env["res.users.apikeys.description"].with_user(self.owner).create({"name": "x", "duration": "1"})
        wizard._require_two_factor(none)
        with self.assertRaisesRegex(UserError, "Strict"):
            wizard._require_two_factor(strict)
        self.owner.api_policy_id = strict
        with self.assertRaises(UserError):
            wizard._require_two_factor(none)
        self.owner.api_policy_id = False
        self.env["ir.config_parameter"].set_param("api_guard.baseline_policy_id", str(strict.id))
        with self.assertRaises(UserError):
            wizard._require_two_factor(none)
        with patch.object(type(self.owner), "_mfa_type", return_value="totp"):
            wizard._require_two_factor(strict)
        strict.mode = "monitor"
        wizard._require_two_factor(strict)
