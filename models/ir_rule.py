"""The records that a scope leaves, joined to Odoo's own record rules."""

from odoo import models
from odoo.fields import Domain

from ..core.call import Operation
from ..core.verdict import Deny, Reason
from ..exceptions import RefusedRecords
from ..seams.exchange import working_for
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

    # rests on odoo/addons/base/models/ir_rule.py, _make_access_error: asked for once Odoo refuses records
    def _make_access_error(self, operation, records):
        if closure := self._refusing_closure(operation, records):
            exchange = working_for(self.env.cr)
            exchange.verdict = Deny(Reason.RECORD_HIDDEN, closure.policy.name)
            exchange.place = f"{records._name}: {operation}"
            records.invalidate_recordset()  # as Odoo does: what was looked at must not stay to be read
            return RefusedRecords(exchange.verdict, exchange.request_id)
        return super()._make_access_error(operation, records)

    def _refusing_closure(self, operation, records):
        """The closure that leaves out `records`, or None where Odoo itself would not show every one of them.

        Then Odoo's own answer stands, so that nobody learns of records that are not there for the caller's user.
        """
        found = closures_of(self.env, written=operation != "read")
        if not found or not self._leaves(records, operation):
            return None
        for closure in found:
            domain = _domain(closure, records.with_user(self.env.uid), Operation(operation))
            if not domain.is_true() and len(_inside(records, domain)) < len(records):
                return closure
        confining = (closure for closure in found if closure.policy.companies is not None)
        return next(confining, None)

    def _leaves(self, records, operation):
        """Would Odoo's own rules show all of the records, in all companies that only policies take from the user?"""
        user, asked = self.env.user, self.env.context.get("allowed_company_ids") or ()
        is_confined = set(asked) == set(user._get_company_ids())
        with working_for(self.env.cr).unconfined():
            context = {"allowed_company_ids": list(user._get_company_ids())} if is_confined else {}
            domain = self.with_context(**context)._compute_domain(records._name, operation)
            return len(_inside(records, domain)) == len(records)


def _inside(records, domain):
    return records.sudo().with_context(active_test=False).filtered_domain(domain)


def _domain(closure, model, operation):
    domain = closure.domain(model, operation)
    for parent, name in model._inherits.items():
        if model._fields[name].store:
            inherited = _domain(closure, model.env[parent], operation)
            if not inherited.is_true():
                domain &= Domain(name, "any", inherited)
    return domain
