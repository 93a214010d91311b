"""Are people told once of what happens often, and nobody but managers says that it was seen?"""

from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..core.alert import Severity, Signal
from ..core.verdict import Deny, Reason
from ..exceptions import Refused
from ..models.api_guard import ApiGuard


class AlertCase(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.alerts = cls.env["api.alert"]
        cls.owner = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor")
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager", email="mia@example.com")
        keys = cls.env["res.users.apikeys"].with_user(cls.owner).sudo()
        secrets = [keys._generate("rpc", f"key {number}", None) for number in range(2)]
        cls.key, cls.other = (cls.env["api.credential"]._of_secret(secret, cls.owner) for secret in secrets)

    def setUp(self):
        super().setUp()
        self.env.cr.execute("DELETE FROM api_alert")  # what the database's own searches found
        self.env.invalidate_all()

    def _raise(self, signal=Signal.KEY_LEAKED, key=None, **more):
        self.alerts._raise(self.env.cr, signal, (key or self.key).id, self.owner.id, **more)
        self.env.invalidate_all()
        return self.alerts.search([], order="id desc", limit=1)


@tagged("post_install", "-at_install")
class TestRaise(AlertCase):
    def test_an_alert_says_what_whose_and_where_from(self):
        alert = self._raise(peer="192.0.2.7", request_id="abc", detail="somewhere")
        self.assertEqual(
            (alert.code, alert.severity, alert.credential_id, alert.user_id, alert.state, alert.count),
            ("key.leaked", "critical", self.key, self.owner, "new", 1),
        )
        self.assertEqual((alert.peer, alert.request_id, alert.detail), ("192.0.2.7", "abc", "somewhere"))

    def test_the_same_within_an_hour_is_counted(self):
        for number in range(3):
            self._raise(request_id=f"request {number}")
        alert = self.alerts.search([])
        self.assertEqual((len(alert), alert.count, alert.request_id), (1, 3, "request 2"))

    def test_another_hour_key_or_signal_is_another_alert(self):
        self._raise()
        self.env.cr.execute("UPDATE api_alert SET created_at = created_at - interval '1 hour'")
        self._raise()
        self._raise(key=self.other)
        self._raise(Signal.KEY_RETIRED_USED)
        self.assertEqual(self.alerts.search([]).mapped("count"), [1, 1, 1, 1])

    def test_of_no_key_there_is_one_an_hour_as_well(self):
        for _ in range(2):
            self.alerts._raise(self.env.cr, Signal.KEY_PASTED)
        self.assertEqual(self.alerts.search([]).mapped("count"), [2])

    def test_every_signal_and_severity_has_a_label_and_a_remedy(self):
        self.assertEqual(set(self.alerts._texts()), set(Signal))
        self.assertEqual({code for code, _label in self.alerts._selection_severity()}, {s.value for s in Severity})
        self.assertTrue(self._raise().remedy)

    def test_only_managers_acknowledge(self):
        alert = self._raise()
        for user in (self.owner, self.auditor):
            with self.subTest(user.login), self.assertRaises(AccessError):
                alert.with_user(user).action_acknowledge()
        self.assertEqual(alert.state, "new")
        alert.with_user(self.manager).action_acknowledge()
        self.assertEqual((alert.state, alert.acknowledged_by), ("acknowledged", self.manager))
        self.assertTrue(alert.acknowledged_at)

    def test_nobody_writes_alerts(self):
        alert = self._raise()
        with self.assertRaises(AccessError), mute_logger("odoo.addons.base.models.ir_model"):
            alert.with_user(self.manager).write({"state": "acknowledged"})
        with self.assertRaises(AccessError), mute_logger("odoo.addons.base.models.ir_model"):
            alert.with_user(self.manager).unlink()

    def test_a_program_acknowledges_nothing(self):
        alert = self._raise()
        refused = Refused(Deny(Reason.GUARD_CONFIGURATION), "request")
        with patch.object(ApiGuard, "_require_configuration_right", side_effect=refused), self.assertRaises(Refused):
            alert.with_user(self.manager).action_acknowledge()

    def test_its_entries_are_those_of_the_request_and_of_the_key(self):
        domain = self._raise(request_id="abc").action_open_entries()["domain"]
        self.assertIn(("request_id", "in", ["abc"]), domain)
        self.assertIn(("credential_id", "in", self.key.ids), domain)


@tagged("post_install", "-at_install")
class TestMail(AlertCase):
    def _mails(self):
        before = self.env["mail.mail"].search([])
        self.alerts._cron_mail()
        return self.env["mail.mail"].search([]) - before

    def test_an_urgent_alert_is_mailed_once_to_managers_alone(self):
        alert = self._raise()
        mails = self._mails()
        self.assertIn(self.manager.partner_id, mails.recipient_ids)
        self.assertFalse((self.auditor | self.owner).partner_id & mails.recipient_ids)
        self.assertIn(f"/odoo/api-alerts/{alert.id}", mails[0].body_html)
        self.assertIn("key 0", mails[0].body_html)
        self.assertTrue(alert.mailed_at)
        self._raise()  # counted up
        self.assertFalse(self._mails())

    def test_what_is_not_urgent_or_was_seen_is_not_mailed(self):
        self._raise(Signal.KEY_RETIRED_USED).write({"severity": "medium"})
        self._raise().with_user(self.manager).action_acknowledge()
        self.assertFalse(self._mails())

    def test_a_manager_reads_it_in_his_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.manager.lang = "fr_FR"
        self._raise()
        of_manager = self._mails().filtered(lambda mail: self.manager.partner_id in mail.recipient_ids)
        self.assertEqual(of_manager.recipient_ids, self.manager.partner_id)

    def test_what_somebody_named_a_key_is_no_html(self):
        self.env.cr.execute("UPDATE api_credential SET name = '<img src=x>' WHERE id = %s", [self.key.id])
        self._raise()
        self.assertNotIn("<img", self._mails()[0].body_html)

    def test_while_no_manager_has_an_address_an_alert_waits(self):
        self.env.ref("api_guard.group_manager").all_user_ids.partner_id.email = False
        alert = self._raise()
        self.assertFalse(self._mails())
        self.assertFalse(alert.mailed_at)
        self.manager.email = "mia@example.com"
        self.assertTrue(self._mails())
