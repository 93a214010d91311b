"""Keys that stand in records, where colleagues can read them: what was found, and what to do about it.

A finding names the record and the field, and never holds the secret or a part of it.
The search itself is in `api_leak_scan`.
"""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError


class ApiLeak(models.Model):
    _name = "api.leak"
    _inherit = ["api.guard.configuration"]
    _description = "Pasted API Key"
    _order = "state, found_at desc, id desc"
    _rec_name = "res_model"

    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Integer("Record ID", required=True, readonly=True, aggregator=None)
    field_name = fields.Char("Field", required=True, readonly=True)
    place = fields.Char("Where", compute="_compute_place")
    credential_id = fields.Many2one(
        "api.credential",
        string="Key",
        readonly=True,
        ondelete="cascade",
        index=True,
        help="Empty: no key of this database; perhaps one of another.",
    )
    user_id = fields.Many2one(related="credential_id.user_id", string="Owner")
    status = fields.Selection(related="credential_id.status", string="Key now")
    key_state = fields.Selection(
        lambda self: [*self.env["api.credential"]._fields["status"]._description_selection(self.env),
                      ("unknown", self.env._("Unknown here"))],
        string="Key when found",
        readonly=True,
    )  # fmt: skip
    found_at = fields.Datetime("Found", required=True, readonly=True, default=fields.Datetime.now)
    state = fields.Selection([("open", "Open"), ("resolved", "Resolved")], default="open", required=True, readonly=True)
    resolved_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    resolved_at = fields.Datetime(readonly=True)
    fingerprint = fields.Char(readonly=True, groups="base.group_no_one")

    # the same secret in the same place is one finding, until somebody resolved it
    _open_once = models.UniqueIndex("(res_model, res_id, field_name, fingerprint) WHERE state = 'open'")

    @api.depends("place")
    def _compute_display_name(self):
        for leak in self:
            leak.display_name = leak.place

    @api.depends("res_model", "res_id", "field_name")
    def _compute_place(self):
        for leak in self:
            model = self.env.get(leak.res_model)
            field = model is not None and model._fields.get(leak.field_name)
            label = field._description_string(self.env) if field else leak.field_name
            name = leak.res_model if model is None else self.env["ir.model"]._get(leak.res_model).sudo().name
            leak.place = f"{name} {leak.res_id}: {label}"

    # ----------------------------------------------------------------- actions

    def action_suspend_key(self):
        self._check_manager()
        self.credential_id._suspend_for("pasted")

    def action_resolve(self):
        """The secret was removed, or is of no use any more."""
        self._check_manager()
        seen = {"resolved_by": self.env.uid, "resolved_at": fields.Datetime.now()}
        self.filtered(lambda leak: leak.state == "open").sudo().write({"state": "resolved", **seen})

    def action_open_record(self):
        self.ensure_one()
        model = self.env.get(self.res_model)
        if model is None or not model.sudo().browse(self.res_id).exists():
            raise UserError(self.env._("The record is gone, and the key with it. Resolve the finding."))
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }

    def action_scan(self):
        """Search what changed since the last search, in the background; whichever findings are selected."""
        scans = self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_leak_scan")
        return self.env["api.leak.scan"]._request(is_full=False, then=scans)

    @api.model
    def _check_manager(self):
        self.env["api.guard"]._require_configuration_right(self.env)
        if not self.env.su and not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers decide what becomes of pasted keys."))
