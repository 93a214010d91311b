"""What do the screens tell of a seal, and to whom?"""

import json
from base64 import b64decode
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests.common import HttpCase, new_test_user, tagged

from ..core import merkle
from ..core.canonical import leaf
from ..models import vault
from .sealed import SealedCase
from .test_vault import ONE, TWO


@tagged("post_install", "-at_install")
class TestProof(SealedCase):
    def setUp(self):
        super().setUp()
        self.plain = new_test_user(self.env, "ada", groups="base.group_user")
        self.auditor = new_test_user(self.env, "ann", groups="api_guard.group_auditor")
        self.manager = new_test_user(self.env, "mia", groups="api_guard.group_manager")
        self.ids = self.enter(3, user_id=self.plain.id)
        self.seal_all()

    def entries(self, ids, user=None):
        return self.env["api.audit.entry"].with_user(user or self.auditor).browse(ids)

    def shown(self, ids):
        self.env.invalidate_all()
        return [(entry.is_sealed, entry.leaf, entry.checkpoint) for entry in self.entries(ids)]

    def test_an_entry_says_that_it_is_sealed(self):
        [new] = self.enter()
        number = self.checkpoints._last().number
        sealed = [(True, str(self.before + at), f"Checkpoint {number}") for at in range(3)]
        self.assertEqual(self.shown([*self.ids, new]), [*sealed, (False, False, False)])
        self.seal_all()
        self.assertEqual(self.shown([new]), [(True, str(self.before + 3), f"Checkpoint {number + 1}")])

    def test_what_is_not_signed_is_not_called_sealed(self):
        self.options[vault.OPTION] = TWO
        [new] = self.enter()
        self.seal_all()
        self.assertEqual(self.shown([new]), [(False, str(self.before + 3), False)])

    def test_what_is_not_sealed_can_be_searched_for(self):
        self.options[vault.OPTION] = TWO
        unsigned = self.enter(2)
        self.seal_all()
        waiting = self.enter(2)
        entries = self.env["api.audit.entry"].with_user(self.auditor)
        asked = [("id", "in", [*self.ids, *unsigned, *waiting])]
        self.assertEqual(sorted(entries.search([*asked, ("is_sealed", "=", False)]).ids), [*unsigned, *waiting])
        self.assertEqual(sorted(entries.search([*asked, ("is_sealed", "=", True)]).ids), self.ids)
        self.assertEqual(sorted(entries.search([*asked, ("is_sealed", "!=", True)]).ids), [*unsigned, *waiting])
        self.options[vault.OPTION] = ONE
        self.seal_all()
        self.assertFalse(entries.search([*asked, ("is_sealed", "=", False)]))

    def test_the_proof_leads_to_the_root_and_tells_nothing_of_the_entry(self):
        entry = self.entries(self.ids[:1])
        shown = json.loads(entry.proof)
        [row] = self.seal._entries_of(self.ids[:1])
        sealed = merkle.leaf_hash(leaf(row))
        self.assertEqual(b64decode(shown["leaf_hash"]), sealed)
        said = shown["checkpoint"]
        proof = [b64decode(step) for step in shown["proof"]]
        self.assertTrue(
            merkle.verify_inclusion(sealed, shown["leaf"], said["size"], proof, b64decode(said["root"]))
        )  # fmt: skip
        self.assertNotIn("res.partner", entry.proof)

    def test_a_proof_is_checked_on_the_spot(self):
        def told(entry_id):
            self.env.invalidate_all()
            params = self.entries([entry_id]).action_check_proof()["params"]
            return params["type"], params["message"]

        self.assertEqual(told(self.ids[0])[0], "success")
        self.assertEqual(told(self.enter()[0])[0], "info")
        for statement, words in (
            ("UPDATE api_audit_entry SET login = 'x' WHERE id = %s", "was changed"),
            ("UPDATE api_audit_checkpoint SET root = '' WHERE %s > 0", "do not lead"),
            ("UPDATE api_audit_checkpoint SET signature = '' WHERE %s > 0", "signature"),
            ("DELETE FROM api_audit_tile WHERE level = 0 AND %s > 0", "missing"),
        ):
            with self.subTest(statement), self.env.cr.savepoint() as savepoint:
                self.checked(statement, self.ids[1])
                kind, message = told(self.ids[1])
                self.assertEqual(kind, "danger")
                self.assertIn(words, message)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_an_owner_sees_that_it_is_sealed_and_no_more(self):
        entry = self.entries(self.ids[0], self.plain)
        self.assertEqual((entry.is_sealed, bool(entry.checkpoint)), (True, True))
        with self.assertRaises(AccessError):
            entry.read(["proof"])
        with self.assertRaises(AccessError):
            entry.action_check_proof()
        with self.assertRaises(AccessError):
            self.checkpoints.with_user(self.plain).search([])
        view = entry.get_views([(False, "form")])["views"]["form"]["arch"]
        self.assertNotIn("action_check_proof", view)
        self.assertIn('name="is_sealed"', view)

    def test_settings_show_and_change_the_key(self):
        settings = self.env["res.config.settings"].with_user(self.manager).sudo(False)
        key = self.env["api.audit.key"]._current()
        page = self.env["res.config.settings"].new({})
        self.assertEqual((page.api_guard_log_key, page.api_guard_log_key_opens), (key.public, True))
        settings.action_api_guard_rotate_log_key()
        new = self.env["api.audit.key"]._current()
        self.assertNotEqual(new, key)
        self.env.cr.execute("SELECT login, arguments FROM api_audit_entry WHERE model = 'api.audit.key'")
        self.assertEqual(self.env.cr.fetchall(), [("mia", f"new key: {new.key_id}")])
        with self.assertRaises(AccessError):
            self.env["res.config.settings"].with_user(self.auditor).action_api_guard_rotate_log_key()
        self.options[vault.OPTION] = TWO
        self.assertFalse(self.env["res.config.settings"].new({}).api_guard_log_key_opens)
        settings.action_api_guard_new_log_key()
        self.assertEqual(self.checkpoints._last().note, "key lost")

    def test_the_self_check_tells_what_is_wrong(self):
        def told(check):
            is_fine, what, remedy = getattr(self.env["res.config.settings"], f"_api_guard_check_{check}")()
            self.assertEqual(is_fine, not remedy)
            return is_fine, what

        self.assertTrue(told("sealing")[0])
        self.assertTrue(told("signing")[0])
        self.assertTrue(told("verified")[0])
        self.enter()
        self.checked("UPDATE api_audit_seal SET sealed_at = sealed_at - interval '1 hour'")
        self.assertFalse(told("sealing")[0])
        self.options[vault.OPTION] = TWO
        self.assertFalse(told("signing")[0])
        run = self.env["api.audit.verify"]._begin(True, "cron")
        while run.state == "running":
            run._step()
        self.assertIn("was verified", told("verified")[1])
        self.checked("DELETE FROM api_audit_entry WHERE id = %s", self.ids[0])
        run = self.env["api.audit.verify"]._begin(True, "cron")
        while run.state == "running":
            run._step()
        self.assertFalse(told("verified")[0])

    def test_where_there_is_no_key_yet_there_is_none_to_change(self):
        self.checked("DELETE FROM api_audit_key")
        self.env.invalidate_all()
        with self.assertRaises(UserError):
            self.env["res.config.settings"].with_user(self.manager).action_api_guard_rotate_log_key()


@tagged("post_install", "-at_install")
class TestProofInTheBrowser(SealedCase, HttpCase):
    def test_an_auditor_verifies_and_looks_at_proofs(self):
        new_test_user(self.env, "ann", groups="api_guard.group_auditor", password="ann-the-auditor")
        self.enter(3, occurred_at=fields.Datetime.now())
        self.seal_all()
        runs = self.env.registry["api.audit.verify"]
        read = runs.web_read

        def web_read(run, *args, **kwargs):
            """What the cron would do meanwhile."""
            found = read(run, *args, **kwargs)
            if run.state == "running":
                run.sudo()._step()
            return found

        with patch.object(runs, "web_read", web_read):
            self.start_tour("/odoo/api-verifications", "api_guard_verify", login="ann")
        for path, tour in (("log", "proof"), ("checkpoints", "checkpoints"), ("traffic", "traffic")):
            self.start_tour(f"/odoo/api-{path}", f"api_guard_{tour}", login="ann")
