"""Does a call that a policy names need a code, at every door, once, and in all workers alike?

Codes are made as a program makes them. Only time passing is written with SQL: a used step becomes a former one.
"""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyotp
import pytest
from doors import Caller, WebClient, json2, jsonrpc, jsonrpc_service, send, xmlrpc_2, xmlrpc_service, xmlrpc_v1
from leaks import leak
from workers import in_every_worker, times
from world import PASSWORD, USER, USER_PASSWORD, wait_for

from dev.layout import DATA

VAULT = DATA / "api_guard" / "vault.key"
SENTENCE = "This call needs a second factor."


def over_header(execute):
    return lambda caller, code, *call, **kwargs: execute(caller.with_headers({"X-API-OTP": code}), *call, **kwargs)


def behind_key(execute):
    def call(caller, code, *call, **kwargs):
        return execute(caller.using(secret=f"{caller.secret}:{code}"), *call, **kwargs)

    return call


#: door: how a program calls with a code
WITH_CODE = {
    "json2": over_header(json2),
    "xmlrpc": behind_key(xmlrpc_2),
    "xmlrpc_v1": behind_key(xmlrpc_v1),
    "jsonrpc": behind_key(jsonrpc),
    "jsonrpc header": over_header(jsonrpc),
}
PLAIN = {"json2": json2, "xmlrpc": xmlrpc_2, "xmlrpc_v1": xmlrpc_v1, "jsonrpc": jsonrpc, "jsonrpc header": jsonrpc}
doors = pytest.mark.parametrize("door", WITH_CODE)


@dataclass(frozen=True)
class Factor:
    """What a program has after its key's second factor was set up."""

    secret: str
    recovery: list

    def code(self, seconds=0):
        return pyotp.TOTP(self.secret).at(time.time() + seconds)


def press(web, model, method, ids, password=PASSWORD, context=None):
    """Press a button that asks for the password, once in ten minutes."""
    shown = web.call(model, method, ids, **({"context": context} if context else {}))
    if shown and shown.get("res_model") == "res.users.identitycheck":
        shown = web.call("res.users.identitycheck", "run_check", [shown["res_id"]], context={"password": password})
    return shown


def set_up(world, key, web=None, password=PASSWORD):
    """Set the second factor of `key` up at the screens; none of its codes was used yet."""
    web = web or world.web
    wizard = press(web, "api.credential", "action_set_up_second_factor", [key.credential_id], password)["res_id"]
    [shown] = web.call("api.second.factor.enroll", "web_read", [wizard], {"secret": {}, "picture": {}, "address": {}})
    assert shown["picture"]
    secret = shown["secret"]
    context = {"code": pyotp.TOTP(secret).now()}
    codes = press(web, "api.second.factor.enroll", "confirm", [wizard], password, context)["context"]["default_codes"]
    world.secrets += [secret, *codes.split("\n")]
    forget_step(world, key)
    return Factor(secret, codes.split("\n"))


def forget_step(world, key):
    world.rows("UPDATE api_second_factor SET last_step = 0 WHERE lineage_id = %s", key.credential_id)


def factor_row(world, key):
    return world.rows("SELECT * FROM api_second_factor WHERE lineage_id = %s", key.credential_id)[0]


def demanding(world, lines, **sections):
    """A key under a policy that demands a code for {model: "operations and methods"}, and whatever else is given."""
    key = world.key()
    scope = world.policy_values(scope=lines)["scope_ids"]
    world.bind(key, world.policy(second_factor_scope_ids=scope, **sections))
    return key


@pytest.fixture(scope="module")
def key(world):
    """Creating and deleting partners needs a code."""
    return demanding(world, {"res.partner": "create unlink"})


@pytest.fixture(scope="module")
def factor(world, key):
    return set_up(world, key)


@pytest.fixture
def fresh(world, key, factor):
    """The second factor of `key`, as if none of its codes was ever used."""
    world.rows("UPDATE api_second_factor SET last_step = 0, failures = 0, locks = 0, locked_until = NULL"
               " WHERE lineage_id = %s", key.credential_id)
    return factor


def create(execute, caller, *code, name="With a code"):
    return execute(caller, *code, "res.partner", "create", vals_list=[{"name": name}])


def refused(world, answer, reason):
    """The answer of a refusal, which tells a caller no more than that a code is needed; its entry."""
    assert answer.sentence == SENTENCE, answer.body
    assert leak(answer) is None
    entry = world.entry(answer)
    assert (entry["outcome"], entry["reason"], entry["committed"]) == ("refused", reason, False)
    return entry


# ---------------------------------------------------------------------- demanded and not


@doors
def test_call_that_needs_a_code_passes_with_one(door, world, key, fresh, call):
    name = f"Proven over {door}"
    refused(world, create(PLAIN[door], call(key), name=name), "second_factor.required")
    refused(world, create(WITH_CODE[door], call(key), fresh.code(-90), name=name), "second_factor.wrong")
    assert world.partners(name) == 0
    answer = create(WITH_CODE[door], call(key), fresh.code(), name=name)
    assert answer.refusal is None, answer.refusal
    assert world.entry(answer)["outcome"] == "allowed"
    refused(world, create(WITH_CODE[door], call(key), fresh.code(), name=name), "second_factor.reused")
    assert world.partners(name) == 1


@doors
def test_call_that_needs_none_uses_none_up(door, world, key, fresh, call):
    for code in ("", fresh.code(), "999999", "no code at all"):
        answer = WITH_CODE[door](call(key), code, "res.country", "search_count", domain=[])
        assert answer.value, answer.refusal
    row = factor_row(world, key)
    assert (row["last_step"], row["failures"]) == (0, 0)


@doors
def test_what_a_policy_demands_costs_no_query_where_no_code_is_needed(door, world, key, fresh, call):
    other = world.key()
    world.bind(other, world.policy())
    queries = []
    for one_key in (key, other):
        for _turn in range(2):  # the first one writes the key's last use
            answer = WITH_CODE[door](call(one_key), fresh.code(), "res.country", "search_count", domain=[])
        queries.append([world.entry(WITH_CODE[door](
            call(one_key), fresh.code(), "res.country", "search_count", domain=[]))["sql_count"] for _turn in range(4)])
    assert answer.value
    assert min(queries[0]) == min(queries[1])


def test_http_says_which_authentication_is_missing(world, key, fresh, call):
    answer = create(json2, call(key))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_user_authentication"'
    assert json.loads(answer.body)["error"] == "insufficient_user_authentication"


def test_refusals_are_told_alike(world, key, fresh, call):
    other = demanding(world, {"res.partner": "create"})
    told = set()
    for caller, code in (
        (call(key), ""), (call(key), "000000x"), (call(key), fresh.code(-3600)), (call(other), fresh.code()),
    ):  # fmt: skip
        answer = create(over_header(json2), caller, code)
        body = {name: text for name, text in json.loads(answer.body).items() if name != "request_id"}
        told.add((answer.status, answer.headers["WWW-Authenticate"], json.dumps(body)))
    assert len(told) == 1


def test_key_without_a_second_factor_is_refused(world, call):
    key = demanding(world, {"res.partner": "create"})
    refused(world, create(json2, call(key)), "second_factor.required")
    for door in WITH_CODE.values():
        refused(world, create(door, call(key), "123456"), "second_factor.not_enrolled")


def test_monitoring_notes_what_would_be_refused(world, call):
    key = demanding(world, {"res.partner": "create"}, mode="monitor")
    answer = create(json2, call(key), name="Monitored")
    assert answer.refusal is None
    assert world.entry(answer)["reason"] == "second_factor.required"
    factor = set_up(world, key)
    answer = create(over_header(json2), call(key), factor.code(), name="Monitored")
    assert world.entry(answer)["reason"] is None
    assert world.entry(create(over_header(json2), call(key), "000000x"))["reason"] == "second_factor.wrong"


def test_code_is_not_used_up_by_a_call_that_is_refused_anyway(world, key, fresh, call):
    narrow = demanding(world, {"res.partner": "create"}, read_only=True)
    factor = set_up(world, narrow)
    answer = create(over_header(json2), call(narrow), factor.code())
    assert world.entry(answer)["reason"] == "scope.read_only"
    assert factor_row(world, narrow)["last_step"] == 0


# ---------------------------------------------------------------------- what is nested


@doors
def test_nested_command_needs_a_code(door, world, call):
    key = demanding(world, {"res.partner": "unlink"})
    factor = set_up(world, key)
    [parent] = world.web.call("res.partner", "create", [{"name": "Parent", "child_ids": [(0, 0, {"name": "Nested"})]}])
    [child] = world.web.call("res.partner", "search", [("parent_id", "=", parent)])
    arguments = {"vals": {"child_ids": [[2, child]]}}
    entry = refused(world, PLAIN[door](call(key), "res.partner", "write", [parent], **arguments),
                    "second_factor.required")
    assert entry["error_message"] == "res.partner: unlink"
    assert world.value("SELECT count(*) FROM res_partner WHERE id = %s", child) == 1
    answer = WITH_CODE[door](call(key), factor.code(), "res.partner", "write", [parent], **arguments)
    assert answer.refusal is None, answer.refusal
    assert world.value("SELECT count(*) FROM res_partner WHERE id = %s", child) == 0


def test_what_a_method_does_on_its_way_needs_a_code(world, call):
    """The call names no line to be deleted: what (5,) empties is only known in the ORM."""
    key = demanding(world, {"res.partner.bank": "unlink write"})
    factor = set_up(world, key)
    [partner] = world.web.call("res.partner", "create", [
        {"name": "Banked", "bank_ids": [(0, 0, {"acc_number": "BE71 0961 2345 6769"})]}])
    vals = {"vals": {"bank_ids": [[5]]}}
    refused(world, json2(call(key), "res.partner", "write", [partner], **vals), "second_factor.required")
    answer = over_header(json2)(call(key), factor.code(), "res.partner", "write", [partner], **vals)
    assert answer.refusal is None, answer.refusal


# ---------------------------------------------------------------------- once, and at its time


@doors
def test_codes_of_the_steps_beside_are_good_and_no_others(door, world, key, fresh, call):
    # near the end of a step the next second is another one: wait for a quiet moment
    wait_for(lambda: 2 < time.time() % 30 < 24, seconds=31)
    for steps, good in ((-2, False), (2, False), (-1, True), (0, True), (1, True)):
        answer = create(WITH_CODE[door], call(key), fresh.code(30 * steps))
        assert (answer.refusal is None) is good, steps


def test_two_workers_with_one_code_let_one_call_pass(world, one, key, fresh, call):
    for turn in range(10):
        forget_step(world, key)
        code, name = fresh.code(), f"Raced {turn}"
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(create, over_header(json2), call(key), code, name=name) for _n in range(4)]
            answers = [one_call.result() for one_call in calls]
        assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]
        assert world.partners(name) == 1
        reasons = sorted(str(world.entry(answer)["reason"]) for answer in answers)
        assert reasons == ["None", *["second_factor.reused"] * 3]


def test_used_code_is_used_in_every_worker(world, one, key, fresh, call):
    code = fresh.code()
    assert create(behind_key(xmlrpc_2), call(key), code).refusal is None
    for answer in in_every_worker(one, lambda: create(behind_key(xmlrpc_2), call(key), code)):
        refused(world, answer, "second_factor.reused")


@doors
def test_clock_that_is_ten_minutes_off_is_told_to_the_log_alone(door, world, key, fresh, call):
    for minutes, told in ((-10, "10 minutes behind"), (10, "10 minutes ahead")):
        answer = create(WITH_CODE[door], call(key), fresh.code(60 * minutes))
        entry = refused(world, answer, "second_factor.wrong")
        assert entry["error_message"].endswith(told)
        assert b"clock" not in answer.body


@doors
def test_texts_that_are_no_codes_are_refused(door, world, key, fresh, call):
    code = fresh.code()
    for text in (code + "0", code[:5], f"-{code[1:]}", f"{code}.0"):
        refused(world, create(WITH_CODE[door], call(key), text), "second_factor.wrong")
    assert create(WITH_CODE[door], call(key), fresh.code()).refusal is None


def test_digits_of_other_scripts_are_no_code(world, key, fresh, call):
    wide = "".join(chr(ord("０") + int(digit)) for digit in fresh.code())
    for door in ("xmlrpc", "jsonrpc"):
        refused(world, create(WITH_CODE[door], call(key), wide), "second_factor.wrong")
    raw = create(over_header(json2), call(key), wide.encode())
    refused(world, raw, "second_factor.wrong")


# ---------------------------------------------------------------------- locked


def test_five_wrong_codes_lock_in_every_worker(world, one, call):
    key = demanding(world, {"res.partner": "create"})
    factor = set_up(world, key)
    answers = times(5, lambda: create(over_header(json2), call(key), "000000x"))
    for answer in answers:
        refused(world, answer, "second_factor.wrong")
    for answer in in_every_worker(one, lambda: create(over_header(json2), call(key), factor.code(), name="Locked")):
        refused(world, answer, "second_factor.locked")
    refused(world, create(behind_key(xmlrpc_2), call(key), factor.recovery[0]), "second_factor.locked")
    assert world.partners("Locked") == 0
    [shown] = world.web.call("api.credential", "web_read", [key.credential_id], {"second_factor_locked_until": {}})
    assert shown["second_factor_locked_until"]
    [alert] = world.rows("SELECT * FROM api_alert WHERE code = 'second_factor.locked' AND credential_id = %s",
                         key.credential_id)
    assert alert["severity"] == "high"

    world.web.call("api.credential", "action_unlock_second_factor", [key.credential_id])
    assert create(over_header(json2), call(key), factor.code(), name="Locked").refusal is None


def test_lock_ends_by_itself_and_the_next_one_is_longer(world, call):
    key = demanding(world, {"res.partner": "create"})
    factor = set_up(world, key)

    def lock():
        for _attempt in range(5):
            create(over_header(json2), call(key), "000000x")
        return world.value("SELECT EXTRACT(EPOCH FROM locked_until - now() AT TIME ZONE 'utc')::float / 60"
                           " FROM api_second_factor WHERE lineage_id = %s", key.credential_id)

    assert lock() == pytest.approx(15, abs=1)
    world.rows("UPDATE api_second_factor SET locked_until = now() AT TIME ZONE 'utc' - interval '1 second'"
               " WHERE lineage_id = %s", key.credential_id)
    assert lock() == pytest.approx(30, abs=1)
    world.rows("UPDATE api_second_factor SET locked_until = now() AT TIME ZONE 'utc' - interval '1 second'"
               " WHERE lineage_id = %s", key.credential_id)
    assert create(over_header(json2), call(key), factor.code()).refusal is None
    assert lock() == pytest.approx(15, abs=1)


def test_guesses_side_by_side_are_all_counted(world, call):
    key = demanding(world, {"res.partner": "create"})
    set_up(world, key)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: create(over_header(json2), call(key), f"{n:06}x"), range(24)))
    reasons = [world.entry(answer)["reason"] for answer in answers]
    assert sorted(reasons) == ["second_factor.locked"] * 19 + ["second_factor.wrong"] * 5
    assert factor_row(world, key)["locks"] == 1


# ---------------------------------------------------------------------- recovery codes


@doors
def test_recovery_code_stands_in_once(door, world, call):
    key = demanding(world, {"res.partner": "create"})
    factor = set_up(world, key)
    spelled = factor.recovery[3].lower().replace("-", "")
    world.secrets.append(spelled)
    assert create(WITH_CODE[door], call(key), spelled).refusal is None
    refused(world, create(WITH_CODE[door], call(key), factor.recovery[3]), "second_factor.wrong")
    assert create(WITH_CODE[door], call(key), factor.code()).refusal is None
    assert len(factor_row(world, key)["recovery"]) == 9


def test_two_workers_with_one_recovery_code_let_one_call_pass(world, call):
    key = demanding(world, {"res.partner": "create"})
    factor = set_up(world, key)
    for code in factor.recovery[:3]:
        with ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(create, over_header(json2), call(key), code) for _n in range(2)]
            answers = [one_call.result() for one_call in calls]
        assert sorted(answer.status for answer in answers) == [200, 401]


# ---------------------------------------------------------------------- keys, passwords, set-up


def test_login_takes_a_code_and_leaves_it_unused(world, one, key, fresh):
    params = (world.name, USER, f"{key.secret}:{fresh.code()}", {})
    for service in (xmlrpc_service, jsonrpc_service):
        answer = service(one.url, "common", "authenticate", *params)
        assert answer.value == world.uid
        assert world.entry(answer)["credential_id"] == key.credential_id
    assert factor_row(world, key)["last_step"] == 0


def test_password_that_holds_a_colon_is_a_password(world, one):
    password = f"{'a1' * 20}:correct horse"
    [uid] = world.web.call("res.users", "create", [{"name": "Colon", "login": "colon", "password": password}])
    for text in (password, "with: a colon"):
        world.web.call("res.users", "write", [uid], {"password": text})
        world.secrets.append(text)
        caller = Caller(one.url, world.name, text, uid)
        for execute in (xmlrpc_2, xmlrpc_v1, jsonrpc):
            assert execute(caller, "res.users", "search_count", domain=[]).refusal is None
        assert xmlrpc_service(one.url, "common", "authenticate", world.name, "colon", text, {}).value == uid


def test_password_has_no_second_factor(world, one):
    policy = world.policy(second_factor_scope_ids=world.policy_values(scope={"res.partner": "create"})["scope_ids"])
    world.web.call("res.users", "write", [world.uid], {"api_policy_id": policy})
    try:
        caller = Caller(one.url, world.name, USER_PASSWORD, world.uid)
        refused(world, create(xmlrpc_2, caller), "second_factor.required")
        header = caller.with_headers({"X-API-OTP": "123456"})
        refused(world, create(xmlrpc_2, header), "second_factor.not_enrolled")
    finally:
        world.web.call("res.users", "write", [world.uid], {"api_policy_id": False})


def test_wrong_key_with_a_code_is_a_wrong_key(world, one):
    caller = Caller(one.url, world.name, f"{'0f' * 20}:123456", world.uid)
    answer = create(xmlrpc_2, caller)
    assert answer.sentence == "The credential was not accepted."
    assert world.entry(answer)["reason"] == "credential.unknown"


def test_owner_sets_it_up_and_a_program_cannot_look_on(world, one, call):
    key = demanding(world, {"res.partner": "create"})
    web = WebClient(one.url, world.name, USER, USER_PASSWORD)
    wizard = press(web, "api.credential", "action_set_up_second_factor", [key.credential_id], USER_PASSWORD)["res_id"]
    for execute in (json2, xmlrpc_2):
        for method, values in (("read", {"fields": ["secret"]}), ("web_read", {"specification": {"secret": {}}})):
            answer = execute(call(key), "api.second.factor.enroll", method, [wizard], **values)
            assert answer.refusal, answer.value
        assert execute(call(key), "api.second.factor.enroll", "confirm", [wizard]).refusal
        for action in ("action_set_up_second_factor", "action_remove_second_factor", "action_unlock_second_factor"):
            assert execute(call(key), "api.credential", action, [key.credential_id]).refusal
    factor = set_up(world, key, web, USER_PASSWORD)
    assert create(over_header(json2), call(key), factor.code()).refusal is None
    assert web.ask("api.credential", "action_unlock_second_factor", [key.credential_id]).refusal
    press(web, "api.credential", "action_remove_second_factor", [key.credential_id], USER_PASSWORD)
    refused(world, create(over_header(json2), call(key), factor.code()), "second_factor.not_enrolled")


def test_owner_without_two_factors_makes_no_key_where_a_policy_wants_them(world):
    world.minted(world.web, PASSWORD, "before")  # the password is asked for once
    strict = world.policy(require_mfa=True)
    before = world.value("SELECT count(*) FROM res_users_apikeys")
    [wizard] = world.web.call("res.users.apikeys.description", "create", [
        {"name": "x", "duration": "1", "policy_id": strict}])
    answer = world.web.ask("res.users.apikeys.description", "make_key", [wizard])
    assert "two-factor authentication" in answer.refusal
    assert "My Preferences" in answer.refusal  # auth_totp is installed: the way out is the user's own
    assert world.value("SELECT count(*) FROM res_users_apikeys") == before


def test_caller_is_shown_what_needs_a_code(world, one, key, call):
    answer = send(one.url, "/api_guard/v1/me", headers={
        "Authorization": f"Bearer {key.secret}", "X-Odoo-Database": world.name})
    sections = {row["section"]: row["values"] for row in json.loads(answer.body)["restrictions"]}
    assert sections["second_factor"] == ["res.partner: create, unlink"]


# ---------------------------------------------------------------------- the vault


def test_without_the_vaults_key_no_code_is_taken(world, key, fresh, call):
    kept = VAULT.read_text()

    def unreadable():
        answer = create(over_header(json2), call(key), fresh.code())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        assert leak(answer) is None
        assert world.entry(answer)["reason"] == "guard.vault_unreadable"
        assert json2(call(key), "res.country", "search_count", domain=[]).value  # what needs no code goes on

    try:
        VAULT.chmod(0o644)
        unreadable()
        VAULT.chmod(0o600)
        VAULT.write_text("ab" * 32)
        unreadable()
        assert not create(over_header(json2), call(key), fresh.recovery[9]).refusal  # it needs no vault
        VAULT.unlink()
        unreadable()
        assert not VAULT.exists()
    finally:
        VAULT.touch(0o600)
        VAULT.write_text(kept)
        VAULT.chmod(0o600)
    assert create(over_header(json2), call(key), fresh.code()).refusal is None


def test_vaults_key_changes_while_programs_call(world, one, key, fresh, call):
    kept = VAULT.read_text()
    try:
        VAULT.write_text("cd" * 32 + "\n" + kept)
        settings = world.web.call("res.config.settings", "create", [{}])
        world.web.call("res.config.settings", "action_api_guard_reseal", settings)
        VAULT.write_text("cd" * 32)
        assert create(over_header(json2), call(key), fresh.code()).refusal is None
    finally:
        VAULT.write_text("cd" * 32 + "\n" + kept)  # other tests' secrets were sealed anew, too


# ---------------------------------------------------------------------- repeated by Odoo, and what is kept


def test_repetitions_of_one_request_use_one_code(world, key, fresh, call):
    """A call that loses a race is run again by Odoo: the code that its first run used up is good for the next one."""
    racing = demanding(world, {"res.partner": "write"})
    factor = set_up(world, racing)
    [partner] = world.web.call("res.partner", "create", [{"name": "Raced for"}])
    holder = world.connection()
    with holder.cursor() as cursor:
        cursor.execute("UPDATE res_partner SET comment = 'held' WHERE id = %s", [partner])
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(
                over_header(json2), call(racing), factor.code(), "res.partner", "write", [partner],
                vals={"comment": "won"})
            wait_for(lambda: world.value(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
                '%UPDATE "res_partner"%'))
            holder.commit()  # the call meets a concurrent update and is repeated
            answer = answer.result()
    holder.close()
    assert answer.refusal is None, answer.refusal
    assert world.value("SELECT comment FROM res_partner WHERE id = %s", partner).find("won") >= 0
    assert factor_row(world, racing)["failures"] == 0


def test_no_code_and_no_secret_is_kept(world, one, key, fresh, call):
    code = fresh.code()
    telling = demanding(world, {"res.partner": "create"}, argument_detail="values")
    factor = set_up(world, telling)
    codes = [code, factor.code()]
    create(behind_key(xmlrpc_2), call(key), code, name=f"Tells {code}")
    create(over_header(json2), call(telling), factor.code(), name=f"Tells {factor.code()}")
    create(behind_key(jsonrpc), call(telling), factor.code(30), name=f"Tells {factor.code(30)}")
    kept = [str(dict(row)) for row in world.rows(
        "SELECT e.arguments, e.error_message, e.route, e.user_agent, e.credential_name FROM api_audit_entry e")]
    kept += [str(dict(row)) for row in world.rows("SELECT * FROM api_second_factor")]
    kept.append(one.log())
    for text in (*codes, factor.secret, *factor.recovery, fresh.secret):
        # by itself: six digits stand by chance within request ids and times
        alone = re.compile(rf"(?<![0-9a-f.]){re.escape(text)}(?![0-9a-f])")
        assert not [row for row in kept if alone.search(row)], text


def test_caller_cannot_take_a_word_of_its_entry_away(world, key, fresh, call):
    answer = over_header(json2)(call(key), "res.country", "res.country", "search_count", domain=[])
    assert world.entry(answer)["model"] == "res.country"
    answer = create(over_header(json2), call(key), "res.partner")
    assert world.entry(answer)["model"] == "res.partner"
