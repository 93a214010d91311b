"""The search for pasted keys: one row for each pass over the database.

A pass goes through the models one by one and through their rows in batches, each
committed with the place that it reached: a cron that is stopped goes on there. After
the first pass only rows are searched that were written since the last one began.
PostgreSQL looks for what resembles a key, `core.leak` decides what does, and the
table of keys tells whose it is.
"""

from datetime import timedelta

from odoo import api, fields, models
from odoo.addons.base.models.res_users import INDEX_SIZE
from odoo.tools import SQL

from ..core.alert import Signal
from ..core.call import Kind
from ..core.leak import ROUGH_PATTERN, fingerprint, keys_in
from ..core.secret import has_prefix

BATCH = 2000  # rows
_OVERLAP = timedelta(hours=1)  # a transaction may commit long after it wrote down the time
_MAX_FILE = 1024 * 1024
_TEXT_FILES = "^(text/|application/(json|xml|javascript|x-sh|x-yaml|yaml|toml|sql|x-httpd-php)|message/)"
#: Where keys end up beside texts and notes.
_CHARS = {
    "ir.attachment": ("name",),
    "mail.message": ("subject",),
    "mail.tracking.value": ("old_value_char", "new_value_char"),
}
_FILE = "raw"


class ApiLeakScan(models.Model):
    _name = "api.leak.scan"
    _inherit = ["api.guard.configuration"]
    _description = "Search for Pasted API Keys"
    _order = "id desc"
    _rec_name = "started_at"

    started_at = fields.Datetime("Began", required=True, readonly=True, default=fields.Datetime.now)
    finished_at = fields.Datetime("Ended", readonly=True)
    since = fields.Datetime("Written since", readonly=True, help="Empty: everything is searched.")
    model = fields.Char("Searched up to", readonly=True)
    last_id = fields.Integer(readonly=True)
    row_count = fields.Integer("Records searched", readonly=True, aggregator=None)
    finding_count = fields.Integer("Found", readonly=True, aggregator=None)

    @api.model
    def _open(self, is_full=False):
        """The pass that is under way, or a new one. `is_full`: everything is searched, from the beginning."""
        scan = self.search([("finished_at", "=", False)], limit=1)
        if not scan:
            last = self.search([("finished_at", "!=", False)], limit=1)
            return self.create({"since": not is_full and last.started_at and last.started_at - _OVERLAP})
        if is_full and scan.since:
            scan.write({"since": False, "started_at": fields.Datetime.now(), "model": False, "last_id": 0})
        return scan

    def action_scan_all(self):
        """Search everything, in the background; whichever passes are selected."""
        return self._request(is_full=True, then={"type": "ir.actions.client", "tag": "soft_reload"})

    @api.model
    def _request(self, is_full, then):
        self.env["api.leak"]._check_manager()
        self.sudo()._open(is_full)
        self.env.ref("api_guard.cron_leak_scan").sudo()._trigger()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "title": self.env._("The search has begun"),
                "message": self.env._("It goes on in the background. What it finds appears under Pasted Keys."),
                "next": then,
            },
        }

    @api.model
    def _cron_scan(self):
        """Go on with the pass that is under way, or begin one, for as long as the cron may run."""
        scan, targets, seconds = self._open(), self._targets(), float("inf")
        while not scan.finished_at and seconds > 0:
            searched = scan._step(targets)
            remaining = 0 if scan.finished_at else sum(name >= scan.model for name in targets)
            seconds = self.env["ir.cron"]._commit_progress(max(searched, 1), remaining=remaining)

    # ----------------------------------------------------------------- targets

    @api.model
    def _targets(self):
        """What is searched, in order: models, and their columns that hold texts."""
        targets = {name: self._columns(model) for name, model in self.env.items() if self._is_searched(model)}
        return {name: targets[name] for name in sorted(targets) if targets[name]}

    @api.model
    def _is_searched(self, model):
        if not model._auto or model._abstract or model._transient:
            return False
        return model._original_module != self._original_module  # the guard itself keeps no secret

    @api.model
    def _columns(self, model):
        chars = _CHARS.get(model._name, ())
        return [
            field.name
            for field in model._fields.values()
            if field.store and field.column_type and (field.type in ("text", "html") or field.name in chars)
        ]

    # ------------------------------------------------------------------ search

    def _step(self, targets):
        """Search the next batch and move on; how many rows that were."""
        self.env.flush_all()
        name = next((name for name in targets if name >= (self.model or "")), None)
        if name is None:
            self.finished_at = fields.Datetime.now()
            return 0
        ids = self._next_ids(name, self.last_id if name == self.model else 0)
        found = sum(self._note(name, *hit) for hit in self._hits(name, targets[name], ids))
        is_through = len(ids) < BATCH
        later = next((other for other in targets if other > name), None)
        self.write(
            {
                "model": later or name if is_through else name,
                "last_id": 0 if is_through else ids[-1],
                "finished_at": is_through and not later and fields.Datetime.now(),
                "row_count": self.row_count + len(ids),
                "finding_count": self.finding_count + found,
            }
        )
        return len(ids)

    def _next_ids(self, name, last_id):
        model = self.env[name]
        recent = SQL()
        if self.since and "write_date" in model._fields:
            recent = SQL("AND write_date >= %s", self.since)
        query = SQL(
            "SELECT id FROM ONLY %s WHERE id > %s %s ORDER BY id LIMIT %s",
            SQL.identifier(model._table), last_id, recent, BATCH,
        )  # fmt: skip
        return [row_id for (row_id,) in self.env.execute_query(query)]

    def _hits(self, name, columns, ids):
        """What in these rows looks like a key: (id, field, secret)."""
        if not ids:
            return
        texts = [SQL("%s::text", SQL.identifier(column)) for column in columns]  # translated ones are JSON
        query = SQL(
            "SELECT id, %s FROM ONLY %s WHERE id IN %s AND (%s)",
            SQL(", ").join(texts), SQL.identifier(self.env[name]._table), tuple(ids),
            SQL(" OR ").join(SQL("%s ~ %s", text, ROUGH_PATTERN) for text in texts),
        )  # fmt: skip
        for row_id, *values in self.env.execute_query(query):
            for column, text in zip(columns, values, strict=True):
                yield from ((row_id, column, secret) for secret in keys_in(text or ""))
        if name == "ir.attachment":
            yield from self._file_hits(ids)

    def _file_hits(self, ids):
        """The same of the contents of small text files."""
        query = SQL(
            "SELECT id FROM ir_attachment WHERE id IN %s AND mimetype ~ %s AND file_size <= %s"
            " AND COALESCE(url, '') NOT LIKE %s",
            tuple(ids), _TEXT_FILES, _MAX_FILE, "/web/assets/%",
        )  # fmt: skip
        for (row_id,) in self.env.execute_query(query):
            attachment = self.env["ir.attachment"].browse(row_id)
            text = (attachment.raw or b"").decode("utf-8", "replace")
            attachment.invalidate_recordset()  # a batch of files at a time would be too much to hold
            yield from ((row_id, _FILE, secret) for secret in keys_in(text))

    # ---------------------------------------------------------------- findings

    def _note(self, model, res_id, field, secret):
        """Enter a finding, unless it is no key or already open; how many were entered."""
        credential = self._credential(secret)
        if not credential and not has_prefix(secret):
            return 0  # 40 digits of something else
        mark = fingerprint(secret, self.env["ir.config_parameter"].get_param("database.secret"))
        status = credential.status or "unknown"
        query = SQL(
            """INSERT INTO api_leak (res_model, res_id, field_name, fingerprint, credential_id, key_state, state,
                                     found_at, create_date, write_date)
               SELECT %s, %s, %s, %s, %s, %s, 'open', now, now, now
                 FROM date_trunc('second', now() AT TIME ZONE 'utc') now
                   ON CONFLICT DO NOTHING RETURNING id""",
            model, res_id, field, mark, credential.id or None, status,
        )  # fmt: skip
        entered = len(self.env.execute_query(query))
        if entered and status not in ("revoked", "expired"):
            self.env["api.alert"]._raise(
                self.env.cr, Signal.KEY_PASTED, credential.id or None, credential.user_id.id or None,
                detail=f"{model} {res_id}: {field}",
            )  # fmt: skip
        return entered

    @api.model
    def _credential(self, secret):
        """The key that `secret` opens or opened; empty: none of this database."""
        known = self.env["api.credential"].search_count([("key_index", "=", secret[:INDEX_SIZE])], limit=1)
        identity = self.env["api.identity"]._of_key(self.env.cr, secret) if known else None
        is_key = identity is not None and identity.credential.kind is Kind.KEY
        return self.env["api.credential"].browse(identity.credential_id if is_key else ())
