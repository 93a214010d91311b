"""Is the log as far as it was, or was an older backup of the database restored?

After each checkpoint its number and digest are noted in a file of this server (models/heads.py), and
asked for before the next: a database that has lost checkpoints, or has others in their place, says so
in an alert, in an entry and in its next checkpoint, whose note names what was there before.
"""

import logging
from base64 import b64encode
from dataclasses import replace
from secrets import token_hex

from odoo import api, models

from ..core.alert import Signal
from ..core.checkpoint import parse
from ..core.witness import stands
from . import heads

_logger = logging.getLogger(__name__)
_NOTE = "restored; before: checkpoint"


class ApiAuditSeal(models.AbstractModel):
    _inherit = "api.audit.seal"

    @api.model
    def _notice_move(self, state):
        return self._notice_restored(super()._notice_move(state))

    @api.model
    def _notice_restored(self, state):
        """The state, with a note for the next checkpoint if the log is not as far as it was, or is another."""
        head = self._head(state.origin)
        if head is None or self._stands(head) or (state.note or "").startswith(_NOTE):
            return state
        note = f"{_NOTE} {head[0]} {b64encode(head[1]).decode()}"
        last = self.env["api.audit.checkpoint"]._last().number
        _logger.critical("The audit log is older than it was: it had checkpoint %s, and ends with %s.", head[0], last)
        detail = self.env._("It had checkpoint %(head)s, and ends with %(last)s.", head=head[0], last=last)
        self.env["api.alert"]._raise(self.env.cr, Signal.LOG_RESTORED, detail=detail)
        self.env["api.audit.entry"]._append_event(
            self.env.cr.execute, "api.audit.checkpoint", "restored", request_id=token_hex(10), arguments=note
        )
        return replace(state, note=note)

    @api.model
    def _head(self, origin, database=None):
        """What this server noted last: (number, digest); None: nothing, or nothing that can be read."""
        try:
            return heads.read(origin, database or self.env.cr.dbname)
        except (OSError, ValueError):
            _logger.warning("The last checkpoint noted on this server cannot be read.", exc_info=True)
            return None

    @api.model
    def _stands(self, head):
        checkpoints = self.env["api.audit.checkpoint"].sudo()
        there = checkpoints.search([("number", "=", head[0])], limit=1)
        return stands(head, checkpoints._last().number, there._digest() if there else None)

    @api.model
    def _sign(self, state, last, key, private, note, next_key=None):
        """Every checkpoint is noted once it is committed, and witnesses are told."""
        result = super()._sign(state, last, key, private, note, next_key)
        made = parse(self.env["api.audit.checkpoint"]._last().body.encode())
        self.env.cr.postcommit.add(lambda: self._note_head(made))
        if self.env["api.audit.witness"].sudo().search_count([], limit=1):
            self.env.ref("api_guard.cron_witness").sudo()._trigger()
        return result

    def _note_head(self, checkpoint):
        try:
            heads.write(checkpoint.origin, self.env.cr.dbname, checkpoint)
        except OSError:  # the next one is noted instead
            _logger.warning("A checkpoint could not be noted on this server.", exc_info=True)

    @api.model
    def _check_restored(self):
        """The self-check's line: (is fine, what is so, what to do)."""
        restored = [("code", "=", Signal.LOG_RESTORED.value), ("state", "=", "new")]
        alert = self.env["api.alert"].sudo().search(restored, limit=1)
        if alert:
            return (
                False,
                self.env._("The audit log is older than it was"),
                self.env._(
                    "%(detail)s A backup was restored: what was called since is not in this log, but in the archives "
                    "and with the witnesses. If nobody restored one, somebody took entries away. Acknowledge the alert "
                    "once that is clear.",
                    detail=alert.detail,
                ),
            )
        return True, self.env._("The audit log is as far as this server has seen it"), ""


class ApiCredential(models.Model):
    _inherit = "api.credential"

    def _confirm_database(self):
        """A database that is given a new name is the one of its old name: it has to be as far as that was."""
        known = self.env["ir.config_parameter"].sudo().get_param("api_guard.database_name")
        result = super()._confirm_database()
        seal = self.env["api.audit.seal"].sudo()
        head = seal._head(self.env["api.audit.receipt"]._origin(), known) if known else None
        if head is not None and not seal._stands(head):
            detail = self.env._("Under the name %(name)s it had checkpoint %(head)s.", name=known, head=head[0])
            self.env["api.alert"]._raise(self.env.cr, Signal.LOG_RESTORED, detail=detail)
        return result
