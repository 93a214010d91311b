"""Settings: who outside keeps checkpoints, and whether the log is as far as it was."""

from odoo import api, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    @api.model
    def _api_guard_checks(self):
        return [
            *super()._api_guard_checks(),
            self.env["api.audit.seal"]._check_restored(),
            self.env["api.audit.witness"]._check(),
        ]
