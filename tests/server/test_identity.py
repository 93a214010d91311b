"""Who is asking, and may a program change the answer? Secrets side by side, keys made by keys, the guard's rules."""

import time
import xmlrpc.client
from types import SimpleNamespace

import pytest
from doors import (
    ACCESS_ERROR,
    Caller,
    WebClient,
    json2,
    jsonrpc,
    read_xmlrpc,
    send,
    xmlrpc_2,
    xmlrpc_service,
    xmlrpc_v1,
)
from workers import in_every_worker
from world import PASSWORD, USER, USER_PASSWORD

EXECUTE = {"xmlrpc": xmlrpc_2, "xmlrpc_v1": xmlrpc_v1, "jsonrpc": jsonrpc, "json2": json2}
REJECTED = "The credential was not accepted."
FORBIDDEN = "The policy of this credential does not allow this call."
OUT_OF_SCOPE = "The scope of this credential does not cover this call."


def count(execute, caller):
    return execute(caller, "res.partner", "search_count", domain=[])


# ---------------------------------------------------------------------- passwords are not told apart


@pytest.mark.parametrize("door", EXECUTE)
@pytest.mark.parametrize("method", ["authenticate", "_login", "_check_credentials", "_check_uid_passwd"])
def test_users_password_cannot_be_tried_through_a_method(method, door, world, one, call):
    key, told = world.key(uid=world.admin_uid), set()
    for password in (USER_PASSWORD, "wrong"):
        credential = {"type": "password", "login": USER, "password": password}
        answer = EXECUTE[door](
            call(key), "res.users", method, [], credential=credential, user_agent_env={"interactive": False})
        assert answer.refusal
        assert answer.value is None
        entry = world.entry(answer)
        assert (entry["outcome"], entry["committed"]) == ("failed", False)
        told.add((answer.status, answer.sentence))
    assert len(told) == 1


def test_what_a_client_says_of_its_environment_is_not_believed(world, one):
    key = world.key(uid=world.admin_uid)
    evil = {"base_location": "http://evil.example", "REMOTE_ADDR": "192.0.2.66", "interactive": True}
    for secret in (key.secret, PASSWORD):
        answer = xmlrpc_service(one.url, "common", "authenticate", world.name, "admin", secret, evil)
        assert answer.value == world.admin_uid
        assert world.entry(answer)["peer"] == "127.0.0.1"
    assert "evil" not in world.value("SELECT value FROM ir_config_parameter WHERE key = 'web.base.url'")


def test_key_beside_the_session_of_another_user_is_refused(world, one, call):
    cookie = WebClient(one.url, world.name, "admin", PASSWORD).cookie
    answer = json2(
        call(world.key()).with_headers({"Cookie": cookie}), "res.partner", "create", vals_list=[{"name": "Two people"}])
    assert answer.refusal
    assert answer.status in (401, 403)
    assert world.entry(answer)["outcome"] in ("refused", "failed")
    assert not world.partners("Two people")


def test_key_beside_the_session_of_its_own_user_decides(world, one, call):
    cookie = WebClient(one.url, world.name, USER, USER_PASSWORD).cookie
    key = world.key(scope={"res.country": "read"})
    answer = count(json2, call(key).with_headers({"Cookie": cookie}))
    assert answer.sentence == OUT_OF_SCOPE
    assert world.entry(answer)["credential_kind"] == "key"


# ---------------------------------------------------------------------- a key made with a key


def mint(caller, password, duration="1", **values):
    """Make a key through JSON-2 as a program would (weakness W11); the answer of the last step, whose value is it."""
    model = "res.users.apikeys.description"
    answer = json2(caller, model, "create", vals_list=[{"name": "minted", "duration": duration, **values}])
    if answer.refusal:
        return answer
    answer = json2(caller, model, "make_key", answer.value)
    if answer.refusal:
        return answer
    assert answer.value["res_model"] == "res.users.identitycheck"
    return json2(
        caller, "res.users.identitycheck", "run_check", [answer.value["res_id"]], context={"password": password})


def child_of(caller, password, **values):
    answer = mint(caller, password, **values)
    assert answer.refusal is None, answer.refusal
    return answer.value["context"]["default_key"]


def refusal_of(world, answer):
    assert answer.sentence in (REJECTED, FORBIDDEN, OUT_OF_SCOPE)
    return world.entry(answer)["reason"]


def test_child_key_may_no_more_than_its_parent(world, one, call):
    parent = world.key(doors=["json2"], scope={
        "res.partner": "read", "res.users.apikeys.description": "create make_key",
        "res.users.identitycheck": "run_check",
    })
    child = call(parent).using(secret=child_of(call(parent), USER_PASSWORD))
    grandchild = child.using(secret=child_of(child, USER_PASSWORD))
    for caller in (child, grandchild):
        assert count(json2, caller).refusal is None
        assert refusal_of(world, count(xmlrpc_2, caller)) == "door.refused"
        refused = json2(caller, "res.partner", "create", vals_list=[{"name": "By a child"}])
        assert refusal_of(world, refused) == "scope.not_covered"
    assert not world.partners("By a child")

    world.bind(parent, world.policy(networks=[("allow", "10.0.0.0/8")]))  # narrower, and all at once for all
    assert {refusal_of(world, count(json2, caller)) for caller in (child, grandchild)} == {"network.refused"}


@pytest.mark.parametrize("ending", ["revoke", "suspend", "expire"])
def test_child_key_ends_with_its_parent(ending, world, call):
    parent = world.key(uid=world.admin_uid)
    caller = call(parent)
    child = caller.using(secret=child_of(caller, PASSWORD, duration="0"))  # one that never expires by itself
    grandchild = caller.using(secret=child_of(child, PASSWORD, duration="0"))
    assert {count(execute, child).refusal for execute in EXECUTE.values()} == {None}
    getattr(world, ending)(parent)
    for caller in (child, grandchild):
        for execute in EXECUTE.values():
            assert refusal_of(world, count(execute, caller)) == "credential.parent_inactive"


def test_child_key_cannot_be_given_a_policy_that_the_user_may_not_choose(world, call):
    wide = world.policy()
    answer = mint(call(world.key(argument_detail="none")), USER_PASSWORD, policy_id=wide)
    assert answer.refusal
    assert answer.value is None
    assert world.entry(answer)["outcome"] in ("failed", "refused")


def test_child_key_needs_the_password(world, call):
    before = world.value("SELECT count(*) FROM res_users_apikeys")
    key = world.key()
    answer = mint(call(key), "wrong password")
    assert answer.refusal
    assert answer.value is None
    assert world.value("SELECT count(*) FROM res_users_apikeys") == before + 1  # ours


def test_scope_that_does_not_name_the_wizard_makes_no_key(world, call):
    before = world.value("SELECT count(*) FROM res_users_apikeys")
    answer = mint(call(world.key(scope={"*": "read write create unlink make_key run_check"})), USER_PASSWORD)
    assert refusal_of(world, answer) == "scope.protected"
    assert world.value("SELECT count(*) FROM res_users_apikeys") == before + 1


@pytest.mark.parametrize("wait", [0, 0.5])
def test_rights_taken_away_before_a_call_has_arrived_are_gone(wait, world, one, call):
    """The guard leaves out Odoo's second look at what other workers changed, and no change with it."""
    key = world.key()
    [group] = world.web.call("ir.model.data", "search_read", [
        ("module", "=", "base"), ("name", "=", "group_partner_manager")], ["res_id"])
    names = {"name": "made with rights that were taken away"}
    body = xmlrpc.client.dumps(
        (world.name, key.uid, key.secret, "res.partner", "create", [names], {}), "execute_kw").encode()

    def arrive_late():
        """The header is there; the rights change; then the body comes."""
        if wait:
            time.sleep(wait)
            change(3)
            time.sleep(wait)
        yield body

    def change(command):
        world.web.call("res.users", "write", [world.uid], {"group_ids": [(command, group["res_id"])]})

    allowed = in_every_worker(one, lambda: xmlrpc_2(call(key), "res.partner", "create", vals_list=[names]))
    assert {answer.refusal for answer in allowed} == {None}
    try:
        if not wait:
            change(3)
        answer = read_xmlrpc(send(one.url, "/xmlrpc/2/object", arrive_late(), {
            "Content-Type": "text/xml", "Content-Length": str(len(body))}))
    finally:
        change(4)
    assert answer.code == ACCESS_ERROR
    assert world.entry(answer)["error_class"] == "AccessError"


def test_key_is_made_over_http_only(world, call):
    wizard = json2(call(world.key()), "res.users.apikeys.description", "create", vals_list=[
        {"name": "over RPC", "duration": "1"}])
    for execute in (xmlrpc_2, jsonrpc):
        answer = execute(call(world.key()), "res.users.apikeys.description", "make_key", wizard.value)
        assert "HTTP" in answer.refusal


# ---------------------------------------------------------------------- programs do not configure the guard


@pytest.fixture
def rules(world):
    """A policy in use by a key and by the user, with a scope and a network: what an attacker would lift."""
    policy, key = world.policy(scope={"res.country": "read"}, networks=[("allow", "10.0.0.0/8")]), world.key()
    scope = world.value("SELECT api_scope_id FROM api_policy_api_scope_rel WHERE api_policy_id = %s", policy)
    world.bind(key, policy)
    world.web.call("res.users", "write", [world.uid], {"api_policy_id": policy})
    yield SimpleNamespace(
        policy=policy, key=key, user=world.uid, scope=scope,
        line=world.value("SELECT id FROM api_scope_line WHERE scope_id = %s", scope),
        network=world.value("SELECT id FROM api_policy_network WHERE policy_id = %s", policy),
        parameter=world.value("SELECT id FROM ir_config_parameter WHERE key = 'api_guard.trusted_proxies'"),
        partner=world.value("SELECT partner_id FROM res_users WHERE id = %s", world.uid),
        group=world.value("SELECT res_id FROM ir_model_data WHERE module = 'api_guard' AND name = 'group_manager'"),
    )
    world.web.call("res.users", "write", [world.uid], {"api_policy_id": False})


_TABLES = (
    "api_policy", "api_policy_network", "api_scope", "api_scope_line", "api_policy_api_scope_rel",
    "api_door_api_policy_rel",
)
_SETTINGS = "SELECT key, value FROM ir_config_parameter WHERE key LIKE 'api_guard.%' ORDER BY 1"


def configuration(world):
    """All that configures the guard, to be compared."""
    state = {table: world.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in _TABLES}  # noqa: S608 - ours
    state["keys"] = world.rows("SELECT id, policy_id, state, parent_id, apikey_id FROM api_credential ORDER BY id")
    state["users"] = world.rows("SELECT id, api_policy_id FROM res_users ORDER BY id")
    state["settings"] = world.rows(_SETTINGS)
    return state


_LIFT = {"mode": "monitor"}
#: route → (model, method, arguments by name, of which `ids` name the records), made for the `rules`
ROUTES = {
    "policy written": lambda r: ("api.policy", "write", {"ids": [r.policy], "vals": _LIFT}),
    "policy saved": lambda r: ("api.policy", "web_save", {"ids": [r.policy], "vals": _LIFT, "specification": {}}),
    "policy created": lambda r: ("api.policy", "create", {"vals_list": [{"name": "mine"}]}),
    "policy copied": lambda r: ("api.policy", "copy", {"ids": [r.policy]}),
    "policy deleted": lambda r: ("api.policy", "unlink", {"ids": [r.policy]}),
    "policy archived": lambda r: ("api.policy", "action_archive", {"ids": [r.policy]}),
    "policy loaded": lambda r: (
        "api.policy", "load", {"fields": [".id", "mode"], "data": [[str(r.policy), "monitor"]]}),
    "policy named": lambda r: ("api.policy", "name_create", {"name": "mine"}),
    "policy's networks": lambda r: (
        "api.policy", "write", {"ids": [r.policy], "vals": {"network_ids": [[5, 0, 0]]}}),
    "network deleted": lambda r: ("api.policy.network", "unlink", {"ids": [r.network]}),
    "network written": lambda r: ("api.policy.network", "write", {"ids": [r.network], "vals": {"network": "::/0"}}),
    "scope written": lambda r: ("api.scope", "write", {"ids": [r.scope], "vals": {"policy_ids": [[5, 0, 0]]}}),
    "scope line written": lambda r: ("api.scope.line", "write", {"ids": [r.line], "vals": {"model_pattern": "*"}}),
    "scope line made": lambda r: (
        "api.scope.line", "create", {"vals_list": [{"scope_id": r.scope, "model_pattern": "*"}]}),
    "scope lines loaded": lambda r: (
        "api.scope.line", "load", {"fields": [".id", "model_pattern"], "data": [[str(r.line), "*"]]}),
    "key unbound": lambda r: (
        "api.credential", "write", {"ids": [r.key.credential_id], "vals": {"policy_id": False}}),
    "key suspended": lambda r: ("api.credential", "action_suspend", {"ids": [r.key.credential_id]}),
    "key revoked": lambda r: ("api.credential", "action_revoke", {"ids": [r.key.credential_id]}),
    "user unbound": lambda r: ("res.users", "write", {"ids": [r.user], "vals": {"api_policy_id": False}}),
    "user saved": lambda r: (
        "res.users", "web_save", {"ids": [r.user], "vals": {"api_policy_id": False}, "specification": {}}),
    "user loaded": lambda r: (
        "res.users", "load", {"fields": [".id", "api_policy_id/.id"], "data": [[str(r.user), ""]]}),
    "user made": lambda r: ("res.users", "create", {"vals_list": [
        {"name": "x", "login": "made-by-a-program", "api_policy_id": r.policy}]}),
    "user through partner": lambda r: ("res.partner", "write", {
        "ids": [r.partner], "vals": {"user_ids": [[1, r.user, {"api_policy_id": False}]]}}),
    "user through group": lambda r: ("res.groups", "write", {
        "ids": [r.group], "vals": {"user_ids": [[1, r.user, {"api_policy_id": False}]]}}),
    "setting set": lambda r: (
        "ir.config_parameter", "set_param", {"key": "api_guard.trusted_proxies", "value": "0.0.0.0/0"}),
    "setting removed": lambda r: (
        "ir.config_parameter", "set_param", {"key": "api_guard.trusted_proxies", "value": False}),
    "setting created": lambda r: ("ir.config_parameter", "create", {"vals_list": [
        {"key": "api_guard.debug_errors", "value": "True"}]}),
    "setting created by a default": lambda r: ("ir.config_parameter", "create", {
        "vals_list": [{"value": "True"}], "context": {"default_key": "api_guard.debug_errors"}}),
    "user made by a default": lambda r: ("res.users", "create", {
        "vals_list": [{"name": "x", "login": "made-by-a-default"}], "context": {"default_api_only": True}}),
    "setting written": lambda r: (
        "ir.config_parameter", "write", {"ids": [r.parameter], "vals": {"value": "0.0.0.0/0"}}),
    "setting renamed": lambda r: ("ir.config_parameter", "write", {"ids": [r.parameter], "vals": {"key": "else"}}),
    "setting deleted": lambda r: ("ir.config_parameter", "unlink", {"ids": [r.parameter]}),
    "setting saved": lambda r: (
        "ir.config_parameter", "web_save", {"ids": [r.parameter], "vals": {"value": "::/0"}, "specification": {}}),
    "setting loaded": lambda r: ("ir.config_parameter", "load", {
        "fields": [".id", "value"], "data": [[str(r.parameter), "0.0.0.0/0"]]}),
}
_QUIET = {name for name in ROUTES if name.endswith("loaded")}  # `load` answers with messages, whatever was raised


def route_call(execute, caller, route):
    model, method, arguments = route
    arguments = dict(arguments)
    return execute(caller, model, method, arguments.pop("ids", None), **arguments)


@pytest.mark.parametrize("door", ["json2", "xmlrpc"])
@pytest.mark.parametrize("name", ROUTES)
def test_program_does_not_change_the_guards_configuration(name, door, world, rules, call):
    caller, before = call(world.key(uid=world.admin_uid)), configuration(world)
    answer = route_call(EXECUTE[door], caller, ROUTES[name](rules))
    assert changed(before, configuration(world)) == {}
    entry = world.entry(answer)
    if name not in _QUIET:
        assert answer.sentence == OUT_OF_SCOPE
        told = (entry["outcome"], entry["reason"], entry["committed"])
        assert told == ("refused", "scope.guard_configuration", False)


def changed(before, after):
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


def test_settings_page_is_closed_to_programs(world, rules, call):
    caller, before = call(world.key(uid=world.admin_uid)), configuration(world)
    for execute in (json2, xmlrpc_2):
        settings = execute(caller, "res.config.settings", "create", vals_list=[
            {"api_guard_refuse_rpc_passwords": True, "api_guard_trusted_proxies": "0.0.0.0/0"}])
        if settings.refusal is None:
            settings = execute(caller, "res.config.settings", "execute", settings.value)
        assert settings.sentence == OUT_OF_SCOPE
        assert world.entry(settings)["reason"] == "scope.guard_configuration"
    assert changed(before, configuration(world)) == {}


def test_import_of_a_file_changes_no_configuration(world, rules, call):
    caller, before = call(world.key(uid=world.admin_uid)), configuration(world)
    content = f"id,mode\n{rules.policy},monitor\n"
    [wizard] = json2(caller, "base_import.import", "create", vals_list=[
        {"res_model": "api.policy", "file": content, "file_name": "x.csv", "file_type": "text/csv"}]).value
    options = {"quoting": '"', "separator": ",", "has_headers": True}
    answer = json2(caller, "base_import.import", "execute_import", [wizard], fields=[".id", "mode"],
                   columns=["id", "mode"], options=options)
    assert changed(before, configuration(world)) == {}
    assert world.entry(answer)["outcome"] in ("allowed", "refused", "failed")


def test_action_that_writes_records_changes_no_configuration(world, rules, call):
    """An action that runs code of its own is a limit that the documentation states; one that writes is not."""
    caller, before = call(world.key(uid=world.admin_uid)), configuration(world)
    model = world.value("SELECT id FROM ir_model WHERE model = 'api.policy'")
    field = world.value("SELECT id FROM ir_model_fields WHERE model = 'api.policy' AND name = 'mode'")
    selection = world.value("SELECT id FROM ir_model_fields_selection WHERE field_id = %s AND value = 'monitor'", field)
    [action] = world.web.call("ir.actions.server", "create", [{
        "name": "lift", "model_id": model, "state": "object_write", "update_path": "mode",
        "selection_value": selection, "evaluation_type": "value",
    }])
    context = {"active_model": "api.policy", "active_id": rules.policy, "active_ids": [rules.policy]}
    answer = json2(caller, "ir.actions.server", "run", [action], context=context)
    assert changed(before, configuration(world)) == {}
    assert answer.sentence == OUT_OF_SCOPE
    assert world.entry(answer)["reason"] == "scope.guard_configuration"


@pytest.mark.parametrize("door", ["json2", "xmlrpc"])
def test_scope_that_names_the_model_does_not_let_a_program_configure(door, world, rules, call):
    key = world.key(uid=world.admin_uid, scope={"api.policy": "read write"})
    before = configuration(world)
    assert EXECUTE[door](call(key), "api.policy", "read", [rules.policy], fields=["name"]).refusal is None
    answer = EXECUTE[door](call(key), "api.policy", "write", [rules.policy], vals=_LIFT)
    assert answer.sentence == OUT_OF_SCOPE
    assert world.entry(answer)["reason"] == "scope.guard_configuration"
    assert changed(before, configuration(world)) == {}


def test_program_with_a_password_is_a_program_too(world, rules, one):
    before = configuration(world)
    admin = Caller(one.url, world.name, PASSWORD, world.admin_uid)
    by_password = xmlrpc_2(admin, "api.policy", "write", [rules.policy], vals=_LIFT)
    assert by_password.sentence == OUT_OF_SCOPE
    assert changed(before, configuration(world)) == {}


def test_every_key_has_a_companion_however_it_was_made(world, one, call):
    """The mail plugin makes keys of its own; whatever makes one, it is known to the guard."""
    web = WebClient(one.url, world.name, USER, USER_PASSWORD)
    key = world.minted(web, USER_PASSWORD, "from the screens")
    assert world.value("SELECT state FROM api_credential WHERE id = %s", key.credential_id) == "active"
    assert world.value("SELECT parent_id FROM api_credential WHERE id = %s", key.credential_id) is None
    assert world.rows("SELECT 1 FROM res_users_apikeys k WHERE NOT EXISTS"
                      " (SELECT 1 FROM api_credential c WHERE c.apikey_id = k.id)") == []
    assert count(json2, call(key)).refusal is None
