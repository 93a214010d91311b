"""One Odoo is the witness of another, each on its own server; and a database is restored from an older backup."""

import json
import os
import subprocess
from hashlib import sha256

import pytest
import world as worlds
from doors import json2, send
from test_receipts import public_key, run_job, search

from dev import postgres
from dev.harness import Server, drop_db, psql
from dev.layout import DATA


@pytest.fixture(scope="module")
def other():
    """The witness: a database and a server of its own."""
    database = worlds.make_world("witness")
    with Server(database.name, workers=1, gevent=False) as server:
        database.open(server.url)
        yield database
    database.drop()


def bot_of(database):
    """A key there that may hand over checkpoints, and nothing else."""
    [group] = database.rows("SELECT res_id FROM ir_model_data WHERE module = 'api_guard' AND name = 'group_witness'")
    groups = [(6, 0, [group["res_id"], database.web.call("ir.model.data", "search_read", [
        ("module", "=", "base"), ("name", "=", "group_user")], ["res_id"])[0]["res_id"]])]
    [uid] = database.web.call("res.users", "create", [
        {"name": "Bot", "login": f"bot {os.urandom(4).hex()}", "group_ids": groups}])
    return database.key(uid, scope={"api.witness": "witness"})


def told(database):
    [row] = database.rows("SELECT * FROM api_audit_witnessed")
    return row


def grow(world, caller):
    search(caller)
    run_job(world, "cron_seal")
    run_job(world, "cron_witness")


def add(world, **values):
    [witness] = world.web.call("api.audit.witness", "create", [{"name": "w", **values}])
    return witness


def state(world, witness):
    names = ["state", "last_error", "delivered_number", "behind", "secret"]
    [row] = world.web.call("api.audit.witness", "read", [witness], names)
    return row


def test_two_odoos_and_a_restored_backup(world, call, other):
    caller, bot = call(world.key()), bot_of(other)
    witness = add(world, kind="odoo", url=other.web.url, database=other.name, secret=bot.secret)
    lines = DATA / "api_guard" / "witness" / f"{world.name}.jsonl"
    add(world, kind="file", path=lines.name)
    for _checkpoint in range(2):
        grow(world, caller)
    found = state(world, witness)
    assert (found["state"], found["last_error"], found["secret"]) == ("fine", False, False)
    log = told(other)
    assert (log["number"], log["refusal"], log["is_trusted_unseen"]) == (found["delivered_number"], None, True)
    assert log["public_key"] == public_key(caller)
    for line in lines.read_text().splitlines():
        assert json.loads(line)["public_key"] == public_key(caller)

    # the bot may do nothing else, and nobody else may do this
    there = caller.using(url=other.web.url, db=other.name, secret=bot.secret)
    assert json2(there, "res.partner", "search_count", domain=[]).status == 403
    assert json2(there, "api.audit.witnessed", "search_read", domain=[]).status == 403
    plain = there.using(secret=other.key().secret)
    assert json2(plain, "api.witness", "witness", checkpoint={}, proof={}).status in (401, 403)

    environment = {**os.environ, **postgres.client_environment()}
    dump = subprocess.run(  # noqa: S603
        [postgres.program("pg_dump"), "--no-owner", "--format=custom", world.name],
        env=environment, capture_output=True, check=True)
    for _checkpoint in range(3):
        grow(world, caller)
    before = told(other)
    assert before["number"] == log["number"] + 3

    restored = _restore(world, dump.stdout, environment)
    try:
        run_job(restored, "cron_seal")
        [last] = restored.rows("SELECT * FROM api_audit_checkpoint ORDER BY number DESC LIMIT 1")
        assert last["note"].startswith(f"restored; before: checkpoint {before['number']} ")
        assert [row["count"] for row in restored.rows("SELECT * FROM api_alert WHERE code = 'log.restored'")] == [1]
        run_job(restored, "cron_witness")
        assert state(restored, witness)["state"] == "failing"
        assert "Start anew" in state(restored, witness)["last_error"]
        after = told(other)
        assert (after["number"], after["body"], after["refusal"]) == (before["number"], before["body"], "rolled_back")
        assert len(other.rows("SELECT * FROM api_alert WHERE code = 'log.forked'")) == 1
        assert len(restored.rows("SELECT * FROM api_alert WHERE code = 'log.disputed'")) == 1

        other.web.call("api.audit.witnessed", "action_start_anew", [after["id"]])
        restored.web.call("api.audit.witness", "action_test", [witness])
        assert told(other)["refusal"] is None
        assert told(other)["number"] == last["number"]
    finally:
        restored.stop()


class _Restored(worlds.Database):
    """The database again, at its own name, with a server of its own."""

    def stop(self):
        self.server.stop()
        self.drop()


def _restore(world, dump, environment):
    """At the same name on a server that has the same data folder: under another one, it would be a copy."""
    name = f"{worlds.PREFIX}_older"
    drop_db(name)
    psql("postgres", f'CREATE DATABASE "{name}" TEMPLATE template0')
    subprocess.run(  # noqa: S603
        [postgres.program("pg_restore"), "--no-owner", "--dbname", name], env=environment, input=dump,
        capture_output=True, check=True)
    database = _Restored(name)
    # what `DROP DATABASE` and a restore at the same name would come to, without taking the other tests' world away
    heads = DATA / "api_guard" / "heads"
    marks = [sha256(text.encode()).hexdigest()[:12] for text in (world.name, name)]
    for file in heads.glob(f"*.{marks[0]}.json"):
        (heads / file.name.replace(*marks)).write_bytes(file.read_bytes())
    database.rows("UPDATE ir_config_parameter SET value = %s WHERE key = 'api_guard.database_name'", name)
    database.server = Server(name, workers=1, gevent=False).start()
    database.web = worlds.WebClient(database.server.url, name, worlds.ADMIN, worlds.PASSWORD)
    return database


def test_no_file_of_the_server_is_reached(world):
    for path in ("../vault.key", "/etc/passwd", "../../x.jsonl"):
        answer = world.web.ask("api.audit.witness", "create", [{"name": "w", "kind": "file", "path": path}])
        assert "not allowed" in answer.refusal


def test_a_program_makes_no_witness(world, call):
    caller = call(world.key(uid=world.admin_uid))
    refused = json2(caller, "api.audit.witness", "create", vals_list=[{"name": "w", "kind": "file", "path": "w.jsonl"}])
    assert world.entry(refused)["reason"] == "scope.guard_configuration"
    assert send(caller.url, "/api_guard/v1/log").status == 401
