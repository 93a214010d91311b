"""Does every change of a policy change what calls are judged by?"""

from odoo.exceptions import UserError, ValidationError
from odoo.tests.common import TransactionCase, tagged

from ..core.call import Door, Operation
from ..core.policy import fingerprint


@tagged("post_install", "-at_install")
class TestPolicyDocument(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.scope = cls.env["api.scope"].create(
            {"name": "Contacts", "line_ids": [(0, 0, {"model_pattern": "res.partner"})]}
        )
        cls.policy = cls.env["api.policy"].create({"name": "Reporting", "scope_ids": [(4, cls.scope.id)]})

    def _set(self, **values):
        return lambda: self.policy.write(values)

    def test_every_change_gives_another_fingerprint(self):
        line = self.scope.line_ids
        changes = {
            "name": self._set(name="Other"),
            "mode": self._set(mode="monitor"),
            "network": self._set(network_ids=[(0, 0, {"network": "10.0.0.0/8"})]),
            "network action": lambda: self.policy.network_ids.write({"action": "deny"}),
            "network text": lambda: self.policy.network_ids.write({"network": "10.0.0.0/9"}),
            "network gone": lambda: self.policy.network_ids.unlink(),
            "door": self._set(door_ids=[(4, self.env.ref("api_guard.door_json2").id)]),
            "door gone": self._set(door_ids=[(5,)]),
            "scope line": lambda: line.write({"model_pattern": "res.*"}),
            "scope write": lambda: line.write({"allow_write": True}),
            "scope create": lambda: line.write({"allow_create": True}),
            "scope unlink": lambda: line.write({"allow_unlink": True}),
            "scope read": lambda: line.write({"allow_read": False}),
            "scope methods": lambda: line.write({"methods": "message_post"}),
            "scope line added": lambda: self.scope.write({"line_ids": [(0, 0, {"model_pattern": "sale.*"})]}),
            "scope line gone": lambda: line.unlink(),
            "scope taken away": self._set(scope_ids=[(5,)]),
            "age": self._set(max_age_days=30),
            "idle": self._set(max_idle_days=30),
            "window": self._set(has_window=True),
            "hour": self._set(hour_from=9.5),
            "hour to": self._set(hour_to=17),
            "zone": self._set(window_tz="Asia/Tokyo"),
            "day": self._set(saturday=True),
            "password": self._set(refuse_passwords=True),
            "detail": self._set(argument_detail="values"),
            "results": self._set(argument_detail="results"),
            "e-mail": self._set(hide_email=True),
            "phone": self._set(hide_phone=True),
            "fields": self._set(hidden_fields="wage"),
            "types": self._set(hidden_types="html"),
            "values": self._set(hidden_values="####"),
            "searchable": self._set(is_searchable=True),
        }
        for name, change in changes.items():
            with self.subTest(name):
                before = self.policy.fingerprint
                change()
                self.assertNotEqual(self.policy.fingerprint, before)
                self.assertEqual(self.policy.fingerprint, fingerprint(self.policy.document))
                self.policy._compiled()  # a document that is written can be read

    def test_the_document_reaches_the_database_row(self):
        self.policy.write({"refuse_passwords": True})
        self.env.flush_all()
        self.env.cr.execute("SELECT fingerprint, document FROM api_policy WHERE id = %s", [self.policy.id])
        mark, document = self.env.cr.fetchone()
        self.assertEqual(mark, fingerprint(document))
        self.assertIn('"refuse_passwords":true', document)

    def test_an_empty_policy_restricts_nothing(self):
        compiled = self.env["api.policy"].create({"name": "Empty"})._compiled()
        self.assertFalse(compiled.networks)
        self.assertIsNone(compiled.doors)
        self.assertIsNone(compiled.scopes)
        self.assertIsNone(compiled.max_age_days)
        self.assertIsNone(compiled.max_idle_days)
        self.assertIsNone(compiled.window)
        self.assertFalse(compiled.refuses_passwords)

    def test_scopes_without_lines_cover_nothing(self):
        self.scope.line_ids.unlink()
        self.assertEqual(self.policy._compiled().scopes, ())

    def test_archived_scopes_and_policies_go_on_to_bind(self):
        self.scope.active = False
        self.policy.active = False
        self.assertEqual([line.pattern for line in self.policy._compiled().scopes], ["res.partner"])
        before = self.policy.fingerprint
        self.scope.with_context(active_test=False).line_ids.allow_write = True
        self.assertNotEqual(self.policy.fingerprint, before)
        self.assertIn(Operation.WRITE, self.policy._compiled().scopes[0].operations)

    def test_deleting_a_scope_that_is_alone_does_not_widen(self):
        """Without its last scope a policy would cover everything."""
        with self.assertRaises(UserError):
            self.scope.unlink()

    def test_doors_are_those_of_the_core(self):
        self.assertEqual(
            set(self.env["api.door"].search([]).mapped("code")), {door.value for door in Door} - {"internal", "web"}
        )

    def test_bad_input_is_told(self):
        cases = {
            "network": {"network_ids": [(0, 0, {"network": "10.0.0.300"})]},
            "negative age": {"max_age_days": -1},
            "hour": {"has_window": True, "hour_from": 25},
            "no day": {
                "has_window": True,
                "monday": False,
                "tuesday": False,
                "wednesday": False,
                "thursday": False,
                "friday": False,
            },
        }
        for name, values in cases.items():
            with self.subTest(name), self.assertRaises(ValidationError), self.env.cr.savepoint():
                self.policy.write(values)
        for pattern in ("res partner", "res.*.x", "*partner", "  "):
            with self.subTest(pattern), self.assertRaises(ValidationError), self.env.cr.savepoint():
                self.scope.line_ids.model_pattern = pattern
        for methods in ("_compute", "search_read", "action-confirm", "*"):
            with self.subTest(methods), self.assertRaises(ValidationError), self.env.cr.savepoint():
                self.scope.line_ids.methods = methods

    def test_a_policy_in_use_cannot_be_deleted(self):
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param("api_guard.baseline_policy_id", str(self.policy.id))
        with self.assertRaises(UserError):
            self.policy.unlink()
        parameters.set_param("api_guard.baseline_policy_id", "")
        self.env.user.api_policy_id = self.policy
        with self.assertRaises(UserError):
            self.policy.unlink()
        self.env.user.api_policy_id = False
        self.policy.unlink()
