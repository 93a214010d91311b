"""Every door under every condition: what is answered, what the log says, and what happened to the data.

Each cell runs in both workers, with caches warm from good calls before the condition set in.
"""

import itertools
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from doors import (
    ACCESS_DENIED,
    SEC_FETCH,
    WebClient,
    get,
    json2,
    jsonrpc,
    jsonrpc_service,
    plugin,
    send,
    xmlrpc_2,
    xmlrpc_service,
    xmlrpc_v1,
    xmlrpc_v1_service,
)
from workers import in_every_worker, times
from world import USER, USER_PASSWORD

_numbers = itertools.count(1)

REJECTED = "The credential was not accepted."
FORBIDDEN = "The policy of this credential does not allow this call."
OUT_OF_SCOPE = "The scope of this credential does not cover this call."
LIST = "/json/1/contacts?view_type=list&fields=name&limit=5&offset=0&domain="


def new_marker():
    """A name that nothing else in the database bears."""
    return f"Marker {next(_numbers)}"


@dataclass(frozen=True)
class Door:
    """What the tests do at one door: `act` makes a partner called like the marker, or shows `shown`.

    `fail` is a call whose method raises; where the door writes, after it wrote the marker.
    """

    code: str
    act: Callable
    fail: Callable
    shown: bytes = None
    covering: dict = None

    def has_effect(self, world, answer, marker):
        return bool(world.partners(marker)) if self.shown is None else self.shown in answer.body


def _creating(execute):
    return lambda caller, marker: execute(caller, "res.partner", "create", vals_list=[{"name": marker}])


def _recursing(execute):
    def fail(caller, marker):
        values = {"name": marker, "parent_id": 1}
        return execute(caller, "res.partner", "write", [1], vals=values)

    return fail


SHOWN_WITH_PARTNERS = ("res.partner", "res.partner.category", "mail.activity")
WRITE_PARTNERS = {"res.partner": "read create write"}
DOORS = [
    Door("xmlrpc", _creating(xmlrpc_2), _recursing(xmlrpc_2), covering=WRITE_PARTNERS),
    Door("xmlrpc_v1", _creating(xmlrpc_v1), _recursing(xmlrpc_v1), covering=WRITE_PARTNERS),
    Door("jsonrpc", _creating(jsonrpc), _recursing(jsonrpc), covering=WRITE_PARTNERS),
    Door("json2", _creating(json2), _recursing(json2), covering=WRITE_PARTNERS),
    Door(
        "json1",
        lambda caller, marker: get(caller, f"{LIST}[('name','=','Program')]"),
        lambda caller, marker: get(caller, f"{LIST}[('no_such_field','=',1)]"),
        # all that its screen shows
        shown=b'"Program"', covering={model: "read" for model in SHOWN_WITH_PARTNERS},
    ),
    Door(
        "docs",
        lambda caller, marker: get(caller, "/doc-bearer/res.partner.json"),
        lambda caller, marker: get(caller, "/doc-bearer/no.such.model.json"),
        shown=b'"fields"', covering={"res.partner": "read", "no.such.model": "read"},
    ),
    Door(
        "mail_plugin",
        lambda caller, marker: plugin(
            caller, "/mail_plugin/partner/create", email="a@example.com", name=marker, company=-1),
        lambda caller, marker: plugin(
            caller, "/mail_plugin/partner/create", email="a@example.com", name=marker, company=99999999),
        covering={"/mail_plugin/*": ""},
    ),
]
RPC_DOORS = DOORS[:3]
BEARER_DOORS = DOORS[3:]
every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.code)
every_rpc_door = pytest.mark.parametrize("door", RPC_DOORS, ids=lambda door: door.code)


def assert_refused(world, door, answer, marker, reason, status, sentence):
    """The answer is the one refusal of this cause, the log tells the cause, and nothing happened."""
    assert answer.sentence == sentence
    if door.code in ("json2", "json1", "docs"):
        assert answer.status == status
    elif door.code == "xmlrpc":
        assert answer.code == ACCESS_DENIED
    elif door.code == "xmlrpc_v1":
        assert answer.code == "AccessDenied"
    else:
        assert answer.code == "odoo.exceptions.AccessDenied"
    entry = world.entry(answer)
    told = {name: entry[name] for name in ("door", "outcome", "verdict", "reason", "committed")}
    assert told == {
        "door": door.code, "outcome": "refused", "verdict": "deny", "reason": reason, "committed": False,
    }
    if door.code in ("xmlrpc", "xmlrpc_v1", "jsonrpc", "json2"):
        assert (entry["model"], entry["method"]) == ("res.partner", "create")
    assert not door.has_effect(world, answer, marker)


# ---------------------------------------------------------------------- allowed


@every_door
def test_good_key_is_served_and_entered(door, world, one, call):
    key = world.key()

    def act():
        marker = new_marker()
        return marker, door.act(call(key), marker)

    for marker, answer in in_every_worker(one, act):
        assert answer.refusal is None
        assert door.has_effect(world, answer, marker)
        entry = world.entry(answer)
        told = {name: entry[name] for name in ("door", "outcome", "verdict", "reason", "user_id", "key_id")}
        assert told == {
            "door": door.code, "outcome": "allowed", "verdict": "allow", "reason": None,
            "user_id": key.uid, "key_id": key.id,
        }
        assert entry["peer"] == "127.0.0.1"
        assert entry["committed"] or door.shown is not None


@every_door
def test_key_within_all_sections_of_its_policy_is_served(door, world, one, call):
    key = world.key(
        networks=[("allow", "127.0.0.0/8"), ("deny", "127.0.0.2")], doors=[door.code], scope=door.covering,
        max_age_days=1, max_idle_days=1, refuse_passwords=True,
    )
    for answer in in_every_worker(one, lambda: door.act(call(key), new_marker())):
        entry = world.entry(answer)
        assert answer.refusal is None, entry["error_message"]
        assert entry["outcome"] == "allowed"


# ---------------------------------------------------------------------- refused

#: condition → (what brings it about, reason in the log, HTTP status, sentence)
CREDENTIAL_CONDITIONS = {
    "expired": (lambda world, key: world.expire(key), "credential.expired"),
    "revoked": (lambda world, key: world.revoke(key), "credential.revoked"),
    "suspended": (lambda world, key: world.suspend(key), "credential.suspended"),
}
POLICY_CONDITIONS = {
    "network": ({"networks": [("allow", "10.0.0.0/8")]}, "network.refused", FORBIDDEN),
    "denied network": ({"networks": [("deny", "127.0.0.1")]}, "network.refused", FORBIDDEN),
    "door": ({"doors": ["bearer"]}, "door.refused", FORBIDDEN),
    "scope": ({"scope": {"res.country": "read write create"}}, "scope.not_covered", OUT_OF_SCOPE),
}


@every_door
def test_unknown_key_is_refused(door, world, one, call):
    key = world.key()
    stranger = call(key).using(secret=f"{key.secret[:8]}{'0' * 32}")

    def act():
        marker = new_marker()
        return marker, door.act(stranger, marker)

    for marker, answer in in_every_worker(one, act):
        assert_refused(world, door, answer, marker, "credential.unknown", 401, REJECTED)


@every_door
@pytest.mark.parametrize("condition", CREDENTIAL_CONDITIONS)
def test_key_that_ceased_to_be_good_is_refused_on_its_next_call(door, condition, world, one, call):
    bring_about, reason = CREDENTIAL_CONDITIONS[condition]
    key = world.key()
    assert all(a.refusal is None for a in in_every_worker(one, lambda: door.act(call(key), new_marker())))

    bring_about(world, key)

    def act():
        marker = new_marker()
        return marker, door.act(call(key), marker)

    for marker, answer in in_every_worker(one, act):
        assert_refused(world, door, answer, marker, reason, 401, REJECTED)
        assert world.entry(answer)["credential_id"] == key.credential_id


@every_door
@pytest.mark.parametrize("condition", POLICY_CONDITIONS)
def test_policy_that_became_narrower_refuses_the_next_call(door, condition, world, one, call):
    sections, reason, sentence = POLICY_CONDITIONS[condition]
    policy_id = world.policy(argument_detail="none")
    key = world.key()
    world.bind(key, policy_id)
    assert all(a.refusal is None for a in in_every_worker(one, lambda: door.act(call(key), new_marker())))

    world.web.call("api.policy", "write", [policy_id], world.policy_values(**sections))

    def act():
        marker = new_marker()
        return marker, door.act(call(key), marker)

    for marker, answer in in_every_worker(one, act):
        assert_refused(world, door, answer, marker, reason, 403, sentence)
        assert world.entry(answer)["refusing_policy"].startswith("Policy ")


@pytest.mark.parametrize("path", [
    "/xmlrpc/2/object", "//xmlrpc/2/object", "/xmlrpc//2/object", "/xmlrpc/2//object", "/./xmlrpc/2/object",
    "/en_US/xmlrpc/2/object", "/en/xmlrpc/2/object", "/XMLRPC/2/object", "/xmlrpc/2/object/", "/xmlrpc/%32/object",
    "/xmlrpc/2/object?x=/json/2/", "/xmlrpc/object",
])
def test_closed_door_has_no_other_path(path, world, one):
    key, marker = world.key(doors=["json2"]), new_marker()
    call = (world.name, key.uid, key.secret, "res.partner", "create", [[{"name": marker}]])
    answer = send(one.url, path, xmlrpc.client.dumps(call, "execute_kw").encode(), {"Content-Type": "text/xml"})
    assert answer.status in (301, 308, 404) or FORBIDDEN.encode() in answer.body
    assert not world.partners(marker)


@every_rpc_door
def test_key_under_another_uid_is_refused(door, world, one, call):
    key, marker = world.key(), new_marker()
    answer = door.act(call(key).using(uid=world.admin_uid), marker)
    assert_refused(world, door, answer, marker, "credential.wrong_user", 401, REJECTED)


@pytest.mark.parametrize("door", [DOORS[0], DOORS[3]], ids=lambda door: door.code)
def test_key_revoked_in_preferences_is_refused_24_times_of_24(door, world, one, call):
    key = world.key()
    assert all(a.refusal is None for a in in_every_worker(one, lambda: door.act(call(key), new_marker())))

    owner = WebClient(one.url, world.name, USER, USER_PASSWORD)
    check = owner.call("res.users.apikeys", "remove", [key.id])
    assert check["res_model"] == "res.users.identitycheck"
    owner.call("res.users.identitycheck", "run_check", [check["res_id"]], context={"password": USER_PASSWORD})
    assert not world.rows("SELECT 1 FROM res_users_apikeys WHERE id = %s", key.id)

    markers = [new_marker() for _ in range(24)]
    pending = iter(markers)
    answers = times(24, lambda: door.act(call(key), next(pending)))
    assert [answer.sentence for answer in answers] == [REJECTED] * 24
    assert [world.entry(answer)["reason"] for answer in answers] == ["credential.revoked"] * 24
    assert not any(world.partners(marker) for marker in markers)


@every_door
def test_key_that_is_resumed_is_served_on_its_next_call(door, world, one, call):
    key = world.key()
    world.suspend(key)
    assert door.act(call(key), new_marker()).sentence == REJECTED
    world.web.call("api.credential", "action_resume", [key.credential_id])
    answers = in_every_worker(one, lambda: door.act(call(key), new_marker()))
    assert [answer.refusal for answer in answers] == [None] * len(answers)


# ---------------------------------------------------------------------- failed


@every_door
def test_method_that_raises_keeps_its_entry_and_has_no_effect(door, world, one, call):
    key = world.key()

    def act():
        marker = new_marker()
        return marker, door.fail(call(key), marker)

    for marker, answer in in_every_worker(one, act):
        assert answer.refusal
        assert b"Traceback" not in answer.body
        entry = world.entry(answer)
        told = {name: entry[name] for name in ("door", "outcome", "verdict", "committed", "key_id")}
        assert told == {
            "door": door.code, "outcome": "failed", "verdict": "allow", "committed": False, "key_id": key.id,
        }
        assert entry["error_class"]
        assert not door.has_effect(world, answer, marker)


# ---------------------------------------------------------------------- monitor


@every_door
@pytest.mark.parametrize("condition", POLICY_CONDITIONS)
def test_policy_in_monitor_mode_refuses_nothing_and_notes_it(door, condition, world, call):
    sections, reason, _sentence = POLICY_CONDITIONS[condition]
    key, marker = world.key(mode="monitor", **sections), new_marker()
    answer = door.act(call(key), marker)
    assert answer.refusal is None
    assert door.has_effect(world, answer, marker)
    entry = world.entry(answer)
    assert (entry["outcome"], entry["verdict"], entry["reason"]) == ("allowed", "deny", reason)


# ---------------------------------------------------------------------- the user's policy, the baseline


@every_door
def test_user_and_baseline_policies_bind_every_key(door, world, one, call):
    key, policy_id = world.key(), world.policy(networks=[("allow", "10.0.0.0/8")])
    changes = {
        "user": lambda value: world.web.call("res.users", "write", [world.uid], {"api_policy_id": value}),
        "baseline": lambda value: world.setting("baseline_policy_id", str(value or "")),
    }
    for change in changes.values():
        change(policy_id)
        try:
            answers = in_every_worker(one, lambda: door.act(call(key), new_marker()))
        finally:
            change(False)
        assert {world.entry(answer)["reason"] for answer in answers} == {"network.refused"}
        answers = in_every_worker(one, lambda: door.act(call(key), new_marker()))
        assert {answer.refusal for answer in answers} == {None}


# ---------------------------------------------------------------------- networks behind a proxy


@pytest.fixture(scope="module")
def behind_proxy(world):
    """A key for one address, while the server trusts 127.0.0.1 to report it."""
    return world.key(networks=[("allow", "203.0.113.7")])


@every_door
@pytest.mark.parametrize(("forwarded", "is_allowed"), [
    ("203.0.113.7", True),
    ("203.0.113.8", False),
    ("203.0.113.7, 203.0.113.8", False),  # the client wrote the first, the proxy the last
    ("203.0.113.8, 203.0.113.7", True),
    ("203.0.113.7, 127.0.0.1", True),
    ("::ffff:203.0.113.7", True),
    ("203.0.113.7, nonsense", False),
    ("", False),
])
def test_peer_is_the_last_hop_that_no_trusted_proxy_vouches_for(
        door, forwarded, is_allowed, world, call, behind_proxy):
    answer = door.act(call(behind_proxy).with_headers({"X-Forwarded-For": forwarded}), new_marker())
    assert (answer.refusal is None) is is_allowed
    assert world.entry(answer)["outcome"] == ("allowed" if is_allowed else "refused")


# ---------------------------------------------------------------------- passwords


@every_rpc_door
def test_password_is_accepted_until_a_policy_refuses_it(door, world, one, call):
    person = call(world.key()).using(secret=USER_PASSWORD)

    def act():
        marker = new_marker()
        return marker, door.act(person, marker)

    for marker, answer in in_every_worker(one, act):
        assert answer.refusal is None
        assert world.entry(answer)["credential_kind"] == "password"
        assert world.partners(marker)

    former = world.setting("refuse_rpc_passwords", "True")
    try:
        for marker, answer in in_every_worker(one, act):
            assert_refused(world, door, answer, marker, "credential.password_refused", 401, REJECTED)
    finally:
        world.setting("refuse_rpc_passwords", former)


@every_rpc_door
def test_wrong_password_is_refused(door, world, call):
    marker = new_marker()
    answer = door.act(call(world.key()).using(secret="no such password"), marker)
    assert_refused(world, door, answer, marker, "credential.unknown", 401, REJECTED)


@pytest.mark.parametrize("door", BEARER_DOORS, ids=lambda door: door.code)
def test_password_opens_no_bearer_door(door, world, call):
    marker = new_marker()
    answer = door.act(call(world.key()).using(secret=USER_PASSWORD), marker)
    assert_refused(world, door, answer, marker, "credential.unknown", 401, REJECTED)


@pytest.mark.parametrize("uid", ["2147483648", "9" * 30, "0", "-1"])
@every_rpc_door
def test_a_user_id_that_no_user_can_have_is_nobody(door, uid, world, call):
    for secret in ("wrong", USER_PASSWORD):
        marker = new_marker()
        answer = door.act(call(world.key()).using(uid=uid, secret=secret), marker)
        assert_refused(world, door, answer, marker, "credential.unknown", 401, REJECTED)


# ---------------------------------------------------------------------- common.authenticate

SERVICES = {"xmlrpc": xmlrpc_service, "xmlrpc_v1": xmlrpc_v1_service, "jsonrpc": jsonrpc_service}


@pytest.mark.parametrize(
    ("name", "method"), [*((name, "authenticate") for name in SERVICES), ("xmlrpc", "login")])
def test_login_is_answered_by_uid_or_false_and_entered(name, method, world, one):
    service, key, gone = SERVICES[name], world.key(), world.key()
    world.revoke(gone)
    environment = [{}] if method == "authenticate" else []
    table = [
        (USER, key.secret, world.uid, "allowed", None, "key"),
        (USER, USER_PASSWORD, world.uid, "allowed", None, "password"),
        (USER, gone.secret, False, "refused", "credential.revoked", "key"),
        (USER, "wrong", False, "refused", "credential.unknown", "password"),
        ("admin", key.secret, False, "refused", "credential.wrong_user", "key"),
        ("nobody", key.secret, False, "refused", "credential.wrong_user", "key"),
        ("nobody", "wrong", False, "refused", "credential.unknown", "password"),
    ]
    for login, secret, value, outcome, reason, kind in table:
        answer = service(one.url, "common", method, world.name, login, secret, *environment)
        assert answer.value is value or answer.value == value, (login, reason)
        entry = world.entry(answer)
        assert (entry["outcome"], entry["reason"], entry["credential_kind"]) == (outcome, reason, kind)
        assert entry["method"] == "authenticate"


@pytest.mark.parametrize("name", SERVICES)
def test_login_obeys_the_policy_of_the_key(name, world, one):
    key = world.key(networks=[("allow", "10.0.0.0/8")])
    answer = SERVICES[name](one.url, "common", "authenticate", world.name, USER, key.secret, {})
    assert answer.value is False
    assert world.entry(answer)["reason"] == "network.refused"


# ---------------------------------------------------------------------- a session where a key belongs


@pytest.fixture
def session(world, one, call):
    """The plain user's session cookie with the headers that a browser would send."""
    cookie = WebClient(one.url, world.name, USER, USER_PASSWORD).cookie
    return call(world.key()).using(secret=None).with_headers({"Cookie": cookie, **SEC_FETCH})


def test_session_with_forged_headers_is_a_credential_like_any_other(world, one, session):
    marker = new_marker()
    answer = json2(session, "res.partner", "create", vals_list=[{"name": marker}])
    assert answer.refusal is None
    assert world.partners(marker) == 1
    entry = world.entry(answer)
    assert (entry["credential_kind"], entry["outcome"], entry["user_id"]) == ("session", "allowed", world.uid)


@pytest.mark.parametrize("condition", POLICY_CONDITIONS)
def test_session_with_forged_headers_obeys_the_users_policy(condition, world, one, session):
    sections, reason, sentence = POLICY_CONDITIONS[condition]
    policy_id = world.policy(**sections)
    door = DOORS[3]
    world.web.call("res.users", "write", [world.uid], {"api_policy_id": policy_id})
    try:
        def act():
            marker = new_marker()
            return marker, door.act(session, marker)

        answers = in_every_worker(one, act)
    finally:
        world.web.call("res.users", "write", [world.uid], {"api_policy_id": False})
    for marker, answer in answers:
        assert_refused(world, door, answer, marker, reason, 403, sentence)


def test_session_without_the_headers_is_refused_and_entered(world, call):
    web = world.web
    answer = json2(
        call(world.key()).using(secret=None).with_headers({"Cookie": web.cookie}), "res.partner", "search_count")
    assert answer.status == 401
    assert world.entry(answer)["outcome"] in ("refused", "failed")


def test_no_credential_at_all_is_refused_and_entered(world, call):
    for door in BEARER_DOORS:
        answer = door.act(call(world.key()).using(secret=None), new_marker())
        assert answer.refusal
        assert world.entry(answer)["outcome"] in ("refused", "failed")


# ---------------------------------------------------------------------- keys made for one door


def test_key_of_the_mail_plugin_opens_no_other_door(world, call):
    key = world.key(key_scope="odoo.plugin.outlook")
    for door in DOORS:
        marker = new_marker()
        answer = door.act(call(key), marker)
        if door.code == "mail_plugin":
            assert answer.refusal is None
            assert world.entry(answer)["outcome"] == "allowed"
        else:
            assert_refused(world, door, answer, marker, "door.refused", 403, FORBIDDEN)
