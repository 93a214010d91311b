"""Scopes: reusable lists of what a credential may reach."""

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .api_scope_line import OPERATION_FIELDS

#: what can be shown masked: a text, and for its hash whatever compares by its text
_TEXTS = ("char", "text")
_HASHED = (*_TEXTS, "html", "integer", "float", "monetary", "date", "datetime", "selection")


class ApiScope(models.Model):
    _name = "api.scope"
    _inherit = ["api.guard.configuration"]
    _description = "API Scope"
    _order = "name"

    name = fields.Char(required=True, translate=False)
    description = fields.Text()
    active = fields.Boolean(
        default=True, help="An archived scope is not offered any more; policies that use it keep it."
    )
    line_ids = fields.One2many("api.scope.line", "scope_id", string="Lines", copy=True)
    # a copy is in no policy: whoever widens it must not widen one that is in force
    policy_ids = fields.Many2many("api.policy", string="Policies", readonly=True, copy=False)
    second_factor_policy_ids = fields.Many2many(
        "api.policy", "api_policy_second_factor_scope_rel", string="Second factor in", readonly=True, copy=False
    )
    policy_count = fields.Integer(compute="_compute_policy_count")
    summary = fields.Char("Covers", compute="_compute_summary")

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        scopes = self.with_context(active_test=False)
        used = scopes.filtered(lambda scope: scope.policy_ids or scope.second_factor_policy_ids)
        if used:
            raise UserError(
                self.env._(
                    "%(scopes)s are part of policies: deleting the last scope of a policy would let it reach "
                    "everything. Take them out of the policies first, or archive them.",
                    scopes=", ".join(used.mapped("name")),
                )
            )

    @api.depends("policy_ids", "second_factor_policy_ids")
    def _compute_policy_count(self):
        for scope in self:
            scope.policy_count = len(scope.policy_ids | scope.second_factor_policy_ids)

    @api.depends("line_ids.model_pattern", "line_ids.methods", *(f"line_ids.{name}" for name in OPERATION_FIELDS))
    def _compute_summary(self):
        for scope in self:
            scope.summary = "; ".join(line._summary() for line in scope.line_ids) or self.env._("Nothing")

    def action_open_preview(self):
        named = self.line_ids.filtered(lambda line: line.allow_read and line.model_name)[:1]
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("What this scope sees"),
            "res_model": "api.scope.preview",
            "view_mode": "form",
            "target": "new",
            "context": {"default_scope_id": self.id, "default_model": named.model_name or "res.partner"},
        }

    def action_open_policies(self):
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_policy"),
            "domain": [("scope_ids", "in", self.ids)],
            "context": {"active_test": False},
        }


class ApiScopeMask(models.Model):
    _name = "api.scope.mask"
    _inherit = ["api.guard.configuration"]
    _description = "API Scope Mask"
    _order = "line_id, name, id"

    line_id = fields.Many2one("api.scope.line", required=True, ondelete="cascade", index=True)
    name = fields.Char("Field", required=True)
    masker = fields.Selection(
        [
            ("email", "E-mail address: j***@example.com"),
            ("phone", "Phone number: ***34"),
            ("iban", "IBAN: BE***7034"),
            ("card", "Card number: ***1111"),
            ("name", "Name: A*** L***"),
            ("hash", "Hash: equal values stay equal"),
        ],
        string="Shown as",
        required=True,
    )

    @api.constrains("name", "masker")
    def _check_name(self):
        self.line_id._check_data()

    def _check_kind(self, model):
        """Refuse a mask that does not fit the kind of its field."""
        kind = model._fields[self.name].type
        if kind not in (_HASHED if self.masker == "hash" else _TEXTS):
            raise ValidationError(
                self.env._(
                    "“%(field)s” cannot be shown as %(mask)s: it is of type %(kind)s. Hide it instead.",
                    field=self.name,
                    mask=dict(self._fields["masker"]._description_selection(self.env))[self.masker],
                    kind=kind,
                )
            )
