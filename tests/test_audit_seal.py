"""What is sealed, in which order, and what happens when that is disturbed?"""

from base64 import b64decode
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests.common import new_test_user, tagged
from odoo.tools import mute_logger
from psycopg2.errors import InsufficientPrivilege

from ..core import merkle
from ..core.canonical import leaf
from ..core.checkpoint import first_fault, follow, parse
from ..models import vault
from .sealed import SealedCase
from .test_vault import ONE, TWO


@tagged("post_install", "-at_install")
class TestSeal(SealedCase):
    def _faults(self):
        chain = [checkpoint._signed() for checkpoint in self.checkpoints.search([], order="number")]
        return first_fault(chain, [key._public() for key in self.env["api.audit.key"].search([])])

    def _root(self):
        """The root as the entries themselves have it."""
        self.env.cr.execute("SELECT entry_ids FROM api_audit_leaf_block ORDER BY number")
        ids = [entry_id for (part,) in self.env.cr.fetchall() for entry_id in part]
        self.env.cr.execute("SELECT * FROM api_audit_entry")
        names = [column.name for column in self.env.cr.description]
        rows = {row[names.index("id")]: dict(zip(names, row, strict=True)) for row in self.env.cr.fetchall()}
        return merkle.root([merkle.leaf_hash(leaf(rows[entry_id])) for entry_id in ids])

    # -------------------------------------------------------------- which, and in what order

    def test_every_entry_is_sealed_once_in_the_order_of_writing(self):
        ids = self.enter(700)
        self.assertEqual(self.seal_all(limit=300), 700)
        self.assertEqual(self.leaves(), ids)
        self.assertEqual(self.seal._seal(), (0, False))
        last = self.checkpoints._last()
        self.assertEqual((last.size, b64decode(last.root)), (self.before + 700, self._root()))
        self.assertIsNone(self._faults())
        self.assertEqual(self.seal._leaves(ids[:2]), {ids[0]: self.before, ids[1]: self.before + 1})

    def test_a_run_says_whether_there_is_more(self):
        self.enter(5)
        self.assertEqual([self.seal._seal(limit=2) for _ in range(3)], [(2, True), (2, True), (1, False)])

    def test_what_commits_late_is_sealed_late(self):
        now = self.horizon()
        first, last = 9_000_000_001, 9_000_000_009
        self.enter(id=last, xid=now)
        self.assertEqual(self.seal_all(), 1)
        for late in (first, first + 1):  # of transactions that were under way: their numbers lie before
            self.enter(id=late, xid=now)
            self.assertEqual(self.seal_all(), 1)
        self.enter(id=last + 1, xid=now)
        self.assertEqual(self.seal_all(), 1)
        self.assertEqual(self.leaves(), [last, first, first + 1, last + 1])
        self.assertEqual(self.seal_all(), 0)

    def test_what_came_late_is_found_in_parts_too(self):
        now = self.horizon()
        self.enter(id=9_000_000_009, xid=now)
        self.seal_all()
        late = [self.enter(id=9_000_000_000 + number, xid=now)[0] for number in range(5)]
        self.assertEqual([self.seal._seal(limit=2) for _ in range(3)], [(2, True), (2, True), (1, False)])
        self.assertEqual(self.leaves()[1:], late)

    def test_many_that_came_late_are_looked_through_in_parts(self):
        now = self.horizon()
        ids = [self.enter(id=9_000_000_000 + 2 * number, xid=now)[0] for number in range(20)]
        self.seal_all()
        late = [self.enter(id=9_000_000_001 + 2 * number, xid=now)[0] for number in range(20)]
        with patch("odoo.addons.api_guard.models.api_audit_seal._KEYS", 7):
            self.assertEqual(self.seal_all(limit=3), 20)
        self.assertEqual(sorted(self.leaves()), sorted([*ids, *late]))

    def test_the_position_stays_before_what_is_not_settled(self):
        self.enter(3)
        self.seal_all()
        self.assertLessEqual(int(self.state("xid")), self.horizon())

    def test_a_log_from_before_is_sealed_by_its_ids(self):
        ids = [self.enter(id=8_000_000_000 + n, xid=0)[0] for n in range(5)]
        self.checked("UPDATE api_audit_seal SET xid = '0', entry_id = 0, reached_xid = '0', reached_id = 0")
        self.assertEqual(self.seal_all(limit=2), 5)
        self.assertEqual(self.leaves(), ids)

    # -------------------------------------------------------------------- another cluster

    def test_in_another_cluster_all_is_gone_through_once_and_nothing_sealed_twice(self):
        """A dump that was read into a cluster whose transactions have lower numbers, and some entries not sealed."""
        sealed = self.enter(40)
        ahead = [self.enter(id=9_000_000_000 + n, xid=2**40)[0] for n in range(3)]
        self.checked("UPDATE api_audit_seal SET xid = '1099511627770'")  # below 2**40, far above what is here
        self.assertEqual(self.seal_all(limit=16), 43)
        self.assertEqual(sorted(self.leaves()), sorted([*sealed, *ahead]))
        self.assertIsNone(self.state("resume_xid"))
        self.assertEqual(self.checkpoints.search([("note", "=", "restored")]).mapped("note"), ["restored"])
        new = self.enter(2)
        self.assertEqual(self.seal_all(), 2)
        self.assertEqual(self.leaves()[-2:], new)
        # the numbers of this cluster have come to where those of the other were
        self.checked("UPDATE api_audit_seal SET reached_xid = '1099511627775'")
        self.assertEqual(self.seal._unsealed_of_move(self.seal._lock(), [(2**40, ahead[0]), (2**40, 9_100_000_000)]),
                         [(2**40, 9_100_000_000)])  # fmt: skip
        self.assertIsNone(self._faults())

    def test_another_cluster_is_noticed_by_its_identifier(self):
        self.enter(2)
        self.seal_all()
        self.checked("UPDATE api_audit_seal SET system_identifier = 1")
        self.enter(1)
        self.assertEqual(self.seal_all(), 1)
        self.assertEqual(self.checkpoints._last().note, "restored")
        self.assertNotEqual(self.state("system_identifier"), 1)
        self.assertEqual(self.seal_all(), 0)

    # -------------------------------------------------------------------- who may change it

    def test_nobody_changes_what_was_sealed(self):
        self.enter(2)
        self.seal_all()
        for statement in (
            "DELETE FROM api_audit_checkpoint",
            "TRUNCATE api_audit_checkpoint",
            "UPDATE api_audit_checkpoint SET note = 'x'",
            "DELETE FROM api_audit_tile",
            "TRUNCATE api_audit_tile",
            "UPDATE api_audit_tile SET hashes = substr(hashes, 33)",
            "UPDATE api_audit_tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)",
            "DELETE FROM api_audit_leaf_block",
            "UPDATE api_audit_leaf_block SET entry_ids = array_remove(entry_ids, entry_ids[1])",
            "DELETE FROM api_audit_key",
            "UPDATE api_audit_key SET public = 'x'",
            "DELETE FROM api_audit_seal",
            "UPDATE api_audit_seal SET size = size - 1",
            "UPDATE api_audit_seal SET origin = gen_random_uuid()",
        ):
            with self.subTest(statement), mute_logger("odoo.sql_db"), self.assertRaises(InsufficientPrivilege):
                with self.env.cr.savepoint():
                    self.env.cr.execute(statement)
        for record in (self.checkpoints._last(), self.env["api.audit.key"]._current()):
            with self.subTest(record._name), self.assertRaises(UserError):
                record.unlink()
        with self.assertRaises(UserError):
            self.checkpoints._last().write({"note": "x"})
        with self.assertRaises(UserError):
            self.checkpoints.create({"note": "x"})

    # -------------------------------------------------------------------- keys

    def test_without_its_key_the_log_is_sealed_and_signed_later(self):
        self.enter(1)
        self.seal_all()
        signed = self.checkpoints._last().size
        self.options[vault.OPTION] = TWO
        self.enter(2)
        self.assertEqual(self.seal_all(), 2)
        self.assertEqual((self.size(), self.checkpoints._last().size), (signed + 2, signed))
        self.assertEqual(self.env["api.alert"].search([("code", "=", "log.unsigned")]).mapped("count")[:1], [1])
        self.options[vault.OPTION] = ONE
        self.assertEqual(self.seal_all(), 0)
        self.assertEqual(self.checkpoints._last().size, signed + 2)
        self.assertIsNone(self._faults())

    def test_the_old_key_signs_the_new(self):
        manager = new_test_user(self.env, "mia", groups="api_guard.group_manager")
        self.enter(1)
        self.seal_all()
        old = self.env["api.audit.key"]._current()
        old.with_user(manager).action_rotate()
        new = self.env["api.audit.key"]._current()
        announcing = self.checkpoints._last()
        self.assertEqual((announcing.key_id, announcing.next_key), (old.key_id, new.public))
        self.assertTrue(old.retired_at)
        self.enter(1)
        self.seal_all()
        self.assertEqual(self.checkpoints._last().key_id, new.key_id)
        # with the first key alone, for the others follow from it
        chain = [checkpoint._signed() for checkpoint in self.checkpoints.search([], order="number")]
        first = self.env["api.audit.key"].search([], order="id", limit=1)
        self.assertIsNone(first_fault(chain, [first._public()]))

    def test_a_key_that_is_lost_is_replaced_and_the_log_says_so(self):
        self.enter(1)
        self.seal_all()
        old = self.env["api.audit.key"]._current()
        self.options[vault.OPTION] = TWO
        with self.assertRaises(UserError), self.env.cr.savepoint():
            old.action_rotate()
        self.enter(1)
        self.seal_all()
        old.action_start_anew()
        last = self.checkpoints._last()
        self.assertEqual((last.note, last.size), ("key lost", self.size()))
        self.assertNotEqual(last.key_id, old.key_id)
        self.assertIsNone(self._faults())

    def test_only_managers_change_the_key(self):
        auditor = new_test_user(self.env, "ann", groups="api_guard.group_auditor")
        self.enter(1)
        self.seal_all()
        key = self.env["api.audit.key"]._current().with_user(auditor)
        for action in (key.action_rotate, key.action_start_anew):
            with self.assertRaises(AccessError):
                action()

    def test_the_private_key_is_not_in_the_database(self):
        self.enter(1)
        self.seal_all()
        key = self.env["api.audit.key"]._current()
        private = key._private()
        self.env.cr.execute("SELECT secret FROM api_audit_key WHERE id = %s", [key.id])
        [sealed] = self.env.cr.fetchone()
        self.assertTrue(sealed.startswith("v1."))
        self.assertNotIn(private.hex(), sealed)
        self.assertNotIn("secret", key.read()[0])
        self.options[vault.OPTION] = f"{TWO},{ONE}"
        self.env["api.vault"]._reseal()
        self.options[vault.OPTION] = TWO
        self.assertEqual(key._private(), private)

    # -------------------------------------------------------------------- clocks and roles

    def test_a_clock_that_goes_back_stops_nothing(self):
        self.enter(1, occurred_at="2030-01-01")
        self.seal_all()
        self.enter(1, occurred_at="2020-01-01")
        self.assertEqual(self.seal_all(), 1)
        state = self.seal._lock()
        past = state.now.replace(year=2020)
        with patch.object(type(self.seal), "_lock", return_value=type(state)(**{**vars(state), "now": past})):
            self.enter(1)
            self.assertEqual(self.seal_all(), 1)
        self.assertEqual(parse(self.checkpoints._last().body.encode()).time.year, 2020)
        self.assertIsNone(self._faults())

    def test_settings_of_the_role_do_not_change_the_bytes(self):
        self.enter(1, duration_ms=1 / 3)
        for setting in ("extra_float_digits = 0", "TimeZone = 'Asia/Tokyo'",
                        "IntervalStyle = 'iso_8601'", "bytea_output = 'escape'"):  # fmt: skip
            self.env.cr.execute(f"SET LOCAL {setting}")
        self.seal_all()
        for setting in ("extra_float_digits", "TimeZone", "bytea_output"):
            self.env.cr.execute(f"RESET {setting}")
        self.assertEqual(b64decode(self.checkpoints._last().root), self._root())

    def test_an_entry_of_50_megabytes_is_sealed_like_others(self):
        """The recorder writes none; somebody else's code, or a later version, may."""
        [entry_id] = self.enter(arguments="é" * (25 * 1024 * 1024))
        self.assertEqual(self.seal_all(), 1)
        self.assertEqual(self.leaves(), [entry_id])
        self.assertEqual(b64decode(self.checkpoints._last().root), self._root())

    # -------------------------------------------------------------------- traffic

    def test_each_entry_is_counted_once(self):
        hour = [("hour", "=", "1999-01-01 10:00:00")]
        traffic = self.env["api.audit.rollup"]
        values = {"occurred_at": "1999-01-01 10:30:00.5", "row_count": 3, "byte_count": 2**33, "duration_ms": 1.5}
        self.enter(2, **values)
        self.seal_all(limit=1)
        self.enter(1, **values)
        self.enter(1, **values | {"outcome": "refused", "kind": "refused", "model": "no.such.model"})
        self.seal_all()
        rows = traffic.search(hour, order="outcome")
        self.assertEqual(rows.mapped("calls"), [3, 1])
        self.assertEqual((rows[0].row_count, rows[0].byte_count, rows[0].duration_ms), (9, 3 * 2**33, 4.5))
        self.assertEqual(rows.mapped("model"), ["res.partner", False])
        self.assertEqual(traffic.read_group(hour, ["calls:sum"], ["outcome"])[0]["calls"], 3)

    def test_what_callers_invent_makes_no_rows(self):
        for number in range(5):
            invented = {"model": f"x{number}", "login": f"l{number}"}
            self.enter(1, occurred_at="1999-01-01", outcome="refused", kind="refused", **invented)
        self.seal_all()
        self.assertEqual(self.env["api.audit.rollup"].search_count([("hour", "=", "1999-01-01 00:00:00")]), 1)

    def test_a_user_who_is_deleted_leaves_the_traffic(self):
        user = new_test_user(self.env, "gone", groups="base.group_user")
        self.enter(1, occurred_at="1999-01-01", user_id=user.id)
        self.seal_all()
        user.unlink()
        [row] = self.env["api.audit.rollup"].search([("hour", "=", "1999-01-01 00:00:00")])
        self.assertEqual((row.user_id, row.calls), (self.env["res.users"], 1))

    def test_a_checkpoint_says_what_its_columns_say(self):
        self.enter(1)
        self.seal_all()
        last = self.checkpoints._last()
        said = parse(last.body.encode())
        self.assertEqual(
            (said.number, said.size, said.key, said.origin), (last.number, last.size, last.key_id, self.state("origin"))
        )
        self.assertEqual(self.seal._seal(), (0, False))
        self.assertEqual(self.checkpoints._last(), last, "nothing new, no checkpoint")
        self.assertFalse(hasattr(follow(None, last._signed(), [], midway=True), "checkpoint"), "needs its key")
