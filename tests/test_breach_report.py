"""Does the report tell what went out, to whom it may be told, and what it cannot know?"""

import base64
import io
from datetime import datetime, timedelta

import openpyxl
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import SQL
from pypdf import PdfReader

NOW = datetime(2026, 3, 4, 12)  # noqa: DTZ001 - as Odoo's fields hold it


@tagged("post_install", "-at_install")
class TestBreachReport(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor")
        cls.admin = new_test_user(cls.env, "adm", groups="api_guard.group_auditor,base.group_system")
        cls.program = new_test_user(cls.env, "program")
        cls.people = cls.env["res.partner"].create([{"name": "=Ada <b>"}, {"name": "Bob é"}, {"name": "Cleo"}])
        cls.key = cls._key(cls.program)

    @classmethod
    def _key(cls, user):
        secret = cls.env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "leaked", None)
        return cls.env["api.credential"]._of_secret(secret, user)

    def setUp(self):
        super().setUp()
        self.registry_enter_test_mode()
        ids = self.people.ids
        self._enter("r-1", read_ids=f"{ids[0]}-{ids[1]}", read_fields="name,email,color", row_count=2)
        self._enter("r-2", read_ids=str(ids[1]), read_fields="phone", row_count=1, peer="10.0.0.9")
        self._enter("r-3", method="formatted_read_group", read_fields="country_id,credit:sum", row_count=5)
        self._enter("r-4", "ir.mail_server", read_ids="7", read_fields="smtp_host,smtp_user", row_count=1)
        self._enter("r-5", outcome="refused", kind="refused")
        self._enter("r-6", method="action_x", operation="execute", kind="write", row_count=1)
        self._enter("r-7", method="write", operation="write", kind="write", record_count=3, row_count=1)
        self._enter("r-8", read_ids=str(ids[2]), read_fields="name", row_count=1, credential_id=0, user_id=0)
        self._enter("r-9", read_ids=str(ids[2]), read_fields="name", row_count=1, at=NOW + timedelta(days=1))

    def _enter(self, request_id, model="res.partner", at=NOW, **values):
        row = {
            "occurred_at": at, "kind": "read", "door": "json2", "verdict": "allow", "outcome": "allowed",
            "model": model, "method": "search_read", "operation": "read", "request_id": request_id,
            "peer": "203.0.113.7", "credential_id": self.key.id, "user_id": self.program.id, **values,
        }  # fmt: skip
        self.env.cr.execute(
            SQL(
                "INSERT INTO api_audit_entry (%s) VALUES (%s)",
                SQL(", ").join(map(SQL.identifier, row)),
                SQL(", ").join(SQL("%s", value) for value in row.values()),
            )
        )

    def _report(self, user, **values):
        values = {
            "subject": "key", "credential_id": self.key.id, "date_from": NOW - timedelta(hours=1),
            "date_to": NOW + timedelta(hours=1), **values,
        }  # fmt: skip
        report = self.env["api.breach.report"].with_user(user).create(values)
        report.action_make()
        return report

    def test_what_went_out_through_a_key(self):
        told = self._report(self.admin)._told()
        partners, servers = (next(row for row in told["models"] if row["model"] == model)
                             for model in ("res.partner", "ir.mail_server"))  # fmt: skip
        self.assertEqual((partners["calls"], partners["rows"], partners["records"]), (3, 8, 2))
        self.assertEqual((partners["untold"], partners["is_whole"]), (1, False))
        self.assertEqual(set(partners["personal"]), {"name", "email", "phone", "country_id"})
        self.assertEqual((servers["records"], servers["is_shown"], servers["ids"]), (1, True, "7"))
        self.assertEqual({name for _model, _id, name in told["persons"]}, {"=Ada <b>", "Bob é"})
        self.assertEqual((told["refused"], told["changed"]), (1, [["res.partner", 1, 3]]))
        self.assertEqual(told["untold"], [["res.partner: action_x", 1]])
        self.assertEqual({call[1] for call in told["calls"]}, {"r-1", "r-2", "r-3", "r-4"})

    def test_nobody_writes_what_it_found(self):
        reports = self.env["api.breach.report"].with_user(self.auditor)
        with self.assertRaises(AccessError):
            reports.create({"content": "{}"})
        made = reports.with_context(default_content="{}", default_subject="user")
        [saved] = made.web_save({}, {"content": {}, "subject": {}})
        self.assertEqual((saved["content"], saved["subject"]), (False, "key"))
        report = self._report(self.auditor)
        with self.assertRaises(AccessError):
            report.write({"content": "{}"})
        report.write({"nature": "a letter"})
        self.assertTrue(report.content)
        report.write({"date_from": NOW - timedelta(days=2)})
        self.assertFalse(report.content, "what was found is not shown for another question")

    def test_by_user_by_network_and_by_time(self):
        def calls(**values):
            return {call[1] for call in self._report(self.admin, **values)._told()["calls"]}

        self.assertEqual(calls(subject="network", network="10.0.0.0/8"), {"r-2"})
        self.assertEqual(calls(subject="user", user_id=self.program.id), {"r-1", "r-2", "r-3", "r-4"})
        self.assertEqual(calls(date_from=NOW + timedelta(hours=1), date_to=NOW + timedelta(days=2)), {"r-9"})
        self.assertEqual(calls(subject="network", network="192.0.2.0/24"), set())

    def test_who_may_not_read_a_model_is_told_of_no_record_of_it(self):
        told = self._report(self.auditor)._told()
        servers = next(row for row in told["models"] if row["model"] == "ir.mail_server")
        self.assertEqual((servers["is_shown"], servers["ids"], servers["records"]), (False, "", 0))
        self.assertTrue(any("Mail Server" in caveat for caveat in told["caveats"]))
        self.assertEqual({call[4] for call in told["calls"] if call[2] == "ir.mail_server"}, {""})

    def test_an_administrator_names_what_is_personal(self):
        told = self._report(self.admin, more_fields="smtp_*")._told()
        servers = next(row for row in told["models"] if row["model"] == "ir.mail_server")
        self.assertEqual(servers["personal"], ["smtp_host", "smtp_user"])

    def test_deleted_records_are_counted(self):
        self.people[1].unlink()
        told = self._report(self.admin)._told()
        self.assertEqual([name for _model, _id, name in told["persons"]], ["=Ada <b>"])
        self.assertEqual(told["gone"], 1)

    def test_what_retention_has_taken_is_told(self):
        for starts, count in ((NOW - timedelta(days=1), 40), (NOW - timedelta(days=9), 500)):
            self.env.cr.execute(
                "INSERT INTO api_audit_drop (dropped_at, kind, way, rule, table_name, starts, ends, entry_count,"
                " first_id, last_id) VALUES (%s, 'read', 'partition', 'read: 5 days', 'x', %s, %s, %s, 1, 9)",
                [NOW, starts, starts + timedelta(days=2), count],
            )
        told = self._report(self.admin)._told()
        self.assertEqual(told["dropped"], 40)
        self.assertTrue(any("40 entries" in caveat for caveat in told["caveats"]))

    def test_making_a_report_is_an_entry(self):
        self._report(self.auditor)
        entry = self.env["api.audit.entry"].search([("model", "=", "api.breach.report"), ("method", "=", "make")])
        self.assertEqual((len(entry), entry.user_id), (1, self.auditor))
        self.assertIn(f'"key": {self.key.id}', entry.arguments)

    def test_the_spreadsheet_holds_all_as_text(self):
        report = self._report(self.admin, nature="=HYPERLINK(1)")
        book = openpyxl.load_workbook(io.BytesIO(base64.b64decode(report.xlsx)))
        self.assertEqual(len(book.worksheets), 5)
        cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
        self.assertIn("=Ada <b>", [cell.value for cell in cells])
        self.assertFalse([cell.value for cell in cells if cell.data_type == "f"])
        self.assertLessEqual({"r-1", "r-2", "r-3", "r-4"}, {cell.value for cell in cells})

    def test_the_document_has_the_sections_of_the_notice(self):
        report = self._report(self.admin, nature="The key was <found>", measures="Revoked & replaced")
        pages = PdfReader(io.BytesIO(base64.b64decode(report.pdf))).pages
        text = "\n".join(page.extract_text() for page in pages)
        for section in range(1, 9):
            self.assertIn(f"\n{section}. ", f"\n{text}")
        for told in ("The key was <found>", "Revoked & replaced", "=Ada <b>", "Bob é", "72 hours", "r-1"):
            self.assertIn(told, text)

    def test_long_values_break_no_document(self):
        for number in range(400):
            self._enter(
                f"r-long-{number}", "x" * 200, method="y" * 200, read_ids="1-2", read_fields="z" * 1000, row_count=1
            )
        report = self._report(self.admin, nature="word " * 5000)
        self.assertTrue(report.pdf)
        self.assertTrue(report.xlsx)

    def test_the_screen_shows_it(self):
        summary = self._report(self.admin).summary
        self.assertIn("Bob é", summary)
        self.assertNotIn("<b>", summary.replace("<b>4", "").replace("<b>3", "").replace("<b>2", ""))
        self.assertFalse(self.env["api.breach.report"].create({}).summary)

    def test_what_is_asked_has_to_make_sense(self):
        for values in (
            {"network": "nowhere"}, {"more_fields": "(a+)+"}, {"date_from": NOW, "date_to": NOW - timedelta(days=1)},
        ):  # fmt: skip
            with self.subTest(values), self.assertRaises(ValidationError):
                self._report(self.admin, **values)
        for values in ({"credential_id": False}, {"subject": "user"}):
            with self.subTest(values), self.assertRaises(UserError):
                self._report(self.admin, **values)
        with self.assertRaises(UserError):
            self.env["api.breach.report"].create({}).action_pdf()

    def test_only_auditors_make_one_and_see_their_own(self):
        with self.assertRaises(AccessError):
            self._report(self.program)
        report = self._report(self.admin)
        with self.assertRaises(AccessError):
            report.with_user(self.auditor).read(["content"])
