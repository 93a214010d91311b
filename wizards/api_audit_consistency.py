"""Was the log only appended to between two checkpoints? The answer, and the proof for somebody outside."""

import json
from base64 import b64encode

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..core.merkle import TileMissing


class ApiAuditConsistency(models.TransientModel):
    _name = "api.audit.consistency"
    _description = "Consistency of Two Checkpoints"

    old_id = fields.Many2one("api.audit.checkpoint", "From", required=True)
    new_id = fields.Many2one("api.audit.checkpoint", "To", required=True)
    is_consistent = fields.Boolean(compute="_compute_answer")
    answer = fields.Char(compute="_compute_answer")
    proof = fields.Binary(compute="_compute_answer")
    file_name = fields.Char(compute="_compute_answer")

    @api.model
    def default_get(self, names):
        """Of the checkpoints that are selected in the list, the first and the last; of one, since that."""
        values = super().default_get(names)
        chosen = self.env["api.audit.checkpoint"]
        if self.env.context.get("active_model") == chosen._name:
            chosen = chosen.browse(self.env.context.get("active_ids", ())).exists().sorted("number")
        last = self.env["api.audit.checkpoint"]._last()
        if chosen:
            values |= {"old_id": chosen[0].id, "new_id": chosen[-1].id if len(chosen) > 1 else last.id}
        return values

    @api.depends("old_id", "new_id")
    def _compute_answer(self):
        for wizard in self:
            wizard.is_consistent = wizard.proof = wizard.file_name = False
            wizard.answer = wizard._answered()

    def _answered(self):
        old, new = self.old_id, self.new_id
        if not old or not new:
            return False
        proofs = self.env["api.audit.receipt"]
        try:
            document = proofs._consistency(old, new)
            self.is_consistent = proofs._is_consistent(old, new)
        except (UserError, TileMissing) as error:
            return str(error) if isinstance(error, UserError) else self.env._("The tree of the log is not whole.")
        if not self.is_consistent:
            return self.env._("What was sealed before was changed. Verify the log.")
        self.proof = self._encoded(document)
        self.file_name = f"consistency-{old.number}-{new.number}.json"
        return self.env._(
            "Only appended to in between: %(count)s entries after the first %(old)s, none of which was changed.",
            count=new.size - old.size, old=old.size,
        )  # fmt: skip

    def action_download(self):
        self.ensure_one()
        url = f"/web/content/{self._name}/{self.id}/proof/{self.file_name}?download=true"
        return {"type": "ir.actions.act_url", "url": url, "target": "download"}

    @api.model
    def _encoded(self, document):
        return b64encode(json.dumps(document, indent=1).encode() + b"\n")
