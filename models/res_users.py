"""Odoo's users: who calls by login and secret is settled here, and a user may carry a policy."""

import contextlib
import time
from datetime import timedelta
from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import AccessDenied, UserError
from odoo.http import request
from odoo.tools import consteq, hmac

from ..core.call import BY_VALUES, RPC_DOORS, Door, Operation
from ..core.verdict import Deny, Reason
from ..seams import master
from ..seams.exchange import of_cursor, working_for
from .api_data import barring, closures_of

DEVICE_COOKIE, DEVICE_DAYS = "api_guard_device", 90

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

    api_only = fields.Boolean(
        "API-only user",
        help="A bot: it has no password and cannot log in to the web client. Key provisioners make its keys.",
    )
    api_key_notice = fields.Text(compute="_compute_api_key_notice")

    @api.depends_context("uid")
    def _compute_api_key_notice(self):
        """What the owner of keys should know when looking at their preferences: a line for each key that is due."""
        for user in self:
            keys = self.env["api.credential"].search([("user_id", "=", user.id), ("apikey_id", "!=", False)])
            user.api_key_notice = "\n".join(filter(None, map(self._key_notice, keys)))

    def _key_notice(self, key):
        deadline = key.rotation_deadline
        reminders = key._reminder_days()
        if key.state == "pending":
            return self.env._("“%(key)s” waits for approval.", key=key.name)
        if deadline and deadline <= fields.Datetime.now():
            return self.env._("“%(key)s” was to be rotated by %(date)s.", key=key.name, date=deadline.date())
        if deadline and reminders and deadline - fields.Datetime.now() <= timedelta(days=reminders[0]):
            return self.env._("“%(key)s” has to be rotated by %(date)s.", key=key.name, date=deadline.date())
        return None

    # rests on odoo/addons/base/models/res_users.py, _get_session_token_fields: whoever becomes a bot is logged out
    def _get_session_token_fields(self):
        return super()._get_session_token_fields() | {"api_only"}

    # rests on odoo/addons/base/models/res_users.py, _session_token_get_values: no session of a bot ever verifies, by
    # whatever it was opened. Addons that are loaded later (auth_oauth) may pass by `_check_credentials` below
    def _session_token_get_values(self):
        values = super()._session_token_get_values()
        return False if values and dict(values).get("api_only") else values

    # rests on odoo/addons/base/models/res_users.py, _login: every way of logging in leads through it
    def _login(self, credential, user_agent_env):
        # a number would be taken for the id of somebody who brings a code
        if not isinstance(credential.get("login", ""), str):
            raise AccessDenied()
        try:
            told = super()._login(credential, user_agent_env)
        except AccessDenied:
            self._burn_for_nobody(credential)
            raise
        user = self.browse(told["uid"]).sudo()
        if user.api_only:
            raise AccessDenied()
        if told.get("mfa") == "skip" or not user._mfa_type():
            user._make_device_known()
        return told

    def _burn_for_nobody(self, credential):
        """A login that nobody has is refused as slowly as a wrong password, except where neither is looked at."""
        exchange = of_cursor(self.env.cr)
        if not request or exchange is None or exchange.door in RPC_DOORS or not credential.get("login"):
            return
        waits = isinstance(exchange.verdict, Deny) and exchange.verdict.reason is Reason.TOO_MANY_FAILURES
        if not waits and not self.sudo().search_count(self._get_login_domain(credential["login"]), limit=1):
            master.burn_password(credential.get("password"))

    # rests on odoo/addons/base/models/res_users.py, _set_encrypted_password: all ways of setting one end there
    def _set_encrypted_password(self, uid, pw):
        if self.browse(uid).sudo().api_only:
            raise UserError(self.env._("An API-only user has no password. Make an API key for it."))
        return super()._set_encrypted_password(uid, pw)

    # rests on odoo/addons/base/models/res_users.py, _rpc_api_keys_only
    def _rpc_api_keys_only(self):
        return self.sudo().api_only or super()._rpc_api_keys_only()

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
            else:
                stack.enter_context(super()._assert_can_auth(user=user))
            yield
        if request and isinstance(user, int) and exchange is not None and exchange.door not in RPC_DOORS:
            self.browse(user).sudo()._make_device_known()  # the second factor was right as well

    # ----------------------------------------------------------------- known devices

    def _make_device_known(self):
        """Let this browser pass the locks that others bring upon its user: a cookie that only this database makes."""
        exchange = of_cursor(self.env.cr)
        if not request or exchange is None or exchange.door in RPC_DOORS or self._known_device(self.login):
            return
        body = f"{self.id}.{int(time.time())}.{token_hex(8)}"
        request.future_response.set_cookie(
            DEVICE_COOKIE, f"{body}.{self._device_proof(self.id, body)}", max_age=DEVICE_DAYS * 86_400, httponly=True,
            samesite="Lax", secure=request.httprequest.scheme == "https",
        )  # fmt: skip

    @api.model
    def _known_device(self, login):
        """The mark of this browser, if `login` has logged in with it before; else None."""
        uid, moment, mark, proof = (((request and request.cookies.get(DEVICE_COOKIE)) or "").split(".") + [""] * 4)[:4]
        if not (uid.isdigit() and moment.isdigit() and len(uid) < 10 and len(moment) < 12):
            return None
        if not consteq(self._device_proof(int(uid), f"{uid}.{moment}.{mark}"), proof):
            return None
        if not 0 <= time.time() - int(moment) < DEVICE_DAYS * 86_400:
            return None
        return mark if self.browse(int(uid)).sudo().exists().login == login else None

    def _device_proof(self, uid, body):
        """Bound to the password: whoever knew a former one has no browser that is known."""
        self.env.cr.execute("SELECT password FROM res_users WHERE id = %s", [uid])
        password = (self.env.cr.fetchone() or [None])[0]
        return hmac(self.env(su=True), "api_guard.device", f"{body} {password}")

    # rests on odoo/addons/base/models/res_users.py, _check_credentials: change_password and identity checks ask it
    def _check_credentials(self, credential, env):
        if self.env.user.sudo().api_only:  # no password, no single sign-on, no passkey
            master.burn_password(credential.get("password") or "")
            raise AccessDenied()
        exchange = of_cursor(self.env.cr)
        if exchange is None or exchange.attempting or not (request or exchange.running):
            return super()._check_credentials(credential, env)
        guard = self.env["api.guard"]
        watch = guard._watch_inner_check if exchange.running else guard._watch_web_check
        with watch(self.env, exchange):
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
        defaults = {key.removeprefix("default_"): value for key, value in self.env.context.items()}
        self._require_scope(Operation.CREATE, *vals_list, defaults)
        return super().create(vals_list)

    # rests on odoo/addons/base/models/res_users.py, write: turns to sudo for what users may change of themselves,
    # before any access is asked
    def write(self, vals):
        self._require_scope(Operation.WRITE, vals)
        if closures_of(self.env, written=True):
            for name in vals:
                if name in self._fields:
                    self._check_field_access(self._fields[name], "write")
        done = super().write(vals)
        if vals.get("api_only"):
            self._drop_passwords()
        return done

    def _drop_passwords(self):
        """Whoever becomes a bot has no password any more, and its sessions end."""
        self.env.cr.execute("UPDATE res_users SET password = NULL WHERE id = ANY(%s)", [self.ids])
        self.invalidate_recordset(["password"])
        self.env.registry.clear_cache()

    def _require_scope(self, operation, *vals_list):
        """A program changes users only where its scopes name them, and nobody's policy."""
        exchange = working_for(self.env.cr)
        if exchange is None:
            return
        guard = self.env["api.guard"]
        if any(vals.keys() & {"api_policy_id", "api_only"} for vals in vals_list):
            guard._require_configuration_right(self.env)
        is_judged = not self.env.su or _is_by_values(exchange, vals_list)
        if is_judged and (deny := guard._judge_nested(exchange, "res.users", operation)):
            raise guard._refused_inside(exchange, deny)


def _is_by_values(exchange, vals_list):
    """Do values of the call change who logs in, by a field of another model that writes users under sudo?"""
    return bool(exchange.call.target.operations & BY_VALUES) and any(_LOGIN & vals.keys() for vals in vals_list)
