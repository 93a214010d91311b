"""Who is told of checkpoints, what the other side makes of it, and what becomes of a log that is older than it was."""

import hmac
import json
from base64 import b64decode, b64encode
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests.common import new_test_user, tagged
from odoo.tools import mute_logger

from ..core.call import Credential, Kind, State
from ..core.canonical import canonical, leaf
from ..core.checkpoint import Signed, is_signed, parse
from ..core.merkle import leaf_hash, verify_consistency, verify_inclusion
from ..core.witness import Known, judge, read
from ..models import carrier, heads
from ..models.carrier import NETWORKS, Problem, Undelivered
from .sealed import SealedCase
from .test_carrier import Http

SECRET = "a secret that nobody reads"


class WitnessCase(SealedCase):
    def setUp(self):
        super().setUp()
        for module in (carrier, heads):
            self._start(patch.object(module, "config", self.options))
        self._start(patch.object(type(self.env["ir.cron"]), "_commit_progress", lambda *_args, **_kwargs: 60.0))
        self.manager = new_test_user(self.env, "mia", groups="api_guard.group_manager")
        self.witnesses = self.env["api.audit.witness"]
        self.folder = self.file.parent / "witness"
        self.witnesses.search([]).active = False
        self.env["ir.config_parameter"].set_param("api_guard.database_name", self.env.cr.dbname)
        self.grow()

    def grow(self, count=1):
        """Seal so many more entries; the checkpoint."""
        self.enter(count)
        self.seal_all()
        return self.checkpoints._last()

    def witness(self, kind="file", **values):
        values = {"name": kind, "kind": kind, "path": f"{kind}.jsonl"} | values
        return self.witnesses.with_user(self.manager).create(values).sudo()

    def lines(self, name="file.jsonl"):
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def alerts(self, code):
        return self.env["api.alert"].search([("code", "=", code)])


@tagged("post_install", "-at_install")
class TestWitness(WitnessCase):
    def test_each_checkpoint_is_told_once_and_in_order(self):
        witness, first = self.witness(), self.checkpoints._last()
        self.assertEqual((witness.state, witness.behind), ("idle", 1))
        self.witnesses._cron_tell()
        self.grow(3)
        self.grow(300)
        self.env.invalidate_all()
        self.assertEqual(witness.behind, 2)
        self.witnesses._cron_tell()
        self.witnesses._cron_tell()
        told = self.lines()
        self.assertEqual([line["body"]["number"] for line in told], [first.number + step for step in range(3)])
        self.assertEqual((witness.state, witness.behind, witness.delivered_size), ("fine", 0, self.size()))
        known = Known(b64decode(told[0]["public_key"]))
        for line in told:  # whoever has the file alone can tell that the log only grew
            known = judge(known, read(line, line["proof"]))
        self.assertEqual(known.number, first.number + 2)

    def test_one_that_fails_waits_and_no_other_does(self):
        dead = self.witness("webhook", name="a dead one", url="https://dead.example", secret=SECRET)
        fine = self.witness()

        def refuse(*_args):
            raise Undelivered(Problem.UNREACHABLE, "no route")

        with patch.object(carrier, "post", refuse):
            for _run in range(2):
                self.witnesses._cron_tell()
        self.assertEqual((fine.state, dead.state, dead.failures), ("fine", "failing", 1), "the second try is not due")
        self.assertIn("no route", dead.last_error)
        wait = (dead.next_try_at - fields.Datetime.now()).total_seconds()
        self.assertTrue(50 <= wait <= 60, wait)
        is_fine, what, _remedy = self.witnesses._check()
        self.assertFalse(is_fine)
        self.assertIn("a dead one", what)
        dead.next_try_at = False
        with patch.object(carrier, "post", lambda *_args: (204, b"")):
            self.witnesses._cron_tell()
        self.assertEqual((dead.state, dead.failures, dead.last_error), ("fine", 0, False))
        self.assertTrue(self.witnesses._check()[0])

    def test_one_that_breaks_stops_no_other(self):
        broken = self.witness("webhook", name="a broken one", url="https://a.example", secret=SECRET)
        fine = self.witness()
        patch_post = patch.object(carrier, "post", side_effect=RuntimeError("nobody thought of it"))
        patch_rollback = patch.object(self.env.cr, "rollback")
        with patch_post, patch_rollback as rollback, mute_logger("odoo.addons.api_guard.models.api_audit_witness"):
            self.witnesses._cron_tell()
        rollback.assert_called_once_with()
        self.assertEqual((fine.state, broken.state, broken.detail), ("fine", "failing", "RuntimeError"))

    def test_a_database_that_fits_no_header_is_not_saved(self):
        for database in ("shop☃", "a\r\nb", "a\tb"):
            with self.subTest(database), self.assertRaises(ValidationError):
                self.witness("odoo", url="https://a.example", database=database, secret=SECRET)

    def test_people_are_told_once_of_one_that_is_behind_for_an_hour(self):
        witness = self.witness(path="file.jsonl")
        self.witnesses._cron_tell()
        witness.failures, witness.next_try_at = 3, fields.Datetime.now() + timedelta(minutes=5)
        self.grow()
        self.witnesses._cron_tell()
        self.assertEqual(self.alerts("witness.behind").mapped("count"), [])
        self.checked("UPDATE api_audit_checkpoint SET made_at = made_at - interval '61 minutes'")
        self.env.cr.execute("UPDATE api_audit_witness SET create_date = create_date - interval '2 hours'")
        self.env.invalidate_all()
        self.assertEqual(witness.state, "late")
        for _run in range(2):
            self.witnesses._cron_tell()
        self.assertEqual(self.alerts("witness.behind").mapped("count"), [1])

    def test_a_pause_leaves_checkpoints_out_but_none_that_names_a_key(self):
        witness = self.witness(pause=60)
        self.witnesses._cron_tell()
        self.grow()
        self.env["api.audit.seal"]._rotate()
        named = self.checkpoints._last()
        last = self.grow()
        self.witnesses._cron_tell()
        self.assertEqual(len(self.lines()), 1)
        for _hour in range(3):
            witness.delivered_at = fields.Datetime.now() - timedelta(minutes=61)
            self.witnesses._cron_tell()
        told = self.lines()
        self.assertEqual([line["body"]["number"] for line in told[1:]], [named.number, last.number])
        known = Known(b64decode(told[0]["public_key"]))
        for line in told:
            known = judge(known, read(line, line["proof"]))
        self.assertEqual(known.number, last.number)

    def test_a_secret_is_written_and_never_read(self):
        witness = self.witness("webhook", url="https://a.example", secret=SECRET).with_user(self.manager)
        [saved] = witness.web_save({"secret": SECRET + "!"}, {"secret": {}, "has_secret": {}})
        self.assertEqual((saved["secret"], saved["has_secret"]), (False, True))
        self.assertEqual(witness.sudo()._secret(), SECRET + "!")
        self.env.cr.execute("SELECT * FROM api_audit_witness")
        self.assertNotIn(SECRET, str(self.env.cr.fetchall()))
        self.assertEqual(self.env["api.vault"]._reseal() > 0, True)
        self.assertEqual(witness.sudo()._secret(), SECRET + "!")
        for change in ({"url": "https://b.example"}, {"database": "other"}):
            witness.write({"secret": SECRET})
            witness.write(change)
            self.assertFalse(witness.has_secret, "whoever moves it must not have it sent there")
        witness.write({"secret": SECRET})
        witness.write({"name": "another name"})
        self.assertTrue(witness.has_secret)
        with self.assertRaises(ValidationError):
            witness.write({"secret": "short"})

    def test_what_was_told_is_not_written_by_people(self):
        witness = self.witness().with_user(self.manager)
        for values in ({"delivered_number": 99}, {"failures": 0}, {"is_told_of": True}):
            with self.assertRaises(AccessError):
                witness.write(values)
        with self.assertRaises(AccessError):
            self.witnesses.with_user(self.manager).create({"name": "x", "kind": "file", "path": "x.jsonl",
                                                           "delivered_number": 99})  # fmt: skip
        context = {"default_delivered_number": 99, "default_delivered_at": "2026-01-01", "default_is_told_of": True}
        values = {"name": "y", "kind": "file", "path": "y.jsonl"}
        self.env["ir.default"].set("api.audit.witness", "delivered_number", 98)
        made = self.witnesses.with_user(self.manager).with_context(**context)
        [saved] = made.web_save(values, {"delivered_number": {}, "delivered_at": {}, "is_told_of": {}})
        nothing = {"delivered_number": 0, "delivered_at": False, "is_told_of": False}
        self.assertEqual(saved | {"id": 0}, {"id": 0, **nothing})
        auditor = new_test_user(self.env, "ann", groups="api_guard.group_auditor")
        for change in (lambda: witness.with_user(auditor).write({"name": "x"}), witness.with_user(auditor).action_test):
            with self.assertRaises(AccessError):
                change()

    def entered(self, record, user):
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT method, arguments FROM api_audit_entry WHERE model = %s AND record_ids = %s AND user_id = %s"
            " ORDER BY id", [record._name, str(record.id), user.id])  # fmt: skip
        return self.env.cr.fetchall()

    def test_who_is_told_is_an_entry_without_the_secret(self):
        witness = self.witness("webhook", url="https://a.example/?token=1", secret=SECRET).with_user(self.manager)
        witness.write({"url": "https://b.example/?token=2", "secret": SECRET + "?"})
        witness.write({"secret": SECRET + "!"})
        witness.write({"name": "webhook"})
        witness.active = False
        witness.sudo().write({"failures": 2})
        witness.unlink()
        entered = self.entered(witness, self.manager)
        self.assertEqual([method for method, _text in entered], ["create", *["write"] * 3, "unlink"])
        self.assertIn("a.example", entered[1][1])
        self.assertIn("b.example", entered[1][1])
        self.assertIn('"active": false', entered[3][1])
        for word in (SECRET, "token"):
            self.assertNotIn(word, str(entered))

    def test_where_it_may_not_go_it_cannot_be_saved(self):
        for values in (
            {"kind": "file", "path": "../vault.key"},
            {"kind": "file", "path": "/etc/cron.d/x.jsonl"},
            {"kind": "file", "path": False},
            {"kind": "syslog", "transport": "udp"},
            {"kind": "mail", "email": "nobody"},
            {"kind": "mail", "email": "a@b.example\r\nBcc: c@d.example"},
            {"kind": "webhook", "url": "file:///etc/passwd"},
            {"kind": "odoo", "url": "https://user:word@x.example"},
            {"kind": "file", "path": "x.jsonl", "pause": -1},
        ):
            with self.subTest(values), self.assertRaises(ValidationError):
                self.witness(**values)

    def test_those_of_a_copy_are_not_told(self):
        witness = self.witness()
        self.env["ir.config_parameter"].set_param("api_guard.database_name", "its original")
        self.witnesses._cron_tell()
        self.assertEqual((witness.state, self.folder.exists()), ("idle", False))
        self.assertTrue(self.witnesses._check()[0])

    def test_a_mail_holds_the_checkpoint(self):
        self.witness("mail", email="auditor@example.com, court@example.com")
        sent = []
        mails = type(self.env["mail.mail"])
        with patch.object(mails, "send", lambda mail, **_kwargs: sent.append((mail.email_to, mail.body_html))):
            self.witnesses._cron_tell()
        [(to, body)] = sent
        self.assertEqual(to, "auditor@example.com, court@example.com")
        self.assertIn(self.checkpoints._last().root, str(body))

    def test_the_test_tells_now_and_says_what_is_wrong(self):
        witness = self.witness()
        for _again in range(2):
            witness.with_user(self.manager).action_test()
        self.assertEqual([line["body"]["number"] for line in self.lines()], [self.checkpoints._last().number] * 2)
        self.assertEqual(witness.behind, 0)
        other = self.witness("webhook", url="https://10.0.0.1", secret=SECRET)
        with self.assertRaisesRegex(UserError, "api_guard_witness_networks"):
            other.with_user(self.manager).action_test()


@tagged("post_install", "-at_install")
class TestWebhook(Http, WitnessCase):
    def test_a_webhook_is_told_and_knows_by_whom(self):
        def taken(handler):
            handler.send_response(204)
            handler.end_headers()

        self.options[NETWORKS] = "127.0.0.1"
        server, url = self.serve(taken)
        witness = self.witness("webhook", url=f"{url}/hook", secret=SECRET)
        self.witnesses._cron_tell()
        [(path, headers, body)] = server.asked
        self.assertEqual((path, witness.state), ("/hook", "fine"))
        at, signature = (part.partition("=")[2] for part in headers["X-Api-Guard-Signature"].split(","))
        self.assertEqual(signature, hmac.new(SECRET.encode(), f"{at}.".encode() + body, "sha256").hexdigest())
        self.assertEqual(json.loads(body)["body"]["number"], self.checkpoints._last().number)
        self.assertNotIn(SECRET.encode(), body)

    def test_what_is_not_taken_is_told_again(self):
        def refused(handler):
            handler.send_response(500)
            handler.end_headers()
            handler.wfile.write(b"the inside of somebody's network")

        self.options[NETWORKS] = "127.0.0.1"
        server, url = self.serve(refused)
        witness = self.witness("webhook", url=url, secret=SECRET)
        self.witnesses._cron_tell()
        self.assertEqual(witness.last_error, "It was refused (500).")
        witness.next_try_at = False
        self.witnesses._cron_tell()
        self.assertEqual([body for _path, _headers, body in server.asked], [server.asked[0][2]] * 2)


@tagged("post_install", "-at_install")
class TestWitnessed(WitnessCase):
    """Both sides in one database: what is told goes to `api.witness` of the same."""

    def setUp(self):
        super().setUp()
        self.bot = new_test_user(self.env, "bot", groups="api_guard.group_witness")
        self.logs = self.env["api.audit.witnessed"]
        self.asked = []
        self._start(patch.object(carrier, "post", self._post))
        self.sender = self.witness("odoo", url="https://witness.example", secret=SECRET, database="witness")

    def _post(self, url, body, headers):
        said = json.loads(body)
        self.asked.append((url, headers))
        return 200, json.dumps(self.env["api.witness"].with_user(self.bot).witness(**said)).encode()

    def log(self):
        self.env.invalidate_all()
        return self.logs.search([("origin", "=", self.env["api.audit.receipt"]._origin())])

    def tell(self):
        self.sender.next_try_at = False
        self.witnesses._cron_tell()

    def test_a_log_is_trusted_on_first_use_and_grows(self):
        self.tell()
        log = self.log()
        self.assertEqual((log.state, log.is_trusted_unseen, log.user_id), ("fine", True, self.bot))
        self.assertEqual((log.number, log.key_name), (self.checkpoints._last().number, self.checkpoints._last().key_id))
        for count in (1, 300):
            self.grow(count)
        self.env["api.audit.seal"]._rotate()
        self.grow()
        self.tell()
        self.assertEqual((self.log().number, self.log().size), (self.checkpoints._last().number, self.size()))
        self.assertEqual(self.log().key_name, self.checkpoints._last().key_id)
        self.assertEqual(self.sender.state, "fine")
        url, headers = self.asked[-1]
        self.assertEqual(url, "https://witness.example/json/2/api.witness/witness")
        self.assertEqual(headers, {"Authorization": f"Bearer {SECRET}", "X-Odoo-Database": "witness"})

    def test_a_key_that_is_typed_in_is_the_only_one(self):
        origin = self.env["api.audit.receipt"]._origin()
        other = b64encode(bytes(32)).decode()
        log = self.logs.with_user(self.manager).create({"origin": origin, "public_key": other})
        self.tell()
        self.assertEqual((log.state, log.refusal, self.sender.detail), ("refused", "key", "key"))
        self.assertEqual(self.alerts("log.forked").mapped("count"), [1])
        self.assertEqual(self.alerts("log.disputed").mapped("count"), [1])
        for key in ("x", "é", b64encode(bytes(31)).decode()):
            with self.assertRaises(ValidationError):
                log.public_key = key
        log.public_key = self.env["api.audit.key"]._current().public
        self.tell()
        self.assertEqual((self.log().state, log.is_trusted_unseen), ("fine", False))
        with self.assertRaises(UserError):
            log.public_key = other

    def test_a_witness_that_knows_less_is_told_from_there(self):
        self.tell()
        known = self.log().body, self.log().number
        self.grow(5)
        self.tell()
        self.log()._set(body=known[0], number=known[1])
        self.grow(7)
        before = len(self.asked)
        self.tell()
        self.assertEqual(len(self.asked) - before, 2)
        self.assertEqual((self.log().number, self.sender.state), (self.checkpoints._last().number, "fine"))

    def test_a_log_that_is_another_is_refused_and_people_are_told(self):
        self.tell()
        self.grow(5)
        self.tell()
        known = self.log().read(["number", "size", "body", "public_key"])
        last = self.checkpoints._last()
        body = json.loads(self.log().body)
        body["root"] = b64encode(bytes(32)).decode()
        self.log()._set(body=canonical(body).decode())  # the witness has seen another history
        self.grow()
        self.tell()
        self.assertEqual((self.log().refusal, self.log().number), ("forked", last.number))
        self.assertEqual((self.sender.state, self.sender.detail), ("failing", "forked"))
        self.assertIn("Start anew", self.sender.last_error)
        self.tell()
        self.assertEqual(self.alerts("log.forked").mapped("count"), [1])
        self.assertEqual(self.alerts("log.disputed").mapped("count"), [1])
        self.log().with_user(self.manager).action_start_anew()
        self.assertEqual((self.log().state, self.log().public_key), ("waiting", False))
        self.tell()
        self.assertEqual((self.log().state, self.sender.state), ("fine", "fine"))
        self.assertEqual(known[0]["public_key"], self.log().public_key)
        self.env.cr.execute("SELECT count(*) FROM api_audit_entry WHERE method = 'start_anew'")
        self.assertEqual(self.env.cr.fetchone(), (1,))

    def test_nobody_else_tells_of_it(self):
        self.tell()
        said = self._said()
        other = new_test_user(self.env, "eve", groups="api_guard.group_witness")
        plain = new_test_user(self.env, "pat", groups="base.group_user")
        answer = self.env["api.witness"].with_user(other).witness(*said)
        self.assertEqual((answer["accepted"], answer["refusal"]), (False, "sender"))
        with self.assertRaises(AccessError):
            self.env["api.witness"].with_user(plain).witness(*said)
        for junk in ((None, None), ({}, {}), (said[0], []), ({**said[0], "body": {}}, said[1])):
            with self.assertRaises(UserError):
                self.env["api.witness"].with_user(self.bot).witness(*junk)

    def _said(self):
        told = self.env["api.audit.receipt"]._statement(self.checkpoints._last())
        return {"body": json.loads(told.signed.body), "signature": b64encode(told.signed.signature).decode(),
                "public_key": b64encode(told.key).decode()}, {"from": 0, "hashes": [
                    b64encode(step).decode() for step in told.proof]}  # fmt: skip

    def test_what_was_told_is_not_written_by_people(self):
        self.tell()
        log = self.log().with_user(self.manager)
        for values in ({"number": 1}, {"body": "x"}, {"refusal": False}):
            with self.assertRaises(AccessError):
                log.write(values)
        with self.assertRaises(AccessError):
            log.unlink()
        context = {"default_number": 7, "default_body": "x", "default_told_at": "2026-01-01"}
        for values in ({"origin": "x"}, {"public_key": b64encode(bytes(32)).decode()}, {"public_key": False}):
            with self.assertRaises(UserError):
                log.write(values)
        log.write({"name": "a shop", "origin": log.origin, "public_key": log.public_key})
        made = self.logs.with_user(self.manager).with_context(**context).create({"origin": "another"})
        self.assertEqual((made.state, made.number, made.size, made.body), ("waiting", 0, 0, False))
        self.assertFalse(made.told_at)
        made.write({"origin": "a third", "public_key": b64encode(bytes(32)).decode()})
        self.env.cr.execute(
            "SELECT method, arguments FROM api_audit_entry WHERE model = 'api.audit.witnessed' AND user_id = %s"
            " ORDER BY id", [self.manager.id])  # fmt: skip
        [created, written] = self.env.cr.fetchall()
        self.assertEqual((created[0], written[0]), ("create", "write"))
        self.assertIn("origin another, key ,", written[1])
        self.assertIn("origin a third, key AAAA", written[1])


@tagged("post_install", "-at_install")
class TestRestored(WitnessCase):
    def _noted(self):
        """As after a commit."""
        last = parse(self.checkpoints._last().body.encode())
        self.seal._note_head(last)
        return last

    def test_a_log_that_has_grown_is_no_alarm(self):
        self._noted()
        self.grow()
        self.assertFalse(self.checkpoints._last().note)
        self.assertFalse(self.alerts("log.restored"))
        self.assertTrue(self.seal._check_restored()[0])

    def test_an_older_backup_is_noticed_at_the_next_seal(self):
        head = self._noted()
        later = head.__class__(head.origin, head.number + 5, head.size + 9, head.root, head.time, head.key, b"1" * 32)
        self.seal._note_head(later)
        self.grow(0)  # nothing new, and yet a checkpoint, for it has something to say
        last = self.checkpoints._last()
        self.assertEqual(last.number, head.number + 1)
        self.assertEqual(last.note, f"restored; before: checkpoint {later.number} {b64encode(later.digest()).decode()}")
        self.assertEqual(self.alerts("log.restored").mapped("count"), [1])
        self.assertFalse(self.seal._check_restored()[0])
        self.env.cr.execute("SELECT count(*) FROM api_audit_entry WHERE method = 'restored'")
        self.assertEqual(self.env.cr.fetchone(), (1,))
        self._noted()
        self.grow()
        self.assertFalse(self.checkpoints._last().note)
        self.assertEqual(self.alerts("log.restored").mapped("count"), [1])
        self.alerts("log.restored").with_user(self.manager).action_acknowledge()
        self.assertTrue(self.seal._check_restored()[0])

    def test_another_checkpoint_in_its_place_is_noticed(self):
        head = self._noted()
        self.grow()
        self.grow()
        forked = head.__class__(head.origin, head.number + 1, head.size, head.root, head.time, head.key, b"1" * 32)
        self.seal._note_head(forked)
        self.grow()
        self.assertIn(f"checkpoint {forked.number} ", self.checkpoints._last().note)

    def test_a_copy_under_another_name_is_no_alarm(self):
        head = self._noted()
        later = head.__class__(head.origin, head.number + 5, head.size, head.root, head.time, head.key, b"1" * 32)
        heads.write(head.origin, "its_copy", later)
        self.grow()
        self.assertFalse(self.checkpoints._last().note)

    def test_a_database_with_a_new_name_is_compared_with_its_old_one(self):
        head = self._noted()
        later = head.__class__(head.origin, head.number + 5, head.size, head.root, head.time, head.key, b"1" * 32)
        heads.write(head.origin, "old_name", later)
        for name, count in ((self.env.cr.dbname, []), ("old_name", [1])):
            self.env["ir.config_parameter"].set_param("api_guard.database_name", name)
            self.env["api.credential"]._confirm_database()
            self.assertEqual(self.alerts("log.restored").mapped("count"), count)

    def test_a_head_that_cannot_be_read_or_written_stops_nothing(self):
        path = heads.path(self._noted().origin, self.env.cr.dbname)
        path.write_text("{")
        with self.assertLogs("odoo.addons.api_guard.models.api_audit_head", "WARNING"):
            self.grow()
        self.assertFalse(self.checkpoints._last().note)
        with (
            patch.object(heads, "write", side_effect=OSError),
            self.assertLogs("odoo.addons.api_guard.models.api_audit_head", "WARNING"),
        ):
            self._noted()

    def test_every_checkpoint_is_noted_once_it_is_committed(self):
        noted = []
        with patch.object(heads, "write", lambda *args: noted.append(args)):
            last = self.grow()
            self.assertEqual(noted, [])
            self.env.cr.postcommit.run()
        self.assertEqual(noted[-1][2].number, last.number)


@tagged("post_install", "-at_install")
class TestConsistency(WitnessCase):
    def test_two_checkpoints_are_compared(self):
        old = self.grow(3)
        new = self.grow(300)
        context = {"active_model": old._name, "active_ids": [new.id, old.id]}
        wizard = self.env["api.audit.consistency"].with_user(self.manager).with_context(**context).create({})
        self.assertEqual((wizard.old_id, wizard.new_id, wizard.is_consistent), (old, new, True))
        self.assertIn("Only appended to", wizard.answer)
        told = json.loads(b64decode(wizard.proof))
        self.assertIn(f"/{wizard.id}/proof/consistency-{old.number}-{new.number}.json", wizard.action_download()["url"])
        before, after = (parse(canonical(told[name]["body"])) for name in ("from", "to"))
        proof = [b64decode(step) for step in told["proof"]]
        self.assertTrue(verify_consistency(before.size, after.size, before.root, after.root, proof))
        wizard.write({"old_id": new.id, "new_id": old.id})
        self.assertFalse(wizard.is_consistent)
        self.assertIn("older one first", wizard.answer)

    def test_a_changed_history_is_not_called_consistent(self):
        old = self.grow(3)
        new = self.grow(300)
        self.checked("UPDATE api_audit_tile SET hashes = overlay(hashes placing '\\x00'::bytea from 1)")
        wizard = self.env["api.audit.consistency"].create({"old_id": old.id, "new_id": new.id})
        self.assertFalse(wizard.is_consistent or wizard.proof)
        self.checked("DELETE FROM api_audit_tile")
        wizard = self.env["api.audit.consistency"].create({"old_id": old.id, "new_id": new.id})
        self.assertIn("not whole", wizard.answer)


@tagged("post_install", "-at_install")
class TestReceipt(WitnessCase):
    ID = "019abcdef01000000001"

    def setUp(self):
        super().setUp()
        self.plain = new_test_user(self.env, "ada", groups="base.group_user")
        self.auditor = new_test_user(self.env, "ann", groups="api_guard.group_auditor")
        self.key, self.other = (self._key(self.plain) for _number in range(2))

    def _key(self, user):
        secret = self.env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "a key", None)
        return self.env["api.credential"]._of_secret(secret, user)

    def _enter_call(self, request_id=ID, key=None, **values):
        at = fields.Datetime.to_datetime("1970-01-01") + timedelta(milliseconds=int(request_id[:11], 16))
        key = key or self.key
        return self.enter(1, **{"request_id": request_id, "occurred_at": at, "credential_id": key.id,
                                "user_id": self.plain.id, "duration_ms": 1.0000000000000002, **values})  # fmt: skip

    def ask(self, key=None, user=None, request_id=ID, scoped=True):
        key = self.key if key is None else key
        kind = Kind.KEY if key else Kind.SESSION
        identity = SimpleNamespace(credential=Credential(kind, State.ACTIVE), credential_id=key and key.id,
                                   lineage_id=key and (key.lineage_id or key.id))  # fmt: skip
        exchange = SimpleNamespace(identity=identity, scoped=scoped, closures=())
        proofs = self.env["api.audit.receipt"].with_user(user or self.plain)
        return proofs._receipts(request_id, exchange)

    def test_a_receipt_proves_the_entry(self):
        self._enter_call()
        self.assertEqual(self.ask()[0], 202)
        self.grow(300)
        status, told = self.ask()
        self.assertEqual((status, told["withheld"], told["request_id"]), (200, 0, self.ID))
        [one] = json.loads(json.dumps(told))["receipts"]
        signed = Signed(canonical(one["checkpoint"]["body"]), b64decode(one["checkpoint"]["signature"]))
        self.assertTrue(is_signed(signed, b64decode(one["public_key"])))
        found, entry = parse(signed.body), one["entry"]
        proof = [b64decode(step) for step in one["proof"]]
        self.assertEqual((entry["request_id"], entry["credential_id"]), (self.ID, self.key.id))
        self.assertTrue(verify_inclusion(leaf_hash(canonical(entry)), one["index"], found.size, proof, found.root))

    def test_who_is_given_which(self):
        self._enter_call()
        refused, failed = self.ID[:-1] + "2", self.ID[:-1] + "3"
        self._enter_call(refused, outcome="refused", kind="refused", verdict="deny", refusing_policy="Hidden name")
        self._enter_call(failed, outcome="failed", kind="failed", error_message="inside")
        successor = self._key(self.plain)
        self.env.cr.execute("UPDATE api_credential SET lineage_id = %s WHERE id = %s", [self.key.id, successor.id])
        self.env.invalidate_all()
        self.grow()
        nobody = self.env["api.credential"]
        for case, status, asked in (
            ("the key itself", 200, {}),
            ("its successor", 200, {"key": successor}),
            ("another key of the same user", 404, {"key": self.other}),
            ("its own call that was refused", 403, {"request_id": refused}),
            ("its own call that failed", 403, {"request_id": failed}),
            ("another key asks for what was refused", 404, {"key": self.other, "request_id": refused}),
            ("an unknown one", 404, {"request_id": self.ID[:-1] + "9"}),
            ("no id", 404, {"request_id": "x'; --"}),
            ("another form of it", 404, {"request_id": self.ID.upper()}),
            ("the owner at the screens", 200, {"key": nobody, "scoped": False}),
            ("the owner at the screens, refused", 200, {"key": nobody, "scoped": False, "request_id": refused}),
            ("an auditor", 200, {"key": nobody, "user": self.auditor, "scoped": False, "request_id": refused}),
            ("a scoped key of an auditor", 404, {"key": self._key(self.auditor), "user": self.auditor}),
            ("somebody else at the screens", 404, {"key": nobody, "user": self.manager_less(), "scoped": False}),
        ):
            with self.subTest(case):
                self.assertEqual(self.ask(**asked)[0], status)

    def manager_less(self):
        return new_test_user(self.env, "bob", groups="base.group_user")

    def test_of_several_entries_the_key_gets_those_that_were_allowed(self):
        self._enter_call(kind="write", committed=True)
        self._enter_call(outcome="failed", kind="failed", committed=False)
        self.grow()
        status, told = self.ask()
        self.assertEqual((status, told["withheld"], len(told["receipts"])), (200, 1, 1))
        self.assertTrue(told["receipts"][0]["entry"]["committed"])

    def test_digests_are_told_to_nobody_else(self):
        self._enter_call(digests=["abc"])
        self.grow()
        self.assertEqual(self.ask()[0], 200)
        nobody = self.env["api.credential"]
        self.assertEqual(self.ask(key=nobody, user=self.auditor, scoped=False)[0], 404)

    def test_the_log_says_who_it_is(self):
        told = self.env["api.audit.receipt"]._log()
        self.assertEqual(told["checkpoint"]["body"]["number"], self.checkpoints._last().number)
        self.assertIn(self.checkpoints._last().key_id, [key["id"] for key in told["public_keys"]])
        self.assertEqual(told["checkpoint"]["body"]["origin"], told["origin"])

    def test_the_bytes_of_a_receipt_are_those_that_were_sealed(self):
        [entry_id] = self._enter_call(digests=["é", "x"], arguments='{"a": "é\\n"}', byte_count=2**53 + 1)
        self.grow()
        self.env.cr.execute("SELECT * FROM api_audit_entry WHERE id = %s", [entry_id])
        [entry] = self.env.cr.dictfetchall()
        self.assertEqual(canonical(self.ask()[1]["receipts"][0]["entry"]), leaf(entry))
