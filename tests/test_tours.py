"""Can a person do in the browser what the addon is for? Policy, key, two calls, and both in the log."""

from unittest.mock import patch

from odoo.tests.common import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..hooks import post_load


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
