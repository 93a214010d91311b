"""One entry for every call: appended, and never changed.

The table is Odoo's to read and nobody's to write: rows are inserted by the guard
in one statement, without the ORM, and a trigger refuses UPDATE, DELETE and
TRUNCATE to everybody. It holds no foreign key: what an entry says must outlast
the user and the key that it speaks of, and a foreign key would want to update it.

It is partitioned by class of outcome and by time (models/api_audit_partition.py).
An entry belongs to the time at which its call began.
"""

import logging
from datetime import datetime, timezone

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, file_open

from ..core.call import Door
from ..core.sensitive import blank
from ..core.verdict import Reason
from ..seams import nudge
from ..seams.beside import Beside, Planned, beside
from . import journal

_logger = logging.getLogger(__name__)

KINDS = ("read", "write", "refused", "failed")  # what retention tells apart
BEFORE = "before"  # of the version that had no partitions: one table, attached as it is

_COLUMNS = {
    "kind": "varchar NOT NULL",
    "occurred_at": "timestamp without time zone NOT NULL",
    "request_id": "varchar NOT NULL",
    "door": "varchar NOT NULL",
    "route": "varchar",
    "service": "varchar",
    "http_method": "varchar",
    "peer": "varchar",
    "forwarded": "varchar",
    "country": "varchar",
    "user_agent": "varchar",
    "database": "varchar",
    "user_id": "integer",
    "login": "varchar",
    "credential_kind": "varchar",
    "credential_id": "integer",
    "key_id": "integer",
    "credential_name": "varchar",
    "policies": "varchar",
    "policy_ids": "varchar",
    "model": "varchar",
    "method": "varchar",
    "operation": "varchar",
    "record_ids": "varchar",
    "record_count": "integer",
    "row_count": "integer",
    "byte_count": "bigint",
    "read_ids": "varchar",
    "read_fields": "varchar",
    "arguments": "text",
    "results": "text",
    "digests": "varchar[]",
    "verdict": "varchar NOT NULL",
    "reason": "varchar",
    "refusing_policy": "varchar",
    "outcome": "varchar NOT NULL",
    "committed": "boolean",
    "status": "integer",
    "duration_ms": "double precision",
    "sql_count": "integer",
    "error_class": "varchar",
    "error_message": "varchar",
}
_LIMITS = {
    "arguments": 4096,
    "results": 4096,
    "read_ids": 1100,
    "read_fields": 1100,
    "error_message": 500,
    "record_ids": 1200,
    "route": 300,
    "forwarded": 300,
    "user_agent": 300,
}
_LIMIT = 200

_NAMES = tuple(_COLUMNS)
_INTO = f"INSERT INTO api_audit_entry ({', '.join(_NAMES)})"
_ROW = ", ".join(f"%s::{kind.removesuffix(' NOT NULL')} AS {name}" for name, kind in _COLUMNS.items())
# once, however often it is tried
_RESTORE = (
    f"{_INTO} SELECT new.* FROM (SELECT {_ROW}) new"  # noqa: S608
    " WHERE NOT EXISTS (SELECT FROM api_audit_entry old WHERE old.request_id = new.request_id"
    " AND old.occurred_at = new.occurred_at AND old.kind = new.kind)"
)
_INSERT = Planned(f"{_INTO} VALUES ({', '.join(['%s'] * len(_NAMES))})", again=_RESTORE)
# The same, committed without waiting for the disk
_INSERT_UNSYNCED = Planned(f"{_INSERT} RETURNING set_config('synchronous_commit', 'off', true)", again=_RESTORE)


class ApiAuditEntry(models.Model):
    _name = "api.audit.entry"
    _description = "API Audit Entry"
    _auto = False
    _log_access = False
    _order = "occurred_at desc, id desc"
    _rec_name = "request_id"

    @property
    def _table_query(self):
        """The table, with no user where the user was deleted: what the ORM cannot find it refuses to show at all.

        Of values, what the current user may see; of their digests nothing: they are for `_search_exact_value`.
        """
        shown = self._shown_columns()
        columns = SQL(", ").join(
            SQL("%s AS %s", shown.get(name, SQL.identifier("entry", name)), SQL.identifier(name))
            for name in ("id", *_NAMES)
            if name not in ("user_id", "digests")
        )
        return SQL(
            "SELECT %s, owner.id AS user_id FROM api_audit_entry entry"
            " LEFT JOIN res_users owner ON owner.id = entry.user_id",
            columns,
        )

    occurred_at = fields.Datetime("Time", readonly=True)
    kind = fields.Selection(
        [
            ("read", "Read"),
            ("write", "Change"),
            ("refused", "Refusal"),
            ("failed", "Failure"),
            (BEFORE, "Before partitions"),
        ],
        string="Class",
        readonly=True,
        help="What retention tells apart. A change is whatever may have changed something.",
    )
    request_id = fields.Char(
        "Request ID", readonly=True, help="The answer carried it, as header X-Request-Id and in its text."
    )
    door = fields.Selection(selection="_selection_door", readonly=True)
    route = fields.Char(readonly=True)
    service = fields.Char("RPC service", readonly=True)
    http_method = fields.Char("HTTP method", readonly=True)
    peer = fields.Char(
        "From", readonly=True, help="The caller's network address: the last hop no trusted proxy vouches for."
    )
    forwarded = fields.Char("Forwarded for", readonly=True, help="What the request itself claims; not to be believed.")
    country = fields.Char(readonly=True)
    user_agent = fields.Char("Client", readonly=True)
    database = fields.Char(readonly=True)
    user_id = fields.Many2one("res.users", readonly=True)
    login = fields.Char(readonly=True)
    credential_kind = fields.Selection(
        [("key", "API key"), ("password", "Password"), ("session", "Session"), ("none", "None")],
        string="Credential",
        readonly=True,
    )
    credential_id = fields.Many2one("api.credential", string="Key", readonly=True)
    key_id = fields.Integer("Key ID", readonly=True, aggregator=None)
    credential_name = fields.Char("Key name", readonly=True)
    policies = fields.Char("Policies applied", readonly=True)
    policy_ids = fields.Char("Policy IDs", readonly=True, help="Each between commas, so that one can be searched for.")
    model = fields.Char(readonly=True)
    method = fields.Char(readonly=True)
    operation = fields.Char(readonly=True)
    record_ids = fields.Char("Record IDs", readonly=True, help="The first hundred.")
    record_count = fields.Integer("Records named", readonly=True)
    row_count = fields.Integer("Rows returned", readonly=True)
    byte_count = fields.Integer("Bytes returned", readonly=True)
    read_ids = fields.Char(
        "Records read", readonly=True, depends_context=("uid",), help="Their IDs; an ellipsis stands for more."
    )
    read_fields = fields.Char("Fields read", readonly=True, help="An ellipsis stands for more.")
    arguments = fields.Text(readonly=True, depends_context=("uid",))
    results = fields.Text(readonly=True, depends_context=("uid",))
    verdict = fields.Selection([("allow", "Allow"), ("deny", "Deny"), ("none", "Not judged")], readonly=True)
    reason = fields.Selection(selection="_selection_reason", readonly=True)
    refusing_policy = fields.Char("Refused by", readonly=True)
    outcome = fields.Selection([("allowed", "Allowed"), ("refused", "Refused"), ("failed", "Failed")], readonly=True)
    committed = fields.Boolean(readonly=True, help="Whether the call's transaction was committed.")
    status = fields.Integer("HTTP status", readonly=True, aggregator=None)
    duration_ms = fields.Float("Duration (ms)", readonly=True, aggregator="avg", digits=(16, 1))
    sql_count = fields.Integer("SQL queries", readonly=True)
    error_class = fields.Char("Error", readonly=True)
    error_message = fields.Char(readonly=True, depends_context=("uid",))
    remedy = fields.Text("What to do", compute="_compute_remedy")
    finding = fields.Char("What was refused", compute="_compute_remedy")

    def init(self):
        """The table, its partitions, indexes and triggers; idempotent, runs at install and update.

        The order of the list is an index of its own: a day of a long log is found by it, where
        the order of ids would have PostgreSQL walk back from today. `xid` is the transaction
        that wrote an entry: what is older than every transaction under way is settled.
        `user_id` is in what is counted by: users are joined, and PostgreSQL would read the table for it.
        """
        cr = self.env.cr
        columns = SQL(", ").join(SQL("%s %s", SQL.identifier(name), SQL(kind)) for name, kind in _COLUMNS.items())
        cr.execute("CREATE SEQUENCE IF NOT EXISTS api_audit_entry_id_seq AS bigint")
        cr.execute(
            SQL(
                "CREATE TABLE IF NOT EXISTS api_audit_entry ("
                " id bigint NOT NULL DEFAULT nextval('api_audit_entry_id_seq'),"
                " xid xid8 NOT NULL DEFAULT pg_current_xact_id(), %s,"
                " PRIMARY KEY (id, occurred_at, kind)) PARTITION BY LIST (kind)",
                columns,
            )
        )
        with file_open("api_guard/models/sql/audit_log.sql") as file:
            cr.execute(file.read())
        cr.execute("""
            CREATE INDEX IF NOT EXISTS api_audit_entry_occurred_idx ON api_audit_entry (occurred_at, id)
                INCLUDE (user_id);
            CREATE INDEX IF NOT EXISTS api_audit_entry_xid_idx ON api_audit_entry (xid, id);
            CREATE INDEX IF NOT EXISTS api_audit_entry_request_id_idx ON api_audit_entry (request_id);
            CREATE INDEX IF NOT EXISTS api_audit_entry_credential_idx ON api_audit_entry (credential_id, occurred_at)
                INCLUDE (user_id) WHERE credential_id IS NOT NULL;
            CREATE INDEX IF NOT EXISTS api_audit_entry_user_idx ON api_audit_entry (user_id, occurred_at)
                WHERE user_id IS NOT NULL;
            CREATE INDEX IF NOT EXISTS api_audit_entry_trouble_idx ON api_audit_entry (outcome, occurred_at)
                WHERE outcome != 'allowed';
            CREATE INDEX IF NOT EXISTS api_audit_entry_digests_idx ON api_audit_entry USING gin (digests)
                WHERE digests IS NOT NULL;
        """)
        for kind in KINDS:
            cr.execute("SELECT api_guard_add_kind(%s)", [kind])

    @api.model
    def _drop_table(self):
        """What Odoo does not drop: it knows of no partitions, functions and sequences."""
        self.env.cr.execute("""
            DROP TABLE IF EXISTS api_audit_entry CASCADE;
            DROP SEQUENCE IF EXISTS api_audit_entry_id_seq;
            DROP FUNCTION IF EXISTS api_guard_append_only() CASCADE;
            DROP FUNCTION IF EXISTS api_guard_seal_off, api_guard_add_kind, api_guard_add_partition,
                api_guard_attach_partition, api_guard_place_partition, api_guard_length, api_guard_is_held;
        """)

    # --------------------------------------------------------------- append

    @classmethod
    def _append(cls, execute, values, sync=True):
        """Insert one entry by a cursor's `execute`: keys are the columns, and `secrets`, which no text may contain.

        `sync` False: its commit does not wait for the disk, so that the entry is
        on the disk within the second (three times `wal_writer_delay`). Until then it is also in the journal.
        """
        secrets = values["secrets"]
        cls.pool["api.audit.partition"]._provide(values["kind"], values["occurred_at"])
        row = [_clean(name, values[name], secrets) for name in _NAMES]
        execute(_INSERT if sync else _INSERT_UNSYNCED, row)
        if not sync and isinstance(execute.__self__, Beside):
            cls._note(execute.__self__.connection, row)
        nudge.note(cls.pool)

    @classmethod
    def _note(cls, connection, row):
        """Keep `row`, which is not on the disk yet, in the journal; write again what a lost connection has lost."""
        kept = journal.of(cls.pool.db_name)
        if kept.is_new:
            cls._restore_orphans()
        if doubtful := kept.note(connection, row):
            cls._restore(doubtful)

    @classmethod
    def _restore_orphans(cls):
        """Write again what ended processes had written and PostgreSQL has lost; how many entries there were."""
        return sum(map(cls._restore, journal.orphans(cls.pool.db_name)))

    @classmethod
    def _restore(cls, rows):
        """Write again those of `rows` that are not there; how many there were. That is an entry, too."""
        restored = 0
        with beside(cls.pool) as cr:
            for row in rows:
                cr.execute(f"{_RESTORE} RETURNING id", row)
                restored += cr.fetchone() is not None
            if restored:
                _logger.warning("%s entries that the database had lost were written again", restored)
                cls._append_event(cr.execute, "api.audit.entry", "restore", record_count=restored)
        return restored

    @api.model
    def _cron_restore(self):
        self._restore_orphans()

    @classmethod
    def _append_event(cls, execute, model, method, **values):
        """An entry of what API Guard itself, or a person at its screens, has done. `values` by column."""
        entry = dict.fromkeys(_NAMES) | {
            "kind": "write",
            "occurred_at": datetime.now(timezone.utc).replace(tzinfo=None),
            "door": Door.INTERNAL.value,
            "credential_kind": "none",
            "model": model,
            "method": method,
            "operation": "execute",
            "verdict": "none",
            "outcome": "allowed",
            "committed": True,
            "secrets": (),
        }
        cls._append(execute, entry | {name: value for name, value in values.items() if value is not None})

    # ------------------------------------------------------------ append-only

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(self.env._("Entries are written by the guard alone."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("The audit log is append-only: an entry cannot be changed."))

    def unlink(self):  # pylint: disable=method-required-super
        raise UserError(  # pylint: disable=no-raise-unlink
            self.env._("The audit log is append-only: an entry cannot be deleted.")
        )

    def copy(self, default=None):  # pylint: disable=method-required-super
        raise UserError(self.env._("Entries are written by the guard alone."))

    # ---------------------------------------------------------------- screens

    @api.model
    def _selection_door(self):
        labels = {door.code: door.name for door in self.env["api.door"].sudo().search([])}
        labels |= {Door.WEB.value: self.env._("Web login"), Door.INTERNAL.value: self.env._("Inside the server")}
        return [(door.value, labels.get(door.value, door.value)) for door in Door]

    @api.model
    def _selection_reason(self):
        return [(reason.value, text) for reason, (text, _remedy) in self.env["api.reason"]._texts().items()]

    @api.depends("reason", "error_message", "model", "method", "operation")
    def _compute_remedy(self):
        reasons = self.env["api.reason"]
        for entry in self:
            reason = next((known for known in Reason if known.value == entry.reason), None)
            place = entry._place()
            entry.remedy = reasons._remedy(reason, place) if reason else ""
            entry.finding = reason and reasons._finding(
                reason, place, entry.model or "", entry.method or "", entry.operation or ""
            )

    def _place(self):
        """What the call met when it was refused, where that was noted in place of an error's text."""
        text = self.error_message or ""
        is_error = self.outcome == "failed" or text.startswith("Access Denied")
        return "" if is_error else text


def _clean(name, value, secrets):
    """A value that PostgreSQL takes, cut to its bound, with no secret in it."""
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "").encode("utf-8", "replace").decode()
    return blank(text, secrets)[: _LIMITS.get(name, _LIMIT)]
