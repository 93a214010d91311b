"""What configures API Guard is not changed by the programs that it guards."""

from odoo import api, models
from odoo.exceptions import AccessError
from odoo.tools import clean_context


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


class ApiGuardWritten(models.AbstractModel):
    """Mixin: what is readonly is written by the guard alone, so that no default fills it, whoever set that."""

    _name = "api.guard.written"
    _inherit = ["api.guard.configuration"]
    _description = "API Guard: written by the guard"

    @api.model_create_multi
    def create(self, vals_list):
        bare = self.with_context(clean_context(self.env.context))
        return super(ApiGuardWritten, bare).create(vals_list)

    @api.model
    def _check_written(self, vals):
        if not self.env.su and any(name in self._fields and self._fields[name].readonly for name in vals):
            raise AccessError(self.env._("This is written by the guard alone."))

    @api.model
    def default_get(self, fields):
        given = [name for name in fields if name in self._fields and not self._fields[name].readonly]
        return super().default_get(given)
