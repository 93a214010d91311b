# ruff: noqa: S608  our own words
"""Partitions, retention and holds on a real database: what goes, what stays, and who has to wait for it."""

import contextlib
import itertools
import threading
import time
from base64 import b64encode
from hashlib import sha256

import psycopg2
import pytest
from world import PREFIX, Database

from dev.harness import copy_db, create_db, drop_db, shell

ENTER = """
INSERT INTO {table} (kind, occurred_at, request_id, door, verdict, outcome, credential_id, user_id)
SELECT %s, %s::timestamp + n * interval '1 second', md5(random()::text), 'json2', 'allow', 'allowed', %s, %s
FROM generate_series(0, %s - 1) n RETURNING id
"""


class Log(Database):
    def enter(self, kind, moment, count=1, credential=None, user=None, table="api_audit_entry"):
        rows = self.rows(ENTER.format(table=table), kind, moment, credential, user, count)
        return [row["id"] for row in rows]

    def add(self, kind, moment):
        self.rows("SELECT api_guard_add_partition(%s, %s)", kind, moment)

    def run(self, code):
        shell(self.name, code + "\nenv.cr.commit()")

    def said(self, code):
        return shell(self.name, f"print({code})")

    def retain(self):
        self.run("env['api.audit.retention']._cron_retention()")

    def look_after(self):
        self.run("env['api.audit.partition']._cron_partitions()")

    def count(self, kind="read"):
        return self.value("SELECT count(*) FROM api_audit_entry WHERE kind = %s AND door <> 'internal'", kind)

    def tables(self, kind="read"):
        rows = self.rows("SELECT table_name FROM api_audit_partition WHERE kind = %s ORDER BY starts", kind)
        return [row["table_name"].removeprefix(f"api_audit_entry_{kind}_") for row in rows]

    def seal(self):
        """Where entries are sealed, all of them are."""
        if self.value("SELECT to_regclass('api_audit_seal') IS NOT NULL"):
            self.run("while env['api.audit.seal']._seal()[1]: env.cr.commit()")


@pytest.fixture(scope="module")
def template():
    name = create_db(f"{PREFIX}_retention_template")
    yield name
    drop_db(name)


@pytest.fixture
def log(template):
    database = Log(copy_db(template, f"{PREFIX}_retention"))
    yield database
    database.drop()


def ago(log, days):
    return log.value("SELECT date_trunc('second', now() AT TIME ZONE 'utc') - %s * interval '1 day'", days)


def test_what_is_past_its_time_goes_with_its_partition_and_is_noted(log):
    for days in (400, 200, 1):
        log.add("read", ago(log, days))
        log.enter("read", ago(log, days), 10)
    old = log.tables()[:2]
    log.seal()
    log.retain()
    assert log.count() == 10
    assert not set(old) & set(log.tables())
    drops = log.rows("SELECT * FROM api_audit_drop ORDER BY starts")
    assert [(drop["way"], drop["entry_count"]) for drop in drops] == [("partition", 10)] * 2
    assert drops[0]["rule"] == "read: 90 days (month)"
    entries = log.rows("SELECT * FROM api_audit_entry WHERE model = 'api.audit.drop' ORDER BY id")
    assert [entry["row_count"] for entry in entries] == [10, 10]
    assert f"ids: {drops[0]['first_id']}-{drops[0]['last_id']}" in entries[0]["arguments"]
    assert drops[0]["root"] in entries[0]["arguments"]


def test_a_drop_names_the_leaves_that_went_and_what_their_hashes_come_to(log):
    log.add("read", ago(log, 200))
    log.add("write", ago(log, 200))
    for _turn in range(300):  # two classes side by side, over more than one tile
        log.enter("read", ago(log, 200))
        log.enter("write", ago(log, 200))
    log.seal()
    blocks = log.rows("SELECT number, entry_ids, hashes FROM api_audit_leaf_block JOIN api_audit_tile USING (number)"
                      " WHERE level = 0 ORDER BY number")
    reads = {row["id"] for row in log.rows("SELECT id FROM api_audit_entry WHERE kind = 'read'")}
    leaves = [(256 * block["number"] + place, bytes(block["hashes"])[32 * place : 32 * place + 32])
              for block in blocks for place, entry in enumerate(block["entry_ids"]) if entry in reads]
    log.retain()
    [drop] = log.rows("SELECT * FROM api_audit_drop")
    assert (drop["first_leaf"], drop["last_leaf"], drop["entry_count"]) == (leaves[0][0], leaves[-1][0], 300)
    assert drop["leaves_hash"] == b64encode(sha256(b"".join(leaf for _number, leaf in leaves)).digest()).decode()
    script = "print('FOUND', sorted(env['api.audit.drop']._dropped_leaves(0, 10**6)))"
    assert f"FOUND {[number for number, _leaf in leaves]}" in shell(log.name, script)


def test_what_is_not_sealed_yet_stays(log):
    log.add("read", ago(log, 200))
    log.enter("read", ago(log, 200), 3)
    log.retain()
    assert log.count() == 3
    log.seal()
    log.retain()
    assert log.count() == 0


def test_what_is_held_stays_and_the_rest_of_its_partition_goes(log):
    log.add("read", ago(log, 200))
    held = log.enter("read", ago(log, 200), 4, user=2)
    log.enter("read", ago(log, 200), 6, user=1)
    log.seal()
    log.run("env['api.audit.hold'].create({'name': 'a court', 'user_id': 2})")
    log.retain()
    ids = [row["id"] for row in log.rows("SELECT id FROM api_audit_entry WHERE kind = 'read' ORDER BY id")]
    assert ids == held
    assert log.value("SELECT sum(entry_count) FROM api_audit_drop WHERE way = 'batch'") == 6
    log.run("env['api.audit.hold'].search([]).action_release()")
    log.retain()
    assert log.count() == 0
    methods = log.rows("SELECT method FROM api_audit_entry WHERE model = 'api.audit.hold' ORDER BY id")
    assert [row["method"] for row in methods] == ["create", "action_release"]


def test_to_the_day_takes_what_is_old_of_a_month_that_is_not_over(log):
    log.run("env['api.audit.retention'].search([('kind', '=', 'read')]).write({'days': 1, 'is_exact': True})")
    log.add("read", ago(log, 0))
    log.enter("read", ago(log, 1.5), 3)  # in the month of today, unless it has just begun
    log.enter("read", ago(log, 0.5), 2)
    log.look_after()
    log.seal()
    log.retain()
    assert log.count() == 2


def test_without_a_row_that_says_so_nothing_can_be_deleted(log):
    log.add("read", ago(log, 200))
    [old] = log.enter("read", ago(log, 200))
    [new] = log.enter("read", ago(log, 1))
    note = ("INSERT INTO api_audit_drop (kind, way, rule, table_name, starts, ends, entry_count, first_id, last_id)"
            " VALUES ('read', 'batch', '', '', now(), now(), 1, {first}, {last}) RETURNING id")
    with contextlib.closing(log.connection()) as other, other.cursor() as cr:
        def refused(statement):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
                cr.execute(statement)
            other.rollback()

        refused(f"DELETE FROM api_audit_entry WHERE id = {old}")
        refused(f"SET LOCAL api_guard.drop = '1'; DELETE FROM api_audit_entry WHERE id = {old}")
        cr.execute(note.format(first=old, last=new))
        [drop] = cr.fetchone()
        other.commit()  # of another transaction, it is no leave any more
        refused(f"SET LOCAL api_guard.drop = '{drop}'; DELETE FROM api_audit_entry WHERE id = {old}")
        refused(f"DELETE FROM api_audit_drop WHERE id = {drop}")
        refused(f"UPDATE api_audit_drop SET last_id = 0 WHERE id = {drop}")
        refused("TRUNCATE api_audit_drop")
        allowed = note.format(first=old, last=new) + "; SELECT set_config('api_guard.drop', lastval()::text, true); "
        refused(allowed + f"DELETE FROM api_audit_entry WHERE id = {new}")  # not past its time
        refused(allowed + f"UPDATE api_audit_entry SET login = 'x' WHERE id = {old}")
        cr.execute("INSERT INTO api_audit_hold (name) VALUES ('everything')")
        other.commit()
        refused(allowed + f"DELETE FROM api_audit_entry WHERE id = {old}")
        cr.execute("UPDATE api_audit_hold SET released_at = now()")
        cr.execute(allowed + f"DELETE FROM api_audit_entry WHERE id = {old}")
        assert cr.rowcount == 1
        other.rollback()


def test_no_writer_waits_for_a_drop_that_a_reader_is_in_the_way_of(log):
    log.add("read", ago(log, 200))
    log.add("read", ago(log, 0))
    log.enter("read", ago(log, 200), 10)
    log.seal()
    waits, stopped = [], threading.Event()

    def write():
        with contextlib.closing(log.connection()) as own, own.cursor() as cr:
            own.autocommit = True
            while not stopped.is_set():
                began = time.monotonic()
                cr.execute(ENTER.format(table="api_audit_entry"), ["read", ago_now, None, None, 1])
                waits.append(time.monotonic() - began)
                time.sleep(0.002)

    ago_now = ago(log, 0)
    with contextlib.closing(log.connection()) as reader, reader.cursor() as cr:
        cr.execute("SELECT count(*) FROM api_audit_entry")
        writer = threading.Thread(target=write)
        writer.start()
        log.retain()
        stopped.set()
        writer.join()
    assert log.value("SELECT count(*) FROM api_audit_drop") == 0, "a table that is read cannot be dropped"
    assert len(waits) > 100
    # 30 ms for each of two locks; the rest is what a busy machine needs to come round to it
    assert sorted(waits)[-1] < 0.3, sorted(waits)[-5:]
    log.retain()
    assert log.value("SELECT count(*) FROM api_audit_drop") == 1


def test_the_rest_is_moved_to_partitions_of_its_own_with_ids_and_transactions(log):
    log.rows("DELETE FROM api_audit_partition")
    ids = log.enter("refused", "2026-01-31 23:59:00", 120) + log.enter("refused", "1999-12-31 23:59:58", 5)
    assert log.value("SELECT count(*) FROM api_audit_entry_refused_rest") == 125
    select = "SELECT id, xid::text, occurred_at FROM api_audit_entry WHERE id = ANY(%s) ORDER BY id"
    before = log.rows(select, ids)
    log.look_after()
    assert log.rows(select, ids) == before
    assert log.value("SELECT count(*) FROM api_audit_entry_refused_rest") == 0
    assert {"1999_12", "2000_01", "2026_01", "2026_02"} <= set(log.tables("refused"))
    assert not log.value("SELECT count(*) FROM pg_class WHERE relname LIKE '%%moving' AND relkind = 'r'")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        log.rows("DELETE FROM api_audit_entry_refused_2026_01")


def test_what_comes_while_the_rest_is_moved_is_not_lost(log):
    log.enter("failed", "2025-06-01", 20_000)
    stopped, entered = threading.Event(), []

    def write():
        with contextlib.closing(log.connection()) as own, own.cursor() as cr:
            own.autocommit = True
            while not stopped.is_set():
                cr.execute(ENTER.format(table="api_audit_entry"), ["failed", "2025-06-02", None, None, 1])
                entered.extend(cr.fetchone())

    with contextlib.closing(log.connection()) as late, late.cursor() as cr:
        cr.execute(ENTER.format(table="api_audit_entry"), ["failed", "2025-06-03", None, None, 1])
        entered += cr.fetchone()  # and commits in the middle of it
        writer = threading.Thread(target=write)
        writer.start()
        timer = threading.Timer(6, late.commit)
        timer.start()
        log.look_after()
        stopped.set()
        writer.join()
        timer.join()
    log.look_after()
    assert log.value("SELECT count(*) FROM api_audit_entry WHERE id = ANY(%s)", entered) == len(entered) > 10
    assert log.value("SELECT count(*) FROM api_audit_entry WHERE kind = 'failed'") == 20_000 + len(entered)
    assert log.value("SELECT count(*) FROM api_audit_entry_failed_rest") == 0
    assert log.tables("failed")[0] == "2025_06"


def test_partitions_are_made_ahead_and_change_their_length_in_the_middle_of_a_month(log):
    log.look_after()
    assert len(log.tables("write")) == 3
    log.run("env['api.audit.retention'].search([('kind', '=', 'write')]).period = 'day'")
    log.look_after()
    log.look_after()
    [month, *_days] = log.tables("write")
    assert len(month) == len("2026_11"), "this month keeps what it has"
    first_of_next = log.value("SELECT date_trunc('month', now() AT TIME ZONE 'utc') + interval '1 month'")
    log.add("write", first_of_next)
    log.enter("write", first_of_next)
    assert f"{first_of_next:%Y_%m_%d}" in log.tables("write")
    log.run("env['api.audit.retention'].search([('kind', '=', 'write')]).period = 'month'")
    moment = log.value("SELECT %s + interval '5 days'", first_of_next)
    log.add("write", moment)
    log.enter("write", moment)
    bounds = log.rows("SELECT starts, ends FROM api_audit_partition WHERE kind = 'write' ORDER BY starts")
    assert all(one["ends"] <= two["starts"] for one, two in itertools.pairwise(bounds))
    assert log.value("SELECT count(*) FROM api_audit_entry_write_rest") == 0


def test_a_table_of_the_log_that_is_missing_is_made_again(log):
    log.look_after()
    [now, *_ahead] = log.tables("read")
    log.rows(f"ALTER TABLE api_audit_entry_read DETACH PARTITION api_audit_entry_read_{now}")
    log.rows(f"DROP TABLE api_audit_entry_read_{now}")
    log.enter("read", ago(log, 0), 3)
    assert log.value("SELECT count(*) FROM api_audit_entry_read_rest") == 3
    log.look_after()
    assert now in log.tables("read")
    assert log.value("SELECT arguments FROM api_audit_entry WHERE method = 'missing'") == f"api_audit_entry_read_{now}"
    assert log.value("SELECT count(*) FROM api_audit_entry_read_rest") == 0
    assert log.count() == 3


def test_nothing_of_it_outlives_the_addon(log):
    log.look_after()
    log.run("env['ir.module.module'].search([('name', '=', 'api_guard')]).button_immediate_uninstall()")
    left = log.rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'S') AND relname ~"
        " '^api_audit_(entry|drop|hold|retention|archive|partition)' UNION ALL"
        " SELECT proname FROM pg_proc WHERE proname ~ '^api_guard_(append|is_held|add|attach|place|length|seal_off)'")
    assert not left
