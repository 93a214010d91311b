"""A database with the guard, the people and keys in it, and what its log says of a call.

Whatever a test changes it changes as a person would: through the web client, on a running
server. Only time passing is written with SQL, because nobody can wait for it.
"""

import itertools
import json
import os
import time
from dataclasses import dataclass

import psycopg2
import psycopg2.extras
from doors import WebClient
from passlib.context import CryptContext

from dev import postgres
from dev.harness import copy_db, create_db, drop_db, list_dbs, shell
from dev.testing import MODULES

PREFIX = f"srv{os.getpid()}"
ADMIN, PASSWORD = "admin", "the admin's own password"
USER, USER_PASSWORD = "program", "Correct Horse 77"

_KEY_HASH = CryptContext(["pbkdf2_sha512"], pbkdf2_sha512__rounds=6000)  # as Odoo's KEY_CRYPT_CONTEXT

#: What the tests' plain user needs to be let through every door.
_SEED = f"""
import json
admin = env.ref("base.user_admin")
admin.password = {PASSWORD!r}
groups = ["base.group_user", "base.group_partner_manager", "base.group_allow_export", "api_doc.group_allow_doc"]
user = env["res.users"].create({{
    "name": "Program", "login": {USER!r}, "password": {USER_PASSWORD!r},
    "group_ids": [(6, 0, [env.ref(xmlid).id for xmlid in groups])],
}})
parameters = env["ir.config_parameter"]
parameters.set_param("web.json.enabled", "True")
parameters.set_param("web.base.url", "http://guarded.example")
if "api.guard" in env:
    parameters.set_param("api_guard.lockout_failures", "0")  # its own tests turn them on
    parameters.set_param("api_guard.lockout_network_failures", "0")
    parameters.set_param("api_guard.trusted_proxies", "127.0.0.1")
env.cr.commit()
print("SEED", json.dumps({{"uid": user.id, "admin_uid": admin.id}}))
"""


@dataclass(frozen=True)
class Key:
    """An API key: its secret, and the ids of its row and of its companion."""

    secret: str
    uid: int
    id: int
    credential_id: int


class Database:
    """A database of this test run; its own connection sees what is committed, and nothing else."""

    def __init__(self, name):
        self.name = name
        self._connection = None

    def rows(self, sql, *parameters):
        """The rows of a query as dicts; of a statement, none."""
        if self._connection is None:
            self._connection = self.connection()
            self._connection.autocommit = True
        with self._connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def connection(self, **options):
        """A new connection, by default as Odoo's own role."""
        variables = {name.lower().removeprefix("pg"): text for name, text in postgres.client_environment().items()}
        return psycopg2.connect(dbname=self.name, **{**{k: v for k, v in variables.items() if v}, **options})

    def value(self, sql, *parameters):
        (row,) = self.rows(sql, *parameters)
        (value,) = row.values()
        return value

    def partners(self, marker):
        """How many partners bear this name? What a call did, or did not do, to the data."""
        return self.value("SELECT count(*) FROM res_partner WHERE name = %s", marker)

    def drop(self):
        if self._connection is not None:
            self._connection.close()
        drop_db(self.name)


class World(Database):
    """The guarded database. `web` is the administrator at the screens, once `open` named a server."""

    def __init__(self, name, seed):
        super().__init__(name)
        self.uid, self.admin_uid = seed["uid"], seed["admin_uid"]
        self._numbers = itertools.count(1)
        self.secrets = [PASSWORD, USER_PASSWORD]  # all that were ever presented
        self.web = None

    def open(self, url):
        self.web = WebClient(url, self.name, ADMIN, PASSWORD)

    # ---------------------------------------------------------------- keys and policies

    def key(self, uid=None, key_scope=None, **sections):
        """A fresh key of the plain user, or of `uid`, with a policy of its own if sections of one are given."""
        secret, uid = os.urandom(20).hex(), uid or self.uid
        self.rows(
            "INSERT INTO res_users_apikeys (name, user_id, scope, expiration_date, key, index)"
            " VALUES (%s, %s, %s, now() AT TIME ZONE 'utc' + interval '1 day', %s, %s)",
            f"key {next(self._numbers)}", uid, key_scope, _KEY_HASH.hash(secret), secret[:8],
        )
        key = self._of_secret(secret)
        if sections:
            self.bind(key, self.policy(**sections))
        return key

    def minted(self, web, password, name, policy_id=False):
        """A key made in Preferences by whoever sits at `web`; nobody used it yet."""
        [wizard] = web.call("res.users.apikeys.description", "create", [
            {"name": name, "duration": "1", "policy_id": policy_id}])
        shown = web.call("res.users.apikeys.description", "make_key", [wizard])
        if shown["res_model"] == "res.users.identitycheck":  # asked for once in ten minutes
            shown = web.call("res.users.identitycheck", "run_check", [shown["res_id"]], context={"password": password})
        return self._of_secret(shown["context"]["default_key"])

    def _of_secret(self, secret):
        self.secrets.append(secret)
        row = self.rows(
            "SELECT k.id, k.user_id, c.id AS credential_id FROM res_users_apikeys k"
            " JOIN api_credential c ON c.apikey_id = k.id WHERE k.index = %s", secret[:8],
        )[0]
        return Key(secret, row["user_id"], row["id"], row["credential_id"])

    def bind(self, key, policy_id):
        self.web.call("api.credential", "write", [key.credential_id], {"policy_id": policy_id})

    def policy(self, **sections):
        """Make a policy; returns its id. See `policy_values`."""
        values = {"name": f"Policy {next(self._numbers)}", **self.policy_values(**sections)}
        [policy_id] = self.web.call("api.policy", "create", [values])
        return policy_id

    def policy_values(self, networks=(), doors=(), scope=None, limits=(), **others):
        """networks: [(action, CIDR)]; doors: codes; scope: {pattern: "operations and method names"}; limits:
        ["100 calls minute key"], with "exact" behind for a moving window.

        For a pattern with restrictions: ("operations and method names", {field of the line: value}).
        """
        values = dict(others)
        if networks:
            values["network_ids"] = [(0, 0, {"action": action, "network": cidr}) for action, cidr in networks]
        if doors:
            values["door_ids"] = [(6, 0, [row["id"] for row in self.rows(
                "SELECT id FROM api_door WHERE code = ANY(%s)", list(doors))])]
        if limits:
            values["limit_ids"] = [(0, 0, _limit(words)) for words in limits]
        if scope is not None:
            values["scope_ids"] = [(0, 0, {
                "name": f"Scope {next(self._numbers)}",
                "line_ids": [(0, 0, _line(pattern, words)) for pattern, words in scope.items()],
            })]
        return values

    def setting(self, name, value):
        """Change a setting as the Settings page does; returns the former value."""
        former = self.web.call("ir.config_parameter", "get_param", f"api_guard.{name}")
        self.web.call("ir.config_parameter", "set_param", f"api_guard.{name}", value)
        return former

    def expire(self, key):
        """Let the key's deadline pass: no cache hears of it, as with the clock."""
        self.rows("UPDATE res_users_apikeys SET expiration_date = now() AT TIME ZONE 'utc' - interval '2 seconds'"
                  " WHERE id = %s", key.id)

    def suspend(self, key):
        self.web.call("api.credential", "action_suspend", [key.credential_id])

    def revoke(self, key):
        self.confirmed("api.credential", "action_revoke", [key.credential_id])

    def confirmed(self, *call, **kwargs):
        """What a call of the administrator returns, after Odoo's question who that is: it comes once in ten minutes."""
        shown = self.web.call(*call, **kwargs)
        if isinstance(shown, dict) and shown.get("res_model") == "res.users.identitycheck":
            return self.web.call(
                "res.users.identitycheck", "run_check", [shown["res_id"]], context={"password": PASSWORD})
        return shown

    # ---------------------------------------------------------------- the log

    def entries(self, request_id):
        return self.rows("SELECT * FROM api_audit_entry WHERE request_id = %s ORDER BY id", request_id)

    def entry(self, answer):
        """The one entry of an answer, found as a person would: by its header, or else by its text."""
        request_id = answer.request_id or answer.told_id
        assert request_id, f"the answer names no request: {answer.status} {answer.body[:300]}"
        assert answer.told_id in (None, request_id), "header and text name different requests"
        found = self.entries(request_id)
        told = [(row["outcome"], row["reason"], row["committed"], row["error_class"], row["status"]) for row in found]
        assert len(found) == 1, f"{len(found)} entries for {request_id}: {told}"
        return found[0]


def _limit(words):
    amount, unit, period, per, *exact = words.split()
    return {"amount": int(amount), "unit": unit, "period": period, "per": per, "is_exact": bool(exact)}


def _line(pattern, words):
    words, restrictions = (words, {}) if isinstance(words, str) else words
    operations = {"read", "write", "create", "unlink"}
    named = set(words.split())
    return {
        "model_pattern": pattern,
        **{f"allow_{operation}": operation in named for operation in operations},
        "methods": " ".join(sorted(named - operations)),
        **restrictions,
    }


def make_world(name, template=None):
    """A database with the guard and all that the tests' people own."""
    database = f"{PREFIX}_{name}"
    copy_db(template, database) if template else create_db(database, MODULES)
    printed = shell(database, _SEED)
    seed = next(line for line in printed.splitlines() if line.startswith("SEED "))
    return World(database, json.loads(seed.removeprefix("SEED ")))


def make_plain(name):
    """The same modules and people without the guard."""
    database = f"{PREFIX}_{name}"
    create_db(database, [*(module for module in MODULES if module != "api_guard"), "base_setup", "rpc", "web"])
    return Database(database)


def drop_left_behind():
    """Drop databases of earlier runs that were killed; those of running ones stay."""
    for name in list_dbs("srv"):
        pid = name.removeprefix("srv").partition("_")[0]
        if pid.isdigit() and (int(pid) == os.getpid() or not os.path.exists(f"/proc/{pid}")):
            drop_db(name)


def wait_for(condition, seconds=10):
    """Return what `condition` returns once it is true; fail when it never is."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.05)
    return result
