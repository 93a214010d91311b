"""The second factor on a key's form: is it set up, is it locked, and who may change that?"""

from odoo import api, fields, models
from odoo.addons.base.models.res_users import check_identity
from odoo.exceptions import AccessError, UserError


class ApiCredential(models.Model):
    _inherit = "api.credential"

    needs_second_factor = fields.Boolean(compute="_compute_needs_second_factor")
    may_set_up_second_factor = fields.Boolean(compute="_compute_may_set_up_second_factor")
    second_factor_set_up_at = fields.Datetime("Set up on", compute="_compute_second_factor")
    second_factor_locked_until = fields.Datetime("Locked until", compute="_compute_second_factor")
    recovery_codes_left = fields.Integer(
        "Recovery codes left", compute="_compute_second_factor", help="Each of them stands in for a code once."
    )

    @api.model
    def _lineage_of(self, credential):
        """What stays when a key is replaced by another: the id of the first one's companion."""
        return credential.lineage_id or credential.id

    def _second_factor(self):
        """The second factors of these keys, if they have one."""
        lineage_ids = [self._lineage_of(credential) for credential in self.sudo()]
        return self.env["api.second.factor"].sudo().search([("lineage_id", "in", lineage_ids)])

    @api.depends_context("uid")
    def _compute_second_factor(self):
        factors = self._second_factor()
        left, of_lineage, now = factors._recovery_left(), {}, fields.Datetime.now()
        for factor in factors:
            of_lineage[factor.lineage_id] = factor
        for credential in self:
            lineage_id = self._lineage_of(credential.sudo())
            factor = of_lineage.get(lineage_id, factors.browse())
            locked_until = factor.locked_until
            credential.second_factor_set_up_at = factor.confirmed_at
            credential.second_factor_locked_until = locked_until if locked_until and locked_until > now else False
            credential.recovery_codes_left = left.get(lineage_id, 0)

    @api.depends("policy_id.document", "parent_id", "user_id")
    def _compute_needs_second_factor(self):
        for credential in self:
            credential.needs_second_factor = any(policy.second_factor for policy in credential._policies())

    @api.depends("user_id", "apikey_id")
    @api.depends_context("uid")
    def _compute_may_set_up_second_factor(self):
        is_manager = self.env.user.has_group("api_guard.group_manager")
        for credential in self:
            is_theirs = is_manager or credential.user_id == self.env.user
            credential.may_set_up_second_factor = bool(credential.apikey_id) and is_theirs

    # ----------------------------------------------------------------- actions

    @check_identity
    def action_set_up_second_factor(self):
        return self._set_up_second_factor()

    def _set_up_second_factor(self):
        """Draw a secret and show it. What was set up before stays in force until this one is confirmed."""
        self._check_may_set_up()
        lineage_id = self._lineage_of(self)
        wizard = (
            self.env["api.second.factor.enroll"]
            .sudo()
            .create({"credential_id": self.id, "sealed": self.env["api.second.factor"]._draw(lineage_id)})
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Second factor of “%(key)s”", key=self.name),
            "res_model": wizard._name,
            "res_id": wizard.id,
            "views": [(False, "form")],
            "target": "new",
        }

    @check_identity
    def action_remove_second_factor(self):
        return self._remove_second_factor()

    def _remove_second_factor(self):
        self._check_may_set_up()
        self._second_factor().unlink()
        self.invalidate_recordset()

    def action_unlock_second_factor(self):
        self._second_factor().sudo(False)._unlock()
        self.invalidate_recordset()

    def _check_may_set_up(self):
        """Raises unless a person at the screens may change this key's second factor."""
        self.ensure_one()
        self.env["api.guard"]._require_configuration_right(self.env)
        if not self.apikey_id:
            raise UserError(self.env._("This key is gone: it opens nothing."))
        if not self.may_set_up_second_factor:
            raise AccessError(self.env._("Only a key's owner and API Guard managers set up its second factor."))
