"""Who outside is told of each checkpoint, and how far has each been told?

Telling is a job of its own, after the seal: each witness has its own place in the order of
checkpoints, is told the next one again until it has it, and waits by itself where it fails. So one
that is down is told later, and no other waits for it.
"""

import json
import logging
import socket
import time
from datetime import datetime, timedelta, timezone
from secrets import token_hex

from markupsafe import Markup
from odoo import api, fields, models
from odoo.addons.base.models.ir_mail_server import MailDeliveryException
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import SQL, single_email_re

from ..core.alert import Signal
from ..core.canonical import canonical
from ..core.merkle import TileMissing
from ..core.witness import Refusal, document, sign_webhook, syslog_line, wait
from . import carrier, vault
from .carrier import Problem, Undelivered
from .vault import VaultUnreadable

_logger = logging.getLogger(__name__)

PURPOSE = "witness"
SECONDS = 15.0  # for one witness, until the next has its turn
LATE = timedelta(hours=1)  # behind for longer, somebody has to look
_MIN_SECRET = 16  # characters
_PLACE = ("kind", "path", "transport", "host", "port", "email", "url", "database")
_SETTINGS = {"name", "active", "secret", "pause", *_PLACE}


class ApiAuditWitness(models.Model):
    _name = "api.audit.witness"
    _inherit = ["api.guard.written"]
    _description = "Witness of the Audit Log"
    _order = "name, id"

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    kind = fields.Selection(
        [
            ("file", "File"),
            ("syslog", "Syslog"),
            ("mail", "E-mail"),
            ("webhook", "Webhook"),
            ("odoo", "Another Odoo"),
        ],
        required=True,
        default="file",
    )
    path = fields.Char("File", help="Below the data folder's api_guard/witness, or a folder that odoo.conf names.")
    transport = fields.Selection(
        [("local", "This host's own"), ("udp", "UDP"), ("tcp", "TCP"), ("tls", "TLS")],
        string="Syslog by",
        default="local",
        help="Over UDP nobody says whether a message arrived.",
    )
    host = fields.Char()
    port = fields.Integer(default=514)
    email = fields.Char("To", help="Addresses, separated by commas.")
    url = fields.Char("URL")
    database = fields.Char(help="Of the other Odoo, where it has several.")
    secret = fields.Char(
        compute="_compute_secret",
        readonly=False,
        help="What a webhook is signed with, or an API key of the other Odoo. It is sealed by the vault and never "
        "shown. It is forgotten when you change where it is sent.",
    )
    has_secret = fields.Boolean(compute="_compute_has_secret")
    pause = fields.Integer(
        "At most once in (minutes)",
        default=0,
        help="0: each checkpoint. Of those between, the next one tells: each stands for all before it.",
    )
    delivered_number = fields.Integer("Last checkpoint", readonly=True, aggregator=None, copy=False)
    delivered_size = fields.Integer("Entries in it", compute="_compute_delivered_size")
    delivered_at = fields.Datetime("Told on", readonly=True, copy=False)
    failures = fields.Integer("Failures in a row", readonly=True, aggregator=None, copy=False)
    next_try_at = fields.Datetime("Next try", readonly=True, copy=False)
    problem = fields.Char(readonly=True, copy=False)
    detail = fields.Char(readonly=True, copy=False)
    is_told_of = fields.Boolean("Alert raised", readonly=True, copy=False)
    behind = fields.Integer("Checkpoints to be told", compute="_compute_state")
    state = fields.Selection(
        [("idle", "Nothing told yet"), ("fine", "Up to date"), ("failing", "Failing"), ("late", "Behind")],
        compute="_compute_state",
    )
    last_error = fields.Text(compute="_compute_last_error")

    def init(self):
        """The column of what the ORM must not read."""
        self.env.cr.execute("ALTER TABLE api_audit_witness ADD COLUMN IF NOT EXISTS sealed_secret varchar")

    # ----------------------------------------------------------- configuration

    @api.model_create_multi
    def create(self, vals_list):
        secrets = [vals.pop("secret", None) for vals in vals_list]
        for vals in vals_list:
            self._check_settings(vals)
        witnesses = super().create(vals_list)
        for witness, secret in zip(witnesses, secrets, strict=True):
            if secret:
                witness._seal_secret(secret)
            witness._enter("create")
        return witnesses

    def write(self, vals):
        vals = dict(vals)
        secret = vals.pop("secret", None)
        self._check_settings(vals)
        moved = self.filtered(lambda witness: witness._is_moved(vals))
        if moved:
            vals |= {"failures": 0, "next_try_at": False, "problem": False, "detail": False, "is_told_of": False}
        before = {witness: witness._in_words() for witness in self}
        result = super().write(vals)
        moved._seal_secret(None)
        if secret:
            self._seal_secret(secret)
        for witness in self.filtered(lambda witness: secret or witness._in_words() != before[witness]):
            witness._enter("write", before[witness])
        return result

    def unlink(self):
        gone = [(witness.id, witness._in_words()) for witness in self]
        result = super().unlink()
        for witness_id, words in gone:
            self.browse(witness_id)._enter("unlink", words)
        return result

    def _in_words(self):
        """Where it sends what, for an entry: data, not a text of the screens. A URL's query may be a secret."""
        told = {name: self[name] for name in ("name", "active", "pause", *_PLACE)}
        return json.dumps(told | {"url": (self.url or "").partition("?")[0]}, ensure_ascii=False)

    def _enter(self, method, before=""):
        """Who is told is an entry: else whoever changes the log could first have nobody told. `before`: as it was."""
        self.env.flush_all()
        after = "" if method == "unlink" else self._in_words()
        self.env["api.audit.entry"]._append_event(
            self.env.cr.execute, self._name, method, request_id=token_hex(10), user_id=self.env.uid,
            login=self.env.user.login, record_ids=str(self.id), record_count=1,
            arguments=" → ".join(filter(None, (before, after))),
        )  # fmt: skip

    def _is_moved(self, vals):
        """Would what it is told go elsewhere? Then its secret must not go along: whoever moves it may not know that."""
        return any(name in vals and vals[name] != self[name] for name in _PLACE)

    @api.model
    def _check_settings(self, vals):
        if not self.env.su and set(vals) - _SETTINGS:
            raise AccessError(self.env._("What a witness was told is written by the guard alone."))

    def _seal_secret(self, secret):
        """Keep it where nobody reads it; None: forget it."""
        self.env["api.guard"]._require_configuration_right(self.env)
        if secret is not None and (len(secret) < _MIN_SECRET or not secret.isascii() or not secret.isprintable()):
            raise ValidationError(
                self.env._("A secret has at least %(count)s letters and digits.", count=_MIN_SECRET)
            )
        for witness in self:
            sealed = secret and self.env["api.vault"]._seal(PURPOSE, str(witness.id), secret)
            self.env.cr.execute(
                SQL("UPDATE api_audit_witness SET sealed_secret = %s WHERE id = %s", sealed or None, witness.id)
            )
        self.invalidate_recordset(["has_secret"])

    @api.constrains(*_PLACE, "pause")
    def _check_place(self):
        for witness in self:
            if witness.pause < 0:
                raise ValidationError(self.env._("A pause is not negative."))
            try:
                witness._check_reachable()
            except Undelivered as error:
                raise ValidationError(self._text(error.problem.value, error.detail)) from None

    def _check_reachable(self):
        """As far as that is known without asking anybody. Raises Undelivered."""
        if self.kind == "file":
            carrier.place(self.path or "")
        elif self.kind == "syslog" and self.transport != "local" and not (self.host and 0 < self.port < 65536):
            raise Undelivered(Problem.ADDRESS)
        elif self.kind == "mail" and not self._recipients():
            raise Undelivered(Problem.ADDRESS)
        elif self.kind in ("webhook", "odoo"):
            carrier.check_url(self.url or "")
        database = self.database or ""  # it becomes a header
        if not database.isascii() or not database.isprintable():
            raise Undelivered(Problem.ADDRESS)

    def _recipients(self):
        found = [text.strip() for text in (self.email or "").split(",") if text.strip()]
        return found if all(map(single_email_re.match, found)) else []

    # -------------------------------------------------------------------- tell

    @api.model
    def _cron_tell(self):
        """Tell each witness what it has not been told, as far as that goes; each step is committed.

        Those of a copy are not told: they would see its original's log forked.
        """
        if self._is_copy():
            return
        for witness in self._active():
            try:
                witness._tell_all()
            except Exception as error:
                _logger.exception("witness %s: it cannot be told", witness.id)
                self.env.cr.rollback()
                witness._note_broken(error)
        self._notice_late()
        left = self._active().filtered(lambda witness: witness._is_time() and witness._next())
        self.env["ir.cron"]._commit_progress(remaining=len(left))

    @api.model
    def _is_copy(self):
        return self.env["res.config.settings"]._api_guard_bound_name() != self.env.cr.dbname

    @api.model
    def _active(self):
        return self.sudo().search([("active", "=", True)])

    def _tell_all(self):
        until, goes_on = time.monotonic() + SECONDS, True
        while goes_on and time.monotonic() < until:
            if not self.exists().try_lock_for_update() or not self._is_time():
                break
            goes_on = self._tell_next()
            if not self.env["ir.cron"]._commit_progress(1):
                break

    def _is_time(self):
        return not self.next_try_at or self.next_try_at <= fields.Datetime.now()

    def _tell_next(self):
        """Tell the next checkpoint; whether that went well, and there may be another."""
        checkpoint = self._next()
        if not checkpoint:
            return False
        try:
            self._tell(checkpoint, self.delivered_size)
        except Undelivered as error:
            self._note_failure(error)
            return False
        self._note_success(checkpoint)
        return True

    def _next(self):
        """The checkpoint that comes next; none: all were told, or it is not time yet.

        One that names another key is never left out: else nobody would know who vouches for that.
        """
        checkpoints = self.env["api.audit.checkpoint"].sudo()
        last = checkpoints._last()
        if not self.delivered_number or not last:
            return last
        later = [("number", ">", self.delivered_number)]
        if not self.pause:
            return checkpoints.search(later, order="number", limit=1)
        if (due := self._due()) and due > fields.Datetime.now():
            return checkpoints.browse()
        named = checkpoints.search([*later, ("next_key", "!=", False)], order="number", limit=1)
        return named or checkpoints.search(later, limit=1)

    def _due(self):
        """Until when its pause lasts; None: it has none."""
        return self.delivered_at + timedelta(minutes=self.pause) if self.pause and self.delivered_at else None

    def _tell(self, checkpoint, since):
        """Tell this checkpoint, to a witness that knows of so many entries. Raises Undelivered."""
        try:
            told = self.env["api.audit.receipt"]._statement(checkpoint, since)
        except TileMissing as error:
            raise Undelivered(Problem.FILE, f"tile {error}") from None
        getattr(self, f"_tell_{self.kind}")(told, checkpoint)

    def _tell_file(self, told, _checkpoint):
        carrier.append_line(self.path, canonical(document(told)))

    def _tell_syslog(self, told, _checkpoint):
        line = syslog_line(told, datetime.now(timezone.utc), socket.gethostname())
        carrier.send_syslog(self.transport, self.host, self.port, line)

    def _tell_mail(self, told, checkpoint):
        text = Markup("<p>%s</p><pre>%s</pre>") % (
            self.env._(
                "Checkpoint %(number)s of the audit log of %(database)s: %(size)s entries. Keep this mail where nobody "
                "reaches it who could change the database.",
                number=checkpoint.number, database=self.env.cr.dbname, size=checkpoint.size,
            ),
            canonical(document(told)).decode(),
        )  # fmt: skip
        subject = self.env._(
            "API Guard: checkpoint %(number)s of %(database)s", number=checkpoint.number, database=self.env.cr.dbname
        )
        values = {"subject": subject, "body_html": text, "email_to": ", ".join(self._recipients())}
        mail = self.env["mail.mail"].sudo().create({**values, "auto_delete": True})
        try:
            mail.send(raise_exception=True)
        except (MailDeliveryException, OSError, UserError) as error:
            mail.exists().unlink()
            raise Undelivered(Problem.UNREACHABLE, type(error).__name__) from None

    def _tell_webhook(self, told, _checkpoint):
        body = canonical(document(told))
        signature = sign_webhook(self._secret(), int(time.time()), body)
        status, _content = carrier.post(self.url, body, {"X-Api-Guard-Signature": signature})
        if not 200 <= status < 300:
            raise Undelivered(Problem.REFUSED, status)

    def _tell_odoo(self, told, checkpoint):
        """The other Odoo says what it has of this log, so that the proof can start there."""
        answer = self._ask_odoo(told)
        known = answer.get("size")
        is_behind = answer.get("refusal") == Refusal.UNPROVEN.value and isinstance(known, int)
        if is_behind and 0 <= known <= checkpoint.size and known != told.since:
            answer = self._ask_odoo(self.env["api.audit.receipt"]._statement(checkpoint, known))
        if answer.get("accepted") is not True:
            code = answer.get("refusal")
            is_known = code in [refusal.value for refusal in Refusal]
            raise Undelivered(Problem.REFUSED, code if is_known else "200")

    def _ask_odoo(self, told):
        said = document(told)
        proof = said.pop("proof")
        headers = {"Authorization": f"Bearer {self._secret()}"}
        if self.database:
            headers["X-Odoo-Database"] = self.database
        body = json.dumps({"checkpoint": said, "proof": proof}).encode()
        url = f"{self.url.rstrip('/')}/json/2/api.witness/witness"
        status, content = carrier.post(url, body, headers)
        try:
            answer = json.loads(content) if status == 200 else None
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Undelivered(Problem.REFUSED, status)
        return answer

    def _secret(self):
        """Raises Undelivered."""
        self.env.cr.execute(SQL("SELECT sealed_secret FROM api_audit_witness WHERE id = %s", self.id))
        [sealed] = self.env.cr.fetchone()
        if not sealed:
            raise Undelivered(Problem.REFUSED, "secret")
        try:
            return vault.open_sealed(PURPOSE, str(self.id), sealed)
        except VaultUnreadable as error:
            raise Undelivered(Problem.REFUSED, f"vault {error.problem.value}") from None

    # -------------------------------------------------------------------- note

    def _note_success(self, checkpoint):
        self.sudo().write(
            {
                "delivered_number": checkpoint.number,
                "delivered_at": fields.Datetime.now(),
                "failures": 0,
                "next_try_at": False,
                "problem": False,
                "detail": False,
                "is_told_of": False,
            }
        )

    def _note_failure(self, error):
        is_new = error.detail != self.detail
        self.sudo().write(
            {
                "failures": self.failures + 1,
                "next_try_at": fields.Datetime.now() + timedelta(seconds=wait(self.failures + 1)),
                "problem": error.problem.value,
                "detail": error.detail,
            }
        )
        codes = [refusal.value for refusal in Refusal if refusal.is_alarming]
        if self.kind == "odoo" and error.detail in codes and is_new:
            self.env["api.alert"]._raise(self.env.cr, Signal.LOG_DISPUTED, detail=f"{self.name}: {error.detail}")

    def _note_broken(self, error):
        """Of what nobody thought of, people are told its kind, and the server's log the rest."""
        if self.exists().try_lock_for_update():
            self._note_failure(Undelivered(Problem.UNREACHABLE, type(error).__name__))
            self.env["ir.cron"]._commit_progress(1)

    @api.model
    def _notice_late(self):
        """Tell people of those that have been behind for long, once until they are not."""
        late = self.sudo().search([("is_told_of", "=", False)]).filtered(lambda witness: witness.state == "late")
        if late:
            self.env["api.alert"]._raise(self.env.cr, Signal.WITNESS_BEHIND, detail=", ".join(late.mapped("name")))
            late.write({"is_told_of": True})

    @api.depends("delivered_number")
    def _compute_delivered_size(self):
        for witness in self:  # not stored: a log outgrows what a column of the ORM holds
            number = witness.delivered_number
            witness.delivered_size = self.env["api.audit.receipt"]._checkpoint(number).size if number else 0

    @api.depends("delivered_number", "delivered_at", "failures", "pause")
    def _compute_state(self):
        checkpoints, now = self.env["api.audit.checkpoint"].sudo(), fields.Datetime.now()
        for witness in self:
            later = [("number", ">", witness.delivered_number)]
            witness.behind = checkpoints.search_count(later) if witness.delivered_number else len(checkpoints._last())
            first = checkpoints.search(later, order="number", limit=1) if witness.behind else checkpoints
            since = max(filter(None, (first.made_at, witness._due(), witness.create_date or now)))
            if witness.active and witness.behind and since < now - LATE:
                witness.state = "late"
            elif witness.failures:
                witness.state = "failing"
            else:
                witness.state = "fine" if witness.delivered_number else "idle"

    # ----------------------------------------------------------------- screens

    def _compute_secret(self):
        self.secret = False  # it is written, and never read

    def _compute_has_secret(self):
        self.env.cr.execute(
            SQL("SELECT id FROM api_audit_witness WHERE id = ANY(%s) AND sealed_secret IS NOT NULL", self.ids)
        )
        having = {row_id for (row_id,) in self.env.cr.fetchall()}
        for witness in self:
            witness.has_secret = witness.id in having

    @api.depends("problem", "detail")
    def _compute_last_error(self):
        for witness in self:
            witness.last_error = self._text(witness.problem, witness.detail) if witness.problem else False

    @api.model
    def _text(self, problem, detail):
        """What is wrong, and what can be done about it."""
        texts = self._texts_refused()
        if problem == Problem.REFUSED.value and detail in texts:
            return texts[detail]
        return {
            Problem.PLACE.value: self.env._(
                "This file is not allowed: its name ends in .jsonl, and it lies below the data folder's "
                "api_guard/witness or a folder that odoo.conf names (api_guard_witness_folders)."
            ),
            Problem.FILE.value: self.env._("The file cannot be written: %(error)s", error=detail),
            Problem.ADDRESS.value: self.env._("This is no address. A URL begins with https:// and holds no password."),
            Problem.HOST.value: self.env._(
                "The host lies in a private network (%(address)s). Name that network in odoo.conf: "
                "api_guard_witness_networks.",
                address=detail,
            ),
            Problem.PLAIN.value: self.env._(
                "Over the internet, https:// is needed. Without it, only networks that odoo.conf names "
                "(api_guard_witness_networks)."
            ),
            Problem.UNREACHABLE.value: self.env._("Nobody could be reached: %(error)s", error=detail),
            Problem.REFUSED.value: self.env._("It was refused (%(status)s).", status=detail),
        }[problem]

    @api.model
    def _texts_refused(self):
        forked = self.env._(
            "The other Odoo has seen another log than this one. Was this database restored from a backup? Then say so "
            "there: Witnessed Logs, Start anew. If not, somebody has changed the log."
        )
        return {
            Refusal.ROLLED_BACK.value: forked,
            Refusal.FORKED.value: forked,
            Refusal.KEY.value: self.env._(
                "The checkpoint is signed with another key than the one that the other Odoo trusts. If the key was "
                "lost, say so there: Witnessed Logs, Start anew."
            ),
            Refusal.SIGNATURE.value: self.env._("The other Odoo says that the signature is wrong."),
            Refusal.MALFORMED.value: self.env._("The other Odoo cannot read the checkpoint. Update API Guard there."),
            Refusal.UNPROVEN.value: self.env._("The other Odoo does not take the proof."),
            "secret": self.env._("It has no secret. Enter it."),
            "401": self.env._("It was refused (401): the secret is not accepted."),
            "403": self.env._("It was refused (403): the key may not hand over checkpoints. See docs/witness.md."),
            "404": self.env._("It was refused (404): nobody is there who takes it. Is API Guard installed there?"),
        }

    def action_test(self):
        """Tell the next checkpoint now; where all were told, the last one again."""
        self.ensure_one()
        self._check_manager()
        witness = self.sudo()
        if not witness.try_lock_for_update():
            raise UserError(self.env._("It is being told right now. Try again in a moment."))
        checkpoint = witness._next() or self.env["api.audit.checkpoint"]._last()
        if not checkpoint:
            raise UserError(self.env._("Nothing was sealed yet. Try again in a minute."))
        try:
            witness._tell(checkpoint, min(witness.delivered_size, checkpoint.size))
        except Undelivered as error:
            raise UserError(self._text(error.problem.value, error.detail)) from None
        if checkpoint.number >= witness.delivered_number:
            witness._note_success(checkpoint)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("%(name)s was told of checkpoint %(number)s.", name=self.name,
                                      number=checkpoint.number),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }  # fmt: skip

    @api.model
    def _check_manager(self):
        self.env["api.guard"]._require_configuration_right(self.env)
        if not self.env.su and not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers test a witness."))

    @api.model
    def _check(self):
        """The witnesses' line of the self-check: (is fine, what is so, what to do)."""
        witnesses = self._active()
        if self._is_copy():
            return True, self.env._("Witnesses are not told of a copy's log"), ""
        if not witnesses:
            return (
                False,
                self.env._("Nobody outside is told of checkpoints"),
                self.env._(
                    "Whoever owns the database and the server could write the whole log anew. Let checkpoints leave "
                    "them: API Guard → Witnesses."
                ),
            )
        if failing := witnesses.filtered(lambda witness: witness.state in ("failing", "late")):
            return (
                False,
                self.env._("Witnesses are not told of checkpoints: %(names)s", names=", ".join(failing.mapped("name"))),
                " ".join(filter(None, failing.mapped("last_error")))
                or self.env._("Is the scheduled job “API Guard: tell witnesses” active?"),
            )
        return True, self.env._("Witnesses outside are told of checkpoints: %(count)s", count=len(witnesses)), ""


class ApiVault(models.AbstractModel):
    _inherit = "api.vault"

    @api.model
    def _sealed_columns(self):
        return [*super()._sealed_columns(), ("api_audit_witness", "sealed_secret", PURPOSE, "id")]
