"""What configures API Guard is not changed by the programs that it guards."""

from odoo import api, models


class ApiGuardConfiguration(models.AbstractModel):
    """Mixin: create, write and unlink need a person, or a scope that names the model.

    Whatever method the call came in by, and under sudo too: the question is who
    asked, not what Odoo would let them do.
    """

    _name = "api.guard.configuration"
    _description = "API Guard: configuration"

    @api.model_create_multi
    def create(self, vals_list):
        self.env["api.guard"]._require_configuration_right(self.env)
        return super().create(vals_list)

    def write(self, vals):
        self.env["api.guard"]._require_configuration_right(self.env)
        return super().write(vals)

    def unlink(self):
        self.env["api.guard"]._require_configuration_right(self.env)
        return super().unlink()
