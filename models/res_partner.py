"""Contacts of users: whoever changes the address that a new password is sent to becomes that user."""

from odoo import models

from ..core.call import BY_VALUES, Operation
from ..seams.exchange import working_for


class ResPartner(models.Model):
    _inherit = "res.partner"

    # rests on odoo/addons/base/models/res_partner.py, write: asks for the right to write users, which means nothing
    # where a field of another model (hr.employee.work_email) writes the contact under sudo
    def write(self, vals):
        if self.env.cr._api_guard_exchange is not None and self.env.su and "email" in vals:
            self._require_users(vals["email"])
        return super().write(vals)

    def _require_users(self, email):
        """Refuse a program whose values change the address of an internal user, and whose scope names no users."""
        exchange = working_for(self.env.cr)
        if exchange is None or not exchange.call.target.operations & BY_VALUES:
            return
        changed = self.filtered(lambda partner: partner.email != email)
        if not any(user._is_internal() for user in changed.with_context(active_test=False).user_ids):
            return
        guard = self.env["api.guard"]
        if deny := guard._judge_nested(exchange, "res.users", Operation.WRITE):
            raise guard._refused_inside(exchange, deny, "res.users: write")
