"""The records that a scope leaves, joined to Odoo's own record rules."""

from odoo import models
from odoo.fields import Domain

from ..core.call import Operation
from .api_data import closures_of


class IrRule(models.Model):
    _inherit = "ir.rule"

    # rests on odoo/addons/base/models/ir_rule.py, _compute_domain: cached there for all callers, and joined here
    # outside of the cache, with the domains of parents (`_inherits`), as it joins theirs
    def _compute_domain(self, model_name, mode="read"):
        domain = super()._compute_domain(model_name, mode)
        for closure in closures_of(self.env, written=mode != "read"):
            domain &= _domain(closure, self.env[model_name], Operation(mode))
        return domain


def _domain(closure, model, operation):
    domain = closure.domain(model, operation)
    for parent, name in model._inherits.items():
        if model._fields[name].store:
            inherited = _domain(closure, model.env[parent], operation)
            if not inherited.is_true():
                domain &= Domain(name, "any", inherited)
    return domain
