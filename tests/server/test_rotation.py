"""A key is replaced by its successor, on a real server: by itself, by two workers at once, and under load."""

import json
import os
import stat
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from doors import get, json2, jsonrpc, read_json, send, xmlrpc_2
from world import wait_for

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
DOORS = {"json2": json2, "xmlrpc": xmlrpc_2, "jsonrpc": jsonrpc}


def rotate(caller):
    headers = {"Authorization": f"Bearer {caller.secret}", "X-Odoo-Database": caller.db}
    return read_json(send(caller.url, "/api_guard/v1/key/rotate", b"", headers))


def search(caller, execute=json2):
    return execute(caller, "res.partner", "search_read", domain=[], fields=["name"], limit=1)


def credential(world, credential_id):
    [row] = world.rows("SELECT * FROM api_credential WHERE id = %s", credential_id)
    return row


@pytest.mark.parametrize("by", ["http", "json2", "xmlrpc", "jsonrpc"])
def test_a_key_rotates_itself_and_both_work_until_the_grace_is_over(world, call, by):
    key = world.key(rotation_days=30, grace_hours=1.0, scope={"res.partner": "read"}, read_only=True)
    old = call(key)
    told = rotate(old) if by == "http" else DOORS[by](old, "api.key", "rotate")
    assert told.refusal is None, told.body
    assert (told.value["name"], told.value["predecessor"]["id"]) == (
        credential(world, key.credential_id)["name"], key.credential_id)
    entry = world.entry(told)
    assert (entry["outcome"], entry["committed"]) == ("allowed", True)
    world.secrets.append(told.value["secret"])
    new = old.using(secret=told.value["secret"])

    assert search(old).status == 200  # the successor is not in use yet
    assert credential(world, key.credential_id)["retires_at"] is None
    assert rotate(old).value["secret"] == told.value["secret"]
    for execute in DOORS.values():
        assert search(new, execute).refusal is None
    retired = wait_for(lambda: credential(world, key.credential_id)["succeeded_at"])
    assert (credential(world, key.credential_id)["retires_at"] - retired).total_seconds() == 3600
    again = rotate(old)
    assert (again.value["secret"], again.value["id"]) == (False, told.value["id"])
    assert search(old).status == 200

    world.rows("UPDATE api_credential SET retires_at = now() AT TIME ZONE 'utc' WHERE id = %s", key.credential_id)
    for execute in DOORS.values():
        refused = search(old, execute)
        assert refused.sentence == "The credential was not accepted."
        assert world.entry(refused)["reason"] == "credential.retired"
        assert search(new, execute).refusal is None
    assert rotate(old).status == 401
    successor = credential(world, told.value["id"])
    former = credential(world, key.credential_id)
    assert (successor["policy_id"], successor["user_id"]) == (former["policy_id"], former["user_id"])
    assert successor["lineage_id"] == key.credential_id
    assert former["apikey_id"] == key.id  # its row and its history stay


def test_the_successor_is_held_to_the_same_scope(world, call):
    old = call(world.key(scope={"res.partner": "read"}))
    new = old.using(secret=rotate(old).value["secret"])
    assert json2(new, "res.country", "search_count", domain=[]).status == 403


@pytest.mark.parametrize("script", ["rotate.py", "rotate.sh"])
def test_the_ready_made_clients_rotate(world, call, one, tmp_path, script):
    key = world.key(rotation_days=30, grace_hours=1.0)
    file = tmp_path / "odoo.key"
    file.write_text(key.secret + "\n")
    file.chmod(0o640)
    environment = {**os.environ, "ODOO_URL": one.url, "ODOO_DB": world.name, "ODOO_KEY_FILE": str(file)}
    for _again in range(2):  # the second one is of the successor, and its first use
        before = file.read_text().strip()
        subprocess.run([EXAMPLES / script], env=environment, check=True, capture_output=True)  # noqa: S603
        world.secrets.append(file.read_text().strip())
        assert file.read_text().strip() != before
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert search(call(key).using(secret=file.read_text().strip())).status == 200
    assert search(call(key)).status == 200  # in its grace
    file.write_text(key.secret)  # whoever restores an old file is told
    again = subprocess.run([EXAMPLES / script], env=environment, capture_output=True, text=True)  # noqa: S603
    assert (again.returncode, file.read_text()) == (1, key.secret)
    assert "rotated elsewhere" in again.stderr
    environment["ODOO_KEY_FILE"] = str(tmp_path / "other.key")
    (tmp_path / "other.key").write_text("ag_" + "0" * 36)
    failed = subprocess.run([EXAMPLES / script], env=environment, capture_output=True)  # noqa: S603
    assert failed.returncode != 0
    assert "0" * 36 not in str(failed.stdout + failed.stderr)
    assert (tmp_path / "other.key").read_text() == "ag_" + "0" * 36


def test_a_key_is_told_its_deadline(world, call):
    key = world.key(rotation_days=30)
    told = get(call(key), "/api_guard/v1/me").value
    created = world.value("SELECT create_date FROM res_users_apikeys WHERE id = %s", key.id)
    assert told["rotate_by"] == (created + timedelta(days=30)).isoformat(timespec="seconds") + "+00:00"
    assert any("To be rotated every (days): 30, then refused" in line for line in told["text"])


def test_eight_that_rotate_at_once_get_one_successor(world, call):
    for _attempt in range(3):
        key = world.key()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(rotate, [call(key)] * 8))
        assert {answer.status for answer in answers} == {200}, [answer.body for answer in answers]
        assert len({answer.value["secret"] for answer in answers}) == 1
        assert world.value("SELECT count(*) FROM api_credential WHERE predecessor_id = %s", key.credential_id) == 1


def test_without_a_rotation_policy_a_key_does_not_outlive_its_date(world, call):
    key = world.key()
    until = world.value("SELECT expiration_date FROM res_users_apikeys WHERE id = %s", key.id)
    told = rotate(call(key)).value
    assert told["expires"] == until.isoformat(timespec="seconds") + "+00:00"
    world.expire(key)
    assert rotate(call(key)).status == 401


def test_a_grace_of_zero_ends_the_old_key_with_the_first_use_of_the_new(world, call):
    old = call(world.key(rotation_days=30, grace_hours=0.0))
    new = old.using(secret=rotate(old).value["secret"])
    assert search(old).status == 200
    assert search(new).status == 200
    wait_for(lambda: search(old).status == 401)
    assert search(new).status == 200


def test_a_refused_call_of_the_successor_is_no_first_use(world, call):
    old = call(world.key(rotation_days=30, grace_hours=0.0, scope={"res.partner": "read"}))
    new = old.using(secret=rotate(old).value["secret"])
    assert json2(new, "res.country", "search_count", domain=[]).status == 403
    assert search(old).status == 200


def test_children_change_hands(world, call):
    key = world.key(rotation_days=30, grace_hours=0.0)
    child = world.key()
    world.rows("UPDATE api_credential SET parent_id = %s WHERE id = %s", key.credential_id, child.credential_id)
    told = rotate(call(key)).value
    assert search(call(key).using(secret=told["secret"])).status == 200
    wait_for(lambda: credential(world, child.credential_id)["parent_id"] == told["id"])
    assert search(call(child)).status == 200
    world.web.call("api.credential", "action_suspend", [told["id"]])
    assert search(call(child)).status == 401


@pytest.mark.parametrize("end", ["suspend", "revoke", "expire"])
def test_what_opens_nothing_is_not_rotated(world, call, end):
    key = world.key()
    getattr(world, end)(key)
    refused = rotate(call(key))
    assert refused.status == 401
    assert world.value("SELECT count(*) FROM api_credential WHERE predecessor_id = %s", key.credential_id) == 0


def test_only_a_key_rotates_itself(world, call, one):
    password = call(world.key()).using(secret=world.secrets[1])
    refused = xmlrpc_2(password, "api.key", "rotate")
    assert "Only an API key can rotate itself" in refused.refusal
    assert rotate(password.using(secret="nonsense")).status == 401


def test_a_backup_from_before_a_rotation_knows_the_old_key_again(world, call):
    old = call(world.key(rotation_days=30))
    told = rotate(old).value
    new = old.using(secret=told["secret"])
    assert search(new).status == 200
    world.rows("DELETE FROM res_users_apikeys"
               " WHERE id = (SELECT apikey_id FROM api_credential WHERE id = %s)", told["id"])
    world.rows("UPDATE api_credential SET successor_id = NULL, succeeded_at = NULL, retires_at = NULL WHERE id = %s",
               told["predecessor"]["id"])
    world.rows("DELETE FROM api_credential WHERE id = %s", told["id"])
    unknown = search(new)
    assert world.entry(unknown)["reason"] == "credential.unknown"
    again = rotate(old).value
    assert search(old.using(secret=again["secret"])).status == 200


def test_past_the_deadline_a_key_is_refused_or_noted(world, call):
    for overdue, status in (("refuse", 403), ("flag", 200)):
        key = world.key(rotation_days=30, rotation_overdue=overdue)
        assert search(call(key)).status == 200
        world.rows("UPDATE res_users_apikeys SET create_date = create_date - interval '31 days' WHERE id = %s", key.id)
        late = search(call(key))
        assert late.status == status
        entry = world.entry(late)
        assert entry["reason"] == "lifetime.rotation_overdue"
        assert rotate(call(key)).status == status


def test_a_deadline_for_one_key(world, call):
    key = world.key()
    world.rows("UPDATE api_credential SET rotate_by = now() AT TIME ZONE 'utc' WHERE id = %s", key.credential_id)
    assert world.entry(search(call(key)))["reason"] == "lifetime.rotation_overdue"


def test_a_retired_key_that_is_used_suspends_its_line_if_the_policy_says_so(world, call):
    for reaction, status in (("alert", 200), ("suspend", 401)):
        old = call(world.key(rotation_days=30, grace_hours=0.0, on_retired_use=reaction))
        told = rotate(old).value
        new = old.using(secret=told["secret"])
        assert search(new).status == 200
        wait_for(lambda old=old: search(old).status == 401)
        assert search(new).status == status
        alerts = world.rows("SELECT * FROM api_alert WHERE code = 'key.retired_used' AND credential_id = %s",
                            told["predecessor"]["id"])
        assert [alert["severity"] for alert in alerts] == ["high"]
        assert credential(world, told["id"])["suspension"] == ("family" if reaction == "suspend" else None)


def test_two_workers_through_a_whole_rotation(world, call):
    """Callers who change to the new key one after the other, meanwhile: no call is refused, and none passes later."""
    old = call(world.key(rotation_days=30, grace_hours=1.0))
    changed, stop = [threading.Event() for _ in range(4)], threading.Event()
    new, failed, passed = [], [], [0, 0]

    def hammer(place):
        while not stop.is_set():
            uses_new = changed[place].is_set()
            answer = search(new[0] if uses_new else old, (json2, xmlrpc_2)[place % 2])
            if answer.refusal is not None:
                failed.append((place, uses_new, answer.refusal))
            passed[uses_new] += 1

    threads = [threading.Thread(target=hammer, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    new.append(old.using(secret=rotate(old).value["secret"]))
    for event in changed:
        event.set()
        time.sleep(0.7)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed, failed[:3]
    assert min(passed) > 50, passed
    world.rows("UPDATE api_credential SET retires_at = now() AT TIME ZONE 'utc' WHERE successor_id IS NOT NULL"
               " AND id = (SELECT max(id) FROM api_credential WHERE successor_id IS NOT NULL)")
    late = [search(old, execute) for execute in (json2, xmlrpc_2) for _ in range(20)]
    assert all(answer.refusal for answer in late)


def test_a_stolen_key_that_rotated_itself_is_ended_with_its_successor(world, call):
    for end in (world.suspend, lambda key: send(world.web.url, "/api_guard/v1/leak", json.dumps(
            {"secret": f" {key.secret}:123456 "}).encode(), {"X-Odoo-Database": world.name})):
        key = world.key(rotation_days=30, grace_hours=1.0)
        new = call(key).using(secret=rotate(call(key)).value["secret"])
        assert search(new).status == 200
        end(key)
        assert search(call(key)).status == 401
        assert search(new).status == 401
        assert rotate(new).status == 401


def test_a_code_is_asked_for_a_rotation_by_whatever_door(world, call):
    scope = {"res.partner": "read"}
    demanding = world.policy_values(scope={"api.key": "rotate"})["scope_ids"]
    caller = call(world.key(scope=scope, second_factor_scope_ids=demanding))
    for refused in (rotate(caller), json2(caller, "api.key", "rotate"), xmlrpc_2(caller, "api.key", "rotate")):
        assert refused.sentence == "This call needs a second factor."


def test_what_a_method_deletes_on_its_way_asks_for_a_code(world, call):
    [partner] = world.web.call("res.partner", "create", [{"name": "With an activity"}])
    world.web.call("res.partner", "activity_schedule", [partner], "mail.mail_activity_data_todo")
    demanding = world.policy_values(scope={"mail.activity": "unlink"})["scope_ids"]
    caller = call(world.key(uid=world.admin_uid, second_factor_scope_ids=demanding))
    refused = json2(caller, "res.partner", "activity_unlink", [partner],
                    act_type_xmlids=["mail.mail_activity_data_todo"], only_automated=False)
    assert refused.sentence == "This call needs a second factor."
    assert world.value("SELECT count(*) FROM mail_activity WHERE res_model = 'res.partner' AND res_id = %s", partner)
