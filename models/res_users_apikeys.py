"""Odoo's API keys: what they open is settled here, what they say on the screens comes from their companion."""

import os

from odoo import api, fields, models
from odoo.addons.base.models.res_users import INDEX_SIZE, KEY_CRYPT_CONTEXT, check_identity
from odoo.exceptions import AccessError, UserError

from ..core.secret import RANDOM_BYTES, write_secret
from .api_credential import STATUSES

_KEYS = "res.users.apikeys"


class ResUsersApikeys(models.Model):
    _inherit = "res.users.apikeys"

    # `auth_totp.device` inherits all of this and has a table of its own: everything first asks for `_name`.

    credential_id = fields.Many2one("api.credential", compute="_compute_credential")
    policy_id = fields.Many2one("api.policy", compute="_compute_credential")
    status = fields.Selection(STATUSES, compute="_compute_credential")
    last_used_at = fields.Datetime("Last used", compute="_compute_credential")
    last_used_peer = fields.Char("Last used from", compute="_compute_credential")
    retires_at = fields.Datetime("Retires", compute="_compute_credential")

    @api.depends_context("uid")
    def _compute_credential(self):
        companions = self.env["api.credential"]
        if self._name == _KEYS:
            companions = companions.sudo().search([("apikey_id", "in", self.ids)])
        of_key = {companion.apikey_id.id: companion for companion in companions}
        for key in self:
            companion = of_key.get(key.id, self.env["api.credential"]).sudo()
            key.credential_id = companion
            key.policy_id = companion.policy_id
            key.status = companion.status
            key.last_used_at = companion.last_used_at
            key.last_used_peer = companion.last_used_peer
            key.retires_at = companion.retires_at

    # rests on odoo/addons/base/models/res_users.py, ResUsersApikeys._check_credentials: returns a uid or None
    def _check_credentials(self, *, scope, key):
        if self._name != _KEYS:
            return super()._check_credentials(scope=scope, key=key)
        return self.env["api.guard"]._admit_key(self.env, scope, key)

    # rests on odoo/addons/base/models/res_users.py, ResUsersApikeys._generate: returns the secret
    def _generate(self, scope, name, expiration_date):
        if self._name != _KEYS:
            return super()._generate(scope, name, expiration_date)
        parent_id = self.env["api.guard"]._minting_credential(self.env)
        policy_id = self.env.context.get("api_guard_policy_id")
        # here and not in `make_key`: the mail plugin makes keys without asking that
        policy = self.env["api.policy"].sudo().browse(policy_id or []).exists()
        self.env["res.users.apikeys.description"]._require_two_factor(policy)
        secret, companion = self._make(scope, name, expiration_date, policy_id=policy_id, parent_id=parent_id)
        companion._require_approval(self.env.user)
        return secret

    def _make(self, scope, name, expiration_date, secret=None, **bonds):
        """Make a key of the current user. Returns (secret, companion, as superuser), the latter bound by `bonds`.

        `secret`: the one that it shall have, None for a fresh one. Raises as Odoo's `_generate` does.
        """
        drawn = super()._generate(scope, name, expiration_date)  # pylint: disable=super-method-mismatch
        secret = self._rewrite(drawn, secret or write_secret(os.urandom(RANDOM_BYTES)))
        companion = self.env["api.credential"].sudo()._of_secret(secret, self.env.user)
        companion._adopt(**bonds)
        return secret, companion

    def _rewrite(self, drawn, secret):
        """Let `secret`, of our form, open the key which was just made with the secret `drawn`. Returns it.

        What is stored is as before: Odoo's own hash and index, so that the key opens
        an Odoo without the guard, too.
        """
        self.env.cr.execute(
            """WITH made AS (UPDATE res_users_apikeys SET key = %s, index = %s
                              WHERE id = (SELECT max(id) FROM res_users_apikeys WHERE user_id = %s AND index = %s)
                          RETURNING id, index)
               UPDATE api_credential c SET key_index = made.index FROM made WHERE c.apikey_id = made.id""",
            [KEY_CRYPT_CONTEXT.hash(secret), secret[:INDEX_SIZE], self.env.user.id, drawn[:INDEX_SIZE]],
        )
        return secret

    @api.model
    def _show(self, secret, companion):
        """The window that shows a secret, once, with snippets."""
        return {
            "type": "ir.actions.act_window",
            "res_model": "res.users.apikeys.show",
            "name": self.env._("API Key Ready"),
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_key": secret, **self._show_context(companion.sudo())},
        }

    @api.model
    def _show_context(self, companion):
        """What the window that shows a secret has to know of its key."""
        return {
            "api_guard_login": companion.login,
            "api_guard_waits": companion.state == "pending",
            "api_guard_needs_code": companion.needs_second_factor and not companion.second_factor_set_up_at,
        }

    def action_open_credential(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "api.credential",
            "res_id": self.credential_id.id,
            "views": [(False, "form")],
        }


class ResUsersApikeysDescription(models.TransientModel):  # pylint: disable=no-wizard-in-models
    _inherit = "res.users.apikeys.description"

    policy_id = fields.Many2one(
        "api.policy",
        domain=lambda self: self.env["api.policy"]._selectable_domain(),
        help="What programs may do with this key. It only ever narrows what you may do yourself.",
    )

    # rests on odoo/addons/base/models/res_users.py, ResUsersApikeysDescription.make_key
    @check_identity
    def make_key(self):
        policy = self.sudo().policy_id
        self._check_may_choose(policy)
        shown = super(ResUsersApikeysDescription, self.with_context(api_guard_policy_id=policy.id)).make_key()
        companion = self.env["api.credential"].sudo()._of_secret(shown["context"]["default_key"], self.env.user)
        shown["context"].update(self.env["res.users.apikeys"]._show_context(companion))
        return shown

    def _require_two_factor(self, policy):
        """Raises UserError where a policy of the key to be made wants its owner to log in with two factors.

        Rests on odoo/addons/base/models/res_users.py, _mfa_type: None without auth_totp.
        """
        baseline_id = self.env["ir.config_parameter"].sudo().get_param("api_guard.baseline_policy_id") or ""
        baseline = self.env["api.policy"].sudo().browse(int(baseline_id) if baseline_id.isdecimal() else []).exists()
        policies = (baseline | self.env.user.sudo().api_policy_id | policy).filtered(
            lambda policy: policy.require_mfa and policy.mode == "enforce"
        )
        if not policies or self.env.user._mfa_type():
            return
        if "totp_enabled" in self.env.user._fields:
            remedy = self.env._(
                "Open My Preferences, then Security, and switch on two-factor authentication. Then make the key."
            )
        else:
            remedy = self.env._("Ask an administrator to install “Two-Factor Authentication (TOTP)” first.")
        raise UserError(
            self.env._(
                "The policy “%(policy)s” wants the owner of a key to log in with two-factor authentication, and yours "
                "is off. %(remedy)s",
                policy=policies[0].name,
                remedy=remedy,
            )
        )

    def _check_may_choose(self, policy):
        """Raises AccessError unless the current user may give this policy, or none, to a key."""
        if policy and not self._may_choose(policy):
            raise AccessError(self.env._("You may not choose the policy “%(policy)s”.", policy=policy.sudo().name))

    def _may_choose(self, policy):
        if self.env.user.has_group("api_guard.group_manager"):
            return True
        return bool(policy.sudo().filtered_domain(self.env["api.policy"]._selectable_domain()))


class ResUsersApikeysShow(models.AbstractModel):
    _inherit = "res.users.apikeys.show"

    snippet_curl = fields.Text("curl", readonly=True, compute="_compute_snippets")
    snippet_python = fields.Text("Python", readonly=True, compute="_compute_snippets")
    snippet_javascript = fields.Text("JavaScript", readonly=True, compute="_compute_snippets")

    notice = fields.Text(compute="_compute_notice")

    @api.depends_context("api_guard_waits", "api_guard_needs_code")
    def _compute_notice(self):
        notices = {
            "api_guard_waits": self.env._(
                "This key waits for approval: until a manager accepts it, its calls are refused."
            ),
            "api_guard_needs_code": self.env._(
                "Some calls of this key need a code: open the key and set up its second factor."
            ),
        }
        for show in self:
            show.notice = "\n".join(text for name, text in notices.items() if self.env.context.get(name))

    # depends on no field: Odoo sets off no computation on an abstract model, only what depends on nothing is read
    @api.depends_context("uid")
    def _compute_snippets(self):
        url, database = self.get_base_url(), self.env.cr.dbname
        login = self.env.context.get("api_guard_login") or self.env.user.login
        for show in self:
            values = {"url": url, "database": database, "login": login, "key": show.key or ""}
            show.snippet_curl = _CURL % values
            show.snippet_python = _PYTHON % values
            show.snippet_javascript = _JAVASCRIPT % values


_CURL = """\
curl %(url)s/json/2/res.partner/search_read \\
  -H 'Authorization: Bearer %(key)s' \\
  -H 'X-Odoo-Database: %(database)s' \\
  -H 'Content-Type: application/json' \\
  -d '{"domain": [], "fields": ["name"], "limit": 3}'"""

_PYTHON = """\
import json, urllib.request

request = urllib.request.Request(
    "%(url)s/json/2/res.partner/search_read",
    json.dumps({"domain": [], "fields": ["name"], "limit": 3}).encode(),
    {
        "Authorization": "Bearer %(key)s",
        "X-Odoo-Database": "%(database)s",
        "Content-Type": "application/json",
    },
)
print(json.load(urllib.request.urlopen(request)))"""

_JAVASCRIPT = """\
const answer = await fetch("%(url)s/json/2/res.partner/search_read", {
  method: "POST",
  headers: {
    "Authorization": "Bearer %(key)s",
    "X-Odoo-Database": "%(database)s",
    "Content-Type": "application/json",
  },
  body: JSON.stringify({domain: [], fields: ["name"], limit: 3}),
});
console.log(await answer.json());"""
