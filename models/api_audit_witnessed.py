"""What other databases have told of their logs: for each the last checkpoint that was taken.

The other side of a witness of the kind “Another Odoo”. It takes a checkpoint only from whom it had
the one before, signed with the key that it trusts, and with the proof that the log only grew; all
else it refuses, keeps what it has, and tells people.
"""

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from datetime import timezone
from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import SQL

from ..core.alert import Signal
from ..core.checkpoint import KEY_SIZE, key_id, parse
from ..core.witness import Known, Refusal, judge, read

_MAX_ORIGIN, _MAX_NUMBER = 64, 2**31 - 1  # one in each second for 68 years


class ApiWitness(models.AbstractModel):
    _name = "api.witness"
    _description = "Witness of the logs of other databases"

    @api.model
    def witness(self, checkpoint, proof):
        """Take a checkpoint of another log. For keys of users in the group “Witness of other logs”.

        checkpoint: {"body": {…}, "signature": base64, "public_key": base64}; proof: {"from": size of the log that
        it starts at, "hashes": [base64 …]}, RFC 9162. Returns {"accepted", "refusal", "number", "size"}: of what is
        known of the log afterwards. Raises UserError where that is nothing of the kind.
        """
        if not self.env.user.has_group("api_guard.group_witness"):
            raise AccessError(self.env._("Only members of “Witness of other logs” hand over checkpoints."))
        try:
            told = read(checkpoint, proof)
            found = parse(told.signed.body)
        except (ValueError, RecursionError):
            raise UserError(self.env._("This is no checkpoint with a proof.")) from None
        return self.env["api.audit.witnessed"].sudo()._take(told, found, self.env.uid)


class ApiAuditWitnessed(models.Model):
    _name = "api.audit.witnessed"
    _inherit = ["api.guard.written"]
    _description = "Witnessed Log"
    _order = "name, origin, id"

    name = fields.Char(help="Whose log this is, for people.")
    origin = fields.Char("Log", required=True, help="The log's own identifier, as it stands in its checkpoints.")
    user_id = fields.Many2one(
        "res.users", string="Told by", ondelete="restrict", help="Nobody else is believed. Empty: whoever comes first."
    )
    public_key = fields.Char(
        help="That signs the next checkpoint: 32 bytes in base64. Empty: the key of the first one is trusted."
    )
    key_name = fields.Char("Key", compute="_compute_key_name")
    is_trusted_unseen = fields.Boolean(
        "Trusted on first use", readonly=True, help="Nobody has compared the key with the one of the other database."
    )
    number = fields.Integer("Last checkpoint", readonly=True, aggregator=None)
    size = fields.Integer("Entries", compute="_compute_size")
    made_at = fields.Datetime("Sealed", readonly=True)
    told_at = fields.Datetime("Told on", readonly=True)
    body = fields.Text("Text", readonly=True, help="Of the last checkpoint, as it was signed.")
    signature = fields.Char(readonly=True)
    refusal = fields.Selection(
        [
            (Refusal.MALFORMED.value, "Cannot be read"),
            (Refusal.KEY.value, "Signed with another key"),
            (Refusal.SIGNATURE.value, "Wrong signature"),
            (Refusal.ROLLED_BACK.value, "Older than what is known"),
            (Refusal.FORKED.value, "Another log than what is known"),
            (Refusal.UNPROVEN.value, "Without a proof from what is known"),
            ("sender", "From somebody else"),
        ],
        string="Refused",
        readonly=True,
    )
    refused_at = fields.Datetime("Refused on", readonly=True)
    refused_body = fields.Text("Refused text", readonly=True)
    state = fields.Selection(
        [("waiting", "Waiting"), ("fine", "Only grew"), ("refused", "Refused")], compute="_compute_state"
    )

    _origin_unique = models.Constraint("UNIQUE (origin)", "This log is here already.")

    # ------------------------------------------------------------ configuration

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_given(vals)
        logs = super().create(vals_list)
        for log in logs:
            log._enter("create", log._in_words())
        return logs

    def write(self, vals):
        self._check_given(vals)
        for log in self.filtered("number"):
            if any(name in vals and (vals[name] or False) != log[name] for name in ("origin", "public_key")):
                raise UserError(
                    self.env._("What is known of a log was signed with its key. To trust another one, start anew.")
                )
        if "public_key" in vals:
            vals = {**vals, "is_trusted_unseen": False}
        before = {log: log._in_words() for log in self}
        result = super().write(vals)
        for log in self.filtered(lambda log: log._in_words() != before[log]):
            log._enter("write", f"{before[log]} → {log._in_words()}")
        return result

    def _in_words(self):
        """Who is believed what, for an entry: data, not a text of the screens."""
        return f"origin {self.origin}, key {self.public_key or ''}, user {self.user_id.id or ''}"

    @api.model
    def _check_given(self, vals):
        if not self.env.su and set(vals) - {"name", "origin", "user_id", "public_key"}:
            raise AccessError(self.env._("What was told of a log is written by the guard alone."))

    @api.constrains("origin", "public_key")
    def _check_key(self):
        for log in self:
            if len(log.origin) > _MAX_ORIGIN:
                raise ValidationError(self.env._("This is no identifier of a log."))
            try:
                is_key = not log.public_key or len(b64decode(log.public_key, validate=True)) == KEY_SIZE
            except (NoBase64, ValueError):
                is_key = False
            if not is_key:
                raise ValidationError(self.env._("A public key is 32 bytes in base64."))

    # --------------------------------------------------------------------- take

    @api.model
    def _take(self, told, found, uid):
        """Judge what was told, and keep it or the refusal. Without the ORM's `write`: a program is calling."""
        if len(found.origin) > _MAX_ORIGIN or found.number > _MAX_NUMBER:
            raise UserError(self.env._("This is no checkpoint with a proof."))
        log = self._locked(found.origin)
        if log.user_id and log.user_id.id != uid:
            return self._refuse(log, "sender", told, uid)
        key = b64decode(log.public_key) if log.public_key else told.key
        known = Known(key)
        if log.number:
            last = parse(log.body.encode())
            known = Known(key, last.number, last.size, last.root, last.digest())
        judged = judge(known, told)
        if isinstance(judged, Refusal):
            return self._refuse(log, judged, told, uid)
        if judged is not known:
            log._keep(judged, told, found, uid)
        return {"accepted": True, "refusal": False, "number": judged.number, "size": judged.size}

    @api.model
    def _locked(self, origin):
        """The log's row, made if there is none; others who tell of it wait."""
        self.env.cr.execute(
            SQL(
                """INSERT INTO api_audit_witnessed
                          (origin, number, create_uid, write_uid, create_date, write_date)
                   VALUES (%(origin)s, 0, %(uid)s, %(uid)s, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
                   ON CONFLICT (origin) DO UPDATE SET origin = EXCLUDED.origin RETURNING id""",
                origin=origin, uid=self.env.uid,
            )
        )  # fmt: skip
        return self.browse(self.env.cr.fetchone()[0])

    def _keep(self, judged, told, found, uid):
        self._set(
            user_id=uid,
            public_key=b64encode(judged.key).decode(),
            is_trusted_unseen=self.is_trusted_unseen or not self.public_key,
            number=found.number,
            made_at=found.time.astimezone(timezone.utc).replace(tzinfo=None, microsecond=0),
            told_at=fields.Datetime.now(),
            body=told.signed.body.decode(),
            signature=b64encode(told.signed.signature).decode(),
            refusal=None,
            refused_at=None,
            refused_body=None,
        )

    @api.model
    def _refuse(self, log, refusal, told, uid):
        code = refusal.value if isinstance(refusal, Refusal) else refusal
        is_new = log.refusal != code
        log._set(refusal=code, refused_at=fields.Datetime.now(), refused_body=told.signed.body.decode())
        if is_new and (code == "sender" or refusal.is_alarming):
            detail = f"{log.name or log.origin}: {code}"
            self.env["api.alert"]._raise(self.env.cr, Signal.LOG_FORKED, user_id=uid, detail=detail)
        return {"accepted": False, "refusal": code, "number": log.number, "size": log.size}

    def _set(self, **values):
        columns = SQL(", ").join(SQL("%s = %s", SQL.identifier(name), value) for name, value in values.items())
        self.env.cr.execute(SQL("UPDATE api_audit_witnessed SET %s WHERE id = %s", columns, self.id))
        self.invalidate_recordset()

    # ------------------------------------------------------------------ screens

    @api.depends("name", "origin")
    def _compute_display_name(self):
        for log in self:
            log.display_name = log.name or log.origin

    @api.depends("body")
    def _compute_size(self):
        for log in self:  # not stored: a log outgrows what a column of the ORM holds
            log.size = parse(log.body.encode()).size if log.body else 0

    @api.depends("public_key")
    def _compute_key_name(self):
        for log in self:
            try:
                log.key_name = key_id(b64decode(log.public_key, validate=True)) if log.public_key else False
            except (NoBase64, ValueError):  # while it is typed
                log.key_name = False

    @api.depends("number", "refusal")
    def _compute_state(self):
        for log in self:
            log.state = "refused" if log.refusal else "fine" if log.number else "waiting"

    def action_start_anew(self):
        """Forget what is known, and trust what is told next: after a backup was restored there, or a key lost."""
        self.ensure_one()
        self.env["api.guard"]._require_configuration_right(self.env)
        if not self.env.su and not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers decide which log is trusted."))
        self._enter("start_anew", self.body)  # it may have been the proof of something
        forgotten = ("public_key", "made_at", "body", "signature", "refusal", "refused_at", "refused_body")
        self.sudo()._set(number=0, is_trusted_unseen=False, **dict.fromkeys(forgotten))

    def _enter(self, method, text):
        """Whom this database believes is an entry."""
        self.env.flush_all()
        self.env["api.audit.entry"]._append_event(
            self.env.cr.execute,
            self._name,
            method,
            request_id=token_hex(10),
            user_id=self.env.uid,
            login=self.env.user.login,
            record_ids=str(self.id),
            arguments=text,
        )
