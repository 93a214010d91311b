"""Limits: how much a policy lets a program do in a time, as an administrator writes it down."""

from math import isfinite

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..core.limit import MAX_MOVING, Per, Period, StoreDown, Unit
from ..core.policy import GREATEST_AMOUNT

MAX_AT_ONCE = 10_000
#: what most programs never notice, and a program that runs wild does
USUAL_LIMITS = (
    {"amount": 600, "unit": Unit.CALLS.value, "period": Period.MINUTE.value, "per": Per.KEY.value},
    {"amount": 100_000, "unit": Unit.ROWS.value, "period": Period.HOUR.value, "per": Per.KEY.value},
)
LIMIT_FIELDS = ("amount", "unit", "period", "per", "is_exact")


class ApiPolicyLimit(models.Model):
    _name = "api.policy.limit"
    _inherit = ["api.guard.configuration"]
    _description = "API Policy Limit"
    _order = "policy_id, sequence, id"
    _rec_name = "summary"

    policy_id = fields.Many2one("api.policy", required=True, ondelete="cascade", index=True)
    sequence = fields.Integer(default=10)
    amount = fields.Float("At most", required=True, default=600, help="A whole number. 1,000,000 bytes are 1 MB.")
    unit = fields.Selection(
        selection="_selection_unit",
        string="Of what",
        required=True,
        default=Unit.CALLS.value,
        help="Only of calls is it known beforehand how many a call is. All else is counted when the call is over, and "
        "bars the next one.",
    )
    period = fields.Selection(selection="_selection_period", string="In a", required=True, default=Period.MINUTE.value)
    per = fields.Selection(
        selection="_selection_per",
        string="Counted for each",
        required=True,
        default=Per.KEY.value,
        help="Whose calls are counted together. A key counts with those that it replaces.",
    )
    is_exact = fields.Boolean(
        "Exact window",
        default=False,
        help="Keep the moment of each call (at most 10,000), so that room becomes free to the moment. Otherwise it "
        "becomes free up to a hundredth of the period later.",
    )
    summary = fields.Char(compute="_compute_summary")

    @api.model
    def _selection_unit(self):
        return [
            (Unit.CALLS.value, self.env._("Calls")),
            (Unit.ROWS.value, self.env._("Records returned")),
            (Unit.WRITTEN.value, self.env._("Records written")),
            (Unit.BYTES.value, self.env._("Bytes returned")),
            (Unit.MILLISECONDS.value, self.env._("Server time (ms)")),
        ]

    @api.model
    def _selection_period(self):
        return [
            (Period.SECOND.value, self.env._("Second")),
            (Period.MINUTE.value, self.env._("Minute")),
            (Period.HOUR.value, self.env._("Hour")),
            (Period.DAY.value, self.env._("Day")),
            (Period.MONTH.value, self.env._("Month (30 days)")),
        ]

    @api.model
    def _selection_per(self):
        return [
            (Per.KEY.value, self.env._("Key")),
            (Per.USER.value, self.env._("User")),
            (Per.PEER.value, self.env._("Address")),
            (Per.NETWORK.value, self.env._("Network")),
            (Per.POLICY.value, self.env._("Policy as a whole")),
        ]

    @api.depends("amount", "unit", "period", "per")
    def _compute_summary(self):
        for limit in self:
            limit.summary = self._in_words(limit.amount, limit.unit, limit.period, limit.per)

    @api.onchange("unit")
    def _onchange_unit(self):
        if self.unit != Unit.CALLS.value:
            self.is_exact = False

    @api.constrains(*LIMIT_FIELDS)
    def _check_limit(self):
        for limit in self:
            if limit.amount > GREATEST_AMOUNT:
                raise ValidationError(
                    self.env._("A limit is at most %(most)s. To allow everything, leave the limit out.",
                               most=f"{GREATEST_AMOUNT:,}")
                )  # fmt: skip
            if not limit.amount >= 1 or limit.amount != int(limit.amount):
                raise ValidationError(
                    self.env._("A limit is a whole number of at least 1. To allow nothing, use a scope instead.")
                )
            if limit.is_exact and limit.unit != Unit.CALLS.value:
                raise ValidationError(
                    self.env._("Only calls are counted in an exact window: all else is known when it has happened.")
                )
            if limit.is_exact and limit.amount > MAX_MOVING:
                raise ValidationError(
                    self.env._("An exact window keeps at most %(most)s moments.", most=f"{MAX_MOVING:,}")
                )

    def _document(self):
        amount = int(self.amount) if isfinite(self.amount) else 0  # which the constraint refuses
        return [self._origin.id or 0, amount, self.unit, self.period, self.per, self.is_exact]


class ApiPolicy(models.Model):
    _inherit = "api.policy"

    limit_ids = fields.One2many("api.policy.limit", "policy_id", string="Limits", copy=True)
    max_at_once = fields.Integer(
        "Calls at the same time",
        help="How many calls of one key may be under way at once. A slot whose call was killed frees itself. "
        "0: no limit.",
    )
    counts_refused = fields.Boolean(
        "Refused calls count",
        help="A call that is refused, for whatever reason, counts as a call: a program that does not wait as it is "
        "told waits longer.",
    )
    on_store_down = fields.Selection(
        selection="_selection_on_store_down",
        string="If limits cannot be counted",
        required=True,
        default=StoreDown.CLOSED.value,
        help="What becomes of calls while the store of the counters does not answer.",
    )

    @api.model
    def _selection_on_store_down(self):
        return [
            (StoreDown.CLOSED.value, self.env._("Calls are refused")),
            (StoreDown.LOCAL.value, self.env._("Each process estimates, and an alert is raised")),
            (StoreDown.OPEN.value, self.env._("Calls pass, and an alert is raised")),
        ]

    @api.constrains("max_at_once")
    def _check_max_at_once(self):
        for policy in self:
            if not 0 <= policy.max_at_once <= MAX_AT_ONCE:
                raise ValidationError(
                    self.env._("Calls at the same time: between 0 (no limit) and %(most)s.", most=MAX_AT_ONCE)
                )

    def action_add_usual_limits(self):
        """A start for whoever does not know yet what programs need. Nothing for a policy that has limits."""
        for policy in self.filtered(lambda policy: not policy.limit_ids):
            policy.limit_ids = [fields.Command.create(values) for values in USUAL_LIMITS]

    def _limit_sections(self):
        """The sections of the document that speak of limits (core/policy.py reads them)."""
        number = self._origin.id or 0
        limits = sorted(limit._document() for limit in self.limit_ids)
        if not limits and not self.max_at_once:
            return {}
        return {
            "limits": limits,
            "concurrency": [number, self.max_at_once] if self.max_at_once > 0 else None,
            "counts_refused": self.counts_refused,
            "on_store_down": self.on_store_down if self.on_store_down != StoreDown.CLOSED.value else None,
        }
