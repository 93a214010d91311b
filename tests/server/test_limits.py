"""Do limits hold over all workers and every door, and what becomes of calls while nobody can count?

Each test has keys and policies of its own, and so counters of its own.
"""

import itertools
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import world as worlds
from doors import Caller, json2, jsonrpc, send, xmlrpc_2, xmlrpc_service
from workers import in_every_worker
from world import USER, USER_PASSWORD, wait_for

from dev import setup
from dev.harness import Server
from dev.layout import RUN

SENTENCE = "The limit of this credential is used up. Try again in {} seconds."
DOORS = {"json2": json2, "xmlrpc": xmlrpc_2, "jsonrpc": jsonrpc}
every_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@pytest.fixture(params=["postgresql", "redis"])
def store(request, world):
    """The same test over both stores."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_servers")().url
        former = world.setting("store_url", url)
        yield request.param
        world.setting("store_url", former or "")
    else:
        yield request.param


def count(caller, door=json2, **more):
    return door(caller, "res.partner", "search_count", domain=[], **more)


def passed(answers):
    return sum(answer.refusal is None for answer in answers)


# ---------------------------------------------------------------------- how a refusal looks


@every_door
def test_the_call_beyond_the_limit_is_told_to_wait(door, store, world, call):
    caller = call(world.key(limits=["3 calls minute key exact"]))
    answers = [count(caller, door) for _number in range(4)]
    assert passed(answers) == 3
    refused = answers[-1]
    seconds = int(refused.headers["Retry-After"])
    assert 57 <= seconds <= 60
    assert refused.sentence == SENTENCE.format(seconds)
    assert refused.headers["RateLimit-Policy"] == '"calls-minute-key";q=3;w=60'
    assert refused.headers["RateLimit"] == f'"calls-minute-key";r=0;t={seconds}'
    assert refused.status == (429 if door is json2 else 200)
    entry = world.entry(refused)
    assert (entry["reason"], entry["outcome"], entry["status"]) == ("limit.exceeded", "refused", refused.status)
    assert entry["error_message"] == "calls-minute-key: at most 3"
    assert entry["refusing_policy"].startswith("Policy")
    first = answers[0]
    assert first.headers["RateLimit"].startswith('"calls-minute-key";r=2;t=')
    assert "Retry-After" not in first.headers and "X-RateLimit-Limit" not in first.headers


def test_older_fields_are_sent_where_they_are_asked_for(world, call):
    caller = call(world.key(limits=["10 calls hour key", "3 calls minute key"]))
    former = world.setting("x_ratelimit", "True")
    try:
        answer = count(caller)
        names = ("Limit", "Remaining", "Reset")
        told = [answer.headers[f"X-RateLimit-{name}"] for name in names]
        assert told[:2] == ["3", "2"] and 58 <= int(told[2]) <= 62
        assert answer.headers["RateLimit-Policy"].count(",") == 1
    finally:
        world.setting("x_ratelimit", former)


def test_a_key_without_limits_is_told_nothing_of_them(world, call):
    assert not [name for name in count(call(world.key())).headers if "ratelimit" in name.lower()]


def test_the_key_itself_asks_what_is_left(store, world, call):
    caller = call(world.key(limits=["5 calls minute key", "1000 rows hour user"], max_at_once=2))
    json2(caller, "res.partner", "search_read", domain=[], fields=["name"], limit=3)
    answer = send(caller.url, "/api_guard/v1/me", headers={
        "Authorization": f"bearer {caller.secret}", "X-Odoo-Database": caller.db})
    told = {limit["name"]: limit for limit in json.loads(answer.body)["limits"]}
    assert set(told) == {"calls-minute-key", "rows-hour-user", "concurrency"}
    calls, rows, slots = told["calls-minute-key"], told["rows-hour-user"], told["concurrency"]
    assert (calls["amount"], calls["remaining"], calls["unit"], calls["period"]) == (5, 3, "calls", "minute")
    assert (rows["amount"], rows["remaining"], rows["per"]) == (1000, 997, "user")
    assert (slots["amount"], slots["remaining"]) == (2, 1)
    assert 0 < calls["reset"] <= 61


# ---------------------------------------------------------------------- what is counted


@pytest.mark.parametrize(("limit", "method", "arguments"), [
    ("3 rows minute key", "search_read", {"domain": [], "fields": ["name"], "limit": 2}),
    ("150 bytes minute key", "search_read", {"domain": [], "fields": ["name"], "limit": 10}),
    ("1 ms minute key", "search_count", {"domain": []}),
    ("3 written minute key", "create", {"vals_list": [{"name": "Limited"}, {"name": "Limited"}]}),
])
@every_door
def test_what_is_known_afterwards_bars_the_next_call(door, limit, method, arguments, store, world, call):
    caller = call(world.key(limits=[limit]))
    answers = []
    for _number in range(12):
        answers.append(door(caller, "res.partner", method, **arguments))
        if answers[-1].refusal:
            break
    assert answers[0].refusal is None
    assert world.entry(answers[-1])["reason"] == "limit.exceeded"
    assert len(answers) <= 4, [(answer.status, answer.headers["RateLimit"], len(answer.body)) for answer in answers]


def test_records_within_records_are_counted_as_they_are_written(world, call):
    caller = call(world.key(limits=["100 written minute key"]))
    name, children = "Parent of many", [[0, 0, {"name": f"Child {number}"}] for number in range(9)]
    answer = json2(caller, "res.partner", "create", vals_list=[{"name": name, "child_ids": children}])
    assert answer.refusal is None
    left = int(count(caller).headers["RateLimit"].partition(";r=")[2].partition(";")[0])
    assert 100 - 2 * 10 <= left <= 90


def test_what_a_failing_call_writes_is_charged_and_no_more(world, call):
    caller = call(world.key(limits=["5 written minute key"]))
    failing = json2(caller, "res.partner", "write", ids=[2**30], vals={"name": "x"})
    assert failing.refusal
    assert count(caller).refusal is None


@pytest.mark.parametrize(("per", "shared"), [
    ("key", (False, False, True)), ("user", (True, False, True)), ("peer", (True, True, False)),
    ("network", (True, True, True)), ("policy", (True, True, True)),
])
def test_each_subject_has_a_counter_of_its_own(per, shared, store, world, call):
    policy = world.policy(limits=[f"1 calls minute {per}"])
    first, second, other = world.key(), world.key(), world.key(uid=world.admin_uid)
    for key in (first, second, other):
        world.bind(key, policy)
    octet = next(_octets)
    here, near = ({"X-Forwarded-For": f"203.{octet}.113.{last}"} for last in (7, 8))
    assert count(call(first).with_headers(here)).refusal is None
    # another key of the user, another user, the same key from a neighbour's address
    calls = [call(second).with_headers(here), call(other).with_headers(here), call(first).with_headers(near)]
    assert tuple(count(caller).refusal is not None for caller in calls) == shared


_octets = itertools.count(os.getpid() % 100 + 1)


def test_an_ipv6_peer_is_its_network(world, call):
    caller = call(world.key(limits=["1 calls minute peer"]))
    addresses = ["2001:db8:5:6::1", "2001:db8:5:6:ffff::2", "2001:db8:5:7::1"]
    answers = [count(caller.with_headers({"X-Forwarded-For": address})) for address in addresses]
    assert [answer.refusal is None for answer in answers] == [True, False, True]


def test_passwords_and_sessions_are_counted_by_their_user(world, call, one):
    policy = world.policy(limits=["2 calls minute key"])
    world.rows("UPDATE res_users SET api_policy_id = %s WHERE id = %s", policy, world.uid)
    try:
        caller = Caller(one.url, world.name, USER_PASSWORD, world.uid)
        answers = [count(caller, xmlrpc_2) for _number in range(3)]
        assert passed(answers) == 2
        with_key = count(call(world.key()))
        assert with_key.refusal is None  # a key of the user has a counter of its own
    finally:
        world.rows("UPDATE res_users SET api_policy_id = NULL WHERE id = %s", world.uid)


def test_checking_a_secret_is_a_call(world, one):
    key = world.key(limits=["2 calls minute key"])
    login = [xmlrpc_service(one.url, "common", "authenticate", world.name, USER, key.secret, {}) for _n in range(3)]
    assert [answer.value for answer in login[:2]] == [world.uid] * 2
    assert login[2].sentence.startswith("The limit of this credential is used up.")


def test_successors_share_the_counter_of_the_first_key(world, call, one):
    key = world.key(limits=["3 calls minute key"])
    assert passed([count(call(key)) for _number in range(2)]) == 2
    answer = json2(call(key), "api.key", "rotate")
    secret = answer.value["secret"]
    world.secrets.append(secret)
    assert count(Caller(one.url, world.name, secret, key.uid)).refusal is not None


# ---------------------------------------------------------------------- several at once


def test_all_limits_must_admit_and_a_refused_call_takes_of_none(store, world, call):
    key = world.key(limits=["2 calls second key exact", "5 calls hour key exact"])
    caller = call(key)
    answers = [count(caller) for _number in range(3)]
    refused = [answer for answer in answers if answer.refusal]
    assert passed(answers) in (2, 3)  # a slow machine needs more than a second for three
    left = int(answers[-1].headers["RateLimit"].rpartition(";r=")[2].partition(";")[0])
    assert left == 5 - passed(answers), answers[-1].headers["RateLimit"]
    assert len(refused) == 3 - passed(answers)


def test_baseline_and_own_policy_both_hold(world, call):
    baseline = world.policy(limits=["2 calls minute key"])
    former = world.setting("baseline_policy_id", str(baseline))
    try:
        caller = call(world.key(limits=["1 calls hour key"]))
        answers = [count(caller) for _number in range(2)]
        assert passed(answers) == 1
        assert world.entry(answers[1])["error_message"] == "calls-hour-key: at most 1"
    finally:
        world.setting("baseline_policy_id", former or "")


def test_a_monitored_limit_refuses_nothing_and_is_noted(world, call):
    caller = call(world.key(mode="monitor", limits=["1 calls minute key"]))
    answers = [count(caller) for _number in range(3)]
    assert passed(answers) == 3
    entries = [world.entry(answer) for answer in answers]
    assert [(entry["verdict"], entry["reason"]) for entry in entries] == [
        ("allow", None), ("deny", "limit.exceeded"), ("deny", "limit.exceeded")]
    assert {entry["outcome"] for entry in entries} == {"allowed"}


def test_refused_calls_cost_nothing_unless_the_policy_says_so(store, world, call):
    scope = {"res.partner": "read"}
    for counts, left in ((False, "r=9"), (True, "r=7")):
        caller = call(world.key(limits=["10 calls hour key"], counts_refused=counts, scope=scope))
        for _number in range(2):
            assert json2(caller, "res.country", "search_count", domain=[]).status == 403
        assert left in count(caller).headers["RateLimit"]


def test_a_stranger_uses_up_nothing_of_anybody(world, one, call):
    policy = world.policy(limits=["3 calls hour user", "3 calls hour policy"], counts_refused=True)
    world.rows("UPDATE res_users SET api_policy_id = %s WHERE id = %s", policy, world.uid)
    try:
        for _number in range(4):
            assert count(Caller(one.url, world.name, "wrong", world.uid), xmlrpc_2).refusal
        assert "r=2" in count(call(world.key())).headers["RateLimit"]
    finally:
        world.rows("UPDATE res_users SET api_policy_id = NULL WHERE id = %s", world.uid)


def test_records_within_records_are_counted_as_they_are_read(world, call):
    caller = call(world.key(limits=["30 rows hour key"]))
    name = f"Tag {time.time_ns()}"
    partners = [[0, 0, {"name": f"Tagged {number}"}] for number in range(20)]
    [tag] = json2(call(world.key(uid=world.admin_uid)), "res.partner.category", "create",
                  vals_list=[{"name": name, "partner_ids": partners}]).value
    nested = {"partner_ids": {"fields": {"name": {}}}}
    for _number in range(2):
        assert json2(caller, "res.partner.category", "web_read", ids=[tag], specification=nested).refusal is None
    assert count(caller).status == 429


def test_a_key_may_ask_what_is_left_when_nothing_is(world, call):
    caller = call(world.key(limits=["1 calls hour key"]))
    assert [count(caller).status for _number in range(2)] == [200, 429]
    headers = {"Authorization": f"bearer {caller.secret}", "X-Odoo-Database": caller.db}
    for _number in range(2):
        answer = send(caller.url, "/api_guard/v1/me", headers=headers)
        assert (answer.status, json.loads(answer.body)["limits"][0]["remaining"]) == (200, 0)
    assert count(caller).status == 429


def test_a_program_that_does_not_wait_waits_longer_where_refused_calls_count(store, world, call):
    caller = call(world.key(limits=["2 calls second key exact"], counts_refused=True))
    end, answers = time.monotonic() + 2.5, []
    while time.monotonic() < end:
        answers.append(count(caller))
    assert passed(answers[:3]) == 2
    assert passed(answers[3:]) == 0


def test_a_limit_that_is_changed_holds_at_once(world, call, one):
    key = world.key(limits=["2 calls minute key"])
    assert passed([count(call(key)) for _number in range(3)]) == 2
    line = world.value("SELECT max(id) FROM api_policy_limit")
    world.web.call("api.policy.limit", "write", [line], {"amount": 5})
    assert {answer.refusal for answer in in_every_worker(one, lambda: count(call(key)))} == {None}


# ---------------------------------------------------------------------- exactness


def test_a_repeated_call_is_counted_once(world, call):
    """Odoo repeats what meets a concurrent change; the caller made one call."""
    caller = call(world.key(limits=["100 calls minute key"]))
    partner = json2(caller, "res.partner", "create", vals_list=[{"name": "Contended"}]).value[0]
    before = _left(count(caller))
    blocker = world.connection()
    with blocker.cursor() as cursor:
        cursor.execute("SELECT 1 FROM res_partner WHERE id = %s FOR UPDATE", [partner])
        cursor.execute("UPDATE res_partner SET comment = 'x' WHERE id = %s", [partner])
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(json2, caller, "res.partner", "write", ids=[partner], vals={"name": "Contended 2"})
            time.sleep(0.7)
            blocker.commit()
            assert answer.result().refusal is None
    blocker.close()
    assert before - _left(count(caller)) == 2


def _left(answer):
    return int(answer.headers["RateLimit"].partition(";r=")[2].partition(";")[0])


def test_exactly_the_amount_passes_in_any_moving_minute(store, world, call):
    """Eight connections over two workers, as fast as they can, for a window and a half: the check of the promise.

    A minute in earnest on PostgreSQL; the second store has windows of a second, of which there are many.
    """
    period, seconds, rounds = ("minute", 60, 1.25) if store == "postgresql" else ("second", 1, 12)
    amount = 100 if period == "minute" else 20
    caller = call(world.key(limits=[f"{amount} calls {period} key exact"]))
    end, admitted, lock = time.monotonic() + seconds * rounds, [], threading.Lock()

    def hammer(_number):
        while (before := time.monotonic()) < end:
            answer = count(caller)
            if answer.refusal is None:
                with lock:
                    admitted.append((before, time.monotonic()))
            elif period == "minute":
                time.sleep(min(float(answer.headers["Retry-After"]) / 20, 0.5))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hammer, range(8)))
    begun = sorted(before for before, _after in admitted)
    worst = max(sum(b >= start and a < start + seconds for b, a in admitted) for start in begun)
    assert worst <= amount
    first = [pair for pair in admitted if pair[1] < begun[0] + seconds]
    assert len(first) == amount
    assert len(admitted) > amount


def test_a_sliding_window_lets_no_more_pass_and_little_less(store, world, call):
    caller = call(world.key(limits=["40 calls second key"]))
    end, admitted = time.monotonic() + 6, []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _n: _collect(caller, end, admitted), range(8)))
    begun = sorted(before for before, _after in admitted)
    worst = max(sum(b >= start and a < start + 1 for b, a in admitted) for start in begun)
    assert worst <= 40


def _collect(caller, end, admitted):
    while (before := time.monotonic()) < end:
        if count(caller).refusal is None:
            admitted.append((before, time.monotonic()))


# ---------------------------------------------------------------------- at the same time


def _slow(world, seconds):
    """A call that is under way for a while: it waits for a row that somebody holds."""
    blocker = world.connection()
    partner = world.value("SELECT id FROM res_partner WHERE name = 'Held' LIMIT 1")
    cursor = blocker.cursor()
    cursor.execute("SELECT 1 FROM res_partner WHERE id = %s FOR UPDATE", [partner])
    threading.Timer(seconds, blocker.close).start()
    return partner


@pytest.fixture
def held(world, call):
    if not world.partners("Held"):
        json2(call(world.key()), "res.partner", "create", vals_list=[{"name": "Held"}])
    return lambda seconds: _slow(world, seconds)


def test_no_more_calls_than_slots_are_under_way(held, store, world, call):
    caller = call(world.key(max_at_once=1))
    partner = held(1.5)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(json2, caller, "res.partner", "write", ids=[partner], vals={"comment": "slow"})
        time.sleep(0.5)
        refused = count(caller)
        assert refused.status == 429
        assert refused.sentence.startswith("Too many calls of this credential are under way.")
        assert world.entry(refused)["reason"] == "limit.concurrency"
        assert refused.headers["RateLimit-Policy"] == '"concurrency";q=1;qu="concurrent-requests"'
        assert slow.result().refusal is None
    assert count(caller).refusal is None


def test_slots_are_given_back_however_a_call_ends(store, world, call):
    caller = call(world.key(max_at_once=1, scope={"res.partner": "read"}))
    for _number in range(3):
        assert json2(caller, "res.partner", "read", ids=["x"], fields=["name"]).refusal
        assert json2(caller, "res.country", "search_count", domain=[]).status == 403
        assert json2(caller, "res.partner", "no_such_method").refusal
        assert count(caller, xmlrpc_2).refusal is None
        assert count(caller).refusal is None


def test_the_slot_of_a_killed_worker_frees_itself(held, store, world, one, call):
    caller = call(world.key(max_at_once=1))
    partner, before = held(8), set(one.pids())
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(_swallow, json2, caller, "res.partner", "write", ids=[partner], vals={"comment": "slow"})
        busy = wait_for(lambda: world.rows(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", world.name))
        assert busy and count(caller).status == 429
        # whichever of the two it is that waits
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        slow.result()
    wait_for(lambda: len(set(one.pids()) - before) == 2, 20)
    assert wait_for(lambda: (answer := _swallow(count, caller)) and answer.refusal is None, 20)


def _swallow(function, *arguments, **more):
    try:
        return function(*arguments, **more)
    except OSError:
        return None


# ---------------------------------------------------------------------- while the store is down


@pytest.fixture
def failing(world, redis_server):
    """Counters in a Redis of the test's own."""
    former = world.setting("store_url", redis_server.url)
    yield redis_server
    world.setting("store_url", former or "")
    time.sleep(1.1)  # the moment for which a store that failed is left alone


CHOICES = {"closed": (0, 503), "open": (1000, 200), "local": (2, 200)}


@pytest.mark.parametrize("way", ["kill", "pause"])
@pytest.mark.parametrize("choice", CHOICES)
def test_while_the_store_is_down_the_policy_chooses(choice, way, failing, world, call):
    amount, status = CHOICES[choice]
    caller = call(world.key(limits=["2 calls minute key"], on_store_down=choice))
    assert count(caller).refusal is None
    alerts = world.value("SELECT COALESCE(sum(count), 0) FROM api_alert WHERE code = 'limit.store_down'")
    getattr(failing, way)()
    try:
        began = time.monotonic()
        first = count(caller)
        assert time.monotonic() - began < 1
        assert first.status == status
        answers = [first, *(count(caller) for _number in range(7))]
        reasons = {world.entry(answer)["reason"] for answer in answers}
        raised = world.value("SELECT COALESCE(sum(count), 0) FROM api_alert WHERE code = 'limit.store_down'") - alerts
        if choice == "closed":
            assert passed(answers) == 0 and reasons == {"limit.store_down"} and not raised
            assert first.headers["Retry-After"] == "1"
        elif choice == "open":
            assert passed(answers) == 8 and reasons == {None} and raised
        else:  # each of the two workers gives out half
            assert 1 <= passed(answers) <= amount and reasons == {None, "limit.exceeded"} and raised
    finally:
        failing.resume() if way == "pause" else failing.start()
    wait_for(lambda: count(call(world.key(limits=["2 calls minute key"]))).refusal is None, 5)


@pytest.mark.parametrize("way", ["kill", "pause"])
def test_a_store_that_stops_in_mid_load_holds_no_call_up(way, failing, world, call):
    caller = call(world.key(limits=["100000 calls minute key"], on_store_down="open"))
    slowest, errors, end = [], [], time.monotonic() + 4

    def load(_number):
        while (before := time.monotonic()) < end:
            answer = count(caller)
            slowest.append(time.monotonic() - before)
            if answer.refusal:
                errors.append(answer.refusal)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(load, number) for number in range(4)]
        time.sleep(1)
        getattr(failing, way)()
        time.sleep(1.5)
        failing.resume() if way == "pause" else failing.start()
        for future in running:
            future.result()
    assert not errors
    assert max(slowest) < 1.5, max(slowest)  # 200 ms, once in a second, besides the queue


def test_a_locked_table_is_a_store_that_is_down(world, call):
    caller = call(world.key(limits=["5 calls minute key"]))
    assert count(caller).refusal is None
    blocker = world.connection()
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE api_guard_counter IN ACCESS EXCLUSIVE MODE")
        answer = count(caller)
    blocker.close()
    assert answer.status == 503
    assert world.entry(answer)["reason"] == "limit.store_down"
    time.sleep(1.1)
    assert count(caller).refusal is None


def test_an_unreadable_address_of_the_store_closes(world, call):
    caller = call(world.key(limits=["5 calls minute key"]))
    former = world.setting("store_url", "gopher://nowhere")
    try:
        assert count(caller).status == 503
    finally:
        world.setting("store_url", former or "")


# ---------------------------------------------------------------------- the option of odoo.conf


def test_the_server_s_configuration_goes_before_the_setting(world, redis_server):
    key = world.key(limits=["2 calls minute key"])
    config = RUN / f"{worlds.PREFIX}_store.conf"
    setup.write_config(config, api_guard_store=redis_server.url)
    options = {"environment": {"ODOO_RC": str(config)}, "extra": [f"--config={config}"]}
    with Server(world.name, workers=0, **options) as server:
        caller = Caller(server.url, world.name, key.secret, key.uid)
        assert passed([count(caller) for _number in range(3)]) == 2
    assert redis.from_url(redis_server.url).dbsize() > 0
