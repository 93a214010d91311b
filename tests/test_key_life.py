"""What becomes of a key: approval, reminders, disuse, bots, many at once, and copies of the database."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessDenied, AccessError, UserError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import Form
from odoo.tests.common import TransactionCase, new_test_user, tagged

from ..core.call import State
from ..core.secret import is_well_formed
from ..core.verdict import Reason

NOW = fields.Datetime.now().replace(microsecond=0)
DAY = timedelta(days=1)


class LifeCase(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = new_test_user(cls.env, "ada", groups="base.group_user", email="ada@example.com")
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager", email="mia@example.com")
        cls.provisioner = new_test_user(cls.env, "pia", groups="api_guard.group_provisioner")
        cls.bot = new_test_user(cls.env, "bot", groups="base.group_user")
        cls.bot.api_only = True

    def _policy(self, name="P", **values):
        return self.env["api.policy"].create({"name": name, "responsible_id": self.manager.id, **values})

    def _key(self, policy=None, user=None, name="a key", days=90):
        keys = self.env["res.users.apikeys"].with_user(user or self.owner).sudo()
        keys = keys.with_context(api_guard_policy_id=policy.id if policy else False)
        secret = keys._generate(None, name, NOW + days * DAY)
        return secret, self.env["api.credential"]._of_secret(secret, user or self.owner)

    def _identify(self, secret):
        self.env.flush_all()
        return self.env["api.identity"]._of_key(self.env.cr, secret)

    def _told(self, user, since):
        """Subjects of what was sent to `user` after the message `since`."""
        messages = self.env["mail.message"].search([("id", ">", since), ("partner_ids", "in", user.partner_id.ids)])
        return messages.sorted("id").mapped("subject")

    def _last_message(self):
        return self.env["mail.message"].search([], order="id desc", limit=1).id or 0

    def _show(self, action):
        """The secret that a window shows."""
        self.assertEqual(action["res_model"], "res.users.apikeys.show")
        return action["context"]["default_key"]


@tagged("post_install", "-at_install")
class TestApproval(LifeCase):
    def test_a_key_under_such_a_policy_waits(self):
        policy, since = self._policy(needs_approval=True), self._last_message()
        secret, key = self._key(policy)
        self.assertEqual((key.state, key.status), ("pending", "pending"))
        self.assertIs(self._identify(secret).credential.state, State.PENDING)
        self.assertEqual(key.activity_ids.user_id, self.manager)
        [told] = self._told(self.manager, since)
        self.assertIn("Approve or reject", told)
        with self.assertRaises(AccessError):
            key.with_user(self.owner).action_approve()
        with self.assertRaises(UserError):
            key._rotate()
        key.with_user(self.manager).action_approve()
        self.assertIs(self._identify(secret).credential.state, State.ACTIVE)
        self.assertEqual((key.approved_by_id, len(key.activity_ids)), (self.manager, 0))
        self.assertEqual(self._told(self.owner, since), ["Your API key “a key” was approved"])

    def test_what_a_key_is_called_is_no_html(self):
        _secret, key = self._key(self._policy(needs_approval=True), name="<a href='https://evil.example'>Approve</a>")
        self.assertNotIn("<a", key.activity_ids.note)

    def test_a_rejected_key_is_revoked(self):
        secret, key = self._key(self._policy(needs_approval=True))
        key.with_user(self.manager).action_reject()
        self.assertEqual((key.state, bool(key.apikey_id)), ("revoked", False))
        self.assertIs(self._identify(secret).credential.state, State.REVOKED)

    def test_every_policy_that_applies_may_ask_for_it(self):
        policy = self._policy(needs_approval=True)
        self.env["ir.config_parameter"].sudo().set_param("api_guard.baseline_policy_id", policy.id)
        self.assertEqual(self._key()[1].state, "pending")
        self.env["ir.config_parameter"].sudo().set_param("api_guard.baseline_policy_id", False)
        self.owner.sudo().api_policy_id = policy
        self.assertEqual(self._key()[1].state, "pending")
        self.assertEqual(self._key(policy, user=self.manager)[1].state, "active")

    def test_a_successor_needs_none(self):
        policy = self._policy()
        _secret, key = self._key(policy)
        policy.needs_approval = True
        _secret, successor = key._rotate()
        self.assertEqual(successor.state, "active")


@tagged("post_install", "-at_install")
class TestReminders(LifeCase):
    def _age(self, key, days):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE res_users_apikeys SET create_date = %s WHERE id = %s", [NOW - days * DAY, key.apikey_id.id]
        )
        key._set_raw(key_created_at=NOW - days * DAY)

    def test_the_owner_is_reminded_by_the_schedule_and_the_responsible_has_an_activity(self):
        _secret, key = self._key(self._policy(rotation_days=30, reminder_days="14, 7, 1"))
        since, sent = self._last_message(), []
        for age in range(10, 32):
            self._age(key, age)
            key._live_on(NOW)
            sent.append(len(self._told(self.owner, since)))
        self.assertEqual([age for age in range(11, 32) if sent[age - 10] > sent[age - 11]], [16, 23, 29])
        self.assertEqual(key.activity_ids.user_id, self.manager)
        self.assertEqual(len(key.activity_ids), 1)

    def test_a_rotation_ends_the_reminders(self):
        _secret, key = self._key(self._policy(rotation_days=30))
        self._age(key, 29)
        key._live_on(NOW)
        self.assertTrue(key.activity_ids)
        key._rotate()
        since = self._last_message()
        key._live_on(NOW)
        self.assertFalse(key.activity_ids)
        self.assertFalse(self._told(self.owner, since))

    def test_the_preferences_tell_what_is_due(self):
        _secret, key = self._key(self._policy(rotation_days=30), name="Shop")
        me = self.owner.with_user(self.owner)
        self.assertFalse(me.api_key_notice)
        for age, words in ((20, "“Shop” has to be rotated by"), (40, "“Shop” was to be rotated by")):
            self._age(key, age)
            me.invalidate_recordset()
            self.assertIn(words, me.api_key_notice)

    def test_a_key_that_is_unused_is_announced_and_then_suspended(self):
        secret, key = self._key(self._policy(max_idle_days=30, reminder_days="7"))
        since = self._last_message()
        for idle, state, told in ((22, "active", 0), (24, "active", 1), (25, "active", 1), (31, "suspended", 2)):
            self._age(key, 100)
            key._set_raw(last_used_at=NOW - idle * DAY)
            key._live_on(NOW)
            self.assertEqual((key.state, len(self._told(self.owner, since))), (state, told), idle)
        self.assertEqual(key.suspension, "idle")
        key.with_user(self.manager).action_resume()
        self.assertFalse(key.suspension)
        key._live_on(NOW + DAY)
        self.assertEqual(key.state, "active")
        self.assertGreater(self._identify(secret).credential.last_used.replace(tzinfo=None), NOW - DAY)

    def test_a_policy_that_monitors_suspends_nobody(self):
        _secret, key = self._key(self._policy(mode="monitor", max_idle_days=30))
        self._age(key, 100)
        key._live_on(NOW)
        self.assertEqual(key.state, "active")

    def test_what_has_retired_is_marked_and_stays(self):
        _secret, key = self._key()
        key._rotate(retires_at=NOW - DAY)
        self.assertEqual(key.status, "retired")
        self.env["api.credential"].browse(key.id)._live_on(NOW)
        self.assertEqual((key.state, key.status, bool(key.apikey_id)), ("retired", "retired", True))
        self.assertIn(key, self.env["api.credential"].search([("status", "=", "retired")]))
        self.assertNotIn(key, self.env["api.credential"].search([("status", "=", "active")]))

    def test_the_schedule_is_read_or_refused(self):
        for text, days in (("14, 7, 1", [14, 7, 1]), ("1 7,14 7", [14, 7, 1]), ("", []), (False, [])):
            self.assertEqual(self._policy(f"P {text}", reminder_days=text)._reminders(), days)
        for text in ("soon", "-1", "0", "1.5", "٣", "99999999"):
            with self.assertRaises(ValidationError):
                self._policy(f"P {text}", reminder_days=text)
        for hours in (-1, 10_000):
            with self.assertRaises(ValidationError):
                self._policy(grace_hours=hours)


@tagged("post_install", "-at_install")
class TestRotation(LifeCase):
    def test_the_successor_lives_as_long_as_its_predecessor_did(self):
        _secret, key = self._key(days=10)
        key._set_raw(key_created_at=NOW - 5 * DAY, expires_at=NOW + 5 * DAY)
        _secret, successor = key._rotate()
        self.assertAlmostEqual(successor.expires_at, fields.Datetime.now() + 10 * DAY, delta=timedelta(seconds=5))

    def test_a_lost_successor_can_be_revoked_and_made_anew(self):
        _secret, key = self._key()
        _secret, first = key._rotate()
        again, heir = key._rotate()
        self.assertEqual((again, heir), (None, first))
        first.sudo()._revoke()
        secret, second = key._rotate()
        self.assertTrue(is_well_formed(secret))
        self.assertNotEqual(first, second)
        self.assertEqual(second.lineage_id, key.id)

    def test_a_secret_is_shown_to_owners_and_of_bots_to_provisioners(self):
        _secret, key = self._key()
        _secret, bots = self._key(user=self.bot)
        for credential, user, may in (
            (key, self.owner, True), (key, self.manager, False), (key, self.provisioner, False),
            (bots, self.provisioner, True), (bots, self.manager, True), (bots, self.owner, False),
        ):  # fmt: skip
            if may:
                self.assertTrue(credential.with_user(user).can_rotate)
                credential.with_user(user)._check_may_hold_secret()
            else:
                with self.assertRaises(AccessError):
                    credential.with_user(user)._check_may_hold_secret()

    def test_nobody_becomes_an_administrator_by_a_bots_key(self):
        self.bot.group_ids += self.env.ref("base.group_system")
        _secret, key = self._key(user=self.bot)
        with self.assertRaises(AccessError):
            key.with_user(self.provisioner)._check_may_hold_secret()
        with self.assertRaises(AccessError):
            self.env["api.key.provision"].with_user(self.provisioner)._check_bot(self.bot)
        key.with_user(self.env.ref("base.user_admin"))._check_may_hold_secret()

    def test_an_archived_owners_key_is_not_rotated_by_itself(self):
        secret, _key = self._key()
        self.owner.action_archive()
        self.assertIs(self._identify(secret).refusal.reason, Reason.USER_INACTIVE)

    def test_the_family_is_shown_as_a_tree(self):
        _secret, key = self._key(name="Root")
        _secret, child = self._key(name="Child")
        child._adopt(parent_id=key.id)
        _secret, successor = key._rotate()
        for member in (key, child, successor):
            member.invalidate_recordset()
            rows = list(member._family_rows())
            tree = [(row["id"], row["depth"]) for row in rows]
            self.assertEqual(tree, [(key.id, 0), (successor.id, 0), (child.id, 1)])
            self.assertEqual([row["id"] for row in rows if row["is_self"]], [member.id])
            self.assertIn("Child", member.family)
        self.assertFalse(self._key()[1].family)

    def test_a_policy_that_keys_use_stays(self):
        policy = self._policy()
        self._key(policy)
        with self.assertRaises(UserError):
            policy.unlink()


    def test_what_a_stolen_key_has_made_is_suspended_with_it(self):
        for by_hand, suspension, states in (
            (False, "manager", ["suspended", "suspended"]),
            (True, "manager", ["suspended", "active"]),
            (True, "pasted", ["suspended", "suspended"]),
        ):
            secret, key = self._key()
            _secret, heir = key._rotate(presented=None if by_hand else secret)
            key.with_user(self.manager).sudo()._suspend_for(suspension)
            self.assertEqual([member.state for member in key | heir], states)

    def test_a_retired_keys_successor_is_not_suspended_for_it(self):
        secret, key = self._key()
        _secret, heir = key._rotate(presented=secret, retires_at=NOW - DAY)
        key._suspend_for("pasted")
        self.assertEqual(heir.state, "active")
        self.env["api.credential"]._suspend_leaked(self.env.cr, key.id)
        self.env.invalidate_all()
        self.assertEqual(heir.state, "active")

    def test_a_revoked_key_takes_along_what_it_made_and_nobody_used(self):
        for by_hand, state in ((False, "revoked"), (True, "active")):
            secret, key = self._key()
            _secret, heir = key._rotate(presented=None if by_hand else secret)
            key._revoke()
            self.assertEqual(heir.state, state)

    def test_an_end_that_was_settled_is_not_put_off(self):
        _secret, key = self._key()
        _secret, first = key._rotate(retires_at=NOW + DAY)
        first._revoke()
        key._rotate(retires_at=NOW + 2 * DAY)
        self.assertEqual(key.retires_at, NOW + DAY)

    def test_a_key_that_was_replaced_does_not_replace_itself_once_more(self):
        secret, key = self._key()
        _secret, first = key._rotate(presented=secret)
        child = self._key()[1]
        child._adopt(parent_id=key.id)
        self.env["api.credential"]._write_succession(self.env.cr, key.id)
        self.env.invalidate_all()
        self.assertEqual(child.parent_id, first)
        first._revoke()
        with self.assertRaises(UserError):
            key._rotate(presented=secret)
        _secret, second = key._rotate()
        self.assertEqual(child.parent_id, second)

    def test_rotating_itself_a_key_outlives_no_greatest_age(self):
        secret, key = self._key(self._policy(max_age_days=30), days=90)
        _secret, heir = key._rotate(presented=secret)
        self.assertEqual(heir.expires_at, key.key_created_at + 30 * DAY)

    def test_owners_do_not_choose_a_longer_grace(self):
        policy = self._policy(rotation_days=30, grace_hours=1)
        for user in (self.owner, self.manager):
            _secret, key = self._key(policy, user=user)
            wizard = self.env["api.key.rotate"].with_user(user).create({"credential_id": key.id})
            if user == self.manager:
                wizard._check_chosen_end(NOW + DAY)
                continue
            with self.assertRaises(UserError):
                wizard._check_chosen_end(NOW + DAY)


@tagged("post_install", "-at_install")
class TestWizards(LifeCase):
    def test_every_wizard_belongs_to_who_opened_it(self):
        """Odoo lets everybody with access to a wizard's model read and change everybody's."""
        ours = [name for name, model in self.env.items() if name.startswith("api.") and model._transient]
        self.assertGreaterEqual(len(ours), 6)
        for name in ours:
            rules = self.env["ir.rule"].search([("model_id.model", "=", name), ("groups", "=", False)])
            self.assertIn("create_uid", "".join(rules.mapped("domain_force")), name)

    def test_nobody_else_reads_a_drawn_secret(self):
        _secret, key = self._key()
        action = key.with_user(self.owner)._set_up_second_factor()
        wizard = self.env[action["res_model"]].browse(action["res_id"])
        self.assertTrue(wizard.with_user(self.owner).secret)
        for user in (self.provisioner, self.manager):
            with self.assertRaises(AccessError):
                wizard.with_user(user).read(["secret"])
        with self.assertRaises(AccessError):
            wizard.with_user(self.owner).read(["sealed"])

    def test_a_rotation_is_of_a_key_that_one_may_rotate(self):
        _secret, own = self._key()
        _secret, other = self._key(user=self.manager)
        wizard = self.env["api.key.rotate"].with_user(self.owner).create({"credential_id": own.id})
        with self.assertRaises(AccessError):
            wizard.credential_id = other


@tagged("post_install", "-at_install")
class TestBots(LifeCase):
    def test_a_bot_has_no_password_and_does_not_log_in(self):
        with self.assertRaises(UserError):
            self.bot.password = "a password"
        with self.assertRaises(UserError):
            new_test_user(self.env, "bot2", api_only=True)  # it brings a password along
        for kind in ("password", "webauthn", "oauth_token"):
            with self.assertRaises(AccessDenied):
                self.bot.with_user(self.bot)._check_credentials(
                    {"type": kind, "login": "bot", "password": "bot"}, {"interactive": True})
        self.assertTrue(self.bot._rpc_api_keys_only())
        self.env.cr.execute("SELECT password FROM res_users WHERE id = %s", [self.bot.id])
        self.assertEqual(self.env.cr.fetchone(), (None,))

    def test_whoever_becomes_a_bot_is_logged_out(self):
        self.assertTrue(self.owner._compute_session_token("a session"))
        self.owner.api_only = True
        self.env.flush_all()
        self.assertFalse(self.owner._compute_session_token("a session"))

    def test_an_addon_that_checks_credentials_by_itself_lets_no_bot_in(self):
        """As auth_oauth, which is loaded later and does not come by here."""
        users = self.env.registry["res.users"]
        accepted = {"uid": self.bot.id, "auth_method": "oauth", "mfa": "default"}
        with patch.object(users, "_check_credentials", lambda *_: accepted), self.assertRaises(AccessDenied):
            self.env["res.users"]._login({"type": "oauth_token", "login": "bot", "token": "x"}, {"interactive": True})

    def test_a_provisioner_rotates_only_what_they_could_have_made(self):
        own, hidden = self._policy("Own"), self._policy("Hidden")
        _secret, wide = self._key(user=self.bot)
        _secret, unoffered = self._key(hidden, user=self.bot)
        wide.with_user(self.provisioner)._check_may_hold_secret()
        with self.assertRaises(AccessError):
            unoffered.with_user(self.provisioner)._check_may_hold_secret()
        self.provisioner.sudo().api_policy_id = own
        with self.assertRaises(AccessError):
            wide.with_user(self.provisioner)._check_may_hold_secret()
        wide._set_raw(bound_policy_id=own.id)
        wide.with_user(self.provisioner)._check_may_hold_secret()

    def test_a_provisioner_revokes_bots_keys(self):
        _secret, key = self._key(user=self.bot)
        _secret, other = self._key()
        key.with_user(self.provisioner)._revoke()
        self.assertEqual(key.state, "revoked")
        with self.assertRaises(AccessError):
            other.with_user(self.provisioner)._revoke()

    def _provision(self, user=None, **values):
        wizard = self.env["api.key.provision"].with_user(user or self.provisioner).create(
            {"user_id": self.bot.id, "name": "Shop", **values})
        return self._identify(self._show(wizard._make_key()))

    def test_a_provisioner_makes_keys_for_bots_under_their_own_policy(self):
        own, chosen = self._policy("Own"), self._policy("Chosen", is_selectable=True)
        self.provisioner.sudo().api_policy_id = own
        identity = self._provision(policy_id=chosen.id)
        self.assertEqual((identity.uid, identity.login), (self.bot.id, "bot"))
        self.assertEqual({policy.name for policy in identity.policies}, {"Own", "Chosen"})
        key = self.env["api.credential"].browse(identity.credential_id)
        self.assertEqual(key.provisioned_by_id, self.provisioner)
        self.assertEqual(key.with_user(self.provisioner).name, "Shop")  # may be read
        _secret, successor = key._rotate()
        self.assertEqual(successor.bound_policy_id, own)

    def test_what_a_provisioner_may_not(self):
        hidden = self._policy("Hidden")
        with self.assertRaises(AccessError):
            self._provision(policy_id=hidden.id)
        with self.assertRaises(UserError):
            self._provision(user_id=self.owner.id)
        with self.assertRaises(UserError):
            self._provision(days=-1)
        with self.assertRaises(AccessError):
            self._provision(user=self.owner)
        self.bot.action_archive()
        with self.assertRaises(UserError):
            self._provision()


@tagged("post_install", "-at_install")
class TestMany(LifeCase):
    def _bulk(self, user=None, **values):
        wizard = self.env["api.key.bulk"].with_user(user or self.manager).create(values)
        return wizard.count, wizard.action_apply()

    def test_keys_of_a_user_a_policy_or_everybody(self):
        policy = self._policy()
        _secret, one = self._key(policy)
        _secret, two = self._key()
        _secret, other = self._key(policy, user=self.bot)
        by = NOW + 10 * DAY
        count, _done = self._bulk(target="user", user_id=self.owner.id, action="rotate", rotate_by=by)
        self.assertEqual((count, one.rotate_by, two.rotate_by, other.rotate_by), (2, by, by, False))
        self.assertEqual(one.rotation_deadline, by)
        self._bulk(target="policy", policy_id=policy.id, action="suspend")
        self.assertEqual([key.state for key in one | two | other], ["suspended", "active", "suspended"])
        self._bulk(target="all", action="resume")
        self.assertEqual({key.state for key in one | two | other}, {"active"})
        self._bulk(target="selected", credential_ids=two.ids, action="suspend")
        self.assertEqual([key.state for key in one | two | other], ["active", "suspended", "active"])

    def test_bad_input_has_a_clear_answer(self):
        self._key()
        for values in (
            {"target": "user", "user_id": self.manager.id, "action": "suspend"},
            {"target": "all", "action": "rotate"},
            {"target": "all", "action": "rotate", "rotate_by": NOW - DAY},
        ):
            with self.assertRaises(UserError):
                self._bulk(**values)
        with self.assertRaises(AccessError):
            self._bulk(user=self.owner, target="all", action="suspend")


    def test_what_others_may_have_is_not_resumed_with_all(self):
        for suspension in ("leaked", "pasted", "family"):
            _secret, key = self._key()
            key._suspend_for(suspension)
            with self.assertRaises(UserError):
                self._bulk(target="selected", credential_ids=key.ids, action="resume")
            key.with_user(self.manager).action_resume()
            self.assertEqual(key.state, "active")


@tagged("post_install", "-at_install")
class TestForm(LifeCase):
    def test_a_key_is_given_a_policy_on_its_form(self):
        _secret, key = self._key(self._policy(rotation_days=30))
        other = self._policy("Other", rotation_days=10)
        with Form(key.with_user(self.manager)) as form:
            form.policy_id = other
        self.assertEqual((key.policy_id, key.rotation_deadline), (other, key.key_created_at + 10 * DAY))

    def test_a_copied_scope_is_in_no_policy(self):
        scope = self.env["api.scope"].create({"name": "S"})
        self._policy(scope_ids=[(4, scope.id)], second_factor_scope_ids=[(4, scope.id)])
        self.assertEqual((scope.policy_count, scope.copy().policy_count), (1, 0))

    def test_who_made_a_bots_key_is_told_what_became_of_it(self):
        _secret, key = self._key(self._policy(needs_approval=True), user=self.bot)
        key._set_raw(provisioned_by_id=self.provisioner.id)
        since = self._last_message()
        key.with_user(self.manager).action_approve()
        self.assertEqual(self._told(self.provisioner, since), ["Your API key “a key” was approved"])
        self.assertFalse(self._told(self.bot, since))


@tagged("post_install", "-at_install")
class TestCopies(LifeCase):
    def _reason(self, secret):
        refusal = self._identify(secret).refusal
        return refusal and refusal.reason

    def test_a_neutralized_copy_has_keys_of_its_own(self):
        secret, _key = self._key()
        self.assertIsNone(self._reason(secret))
        for query in get_neutralization_queries(["api_guard"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        self.assertIs(self._reason(secret), Reason.DATABASE_COPIED)
        self.assertIsNone(self._reason(self._key()[0]))
        self.assertFalse(self.env.ref("api_guard.cron_life").active)

    def test_a_copy_with_another_identity_does_not_know_the_keys(self):
        secret, _key = self._key()
        self.env["ir.config_parameter"].sudo().set_param("database.uuid", "another")
        self.assertIs(self._reason(secret), Reason.DATABASE_COPIED)
        self.env["api.credential"].init()  # an update does not adopt them
        self.assertIs(self._reason(secret), Reason.DATABASE_COPIED)

    def test_another_name_has_to_be_confirmed(self):
        secret, _key = self._key()
        parameters = self.env["ir.config_parameter"].sudo()
        for name in ("the original", False):
            parameters.set_param("api_guard.database_name", name)
            self.assertIs(self._reason(secret), Reason.DATABASE_COPIED)
            settings = self.env["res.config.settings"].create({})
            self.assertTrue(settings.api_guard_is_copy)
            with self.assertRaises(AccessError):
                settings.with_user(self.manager).action_api_guard_confirm_database()
            settings.action_api_guard_confirm_database()
            self.assertIsNone(self._reason(secret))
