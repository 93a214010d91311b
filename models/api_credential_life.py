"""What happens to a key while nobody looks: approval, reminders, idle keys, deadlines set for many.

Run by a cron, except for approvals. Nothing here decides about a call: what is late is refused by
`core.decide`, whether this has run or not.
"""

from datetime import datetime, timedelta, timezone

from markupsafe import Markup
from odoo import api, fields, models
from odoo.exceptions import UserError

from ..core.lifetime import due_reminder
from .api_credential import TODO

_BATCH = 100
_PARAGRAPH = Markup("<p>%s</p>")  # escapes what somebody named a key


class ApiCredential(models.Model):
    _inherit = "api.credential"

    provisioned_by_id = fields.Many2one(
        "res.users", string="Made by", readonly=True, ondelete="set null", help="Who made this key for a bot."
    )
    approved_by_id = fields.Many2one("res.users", string="Approved by", readonly=True, ondelete="set null")
    resumed_at = fields.Datetime(readonly=True)
    reminded_days = fields.Integer(readonly=True, help="The reminder that was sent last. 0: none.")
    idle_reminded_at = fields.Datetime(readonly=True)

    def _governing(self):
        """The policies that apply to this key, its own first."""
        self.env.flush_all()
        identity = self._identity()
        ids = [int(policy_id) for policy_id in identity.policy_ids if policy_id.isdigit()] if identity else []
        return self.env["api.policy"].sudo().with_context(active_test=False).browse(reversed(ids)).exists()

    # ---------------------------------------------------------------- approval

    def _require_approval(self, maker):
        """Let a freshly made key wait, if a policy of it says so; managers approve their own by making them."""
        self.ensure_one()
        policies = self._governing().filtered("needs_approval")
        if not policies or maker.has_group("api_guard.group_manager"):
            return
        self._set_raw(state="pending")
        approvers = policies.responsible_id or self._managers()
        sentence = self.env._(
            "%(user)s has made the key “%(key)s”. It opens nothing until a manager of API Guard accepts it.",
            user=maker.name,
            key=self.name,
        )
        for approver in approvers[:1]:  # an activity tells its assignee by mail as well
            summary = self.env._("Approve or reject this API key")
            self.activity_schedule(TODO, user_id=approver.id, summary=summary, note=_PARAGRAPH % sentence)
        self._tell(approvers[1:], self.env._("The API key “%(key)s” waits for approval", key=self.name), sentence)

    @api.model
    def _managers(self):
        managers = self.env.ref("api_guard.group_manager").sudo().all_user_ids
        return managers.filtered(lambda user: user.active and not user.share)

    def action_approve(self):
        """Accept keys that wait: from now on they open what their policies allow."""
        self._check_manager()
        waiting = self.filtered(lambda credential: credential.state == "pending").sudo()
        waiting.write({"state": "active", "approved_by_id": self.env.uid})
        waiting.activity_unlink([TODO])
        for credential in waiting:
            credential._tell(
                credential._people(),
                self.env._("Your API key “%(key)s” was approved", key=credential.name),
                self.env._("The key “%(key)s” works from now on.", key=credential.name),
            )

    def action_reject(self):
        """Refuse keys that wait: they are revoked, and stay to be seen."""
        self._check_manager()
        waiting = self.filtered(lambda credential: credential.state == "pending").sudo()
        for credential in waiting:
            credential._tell(
                credential._people(),
                self.env._("Your API key “%(key)s” was rejected", key=credential.name),
                self.env._(
                    "The key “%(key)s” was revoked. Ask a manager of API Guard for the reason.", key=credential.name
                ),
            )
        waiting.activity_unlink([TODO])
        waiting._revoke()

    # ------------------------------------------------------------------- cron

    @api.model
    def _cron_life(self, now=None):
        """Remind, suspend what is unused, and mark what has retired; in batches, each committed."""
        now = now or fields.Datetime.now()
        keys = self.search([("apikey_id", "!=", False), ("state", "in", ("active", "pending"))], order="id")
        remaining = len(keys)
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            for key in batch:
                key._live_on(now)
            remaining -= len(batch)
            self.env["ir.cron"]._commit_progress(len(batch), remaining=remaining)

    def _live_on(self, now):
        if self.retires_at and self.retires_at <= now:
            self.write({"state": "retired"})
        elif self.state == "active" and not self._suspend_unused(now):
            self._remind(now)

    def _suspend_unused(self, now):
        """Suspend a key that is unused for longer than its policies allow; remind its owner before. Was it?"""
        limits = [
            policy.max_idle_days for policy in self._governing() if policy.max_idle_days and policy.mode == "enforce"
        ]
        if not limits:
            return False
        since = max(filter(None, [self.last_used_at, self.resumed_at, self.key_created_at]))
        deadline = since + timedelta(days=min(limits))
        if deadline < now:
            self._suspend_for("idle")
            self._tell(
                self._people(),
                self.env._("Your API key “%(key)s” was suspended", key=self.name),
                self.env._(
                    "Nobody has used the key “%(key)s” since %(date)s. A manager of API Guard can resume it.",
                    key=self.name,
                    date=since.date(),
                ),
            )
            return True
        reminders = self._reminder_days()
        is_told = self.idle_reminded_at and self.idle_reminded_at >= since
        if reminders and not is_told and deadline - now <= timedelta(days=reminders[0]) < timedelta(days=min(limits)):
            self.write({"idle_reminded_at": now})
            self._tell(
                self._people(),
                self.env._("Your API key “%(key)s” is about to be suspended", key=self.name),
                self.env._(
                    "Nobody has used the key “%(key)s” since %(date)s. It is suspended on %(deadline)s, unless its "
                    "program calls before.",
                    key=self.name,
                    date=since.date(),
                    deadline=deadline.date(),
                ),
            )
        return False

    def _reminder_days(self):
        days = {number for policy in self._governing() for number in policy._reminders() or ()}
        return sorted(days, reverse=True)

    def _remind(self, now):
        """Tell the owner, and whoever is responsible, that this key is to be rotated, when a reminder is due."""
        deadline = self._deadline() if not self._heir() else None
        if deadline is None:
            return
        due = due_reminder(_aware(deadline), self._reminder_days(), self.reminded_days or None, _aware(now))
        if due is None:
            return
        self.write({"reminded_days": due})
        summary = self.env._("Rotate the API key “%(key)s” by %(date)s", key=self.name, date=deadline.date())
        self._tell(
            self._people(),
            summary,
            self.env._(
                "The key “%(key)s” has to be replaced by %(date)s. Open it in your preferences and choose Rotate, or "
                "let its program do it: both keys work until the new one is used.",
                key=self.name,
                date=deadline.date(),
            ),
        )
        responsible = self._governing().responsible_id[:1]
        if responsible and not self.activity_search([TODO]):
            self.activity_schedule(TODO, date_deadline=deadline.date(), user_id=responsible.id, summary=summary)

    def _people(self):
        """Whom to tell of this key: its owner, or who made it for a bot."""
        return self.provisioned_by_id if self.user_id.api_only else self.user_id

    def _tell(self, users, subject, sentence):
        """A mail to people about this key, with a way to it; kept in its history."""
        self.ensure_one()
        if not users:
            return
        self.sudo().message_notify(partner_ids=users.sudo().partner_id.ids, subject=subject, body=_PARAGRAPH % sentence)

    # --------------------------------------------------------------- for many

    def _demand_rotation(self, rotate_by):
        """Set a deadline for these keys, and forget which reminders of an earlier one were sent."""
        self._check_manager()
        if rotate_by <= fields.Datetime.now():
            raise UserError(self.env._("The deadline has passed already. Choose one that their programs can meet."))
        self.sudo().write({"rotate_by": rotate_by, "reminded_days": 0})


def _aware(moment):
    return moment.replace(tzinfo=timezone.utc) if isinstance(moment, datetime) else moment
