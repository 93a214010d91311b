"""The protected models as records, so that people can read which they are, and why."""

from odoo import api, fields, models
from odoo.tools import SQL

from ..core.protected import PROTECTED, Danger


class ApiProtected(models.Model):
    _name = "api.protected"
    _description = "Protected Model"
    _auto = False  # a table of the code's: nobody changes it here, and an update brings its rows along
    _order = "danger, name"

    name = fields.Char("Model", readonly=True)
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
            (Danger.RENDERS.value, "Renders templates"),
        ],
        "Because of",
        readonly=True,
    )
    reading = fields.Boolean("Reading too", readonly=True, help="A pattern does not even let programs read it.")
    reason = fields.Char(compute="_compute_reason")
    model_count = fields.Integer("Models here", compute="_compute_here", help="How many such models this database has.")
    scope_ids = fields.Many2many("api.scope", string="Named by", compute="_compute_here")

    @property
    def _table_query(self):
        rows = (
            SQL("(%s, %s, %s, %s)", number, row.name, row.danger.value, row.reading)
            for number, row in enumerate(PROTECTED, 1)
        )
        return SQL("SELECT * FROM (VALUES %s) AS protected (id, name, danger, reading)", SQL(", ").join(rows))

    @api.depends("danger")
    def _compute_reason(self):
        texts = self._texts()
        for row in self:
            row.reason = texts.get(row.danger)

    @api.depends("name")
    def _compute_here(self):
        lines = self.env["api.scope.line"].search([("model_pattern", "!=", False)])
        for row, protected in ((row, PROTECTED[row.id - 1]) for row in self):
            row.model_count = sum(map(protected.names, self.env.registry))
            row.scope_ids = lines.filtered(
                lambda line, names=protected.names: line.model_pattern and names(line.model_pattern)
            ).scope_id

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
            "renders": self.env._(
                "It renders templates, or writes with all rights, while it is merely read or filled in."
            ),
        }
