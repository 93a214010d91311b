"""A log of the version before, upgraded by a real server: its table becomes a partition, and not a row moves."""

import contextlib
import subprocess
import time

import psycopg2
import pytest
from before_partitions import FILL, MAKE
from world import PREFIX, Database

from dev import setup
from dev.databases import odoo
from dev.harness import create_db

COUNT = 3_000
UPGRADE = ("-u", "api_guard", "--no-http", "--stop-after-init", "--max-cron-threads=0")
STATE = """
    SELECT count(*) AS count, min(id) AS first, max(id) AS last, sum(hashtext(request_id || occurred_at)) AS hash
    FROM api_audit_entry
"""


@pytest.fixture(scope="module")
def old():
    """A database with COUNT entries of the version before, and ids that were drawn beyond them."""
    database = Database(create_db(f"{PREFIX}_upgraded"))
    database.rows(MAKE)
    database.rows(FILL.format(count=COUNT))
    database.rows("SELECT nextval('api_audit_entry_id_seq')")
    yield database
    database.drop()


@pytest.fixture(scope="module")
def upgraded(old):
    """Upgraded at the second attempt: the first is killed when all is done but its commit. What there was before."""
    before = old.rows(STATE), old.value("SELECT pg_relation_filenode('api_audit_entry')")
    with contextlib.closing(old.connection()) as other, other.cursor() as cr:
        cr.execute("LOCK TABLE api_audit_partition IN SHARE MODE")
        process = subprocess.Popen(  # noqa: S603
            setup.odoo_command("-d", old.name, *UPGRADE), env=setup.odoo_environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        deadline = time.monotonic() + 120
        while not old.value(waits):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.kill()
        process.wait()
    deadline = time.monotonic() + 20
    while True:  # until PostgreSQL has noticed
        with contextlib.suppress(psycopg2.Error):
            old.rows("SET lock_timeout = '1s'")
            interrupted = old.rows(STATE), old.value("SELECT pg_relation_filenode('api_audit_entry')")
            break
        assert time.monotonic() < deadline
    odoo("-d", old.name, *UPGRADE, log=f"upgrade-{old.name}")
    return before, interrupted


def test_an_interrupted_upgrade_leaves_the_log_as_it_was(upgraded):
    before, interrupted = upgraded
    assert interrupted == before


def test_every_entry_is_there_and_none_was_copied(old, upgraded):
    (state, filenode), _interrupted = upgraded
    assert old.rows(STATE) == state
    assert old.value("SELECT pg_relation_filenode('api_audit_entry_before')") == filenode
    assert old.value("SELECT count(*) FROM api_audit_entry WHERE kind = 'before' AND xid = '0'") == COUNT


def test_new_entries_go_on_after_the_last_id_that_was_drawn(old, upgraded):
    assert old.value("SELECT nextval('api_audit_entry_id_seq')") > COUNT + 1


def test_the_old_entries_are_append_only_still(old, upgraded):
    for table in ("api_audit_entry", "api_audit_entry_before"):
        for statement in ("UPDATE {} SET login = 'x'", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
                old.rows(statement.format(table))
    enabled = old.rows("SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'api_audit_entry_before'::regclass")
    assert {row["tgname"]: row["tgenabled"] for row in enabled} == {
        "api_guard_append_only": "A", "api_guard_append_only_truncate": "A"}


def test_every_index_of_the_log_holds_the_old_entries_too(old, upgraded):
    invalid = "SELECT count(*) FROM pg_index WHERE indrelid = 'api_audit_entry'::regclass AND NOT indisvalid"
    assert old.value(invalid) == 0


def test_upgrading_again_changes_nothing(old, upgraded):
    old.rows("UPDATE ir_module_module SET latest_version = '19.0.1.2.0' WHERE name = 'api_guard'")
    state = old.rows(STATE)
    odoo("-d", old.name, *UPGRADE, log=f"upgrade-{old.name}")
    assert old.rows(STATE) == state
    assert old.value("SELECT count(*) FROM api_audit_partition WHERE kind = 'before'") == 1
