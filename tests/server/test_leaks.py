"""What becomes of keys that leak: reported by strangers, pasted into records, mistyped, retired with the guard."""

import hashlib
import itertools
import json
import os
import re
import uuid

import pytest
from doors import Caller, WebClient, get, json2, jsonrpc, plugin, read_json, send, xmlrpc_2, xmlrpc_service, xmlrpc_v1
from leaks import leak
from workers import answering, in_every_worker, times
from world import USER, USER_PASSWORD, make_world

from core.secret import PATTERN, RANDOM_BYTES, is_well_formed, write_secret
from dev.harness import Server, shell
from dev.layout import ROOT

PATH = "/api_guard/v1/leak"
REJECTED = "The credential was not accepted."
MAX_AN_HOUR = 20
EXECUTE = {"xmlrpc": xmlrpc_2, "xmlrpc_v1": xmlrpc_v1, "jsonrpc": jsonrpc, "json2": json2}
_peers = (f"198.51.100.{number}" for number in itertools.count(1))


def post(url, db, body, peer=None, **headers):
    """One report from `peer`, each by default from an address that never reported before."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "X-Forwarded-For": peer or next(_peers), **headers}
    if db is not None:
        headers["X-Odoo-Database"] = db
    return read_json(send(url, PATH, content, headers))


@pytest.fixture
def report(world, one):
    return lambda body, peer=None, **headers: post(one.url, None, body, peer, **headers)


@pytest.fixture
def minted(world, one):
    """A key made in Preferences: of the form that new keys have."""
    owner = WebClient(one.url, world.name, USER, USER_PASSWORD)
    return lambda: world.minted(owner, USER_PASSWORD, f"minted {uuid.uuid4().hex[:8]}")


def state_of(world, key):
    [row] = world.rows("SELECT state, suspension FROM api_credential WHERE id = %s", key.credential_id)
    return row["state"], row["suspension"]


def alerts_of(world, key):
    return world.rows("SELECT * FROM api_alert WHERE credential_id = %s", key.credential_id)


def shape(answer):
    """An answer without what names this one request."""
    names = {name: text for name, text in answer.headers.items() if name not in ("X-Request-Id", "Date")}
    return answer.status, names, answer.body.replace(answer.request_id.encode(), b"<id>")


def unguarded_texts(world, text):
    """The tables that hold `text` anywhere."""
    tables = world.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    query = 'SELECT EXISTS (SELECT 1 FROM "{}" t WHERE position(%s IN t::text) > 0)'
    return [row["tablename"] for row in tables if world.value(query.format(row["tablename"]), text)]


# ---------------------------------------------------------------------- the form of keys


def test_new_key_bears_its_form_and_opens_every_door(world, one, call, minted):
    key = minted()
    assert is_well_formed(key.secret)
    for execute in EXECUTE.values():
        assert execute(call(key), "res.partner", "search_count", domain=[]).refusal is None
    assert xmlrpc_service(one.url, "common", "authenticate", world.name, USER, key.secret, {}).value == world.uid


@pytest.mark.parametrize("door", EXECUTE)
def test_mistyped_key_is_told_apart_in_the_log_alone(door, world, call, minted):
    key = minted()
    unknown = write_secret(os.urandom(RANDOM_BYTES))
    reasons, told = [], set()
    for secret in (key.secret[:-1], key.secret.swapcase(), unknown):
        answer = EXECUTE[door](call(key).using(secret=secret), "res.partner", "search_count", domain=[])
        reasons.append(world.entry(answer)["reason"])
        told.add((answer.status, answer.sentence))
        world.secrets.append(secret)
    # swapcase makes AG_…, which claims nothing
    assert reasons == ["credential.mistyped", "credential.unknown", "credential.unknown"]
    assert told == {(401 if door == "json2" else 200, REJECTED)}


_LEAVE = """
admin = env.ref("base.user_admin")
secret = env["res.users.apikeys"].with_user(admin).sudo()._generate("rpc", "to stay", None)
env.cr.commit()
env["ir.module.module"].search([("name", "=", "api_guard")]).button_immediate_uninstall()
print("LEFT", secret)
"""


def test_new_key_opens_the_odoo_that_uninstalling_leaves():
    left = make_world("left")
    try:
        printed = shell(left.name, _LEAVE)
        [secret] = re.findall(r"^LEFT (\S+)$", printed, re.MULTILINE)
        assert is_well_formed(secret)
        assert not [row for row in left.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE 'api\\_%%'")]
        with Server(left.name, gevent=False) as server:
            for execute in EXECUTE.values():
                caller = Caller(server.url, left.name, secret, left.admin_uid)
                assert execute(caller, "res.partner", "search_count", domain=[]).refusal is None
            assert post(server.url, None, {"secret": secret}).status == 404
    finally:
        left.drop()


def test_documentation_tells_the_pattern_and_how_to_check_a_key():
    text = (ROOT / "docs" / "leaks.md").read_text()
    assert text.count(PATTERN) == 2
    snippet = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], snippet)  # noqa: S102
    key = write_secret(os.urandom(RANDOM_BYTES))
    assert snippet["is_whole"](key)
    assert not snippet["is_whole"](key[:-1] + ("0" if key[-1] != "0" else "1"))


# ---------------------------------------------------------------------- reports


def test_reported_key_is_refused_at_every_door_in_every_worker(world, one, call, report, minted):
    key = minted()
    in_every_worker(one, lambda: json2(call(key), "res.partner", "search_count", domain=[]))  # warm
    answer = report({"secret": key.secret}, **{"User-Agent": "a scanner"})
    assert (answer.status, answer.value) == (202, {"status": "accepted", "request_id": answer.request_id})
    assert state_of(world, key) == ("suspended", "leaked")
    calls = [
        *(lambda execute=execute: execute(call(key), "res.partner", "search_count", domain=[])
          for execute in EXECUTE.values()),
        lambda: get(call(key), "/json/1/contacts"),
        lambda: get(call(key), "/doc-bearer/index.json"),
        lambda: plugin(call(key), "/mail_plugin/partner/search", search_term="x"),
        lambda: xmlrpc_service(one.url, "common", "authenticate", world.name, USER, key.secret, {}),
    ]  # fmt: skip
    for ask in calls:
        for refused in in_every_worker(one, ask):
            assert refused.value in (None, False)
            assert world.entry(refused)["reason"] == "credential.suspended"


def test_report_has_an_entry_and_an_alert_that_name_each_other(world, report):
    key = world.key()
    answer = report({"token": key.secret}, "203.0.113.50", **{"User-Agent": f"a scanner {key.secret}"})
    entry = world.entry(answer)
    told = {name: entry[name] for name in (
        "route", "method", "peer", "user_agent", "credential_kind", "record_count", "verdict", "outcome", "committed",
        "status", "http_method")}  # fmt: skip
    assert told == {
        "route": PATH, "method": "leak", "peer": "203.0.113.50", "user_agent": "a scanner [redacted]",
        "credential_kind": "none", "record_count": 1, "verdict": "allow", "outcome": "allowed", "committed": True,
        "status": 202, "http_method": "POST",
    }  # fmt: skip
    [alert] = alerts_of(world, key)
    assert (alert["code"], alert["severity"], alert["count"]) == ("key.leaked", "critical", 1)
    assert (alert["peer"], alert["request_id"], alert["user_id"]) == ("203.0.113.50", answer.request_id, world.uid)


def test_report_that_is_repeated_counts_up_its_alert(world, report):
    key = world.key()
    for _ in range(3):
        report({"secret": key.secret})
    [alert] = alerts_of(world, key)
    assert alert["count"] == 3


def test_children_of_a_reported_key_are_refused(world, call, report):
    parent, child = world.key(), world.key()
    world.rows("UPDATE api_credential SET parent_id = %s WHERE id = %s", parent.credential_id, child.credential_id)
    report({"secret": parent.secret})
    answer = json2(call(child), "res.partner", "search_count", domain=[])
    assert world.entry(answer)["reason"] == "credential.parent_inactive"


def test_answer_is_the_same_whatever_is_reported(world, report, minted):
    revoked, suspended, expired = world.key(), world.key(), world.key()
    world.revoke(revoked)
    world.suspend(suspended)
    world.expire(expired)
    live = [minted(), world.key()]
    nobodys = [os.urandom(20).hex(), write_secret(os.urandom(RANDOM_BYTES)), "ag_", "", "\0", "é" * 300, "x" * 20_000,
               world.key().secret[:-1], USER_PASSWORD]  # fmt: skip
    told = [shape(report({"secret": key.secret})) for key in (*live, revoked, suspended, expired)]
    told += [shape(report({"secret": secret})) for secret in nobodys]
    assert all(answer == told[0] for answer in told)
    assert [state_of(world, key)[0] for key in live] == ["suspended"] * 2
    assert not alerts_of(world, revoked)
    assert not alerts_of(world, expired)
    assert len(alerts_of(world, suspended)) == 1  # whoever resumes it has to know


def test_twenty_keys_are_taken_and_one_more_is_not(world, report):
    keys = [world.key() for _ in range(3)]
    others = [os.urandom(20).hex() for _ in range(17)]
    answer = report({"secrets": [*others, *(key.secret for key in keys)]})
    assert answer.status == 202
    assert world.entry(answer)["record_count"] == 20
    assert {state_of(world, key) for key in keys} == {("suspended", "leaked")}
    spared = world.key()
    assert report({"secrets": [*others, *others[:3], spared.secret]}).status == 400
    assert state_of(world, spared) == ("active", None)


MALFORMED = {
    "nothing": b"", "no JSON": b"secret=x", "half": b'{"secret": "x"', "null": b"null", "list": b'["x"]',
    "number": b'{"secret": 5}', "no name": b"{}", "two names": b'{"secret": "x", "token": "y"}',
    "empty list": b'{"secrets": []}', "nested": b'{"secrets": [["x"]]}', "deep": b"[" * 60_000, "latin": b'"\xe9"',
    "digits": b"9" * 6000,
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_report_is_told_how_it_should_be(name, world, report):
    answer = report(MALFORMED[name])
    assert (answer.status, leak(answer)) == (400, None)
    assert '{"secret": "…"}' in answer.refusal
    assert (world.entry(answer)["outcome"], world.entry(answer)["status"]) == ("failed", 400)


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_huge_report_is_not_read(kind, world, report):
    answer = report(b'{"secret": "' + b"x" * 5_000_000 + b'"}', **{"Content-Type": kind})
    assert (answer.status, leak(answer)) == (413, None)
    assert world.entry(answer)["status"] == 413


def test_secret_in_the_address_is_neither_taken_nor_kept(world, one):
    key = world.key()
    answer = send(one.url, f"{PATH}?{key.secret}=1&secret={key.secret}", b"{}", {"X-Forwarded-For": next(_peers)})
    assert answer.status == 400
    assert state_of(world, key)[0] == "active"
    assert unguarded_texts(world, key.secret) == []


def test_reports_are_counted_by_network_across_workers(world, one, report):
    since = len(one.log())
    answers = times(MAX_AN_HOUR + 10, lambda: report({"secret": "x"}, "2001:db8:77::1"))
    assert len(answering(one, since)) == 2
    assert sorted(answer.status for answer in answers) == [202] * MAX_AN_HOUR + [429] * 10
    refused = next(answer for answer in answers if answer.status == 429)
    seconds = int(refused.headers["Retry-After"])
    assert refused.sentence == f"Too many reports. Try again in {seconds} seconds."
    assert 0 < int(refused.headers["Retry-After"]) <= 3601
    entry = world.entry(refused)
    assert (entry["outcome"], entry["reason"], entry["status"]) == ("refused", "report.too_many", 429)
    key = world.key()
    assert report({"secret": key.secret}, "2001:db8:77::2").status == 429  # the same /64
    assert state_of(world, key)[0] == "active"
    assert report({"secret": key.secret}, "2001:db8:77:1::1").status == 202


def test_reports_at_once_suspend_once_and_lose_nothing(world, report):
    key = world.key()
    answers = times(12, lambda: report({"secret": key.secret}))
    assert {answer.status for answer in answers} == {202}
    [alert] = alerts_of(world, key)
    assert alert["count"] == 12
    assert all(world.entry(answer)["committed"] for answer in answers)


@pytest.mark.parametrize("deployment", ["several", "wide"])
def test_with_several_databases_the_report_names_one(deployment, request, world, plain):
    server, key = request.getfixturevalue(deployment), world.key()
    get(Caller(server.url, world.name, key.secret), "/api_guard/v1/me")  # its addon is loaded with the database
    for db in (None, plain.name):
        assert post(server.url, db, {"secret": key.secret}).status == 404
        assert state_of(world, key)[0] == "active"
    answer = post(server.url, world.name, {"secret": key.secret})
    assert answer.status == 202
    assert world.entry(answer)["outcome"] == "allowed"
    assert state_of(world, key) == ("suspended", "leaked")


def test_only_posts_are_reports(world, one):
    assert send(one.url, PATH, headers={"X-Forwarded-For": next(_peers)}).status == 405


def test_no_table_keeps_what_was_reported(world, report, minted):
    secrets = [minted().secret, world.key().secret, os.urandom(20).hex(), write_secret(os.urandom(RANDOM_BYTES))]
    for secret in secrets:
        report({"secret": secret}, **{"User-Agent": secret, "Referer": f"http://x/?{secret}"})
        report(f'{{"{secret}": 1}}'.encode())
    report({"secrets": secrets})
    assert {secret: found for secret in secrets if (found := unguarded_texts(world, secret))} == {}


# ---------------------------------------------------------------------- pasted keys


def scan(world, is_full=True):
    model, action = ("api.leak.scan", "action_scan_all") if is_full else ("api.leak", "action_scan")
    world.web.call(model, action, [])
    cron = world.value("SELECT res_id FROM ir_model_data WHERE module = 'api_guard' AND name = 'cron_leak_scan'")
    world.web.call("ir.cron", "method_direct_trigger", [cron])
    assert world.value("SELECT count(*) FROM api_leak_scan WHERE finished_at IS NULL") == 0


def findings_of(world, key):
    rows = world.rows("SELECT * FROM api_leak WHERE credential_id = %s", key.credential_id)
    return {(row["res_model"], row["res_id"], row["field_name"]) for row in rows}


def plant(world, text):
    web = world.web
    [model] = web.call("ir.model", "search", [["model", "=", "res.partner"]])
    [partner] = web.call("res.partner", "create", [{"name": "Holder", "comment": f"<p>{text}</p>"}])
    message = web.call("res.partner", "message_post", [partner], body=f"use {text}")
    message = message[0] if isinstance(message, list) else message
    [attachment] = web.call("ir.attachment", "create", [{"name": "a.json", "raw": f'{{"key": "{text}"}}'}])
    [action] = web.call("ir.actions.server", "create", [
        {"name": "x", "model_id": model, "state": "code", "code": f"# {text}"}])  # fmt: skip
    [parameter] = web.call("ir.config_parameter", "create", [{"key": f"x.{uuid.uuid4().hex}", "value": text}])
    return {
        ("res.partner", partner, "comment"), ("mail.message", message, "body"), ("ir.attachment", attachment, "raw"),
        ("ir.actions.server", action, "code"), ("ir.config_parameter", parameter, "value"),
    }  # fmt: skip


def test_pasted_keys_are_found_and_decoys_are_not(world, call, minted):
    new, old, spared = minted(), world.key(), minted()
    planted = {key: plant(world, key.secret) for key in (new, old)}
    decoys = [spared.secret[:-1] + ("0" if spared.secret[-1] != "0" else "1"), spared.secret[:-2],
              hashlib.sha1(b"x", usedforsecurity=False).hexdigest(), old.secret[:8] + "0" * 32]  # fmt: skip
    before = world.value("SELECT count(*) FROM api_leak")
    plant(world, " ".join(decoys))
    scan(world)
    for key in planted:
        places = findings_of(world, key)
        assert planted[key] == {place for place in places if place[0] != "ir.actions.server.history"}
        [alert] = alerts_of(world, key)
        assert (alert["code"], alert["count"]) == ("key.pasted", len(places))
    found = world.value("SELECT count(*) FROM api_leak") - before
    assert found == sum(len(findings_of(world, key)) for key in planted)
    scan(world, is_full=False)
    scan(world)
    assert world.value("SELECT count(*) FROM api_leak") - before == found

    [leak_id] = world.web.call("api.leak", "search", [["credential_id", "=", new.credential_id]], limit=1)
    world.web.call("api.leak", "action_suspend_key", [leak_id])
    assert state_of(world, new) == ("suspended", "pasted")
    assert world.entry(json2(call(new), "res.users", "context_get"))["reason"] == "credential.suspended"
    for key in (new, old):
        assert not [name for name in unguarded_texts(world, key.secret) if name.startswith("api_")]


def test_program_neither_searches_nor_resolves_nor_acknowledges(world, call):
    key = world.key(uid=world.admin_uid)
    for model, method in (("api.leak", "action_scan"), ("api.leak", "action_resolve"), ("api.leak", "unlink"),
                          ("api.alert", "action_acknowledge"), ("api.leak.scan", "create")):  # fmt: skip
        ids = None if method == "create" else [1]
        answer = json2(call(key), model, method, ids, **({"vals_list": [{}]} if method == "create" else {}))
        assert world.entry(answer)["reason"] == "scope.guard_configuration"
