"""A database that was dumped and restored under another name, on a real server: whose keys work in it?"""

import os
import subprocess

import pytest
import world as worlds
from doors import Caller, WebClient, json2, xmlrpc_2
from world import ADMIN, PASSWORD, Database

from dev import postgres
from dev.harness import drop_db, psql

NAME = f"{worlds.PREFIX}_restored"


@pytest.fixture(scope="module")
def restored(world):
    """The guarded database, dumped and restored as people do it, and the key that was made before."""
    key = world.key()
    environment = {**os.environ, **postgres.client_environment()}
    dump = subprocess.run(  # noqa: S603
        [postgres.program("pg_dump"), "--no-owner", world.name], env=environment, capture_output=True, check=True)
    drop_db(NAME)
    psql("postgres", f'CREATE DATABASE "{NAME}" TEMPLATE template0')
    subprocess.run(  # noqa: S603
        [postgres.program("psql"), "--quiet", NAME],
        env=environment, input=dump.stdout, capture_output=True, check=True)
    database = Database(NAME)
    yield database, key
    database.drop()


def _reason(database, answer):
    [row] = database.rows("SELECT reason FROM api_audit_entry WHERE request_id = %s",
                          answer.request_id or answer.told_id)
    return row["reason"]


def test_keys_sleep_in_a_restored_database_until_its_name_is_confirmed(restored, world, several):
    database, key = restored
    original = Caller(several.url, world.name, key.secret, key.uid)
    copy = original.using(db=NAME)
    for execute in (json2, xmlrpc_2):
        refused = execute(copy, "res.partner", "search_count", domain=[])
        assert refused.sentence == "The credential was not accepted."
        assert _reason(database, refused) == "credential.database_copied"
        assert execute(original, "res.partner", "search_count", domain=[]).refusal is None

    screens = WebClient(several.url, NAME, ADMIN, PASSWORD)
    [settings] = screens.call("res.config.settings", "create", [{}])
    [shown] = screens.call("res.config.settings", "web_read", [settings], {"api_guard_is_copy": {}})
    assert shown["api_guard_is_copy"]
    screens.call("res.config.settings", "action_api_guard_confirm_database", [settings])
    for execute in (json2, xmlrpc_2):
        assert execute(copy, "res.partner", "search_count", domain=[]).refusal is None


def test_a_copy_with_an_identity_of_its_own_knows_no_key_whatever_is_confirmed(restored, several):
    database, key = restored
    database.rows("UPDATE ir_config_parameter SET value = gen_random_uuid()::text WHERE key = 'database.uuid'")
    refused = json2(Caller(several.url, NAME, key.secret, key.uid), "res.partner", "search_count", domain=[])
    assert _reason(database, refused) == "credential.database_copied"
