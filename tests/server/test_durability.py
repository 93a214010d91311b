"""What does a crash take from the log? Workers and PostgreSQL are killed under load, each by itself and together.

Every answer that a client has seen, and every effect that is there, has to have its entry: in `strict` always, in
`relaxed` once the journal was read.
"""

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter

import psycopg2
import psycopg2.extras
import pytest
from doors import Caller, json2, xmlrpc_2
from world import wait_for

from dev.harness import Server
from dev.postgres import Cluster

KILLS = int(os.environ.get("KILLS", "4"))
PREFIX = "a crash"


class Crashing:
    """A copy of the guarded database in a PostgreSQL of its own, and what kills parts of the whole."""

    def __init__(self, cluster, name, server):
        self.cluster, self.name, self.server = cluster, name, server
        self.victims = itertools.cycle([self.kill_worker, self.kill_backend, self.kill_all, self.kill_both])

    def rows(self, sql, *parameters):
        connection = psycopg2.connect(dbname=self.name, host=str(self.cluster.socket), user="odoo")
        with (
            contextlib.closing(connection), connection,
            connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
        ):
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def kill_worker(self):
        if pids := self.server.pids():
            _kill(random.choice(pids))  # noqa: S311

    def kill_backend(self):
        """PostgreSQL ends all connections then, and recovers."""
        if pids := self.cluster.pids():
            _kill(random.choice(pids))  # noqa: S311

    def kill_all(self):
        self.cluster.kill()
        self.cluster.start()

    def kill_both(self):
        for pid in self.server.pids():
            _kill(pid)
        self.kill_all()


def _kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Client(threading.Thread):
    """Calls in a loop, deaf to all errors; keeps the request ids of the answers that it has seen."""

    def __init__(self, turn):
        super().__init__(daemon=True)
        self.turn, self.seen, self.stopped = turn, [], threading.Event()

    def run(self):
        while not self.stopped.is_set():
            try:
                answer = self.turn()
            except Exception:  # killed; what became of it, the database tells
                time.sleep(0.05)
                continue
            if answer.status == 200 and answer.refusal is None and answer.request_id:
                self.seen.append(answer.request_id)


def _clients(caller, numbers):
    def write():
        name = f"{PREFIX} {next(numbers)}"
        answer = json2(caller, "res.partner", "create", vals_list=[{"name": name}])
        json2(caller, "res.partner", "write", ids=answer.value, vals={"name": f"{name}, renamed"})
        return answer

    return [
        Client(write),
        Client(lambda: json2(caller, "res.partner", "search_read", domain=[["id", "=", 1]], fields=["name"])),
        Client(lambda: xmlrpc_2(caller, "res.users", "context_get")),
    ]


@pytest.mark.parametrize("durability", ["strict", "relaxed"])
def test_crash_takes_no_entry(durability, world):
    key, numbers = world.key(), itertools.count(1)
    former = world.setting("durability", durability)
    with Cluster() as cluster:
        try:
            cluster.copy(world.name)
        finally:
            world.setting("durability", former)
        with Server(world.name, gevent=False, environment=cluster.environment) as server:
            crashing = Crashing(cluster, world.name, server)
            clients = _clients(Caller(server.url, world.name, key.secret, key.uid), numbers)
            for client in clients:
                client.start()
            for _n in range(KILLS):
                _let_work(clients, server, cluster)
                next(crashing.victims)()
            _let_work(clients, server, cluster)
            for client in clients:
                client.stopped.set()
            for client in clients:
                client.join(30)
            crashing.kill_both()  # in the middle of what the last calls left
        with Server(world.name, gevent=False, environment=cluster.environment) as server:
            caller = Caller(server.url, world.name, key.secret, key.uid)
            for _n in range(8):  # every process looks at its first such entry for what others left
                answer = json2(caller, "res.partner", "search_read", domain=[["id", "=", 1]], fields=["name"])
                assert answer.refusal is None
            _compare(crashing, key, clients)


def _let_work(clients, server, cluster):
    """Until all of them are served again, and for a moment more.

    Odoo's first process ends where it has to replace a worker while the database is away: it is started again,
    as its supervisor would.
    """
    before = [len(client.seen) for client in clients]

    def served():
        if server.process.poll() is not None and cluster.is_ready():
            server.stop()
            server.start()
        return all(len(client.seen) > seen + 1 for client, seen in zip(clients, before, strict=True))

    wait_for(served, 60)
    time.sleep(random.uniform(0.1, 1.2))  # noqa: S311


def _compare(crashing, key, clients):
    seen = [request_id for client in clients for request_id in client.seen]
    entries = crashing.rows(
        "SELECT request_id, kind, method, record_ids, committed FROM api_audit_entry WHERE credential_id = %s",
        key.credential_id)
    entered = {(row["method"], row["record_ids"]) for row in entries if row["committed"]}
    partners = crashing.rows("SELECT id::text, name FROM res_partner WHERE name LIKE %s", f"{PREFIX}%")
    effects = [("create", row["id"]) for row in partners]
    effects += [("write", row["id"]) for row in partners if row["name"].endswith("renamed")]
    restored = crashing.rows("SELECT sum(record_count) AS n FROM api_audit_entry WHERE method = 'restore'")[0]["n"]
    print(f"{len(seen)} answers, {len(effects)} effects, {len(entries)} entries; {restored or 0} written again")
    assert len(seen) >= 6 * KILLS
    assert len(effects) >= 2 * KILLS
    # a commit whose answer was lost: what failed, failed after it was done, and either is told
    known = [row["request_id"] for row in entries]
    told = Counter((row["request_id"], row["kind"]) for row in entries)
    assert sorted(set(seen) - set(known)) == [], "answered, and no entry"
    assert [effect for effect in effects if effect not in entered] == []
    assert {place: times for place, times in told.items() if times > 1} == {}, "twice in the log"
