"""What people have to look at: one row for each cause and hour, however often it happens.

Raised with one statement, without the ORM, from wherever something is noticed: in
the middle of a refused call as well. The same signal of the same key within an hour
counts up the row that is there, so that a flood of calls is no flood of alerts.
"""

from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..core.alert import Severity, Signal

_URGENT = [severity.value for severity in Severity if severity.is_urgent]
_MAX_MAILS = 50  # alerts told of in one run


class ApiAlert(models.Model):
    _name = "api.alert"
    _inherit = ["api.guard.configuration"]
    _description = "API Alert"
    _log_access = False
    _order = "last_seen desc, id desc"
    _rec_name = "code"

    code = fields.Selection(selection="_selection_code", string="What", required=True, readonly=True)
    severity = fields.Selection(selection="_selection_severity", required=True, readonly=True)
    credential_id = fields.Many2one("api.credential", string="Key", readonly=True, ondelete="set null", index=True)
    user_id = fields.Many2one("res.users", string="Owner", readonly=True, ondelete="set null")
    peer = fields.Char("From", readonly=True)
    request_id = fields.Char("Request ID", readonly=True, help="Of the last call that raised it.")
    detail = fields.Text(readonly=True)
    created_at = fields.Datetime("First seen", required=True, readonly=True)
    last_seen = fields.Datetime("Last seen", required=True, readonly=True)
    count = fields.Integer("Times", required=True, readonly=True, aggregator="sum")
    state = fields.Selection([("new", "New"), ("acknowledged", "Acknowledged")], required=True, readonly=True)
    acknowledged_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    acknowledged_at = fields.Datetime(readonly=True)
    mailed_at = fields.Datetime(readonly=True)
    remedy = fields.Text("What to do", compute="_compute_remedy")

    # what `_raise` folds by
    _once_an_hour = models.UniqueIndex("(code, COALESCE(credential_id, 0), date_trunc('hour', created_at))")

    # ------------------------------------------------------------------- raise

    @classmethod
    def _raise(cls, cr, signal, credential_id=None, user_id=None, peer=None, request_id=None, detail=None):
        """Tell people of `signal`. `cr`: any cursor, one beside too. `detail` is for them to read: never a secret."""
        cr.execute(
            """INSERT INTO api_alert AS alert (code, severity, credential_id, user_id, peer, request_id, detail,
                                               created_at, last_seen, count, state)
               SELECT %s, %s, %s, %s, %s, %s, %s, now, now, 1, 'new'
                 FROM date_trunc('second', clock_timestamp() AT TIME ZONE 'utc') now
                   ON CONFLICT (code, COALESCE(credential_id, 0), date_trunc('hour', created_at)) DO UPDATE
                  SET count = alert.count + 1, last_seen = EXCLUDED.last_seen,
                      peer = COALESCE(EXCLUDED.peer, alert.peer),
                      request_id = COALESCE(EXCLUDED.request_id, alert.request_id),
                      detail = COALESCE(EXCLUDED.detail, alert.detail)""",
            [
                signal.value,
                signal.severity.value,
                credential_id,
                user_id,
                peer and str(peer),
                request_id,
                detail,
            ],
        )

    # -------------------------------------------------------------------- tell

    @api.model
    def _cron_mail(self):
        """Write one mail for each new urgent alert to the managers, each in his language."""
        untold = [("mailed_at", "=", False), ("state", "=", "new"), ("severity", "in", _URGENT)]
        alerts = self.search(untold, order="id", limit=_MAX_MAILS)
        managers = self.env.ref("api_guard.group_manager").all_user_ids
        mails = self.env["mail.mail"]
        for lang, users in managers.filtered(lambda user: user.active and user.email).grouped("lang").items():
            for alert in alerts.with_context(lang=lang):
                mails += mails.create(alert._mail_values(users.partner_id))
        if mails:
            alerts.write({"mailed_at": fields.Datetime.now()})
            self.env.ref("mail.ir_cron_mail_scheduler_action")._trigger()

    def _mail_values(self, recipients):
        label = dict(self._selection_code())[self.code]
        values = {"alert": self, "label": label, "url": f"{self.get_base_url()}/odoo/api-alerts/{self.id}"}
        return {
            "subject": self.env._("API Guard: %(what)s", what=label),
            "body_html": self.env["ir.qweb"]._render("api_guard.alert_mail", values),
            "recipient_ids": [fields.Command.set(recipients.ids)],
            "auto_delete": True,
        }

    # ----------------------------------------------------------------- screens

    @api.model
    def _texts(self):
        """For each signal what it is called, and what can be done about it."""
        return {
            Signal.KEY_LEAKED: (
                self.env._("Leaked key"),
                self.env._(
                    "Somebody reported this key as leaked, and it was suspended. Look in the audit log for calls that "
                    "were not your program's, revoke the key, and give the program a new one."
                ),
            ),
            Signal.KEY_PASTED: (
                self.env._("Pasted key"),
                self.env._(
                    "A key stands in the database where colleagues can read it. Open Pasted Keys, remove it from the "
                    "record, and replace the key: who has read it, has it."
                ),
            ),
            Signal.STORE_DOWN: (
                self.env._("Limits not counted"),
                self.env._(
                    "The store that counts limits did not answer in time, so that limits were not asked, or estimated "
                    "by each process on its own. Look whether it runs and can be reached (Settings → API Guard → "
                    "Limits and lockouts)."
                ),
            ),
            Signal.CODES_LOCKED: (
                self.env._("Second factor locked"),
                self.env._(
                    "Five wrong codes in a row came with a good key. Unlock its second factor if the program was yours "
                    "and its clock or secret was wrong. If not, somebody has the key: revoke it."
                ),
            ),
            Signal.LOG_BROKEN: (
                self.env._("Audit log changed"),
                self.env._(
                    "A verification found that the audit log is not what was sealed: somebody with access to the "
                    "database changed, removed or inserted something. Open Verifications, which names the first entry, "
                    "and compare with an archive or a backup from before."
                ),
            ),
            Signal.LOG_RESTORED: (
                self.env._("Audit log older than it was"),
                self.env._(
                    "This server has seen checkpoints that the log does not have any more. If a backup was restored, "
                    "what was called since is in the archives and with the witnesses; the next checkpoint says so. If "
                    "nobody restored one, somebody took entries away."
                ),
            ),
            Signal.LOG_DISPUTED: (
                self.env._("Witness has seen another log"),
                self.env._(
                    "Another Odoo refuses this log's checkpoints, because they do not follow from those that it has. "
                    "If a backup was restored here, start anew there (Witnessed Logs). If not, somebody has changed "
                    "the log: compare with what the witnesses have."
                ),
            ),
            Signal.LOG_FORKED: (
                self.env._("Witnessed log changed"),
                self.env._(
                    "The log of another database, which this one is witness of, is not what it was. Ask whoever runs "
                    "it whether a backup was restored, and not by its own mail. Open Witnessed Logs: what was known "
                    "and what was refused stand side by side."
                ),
            ),
            Signal.WITNESS_BEHIND: (
                self.env._("Witness not told"),
                self.env._(
                    "For more than an hour a witness could not be told of checkpoints. Open Witnesses: each says what "
                    "is wrong. Until then nobody outside could show that the log was changed."
                ),
            ),
            Signal.LOG_UNSIGNED: (
                self.env._("Audit log not signed"),
                self.env._(
                    "Entries are sealed, and nobody vouches for the seal: the key that signs it cannot be opened. The "
                    "self-check in Settings → API Guard says why. Once the vault's key is back, everything is signed. "
                    "If it is lost for good, start a new signing key in Settings."
                ),
            ),
            Signal.KEY_RETIRED_USED: (
                self.env._("Retired key used"),
                self.env._(
                    "A program still uses a key that was replaced by another. Find it by its address and give it the "
                    "new key; if it is not yours, somebody has the old one."
                ),
            ),
        }

    @api.model
    def _selection_code(self):
        return [(signal.value, label) for signal, (label, _remedy) in self._texts().items()]

    @api.model
    def _selection_severity(self):
        return [
            (Severity.INFO.value, self.env._("Info")),
            (Severity.LOW.value, self.env._("Low")),
            (Severity.MEDIUM.value, self.env._("Medium")),
            (Severity.HIGH.value, self.env._("High")),
            (Severity.CRITICAL.value, self.env._("Critical")),
        ]

    @api.depends("code")
    def _compute_display_name(self):
        labels = dict(self._selection_code())
        for alert in self:
            alert.display_name = labels.get(alert.code, alert.code)

    @api.depends("code")
    def _compute_remedy(self):
        remedies = {signal.value: remedy for signal, (_label, remedy) in self._texts().items()}
        for alert in self:
            alert.remedy = remedies.get(alert.code, "")

    def action_acknowledge(self):
        if not self.env.su and not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers acknowledge alerts."))
        seen = {"acknowledged_by": self.env.uid, "acknowledged_at": fields.Datetime.now()}
        self.filtered(lambda alert: alert.state == "new").sudo().write({"state": "acknowledged", **seen})

    def action_open_entries(self):
        """The entry that it is about, and all others of the key."""
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_audit_entry"),
            "domain": [
                "|",
                ("request_id", "in", self.filtered("request_id").mapped("request_id")),
                ("credential_id", "in", self.credential_id.ids),
            ],
            "context": {},
        }
