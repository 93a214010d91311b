"""Where does the vault's key come from, and what becomes of secrets when it is not there?"""

import os
import stat
import tempfile
import threading
from pathlib import Path
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests.common import BaseCase, TransactionCase, new_test_user, tagged
from odoo.tools import config

from ..core.sealing import key_id, parse_keys
from ..models import vault
from ..models.vault import Problem, VaultUnreadable

ONE, TWO = "01" * 32, "02" * 32


class Places:
    """The three places, empty: a test puts keys there."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        options = {"data_dir": folder.name, vault.OPTION: None}
        self._start(patch.object(vault, "config", options))
        self._start(patch.dict(os.environ))
        os.environ.pop(vault.VARIABLE, None)
        self.options, self.file = options, Path(folder.name, "api_guard", "vault.key")

    def _start(self, patcher):
        patcher.start()
        self.addCleanup(patcher.stop)

    def put(self, text, mode=0o600):
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text)
        self.file.chmod(mode)


@tagged("standard")
class TestVault(Places, BaseCase):
    def _problem(self, **options):
        with self.assertRaises(VaultUnreadable) as refusal:
            vault.keys(**options)
        return refusal.exception.problem

    def test_the_option_comes_before_the_environment_and_that_before_the_file(self):
        self.put("03" * 32)
        self.assertEqual((vault.source(), vault.keys()), ("file", parse_keys("03" * 32)))
        os.environ[vault.VARIABLE] = TWO
        self.assertEqual((vault.source(), vault.keys()), ("environment", parse_keys(TWO)))
        self.options[vault.OPTION] = ONE
        self.assertEqual((vault.source(), vault.keys()), ("option", parse_keys(ONE)))

    def test_what_cannot_be_used_is_not_passed_over(self):
        self.put(ONE)
        os.environ[vault.VARIABLE] = TWO
        self.options[vault.OPTION] = "no key"
        self.assertEqual(self._problem(), Problem.MALFORMED)

    def test_the_file_is_made_only_where_something_is_sealed(self):
        self.assertEqual(self._problem(), Problem.MISSING)
        self.assertFalse(self.file.exists())
        sealed = vault.seal("test", "1", "text", create=True)
        self.assertEqual(vault.open_sealed("test", "1", sealed), "text")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.file.parent.stat().st_mode), 0o700)
        self.assertEqual(os.listdir(self.file.parent), ["vault.key"])

    def test_a_file_that_others_may_read_is_refused(self):
        for mode in (0o640, 0o604, 0o620, 0o660, 0o777, 0o601):
            self.put(ONE, mode)
            with self.subTest(oct(mode)):
                self.assertEqual(self._problem(create=True), Problem.EXPOSED)
        self.put(ONE, 0o400)
        self.assertEqual(vault.keys(), parse_keys(ONE))

    def test_a_damaged_or_empty_file_is_refused_and_kept(self):
        for text in ("", "x", "é", "00"):
            self.put(text)
            with self.subTest(text):
                self.assertIn(self._problem(create=True), (Problem.MALFORMED, Problem.UNREACHABLE))
                self.assertEqual(self.file.read_text(), text)

    def test_where_no_file_can_be_made_the_reason_is_told(self):
        self.options["data_dir"] = "/dev/null/nowhere"
        self.assertEqual(self._problem(create=True), Problem.UNREACHABLE)

    def test_of_many_that_make_the_file_all_have_the_same_key(self):
        found, barrier = [], threading.Barrier(8)

        def make():
            barrier.wait()
            found.append(vault.keys(create=True))

        threads = [threading.Thread(target=make) for _number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(found), len(set(found))), (8, 1))
        self.assertEqual(os.listdir(self.file.parent), ["vault.key"])

    def test_another_key_does_not_open(self):
        self.options[vault.OPTION] = ONE
        sealed = vault.seal("test", "1", "text")
        self.options[vault.OPTION] = f"{TWO},{ONE}"
        self.assertEqual(vault.open_sealed("test", "1", sealed), "text")
        self.options[vault.OPTION] = TWO
        with self.assertRaises(VaultUnreadable) as refusal:
            vault.open_sealed("test", "1", sealed)
        self.assertEqual(refusal.exception.problem, Problem.CLOSED)
        self.assertNotIn(TWO[:8], str(refusal.exception))


@tagged("post_install", "-at_install")
class TestSealedSecrets(Places, TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vault = cls.env["api.vault"]
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager")

    def setUp(self):
        super().setUp()
        self.options[vault.OPTION] = ONE
        self.env.cr.execute("DELETE FROM api_second_factor")

    def _factor(self, lineage_id):
        factors = self.env["api.second.factor"]
        sealed = factors._draw(lineage_id)
        factors._store(lineage_id, sealed, 1, [])
        return self.vault._open("second_factor", str(lineage_id), sealed)

    def _secret(self, lineage_id):
        self.env.cr.execute("SELECT secret FROM api_second_factor WHERE lineage_id = %s", [lineage_id])
        return self.vault._open("second_factor", str(lineage_id), self.env.cr.fetchone()[0])

    def test_the_vaults_key_changes_without_losing_a_secret(self):
        secrets = {number: self._factor(number) for number in (9_000_001, 9_000_002)}
        self.options[vault.OPTION] = f"{TWO}\n{ONE}"
        self.env["res.config.settings"].with_user(self.manager).action_api_guard_reseal()
        self.options[vault.OPTION] = TWO
        self.assertEqual({number: self._secret(number) for number in secrets}, secrets)
        self.assertEqual(self.vault._missing_key_ids(), [])

    def test_sealing_anew_without_the_old_key_changes_nothing(self):
        secret = self._factor(9_000_001)
        self.options[vault.OPTION] = TWO
        with self.assertRaises(UserError):
            self.vault._reseal()
        self.options[vault.OPTION] = ONE
        self.assertEqual(self._secret(9_000_001), secret)

    def test_only_managers_seal_anew(self):
        auditor = new_test_user(self.env, "ann", groups="api_guard.group_auditor")
        with self.assertRaises(AccessError):
            self.env["res.config.settings"].with_user(auditor).action_api_guard_reseal()

    def test_no_key_is_made_where_secrets_wait_for_the_one_that_is_gone(self):
        self._factor(9_000_001)
        self.options[vault.OPTION] = None
        with self.assertRaises(UserError):
            self.env["api.second.factor"]._draw(9_000_002)
        self.assertFalse(self.file.exists())

    def test_the_self_check_tells_where_the_key_is_and_what_is_wrong(self):
        def told():
            is_fine, what, remedy = self.vault._check()
            self.assertEqual(is_fine, not remedy)
            return is_fine, what

        self.assertEqual(told(), (True, "The vault's key comes from odoo.conf"))
        self.options[vault.OPTION] = None
        self.assertTrue(told()[0])
        self.assertIn("Nothing is sealed yet", told()[1])
        os.environ[vault.VARIABLE] = ONE
        self.assertEqual(told(), (True, "The vault's key comes from the environment"))
        self._factor(9_000_001)
        os.environ[vault.VARIABLE] = TWO
        self.assertFalse(told()[0])
        self.assertIn(key_id(parse_keys(ONE)[0]), told()[1])
        del os.environ[vault.VARIABLE]
        self.assertEqual(told(), (False, "The vault's key cannot be used"))
        self.put(ONE, 0o644)
        self.assertEqual(told(), (False, "The vault's key cannot be used"))
        self.put(ONE)
        self.assertEqual(told(), (True, f"The vault's key is a file of this server: {self.file}"))
        self.assertIn(told(), [check[:2] for check in self.env["res.config.settings"]._api_guard_checks()])

    def test_nothing_of_a_key_is_told(self):
        self._factor(9_000_001)
        for problem in Problem:
            self.assertNotIn(ONE[:16], self.vault._text(problem))
        self.assertNotIn(ONE[:16], " ".join(map(str, self.vault._check())))
        self.assertEqual(config.get(vault.OPTION), None)  # the server's own was not touched
