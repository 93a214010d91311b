"""What does a scope leave of one model to one user? For whoever writes the scope, before a key has it."""

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain

from ..core.call import Operation, Target
from ..core.scope import covered
from ..models.closure import Closure
from ..models.target import renders


class ApiScopePreview(models.TransientModel):
    _name = "api.scope.preview"
    _description = "What a scope sees"

    scope_id = fields.Many2one("api.scope", required=True, readonly=True, ondelete="cascade")
    user_id = fields.Many2one(
        "res.users", string="A key of", required=True, default=lambda self: self.env.user, ondelete="cascade"
    )
    model = fields.Char(required=True, default="res.partner")
    notice = fields.Char(compute="_compute_seen")
    records = fields.Integer(compute="_compute_seen")
    shown_fields = fields.Text("Shown", compute="_compute_seen")
    masked_fields = fields.Text("Masked", compute="_compute_seen")
    hidden_fields = fields.Text("Hidden", compute="_compute_seen")
    withheld_fields = fields.Text("Not for this user", compute="_compute_seen")

    @api.depends("scope_id", "user_id", "model")
    def _compute_seen(self):
        nothing = dict.fromkeys(
            ("notice", "records", "shown_fields", "masked_fields", "hidden_fields", "withheld_fields"), False
        )
        for preview in self:
            preview.update(nothing | preview._seen())

    def _seen(self):
        name = (self.model or "").strip()
        if name not in self.env or self.env[name]._abstract:
            return {"notice": self.env._("No model of this database has this technical name.")}
        mine, theirs = self.env[name], self.env[name].with_user(self.user_id)
        policy = self.scope_id.line_ids._as_policy()
        if policy is None or not self._covers(policy, name):
            return {"notice": self.env._("No line of the scope lets a key read this model.")}
        if not theirs.has_access("read"):
            return {
                "notice": self.env._(
                    "%(user)s may not read this model, and no scope changes that.", user=self.user_id.name
                )
            }
        closure = Closure(self.env.registry, policy)
        return self._fields_seen(theirs, closure) | self._records_seen(mine, theirs, closure)

    @api.model
    def _covers(self, policy, name):
        target = Target(name, "read", frozenset({Operation.READ}), renders(self.env.registry, name))
        return covered(target, policy.scopes)

    def _records_seen(self, mine, theirs, closure):
        """The records that the key would reach, as far as whoever asks may see them: a count would tell of others."""
        mine, theirs = (model.with_context(active_test=False) for model in (mine, theirs))
        try:
            reached = closure.domain(theirs, Operation.READ) & Domain("id", "in", theirs._search([]))
            return {"records": mine.search_count(reached)}
        except AccessError:
            return {"notice": self.env._("The records are not counted: you may not see them yourself.")}

    @api.model
    def _is_hidden(self, closure, field):
        # a policy that restricts no data hides no field; the lines of what is not covered are hidden all the same
        if closure.policy.restricts_data and closure.bars(field, False):
            return True
        return field.type in ("one2many", "many2many") and not self._covers(closure.policy, field.comodel_name)

    @api.model
    def _fields_seen(self, theirs, closure):
        found = {"shown_fields": [], "masked_fields": [], "hidden_fields": [], "withheld_fields": []}
        for name, field in sorted(theirs._fields.items()):
            if not theirs._has_field_access(field, "read"):
                found["withheld_fields"].append(name)
            elif masker := closure.masker(field):
                found["masked_fields"].append(f"{name} ({masker.value})")
            elif self._is_hidden(closure, field):
                found["hidden_fields"].append(name)
            else:
                found["shown_fields"].append(name)
        return {kind: ", ".join(names) for kind, names in found.items()}
