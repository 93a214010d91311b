"""Scopes in the ORM: what a method reaches on its way is what the credential reaches.

So far for protected models only: whoever may write contacts does not make users
through a contact's `user_ids`. All models, fields and records are to follow here.
"""

from functools import partial

from odoo import models

from ..core.call import Operation
from ..core.scope import is_protected
from ..seams.exchange import working_for


class Base(models.AbstractModel):
    _inherit = "base"

    # rests on odoo/orm/models.py, _check_access: asked for each record written with the caller's rights, x2many
    # commands included; not under sudo, which is business code that Odoo trusts
    def _check_access(self, operation):
        exchange = working_for(self.env.cr)
        if exchange is not None and operation != "read" and is_protected(self._name, Operation(operation)):
            guard = self.env["api.guard"]
            if deny := guard._judge_nested(exchange, self._name, Operation(operation)):
                return self, partial(guard._refused_inside, exchange, deny)
        return super()._check_access(operation)
