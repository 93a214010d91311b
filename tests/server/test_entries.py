"""The log tells the truth: one entry per call, kept, complete, without secrets, and never changed."""

import base64
import json
import threading
import uuid

import psycopg2
import pytest
from doors import WebClient, json2, jsonrpc, jsonrpc_service, xmlrpc_2, xmlrpc_service, xmlrpc_v1
from workers import in_every_worker
from world import PASSWORD, USER, USER_PASSWORD

from dev import postgres

EXECUTE = {"xmlrpc": xmlrpc_2, "xmlrpc_v1": xmlrpc_v1, "jsonrpc": jsonrpc, "json2": json2}
every_door = pytest.mark.parametrize("door", EXECUTE)


@pytest.fixture
def admin(world, call):
    """A caller with an unrestricted key of the administrator, whose arguments are kept as far as they may be."""
    return call(world.key(uid=world.admin_uid, argument_detail="values"))


def new_name():
    return f"Entered {uuid.uuid4().hex}"


def new_partner(world):
    [partner] = world.web.call("res.partner", "create", [{"name": new_name()}])
    return partner


# ---------------------------------------------------------------------- complete


@every_door
def test_entry_says_who_did_what_to_which_records(door, world, call):
    key, partners = world.key(argument_detail="values"), [new_partner(world) for _ in range(3)]
    caller = call(key).with_headers({"User-Agent": "a client of ours", "X-Forwarded-For": "203.0.113.9"})
    name = new_name()
    answer = EXECUTE[door](caller, "res.partner", "write", partners, vals={"name": name})
    assert answer.value is True
    entry = world.entry(answer)
    told = {column: entry[column] for column in (
        "door", "http_method", "peer", "forwarded", "user_agent", "database", "user_id", "login", "credential_kind",
        "credential_id", "key_id", "model", "method", "operation", "record_ids", "record_count", "verdict", "outcome",
        "committed", "status", "error_class")}
    assert told == {
        "door": door, "http_method": "POST", "peer": "203.0.113.9", "forwarded": "203.0.113.9",
        "user_agent": "a client of ours", "database": world.name, "user_id": world.uid, "login": USER,
        "credential_kind": "key", "credential_id": key.credential_id, "key_id": key.id, "model": "res.partner",
        "method": "write", "operation": "write", "record_ids": ",".join(map(str, partners)), "record_count": 3,
        "verdict": "allow", "outcome": "allowed", "committed": True, "status": 200, "error_class": None,
    }
    assert entry["credential_name"].startswith("key ")
    assert entry["policies"].startswith("Policy ")
    bound = world.value("SELECT policy_id FROM api_credential WHERE id = %s", key.credential_id)
    assert entry["policy_ids"] == f",{bound},"
    assert name in entry["arguments"]
    assert entry["duration_ms"] > 0
    assert entry["sql_count"] > 0
    assert world.value("SELECT abs(extract(epoch FROM now() AT TIME ZONE 'utc' - %s)) < 60", entry["occurred_at"])


@every_door
def test_entry_counts_rows_and_bytes(door, world, call):
    answer = EXECUTE[door](call(world.key()), "res.country", "search_read", domain=[], fields=["name"], limit=7)
    entry = world.entry(answer)
    assert entry["row_count"] == 7
    assert 100 < entry["byte_count"] <= len(answer.body)


@every_door
def test_entry_of_a_creation_names_what_was_created(door, world, call):
    names = [new_name(), new_name()]
    answer = EXECUTE[door](call(world.key()), "res.partner", "create", vals_list=[{"name": name} for name in names])
    entry = world.entry(answer)
    assert (entry["record_ids"], entry["record_count"]) == (",".join(map(str, answer.value)), 2)


# ---------------------------------------------------------------------- exactly once


def test_call_that_odoo_repeats_has_one_entry(world, one, call):
    """Concurrent writers to one record: PostgreSQL lets one win, Odoo repeats the others."""
    partner, key, answers = new_partner(world), world.key(), []
    since = len(one.log())

    def write(execute):
        for _turn in range(25):
            name = new_name()
            answers.append((name, execute(call(key), "res.partner", "write", [partner], vals={"name": name})))

    writers = [threading.Thread(target=write, args=[execute]) for execute in (json2, xmlrpc_2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert "tries left" in one.log()[since:], "nothing was repeated, so nothing was tested"
    for _name, answer in answers:
        entry = world.entry(answer)
        succeeded = answer.refusal is None
        assert (entry["committed"], entry["outcome"]) == (succeeded, "allowed" if succeeded else "failed")
    written = world.value("SELECT name FROM res_partner WHERE id = %s", partner)
    assert [answer.refusal for name, answer in answers if name == written] == [None]


@every_door
def test_call_that_raises_after_it_wrote_keeps_its_entry(door, world, call):
    partner, name = new_partner(world), new_name()
    values = {"name": name, "parent_id": partner}
    answer = EXECUTE[door](call(world.key()), "res.partner", "write", [partner], vals=values)
    assert "recursive" in answer.refusal
    entry = world.entry(answer)
    assert (entry["outcome"], entry["committed"], entry["error_class"]) == ("failed", False, "ValidationError")
    assert not world.partners(name)


@pytest.fixture(scope="module")
def action(world):
    """Make a server action that runs code, as an administrator may; `action(code)` is its id."""
    model = world.value("SELECT id FROM ir_model WHERE model = 'res.partner'")

    def make(code):
        [made] = world.web.call("ir.actions.server", "create", [
            {"name": new_name(), "model_id": model, "state": "code", "code": code}])
        return made

    return make


@every_door
def test_method_that_commits_and_then_fails_is_entered_with_both(door, world, admin, action):
    kept, lost = new_name(), new_name()
    code = f"env['res.partner'].create({{'name': {kept!r}}})\nenv.cr.commit()\n" \
           f"env['res.partner'].create({{'name': {lost!r}}})\nraise UserError('in the end')"
    answer = EXECUTE[door](admin, "ir.actions.server", "run", [action(code)])
    assert "in the end" in answer.refusal
    assert (world.partners(kept), world.partners(lost)) == (1, 0)
    entries = world.entries(answer.request_id or answer.told_id)
    assert [(entry["committed"], entry["outcome"]) for entry in entries] == [(True, "allowed"), (False, "failed")]


@every_door
def test_method_that_commits_twice_is_entered_once(door, world, admin, action):
    names = [new_name(), new_name()]
    code = "\n".join(f"env['res.partner'].create({{'name': {name!r}}})\nenv.cr.commit()" for name in names)
    answer = EXECUTE[door](admin, "ir.actions.server", "run", [action(code)])
    assert [world.partners(name) for name in names] == [1, 1]
    entry = world.entry(answer)
    assert (entry["committed"], entry["outcome"]) == (True, "allowed")


@every_door
def test_method_that_commits_on_a_cursor_of_its_own_is_entered_once(door, world, admin):
    name = new_name()
    model = world.value("SELECT id FROM ir_model WHERE model = 'res.partner'")
    [cron] = world.web.call("ir.cron", "create", [{
        "name": name, "model_id": model, "state": "code", "code": f"env['res.partner'].create({{'name': {name!r}}})"}])
    answer = EXECUTE[door](admin, "ir.cron", "method_direct_trigger", [cron])
    assert world.partners(name) == 1
    assert world.entry(answer)["committed"] is True


@pytest.mark.parametrize("door", ["xmlrpc", "xmlrpc_v1"])
def test_answer_that_cannot_be_told_after_the_commit_is_entered_as_committed(door, world, call):
    """XML-RPC knows no null: `action_archive` returns one when its transaction is long committed."""
    partner = new_partner(world)
    answer = EXECUTE[door](call(world.key()), "res.partner", "action_archive", [partner])
    assert answer.refusal
    assert b"Traceback" not in answer.body
    assert world.value("SELECT active FROM res_partner WHERE id = %s", partner) is False
    entry = world.entry(answer)
    assert (entry["committed"], entry["error_class"]) == (True, "TypeError")


@every_door
def test_call_whose_entry_cannot_be_written_has_no_effect(door, world, call):
    """The log's table is gone: better no service than one without its entry."""
    caller, name = call(world.key()), new_name()
    assert EXECUTE[door](caller, "res.partner", "search_count", domain=[]).refusal is None
    world.rows("ALTER TABLE api_audit_entry RENAME TO api_audit_entry_gone")
    try:
        answers = [
            EXECUTE[door](caller, "res.partner", "create", vals_list=[{"name": name}]),
            EXECUTE[door](caller, "res.partner", "search_count", domain=[]),
            EXECUTE[door](caller.using(secret="0" * 40), "res.partner", "create", vals_list=[{"name": name}]),
        ]
    finally:
        world.rows("ALTER TABLE api_audit_entry_gone RENAME TO api_audit_entry")
    assert all(answer.refusal for answer in answers)
    assert [answer.body for answer in answers if b"api_audit" in answer.body or b"Traceback" in answer.body] == []
    assert not world.partners(name)


# ---------------------------------------------------------------------- without secrets


def stored(world, text):
    """The columns of the whole log in which `text` stands."""
    return world.rows(
        "SELECT id, method, arguments, error_message FROM api_audit_entry e WHERE position(%s IN e::text) > 0", text)


@every_door
def test_secrets_among_the_arguments_are_not_kept(door, world, admin):
    execute, partner = EXECUTE[door], new_partner(world)
    user = world.value("SELECT id FROM res_users WHERE login = %s", USER)
    secret = f"hidden-{uuid.uuid4().hex}"
    calls = [
        execute(admin, "res.users", "create", vals_list=[{"name": "x", "login": new_name(), "password": secret}]),
        execute(admin, "res.users", "write", [user], vals={"new_password": secret, "nothing": 1}),
        execute(admin, "res.partner", "read", [partner], fields=["name"], context={"password": secret}),
        execute(admin, "res.partner", "read", [partner], fields=["name"], context={"deep": [{"api_key": secret}]}),
        execute(admin, "ir.config_parameter", "set_param", key="some.api_secret", value=secret),
        execute(admin, "ir.config_parameter", "create", vals_list=[{"key": f"a.token.{new_name()}", "value": secret}]),
        execute(admin, "res.users", "search", domain=[["password", "=", secret]]),
        execute(admin, "res.users", "change_password", old_passwd=secret, new_passwd=secret),
        execute(admin, "res.partner", "search", domain=[["name", "=", admin.secret]]),
        execute(admin, "res.partner", "search", domain=[["no_such_field", "=", admin.secret]]),
        execute(admin.with_headers({"User-Agent": f"key {admin.secret}"}), "res.partner", "search", domain=[]),
    ]
    for answer in calls:
        assert world.entry(answer)
    assert stored(world, secret) == []
    assert stored(world, admin.secret) == []


@pytest.mark.parametrize("door", ["xmlrpc", "jsonrpc"])
def test_passwords_given_by_position_are_not_kept(door, world, admin):
    service = {"xmlrpc": xmlrpc_service, "jsonrpc": jsonrpc_service}[door]
    secret = f"hidden-{uuid.uuid4().hex}"
    target = (admin.db, admin.uid, admin.secret)
    calls = [
        service(admin.url, "object", "execute_kw", *target, "res.users", "change_password", ["old", secret]),
        service(admin.url, "object", "execute", *target, "res.users", "change_password", "old", secret),
        service(admin.url, "object", "execute_kw", *target, "ir.config_parameter", "set_param", ["x.token", secret]),
        service(admin.url, "object", "execute_kw", *target, "res.users", "signup", [{"password": secret}]),
    ]
    for answer in calls:
        assert world.entry(answer)
    assert stored(world, secret) == []


def test_presented_secrets_stand_nowhere_in_the_log(world, one, call):
    wrong = f"wrong-{uuid.uuid4().hex}"
    for secret in (wrong, USER_PASSWORD, PASSWORD):
        for execute in EXECUTE.values():
            execute(call(world.key()).using(secret=secret), secret, secret, [1])
        for login in (USER, secret):
            xmlrpc_service(one.url, "common", "authenticate", world.name, login, secret, {"agent": secret})
        nobody = call(world.key()).using(secret=None)
        json2(nobody.with_headers({"Authorization": f"bearer  {secret}", "User-Agent": secret}), "x", "y")
    owner = WebClient(one.url, world.name, USER, USER_PASSWORD)
    minted = world.minted(owner, USER_PASSWORD, "to be looked for")
    assert json2(call(minted), "res.users", "context_get").refusal is None
    found = {secret: rows for secret in [*world.secrets, wrong] if (rows := stored(world, secret))}
    assert found == {}


def test_binary_and_long_values_are_not_kept(world, admin):
    content = base64.b64encode(uuid.uuid4().bytes * 100).decode()
    text = f"begin{'-x' * 2500}end"
    for execute in EXECUTE.values():
        answer = execute(admin, "ir.attachment", "create", vals_list=[
            {"name": "x", "datas": content, "description": text}])
        entry = world.entry(answer)
        assert "[binary, " in entry["arguments"]
        assert "begin" in entry["arguments"]
        assert len(entry["arguments"]) <= 4096
    assert stored(world, content[:60]) == []
    assert stored(world, "-x" * 200) == []


@every_door
@pytest.mark.parametrize(("detail", "value_is_kept", "name_is_kept"), [
    ("none", False, False), ("names", False, True), ("values", True, True), (False, False, True)])
def test_policy_says_how_much_of_the_arguments_is_kept(detail, value_is_kept, name_is_kept, door, world, call):
    key, name = world.key(argument_detail=detail), new_name()
    answer = EXECUTE[door](call(key), "res.partner", "create", vals_list=[{"name": name, "ref": "kept?"}])
    kept = world.entry(answer)["arguments"] or ""
    assert (name in kept, '"ref"' in kept) == (value_is_kept, name_is_kept)


# ---------------------------------------------------------------------- whatever is sent


@every_door
def test_odd_text_is_entered(door, world, call):
    key = world.key(argument_detail="values")
    for text in ("a\0b" if door in ("jsonrpc", "json2") else "a b", "é€𝄞\u202e", "%s %(x)s {0}", "'; DROP TABLE x; --"):
        answer = EXECUTE[door](call(key), "res.partner", "search", domain=[["name", "=", text]], context={text: text})
        assert world.entry(answer)["credential_id"] == key.credential_id


@pytest.mark.parametrize(("agent", "kept"), [
    ("x" * 60_000, "x" * 300), ("\xe9\xff", None), ("", None), ("%s'\"\\", "%s'\"\\")])
def test_odd_user_agent_is_entered_within_bounds(agent, kept, world, call):
    answer = json2(call(world.key()).with_headers({"User-Agent": agent}), "res.users", "context_get")
    entry = world.entry(answer)
    assert entry["outcome"] == "allowed"
    if kept:
        assert entry["user_agent"] == kept


def test_thousands_of_ids_are_counted_and_a_hundred_kept(world, call):
    ids = list(range(1, 5001))
    for execute in EXECUTE.values():
        entry = world.entry(execute(call(world.key()), "res.partner", "exists", ids))
        assert entry["record_count"] == 5000
        assert entry["record_ids"] == ",".join(map(str, range(1, 101)))


# ---------------------------------------------------------------------- append-only


@pytest.mark.parametrize("statement", [
    "UPDATE api_audit_entry SET outcome = 'allowed'",
    "UPDATE api_audit_entry SET login = NULL WHERE id = (SELECT max(id) FROM api_audit_entry)",
    "DELETE FROM api_audit_entry",
    "DELETE FROM api_audit_entry WHERE id = (SELECT min(id) FROM api_audit_entry)",
    "TRUNCATE api_audit_entry",
    "INSERT INTO api_audit_entry SELECT * FROM api_audit_entry LIMIT 1"
    " ON CONFLICT (id, occurred_at, kind) DO UPDATE SET outcome = 'allowed'",
    "MERGE INTO api_audit_entry e USING (SELECT 1) x ON true WHEN MATCHED THEN DELETE",
])
def test_statement_that_changes_an_entry_is_refused(statement, world, call):
    assert json2(call(world.key()), "res.users", "context_get").refusal is None
    before = world.value("SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM api_audit_entry e")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        world.rows(statement)
    assert world.value("SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM api_audit_entry e") == before


@pytest.mark.parametrize("statement", [
    "UPDATE api_audit_entry SET outcome = 'allowed'", "DELETE FROM api_audit_entry", "TRUNCATE api_audit_entry"])
def test_superuser_of_the_cluster_changes_no_entry_either(statement, world, call):
    """Unless they take the trigger away, which is theirs to do and which the documentation says."""
    assert json2(call(world.key()), "res.users", "context_get").refusal is None
    before = world.value("SELECT count(*) FROM api_audit_entry")
    superuser = {} if postgres.is_external() else {"user": "postgres"}
    with world.connection(**superuser) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(f"SET session_replication_role = replica; {statement}")
    assert world.value("SELECT count(*) FROM api_audit_entry") == before


@pytest.mark.parametrize("door", ["json2", "xmlrpc"])
@pytest.mark.parametrize("method", [
    "write", "unlink", "copy", "create", "web_save", "name_create", "load", "action_archive", "toggle_active"])
def test_administrators_program_does_not_touch_an_entry(method, door, world, admin):
    entry = world.entry(json2(admin, "res.users", "context_get"))
    arguments = {
        "write": {"vals": {"outcome": "failed"}}, "unlink": {}, "copy": {}, "action_archive": {}, "toggle_active": {},
        "web_save": {"vals": {"outcome": "failed"}, "specification": {}},
        "create": {"vals_list": [{"request_id": "forged", "outcome": "allowed"}]}, "name_create": {"name": "forged"},
        "load": {"fields": [".id", "outcome"], "data": [[str(entry["id"]), "failed"]]},
    }[method]
    ids = None if method in ("create", "name_create", "load") else [entry["id"]]
    answer = EXECUTE[door](admin, "api.audit.entry", method, ids, **arguments)
    assert world.entries(entry["request_id"]) == [entry]
    assert world.entries("forged") == []
    assert world.entry(answer)["committed"] is (method == "load")
    assert answer.refusal or method == "load"


def test_entry_outlasts_its_user_and_key(world, call):
    [user] = world.web.call("res.users", "create", [{"name": "Leaving", "login": new_name(), "group_ids": [
        (6, 0, [world.value("SELECT res_id FROM ir_model_data WHERE module = 'base' AND name = 'group_user'")])]}])
    key = world.key(uid=user)
    entry = world.entry(json2(call(key), "res.users", "context_get"))
    world.web.call("res.users", "unlink", [user])
    assert world.rows("SELECT * FROM res_users_apikeys WHERE id = %s", key.id) == []
    assert world.entries(entry["request_id"]) == [entry]
    shown = world.web.call("api.audit.entry", "search_read", [("request_id", "=", entry["request_id"])], ["login"])
    assert [row["login"] for row in shown] == [entry["login"]]
    gone = json2(call(key), "res.users", "context_get")
    assert world.entry(gone)["reason"] == "credential.revoked"


def test_log_is_read_by_auditors_and_by_each_user_only_of_themselves(world, call):
    own, others = call(world.key()), call(world.key(uid=world.admin_uid))
    json2(others, "res.users", "context_get")
    seen = json2(own, "api.audit.entry", "search_read", domain=[], fields=["user_id"]).value
    assert {json.dumps(row["user_id"][0]) for row in seen} == {str(world.uid)}
    everybody = json2(others, "api.audit.entry", "search_read", domain=[], fields=["user_id"]).value
    assert {world.uid, world.admin_uid} <= {row["user_id"][0] for row in everybody if row["user_id"]}


# ---------------------------------------------------------------------- a database that lost its connections


@every_door
def test_database_that_cut_all_connections_is_asked_again(door, world, one, call):
    key, refused = world.key(), world.key(networks=[("allow", "10.0.0.0/8")])

    def search(key):
        return EXECUTE[door](call(key), "res.partner", "search_count", domain=[])

    in_every_worker(one, lambda: search(key))
    for expected, caller in ((None, key), ("network.refused", refused)):
        world.rows(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> %s AND backend_type = 'client backend'",
            world.name, world.value("SELECT pg_backend_pid()"))
        for answer in in_every_worker(one, lambda caller=caller: search(caller)):
            assert world.entry(answer)["reason"] == expected
