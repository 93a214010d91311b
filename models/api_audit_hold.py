"""What may not be deleted, whatever its age: entries of a key, of a user, or of a period, until somebody releases them.

A hold is a fact of its own: what it holds is never changed, and it is released, not deleted.
"""

from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

SCOPE = ("credential_id", "user_id", "user_number", "starts", "ends")


class ApiAuditHold(models.Model):
    _name = "api.audit.hold"
    _inherit = ["api.guard.written"]
    _description = "Legal Hold on the Audit Log"
    _order = "released_at DESC NULLS FIRST, id DESC"

    name = fields.Char("Reason", required=True, help="The matter, the court, the request: what a later reader needs.")
    credential_id = fields.Many2one("api.credential", "Key", ondelete="restrict", index=True)
    user_id = fields.Many2one("res.users", ondelete="set null")
    user_number = fields.Integer(readonly=True, aggregator=None, help="It stays when the user is deleted.")
    login = fields.Char(readonly=True)
    starts = fields.Datetime("From", help="Empty: from the first entry on.")
    ends = fields.Datetime("Until", help="Empty: without an end.")
    create_uid = fields.Many2one("res.users", "Held by", readonly=True)
    create_date = fields.Datetime("Since", readonly=True)
    released_at = fields.Datetime("Released", readonly=True)
    released_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    status = fields.Selection([("held", "Held"), ("released", "Released")], compute="_compute_status")
    subject = fields.Char("What is held", compute="_compute_subject")

    _ends_after_start = models.Constraint("CHECK (ends > starts)", "A hold ends after it begins.")

    @api.depends("released_at")
    def _compute_status(self):
        for hold in self:
            hold.status = "released" if hold.released_at else "held"

    @api.depends("credential_id", "user_id", "login", "starts", "ends")
    def _compute_subject(self):
        for hold in self:
            parts = [
                hold.credential_id and self.env._("calls of key “%(key)s”", key=hold.credential_id.display_name),
                (hold.user_id or hold.login)
                and self.env._("calls of user “%(user)s”", user=hold.user_id.display_name or hold.login),
                hold.starts and self.env._("from %(time)s", time=fields.Datetime.to_string(hold.starts)),
                hold.ends and self.env._("until %(time)s", time=fields.Datetime.to_string(hold.ends)),
            ]
            hold.subject = ", ".join(filter(None, parts)) or False

    @api.constrains("name", "credential_id", "user_id", "starts", "ends")  # the name is always given
    def _check_scope(self):
        for hold in self:
            if not (hold.credential_id or hold.user_id or hold.user_number or hold.starts or hold.ends):
                raise ValidationError(self.env._("Say what is held: calls of a key, of a user, or of a period."))

    @api.model_create_multi
    def create(self, vals_list):
        for values in vals_list:
            for name in ("released_at", "released_by"):
                values.pop(name, None)
            user = self.env["res.users"].sudo().browse(values.get("user_id") or [])
            values.update(user_number=user.id or None, login=user.login)
        holds = super().create(vals_list)
        for hold in holds:
            hold._enter("create")
        return holds

    def write(self, vals):
        if set(vals) & {"name", *SCOPE, "login", "released_at", "released_by"}:
            raise UserError(self.env._("What is held stays as it is. Make another hold, then release this one."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("A hold is released, not deleted: that it was there stays known."))

    def action_release(self):  # pylint: disable=missing-return
        self.check_access("write")
        for hold in self.filtered(lambda hold: not hold.released_at):
            values = {"released_at": fields.Datetime.now(), "released_by": self.env.uid}
            super(ApiAuditHold, hold).write(values)  # pylint: disable=super-method-mismatch
            hold._enter("action_release")

    def _enter(self, method):
        """That it was made or released is an entry, in the same transaction."""
        self.env.flush_all()
        self.env["api.audit.entry"]._append_event(
            self.env.cr.execute, self._name, method, request_id=token_hex(10), user_id=self.env.uid,
            login=self.env.user.login, record_ids=str(self.id), record_count=1,
            arguments=f"{self.name}: {self.subject}",
        )  # fmt: skip
