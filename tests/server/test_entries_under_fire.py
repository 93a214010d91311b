"""No answer goes out without its entry, whatever happens to the log while it is on its way.

A read's entry is sent on a connection of its own and waited for before the answer: here that connection
is cut, kept waiting and timed out, and many callers share a process.
"""

import concurrent.futures
import contextlib
import http.client
import json
import random
import threading
import time
from urllib.parse import urlsplit

import pytest
from doors import Caller, json2, jsonrpc, xmlrpc_2
from world import wait_for

from dev.harness import Server

EXECUTE = {"xmlrpc": xmlrpc_2, "jsonrpc": jsonrpc, "json2": json2}
every_door = pytest.mark.parametrize("door", EXECUTE)


def _cut(world, count=None):
    world.rows(
        "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = %s"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY random() LIMIT %s) AS chosen",
        world.name, count)


@contextlib.contextmanager
def _locked(world):
    """Within, nobody reads or writes the log."""
    connection = world.connection()
    try:
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE api_audit_entry IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        connection.close()


def test_connections_cut_at_any_moment(world, call):
    caller, ended = call(world.key()), threading.Event()
    doors = [*EXECUTE.values()]

    def ask(number):
        answers = []
        while not ended.is_set():
            answers.append(doors[number % 3](caller, "res.partner", "search_read", domain=[], fields=["name"], limit=3))
        return answers

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, number) for number in range(3)]
        try:
            until = time.monotonic() + 6
            while time.monotonic() < until:
                time.sleep(random.uniform(0.001, 0.03))  # noqa: S311  a moment, no secret
                _cut(world, 2)
        finally:
            ended.set()
        answers = [answer for future in asked for answer in future.result()]
    answered = [answer for answer in answers if answer.refusal is None and answer.value]
    cut = [answer for answer in answers if answer.refusal is not None]
    assert len(answered) > 20 and cut, (len(answered), len(cut))
    for answer in answered:
        assert world.entry(answer)["row_count"] == 3
    for answer in cut:
        assert b"Traceback" not in answer.body and b"pg_terminate" not in answer.body, answer.body


@every_door
def test_answer_waits_for_its_entry(door, world, call):
    caller, arguments = call(world.key()), {"domain": [], "fields": ["name"], "limit": 1}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with _locked(world):
            asked = pool.submit(EXECUTE[door], caller, "res.partner", "search_read", **arguments)
            with pytest.raises(concurrent.futures.TimeoutError):
                asked.result(timeout=1)
        answer = asked.result(timeout=20)
    assert answer.refusal is None
    assert world.entry(answer)["outcome"] == "allowed"


@every_door
def test_entry_that_times_out_is_an_error_and_no_answer(door, world, call):
    caller = call(world.key())
    [row] = world.rows("SELECT id, name FROM res_partner WHERE name IS NOT NULL ORDER BY id LIMIT 1")
    world.rows(f"ALTER DATABASE \"{world.name}\" SET lock_timeout = '200ms'")
    try:
        _cut(world)
        with _locked(world):
            answer = EXECUTE[door](caller, "res.partner", "read", [row["id"]], fields=["name"])
        assert answer.refusal and row["name"].encode() not in answer.body, answer.body
        assert b"api_audit_entry" not in answer.body
        after = EXECUTE[door](caller, "res.partner", "read", [row["id"]], fields=["name"])
        assert world.entry(after)["outcome"] == "allowed"
    finally:
        world.rows(f'ALTER DATABASE "{world.name}" RESET lock_timeout')
        _cut(world)


def test_caller_who_hangs_up_is_entered(world, one, call):
    key = world.key()
    where = urlsplit(one.url)
    for _ in range(10):
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
        connection.request("POST", "/json/2/res.partner/search_read", json.dumps({"domain": [], "limit": 5}), {
            "Content-Type": "application/json", "X-Odoo-Database": world.name,
            "Authorization": f"Bearer {key.secret}"})
        connection.close()
    wait_for(lambda: world.value(
        "SELECT count(*) = 10 FROM api_audit_entry WHERE credential_id = %s", key.credential_id))


def test_many_callers_in_one_process_have_each_their_own_entry(world):
    keys = [world.key() for _ in range(8)]
    with Server(world.name, workers=0) as server:

        def ask(number):
            caller = Caller(server.url, world.name, keys[number].secret, keys[number].uid)
            door = [*EXECUTE.values()][number % 3]
            told = []
            for limit in range(1, 13):
                found = door(caller, "res.partner", "search_read", domain=[], fields=["name"], limit=limit)
                told.append((limit, found))
                told.append((None, door(caller, "res.partner", "no_such_method", domain=[])))
            return told

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            everything = [*pool.map(ask, range(8))]
    partners = world.value("SELECT count(*) FROM res_partner WHERE active")
    for number, told in enumerate(everything):
        for limit, answer in told:
            entry = world.entry(answer)
            assert entry["credential_id"] == keys[number].credential_id
            assert entry["outcome"] == ("failed" if limit is None else "allowed"), (entry["outcome"], answer.body[:200])
            if limit is not None:
                assert entry["row_count"] == min(limit, partners) == len(answer.value)
