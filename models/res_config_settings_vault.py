"""Settings: where the vault's key comes from, and sealing everything with a new one."""

from odoo import api, models
from odoo.exceptions import AccessError


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    @api.model
    def _api_guard_checks(self):
        return [*super()._api_guard_checks(), self.env["api.vault"]._check()]

    def action_api_guard_reseal(self):
        if not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers seal secrets anew."))
        count = self.env["api.vault"]._reseal()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("%(count)s secrets are sealed with the vault's first key.", count=count),
            },
        }
