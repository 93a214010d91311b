"""Is every entry sealed, once, soon, whatever is going on? On a real server, with real transactions."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from doors import Caller, json2
from world import make_world, wait_for

from dev import setup
from dev.harness import Server, shell
from dev.layout import ROOT

BOUND = 60.0  # seconds from an entry to its seal
KILLS = int(os.environ.get("KILLS", "8"))

_INSERT = """
    INSERT INTO api_audit_entry (kind, occurred_at, request_id, door, verdict, outcome)
    SELECT 'read', now() AT TIME ZONE 'utc', %s || ' ' || n, 'json2', 'allow', 'allowed' FROM generate_series(1, %s) n
"""
_SEAL = """
while True:
    count, behind = env["api.audit.seal"]._seal(limit={limit})
    env.cr.commit()
    if count: print("SEALED", count, flush=True)
    if not behind and not {forever}: break
"""
#: entries that are in no leaf, and those that are in several; both have to be none in the end
_UNSEALED = """
    SELECT count(*) FROM api_audit_entry entry WHERE NOT EXISTS (
        SELECT FROM api_audit_leaf_block WHERE span @> entry.id AND entry.id = ANY(entry_ids))
"""
_TWICE = """
    SELECT count(*) FROM (SELECT FROM api_audit_leaf_block, unnest(entry_ids) entry_id
                           GROUP BY entry_id HAVING count(*) > 1) twice
"""
_LEAF = "SELECT number FROM api_audit_leaf_block WHERE span @> %s::bigint AND %s = ANY(entry_ids)"


def seal(world, limit=50_000):
    return shell(world.name, _SEAL.format(limit=limit, forever=False))


def assert_sealed(world):
    assert world.value(_UNSEALED) == 0
    assert world.value(_TWICE) == 0
    size = world.value("SELECT size FROM api_audit_seal")
    assert size == world.value("SELECT COALESCE(sum(cardinality(entry_ids)), 0)::bigint FROM api_audit_leaf_block")
    assert size == world.value("SELECT sum(calls)::bigint FROM api_audit_rollup"), "each is counted once"


def sealed_in(world, entry_id, seconds):
    """How long does it take until a checkpoint stands for this entry?"""
    start = time.monotonic()

    def is_sealed():
        rows = world.rows(_LEAF, entry_id, entry_id)
        return rows and world.value("SELECT max(size) FROM api_audit_checkpoint") > rows[0]["number"] * 256

    wait_for(is_sealed, seconds)
    return time.monotonic() - start


def test_an_entry_is_sealed_within_a_minute(world):
    key = world.key()
    with Server(world.name, workers=2, cron=1, gevent=False) as server:
        caller, took = Caller(server.url, world.name, key.secret, key.uid), []
        for pause in (0, 3, 11, 0.5):
            time.sleep(pause)
            answer = json2(caller, "res.partner", "search_count", domain=[])
            took.append(sealed_in(world, world.entry(answer)["id"], BOUND))
    print("sealed after", [round(seconds, 1) for seconds in took])
    assert max(took) < BOUND
    assert max(took) < 35, "woken, and not found by chance"


def test_a_transaction_that_stays_open_delays_nobody_and_is_sealed_at_its_end(world):
    with world.connection() as late, late.cursor() as cursor:
        cursor.execute(_INSERT, ["late", 2])
        cursor.execute("SAVEPOINT one")
        cursor.execute(_INSERT, ["rolled back", 2])
        cursor.execute("ROLLBACK TO SAVEPOINT one")
        world.rows(_INSERT, "others", 300)
        seal(world)
        assert world.value(f"{_UNSEALED} AND request_id LIKE %s", "others %") == 0
        world.rows(_INSERT, "more", 300)
        seal(world)
        late.commit()
    late.close()
    assert world.value(_UNSEALED) == 2
    seal(world)
    assert_sealed(world)
    assert world.value("SELECT count(*) FROM api_audit_entry WHERE request_id LIKE 'rolled back%%'") == 0


@pytest.mark.parametrize("sealers", [1, 2])
def test_sealers_that_are_killed_leave_nothing_out_and_nothing_twice(world, sealers):
    """Under load, some of whose transactions commit late; two at once get in nobody's way."""
    stopped, numbers = threading.Event(), itertools.count(1)

    def write():
        with world.connection() as connection, connection.cursor() as cursor:
            while not stopped.is_set():
                cursor.execute(_INSERT, [f"load {next(numbers)}", random.randint(1, 40)])  # noqa: S311
                time.sleep(random.uniform(0, 0.3))  # noqa: S311
                connection.rollback() if random.random() < 0.1 else connection.commit()  # noqa: S311
        connection.close()

    writers = [threading.Thread(target=write, daemon=True) for _number in range(3)]
    for writer in writers:
        writer.start()
    processes = [Sealer(world.name) for _number in range(sealers)]
    for _number in range(KILLS):
        time.sleep(random.uniform(0.2, 1.5))  # noqa: S311
        random.choice(processes).kill_and_restart()  # noqa: S311
    stopped.set()
    for writer in writers:
        writer.join(20)
    for process in processes:
        process.stop()
    seal(world)
    while world.value(_UNSEALED):  # who was killed last may hold its lock for a moment
        time.sleep(1)
        seal(world)
    assert_sealed(world)


class Sealer:
    """A process that seals without end, in small parts."""

    def __init__(self, database):
        self._database = database
        self._start()

    def _start(self):
        self._process = subprocess.Popen(  # noqa: S603
            setup.odoo_command("shell", "-d", self._database, "--no-http", "--log-level=error"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=setup.odoo_environment(), text=True,
        )  # fmt: skip
        self._process.stdin.write(_SEAL.format(limit=50, forever=True) + "\n")
        self._process.stdin.close()
        while "SEALED" not in (line := self._process.stdout.readline()):
            assert line, "it did not start"

    def kill_and_restart(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._start()

    def stop(self):
        self._process.kill()
        self._process.wait()


def test_a_copy_in_another_cluster_is_sealed_on():
    """Its transactions count from below: here, the numbers of those that wrote the log are raised instead."""
    copy = make_world("moved")
    copy.rows(_INSERT, "old", 300)
    seal(copy)
    try:
        copy.rows("ALTER TABLE api_audit_entry DISABLE TRIGGER USER")
        copy.rows("UPDATE api_audit_entry SET xid = (xid::text::bigint + 1000000)::text::xid8")
        moved = ", ".join(f"{name} = ({name}::text::bigint + 1000000)::text::xid8" for name in ("xid", "reached_xid"))
        copy.rows(f"UPDATE api_audit_seal SET {moved}, system_identifier = 7")  # noqa: S608
        before = copy.value("SELECT size FROM api_audit_seal")
        copy.rows(_INSERT, "new", 10)
        seal(copy, limit=100)
        copy.rows(_INSERT, "newer", 10)
        seal(copy, limit=100)
        assert_sealed(copy)
        assert copy.value("SELECT size FROM api_audit_seal") == before + 20
        assert copy.value("SELECT count(*) FROM api_audit_checkpoint WHERE note = 'restored'") == 1
    finally:
        copy.drop()


def test_the_command_verifies_exports_and_tells_the_key(world, tmp_path):
    world.rows(_INSERT, "command", 300)
    seal(world)
    told = json.loads(_command("verify", world, "--full", "--json").stdout)
    assert (told["result"], told["faults"]) == ("intact", [])
    assert told["entries"] == world.value("SELECT size FROM api_audit_seal")
    assert "It is what was sealed." in _command("verify", world).stdout
    key = _command("public-key", world).stdout.split()[0]
    assert _command("verify", world, "--public-key", key).returncode == 0
    file = tmp_path / "log.gz"
    _command("export", world, "--output", str(file))
    assert offline(file, key) == 0

    entry_id = world.value("SELECT min(id) FROM api_audit_entry WHERE request_id LIKE 'command%%'")
    world.rows("ALTER TABLE api_audit_entry DISABLE TRIGGER USER")
    world.rows("UPDATE api_audit_entry SET login = 'changed' WHERE id = %s", entry_id)
    try:
        found = _command("verify", world, "--full")
        assert (found.returncode, f"Entry {entry_id} was changed" in found.stdout) == (1, True)
        _command("export", world, "--output", str(file))
        assert offline(file, key) == 1
    finally:
        world.rows("UPDATE api_audit_entry SET login = NULL WHERE id = %s", entry_id)
        world.rows("ALTER TABLE api_audit_entry ENABLE TRIGGER USER")
    assert _command("verify", world, "--full").returncode == 0
    assert _command("verify", world, "--public-key", "x" * 44).returncode == 2
    assert _command("verify", world, database="postgres").returncode == 2
    assert _command("export", world, "--output", str(tmp_path / "no" / "folder")).returncode == 1
    assert list(tmp_path.iterdir()) == [file], "nothing is left of what failed"


def offline(file, key):
    command = [sys.executable, ROOT / "offline" / "verify_log.py", "log", file, "--key", key]
    return subprocess.run(command, capture_output=True, timeout=120).returncode  # noqa: S603


def _command(action, world, *options, database=None):
    command = setup.odoo_command("api_guard", action, "-d", database or world.name, *options)
    environment = setup.odoo_environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)  # noqa: S603
