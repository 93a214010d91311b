"""Settings of API Guard are parameters; a program does not change them."""

from odoo import api, models

PREFIX = "api_guard."


class IrConfigParameter(models.Model):
    _inherit = "ir.config_parameter"

    # rests on odoo/addons/base/models/ir_config_parameter.py: set_param goes through create, write and unlink

    @api.model_create_multi
    def create(self, vals_list):
        default = self.env.context.get("default_key")
        if any(str(vals.get("key", default)).startswith(PREFIX) for vals in vals_list):
            self.env["api.guard"]._require_configuration_right(self.env)
        return super().create(vals_list)

    def write(self, vals):
        if self._concerns_guard() or str(vals.get("key", "")).startswith(PREFIX):
            self.env["api.guard"]._require_configuration_right(self.env)
        return super().write(vals)

    def unlink(self):
        if self._concerns_guard():
            self.env["api.guard"]._require_configuration_right(self.env)
        return super().unlink()

    def _concerns_guard(self):
        return any((parameter.key or "").startswith(PREFIX) for parameter in self.sudo())
