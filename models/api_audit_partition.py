"""Where does an entry lie? A partition for each class of outcome and month or day, so that what has to go goes at once.

Partitions are made ahead by a cron, and where one is missing all the same, by whoever writes its first
entry. Whatever is wrong with that, no entry is lost: it lies in the rest of its class, until the cron
moves it to a partition of its own. No writer waits for any of it longer than LOCK_TIMEOUT.
"""

import contextlib
import logging
import os
import time
from secrets import token_hex

import psycopg2
from odoo import api, fields, models
from odoo.tools import SQL
from psycopg2.errors import LockNotAvailable

from ..seams.beside import Planned, beside
from .api_audit_entry import BEFORE, KINDS

_logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "30ms"  # for each of two locks; as long, and while we hold them, writers wait
AHEAD = 2  # periods, after this one
BATCH = 5_000
_AGAIN_SECONDS = 60.0  # after which a process that could not make one tries again
_MOST_LEFT = 1_000  # entries that are moved while writers wait

_ADD = Planned("SELECT api_guard_add_partition(%s, %s)")
_MOVING = "_moving"
_KNOW = """
    INSERT INTO api_audit_partition (kind, starts, ends, table_name)
    SELECT %s, substring(bound FROM 'FROM \\(''([^'']+)''\\)')::timestamp,
           substring(bound FROM 'TO \\(''([^'']+)''\\)')::timestamp, relname
      FROM (SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass) part
     WHERE bound LIKE 'FOR VALUES FROM%%'
       AND NOT EXISTS (SELECT FROM api_audit_partition known WHERE known.table_name = part.relname)
"""


class ApiAuditPartition(models.Model):
    _name = "api.audit.partition"
    _description = "API Audit Log Partition"
    _log_access = False
    _order = "starts desc, kind"
    _rec_name = "table_name"

    kind = fields.Selection(lambda self: self.env["api.audit.entry"]._fields["kind"].selection, "Class",
                            readonly=True, required=True)  # fmt: skip
    starts = fields.Datetime("From", readonly=True, required=True)
    ends = fields.Datetime("Until", readonly=True, required=True)
    table_name = fields.Char("Table", readonly=True, required=True)
    entries = fields.Integer(
        compute="_compute_size", help="About as many: what PostgreSQL counted when it last looked through them."
    )
    size_mb = fields.Float("Size (MB)", compute="_compute_size", digits=(16, 1), help="With its indexes.")

    _known = {}  # (process, database, class) → {day: when to look again}, as this process has seen

    @api.depends("table_name")
    def _compute_size(self):
        sizes = self._sizes(self.mapped("table_name"))
        for partition in self:
            rows, size = sizes.get(partition.table_name, (0, 0))
            partition.entries, partition.size_mb = rows, size / 2**20

    @api.model
    def _sizes(self, tables):
        """{table: (entries, bytes)}, the former as PostgreSQL estimates them."""
        rows = self.env.execute_query(
            SQL(
                "SELECT c.relname, greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)::bigint,"
                " COALESCE(pg_total_relation_size(c.oid), 0)"
                " FROM pg_class c WHERE c.oid = ANY (SELECT to_regclass(name) FROM unnest(%s::text[]) name)",
                list(tables),
            )
        )
        return {table: (entries, size) for table, entries, size in rows}

    # ------------------------------------------------------------------ at a call

    @classmethod
    def _provide(cls, kind, moment):
        """Before an entry is written: the partition for it. Costs a look into a set, but for the first one of a day.

        Whatever is wrong with that, the entry is not lost: it goes to the rest.
        """
        slot = (os.getpid(), cls.pool.db_name, kind)
        known = cls._known.setdefault(slot, {})
        day = moment.date()
        if time.monotonic() < known.get(day, 0.0):
            return
        known[day] = float("inf")
        try:
            with beside(cls.pool) as cr:
                cr.execute(_ADD, [kind, moment])
        except Exception:
            known[day] = time.monotonic() + _AGAIN_SECONDS
            _logger.warning("the audit log has no partition for %s on %s", kind, day, exc_info=True)

    # ---------------------------------------------------------------------- cron

    @api.model
    def _cron_partitions(self):
        """The partitions of the next time, those for what lies in a rest, and none of a length that was changed."""
        self._reconcile()
        for kind in KINDS:
            for step in (self._shorten, self._empty_rest, self._add_ahead):
                try:
                    step(kind)
                except LockNotAvailable:
                    _logger.info("the audit log's partitions of %s are in use: another time", kind)
                except psycopg2.Error:
                    _logger.warning("the audit log's partitions of %s could not be looked after", kind, exc_info=True)

    @api.model
    def _missing(self):
        """The tables that were partitions and are not any more, whoever did that."""
        rows = self.env.execute_query(
            SQL(
                "SELECT p.table_name FROM api_audit_partition p WHERE NOT EXISTS (SELECT FROM pg_class c"
                " WHERE c.oid = to_regclass(p.table_name) AND c.relispartition) ORDER BY p.starts"
            )
        )
        return [table for (table,) in rows]

    @api.model
    def _reconcile(self):
        """Partitions that are there are known, and only they. What is missing is made again, empty; an entry tells."""
        if missing := self._missing():
            _logger.error("the audit log has lost these partitions: %s", ", ".join(missing))
        with self.env.registry.cursor() as cr:
            if missing:
                cr.execute("DELETE FROM api_audit_partition WHERE table_name = ANY (%s)", [missing])
                self.env.registry["api.audit.entry"]._append_event(
                    cr.execute, self._name, "missing", request_id=token_hex(10), arguments=", ".join(missing)
                )
            for kind in KINDS:
                cr.execute(_KNOW, [kind, f"api_audit_entry_{kind}"])
        self.invalidate_model()

    @api.model
    def _add_ahead(self, kind):
        for ahead in range(AHEAD + 1):
            with _short(self.env.registry) as cr:
                cr.execute(
                    "SELECT api_guard_add_partition(%s,"
                    " now() AT TIME ZONE 'utc' + %s * ('1 ' || api_guard_length(%s))::interval)",
                    [kind, ahead, kind],
                )

    @api.model
    def _shorten(self, kind):
        """Empty partitions of months to come, where a day is the length now."""
        with _short(self.env.registry) as cr:
            cr.execute(
                "SELECT table_name FROM api_audit_partition WHERE kind = %s AND starts > now() AT TIME ZONE 'utc'"
                " AND ends > starts + ('1 ' || api_guard_length(kind))::interval",
                [kind],
            )
            tables = [table for (table,) in cr.fetchall()]
        for table in tables:
            with _short(self.env.registry) as cr:
                name = SQL.identifier(table)
                cr.execute(SQL("LOCK TABLE ONLY %s, ONLY %s IN ACCESS EXCLUSIVE MODE", _parent(kind), name))
                cr.execute(SQL("SELECT EXISTS (SELECT FROM %s)", name))
                if not cr.fetchone()[0]:
                    _drop(cr, table)

    # ---------------------------------------------------------------------- rest

    @api.model
    def _empty_rest(self, kind):
        """What lies in the rest of `kind` is moved to partitions of its own; True if all of it was.

        Copied first, a batch at a time, to tables that nobody sees; then these and an empty rest take the place
        of the full one, with the few entries that came meanwhile. Settled are those of transactions below
        the horizon: no more of them will appear.
        """
        registry = self.env.registry
        self._drop_left_behind(kind)
        with registry.cursor() as cr:
            places = _places(cr, kind)
        if not places:
            return True
        for place in places:
            with _short(registry) as cr:
                _prepare(cr, kind, *place)
        done, count = 0, BATCH
        while count >= _MOST_LEFT:  # the next round has what came during this one
            horizon, count = self._copy_rest(kind, places, done)
            if horizon == done:
                break
            done = horizon
        with _short(registry) as cr:
            is_done = _swap(cr, kind, places, done)
        self._drop_left_behind(kind)
        return is_done

    @api.model
    def _copy_rest(self, kind, places, since):
        """Copy what is settled, from transaction `since` on, a batch at a time: the horizon, and how many."""
        registry, total = self.env.registry, 0
        with registry.cursor() as cr:
            cr.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::numeric")
            horizon = int(cr.fetchone()[0])
        for starts, ends, table in places:
            at = (str(since), -1)
            while at:
                with registry.cursor() as cr:
                    at, count = _copy(cr, kind, table + _MOVING, (starts, ends), at, str(horizon))
                total += count
        return horizon, total

    @api.model
    def _drop_left_behind(self, kind):
        """Tables of a move that ended, or that was interrupted: nobody sees them, and what is in them is elsewhere."""
        with _short(self.env.registry) as cr:
            cr.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relispartition"
                " AND relnamespace = current_schema()::regnamespace AND relname LIKE %s",
                [f"api_audit_entry_{kind}%{_MOVING}".replace("_", r"\_")],
            )
            for (table,) in cr.fetchall():
                cr.execute(SQL("DROP TABLE %s", SQL.identifier(table)))

    # -------------------------------------------------------------------- before

    @api.model
    def _attach_before(self):
        """The table of the version that had no partitions becomes one, as it is: nothing is copied.

        What takes time are its indexes, and that PostgreSQL reads it once.
        """
        cr = self.env.cr
        cr.execute("SELECT relispartition FROM pg_class WHERE oid = to_regclass('api_audit_entry_before')")
        if cr.fetchone() != (False,):
            return
        cr.execute("SET LOCAL maintenance_work_mem = '256MB'")
        for name, kind, default in _missing_columns(cr):
            cr.execute(
                SQL(
                    "ALTER TABLE api_audit_entry_before ADD COLUMN %s %s %s",
                    SQL.identifier(name), SQL(kind), SQL(default),
                )
            )  # fmt: skip
        cr.execute("""
            ALTER TABLE api_audit_entry_before ALTER kind DROP DEFAULT, ALTER xid DROP DEFAULT,
                DROP CONSTRAINT IF EXISTS api_audit_entry_before_id_pkey;
            DROP TRIGGER IF EXISTS api_guard_append_only ON api_audit_entry_before;
            ALTER TABLE api_audit_entry ATTACH PARTITION api_audit_entry_before FOR VALUES IN ('before');
            SELECT api_guard_seal_off('api_audit_entry_before');
            INSERT INTO api_audit_partition (kind, starts, ends, table_name)
            SELECT 'before', date_trunc('second', min(occurred_at)),
                   date_trunc('second', max(occurred_at)) + interval '1 second', 'api_audit_entry_before'
            FROM api_audit_entry_before HAVING min(occurred_at) IS NOT NULL;
        """)


# SQL in transactions of its own: what locks a table of the log, even by reading it, must end soon.


@contextlib.contextmanager
def _short(registry):
    """A transaction in which no lock is waited for longer than LOCK_TIMEOUT: writers would wait behind it."""
    with registry.cursor() as cr:
        cr.execute(SQL("SET LOCAL lock_timeout = %s", LOCK_TIMEOUT))
        yield cr


def _parent(kind):
    """The table whose partitions are those of `kind`: a class's own, or for `before`, the log itself."""
    return SQL.identifier("api_audit_entry" if kind == BEFORE else f"api_audit_entry_{kind}")


def _rest(kind):
    return SQL.identifier(f"api_audit_entry_{kind}_rest")


def _drop(cr, table):
    """Drop a partition. Its table and the one above are locked already."""
    cr.execute("DELETE FROM api_audit_partition WHERE table_name = %s", [table])
    cr.execute(SQL("DROP TABLE %s", SQL.identifier(table)))


def _places(cr, kind):
    """The partitions that are missing for what lies in the rest: [(starts, ends, table)]."""
    found, least = [], SQL("'-infinity'")
    while True:
        cr.execute(SQL("SELECT min(occurred_at) FROM %s WHERE occurred_at >= %s", _rest(kind), least))
        [moment] = cr.fetchone()
        if moment is None:
            return found
        cr.execute("SELECT starts, ends, table_name FROM api_guard_place_partition(%s, %s)", [kind, moment])
        found.append(cr.fetchone())
        least = found[-1][1]


def _prepare(cr, kind, starts, ends, table):
    """An empty table that can take the place of a partition; what it may hold is stated, so that nobody has to look."""
    name = SQL.identifier(table + _MOVING)
    cr.execute(SQL("CREATE TABLE %s (LIKE %s INCLUDING ALL)", name, _parent(kind)))
    cr.execute(
        SQL(
            "ALTER TABLE %s ADD CONSTRAINT moving CHECK (kind IS NOT NULL AND kind = %s"
            " AND occurred_at IS NOT NULL AND occurred_at >= %s AND occurred_at < %s)",
            name, kind, starts, ends,
        )
    )  # fmt: skip


def _copy(cr, kind, table, period, at, horizon):
    """Copy the next batch beyond (xid, id) `at`: where it ended, None at the end; how many."""
    cr.execute(
        SQL(
            "WITH batch AS (INSERT INTO %s SELECT * FROM %s WHERE (xid, id) > (%s::xid8, %s) AND xid < %s::xid8"
            " AND occurred_at >= %s AND occurred_at < %s ORDER BY xid, id LIMIT %s RETURNING xid, id)"
            " SELECT xid::text, id, count(*) OVER () FROM batch ORDER BY batch.xid DESC, id DESC LIMIT 1",
            SQL.identifier(table), _rest(kind), *at, horizon, *period, BATCH,
        )
    )  # fmt: skip
    xid, entry_id, count = cr.fetchone() or (None, None, 0)
    return ((xid, entry_id) if count == BATCH else None), count


def _swap(cr, kind, places, horizon):
    """The copies and an empty rest take the place of the full one. False: too much came since; another time.

    The locks come first: what this transaction sees is settled by its first statement that reads.
    """
    cr.execute(SQL("LOCK TABLE ONLY %s, ONLY %s IN ACCESS EXCLUSIVE MODE", _parent(kind), _rest(kind)))
    cr.execute("SELECT pg_advisory_xact_lock(hashtext('api_audit_partition'), hashtext(%s))",
               [f"api_audit_entry_{kind}"])  # fmt: skip
    cr.execute(
        SQL(
            "SELECT count(*) FROM (SELECT FROM %s WHERE xid >= %s::text::xid8 LIMIT %s) x",
            _rest(kind), horizon, _MOST_LEFT + 1,
        )
    )  # fmt: skip
    if cr.fetchone()[0] > _MOST_LEFT or not _are_free(cr, kind, places):
        return False
    _tell_sealer(cr)
    full = SQL.identifier(f"api_audit_entry_{kind}_rest{_MOVING}")
    cr.execute(SQL("ALTER TABLE %s DETACH PARTITION %s", _parent(kind), _rest(kind)))
    cr.execute(SQL("ALTER TABLE %s RENAME TO %s", _rest(kind), full))
    for starts, ends, table in places:
        moving = SQL.identifier(table + _MOVING)
        cr.execute(SQL("ALTER TABLE %s RENAME TO %s", moving, SQL.identifier(table)))
        cr.execute("SELECT api_guard_attach_partition(%s, %s, %s, %s)", [kind, starts, ends, table])
        cr.execute(SQL("ALTER TABLE %s DROP CONSTRAINT moving", SQL.identifier(table)))
    cr.execute(SQL("CREATE TABLE %s PARTITION OF %s DEFAULT", _rest(kind), _parent(kind)))
    cr.execute("SELECT api_guard_seal_off(%s)", [f"api_audit_entry_{kind}_rest"])
    cr.execute(SQL("INSERT INTO %s SELECT * FROM %s WHERE xid >= %s::text::xid8", _parent(kind), full, horizon))
    return True


def _are_free(cr, kind, places):
    cr.execute(
        "SELECT count(*) FROM api_audit_partition p WHERE p.kind = %s"
        " AND EXISTS (SELECT FROM unnest(%s::timestamp[], %s::timestamp[]) n (starts, ends)"
        " WHERE p.starts < n.ends AND n.starts < p.ends)",
        [kind, [starts for starts, _ends, _table in places], [ends for _starts, ends, _table in places]],
    )
    return cr.fetchone() == (0,)


def _tell_sealer(cr):
    """A sealer that began to read before would neither see the old table nor what is in the new ones, and pass on.

    It holds this row, or will find it changed, and begins anew.
    """
    cr.execute("SELECT to_regclass('api_audit_seal') IS NOT NULL")
    if cr.fetchone()[0]:
        cr.execute("SELECT FROM api_audit_seal FOR UPDATE NOWAIT")
        cr.execute("UPDATE api_audit_seal SET id = id")


def _missing_columns(cr):
    """What the table of the version before lacks: (name, type, default), in the order of the new one."""
    cr.execute("""
        SELECT new.attname, format_type(new.atttypid, new.atttypmod)
          FROM pg_attribute new
         WHERE new.attrelid = 'api_audit_entry'::regclass AND new.attnum > 0 AND NOT new.attisdropped
           AND NOT EXISTS (SELECT FROM pg_attribute old WHERE old.attrelid = 'api_audit_entry_before'::regclass
                           AND old.attname = new.attname AND old.attnum > 0 AND NOT old.attisdropped)
         ORDER BY new.attnum
    """)
    # a constant is not written into each row: PostgreSQL keeps it beside
    constants = {"kind": "NOT NULL DEFAULT 'before'", "xid": "NOT NULL DEFAULT '0'"}
    return [(name, kind, constants.get(name, "")) for name, kind in cr.fetchall()]
