"""Code for `odoo shell`: keys, and what the addon of this variant is told to do. Prints one line of JSON.

`VARIANT` and `FIRST_KEYS` (how many keys that are never used before) are set by whoever runs it.
"""
# ruff: noqa: F821  what the shell and `variants.py` provide

import json
from datetime import timedelta

from odoo import Command, fields

HIDDEN = "barcode color comment company_registry employee function industry_id lang vat website"
user = env["res.users"].search([("login", "=", "bench")])
lifetime = fields.Datetime.now() + timedelta(days=30)


def new_key(name):
    return env["res.users.apikeys"].with_user(user)._generate("rpc", name, lifetime)


def networks(*addresses):
    return [Command.create({"action": "allow", "network": address}) for address in addresses]


def scope(**data):
    """Twenty lines, of which the last covers what is called. `data`: what it leaves of records and fields."""
    others = ["account.*", "calendar.*", "crm.*", "hr.*", "mail.*", "mrp.*", "product.*", "project.*", "purchase.*",
              "repair.*", "res.bank", "res.country", "res.country.state", "res.currency", "res.partner.bank",
              "res.partner.category", "sale.*", "stock.*", "survey.*"]
    called = {"allow_read": True, "allow_write": True, "allow_create": True, "allow_unlink": True}
    lines = [{"model_pattern": name} for name in others] + [{"model_pattern": "res.partner", **called, **data}]
    return env["api.scope"].create({"name": "Bench", "line_ids": [Command.create(line) for line in lines]})


def limits():
    """Two that admit all of the bench: one counts each moment, one hundredths of its window."""
    return [
        Command.create({"amount": 10_000, "unit": "calls", "period": "second", "per": "key", "is_exact": True}),
        Command.create({"amount": 10**9, "unit": "calls", "period": "day", "per": "user"}),
    ]


def govern():
    """Everything on: three policies for each call, two networks, the scope, two limits, names of arguments."""
    local, elsewhere = ("127.0.0.0/8", "::1/128"), ("192.0.2.0/24", "2001:db8::/32")
    baseline, of_user, of_key, away = env["api.policy"].create([
        {"name": "Baseline", "argument_detail": "names", "network_ids": networks(*local)},
        {"name": "User", "argument_detail": "names", "network_ids": networks(*local)},
        {"name": "Key", "argument_detail": "names", "network_ids": networks(*local),
         "scope_ids": [Command.set(scope().ids)], "limit_ids": limits()},
        {"name": "Elsewhere", "network_ids": networks(*elsewhere)},
    ])
    env["ir.config_parameter"].set_param("api_guard.baseline_policy_id", baseline.id)
    # wrong keys by the hundred are what a case measures: they are refused, and nobody is told to wait
    env["ir.config_parameter"].set_param("api_guard.lockout_network_failures", "0")
    user.api_policy_id = of_user
    for secret in (facts["key"], *facts["first_keys"]):
        env["api.credential"]._of_secret(secret, user).policy_id = of_key
    data = {"domain": "[('ref', '=', 'bench')]", "read_mode": "except", "read_fields": HIDDEN}
    of_data = env["api.policy"].create({
        "name": "Data", "argument_detail": "names", "network_ids": networks(*local),
        "scope_ids": [Command.set(scope(**data).ids)],
    })
    env["api.credential"]._of_secret(facts["data_key"], user).policy_id = of_data
    facts["away_key"] = new_key("elsewhere")
    env["api.credential"]._of_secret(facts["away_key"], user).policy_id = away


def log_everything():
    rule = env["auditlog.rule"].create({
        "name": "res.partner", "model_id": env.ref("base.model_res_partner").id, "log_type": "full",
        "log_read": True, "log_write": True, "log_create": True, "log_unlink": True,
    })
    rule.set_to_confirmed()


facts = {
    "uid": user.id,
    "key": new_key("bench"),
    "first_keys": [new_key(f"first {number}") for number in range(FIRST_KEYS)],
    "revoked_key": new_key("revoked"),
    "data_key": new_key("data"),
    "partners": env["res.partner"].search([("ref", "=", "bench")], order="id").ids,
}
env["res.users.apikeys"].search([("name", "=", "revoked")]).unlink()
if VARIANT == "api_guard":
    govern()
elif VARIANT == "auditlog":
    log_everything()
env.cr.commit()
print(json.dumps(facts))
