"""Attachments that are more than papers: what everybody's browser loads, and values of protected models' fields."""

from odoo import api, models

from ..core.call import Operation
from ..core.protected import is_protected, is_screen
from ..seams.exchange import working_for

_ASSET = "ir.asset"  # what such a file is, whatever table it lies in


class IrAttachment(models.Model):
    _inherit = "ir.attachment"

    @api.model_create_multi
    def create(self, vals_list):
        created = super().create(vals_list)
        created._require_places()  # a default may have placed it
        return created

    def write(self, vals):
        self._require_places()
        done = super().write(vals)
        self._require_places()
        return done

    def unlink(self):
        self._require_places()
        return super().unlink()

    def _require_places(self):
        """Refuse a program that may not write what these attachments are part of, were it named otherwise."""
        if self.env.cr._api_guard_exchange is None or self.env.su:
            return
        exchange = working_for(self.env.cr)
        if exchange is None or not exchange.scoped:
            return
        guard = self.env["api.guard"]
        for model in sorted(self._protected_places()):
            if deny := guard._judge_nested(exchange, model, Operation.WRITE):
                raise guard._refused_inside(exchange, deny, f"{model}: write")

    def _protected_places(self):
        """The protected models that these attachments change."""
        found = set()
        for attachment in self.sudo():
            # rests on odoo/addons/base/models/ir_http.py, _serve_fallback: served at its path, whatever it is about
            if (attachment.url or "").startswith("/"):
                found.add(_ASSET)
            model = attachment.res_model or ""
            # a paper that somebody keeps with a record changes nothing of it; the value of a field does
            if is_screen(model) or (attachment.res_field and is_protected(model, Operation.WRITE)):
                found.add(model)
        return found
