"""What does a verification find, of all that somebody may do who owns the database? Each is done here, with SQL."""

from base64 import b64decode, b64encode
from zlib import compress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from odoo.exceptions import AccessError
from odoo.tests.common import new_test_user, tagged
from odoo.tools import SQL
from psycopg2 import Binary

from ..core import merkle
from ..core.canonical import leaf
from ..core.checkpoint import Checkpoint, key_id, parse, public_key, sign
from ..models import log_check, vault
from .sealed import SealedCase
from .test_vault import TWO


@tagged("post_install", "-at_install")
class TestVerify(SealedCase):
    def setUp(self):
        super().setUp()
        self.runs = self.env["api.audit.verify"]
        self.ids = self.enter(300)
        self.seal_all()
        self.ids += self.enter(300)
        self.seal_all()

    def verify(self, is_full=True, **values):
        run = self.runs._begin(is_full, "cron", **values)
        for _number in range(1000):
            if run.state != "running":
                return run
            run._step()
        raise AssertionError("it does not end")

    def kinds(self, run):
        return [fault["kind"] for fault in run.faults]

    def assert_found(self, kind, entry=None, count=None, **values):
        run = self.verify(**values)
        self.assertEqual(run.state, "broken")
        first = min(run.faults, key=lambda fault: (fault["kind"] != kind, fault.get("leaf") or 0))
        self.assertEqual(first["kind"], kind, run.report)
        self.assertNotIn("%(", run.report)
        if entry is not None:
            self.assertEqual(first["entry"], entry)
            self.assertIn(str(entry), run.first_fault)
        if count is not None:
            self.assertEqual(run.fault_count, count, run.report)
        return run

    # ------------------------------------------------------------- nothing was done

    def test_a_log_that_nobody_touched_is_intact(self):
        self.enter(3)  # not sealed yet
        for is_full in (True, False):
            run = self.verify(is_full)
            self.assertEqual((run.state, run.report, run.fault_count), ("intact", "", 0))
            self.assertEqual(run.progress, 100)
        self.assertEqual(run.entry_count, 0, "what was verified before is not looked at again")
        self.seal_all()
        self.assertEqual(self.verify(False).entry_count, 3)
        self.assertEqual(self.verify(True).entry_count, self.before + 603)

    # ------------------------------------------------------------- entries

    def test_a_changed_value_is_found_wherever_it_stands(self):
        changes = {"login": "x", "occurred_at": "2026-01-01 10:30:00.500001", "status": 201, "duration_ms": 0.1,
                   "committed": True, "arguments": "{}", "digests": ["x"]}  # fmt: skip
        for column, value in changes.items():
            with self.subTest(column), self.env.cr.savepoint() as savepoint:
                self.checked("SELECT 1")
                change = SQL("UPDATE api_audit_entry SET %s = %s", SQL.identifier(column), value)
                self.env.cr.execute(SQL("%s WHERE id = %s", change, self.ids[10]))
                self.assert_found("changed", self.ids[10], count=1)
                savepoint.rollback()

    def test_of_several_changed_ones_the_first_is_named(self):
        self.checked("UPDATE api_audit_entry SET login = 'x' WHERE id = ANY(%s)", [self.ids[400], self.ids[7]])
        run = self.assert_found("changed", self.ids[7], count=2)
        self.assertEqual(self.env["api.alert"].search([("code", "=", "log.broken")], limit=1).detail, run.first_fault)

    def test_a_removed_entry_is_found(self):
        self.checked("DELETE FROM api_audit_entry WHERE id = %s", self.ids[299])
        self.assert_found("removed", self.ids[299], count=1)

    def test_a_removed_entry_and_its_place_are_found(self):
        self.checked("DELETE FROM api_audit_entry WHERE id = %s", self.ids[299])
        self.env.cr.execute("UPDATE api_audit_leaf_block SET entry_ids = array_remove(entry_ids, %s)", [self.ids[299]])
        self.assertNotEqual(self.verify().state, "intact")

    def test_an_inserted_entry_is_found(self):
        self.checked("SELECT 1")
        self.env.cr.execute("UPDATE api_audit_seal SET xid = reached_xid, entry_id = reached_id")
        for entry_id in (self.ids[5] * 10_000, 1_000_000_000_000):
            with self.subTest(entry_id), self.env.cr.savepoint() as savepoint:
                self.enter(id=entry_id, xid=7)
                self.assert_found("inserted", entry_id, count=1)
                self.assertEqual(self.seal_all(), 0)
                savepoint.rollback()

    def test_an_entry_of_a_transaction_that_never_was_is_found(self):
        self.enter(id=1_000_000_000_000, xid=2**50)
        self.assert_found("inserted", 1_000_000_000_000, count=1)

    def test_it_is_found_whatever_is_said_to_have_come_along_from_another_cluster(self):
        self.enter(id=1_000_000_000_000, xid=2**50)
        self.checked("UPDATE api_audit_seal SET restored_id = 9000000000000000")
        self.assert_found("inserted", 1_000_000_000_000, count=1)

    def test_no_id_is_so_low_that_it_is_not_looked_at(self):
        self.enter(id=-5, xid=2**50)
        self.assert_found("inserted", -5, count=1)

    def test_one_that_stands_twice_is_found_once_wherever_a_part_ends(self):
        self.enter(id=self.ids[5], occurred_at="2026-01-02")
        for entries in range(2, 6):
            at, found = self.ids[2], []
            while at is not None and at < self.ids[20]:
                faults, at = log_check.check_entries(self.env, at, entries)
                found += faults
            self.assertEqual(found, [{"kind": "inserted", "entry": self.ids[5]}], entries)

    def test_an_entry_that_stands_twice_is_found(self):
        self.enter(id=self.ids[5], occurred_at="2026-01-02")
        self.assert_found("inserted", self.ids[5], count=1)

    def test_entries_that_take_each_others_ids_are_reordered(self):
        one, other = self.enter(request_id="one") + self.enter(request_id="other")
        self.seal_all()
        for old, new in ((one, -1), (other, one), (-1, other)):
            self.checked("UPDATE api_audit_entry SET id = %s WHERE id = %s", new, old)
        self.assert_found("reordered", one, count=2)

    def test_leaves_that_change_places_are_reordered(self):
        self.checked(
            "UPDATE api_audit_leaf_block SET entry_ids = array_replace(array_replace(array_replace("
            "entry_ids, %s, -1::bigint), %s, %s), -1::bigint, %s)", *[self.ids[20], self.ids[21]] * 2)  # fmt: skip
        self.assert_found("reordered", self.ids[21], count=2)

    # ------------------------------------------------------------- the tree

    def _forge(self, entry_id):
        """Change an entry together with its hash; the number of its tile."""
        self.checked("UPDATE api_audit_entry SET login = 'forged' WHERE id = %s", entry_id)
        [entry] = self.seal._entries_of([entry_id])
        place = self.seal._leaves([entry_id])[entry_id]
        number, at = divmod(place, merkle.TILE)
        hashes = bytearray(self.seal._tile(0, number))
        hashes[at * 32 : at * 32 + 32] = merkle.leaf_hash(leaf(entry))
        self.env.cr.execute("UPDATE api_audit_tile SET hashes = %s WHERE level = 0 AND number = %s",
                            [Binary(bytes(hashes)), number])  # fmt: skip
        return number

    def test_an_entry_that_is_changed_with_its_hash_is_narrowed_down_to_its_tile(self):
        number = self._forge(self.ids[5])
        run = self.assert_found("tile")
        self.assertIn((number * 256, number * 256 + 255), [(f.get("first"), f.get("last")) for f in run.faults])

    def test_one_in_the_last_tile_is_narrowed_down_to_two_checkpoints(self):
        self._forge(self.ids[-1])
        run = self.assert_found("tiles")
        sizes = self.checkpoints.search([("size", ">", self.before)], order="number").mapped("size")
        self.assertEqual([(f["first"], f["last"]) for f in run.faults], [(sizes[-2], sizes[-1] - 1)])

    def test_all_hashes_made_anew_do_not_come_to_what_was_signed(self):
        self._forge(self.ids[5])
        self.env.cr.execute("SELECT hashes FROM api_audit_tile WHERE level = 0 ORDER BY number")
        hashes = b"".join(bytes(part) for (part,) in self.env.cr.fetchall())
        for (level, number), part in merkle.append(0, None, [hashes]).items():
            self.env.cr.execute("UPDATE api_audit_tile SET hashes = %s WHERE level = %s AND number = %s",
                                [Binary(part), level, number])  # fmt: skip
        run = self.assert_found("tiles", count=1)
        fault = run.faults[0]
        self.assertLessEqual(fault["first"], self.before + 5)
        self.assertGreaterEqual(fault["last"], self.before + 5)

    def test_missing_tiles_and_blocks_are_found(self):
        for statement, kind in (
            ("DELETE FROM api_audit_tile WHERE level = 0 AND number = 0", "tile"),
            ("DELETE FROM api_audit_tile WHERE level = 1", "tile"),
            ("UPDATE api_audit_tile SET hashes = substr(hashes, 1, 100) WHERE number = 0", "tile"),
            ("DELETE FROM api_audit_leaf_block WHERE number = 1", "block"),
            ("UPDATE api_audit_seal SET size = size - 1", "cut"),
            ("UPDATE api_audit_seal SET origin = gen_random_uuid()", "cut"),
        ):
            with self.subTest(statement), self.env.cr.savepoint() as savepoint:
                self.checked(statement)
                self.assert_found(kind)
                savepoint.rollback()

    # ------------------------------------------------------------- retention

    def _drop(self, ids, is_told=True):
        """Take entries as retention does; with the entry that tells of it, or without."""
        leaves = self.seal._leaves(ids)
        first, last = min(leaves.values()), max(leaves.values())
        bits = bytearray((last - first) // 8 + 1)
        for place in leaves.values():
            bits[(place - first) >> 3] |= 1 << ((place - first) & 7)
        self.env.cr.execute(
            "INSERT INTO api_audit_drop (kind, way, rule, table_name, starts, ends, entry_count, first_id, last_id,"
            " first_leaf, last_leaf, leaf_map) VALUES ('read', 'batch', 'Reads', 'x', '2026-01-01', '2026-01-02',"
            " %s, %s, %s, %s, %s, %s) RETURNING id, dropped_at",
            [len(ids), min(ids), max(ids), first, last, Binary(compress(bytes(bits)))],
        )
        drop_id, now = self.env.cr.fetchone()
        if is_told:
            self.enter(model="api.audit.drop", record_ids=str(drop_id), kind="write", occurred_at=now)
        self.checked("DELETE FROM api_audit_entry WHERE id = ANY(%s)", ids)
        return drop_id

    def test_what_retention_took_is_not_missing(self):
        self._drop([self.ids[3], self.ids[290], self.ids[310]])
        self.assertEqual(self.verify().state, "intact")
        self.checked("DELETE FROM api_audit_entry WHERE id = %s", self.ids[4])
        self.assert_found("removed", self.ids[4], count=1)

    def test_a_drop_of_which_no_entry_tells_is_none(self):
        drop_id = self._drop([self.ids[3]], is_told=False)
        run = self.assert_found("drop", count=1)
        self.assertEqual(run.faults[0]["number"], drop_id)

    # ------------------------------------------------------------- checkpoints and keys

    def test_a_changed_checkpoint_is_found(self):
        row = "WHERE number = (SELECT max(number) FROM api_audit_checkpoint)"
        for statement, kind in (
            ("DELETE FROM api_audit_checkpoint WHERE number = 1", "checkpoint"),
            ("DELETE FROM api_audit_checkpoint {row}", "checkpoint"),
            ("DELETE FROM api_audit_checkpoint", "checkpoint"),
            ("UPDATE api_audit_checkpoint SET signature = 'AA==' {row}", "checkpoint"),
            ("UPDATE api_audit_checkpoint SET signature = 'é' {row}", "checkpoint"),
            ("UPDATE api_audit_checkpoint SET body = replace(body, 'v', 'w') {row}", "checkpoint"),
            ("UPDATE api_audit_checkpoint SET size = size - 1 {row}", "copy"),
            ("UPDATE api_audit_checkpoint SET made_at = '2020-01-01' {row}", "copy"),
            ("UPDATE api_audit_checkpoint SET note = 'x' {row}", "copy"),
            ("UPDATE api_audit_key SET public = 'AAAA'", "key"),
            ("UPDATE api_audit_key SET secret = left(secret, -4) || 'AAAA'", "key"),
        ):
            with self.subTest(statement), self.env.cr.savepoint() as savepoint:
                self.checked(statement.replace("{row}", row))
                self.env.invalidate_all()
                run = self.verify()
                self.assertIn(kind, self.kinds(run), run.report)
                self.assertNotIn("%(", run.report)
                savepoint.rollback()
                self.env.invalidate_all()

    def _sign_all_with(self, private):
        """Sign all checkpoints anew with a key of one's own, and put that in the place of the other."""
        self.checked("SELECT 1")
        public, before = public_key(private), None
        for checkpoint in self.checkpoints.search([], order="number"):
            said = parse(checkpoint.body.encode())
            forged = Checkpoint(said.origin, said.number, said.size, said.root, said.time, key_id(public), before)
            signed = sign(private, forged)
            self.env.cr.execute(
                "UPDATE api_audit_checkpoint SET body = %s, signature = %s, key_id = %s, previous = %s WHERE id = %s",
                [signed.body.decode(), b64encode(signed.signature).decode(), key_id(public),
                 before and b64encode(before).decode(), checkpoint.id],
            )  # fmt: skip
            before = forged.digest()
        self.env.cr.execute(
            "UPDATE api_audit_key SET key_id = %s, public = %s", [key_id(public), b64encode(public).decode()]
        )
        self.env.invalidate_all()

    def test_a_log_that_is_signed_anew_is_found_by_the_vault_and_by_whoever_kept_the_key(self):
        kept = self.env["api.audit.key"]._current().public
        self.assertEqual(self.verify(pinned=kept).state, "intact")
        self._sign_all_with(b"7" * 32)
        self.assertEqual(self.kinds(self.verify()), ["key"])
        self.assertEqual(self.kinds(self.verify(pinned=kept)), ["key", "checkpoint"])

    def test_what_the_last_verification_saw_may_not_be_replaced(self):
        self.assertEqual(self.verify().state, "intact")
        self._sign_all_with(b"7" * 32)
        run = self.verify(is_full=False)
        self.assertFalse(run.is_full)
        gone = {"kind": "checkpoint", "checkpoint": self.checkpoints._last().number, "detail": "gone"}
        self.assertIn(gone, run.faults)

    def test_a_log_that_is_not_signed_yet_is_intact_and_says_so(self):
        self.options[vault.OPTION] = TWO
        self.enter(2)
        self.seal_all()
        run = self.verify()
        self.assertEqual(run.state, "intact")
        self.assertEqual([remark["kind"] for remark in run.remarks], ["unchecked_key", "unsigned"])
        self.assertIn("2 sealed entries are not signed yet", run.report)

    def test_a_key_that_was_lost_is_told_of(self):
        self.env["api.audit.key"]._current().action_start_anew()
        run = self.verify()
        self.assertEqual(run.state, "intact")
        self.assertIn("it was lost", run.report)

    def test_rotated_keys_verify_by_the_first(self):
        first = self.env["api.audit.key"].search([], order="id", limit=1).public
        self.env["api.audit.key"]._current().action_rotate()
        self.enter(1)
        self.seal_all()
        self.assertEqual(self.verify(pinned=first).state, "intact")

    # ------------------------------------------------------------- runs

    def test_only_what_came_since_is_looked_at(self):
        self.assertEqual(self.verify().state, "intact")
        self.checked("UPDATE api_audit_entry SET login = 'x' WHERE id = %s", self.ids[0])
        ids = self.enter(2)
        self.seal_all()
        self.assertEqual(self.verify(is_full=False).state, "intact")
        self.checked("UPDATE api_audit_entry SET login = 'x' WHERE id = %s", ids[1])
        self.assert_found("changed", self.ids[0], count=2)

    def test_after_a_fault_the_next_begins_where_all_was_well(self):
        self.checked("UPDATE api_audit_entry SET login = 'x' WHERE id = %s", self.ids[0])
        self.verify()
        self.assert_found("changed", self.ids[0], is_full=False)

    def test_every_day_something_and_every_week_everything(self):
        self.runs.search([]).unlink()
        first = self.runs._due()
        self.assertTrue(first.is_full)
        self.assertFalse(self.runs._due())
        while first.state == "running":
            first._step()
        first.started_at = "2026-01-01"
        recent = self.verify(is_full=True)
        recent.asked_by = "screen"
        self.assertFalse(self.runs._due().is_full)

    def test_a_run_of_the_future_stands_for_none(self):
        self.assertEqual(self.verify().state, "intact")
        self.runs.search([]).write({"started_at": "2099-01-01"})
        self.assertTrue(self.runs._due().is_full, "neither today's nor this week's")
        self.assertTrue(self.runs._begin(False, "screen").is_full, "and nothing goes on from it")
        check = self.env["res.config.settings"]._api_guard_check_verified
        is_fine, what, _remedy = check()
        self.assertEqual((is_fine, "2099-01-01" in what), (False, True))

    def test_a_log_that_is_not_verified_any_more_is_told_of(self):
        check = self.env["res.config.settings"]._api_guard_check_verified
        self.assertEqual(self.verify().state, "intact")
        self.assertTrue(check()[0])
        self.runs.search([]).write({"started_at": "2026-01-01", "finished_at": "2026-01-01"})
        is_fine, what, _remedy = check()
        self.assertEqual((is_fine, what), (False, "The audit log was last verified on 2026-01-01 00:00 UTC"))
        self.runs.search([]).unlink()
        self.assertTrue(check()[0])
        self.checked("UPDATE api_audit_checkpoint SET made_at = '2026-01-01'")
        self.env.invalidate_all()
        self.assertEqual(check()[:2], (False, "The audit log was never verified"))

    def test_auditors_ask_and_see_it_and_users_do_not(self):
        plain = new_test_user(self.env, "ada", groups="base.group_user")
        auditor = new_test_user(self.env, "ann", groups="api_guard.group_auditor")
        with self.assertRaises(AccessError):
            self.runs.with_user(plain).action_verify()
        action = self.runs.with_user(auditor).action_verify_all()
        run = self.runs.browse(action["res_id"])
        self.assertEqual((run.user_id, run.is_full, run.state), (auditor, True, "running"))
        self.assertEqual(self.runs._next_run(), run)
        while run.state == "running":
            run._step()
        self.assertEqual(run.with_user(auditor).first_fault, "")

    def test_who_asks_again_is_shown_the_run_that_is_under_way(self):
        self.verify()
        full, since = (self.runs.action_verify_all()["res_id"], self.runs.action_verify()["res_id"])
        self.assertNotEqual(full, since)
        for _again in range(3):
            self.assertEqual(self.runs.action_verify_all()["res_id"], full)
            self.assertEqual(self.runs.action_verify()["res_id"], since)
        self.runs.browse(full).state = "stopped"
        self.assertNotEqual(self.runs.action_verify_all()["res_id"], full)

    def test_a_key_of_another_kind_is_no_signature(self):
        other = Ed25519PrivateKey.generate()
        last = self.checkpoints._last()
        self.checked("UPDATE api_audit_checkpoint SET signature = %s WHERE id = %s",
                     b64encode(other.sign(last.body.encode())).decode(), last.id)  # fmt: skip
        run = self.assert_found("checkpoint", count=1)
        self.assertEqual((run.faults[0]["checkpoint"], run.faults[0]["detail"]), (last.number, "signature"))
        self.assertEqual(len(b64decode(last.root)), 32)
