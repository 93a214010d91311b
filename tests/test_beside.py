"""The connection beside the business one: planned once, always current, and never in the way of a pooler."""

from contextlib import closing
from unittest.mock import patch

import psycopg2
from odoo.tests.common import BaseCase, TransactionCase, get_db_name, tagged
from odoo.tools import SQL

from ..models.api_recorder import _has_effect
from ..seams.beside import Beside, Planned
from ..seams.exchange import Exchange

_ADD = Planned("SELECT %s::integer + %s::integer")


@tagged("post_install", "-at_install")
class TestBeside(BaseCase):
    def _beside(self):
        return closing(Beside(get_db_name()))

    def _prepared(self, cr):
        cr.execute("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'api_guard_%'")
        return [statement for (statement,) in cr._cursor.fetchall()]

    def test_a_planned_statement_is_prepared_once_and_runs_with_its_own_values(self):
        with self._beside() as cr:
            for first, second in ((1, 2), (40, 2)):
                cr.execute(_ADD, [first, second])
                self.assertEqual(cr.fetchone(), (first + second,))
            self.assertEqual(sum("::integer +" in statement for statement in self._prepared(cr)), 1)

    def test_other_statements_with_values_are_not_prepared(self):
        with self._beside() as cr:
            cr.execute(SQL("SELECT %s * 7", 6))
            self.assertEqual(cr.fetchone(), (42,))
            self.assertFalse([statement for statement in self._prepared(cr) if "* 7" in statement])

    def test_a_pooler_that_lends_other_connections_ends_the_preparing_and_nothing_else(self):
        with patch.object(Beside, "_prepares", True), self._beside() as cr:
            cr.execute(_ADD, [1, 1])
            cr.execute("DEALLOCATE ALL")  # what the next connection of a pool would look like
            cr.execute(_ADD, [2, 2])
            self.assertEqual(cr.fetchone(), (4,))
            self.assertFalse(Beside._prepares)
            cr._connection.close()  # do not hand it on

    def test_a_connection_that_died_idle_is_replaced(self):
        with self._beside() as cr, self._beside() as other:
            cr.execute(_ADD, [1, 1])
            other.execute("SELECT pg_terminate_backend(%s)", [cr._connection.info.backend_pid])
            cr.execute(_ADD, [5, 5])
            self.assertEqual(cr.fetchone(), (10,))

    def test_what_was_sent_is_waited_for_and_a_connection_that_dies_meanwhile_is_replaced(self):
        with self._beside() as cr, self._beside() as other:
            cr.send(_ADD, [1, 2])
            cr.settle()
            self.assertEqual(cr.fetchone(), (3,))
            cr.send("SELECT pg_sleep(0.2), 5")
            other.execute("SELECT pg_terminate_backend(%s)", [cr._connection.info.backend_pid])
            cr.settle()
            self.assertEqual(cr.fetchone()[1], 5)

    def test_an_error_is_told_when_it_is_waited_for(self):
        with self._beside() as cr:
            cr.send("SELECT 1 / 0")
            with self.assertRaises(psycopg2.errors.DivisionByZero):
                cr.settle()
            cr.execute(_ADD, [3, 4])
            self.assertEqual(cr.fetchone(), (7,))

    def test_a_connection_on_which_something_is_on_its_way_is_not_handed_on(self):
        with self._beside() as cr:
            cr.send("SELECT pg_sleep(0.2)")
            connection = cr._connection
        self.assertTrue(connection.closed)

    def test_what_does_not_wait_for_the_disk_leaves_the_connection_as_it_was(self):
        with self._beside() as cr:
            cr.execute(Planned("SELECT set_config('synchronous_commit', 'off', true), %s::integer"), [1])
            self.assertEqual(cr.fetchone(), ("off", 1))
            cr.execute("SHOW synchronous_commit")
            self.assertNotEqual(cr.fetchone(), ("off",))

    def test_every_statement_commits_by_itself(self):
        with self._beside() as cr, self.assertRaises(psycopg2.Error):
            cr.execute("SELECT 1 / 0")
        with self._beside() as cr:
            cr.execute(_ADD, [3, 4])
            self.assertEqual(cr.fetchone(), (7,))


@tagged("post_install", "-at_install")
class TestEffect(TransactionCase):
    """Does the recorder see what a transaction has changed? On a cursor that is none of the tests' own."""

    def setUp(self):
        super().setUp()
        self.cr_apart = self.registry._db.cursor()
        self.addCleanup(self.cr_apart.close)
        self.addCleanup(self.cr_apart.rollback)

    def test_nothing_done_is_no_effect(self):
        self.assertFalse(_has_effect(self.cr_apart))

    def test_reading_is_no_effect(self):
        self.cr_apart.execute("SELECT login FROM res_users")
        self.assertFalse(_has_effect(self.cr_apart))

    def test_a_change_is_an_effect(self):
        self.cr_apart.execute("CREATE TABLE api_guard_effect ()")
        self.assertTrue(_has_effect(self.cr_apart))

    def test_a_change_within_a_savepoint_is_an_effect(self):
        with self.cr_apart.savepoint():
            self.cr_apart.execute("CREATE TABLE api_guard_effect ()")
        self.assertTrue(_has_effect(self.cr_apart))

    def test_what_waits_for_the_commit_is_an_effect(self):
        self.cr_apart.postcommit.add(lambda: None)
        self.assertTrue(_has_effect(self.cr_apart))
        self.cr_apart.postcommit.clear()


@tagged("post_install", "-at_install")
class TestRequestId(BaseCase):
    def test_request_ids_differ_and_begin_with_their_time(self):
        exchanges = [Exchange({"PATH_INFO": "/jsonrpc"}) for _ in range(200)]
        ids = [exchange.begin() for exchange in exchanges]
        self.assertEqual(len(set(ids)), 200)
        self.assertTrue(all(len(request_id) == 20 for request_id in ids))
        times = [int(request_id[:11], 16) for request_id in ids]
        for exchange, milliseconds in zip(exchanges, times, strict=True):
            self.assertAlmostEqual(exchange.started_at.timestamp() * 1000, milliseconds, delta=1)
