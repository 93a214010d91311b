"""Odoo's users: who calls by login and secret is settled here, and a user may carry a policy."""

import contextlib

from odoo import api, fields, models
from odoo.http import request

from ..core.call import BY_VALUES, RPC_DOORS, Door, Operation
from ..seams.exchange import of_cursor, working_for
from .api_data import barring, closures_of

_LOGIN = frozenset({"login", "password"})


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

    # rests on odoo/addons/base/models/res_users.py, _check_credentials: change_password and identity checks ask it
    def _check_credentials(self, credential, env):
        exchange = working_for(self.env.cr)
        if exchange is None:
            return super()._check_credentials(credential, env)
        with self.env["api.guard"]._watch_inner_check(self.env, exchange):
            return super()._check_credentials(credential, env)

    # rests on odoo/addons/base/models/res_users.py, _has_field_access: opens users' own fields to them, whatever was
    # refused before
    @api.model
    def _has_field_access(self, field, operation):
        if self.env.cr._api_guard_exchange is None:
            return super()._has_field_access(field, operation)
        return super()._has_field_access(field, operation) and barring(self.env, field, operation == "write") is None

    # rests on odoo/addons/base/models/res_users.py, read: turns to sudo for users' own fields
    def read(self, fields=None, load="_classic_read"):
        masked = {}
        if closures_of(self.env) and fields:
            data = self.env["api.data"]
            masked = data._masked(self, fields)
            for field in (self._fields[name] for name in fields if name in self._fields and name not in masked):
                self._check_field_access(field, "read")
            if self == self.env.user:
                self.check_access("read")
        if not masked:
            return super().read(fields, load)
        rows = super().read([name for name in fields if name not in masked], load)
        return self.env["api.data"]._with_masked(self, rows, masked, load)

    # rests on odoo/addons/base/models/res_users.py, _get_company_ids: cached there for everybody, and not here. What
    # others cache for everybody is worked out with all of them, unless the context names some: those it compares
    def _get_company_ids(self):
        company_ids = super()._get_company_ids()
        exchange = working_for(self.env.cr)
        if exchange is None or exchange.companies is None or self.id != exchange.identity.uid:
            return company_ids
        if exchange.suspended and not self.env.context.get("allowed_company_ids"):
            return company_ids
        return tuple(company_id for company_id in company_ids if company_id in exchange.companies)

    @api.model_create_multi
    def create(self, vals_list):
        self._require_scope(Operation.CREATE, *vals_list)
        return super().create(vals_list)

    # rests on odoo/addons/base/models/res_users.py, write: turns to sudo for what users may change of themselves,
    # before any access is asked
    def write(self, vals):
        self._require_scope(Operation.WRITE, vals)
        if closures_of(self.env, written=True):
            for name in vals:
                if name in self._fields:
                    self._check_field_access(self._fields[name], "write")
        return super().write(vals)

    def _require_scope(self, operation, *vals_list):
        """A program changes users only where its scopes name them, and nobody's policy."""
        exchange = working_for(self.env.cr)
        if exchange is None:
            return
        guard = self.env["api.guard"]
        if any("api_policy_id" in vals for vals in vals_list):
            guard._require_configuration_right(self.env)
        is_judged = not self.env.su or _is_by_values(exchange, vals_list)
        if is_judged and (deny := guard._judge_nested(exchange, "res.users", operation)):
            raise guard._refused_inside(exchange, deny)


def _is_by_values(exchange, vals_list):
    """Do values of the call change who logs in, by a field of another model that writes users under sudo?"""
    return bool(exchange.call.target.operations & BY_VALUES) and any(_LOGIN & vals.keys() for vals in vals_list)
