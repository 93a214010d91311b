"""Odoo's users: who calls by login and secret is settled here, and a user may carry a policy."""

import contextlib

from odoo import api, fields, models
from odoo.http import request

from ..core.call import RPC_DOORS, Door
from ..seams.exchange import of_cursor


class ResUsers(models.Model):
    _inherit = "res.users"

    api_policy_id = fields.Many2one(
        "api.policy",
        string="API policy",
        ondelete="restrict",
        groups="api_guard.group_auditor",
        help="Applies to every API call of this user, with whatever key, besides the key's own policy.",
    )

    # rests on odoo/addons/base/models/res_users.py, _check_uid_passwd. Not cached here, unlike there: a key is read
    # from the database on every call. Only passwords go on to Odoo's cache.
    @api.model
    def _check_uid_passwd(self, uid, passwd):  # pylint: disable=missing-return
        check_password = super()._check_uid_passwd
        self.env["api.guard"]._admit_rpc(self.env, uid, passwd, lambda: check_password(uid, passwd))

    # rests on odoo/addons/base/models/res_users.py, authenticate. Private: over RPC it tells whether a password
    # is right.
    @api.private
    def authenticate(self, credential, user_agent_env):
        exchange = of_cursor(self.env.cr)
        if exchange is None or exchange.door not in RPC_DOORS - {Door.INTERNAL}:
            return super().authenticate(credential, user_agent_env)
        check_password = super().authenticate
        # what the client says of its environment is not believed: it could set web.base.url
        uid = self.env["api.guard"]._admit_login(
            self.env,
            credential["login"],
            credential["password"],
            lambda: check_password(credential, {"interactive": False}),
        )
        return {"uid": uid, "auth_method": "password", "mfa": "default"}

    # rests on odoo/addons/base/models/res_users.py, _assert_can_auth, whose count lives in one process
    @contextlib.contextmanager
    def _assert_can_auth(self, user=None):
        with contextlib.ExitStack() as stack:
            exchange = of_cursor(self.env.cr)
            if request and exchange is not None and exchange.door not in RPC_DOORS:
                stack.enter_context(self.env["api.guard"]._watch_web_login(self.env, exchange, user))
            stack.enter_context(super()._assert_can_auth(user=user))
            yield

    @api.model_create_multi
    def create(self, vals_list):
        if any("api_policy_id" in vals for vals in vals_list):
            self.env["api.guard"]._require_configuration_right(self.env)
        return super().create(vals_list)

    def write(self, vals):
        if "api_policy_id" in vals:
            self.env["api.guard"]._require_configuration_right(self.env)
        return super().write(vals)
