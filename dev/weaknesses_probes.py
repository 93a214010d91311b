"""Is a weakness of Odoo's there on this server? One function for each, the same for both servers.

A probe does to a running server what an attacker would do, and tells what it saw and a verdict
that it computes from that. It first sees the attacked thing work (the key opens, the right
password is right), because a refusal proves nothing where nobody gets in anyway.

Where API Guard needs a setting before it can help, the probe makes it by `Side.policy` or
`Side.setting`, as an administrator would in the web client. On the stock server these do nothing.
"""

import contextlib
import functools
import json
import re
import statistics
import time
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from .databases import psql
from .weaknesses_client import SEC_FETCH, Caller, Failure, Person

ADMIN, ADMIN_LOGIN, ADMIN_SECRET = 2, "admin", "admin"  # as every fresh database of Odoo has them
WRONG = "not the password"
CALLS = 12
ALLOWED = 10  # wrong passwords, by the defaults of Odoo (for the web login) and of the guard
TELLING = 1.3  # a quotient of times that somebody could use
EVIL = "http://evil.example"

OPEN, CLOSED, OK = "open", "closed", "ok"


class ProbeError(Exception):
    """The probe could not see what it is about, so it tells nothing."""


@dataclass
class Finding:
    """What a probe saw, in words and in numbers, and whether that is a weakness."""

    is_open: bool
    evidence: str
    measured: dict = field(default_factory=dict)


@dataclass
class Side:
    """One of the two servers under test, its database, and one that its filter hides."""

    name: str
    server: object
    database: str
    hidden: str
    config: object
    guarded: bool

    @functools.cached_property
    def admin(self):
        person = Person(self.server.url, self.database)
        person.log_in(ADMIN_LOGIN, ADMIN_SECRET)
        return person

    @functools.cached_property
    def admin_key(self):
        return self.admin.make_key("the administrator's")

    def caller(self, database=None, **headers):
        return Caller(self.server.url, database or self.database, headers)

    def person(self, login, password):
        person = Person(self.server.url, self.database)
        person.log_in(login, password)
        return person

    def user(self, login):
        """Make an internal user without further rights, whose password is the login; (uid, web client)."""
        values = {"name": login, "login": login, "password": login}
        return self.admin.call("res.users", "create", values), self.person(login, login)

    def policy(self, name, **values):
        """Make a policy and return what `Person.make_key` takes to choose it; nothing on a stock server."""
        if not self.guarded:
            return {}
        return {"policy_id": self.admin.call("api.policy", "create", {"name": name, **values})}

    def doors(self, *codes):
        found = self.admin.call("api.door", "search", [["code", "in", codes]]) if self.guarded else []
        return [[6, 0, found]]

    @contextlib.contextmanager
    def setting(self, name, value):
        """Set a parameter of API Guard for a while, in the web client."""
        self.admin.call("ir.config_parameter", "set_param", f"api_guard.{name}", value)
        try:
            yield
        finally:
            self.admin.call("ir.config_parameter", "set_param", f"api_guard.{name}", False)

    def parameter(self, name):
        return psql(self.database, f"SELECT value FROM ir_config_parameter WHERE key = '{name}'").strip()  # noqa: S608

    def entries(self, condition):
        """Count the audit entries; None where nobody keeps any."""
        if not self.guarded:
            return None
        return int(psql(self.database, f"SELECT count(*) FROM api_audit_entry WHERE {condition}"))  # noqa: S608

    def log_size(self):
        return len(self.server.log())

    def workers_since(self, size):
        """How many workers have answered since the log had this size?"""
        pids = re.findall(r"^\S+ \S+ (\d+) INFO \S+ werkzeug:", self.server.log()[size:], re.MULTILINE)
        return len(set(pids))


def expect(condition, what):
    if not condition:
        raise ProbeError(f"expected that {what}")


def accepts(function, *args, **kwargs):
    """Does the call succeed? A refusal, of whatever kind, is a no; False is Odoo's no to a login."""
    try:
        return function(*args, **kwargs) is not False
    except Failure:
        return False


def count(function, times=CALLS, threads=8):
    """How many of so many calls at once, which all workers answer, are accepted?"""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda _number: accepts(function), range(times)))


def warm(side, function):
    """Call until every worker has accepted it, so that all that Odoo caches is cached."""
    size, deadline = side.log_size(), time.monotonic() + 20
    while True:
        expect(count(function) == CALLS, "the credential opens before the attack")
        time.sleep(0.1)  # the log is written after the answer
        if side.workers_since(size) >= side.server.workers:
            return
        expect(time.monotonic() < deadline, "every worker answers")


def yes(value):
    return "accepted" if value else "refused"


# ---------------------------------------------------------------------- secrets that are wrong


def guessing(side):
    caller, started = side.caller(), time.perf_counter()
    paused = 0
    for number in range(7):
        expect(not caller.authenticate(ADMIN_LOGIN, f"{WRONG} {number}"), "a wrong password is wrong")
        try:
            caller.execute(ADMIN, f"{WRONG} {number}", "res.partner", "search_count", [])
        except Failure as failure:
            paused += "Too many" in failure.text
    each = (time.perf_counter() - started) * 1000 / 14
    right = bool(caller.authenticate(ADMIN_LOGIN, ADMIN_SECRET))
    expect(side.caller().authenticate(ADMIN_LOGIN, ADMIN_SECRET), "the right password is right from elsewhere")
    return Finding(
        right,
        f"14 wrong passwords over XML-RPC ({each:.0f} ms each), {paused} of them told to wait; "
        f"the right one after them: {yes(right)}, from another address: accepted",
        {"wrong": 14, "told_to_wait": paused, "ms_each": round(each), "right_accepted": right},
    )


def cooldown(side):
    size, tries = side.log_size(), 4
    program, person = side.caller(), Person(side.server.url, side.database)

    def guess():
        return program.execute(ADMIN, WRONG, "res.partner", "search_count", [])

    def right():
        arguments = (side.database, ADMIN, ADMIN_SECRET, "res.partner", "search_count", [[]])
        return program.jsonrpc("object", "execute_kw", *arguments)

    def log_in(secret):
        return lambda: person.log_in(ADMIN_LOGIN, secret)

    # Two at a time and one more than is allowed: in each worker alone they are not too many.
    expect(count(guess, ALLOWED + 1, threads=2) == 0, "a wrong password is wrong")
    expect(count(log_in(WRONG), ALLOWED + 1, threads=2) == 0, "a wrong password is wrong at the login page")
    seen = {
        "/jsonrpc": count(right, tries, threads=4),
        "web login": count(log_in(ADMIN_SECRET), tries, threads=4),
        "API after web login": count(lambda: replace(program, address=person.address).authenticate(
            ADMIN_LOGIN, ADMIN_SECRET), tries, threads=4),
    }
    return Finding(
        any(seen.values()),
        f"{ALLOWED + 1} wrong passwords, met by {side.workers_since(size)} workers; then the right one, accepted: "
        f"{seen['/jsonrpc']} of {tries} by /jsonrpc after guesses over XML-RPC, {seen['web login']} of {tries} by the "
        f"web login and {seen['API after web login']} of {tries} by the API after guesses at the web login",
        {"wrong": ALLOWED + 1, "accepted": seen, "of": tries},
    )


def enumeration(side):
    nobody, elsewhere = "nobody@nowhere.example", "db_that_is_not_there"
    expect(side.admin_key and side.admin, "there is a key, whose first characters can be guessed")
    archived = side.admin.call("res.users", "create", {
        "name": "archived", "login": "archived@example.com", "active": False, "password": "archived"})
    prefix = side.admin_key[:8]

    def login(name, database=None):
        return lambda: side.caller(database).authenticate(name, WRONG)

    def uid(number, database=None):
        return lambda: side.caller(database).execute(number, WRONG, "res.partner", "search_count", [])

    def key(text):
        return lambda: side.caller().json2(text, "res.partner", "search_count", domain=[])

    pairs = {
        "login": (login(ADMIN_LOGIN), login(nobody), 3),
        "archived login": (login("archived@example.com"), login(nobody), 2),
        "uid": (uid(ADMIN), uid(99999), 3),
        "archived uid": (uid(archived), uid(99999), 2),
        "key prefix": (key(prefix + "0" * 32), key("f" * 40), 25),
        "hidden database (login)": (login(ADMIN_LOGIN, side.hidden), login(ADMIN_LOGIN, elsewhere), 2),
        "hidden database (uid)": (uid(ADMIN, side.hidden), uid(ADMIN, elsewhere), 2),
    }
    told = {name: _compare(*pair) for name, pair in pairs.items()}
    leaks = [name for name, (_there, _not, differs, _slower) in told.items() if differs]
    leaks += [name for name, (_there, _not, differs, slower) in told.items() if slower and not differs]
    words = [
        f"{name} {there:.0f}/{absent:.0f} ms{', other answer' if differs else ''}"
        for name, (there, absent, differs, _slower) in told.items()
    ]
    return Finding(
        bool(leaks),
        f"existing/not existing: {'; '.join(words)}. Told apart: {', '.join(leaks) or 'nothing'}",
        {name: {"exists_ms": round(there, 1), "absent_ms": round(absent, 1), "other_answer": differs,
                "other_time": slower} for name, (there, absent, differs, slower) in told.items()},
    )


def _compare(there, absent, samples):
    """Can two questions be told apart by their answers, or by the time these take?"""
    times, answers = ([], []), (set(), set())
    for _round in range(5):  # noise goes away with more samples, a difference stays
        for _sample in range(samples):
            for question, taken, told in zip((there, absent), times, answers, strict=True):
                began = time.perf_counter()
                told.add(_words(question))
                taken.append((time.perf_counter() - began) * 1000)
        medians = [statistics.median(taken) for taken in times]
        ratio = max(medians) / min(medians)
        if ratio < TELLING or ratio > 3 * TELLING:
            break
    return (*medians, answers[0] != answers[1], ratio >= TELLING)


def _words(question):
    try:
        return repr(question())
    except Failure as failure:
        return re.sub(r"[0-9a-f]{20}", "ID", f"{failure.code} {failure.text}")


def oracle(side):
    _uid, person = side.user("curious")
    key, found = person.make_key("curious"), {}
    uid = side.caller().authenticate("curious", key)
    expect(uid, "the plain user's key opens")
    for secret in (WRONG, ADMIN_SECRET):
        credential = {"type": "password", "login": ADMIN_LOGIN, "password": secret}
        agent = {"interactive": False}
        found[secret] = {
            "xmlrpc": accepts(side.caller().execute, uid, key, "res.users", "authenticate", [], credential, agent),
            "json2": accepts(side.caller().json2, key, "res.users", "authenticate",
                             credential=credential, user_agent_env=agent),
        }
    tells = {door: found[ADMIN_SECRET][door] and not found[WRONG][door] for door in ("xmlrpc", "json2")}
    return Finding(
        any(tells.values()),
        "a plain user's key asks res.users.authenticate for the administrator's password: "
        + ", ".join(f"{door} {'tells right from wrong' if told else 'tells nothing'}" for door, told in tells.items()),
        tells,
    )


# ---------------------------------------------------------------------- keys that should not open


def expired_key(side):
    admin = side.admin  # has logged in before the key's life begins
    for life in (6, 15, 40):  # seconds; a busy machine needs more of them to see the key work
        expires = datetime.now(timezone.utc) + timedelta(seconds=life)
        key = admin.make_key(f"expires in {life} s", duration="-1", expiration_date=f"{expires:%Y-%m-%d %H:%M:%S}")
        try:
            warm(side, _search(side, key))
            break
        except ProbeError:
            if life == 40:
                raise
    time.sleep(max(0, expires.timestamp() + 2 - time.time()))
    return _key_finding(side, key, "2 s after it expired")


def revoked_key(side):
    key = side.admin.make_key("to be revoked")
    warm(side, _search(side, key))
    side.admin.revoke_key("to be revoked")
    left = psql(side.database, "SELECT count(*) FROM res_users_apikeys WHERE name = 'to be revoked'").strip()
    expect(left == "0", "the key is gone from the table")
    return _key_finding(side, key, "right after its owner revoked it")


def _search(side, key, uid=ADMIN):
    return lambda: side.caller().execute(uid, key, "res.partner", "search_count", [])


def _key_finding(side, key, when):
    size = side.log_size()
    xmlrpc = count(_search(side, key))
    time.sleep(0.1)
    workers = side.workers_since(size)
    json2 = count(lambda: side.caller().json2(key, "res.partner", "search_count", domain=[]), times=6)
    return Finding(
        bool(xmlrpc or json2),
        f"{when}: XML-RPC accepted it {xmlrpc} times of {CALLS} ({workers} workers), JSON-2 {json2} of 6",
        {"xmlrpc_accepted": xmlrpc, "of": CALLS, "workers": workers, "json2_accepted": json2},
    )


def deactivated_user(side):
    uid, person = side.user("leaver")
    key = person.make_key("leaver")
    warm(side, _search(side, key, uid))
    side.admin.call("res.users", "write", [uid], {"active": False})
    xmlrpc = count(_search(side, key, uid), times=6)
    json2 = side.caller().json2_answer(key, "res.partner", "search_count", domain=[]).status
    return Finding(
        bool(xmlrpc or json2 == 200),
        f"key of an archived user: XML-RPC accepted it {xmlrpc} times of 6, JSON-2 answered {json2}",
        {"xmlrpc_accepted": xmlrpc, "json2_status": json2},
    )


def minted_key(side):
    """Does a key that was made with a key get more than that one has, or outlive it?"""
    bound = side.policy("JSON-2 only", door_ids=side.doors("json2"))
    key = side.admin.make_key("parent", **bound)
    caller = side.caller()
    minted = _mint(caller, key)
    if not minted:
        return Finding(False, "a key cannot make another key", {"minted": False})

    def xmlrpc(secret):
        return bool(caller.authenticate(ADMIN_LOGIN, secret))

    wider = xmlrpc(minted) and not xmlrpc(key)
    expect(accepts(caller.json2, minted, "res.partner", "search_count", domain=[]), "the minted key opens")
    side.admin.revoke_key("parent")
    expect(not accepts(caller.json2, key, "res.partner", "search_count", domain=[]), "the parent is revoked")
    outlives = accepts(caller.json2, minted, "res.partner", "search_count", domain=[])
    parent = "a key bound to JSON-2" if bound else "a key"
    return Finding(
        wider or outlives,
        f"{parent} made another one over JSON-2; over XML-RPC that one is {yes(xmlrpc(minted))}"
        f"{' like its parent' if not wider and bound else ''}; after its parent was revoked: {yes(outlives)}",
        {"minted": True, "wider": wider, "outlives_parent": outlives},
    )


def _mint(caller, key):
    """Return the key that the program got by its key and the user's password, None when refused."""
    try:
        made = caller.json2(key, "res.users.apikeys.description", "create", vals_list=[{"name": "m", "duration": "1"}])
        action = caller.json2(key, "res.users.apikeys.description", "make_key", ids=made)
        if action.get("res_model") == "res.users.identitycheck":
            action = caller.json2(key, "res.users.identitycheck", "run_check", ids=[action["res_id"]],
                                  context={"password": ADMIN_SECRET})
    except Failure:
        return None
    return action.get("context", {}).get("default_key")


# ---------------------------------------------------------------------- what answers tell

_TELLTALE = {
    "traceback": re.compile(r"Traceback \(most recent|File \\?\""),
    "path": re.compile(r"/[\w.-]+/[\w./-]+\.py|\.s\.PGSQL\.\d+"),
    "table": re.compile(r"\b(relation|table|constraint) \\?[\"&]|\bres_partner_\w+"),
}


def tracebacks(side):
    answers = {name: ask(side) for name, ask in _MISTAKES.items()}
    found = {}
    for name, answer in answers.items():
        expect(answer.status < 502, f"{name} is answered")
        kinds = [kind for kind, pattern in _TELLTALE.items() if pattern.search(answer.text)]
        if kinds:
            found[name] = {"bytes": len(answer.text), "tells": kinds}
    ids = sum("X-Request-Id" in answer.headers for answer in answers.values())
    strangers = sum(not name.endswith("with a key") for name in found)
    kinds = sorted({kind for leak in found.values() for kind in leak["tells"]})
    insides = " and ".join(kinds) or "a traceback, path or table"
    told = f"{len(found)} of {len(answers)} answers to wrong calls hold {insides}"
    if found:
        told += f": up to {max(leak['bytes'] for leak in found.values())} bytes, {strangers} of them for strangers"
    return Finding(
        bool(found),
        f"{told}; {ids} of {len(answers)} bear a request id",
        {"leaks": found, "asked": len(answers), "request_ids": ids},
    )


def _rpc(path, service, method, *params):
    def ask(side):
        words = [side.admin_key if param is KEY else side.database if param is DB else param for param in params]
        if path == "/jsonrpc":
            body = {"jsonrpc": "2.0", "method": "call",
                    "params": {"service": service, "method": method, "args": words}}
            return side.caller().send(path, json.dumps(body), {"Content-Type": "application/json"})
        body = xmlrpc.client.dumps(tuple(words), method, allow_none=True)
        return side.caller().send(f"{path}/{service}", body, {"Content-Type": "text/xml"})

    return ask


KEY, DB = object(), object()
_BAD_DOMAIN = [[["no_such_field", "=", 1]]]
_BAD_KEY = [{"name": "x", "country_id": 999999999}]
_MISTAKES = {
    "XML-RPC with a key": _rpc("/xmlrpc/2", "object", "execute_kw", DB, ADMIN, KEY, "res.partner", "search",
                               _BAD_DOMAIN),
    "XML-RPC write with a key": _rpc("/xmlrpc/2", "object", "execute_kw", DB, ADMIN, KEY, "res.partner", "create",
                                 _BAD_KEY),
    "XML-RPC v1 with a key": _rpc("/xmlrpc", "object", "execute_kw", DB, ADMIN, KEY, "res.partner", "search",
                                  _BAD_DOMAIN),
    "/jsonrpc with a key": _rpc("/jsonrpc", "object", "execute_kw", DB, ADMIN, KEY, "res.partner", "search",
                                _BAD_DOMAIN),
    "JSON-2 with a key": lambda side: side.caller().json2_answer(
        side.admin_key, "res.partner", "search", domain=_BAD_DOMAIN[0]),
    "XML-RPC, no such service": _rpc("/xmlrpc/2", "nonsense", "x"),
    "XML-RPC, no such database": _rpc("/xmlrpc/2", "object", "execute_kw", "no_such_db", 2, "x", "res.partner",
                                      "search", [[]]),
    "XML-RPC, malformed": lambda side: side.caller().send(
        "/xmlrpc/2/common", "<nonsense", {"Content-Type": "text/xml"}),
    "/jsonrpc, no such service": _rpc("/jsonrpc", "nonsense", "x"),
    "/jsonrpc, wrong arguments": _rpc("/jsonrpc", "common", "authenticate", "x"),
    "/jsonrpc, malformed": lambda side: side.caller().send("/jsonrpc", "{", {"Content-Type": "application/json"}),
    "JSON-2, wrong key": lambda side: side.caller().json2_answer("x" * 40, "res.partner", "search", domain=[]),
    "JSON-2, malformed": lambda side: side.caller().send(
        "/json/2/res.partner/search", "{", {"Content-Type": "application/json", "Authorization": "Bearer x",
                                            "X-Odoo-Database": side.database}),
}


# ---------------------------------------------------------------------- databases


def hidden_database(side):
    caller, size = side.caller(side.hidden), side.log_size()
    with contextlib.suppress(Failure):  # a stranger, and a password that is wrong
        caller.execute(ADMIN, WRONG, "res.partner", "search_count", [])
    loads = bool(re.search(rf" {side.hidden} .*Registry loaded", side.server.log()[size:]))
    try:
        listed = caller.xmlrpc("db", "list")
    except Failure:
        listed = []
    seen = {
        "db.list": side.hidden in listed,
        "db_exist('postgres')": _is_true(caller.xmlrpc, "db", "db_exist", "postgres"),
        "execute_kw": accepts(caller.execute, ADMIN, ADMIN_SECRET, "res.partner", "search_count", []),
        "authenticate": bool(_is_true(caller.authenticate, ADMIN_LOGIN, ADMIN_SECRET)),
        "JSON-2": accepts(caller.json2, "x" * 40, "res.partner", "search_count", domain=[]),
        "loaded for a wrong password": loads,
    }
    reached = [name for name, value in seen.items() if value]
    return Finding(
        bool(reached),
        f"a database outside of --db-filter is reached by: {', '.join(reached) or 'nothing'}"
        f"; not by: {', '.join(name for name in seen if name not in reached) or 'nothing'}",
        {**seen, "listed": len(listed)},
    )


def _is_true(function, *args):
    try:
        return function(*args)
    except Failure:
        return False


def master_password(side):
    caller = side.caller()
    works = _is_true(caller.xmlrpc, "db", "migrate_databases", "admin", []) is True
    answer = caller.send("/web/database/change_password", "master_pwd=admin&master_pwd_new=mine",
                         {"Content-Type": "application/x-www-form-urlencoded"})
    written = "admin_passwd" in side.config.read_text()
    return Finding(
        works or written,
        f"master password left at its default: db.migrate_databases('admin', []) is {yes(works)}; "
        f"a stranger sets a new one on /web/database: {'it is in odoo.conf' if written else 'refused'}",
        {"rpc_accepted": works, "taken_over": written, "status": answer.status},
    )


# ---------------------------------------------------------------------- what clients claim


def agent_environment(side):
    before = side.parameter("web.base.url")
    uid = side.caller().authenticate(ADMIN_LOGIN, side.admin_key, {"base_location": EVIL, "REMOTE_ADDR": "10.0.0.1"})
    after = side.parameter("web.base.url")
    expect(uid == ADMIN, "the administrator's key logs in")
    psql(side.database, f"UPDATE ir_config_parameter SET value = '{before}' WHERE key = 'web.base.url'")  # noqa: S608
    return Finding(
        after == EVIL,
        f"common.authenticate with base_location {EVIL}: web.base.url is then "
        f"{after if after == EVIL else 'unchanged'}",
        {"web.base.url": after},
    )


def forwarded_for(side):
    def forged(number):
        return {"X-Forwarded-For": f"198.51.100.{number}", "X-Forwarded-Host": "odoo.example"}

    caller = side.caller()
    for number in range(ALLOWED + 1):
        caller.headers = forged(number)
        expect(not caller.authenticate(ADMIN_LOGIN, WRONG), "a wrong password is wrong")
    caller.headers = forged(99)
    right = bool(caller.authenticate(ADMIN_LOGIN, ADMIN_SECRET))
    network = [[0, 0, {"action": "allow", "network": "10.0.0.0/8"}]]
    key = side.admin.make_key("office only", **side.policy("Office only", network_ids=network))
    office = side.caller(**{"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Host": "odoo.example"})
    status = office.json2_answer(key, "res.partner", "search_count", domain=[]).status
    believed = side.entries("peer LIKE '198.51.100.%' OR peer = '10.1.2.3'")
    rule = f"a key allowed from 10.0.0.0/8 only, called with a forged 10.1.2.3: {status}" if side.guarded else (
        f"no rule on addresses to be had (a key called with a forged 10.1.2.3: {status})")
    record = f"{believed} entries name a forged address" if side.guarded else "no address is recorded"
    return Finding(
        right or status == 200,
        f"{ALLOWED + 1} wrong passwords, each with another X-Forwarded-For, then the right one: {yes(right)}; "
        f"{rule}; {record}",
        {"right_accepted": right, "forged_network_status": status, "entries_with_forged_peer": believed},
    )


def rpc_password(side):
    def doors():
        arguments = (side.database, ADMIN, ADMIN_SECRET, "res.partner", "search_count", [[]])
        caller = side.caller()
        return {
            "XML-RPC": accepts(caller.xmlrpc, "object", "execute_kw", *arguments),
            "XML-RPC v1": accepts(caller.xmlrpc, "object", "execute_kw", *arguments, path="/xmlrpc"),
            "/jsonrpc": accepts(caller.jsonrpc, "object", "execute_kw", *arguments),
            "common.authenticate": bool(caller.authenticate(ADMIN_LOGIN, ADMIN_SECRET)),
        }

    expect(all(doors().values()), "the password opens all doors at first")
    with side.setting("refuse_rpc_passwords", "True"):
        seen = doors()
        key = accepts(side.caller().execute, ADMIN, side.admin_key, "res.partner", "search_count", [])
        expect(key, "a key still opens")
    opened = [door for door, value in seen.items() if value]
    return Finding(
        bool(opened),
        f"“Refuse passwords over RPC”{' ticked' if side.guarded else ': no such setting'}; the password opens "
        f"{', '.join(opened) or 'nothing'}; a key opens as before",
        seen,
    )


# ---------------------------------------------------------------------- sessions


def password_to_session(side):
    with side.setting("refuse_rpc_passwords", "True"):
        person = side.person(ADMIN_LOGIN, ADMIN_SECRET)
        made = person.call("res.partner", "create", {"name": "made by a program with a password"})
    return Finding(
        bool(made),
        "a program with a password logs in at /web/session/authenticate and creates a contact by /web/dataset/call_kw: "
        + yes(made),
        {"created": bool(made)},
    )


def session_replay(side):
    thief = Person(side.server.url, side.database, dict(side.admin.headers, **{"User-Agent": "somebody else's"}))
    served = accepts(thief.call, "res.partner", "search_count", [])
    return Finding(
        served, f"a session's cookie from another address and another client: {yes(served)}", {"accepted": served}
    )


def json2_without_key(side):
    """Is a JSON-2 call with a session and forged browser headers under a policy, and in the log?"""
    uid, person = side.user("browserless")
    scope = [[0, 0, {"name": "Contacts, read", "line_ids": [
        [0, 0, {"model_pattern": "res.partner", "allow_read": True}]]}]]
    if policy := side.policy("Contacts, read only", scope_ids=scope).get("policy_id"):
        side.admin.call("res.users", "write", [uid], {"api_policy_id": policy})
    caller = side.caller(**{**SEC_FETCH, "Cookie": person.headers["Cookie"]})
    read = caller.json2_answer(None, "res.partner", "search_count", domain=[]).status
    expect(read == 200, "the session opens JSON-2")
    # what every internal user may do, and the policy does not list
    beyond = caller.json2_answer(None, "res.users", "search_read", domain=[], fields=["login"]).status
    entries = side.entries(f"door = 'json2' AND user_id = {uid} AND credential_kind = 'session'")
    bound = "its user bound to reading contacts" if policy else "nothing to bind it with"
    return Finding(
        beyond == 200,
        f"session cookie and forged Sec-Fetch headers, no key, {bound}: read contacts {read}, read users {beyond}; "
        f"entries: {entries if side.guarded else 'none'}",
        {"read": read, "beyond_policy": beyond, "entries": entries},
    )
