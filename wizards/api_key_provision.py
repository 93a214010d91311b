"""Make a key for a bot: a user that has no password and cannot log in to the web client."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.addons.base.models.res_users import check_identity
from odoo.exceptions import AccessError, UserError

_MAX_DAYS = 3_660


class ApiKeyProvision(models.TransientModel):
    _name = "api.key.provision"
    _description = "Make an API Key for a Bot"

    user_id = fields.Many2one("res.users", "Bot", required=True, domain=[("api_only", "=", True)])
    name = fields.Char("What is it for?", required=True)
    policy_id = fields.Many2one("api.policy", domain=lambda self: self.env["api.policy"]._selectable_domain())
    days = fields.Integer(default=90, help="How long the key works. 0: until it is revoked.")
    own_policy_id = fields.Many2one("api.policy", compute="_compute_own_policy_id")

    @api.depends_context("uid")
    def _compute_own_policy_id(self):
        self.own_policy_id = self.env.user.sudo().api_policy_id

    @check_identity
    def make_key(self):
        return self._make_key()

    def _make_key(self):
        """Make the key; the window that shows its secret once."""
        self.ensure_one()
        bot = self.user_id
        self._check_bot(bot.sudo())
        self.env["res.users.apikeys.description"]._check_may_choose(self.policy_id)
        if not 0 <= self.days <= _MAX_DAYS:
            raise UserError(
                self.env._("A key lives between 1 and %(days)s days; 0: until it is revoked.", days=_MAX_DAYS)
            )
        expiration = fields.Datetime.now() + timedelta(days=self.days) if self.days else None
        secret, companion = (
            self.env["res.users.apikeys"]
            .with_user(bot)
            .sudo()
            ._make(
                None,
                self.name,
                expiration,
                policy_id=self.policy_id.id,
                bound_policy_id=self.own_policy_id.id,  # never more than its maker may let programs do
                provisioned_by_id=self.env.uid,
            )
        )
        companion._require_approval(self.env.user)
        self.unlink()
        return self.env["res.users.apikeys"]._show(secret, companion)

    def _check_bot(self, bot):
        self.env["api.guard"]._require_configuration_right(self.env)
        if not self.env.user.has_group("api_guard.group_provisioner"):
            raise AccessError(self.env._("Only key provisioners make keys for bots."))
        if not bot.api_only or not bot.active:
            raise UserError(self.env._("Keys are made here for active API-only users alone. Others make their own."))
        self.env["api.credential"]._check_no_escalation(bot)
