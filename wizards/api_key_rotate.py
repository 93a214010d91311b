"""Rotate a key by hand: make its successor, and show that one's secret once."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.addons.base.models.res_users import check_identity
from odoo.exceptions import UserError


class ApiKeyRotate(models.TransientModel):
    _name = "api.key.rotate"
    _description = "Rotate an API Key"

    credential_id = fields.Many2one("api.credential", "Key", required=True, readonly=True)
    ends = fields.Selection(
        [("grace", "When the new key has been used, after the grace"), ("at", "At a time that I choose")],
        "The old key ends",
        default="grace",
        required=True,
    )
    retires_at = fields.Datetime("Ends")
    grace_hours = fields.Float(compute="_compute_grace_hours")

    # no constraint: those are checked with all rights
    @api.model_create_multi
    def create(self, vals_list):
        wizards = super().create(vals_list)
        wizards._check_keys()
        return wizards

    def write(self, vals):
        done = super().write(vals)
        self._check_keys()
        return done

    def _check_keys(self):
        for wizard in self:
            wizard.credential_id._check_may_hold_secret()

    def _compute_grace_hours(self):
        for wizard in self:
            wizard.grace_hours = wizard.credential_id._grace_hours()

    @check_identity
    def action_rotate(self):
        self.ensure_one()
        key = self.credential_id
        self.env["api.guard"]._require_configuration_right(self.env)
        key._check_may_hold_secret()
        retires_at = self.retires_at if self.ends == "at" else None
        if self.ends == "at":
            self._check_chosen_end(retires_at)
        secret, successor = key.sudo()._rotate(retires_at=retires_at)
        if secret is None:
            raise UserError(
                self.env._(
                    "“%(key)s” has a successor already, whose secret cannot be shown again. If it is lost, revoke the "
                    "successor, and rotate once more.",
                    key=key.name,
                )
            )
        if key.user_id != self.env.user:  # somebody else comes to hold a key of this owner
            successor._require_approval(self.env.user)
        self.unlink()
        return self.env["res.users.apikeys"]._show(secret, successor)

    def _check_chosen_end(self, retires_at):
        if not retires_at or retires_at < fields.Datetime.now():
            raise UserError(self.env._("Choose a time to come at which the old key ends."))
        latest = fields.Datetime.now() + timedelta(hours=self.grace_hours)
        if retires_at > latest and not self.env.user.has_group("api_guard.group_manager"):
            raise UserError(
                self.env._(
                    "The policy lets the old key work for %(hours)s hours more at most. A manager of API Guard may "
                    "choose a later time.",
                    hours=self.grace_hours,
                )
            )
