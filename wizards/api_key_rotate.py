"""Rotate a key by hand: make its successor, and show that one's secret once."""

from odoo import fields, models
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
        if self.ends == "at" and (not retires_at or retires_at < fields.Datetime.now()):
            raise UserError(self.env._("Choose a time to come at which the old key ends."))
        secret, successor = key.sudo()._rotate(retires_at=retires_at)
        if secret is None:
            raise UserError(
                self.env._(
                    "“%(key)s” has a successor already, whose secret cannot be shown again. If it is lost, revoke the "
                    "successor, and rotate once more.",
                    key=key.name,
                )
            )
        self.unlink()
        return self.env["res.users.apikeys"]._show(secret, successor)
