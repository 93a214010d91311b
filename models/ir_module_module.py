"""A program does not uninstall the guard that watches it."""

from odoo import models

_LEAVING = ("to remove", "uninstalled", "uninstallable")


class IrModuleModule(models.Model):
    _inherit = "ir.module.module"

    # rests on odoo/addons/base/models/ir_module.py: button_uninstall writes the state of all dependants, this one too
    def write(self, vals):
        if vals.get("state") in _LEAVING and "api_guard" in self.sudo().mapped("name"):
            self.env["api.guard"]._require_configuration_right(self.env)
        return super().write(vals)
