"""Code for `odoo shell`: who is attacked, with which secrets. Prints one line of JSON.

`PASSWORD`, `MASTER`, `USERS` and `SECOND` are set by whoever runs it. Fictitious throughout.
"""
# ruff: noqa: F821  what the shell and `variants.py` provide

import base64
import json
import os

from odoo import Command
from odoo.tools.config import crypt_context

internal = [Command.set(env.ref("base.group_user").ids)]


def people(kind, count):
    return env["res.users"].create([
        {"name": f"{kind} {n}", "login": f"{kind}{n}@example.com", "group_ids": internal} for n in range(1, count + 1)
    ])


def told(user, **more):
    return {"login": user.login, "uid": user.id, **more}


def with_key(user):
    return told(user, key=env["res.users.apikeys"].with_user(user).sudo()._generate(None, "attacked", False))


def with_code(user):
    user.totp_secret = secret = base64.b32encode(os.urandom(20)).decode()
    return told(user, secret=secret)


users, second, program = people("user", USERS), people("second", SECOND), people("program", 1)
facts = {
    "users": [with_key(user) for user in users],
    "second": [with_code(user) for user in second],
    "program": with_key(program),
    "master": [{"login": "master"}],
    "master_hash": crypt_context.hash(MASTER),
}
env.flush_all()
# One hash for all: a hundred of them would take a minute, and are checked no other way.
env.cr.execute(
    "UPDATE res_users SET password = %s WHERE id = ANY(%s)",
    [env["res.users"]._crypt_context().hash(PASSWORD), (users | second | program).ids],
)
env.cr.execute(
    "SELECT password, 'password' FROM res_users WHERE password IS NOT NULL"
    " UNION SELECT key, 'key' FROM res_users_apikeys"
)
facts["hashes"] = {**dict(env.cr.fetchall()), facts["master_hash"]: "master"}
env.cr.commit()
print(json.dumps(facts))
