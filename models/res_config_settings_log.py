"""Settings: the key that signs the log, and whether sealing and verifying work."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

_LATE = 5  # minutes
_VERIFIED_WITHIN = timedelta(days=2)

_SEALING = f"""
    SELECT size, sealed_at, sealed_at > now() AT TIME ZONE 'utc' - interval '{_LATE} minutes',
           EXISTS (SELECT FROM api_audit_entry WHERE (xid, id) > (seal.xid, seal.entry_id))
      FROM api_audit_seal seal
"""  # noqa: S608


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    api_guard_log_key = fields.Char("Public key", compute="_compute_api_guard_log_key")
    api_guard_log_key_id = fields.Char("Key ID", compute="_compute_api_guard_log_key")
    api_guard_log_key_since = fields.Datetime("In use since", compute="_compute_api_guard_log_key")
    api_guard_log_key_opens = fields.Boolean(compute="_compute_api_guard_log_key")

    @api.depends_context("uid")
    def _compute_api_guard_log_key(self):
        key = self.env["api.audit.key"]._current()
        opens = self.env["api.audit.seal"]._can_sign()
        for settings in self:
            settings.api_guard_log_key = key.public
            settings.api_guard_log_key_id = key.key_id
            settings.api_guard_log_key_since = key.created_at
            settings.api_guard_log_key_opens = opens

    def action_api_guard_rotate_log_key(self):
        return self._api_guard_log_key().action_rotate()

    def action_api_guard_new_log_key(self):
        return self._api_guard_log_key().action_start_anew()

    def _api_guard_log_key(self):
        key = self.env["api.audit.key"]._current()
        if not key:
            raise UserError(self.env._("There is no key yet: it is made when the first entry is sealed."))
        return key.sudo(False)

    @api.model
    def _api_guard_checks(self):
        own = (self._api_guard_check_sealing(), self._api_guard_check_signing(), self._api_guard_check_verified())
        return [*super()._api_guard_checks(), *own]

    @api.model
    def _api_guard_check_sealing(self):
        self.env.cr.execute(_SEALING)
        size, sealed_at, is_recent, waits = self.env.cr.fetchone()
        if is_recent or not waits:
            return True, self.env._("The audit log is sealed: %(count)s entries", count=size), ""
        if sealed_at is None:
            what = self.env._("The audit log was never sealed")
        else:
            what = self.env._("The audit log was last sealed on %(time)s UTC", time=f"{sealed_at:%Y-%m-%d %H:%M}")
        return (
            False,
            what,
            self.env._(
                "Entries wait to be sealed. Scheduled actions have to run: max_cron_threads in odoo.conf is at least "
                "1, and “API Guard: seal the audit log” is active and does not fail (Settings → Technical → Scheduled "
                "Actions)."
            ),
        )

    @api.model
    def _api_guard_check_signing(self):
        key, seal = self.env["api.audit.key"]._current(), self.env["api.audit.seal"]
        self.env.cr.execute("SELECT size > 0 FROM api_audit_seal")
        [is_sealed] = self.env.cr.fetchone()
        if seal._can_sign() or not (key or is_sealed):
            return True, self.env._("What is sealed can be signed"), ""
        return (
            False,
            self.env._("What is sealed is not signed"),
            self.env._(
                "The key that signs the audit log cannot be opened: bring back the vault's key that it was sealed "
                "with. Nothing is lost meanwhile. If that key is lost for good, start a new signing key below."
            ),
        )

    @api.model
    def _api_guard_check_verified(self):
        now, runs = fields.Datetime.now(), self.env["api.audit.verify"].sudo()
        ahead = runs.search(["|", ("started_at", ">", now), ("finished_at", ">", now)], limit=1)
        if ahead:
            when = max(filter(None, (ahead.started_at, ahead.finished_at)))
            return (
                False,
                self.env._("A verification claims to be of the future (%(time)s UTC)", time=f"{when:%Y-%m-%d %H:%M}"),
                self.env._(
                    "Somebody with access to the database wrote it, or this server's clock was set back. Verify all of "
                    "the log."
                ),
            )
        last = runs.search([("state", "in", ("intact", "broken"))], limit=1)
        at = last.finished_at or last.started_at
        if last.state == "broken":
            what = self.env._("The audit log is not what was sealed (%(time)s UTC)", time=f"{at:%Y-%m-%d %H:%M}")
            return False, what, last.first_fault
        first = self.env["api.audit.checkpoint"].sudo().search([], order="number", limit=1)
        since = at or first.made_at
        if since and since < now - _VERIFIED_WITHIN:
            what = self.env._("The audit log was never verified")
            if at:
                what = self.env._("The audit log was last verified on %(time)s UTC", time=f"{at:%Y-%m-%d %H:%M}")
            return (
                False,
                what,
                self.env._(
                    "“API Guard: verify the audit log” does that every day: it has to be active and not to fail "
                    "(Settings → Technical → Scheduled Actions). Verify all of the log."
                ),
            )
        if not last:
            return True, self.env._("The audit log was not verified yet: that happens every day"), ""
        return True, self.env._("The audit log was verified on %(time)s UTC", time=f"{at:%Y-%m-%d %H:%M}"), ""
