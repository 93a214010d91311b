"""Scopes: reusable lists of what a credential may reach."""

import re

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..core.call import Operation
from ..core.operation import operations_of
from ..core.scope import ScopeLine

_PATTERN = re.compile(r"\*|[a-z_][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?|/[^\s*]*\*?", re.IGNORECASE)
_METHOD = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")

_OPERATION_FIELDS = {
    "allow_read": Operation.READ,
    "allow_write": Operation.WRITE,
    "allow_create": Operation.CREATE,
    "allow_unlink": Operation.UNLINK,
    "allow_execute": Operation.EXECUTE,
}
_TICKS = ("allow_read", "allow_write", "allow_create", "allow_unlink")


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
    policy_ids = fields.Many2many("api.policy", string="Policies", readonly=True)
    policy_count = fields.Integer(compute="_compute_policy_count")
    summary = fields.Char("Covers", compute="_compute_summary")

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        used = self.filtered(lambda scope: scope.with_context(active_test=False).policy_ids)
        if used:
            raise UserError(
                self.env._(
                    "%(scopes)s are part of policies: deleting the last scope of a policy would let it reach "
                    "everything. Take them out of the policies first, or archive them.",
                    scopes=", ".join(used.mapped("name")),
                )
            )

    @api.depends("policy_ids")
    def _compute_policy_count(self):
        for scope in self:
            scope.policy_count = len(scope.policy_ids)

    @api.depends("line_ids.model_pattern", "line_ids.methods", *(f"line_ids.{name}" for name in _OPERATION_FIELDS))
    def _compute_summary(self):
        for scope in self:
            scope.summary = "; ".join(line._summary() for line in scope.line_ids) or self.env._("Nothing")

    def action_open_policies(self):
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_policy"),
            "domain": [("scope_ids", "in", self.ids)],
            "context": {"active_test": False},
        }


class ApiScopeLine(models.Model):
    _name = "api.scope.line"
    _inherit = ["api.guard.configuration"]
    _description = "API Scope Line"
    _order = "scope_id, sequence, id"

    scope_id = fields.Many2one("api.scope", required=True, ondelete="cascade", index=True)
    sequence = fields.Integer(default=10)
    model_pattern = fields.Char(
        string="Model",
        required=True,
        help="A model's technical name (res.partner), all models below a name (sale.*), every model (*), "
        "or a route (/mail_plugin/*).",
    )
    allow_read = fields.Boolean("Read", default=True)
    allow_write = fields.Boolean("Write")
    allow_create = fields.Boolean("Create")
    allow_unlink = fields.Boolean("Delete")
    methods = fields.Char(
        string="Methods to execute",
        help="Public methods beyond reading and writing records, by name and separated by spaces or commas: "
        "action_confirm, message_post. Nothing is executed that is not named here.",
    )
    allow_execute = fields.Boolean(compute="_compute_allow_execute", store=True)
    notice = fields.Char(compute="_compute_notice")

    @api.depends("methods", "model_pattern", "allow_write")
    def _compute_allow_execute(self):
        for line in self:
            is_route = (line.model_pattern or "").startswith("/")
            line.allow_execute = bool(line._method_names()) or is_route

    @api.depends("model_pattern", "methods", *_TICKS)
    def _compute_notice(self):
        """What an administrator probably did not mean. No error: the model's addon may be installed later."""
        for line in self:
            pattern = (line.model_pattern or "").strip()
            if not pattern or pattern.startswith("/"):
                line.notice = False
            elif not any(line[tick] for tick in _TICKS) and not line._method_names():
                line.notice = self.env._("Covers nothing: tick an operation or name a method.")
            elif not any(map(ScopeLine(pattern, frozenset()).names, self.env)):
                line.notice = self.env._("No model of this database has this technical name.")
            else:
                line.notice = False

    @api.constrains("model_pattern", "methods")
    def _check_notation(self):
        for line in self:
            if not _PATTERN.fullmatch(line.model_pattern):
                raise ValidationError(
                    self.env._(
                        "“%(pattern)s” names no model. Write a technical name (res.partner), all below a name "
                        "(sale.*), every model (*), or a route (/mail_plugin/*).",
                        pattern=line.model_pattern,
                    )
                )
            for method in line._method_names():
                line._check_method(method)

    def _check_method(self, method):
        if not _METHOD.fullmatch(method):
            raise ValidationError(self.env._("“%(method)s” is not the name of a public method.", method=method))
        if Operation.EXECUTE not in operations_of(method):
            raise ValidationError(
                self.env._(
                    "“%(method)s” is covered by the operations (%(operations)s): tick those instead of naming it.",
                    method=method,
                    operations=", ".join(sorted(operation.value for operation in operations_of(method))),
                )
            )

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._stripped(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._stripped(vals))

    @api.model
    def _stripped(self, vals):
        pattern = vals.get("model_pattern")
        return {**vals, "model_pattern": pattern.strip()} if isinstance(pattern, str) else vals

    def _method_names(self):
        return sorted(set((self.methods or "").replace(",", " ").split()))

    def _summary(self):
        """This line for a reader: “res.partner: Read, Write, action_confirm”."""
        if self.model_pattern.startswith("/"):
            return self.model_pattern
        labels = [self._fields[field]._description_string(self.env) for field in _TICKS if self[field]]
        return f"{self.model_pattern}: {', '.join(labels + self._method_names()) or '-'}"

    def _document(self):
        """This line as a policy's document has it: [pattern, operations, methods]."""
        operations = sorted(operation.value for field, operation in _OPERATION_FIELDS.items() if self[field])
        return [self.model_pattern, operations, self._method_names()]
