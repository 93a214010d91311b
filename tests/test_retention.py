"""Retention at the screens: what a line would lead to, what a hold is, and who may do what."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form
from odoo.tests.common import TransactionCase, new_test_user, tagged
from psycopg2 import IntegrityError

from ..models.api_audit_archive import Folder


@tagged("post_install", "-at_install")
class TestRetention(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor")
        cls.manager = new_test_user(cls.env, "mia", groups="api_guard.group_manager")
        cls.line = cls.env.ref("api_guard.retention_read")
        cls.old = fields.Datetime.now() - timedelta(days=200)
        cls.env.cr.execute("SELECT api_guard_add_partition('read', %s)", [cls.old])
        cls._enter(3)

    @classmethod
    def _enter(cls, count, **values):
        row = {"kind": "read", "occurred_at": cls.old, "request_id": "r", "door": "json2", "verdict": "allow",
               "outcome": "allowed", **values}  # fmt: skip
        names = ", ".join(row)
        cls.env.cr.execute(
            f"INSERT INTO api_audit_entry ({names}) SELECT %s{', %s' * (len(row) - 1)} FROM generate_series(1, %s)",  # noqa: S608
            [*row.values(), count],
        )

    def _events(self, model):
        self.env.flush_all()
        self.env.cr.execute("SELECT method, user_id FROM api_audit_entry WHERE model = %s ORDER BY id", [model])
        return self.env.cr.fetchall()

    def test_the_lines_are_those_of_the_documentation(self):
        lines = self.env["api.audit.retention"].search([])
        self.assertEqual(
            {line.kind: line.days for line in lines}, {"read": 90, "write": 400, "refused": 730, "failed": 730}
        )
        with self.assertRaises(IntegrityError), self.env.cr.savepoint():
            self.line.create({"kind": "read", "days": 1})

    def test_managers_cannot_have_their_traces_go_within_days(self):
        line = self.line.with_user(self.manager)
        for days in (1, 29):
            with self.subTest(days), self.assertRaises(ValidationError), self.env.cr.savepoint():
                line.days = days
                line.flush_recordset()
        line.days = 30
        self.line.with_user(self.env.ref("base.user_admin")).days = 1

    def test_a_preview_tells_before_anything_is_saved(self):
        with Form(self.line.with_user(self.manager)) as form:
            self.assertIn("1 partitions", form.preview)
            form.days = 3000
            self.assertEqual(form.preview, "Nothing")
            form.days = 0
            self.assertEqual(form.preview, "Nothing: kept for ever")
            form.days = 90
            self.assertIn("MB", form.preview)

    def test_a_preview_tells_what_is_held(self):
        self._enter(1, user_id=self.auditor.id)
        self.env["api.audit.hold"].create({"name": "Case 1", "user_id": self.auditor.id})
        self.line.invalidate_recordset()
        self.assertIn("entries in them are held", self.line.preview)

    def test_days_lie_between_for_ever_and_a_hundred_years(self):
        for days in (-1, 36_501):
            with self.assertRaises(ValidationError):
                self.line.days = days
        self.line.days = 0

    def test_a_changed_line_is_an_entry_of_whoever_changed_it(self):
        line = self.line.with_user(self.manager)
        line.days = 30
        line.days = 30
        self.assertEqual(self._events("api.audit.retention"), [("write", self.manager.id)])
        self.env.cr.execute("SELECT arguments FROM api_audit_entry WHERE model = 'api.audit.retention'")
        self.assertEqual(self.env.cr.fetchone()[0], "read: 90 days (month) → read: 30 days (month)")

    def test_nobody_writes_why_nothing_goes(self):
        line = self.line.with_user(self.manager)
        for values in ({"problem": False}, {"problem": "x", "days": 5}, {"kind": "write"}):
            with self.subTest(values), self.assertRaises(AccessError):
                line.write(values)
        self.assertEqual((line.kind, line.days), ("read", 90))

    def test_managers_drop_and_auditors_do_not(self):
        with self.assertRaises(AccessError):
            self.line.with_user(self.auditor).action_drop_now()
        with self.assertRaises(AccessError):
            self.line.with_user(self.auditor).days = 1
        triggers = self.env["ir.cron.trigger"]
        before = triggers.search_count([])
        self.line.with_user(self.manager).action_drop_now()
        self.assertEqual(triggers.search_count([]), before + 1)
        self.assertIn(("action_drop_now", self.manager.id), self._events("api.audit.retention"))

    def test_a_hold_is_released_and_neither_changed_nor_deleted(self):
        holds = self.env["api.audit.hold"].with_user(self.manager)
        with self.assertRaises(ValidationError):
            holds.create({"name": "nothing is held by it"})
        hold = holds.create({"name": "Case 2", "user_id": self.auditor.id, "released_at": "2026-01-01"})
        self.assertEqual((hold.status, hold.create_uid, hold.user_number), ("held", self.manager, self.auditor.id))
        self.assertIn("ann", hold.subject)
        context = {"default_released_at": "2026-01-01", "default_released_by": self.manager.id, "default_login": "x"}
        other = holds.with_context(**context).create({"name": "Case 4", "starts": "2026-01-01"})
        self.assertEqual((other.status, other.released_by.id, other.login), ("held", False, False))
        forged = {"user_id": self.manager.id, "name": "x", "released_at": fields.Datetime.now(), "ends": "2026-01-01"}
        for values in ({name: value} for name, value in forged.items()):
            with self.assertRaises(UserError):
                hold.write(values)
        with self.assertRaises(UserError):
            hold.sudo().unlink()
        with self.assertRaises(AccessError):
            hold.with_user(self.auditor).action_release()
        hold.action_release()
        self.assertEqual((hold.status, hold.released_by), ("released", self.manager))
        at = hold.released_at
        hold.action_release()
        self.assertEqual(hold.released_at, at)
        methods = [method for method, _user in self._events("api.audit.hold")]
        self.assertEqual(methods, ["create", "create", "action_release"])

    def test_a_hold_outlives_the_user_whose_calls_it_holds(self):
        hold = self.env["api.audit.hold"].create({"name": "Case 3", "user_id": self.auditor.id})
        number = self.auditor.id
        self.auditor.unlink()
        hold.invalidate_recordset()
        self.assertEqual((hold.user_id.id, hold.user_number, hold.login), (False, number, "ann"))
        held = "SELECT api_guard_is_held('2026-01-01'::timestamp, NULL, %s)"
        for user, expected in ((number, True), (number + 1, False)):
            self.env.cr.execute(held, [user])
            self.assertIs(self.env.cr.fetchone()[0], expected)

    def test_what_a_hold_names_is_what_it_holds(self):
        key = self.env["api.credential"].create({"name": "Held", "user_id": self.manager.id}).id
        self.env["api.audit.hold"].create(
            {"name": "Case 4", "credential_id": key, "starts": "2026-01-01", "ends": "2026-02-01"}
        )
        self.env.flush_all()
        for moment, credential, expected in (
            ("2025-12-31 23:59:59", key, False), ("2026-01-01", key, True), ("2026-01-31 23:59:59", key, True),
            ("2026-02-01", key, False), ("2026-01-15", key + 1, False), ("2026-01-15", None, False),
        ):  # fmt: skip
            self.env.cr.execute("SELECT api_guard_is_held(%s::timestamp, %s, NULL)", [moment, credential])
            self.assertIs(self.env.cr.fetchone()[0], expected, (moment, credential))

    def test_the_self_check_tells_of_missing_partitions_and_of_a_rest(self):
        settings = self.env["res.config.settings"]
        self.assertTrue(settings._api_guard_check_partitions()[0])
        self._enter(1, occurred_at="1990-05-05")
        is_fine, what, _remedy = settings._api_guard_check_partitions()
        self.assertFalse(is_fine)
        self.assertIn("read", what)
        self.env.cr.execute(
            "INSERT INTO api_audit_partition (kind, starts, ends, table_name)"
            " VALUES ('read', '1991-1-1', '1991-2-1', 'api_audit_entry_read_1991_01')"
        )
        is_fine, what, _remedy = settings._api_guard_check_partitions()
        self.assertFalse(is_fine)
        self.assertIn("api_audit_entry_read_1991_01", what)

    def test_the_self_check_tells_of_an_archive_folder_that_is_of_no_use(self):
        settings, parameters = self.env["res.config.settings"], self.env["ir.config_parameter"]
        self.assertTrue(settings._api_guard_check_retention()[0])
        self.line.is_archived = True
        parameters.set_param("api_guard.archive_folder", "/nowhere")
        self.assertFalse(settings._api_guard_check_retention()[0])
        parameters.set_param("api_guard.archive_place", "attachment")
        self.assertTrue(settings._api_guard_check_retention()[0])
        with self.assertRaises(ValidationError):
            settings.create({"api_guard_archive_place": "folder", "api_guard_archive_folder": "/nowhere"})

    def test_a_folder_needs_space(self):
        self.assertIsNone(Folder("/tmp").problem())  # noqa: S108
        usage = type("Usage", (), {"free": 1000})
        with patch("odoo.addons.api_guard.models.api_audit_archive.shutil.disk_usage", return_value=usage):
            self.assertIn("free", Folder("/tmp").problem())  # noqa: S108

    def test_the_self_check_tells_how_the_log_grows(self):
        settings = self.env["res.config.settings"]
        is_fine, what, _remedy = settings._api_guard_check_growth()
        self.assertTrue(is_fine)
        self.assertRegex(what, r"takes \d+ MB and grows by about \d+ MB in 30 days")
        with patch.object(type(settings), "_api_guard_disk", return_value=(1000, 10**12)):
            is_fine, what, _remedy = settings._api_guard_check_growth()
        self.assertFalse(is_fine)
        self.assertIn("nearly full", what)
