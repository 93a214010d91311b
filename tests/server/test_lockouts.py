"""Who has to wait after wrong secrets: on every door, in all workers, and nobody else.

Each test comes from a network of its own, which its calls claim as a trusted proxy reports it.
"""

import itertools
import json
import re
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
import world as worlds
from doors import Caller, WebClient, get, json2, jsonrpc_service, plugin, post_jsonrpc, send, xmlrpc_2, xmlrpc_service
from workers import in_every_worker
from world import ADMIN, PASSWORD, USER, USER_PASSWORD

from dev import fail2ban, setup
from dev.databases import odoo
from dev.harness import Server
from dev.layout import ROOT, RUN

FAILURES, OF_A_NETWORK = 5, 9
TOLD = re.compile(r"Too many failed attempts\. Try again in (\d+) seconds\.")
_networks = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def _locking(world):
    values = {"lockout_failures": FAILURES, "lockout_network_failures": OF_A_NETWORK}
    former = {name: world.setting(name, str(value)) for name, value in values.items()}
    yield
    for name, value in former.items():
        world.setting(name, value)


@pytest.fixture(params=["postgresql", "redis"])
def store(request, world):
    if request.param == "redis":
        former = world.setting("store_url", request.getfixturevalue("redis_servers")().url)
        yield request.param
        world.setting("store_url", former or "")
    else:
        yield request.param


@pytest.fixture
def network():
    """The first three numbers of a network that nobody else uses."""
    number = next(_networks)
    return f"198.{18 + number // 250}.{number % 250}"


@pytest.fixture
def at(network):
    """Headers of a caller at an address of it: `at(7)`."""
    return lambda last=7: {"X-Forwarded-For": f"{network}.{last}"}


def wait_of(answer):
    """How many seconds the answer says to wait for; None: it does not."""
    found = TOLD.search(answer.refusal or answer.body.decode(errors="replace"))
    return found and int(found[1])


# ---------------------------------------------------------------------- the doors


class Doors:
    """Each way to present a login and a secret. A wrong one is an answer that opens nothing."""

    def __init__(self, world, server):
        self.world, self.url = world, server.url

    def xmlrpc_authenticate(self, login, secret, headers):
        return xmlrpc_service(self.url, "common", "authenticate", self.world.name, login, secret, {}, headers=headers)

    def xmlrpc_login(self, login, secret, headers):
        return xmlrpc_service(self.url, "common", "login", self.world.name, login, secret, headers=headers)

    def jsonrpc_login(self, login, secret, headers):
        return jsonrpc_service(self.url, "common", "login", self.world.name, login, secret, headers=headers)

    def xmlrpc_object(self, login, secret, headers):
        uid = {USER: self.world.uid, ADMIN: self.world.admin_uid}.get(login, 99999)
        params = (self.world.name, uid, secret, "res.users", "search_count", [[]])
        return xmlrpc_service(self.url, "object", "execute_kw", *params, headers=headers)

    def jsonrpc_object(self, login, secret, headers):
        uid = {USER: self.world.uid, ADMIN: self.world.admin_uid}.get(login, 99999)
        params = (self.world.name, uid, secret, "res.users", "search_count", [[]])
        return jsonrpc_service(self.url, "object", "execute_kw", *params, headers=headers)

    def web_session(self, login, secret, headers):
        params = {"db": self.world.name, "login": login, "password": secret}
        return post_jsonrpc(self.url, "/web/session/authenticate", params, headers)

    def web_login(self, login, secret, headers):
        page = send(self.url, "/web/login", headers=headers)
        token = re.search(rb'name="csrf_token" value="([^"]+)"', page.body)[1].decode()
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        form = f"csrf_token={token}&login={login}&password={secret.replace(' ', '+')}".encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
        return send(self.url, "/web/login", form, {**headers, **kind})

    def addon_upload(self, login, secret, headers):
        form = f"login={login}&password={secret.replace(' ', '+')}".encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return send(self.url, "/base_import_module/login_upload", form, {**headers, **kind})


PASSWORD_DOORS = [name for name in vars(Doors) if not name.startswith("_") and name != "addon_upload"]


@pytest.fixture(params=PASSWORD_DOORS)
def door(request, world, one):
    return getattr(Doors(world, one), request.param)


def test_a_login_is_locked_from_there_and_from_nowhere_else(door, store, world, at, network):
    answers = [door(ADMIN, f"wrong {number}", at()) for number in range(FAILURES + 1)]
    assert [wait_of(answer) is None for answer in answers] == [True] * FAILURES + [False]
    assert 50 <= wait_of(answers[-1]) <= 60
    # the right password waits as well, whatever worker it meets; another login from there does not
    assert wait_of(door(ADMIN, PASSWORD, at(200))) is not None
    assert wait_of(door(USER, USER_PASSWORD, at())) is None
    lock = world.rows("SELECT * FROM api_lockout WHERE network = %s", f"{network}.0/24")
    assert [(row["kind"], row["name"], row["failures"], row["locks"]) for row in lock] == [("pair", ADMIN, FAILURES, 1)]
    elsewhere = {"X-Forwarded-For": f"203.0.113.{next(_networks) % 250}"}
    assert wait_of(door(ADMIN, PASSWORD, elsewhere)) is None


def test_failures_of_one_door_count_at_all_others(store, world, one, at):
    doors = Doors(world, one)
    for name in ("xmlrpc_authenticate", "jsonrpc_object", "web_session", "web_login", "xmlrpc_object"):
        getattr(doors, name)(USER, "wrong", at())
    for name in PASSWORD_DOORS:
        answers = in_every_worker(one, lambda name=name: getattr(doors, name)(USER, USER_PASSWORD, at()))
        assert all(wait_of(answer) for answer in answers), name


def test_a_login_that_nobody_has_is_locked_alike(door):
    told = {}
    for login in (ADMIN, "nobody.has.this"):
        here = {"X-Forwarded-For": f"198.21.{next(_networks) % 250}.{next(_networks) % 250}"}
        answers = [door(login, "wrong", here) for _number in range(FAILURES + 2)]
        own = re.compile(r"\d+ seconds|[0-9a-f]{20}|csrf_token[^>]+|nobody.has.this|\badmin\b")
        told[login] = [(answer.status, own.sub("", _text(answer))) for answer in answers]
    first, second = told.values()
    assert first == second


def _text(answer):
    body = answer.body.decode(errors="replace")
    alert = re.search(r'<p class="alert alert-danger"[^>]*>\s*(.*?)\s*</p>', body, re.DOTALL)
    return alert[1] if alert else re.sub(r"\s+", " ", body)[:500] if "<html" not in body else "page"


@pytest.mark.parametrize("name", ["xmlrpc_authenticate", "xmlrpc_object", "web_session"])
def test_known_and_unknown_logins_take_as_long(name, world, one):
    """Locked or not: the medians differ by less than a tenth of a hash."""
    door, times = getattr(Doors(world, one), name), {}
    former = world.setting("lockout_network_failures", "1000")
    try:
        for locked in (False, True):
            for login in (ADMIN, "nobody.has.this"):
                times[login, locked] = []
            for _round in range(7):
                headers = {"X-Forwarded-For": f"198.20.{next(_networks) % 250}.{next(_networks) % 250}"}
                for login in (ADMIN, "nobody.has.this"):
                    for _failure in range(FAILURES if locked else 0):
                        door(login, "wrong", headers)
                    began = time.perf_counter()
                    answer = door(login, "wrong", headers)
                    times[login, locked].append(time.perf_counter() - began)
                    assert (wait_of(answer) is not None) == locked
                if locked and _round >= 2:
                    break
    finally:
        world.setting("lockout_network_failures", former)
    medians = {place: statistics.median(taken) for place, taken in times.items()}
    for locked in (False, True):
        known, unknown = medians[ADMIN, locked], medians["nobody.has.this", locked]
        assert abs(known - unknown) < 0.06, medians
    assert medians[ADMIN, True] < medians[ADMIN, False] / 3  # no hash is looked at any more


@pytest.mark.parametrize(("login", "secret"), [(USER, USER_PASSWORD), ("nobody.of.this.name", "wrong")])
def test_a_program_that_still_sends_a_password_locks_nobody_out_of_the_web(login, secret, world, one, at):
    doors = Doors(world, one)
    former = world.setting("refuse_rpc_passwords", "True")
    try:
        answers = [doors.xmlrpc_authenticate(login, secret, at()) for _n in range(FAILURES + 1)]
        assert [wait_of(answer) is None for answer in answers] == [True] * FAILURES + [False]
        answer = doors.web_session(login, secret, at())
        assert (wait_of(answer), answer.refusal is None) == (None, login == USER)
    finally:
        world.setting("refuse_rpc_passwords", former or "")


def test_waits_grow_and_a_success_clears_them(world, one, at, network):
    doors, former = Doors(world, one), world.setting("lockout_network_failures", "0")
    for _number in range(FAILURES):
        doors.xmlrpc_authenticate(USER, "wrong", at())
    waits = []
    for _round in range(4):
        waits.append(wait_of(doors.xmlrpc_authenticate(USER, "wrong", at())))
        _let_pass(world, "pair", network)
        doors.xmlrpc_authenticate(USER, "wrong", at())
    assert [round(wait / 60) for wait in waits] == [1, 2, 4, 8]
    _let_pass(world, "pair", network)
    assert doors.xmlrpc_authenticate(USER, USER_PASSWORD, at()).value == world.uid
    answers = [doors.xmlrpc_authenticate(USER, "wrong", at()) for _number in range(3)]
    assert not any(wait_of(answer) for answer in answers)
    world.setting("lockout_network_failures", former)


def _let_pass(world, kind, network):
    """As if the wait were over: nobody can wait for an hour."""
    for row in world.rows("SELECT id::text, state FROM api_guard_lockout"):
        state = json.loads(row["state"])
        if state[2] > time.time():
            state[2] = time.time() - 1
            world.rows("UPDATE api_guard_lockout SET state = %s WHERE id = %s::uuid",
                       json.dumps(state, separators=(",", ":")), row["id"])


def test_a_network_that_tries_many_logins_is_locked_but_for_valid_keys_and_known_people(store, world, one, at, network):
    doors = Doors(world, one)
    assert doors.xmlrpc_authenticate(USER, USER_PASSWORD, at(9)).value == world.uid
    key = world.key()
    json2(_caller(world, one, key.secret), "res.partner", "search_count", domain=[])  # it has a fast check now
    answers = [doors.xmlrpc_authenticate(f"login{number}", "wrong", at(number)) for number in range(OF_A_NETWORK + 1)]
    assert [wait_of(answer) is None for answer in answers] == [True] * OF_A_NETWORK + [False]
    assert 3500 <= wait_of(answers[-1]) <= 3600
    assert wait_of(doors.web_session(ADMIN, PASSWORD, at())) is not None
    # whoever was right from there before is known there
    assert doors.xmlrpc_authenticate(USER, USER_PASSWORD, at(9)).value == world.uid
    with_key = json2(_caller(world, one, key.secret).with_headers(at()), "res.partner", "search_count", domain=[])
    assert with_key.refusal is None
    wrong = json2(_caller(world, one, "0" * 40).with_headers(at()), "res.partner", "search_count", domain=[])
    assert (wrong.status, wait_of(wrong) is not None) == (429, True)
    assert int(wrong.headers["Retry-After"]) == wait_of(wrong)
    [row] = world.rows("SELECT * FROM api_lockout WHERE network = %s AND kind = 'network'", f"{network}.0/24")
    assert row["failures"] == OF_A_NETWORK


def _caller(world, server, secret, uid=None):
    return Caller(server.url, world.name, secret, uid or world.uid)


BEARER = {
    "json2": lambda caller: json2(caller, "res.partner", "search_count", domain=[]),
    "docs": lambda caller: get(caller, "/doc-bearer/index.json"),
    "json1": lambda caller: get(caller, "/json/1/contacts"),
    "plugin": lambda caller: plugin(caller, "/mail_plugin/partner/get", email="a@b.c", name="x"),
    "me": lambda caller: get(caller, "/api_guard/v1/me"),
}


@pytest.mark.parametrize("name", BEARER)
def test_wrong_keys_lock_their_network_at_every_bearer_door(name, store, world, one, at):
    act, key = BEARER[name], world.key()
    caller = _caller(world, one, None).with_headers(at())
    json2(caller.using(secret=key.secret), "res.partner", "search_count", domain=[])  # it has a fast check now
    answers = [act(caller.using(secret=f"{number:040x}")) for number in range(OF_A_NETWORK + 1)]
    waits = [wait_of(answer) is not None or answer.status == 429 for answer in answers]
    assert waits == [False] * OF_A_NETWORK + [True]
    entry = world.entry(answers[-1])
    assert (entry["reason"], entry["outcome"]) == ("credential.too_many_failures", "refused")
    assert json2(caller.using(secret=key.secret), "res.partner", "search_count", domain=[]).refusal is None


def test_guesses_at_a_key_s_prefix_are_a_lock_of_its_own_and_the_key_goes_on(world, one, at, network):
    key = world.key()
    caller = _caller(world, one, key.secret).with_headers(at())
    assert json2(caller, "res.partner", "search_count", domain=[]).refusal is None
    for number in range(FAILURES):
        json2(caller.using(secret=key.secret[:8] + f"{number:032x}"), "res.partner", "search_count", domain=[])
    [row] = world.rows("SELECT * FROM api_lockout WHERE network = %s", f"{network}.0/24")
    assert (row["kind"], row["name"]) == ("key", key.secret[:8])
    assert json2(caller, "res.partner", "search_count", domain=[]).refusal is None


def test_the_slow_hash_of_an_old_key_is_derived_for_no_more_guesses_than_allowed(world, one, at):
    """A key from before the guard has no fast check until its first use: its hash is what a guess would cost."""
    key = world.key()
    caller = _caller(world, one, key.secret).with_headers(at())
    for number in range(FAILURES):
        json2(caller.using(secret=key.secret[:8] + f"{number:032x}"), "res.partner", "search_count", domain=[])
    refused = json2(caller, "res.partner", "search_count", domain=[])
    assert wait_of(refused) is not None  # even the right one: telling takes the hash
    elsewhere = caller.with_headers({"X-Forwarded-For": f"203.0.113.{next(_networks) % 250}"})
    assert json2(elsewhere, "res.partner", "search_count", domain=[]).refusal is None
    assert json2(caller, "res.partner", "search_count", domain=[]).refusal is None  # now there is a check


def test_no_more_guesses_at_once_are_judged_than_allowed(store, world, one, at):
    doors = Doors(world, one)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: doors.xmlrpc_authenticate(ADMIN, f"wrong {n}", at()), range(24)))
    assert sum(wait_of(answer) is None for answer in answers) == FAILURES


def test_many_right_passwords_at_once_are_no_attack(world, one, at):
    doors = Doors(world, one)
    assert doors.xmlrpc_authenticate(USER, USER_PASSWORD, at()).value == world.uid
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _n: doors.xmlrpc_authenticate(USER, USER_PASSWORD, at()), range(24)))
    assert {answer.value for answer in answers} == {world.uid}


# ---------------------------------------------------------------------- whom nobody locks out


def test_trusted_networks_are_never_locked_out(world, one, at, network):
    former = world.setting("lockout_trusted", f"{network}.0/25, 2001:db8:77::/48")
    doors = Doors(world, one)
    try:
        for last in (7, 200):
            answers = [doors.xmlrpc_authenticate(ADMIN, "wrong", at(last)) for _number in range(FAILURES + 1)]
            assert bool(wait_of(answers[-1])) == (last == 200)
        assert doors.xmlrpc_authenticate(ADMIN, PASSWORD, at(7)).value == world.admin_uid
    finally:
        world.setting("lockout_trusted", former or "")


def test_a_browser_that_has_logged_in_before_passes_the_locks_of_others(world, one, at):
    doors = Doors(world, one)
    login = doors.web_session(ADMIN, PASSWORD, at())
    cookies = {part.partition("=")[0]: part.partition(";")[0] for part in login.headers.get_all("Set-Cookie")}
    assert "HttpOnly" in next(c for c in login.headers.get_all("Set-Cookie") if c.startswith("api_guard_device"))
    known = {**at(), "Cookie": cookies["api_guard_device"]}
    for _number in range(FAILURES):
        doors.web_session(ADMIN, "wrong", at())
    assert wait_of(doors.web_session(ADMIN, PASSWORD, at())) is not None
    assert doors.web_session(ADMIN, PASSWORD, known).value["uid"] == world.admin_uid
    # it is no licence: its own failures are counted, it opens no other login, and a forged one is none
    body, _dot, proof = cookies["api_guard_device"].rpartition(".")
    forged = {**at(), "Cookie": f"{body}.{'0' * len(proof)}"}
    assert wait_of(doors.web_session(ADMIN, PASSWORD, forged)) is not None
    for _number in range(FAILURES):
        doors.web_session(USER, "wrong", known)
    assert wait_of(doors.web_session(USER, USER_PASSWORD, known)) is not None
    for _number in range(FAILURES):
        assert wait_of(doors.web_session(ADMIN, "wrong", known)) is None
    assert wait_of(doors.web_session(ADMIN, PASSWORD, known)) is not None


def test_a_program_s_key_works_while_its_owner_s_login_is_attacked(world, one, at):
    key, doors = world.key(), Doors(world, one)
    for _number in range(FAILURES + 1):
        doors.xmlrpc_object(USER, "wrong", at())
    assert wait_of(doors.xmlrpc_object(USER, USER_PASSWORD, at())) is not None
    answer = xmlrpc_2(_caller(world, one, key.secret).with_headers(at()), "res.partner", "search_count", domain=[])
    assert answer.refusal is None


def test_a_browser_is_made_known_to_its_own_user_alone_and_until_the_password_changes(world, one, at):
    groups = world.rows("SELECT gid FROM res_groups_users_rel WHERE uid = %s", world.uid)
    values = {"name": "Two", "login": str(world.admin_uid), "password": "Two's own 22",
              "group_ids": [(6, 0, [row["gid"] for row in groups])]}
    [two] = world.web.call("res.users", "create", [values])
    doors = Doors(world, one)
    for login in (world.admin_uid, [world.admin_uid], True, None):  # not the text that the user bears as login
        answer = doors.web_session(login, "Two's own 22", at())
        assert "api_guard_device" not in str(answer.headers)
        assert answer.refusal
    answer = doors.web_session(str(world.admin_uid), "Two's own 22", at())
    cookie = next(c for c in answer.headers.get_all("Set-Cookie") if c.startswith("api_guard_device="))
    assert cookie.startswith(f"api_guard_device={two}.")
    known = {**at(), "Cookie": cookie.partition(";")[0]}
    for _number in range(FAILURES):
        doors.web_session(str(world.admin_uid), "wrong", at())
    assert doors.web_session(str(world.admin_uid), "Two's own 22", known).value["uid"] == two
    world.web.call("res.users", "write", [two], {"password": "Two's new 33"})
    assert wait_of(doors.web_session(str(world.admin_uid), "Two's new 33", known)) is not None
    world.web.call("res.users", "write", [two], {"active": False})


# ---------------------------------------------------------------------- unlocking


def test_an_administrator_unlocks_and_both_are_entries(store, world, one, at, network):
    doors = Doors(world, one)
    answers = [doors.xmlrpc_authenticate(ADMIN, "wrong", at()) for _number in range(FAILURES + 1)]
    here = [("network", "=", f"{network}.0/24")]
    [row] = world.web.call("api.lockout", "search_read", here, ["is_locked", "user_id"])
    assert (row["is_locked"], row["user_id"][0]) == (True, world.admin_uid)
    world.web.call("api.lockout", "action_unlock", [row["id"]])
    assert doors.xmlrpc_authenticate(ADMIN, PASSWORD, at()).value == world.admin_uid
    [seen] = world.web.call("api.lockout", "read", [row["id"]], ["is_locked", "unlocked_by", "unlocked_at"])
    assert (seen["is_locked"], seen["unlocked_by"][0], bool(seen["unlocked_at"])) == (False, world.admin_uid, True)
    locks = world.rows("SELECT * FROM api_audit_entry WHERE model = 'api.lockout' AND arguments LIKE %s ORDER BY id",
                       f"%{network}.0/24%")
    assert [(entry["method"], entry["login"]) for entry in locks] == [("lock", ADMIN), ("unlock", ADMIN)]
    assert locks[0]["request_id"] in {answer.request_id for answer in answers}


def test_programs_unlock_nobody(world, one, at):
    key = world.key(uid=world.admin_uid)
    ids = [row["id"] for row in world.rows("SELECT id FROM api_lockout LIMIT 1")]
    ways = {"action_unlock": {}, "write": {"vals": {"unlocked_at": "2026-01-01"}}, "unlink": {}}
    for method, arguments in ways.items():
        answer = json2(_caller(world, one, key.secret, world.admin_uid), "api.lockout", method, ids=ids, **arguments)
        assert answer.status == 403, (method, answer.body)


def test_one_who_is_no_manager_unlocks_nobody(world, one):
    person = WebClient(one.url, world.name, USER, USER_PASSWORD)
    assert person.ask("api.lockout", "search_count", []).refusal
    assert person.ask("api.lockout", "action_unlock", world.rows("SELECT id FROM api_lockout LIMIT 1")[0]["id"]).refusal


# ---------------------------------------------------------------------- other secrets


@pytest.fixture
def two_factor(world):
    """The plain user with an authenticator app."""
    secret = pyotp.random_base32()
    world.rows("UPDATE res_users SET totp_secret = %s WHERE id = %s", secret, world.uid)
    world.web.call("ir.config_parameter", "set_param", "api_guard.test", "1")  # clears what workers remember
    yield pyotp.TOTP(secret)
    world.rows("UPDATE res_users SET totp_secret = NULL WHERE id = %s", world.uid)


def test_codes_at_the_web_login_are_locked_whatever_the_password_says(two_factor, world, one, at):
    doors, codes = Doors(world, one), iter(range(100000, 100100))

    def log_in():
        session = doors.web_session(USER, USER_PASSWORD, at())
        assert session.value["uid"] is None
        return next(c for c in session.headers.get_all("Set-Cookie") if c.startswith("session_id=")).partition(";")[0]

    def guess(cookie, code):
        page = send(one.url, "/web/login/totp", headers={**at(), "Cookie": cookie})
        token = re.search(rb'name="csrf_token" value="([^"]+)"', page.body)[1].decode()
        return send(one.url, "/web/login/totp", f"csrf_token={token}&totp_token={code}".encode(),
                    {**at(), "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"})

    answers = []
    for _number in range(FAILURES + 1):
        answers.append(guess(log_in(), next(codes)))  # a right password each time, which clears nothing of the codes
    assert [wait_of(answer) is None for answer in answers] == [True] * FAILURES + [False]
    assert wait_of(guess(log_in(), two_factor.now())) is not None
    assert world.rows("SELECT 1 FROM api_lockout WHERE kind = 'totp' AND name = %s", str(world.uid))


def test_a_password_that_an_open_session_asks_for_is_guessed_no_faster(world, one, at):
    person = WebClient(one.url, world.name, USER, USER_PASSWORD)

    def change(old):
        params = {"model": "res.users", "method": "change_password", "args": [old, "new password 99"], "kwargs": {}}
        return post_jsonrpc(one.url, "/web/dataset/call_kw", params, {"Cookie": person.cookie, **at()})

    answers = [change("wrong") for _number in range(FAILURES + 1)]
    assert wait_of(answers[-1]) is not None and wait_of(answers[-2]) is None
    assert wait_of(change(USER_PASSWORD)) is not None


def test_the_addon_upload_takes_no_more_guesses(world):
    name = f"{worlds.PREFIX}_upload"
    database = worlds.make_world("upload")
    try:
        odoo("-d", database.name, "-i", "base_import_module", "--no-http", "--stop-after-init", "--max-cron-threads=0",
             log=database.name)
        database.rows("UPDATE ir_config_parameter SET value = '5' WHERE key = 'api_guard.lockout_failures'")
        with Server(name, workers=0) as server:
            upload = Doors(database, server).addon_upload
            answers = [upload(ADMIN, "wrong", {"X-Forwarded-For": "198.19.1.1"}) for _number in range(FAILURES + 1)]
            assert [wait_of(answer) is None for answer in answers] == [True] * FAILURES + [False]
    finally:
        database.drop()


MASTER = "the master's own 1"


@pytest.fixture(scope="module")
def managed(_guarded, plain):
    config = RUN / f"{worlds.PREFIX}_managed.conf"
    setup.write_config(config, admin_passwd=MASTER, api_guard_db_service="open")
    server = Server(
        dbfilter=f"^{worlds.PREFIX}_", load=("base", "rpc", "web", "api_guard"), workers=2, gevent=False,
        environment={"ODOO_RC": str(config)}, extra=[f"--config={config}"],
    )
    with server:
        yield server


def test_the_master_password_is_locked_over_rpc_and_in_the_manager(managed, world, at, network):
    home = world.rows("SELECT 1")
    assert home

    def rpc(secret, headers):
        return xmlrpc_service(managed.url, "db", "list_countries", secret, headers=headers)

    def page(secret, headers):
        form = f"master_pwd={secret.replace(' ', '+')}&name=none&backup_format=zip".encode()
        return send(managed.url, "/web/database/backup", form,
                    {"Content-Type": "application/x-www-form-urlencoded", **headers})

    answers = [rpc("wrong", at()) for _number in range(3)] + [page("wrong", at()) for _number in range(3)]
    assert [wait_of(answer) is None for answer in answers] == [True] * FAILURES + [False], answers[-1].body[-3000:]
    assert wait_of(rpc(MASTER, at())) is not None
    assert ["be", "Belgium"] in rpc(MASTER, {"X-Forwarded-For": f"203.0.113.{next(_networks) % 250}"}).value
    assert send(managed.url, "/web/database/manager").status == 200
    locks = world.rows("SELECT * FROM api_lockout WHERE kind = 'master'")
    assert [lock["network"] for lock in locks] == [f"{network}.0/24"]


# ---------------------------------------------------------------------- while the store is down


def test_without_the_store_each_process_counts_and_people_get_in(world, one, at, redis_server):
    former = world.setting("store_url", redis_server.url)
    doors = Doors(world, one)
    try:
        redis_server.kill()
        assert doors.xmlrpc_authenticate(USER, USER_PASSWORD, at()).value == world.uid
        answers = [doors.xmlrpc_authenticate(ADMIN, "wrong", at()) for _number in range(3 * FAILURES)]
        assert FAILURES <= sum(wait_of(answer) is None for answer in answers) <= 2 * FAILURES
    finally:
        world.setting("store_url", former or "")
        time.sleep(1.1)


def test_a_locked_table_of_the_store_holds_no_login_up(world, one, at):
    doors, blocker = Doors(world, one), world.connection()
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE api_guard_lockout IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert doors.xmlrpc_authenticate(USER, USER_PASSWORD, at()).value == world.uid
        assert time.monotonic() - began < 3  # 200 ms, and the hash
    blocker.close()
    time.sleep(1.1)


# ---------------------------------------------------------------------- a flood


def test_who_is_locked_out_waits_and_no_worker_waits_with_him(world, at):
    """As many connections as one worker's backlog takes guess on and on; a program's calls go through between them."""
    key = world.key()
    config = RUN / f"{worlds.PREFIX}_flood.conf"
    setup.write_config(config, api_guard_detain_seconds=1)
    options = {"environment": {"ODOO_RC": str(config)}, "extra": [f"--config={config}"]}
    with Server(world.name, workers=1, gevent=False, **options) as server:
        doors, caller = Doors(world, server), _caller(world, server, key.secret)
        for _number in range(FAILURES):
            doors.xmlrpc_authenticate(ADMIN, "wrong", at())
        end, times, calls = time.monotonic() + 5, [], []

        def guess(_number):
            while (began := time.monotonic()) < end:
                answer = doors.xmlrpc_authenticate(ADMIN, "wrong", at())
                assert wait_of(answer) and answer.headers["Retry-After"]
                times.append(time.monotonic() - began)

        with ThreadPoolExecutor(8) as pool:
            guesses = [pool.submit(guess, number) for number in range(8)]
            time.sleep(1.5)
            for _number in range(20):
                began = time.monotonic()
                assert json2(caller, "res.partner", "search_count", domain=[]).refusal is None
                calls.append(time.monotonic() - began)
            for future in guesses:
                future.result()
        page = send(server.url, "/web/login", method="HEAD", headers=at())
    assert page.status == 200
    assert min(times) >= 1
    assert 8 <= len(times) <= 8 * 6
    assert statistics.median(calls) < 0.2, calls


# ---------------------------------------------------------------------- fail2ban


def test_fail2ban_finds_every_failure_and_nothing_else(world, one, at, network, tmp_path):
    since, doors = len(one.log()), Doors(world, one)
    for name in PASSWORD_DOORS:
        getattr(doors, name)("someone <HOST> from 6.6.6.6 (reason=x", "wrong from 6.6.6.6", at())
    json2(_caller(world, one, "f" * 40).with_headers(at()), "res.partner", "search_count", domain=[])
    doors.xmlrpc_authenticate(USER, USER_PASSWORD, at())
    log = tmp_path / "odoo.log"
    log.write_text(one.log()[since:])
    hosts = fail2ban.hosts(log, ROOT / "docs" / "fail2ban" / "api-guard.conf")
    assert hosts == [f"{network}.7"] * (len(PASSWORD_DOORS) + 1)


# ---------------------------------------------------------------------- the command


def test_a_command_shows_and_unlocks_where_no_screen_can_be_reached(store, world, one, at, network):
    doors = Doors(world, one)
    for login in (ADMIN, USER):
        for _number in range(FAILURES if login == ADMIN else 2):
            doors.xmlrpc_authenticate(login, "wrong", at())
    assert wait_of(doors.xmlrpc_authenticate(ADMIN, PASSWORD, at())) is not None
    shown = _command("lockouts", world)
    assert re.search(rf"pair +{network}\.0/24 +admin +{FAILURES} wrong", shown.stdout)
    for wrong in ([], ["--login", "nobody"], ["--network", "10.0.0.0/8"]):
        _command("unlock", world, *wrong)
        assert wait_of(doors.xmlrpc_authenticate(ADMIN, PASSWORD, at())) is not None
    done = _command("unlock", world, "--login", "Admin", "--network", f"{network}.0/24")
    assert "1 locked.\nUnlocked." in done.stdout
    assert doors.xmlrpc_authenticate(ADMIN, PASSWORD, at()).value == world.admin_uid
    assert _command("unlock", world, "--all", database="postgres").returncode


def _command(action, world, *options, database=None):
    command = setup.odoo_command("api_guard", action, "-d", database or world.name, *options)
    environment = setup.odoo_environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)  # noqa: S603
