"""Does a committed effect ever lack its entry? Workers are killed in the middle of writes, over and over."""

import contextlib
import itertools
import os
import random
import signal
import threading
import time

import pytest
from doors import Caller, json2, xmlrpc_2

from dev.harness import Server

KILLS = 20
EFFECTS = 40  # at least so many writes have to get through for the test to mean anything
PREFIX = "killed in the act"


@pytest.fixture
def doomed(world):
    with Server(world.name, gevent=False) as server:
        yield server


class Writer(threading.Thread):
    """Creates contacts and renames them, each with a name of its own, until told to stop; deaf to all errors."""

    def __init__(self, execute, caller, numbers):
        super().__init__(daemon=True)
        self.execute, self.caller, self.numbers = execute, caller, numbers
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            with contextlib.suppress(Exception):  # the worker was killed: whether it committed, the database tells
                self.write(f"{PREFIX} {next(self.numbers)}")

    def write(self, name):
        [partner] = self.execute(self.caller, "res.partner", "create", vals_list=[{"name": name}]).value
        self.execute(self.caller, "res.partner", "write", ids=[partner], vals={"name": f"{name}, renamed"})


def kill_workers(server, times):
    killed = 0
    while killed < times:
        if pids := server.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(pids), signal.SIGKILL)  # noqa: S311
                killed += 1
        time.sleep(random.uniform(0.3, 1.5))  # noqa: S311
    return killed


def test_killed_worker_leaves_no_effect_without_its_entry(world, doomed):
    key, numbers = world.key(), itertools.count(1)
    caller = Caller(doomed.url, world.name, key.secret, key.uid)
    writers = [Writer(execute, caller, numbers) for execute in (json2, xmlrpc_2)]
    for writer in writers:
        writer.start()
    killed = kill_workers(doomed, KILLS)
    for writer in writers:
        writer.stopped.set()
    for writer in writers:
        writer.join(20)

    partners = world.rows("SELECT id, name FROM res_partner WHERE name LIKE %s", f"{PREFIX}%")
    entered = {
        (row["method"], int(row["record_ids"]))
        for row in world.rows(
            "SELECT method, record_ids FROM api_audit_entry"
            " WHERE credential_id = %s AND committed AND record_ids != ''",
            key.credential_id,
        )
    }
    effects = [("create", row["id"]) for row in partners]
    effects += [("write", row["id"]) for row in partners if row["name"].endswith("renamed")]
    print(f"{killed} kills, {next(numbers) - 1} attempts, {len(effects)} committed effects")
    assert killed == KILLS
    assert len(effects) >= EFFECTS
    assert [effect for effect in effects if effect not in entered] == []
    assert len(entered) == len(effects), "an entry tells of an effect that is not there"
