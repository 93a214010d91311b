"""The protected models and methods as records, so that people can read which they are, and why."""

from odoo import api, fields, models
from odoo.tools import SQL

from ..core.protected import PROTECTED, Danger
from ..core.steered import STEERED, Steer


class ApiProtected(models.Model):
    _name = "api.protected"
    _description = "Protected Model or Method"
    _auto = False  # a table of the code's: nobody changes it here, and an update brings its rows along
    _order = "danger, name, method"

    name = fields.Char("Model", readonly=True, help="A star stands for whichever model has the method.")
    method = fields.Char(readonly=True, help="Empty: all that changes the model, and what is executed on it.")
    danger = fields.Selection(
        [
            (Danger.CODE.value, "Runs code"),
            (Danger.RIGHTS.value, "Access rights"),
            (Danger.LOGIN.value, "Users, passwords and keys"),
            (Danger.SETTINGS.value, "Settings"),
            (Danger.SCHEMA.value, "Models and apps"),
            (Danger.SCREENS.value, "Screens and pages"),
            (Danger.MAIL.value, "Mail servers and addresses"),
            (Danger.MERGE.value, "Merging"),
            (Danger.HISTORY.value, "Former values"),
            (Danger.STEERED.value, "Works on any model"),
            (Danger.RENDERS.value, "Renders templates"),
            (Steer.MODEL.value, "Method: any model"),
            (Steer.RECORDS.value, "Method: any domain"),
            (Steer.CODE.value, "Method: any code"),
        ],
        "Because of",
        readonly=True,
    )
    reading = fields.Boolean("Reading too", readonly=True, help="A pattern does not even let programs read it.")
    reason = fields.Text(compute="_compute_reason")
    model_count = fields.Integer("Models here", compute="_compute_here", help="How many such models this database has.")
    is_here = fields.Boolean("In this database", compute="_compute_here", search="_search_is_here")
    scope_ids = fields.Many2many("api.scope", string="Named by", compute="_compute_here")

    @property
    def _table_query(self):
        rows = [(row.name, None, row.danger.value, row.reading) for row in PROTECTED]
        rows += [(row.model, row.method, row.steer.value, False) for row in STEERED]
        values = (SQL("(%s, %s, %s, %s, %s)", number, *row) for number, row in enumerate(rows, 1))
        columns = SQL("(id, name, method, danger, reading)")
        return SQL("SELECT * FROM (VALUES %s) AS protected %s", SQL(", ").join(values), columns)

    @api.depends("danger")
    def _compute_reason(self):
        texts = self._texts()
        for row in self:
            row.reason = texts.get(row.danger)

    @api.depends("name")
    def _compute_here(self):
        lines = self.env["api.scope.line"].search([("model_pattern", "!=", False)])
        for row in self:
            row.model_count = sum(map(row._names, self.env.registry))
            row.is_here = bool(row.model_count)
            row.scope_ids = lines.filtered(row._is_named_by).scope_id

    @api.model
    def _search_is_here(self, operator, value):
        if operator != "in":
            return NotImplemented
        here = self.browse(range(1, len(PROTECTED) + len(STEERED) + 1)).filtered("is_here")
        return [("id", "in" if True in value else "not in", here.ids)]

    def _names(self, model):
        """Is this row about `model`, which there is?"""
        if self.method:
            return self.name in ("*", model) and hasattr(self.env[model], self.method)
        return PROTECTED[self.id - 1].names(model)

    def _is_named_by(self, line):
        model = line.model_pattern
        if self.method:
            return self.name in ("*", model) and self.method in (line.methods or "").split()
        return PROTECTED[self.id - 1].names(model)

    @api.model
    def _texts(self):
        """For each danger: what could a program do with such a model?"""
        return {
            "code": self.env._("It holds code or expressions that the server runs: who writes it does anything."),
            "rights": self.env._("It settles who may do what: who writes it gives rights, to itself as well."),
            "login": self.env._("It settles how people and programs log in: who writes it becomes somebody else."),
            "settings": self.env._("It changes how Odoo behaves for everybody."),
            "schema": self.env._("It changes models, fields or installed apps, and what they let happen."),
            "screens": self.env._("It changes what everybody's screens and pages show, and may run there."),
            "mail": self.env._("It settles where mail goes and what it does when it comes in; servers hold passwords."),
            "merge": self.env._("It changes and deletes records of all models past its caller's rights."),
            "history": self.env._("It keeps present and former values of fields of whatever model, hidden ones too."),
            "steered": self.env._("It works on whichever model one of its fields names."),
            "by_model": self.env._("It works on whichever model it is told, by its user's rights."),
            "by_domain": self.env._(
                "It searches by a domain that it is given, with its user's rights: what a scope hides can be guessed."
            ),
            "by_code": self.env._("It runs, numbers or sets up what a code names."),
            "renders": self.env._(
                "It renders templates, or writes with all rights, while it is merely read or filled in."
            ),
        }
