"""Many keys at once: suspend, resume, or demand that they are rotated."""

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.api_credential import KEY_DOMAIN


class ApiKeyBulk(models.TransientModel):
    _name = "api.key.bulk"
    _description = "Change Many API Keys"

    target = fields.Selection(
        [
            ("selected", "The keys that I have selected"),
            ("user", "All keys of a user"),
            ("policy", "All keys under a policy"),
            ("all", "All keys of everybody"),
        ],
        "Which keys",
        default=lambda self: "selected" if self.env.context.get("active_ids") else "user",
        required=True,
    )
    credential_ids = fields.Many2many(
        "api.credential", default=lambda self: self._selected(), domain=KEY_DOMAIN, string="Keys"
    )
    user_id = fields.Many2one("res.users")
    policy_id = fields.Many2one("api.policy")
    action = fields.Selection(
        [("rotate", "Demand a rotation"), ("suspend", "Suspend"), ("resume", "Resume")],
        "What",
        default="rotate",
        required=True,
    )
    rotate_by = fields.Datetime(
        help="Owners are reminded. A key that was not rotated by then is refused; it is not deleted."
    )
    count = fields.Integer("Keys concerned", compute="_compute_count")

    @api.model
    def _selected(self):
        if self.env.context.get("active_model") != "api.credential":
            return self.env["api.credential"]
        return self.env["api.credential"].browse(self.env.context.get("active_ids", []))

    def _keys(self):
        """The keys concerned that the action would change."""
        domains = {
            "selected": [("id", "in", self.credential_ids.ids)],
            "user": [("user_id", "=", self.user_id.id)],
            "policy": [("policy_id", "=", self.policy_id.id)],
            "all": [],
        }
        # what others may have is resumed one by one, by somebody who knows about it
        resumed = [("state", "=", "suspended"), ("suspension", "not in", ("leaked", "pasted", "family"))]
        changed = resumed if self.action == "resume" else [("state", "=", "active")]
        return self.env["api.credential"].search(
            fields.Domain(KEY_DOMAIN) & fields.Domain(changed) & fields.Domain(domains[self.target])
        )

    @api.depends("target", "credential_ids", "user_id", "policy_id", "action")
    def _compute_count(self):
        for wizard in self:
            wizard.count = len(wizard._keys())

    def action_apply(self):
        self.ensure_one()
        keys = self._keys()
        if not keys:
            raise UserError(self.env._("No key is concerned: there is nothing to do."))
        if self.action == "suspend":
            keys.action_suspend()
        elif self.action == "resume":
            keys.action_resume()
        else:
            if not self.rotate_by:
                raise UserError(self.env._("Choose by when the keys have to be rotated."))
            keys._demand_rotation(self.rotate_by)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("Keys changed: %(count)s.", count=len(keys)),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }
