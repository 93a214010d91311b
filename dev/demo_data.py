"""Code for `odoo shell`: what does the demo database hold? Prints the secrets as one line of JSON.

Fictitious throughout; 192.0.2.0/24 is reserved for documentation (RFC 5737), so the key that is
bound to it is refused wherever the demo runs.
"""

import json
from datetime import timedelta

from odoo import Command, fields

demo = env.ref("base.user_demo")
lifetime = fields.Datetime.now() + timedelta(days=90)

contacts = env["api.scope"].create({
    "name": "Contacts, read only",
    "description": "For programs that report on contacts and change nothing.",
    "line_ids": [
        Command.create({"model_pattern": "res.partner", "allow_read": True}),
        Command.create({"model_pattern": "res.partner.category", "allow_read": True}),
        Command.create({"model_pattern": "res.country", "allow_read": True}),
    ],
})
reporting, office, local = env["api.policy"].create([
    {
        "name": "Reporting (read-only contacts)",
        "description": "Reads contacts, from this machine only.",
        "scope_ids": [Command.set(contacts.ids)],
        "network_ids": [
            Command.create({"action": "allow", "network": "127.0.0.0/8"}),
            Command.create({"action": "allow", "network": "::1/128"}),
        ],
        "argument_detail": "values",
        "is_selectable": True,
    },
    {
        "name": "Office network only",
        "network_ids": [Command.create({"action": "allow", "network": "192.0.2.0/24"})],
    },
    {"name": "No passwords over RPC", "refuse_passwords": True},
])


def new_key(user, name, policy):
    """Make a key as its user would, and bind it to the policy."""
    secret = env["res.users.apikeys"].with_user(user)._generate("rpc", name, lifetime)
    credential = env["api.credential"]._of_secret(secret, user)
    credential.policy_id = policy
    return secret, credential


secrets = {}
secrets["reporting"], _credential = new_key(demo, "Contact report", reporting)
secrets["office"], _credential = new_key(demo, "Nightly backup", office)
secrets["suspended"], suspended = new_key(demo, "Old web shop", reporting)
suspended.action_suspend()
demo.api_policy_id = local
env.cr.commit()
print(json.dumps(secrets))
