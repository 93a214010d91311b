"""What retention took: one row for each partition or batch, made in the transaction that took it, and never changed.

    drops = env["api.audit.drop"]
    drops._survey(kind, table)          what would go with a whole table: a Portion, or None while it may not
    drops._take_table(portion, rule)    drop it; False: somebody reads it, or something changed
    drops._take_batch(kind, table, …)   delete some of it, where others must stay

An entry goes when it is sealed: its leaf stays in the tree, and what was taken says which leaves they
were and what their hashes come to. Nothing here makes a writer wait longer than LOCK_TIMEOUT for each of two locks.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from secrets import token_hex
from zlib import compress, decompress

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, file_open
from psycopg2 import Binary
from psycopg2.errors import LockNotAvailable

from .api_audit_partition import _drop, _parent, _short

_HASH = 32
_TILE = 256


@dataclass(frozen=True)
class Leaves:
    """The leaves of some entries: which they are (bit n of `bits` is leaf first + n), and the hash of their hashes."""

    first: int
    last: int
    count: int
    bits: bytes
    digest: bytes


@dataclass(frozen=True)
class Portion:
    """What goes at once, as one snapshot has seen it. Entries of transactions below `horizon` are all there."""

    kind: str
    table: str
    count: int
    first_id: int
    last_id: int
    starts: datetime
    ends: datetime
    horizon: int
    last_hold: int
    leaves: Leaves | None


class ApiAuditDrop(models.Model):
    _name = "api.audit.drop"
    _description = "Dropped from the Audit Log"
    _auto = False  # models/sql/audit_drop.sql
    _log_access = False
    _order = "dropped_at desc, id desc"
    _rec_name = "rule"

    dropped_at = fields.Datetime("Dropped", readonly=True)
    kind = fields.Selection(lambda self: self.env["api.audit.entry"]._fields["kind"].selection, "Class", readonly=True)
    way = fields.Selection([("partition", "Whole partition"), ("batch", "Some of a partition")], readonly=True)
    rule = fields.Char(readonly=True)
    table_name = fields.Char("Table", readonly=True)
    starts = fields.Datetime("Entries from", readonly=True)
    ends = fields.Datetime("Entries until", readonly=True)
    entry_count = fields.Integer("Entries", readonly=True)
    first_id = fields.Integer("First ID", readonly=True, aggregator=None)
    last_id = fields.Integer("Last ID", readonly=True, aggregator=None)
    first_leaf = fields.Integer("First leaf", readonly=True, aggregator=None)
    last_leaf = fields.Integer("Last leaf", readonly=True, aggregator=None)
    leaves_hash = fields.Char(
        "Hash over its leaves", readonly=True, help="SHA-256 over the leaf hashes of what went, in their order; base64."
    )
    checkpoint = fields.Integer(readonly=True, aggregator=None, help="The last one before.")
    size = fields.Integer("Entries under it", readonly=True, aggregator=None)
    root = fields.Char("Sealed root", readonly=True, help="Of that checkpoint: it stands for what went, too.")
    archive = fields.Char("Archived in", readonly=True)
    archive_hash = fields.Char("SHA-256 of the archive", readonly=True)

    def init(self):
        with file_open("api_guard/models/sql/audit_drop.sql") as file:
            self.env.cr.execute(file.read())

    @api.model
    def _drop_table(self):
        self.env.cr.execute("DROP TABLE IF EXISTS api_audit_drop CASCADE")

    # ------------------------------------------------------------ append-only

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(self.env._("What was dropped is noted by the guard alone."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("What was dropped cannot be changed any more."))

    def unlink(self):  # pylint: disable=method-required-super
        raise UserError(self.env._("What was dropped stays known."))  # pylint: disable=no-raise-unlink

    def copy(self, default=None):  # pylint: disable=method-required-super
        raise UserError(self.env._("What was dropped is noted by the guard alone."))

    # -------------------------------------------------------------- for the proof

    @api.model
    def _dropped_leaves(self, first, last):
        """Which of the leaves from `first` to `last` have lost their entries by a rule? A set."""
        rows = self.env.execute_query(
            SQL(
                "SELECT first_leaf, leaf_map FROM api_audit_drop WHERE first_leaf <= %s AND last_leaf >= %s",
                last, first,
            )
        )  # fmt: skip
        found = set()
        for start, packed in rows:
            bits = decompress(bytes(packed))
            inside = range(max(first, start), min(last, start + 8 * len(bits) - 1) + 1)
            found.update(leaf for leaf in inside if bits[(leaf - start) >> 3] >> ((leaf - start) & 7) & 1)
        return found

    # --------------------------------------------------------------------- survey

    @api.model
    def _survey(self, kind, table):
        """What would go with a whole table. None: something of it is held, under way or not sealed yet, or it is
        not there. A count of 0: it is empty."""
        with self.env.registry.cursor() as cr:
            if not _has_table(cr, table):
                return None
            horizon = _horizon(cr)
            name = SQL.identifier(table)
            cr.execute(SQL("SELECT EXISTS (SELECT FROM %s WHERE xid >= %s::text::xid8)", name, horizon))
            if cr.fetchone()[0] or self._holds_any(cr, table):
                return None
            cr.execute(
                SQL("SELECT count(*), min(id), max(id), min(occurred_at), max(occurred_at) FROM %s", name)
            )
            count, *found = cr.fetchone()
            leaves = _leaves(cr, table, *found[:2]) if count and _has_table(cr, "api_audit_seal") else None
            if leaves and leaves.count != count:
                return None
            return Portion(kind, table, count, *found, horizon, _last_hold(cr), leaves)

    @api.model
    def _holds_any(self, cr, table):
        """Does a hold keep something of this table?"""
        cr.execute("SELECT EXISTS (SELECT FROM api_audit_hold WHERE released_at IS NULL)")
        if not cr.fetchone()[0]:
            return False
        held = SQL("api_guard_is_held(occurred_at, credential_id, user_id)")
        cr.execute(SQL("SELECT EXISTS (SELECT FROM %s WHERE %s)", SQL.identifier(table), held))
        return cr.fetchone()[0]

    # ----------------------------------------------------------------------- take

    @api.model
    def _take_table(self, portion, rule, archive=(None, None)):
        """Drop a table that was surveyed. False: it is in use, or something changed since; another time."""
        registry = self.env.registry
        registry["api.audit.partition"]._provide("write", datetime.now(timezone.utc).replace(tzinfo=None))
        name = SQL.identifier(portion.table)
        try:
            with _short(registry) as cr:
                # what this transaction sees is settled by its first statement that reads: locks come before
                cr.execute("LOCK TABLE api_audit_hold IN SHARE MODE", log_exceptions=False)
                cr.execute(
                    SQL("LOCK TABLE ONLY %s, ONLY %s IN ACCESS EXCLUSIVE MODE", _parent(portion.kind), name),
                    log_exceptions=False,
                )
                cr.execute(SQL("SELECT EXISTS (SELECT FROM %s WHERE xid >= %s::text::xid8)", name, portion.horizon))
                if cr.fetchone()[0] or _last_hold(cr) != portion.last_hold:
                    return False
                if portion.count:
                    self._note(cr, "partition", portion, rule, archive)
                _drop(cr, portion.table)
        except LockNotAvailable:
            return False
        return True

    @api.model
    def _candidates(self, table, until, limit, after=None):
        """The first entries before `until` that may go, as [(time, id)]: sealed, and not held."""
        after = SQL("AND (occurred_at, id) > (%s, %s)", *after) if after else SQL()
        with self.env.registry.cursor() as cr:
            if not _has_table(cr, table):
                return []
            sealed = SQL()
            if _has_table(cr, "api_audit_leaf_block"):
                sealed = SQL(
                    "AND EXISTS (SELECT FROM api_audit_leaf_block b WHERE b.span @> e.id AND e.id = ANY (b.entry_ids))"
                )
            cr.execute(
                SQL(
                    "SELECT occurred_at, id FROM %s e WHERE occurred_at < %s %s %s"
                    " AND NOT api_guard_is_held(occurred_at, credential_id, user_id)"
                    " ORDER BY occurred_at, id LIMIT %s",
                    SQL.identifier(table), until, after, sealed, limit,
                )
            )  # fmt: skip
            return cr.fetchall()

    @api.model
    def _take_batch(self, kind, table, candidates, rule, archive=(None, None)):
        """Delete these entries, at most BATCH, but for those that are held by now: how many went."""
        ids = [entry_id for _time, entry_id in candidates]
        starts, ends = candidates[0][0], candidates[-1][0]
        with _short(self.env.registry) as cr:
            cr.execute("LOCK TABLE api_audit_hold IN SHARE MODE", log_exceptions=False)
            name = SQL.identifier(table)
            which = SQL(
                "occurred_at BETWEEN %s AND %s AND id = ANY (%s)"
                " AND NOT api_guard_is_held(occurred_at, credential_id, user_id)",
                starts, ends, ids,
            )  # fmt: skip
            cr.execute(SQL("SELECT id FROM %s WHERE %s", name, which))
            ids = sorted(entry_id for (entry_id,) in cr.fetchall())
            if not ids:
                return 0
            has_seal = _has_table(cr, "api_audit_seal")
            leaves = _leaves(cr, table, ids[0], ids[-1], ids) if has_seal else None
            portion = Portion(kind, table, len(ids), ids[0], ids[-1], starts, ends, 0, 0, leaves)
            drop_id = self._note(cr, "batch", portion, rule, archive)
            cr.execute("SELECT set_config('api_guard.drop', %s, true)", [str(drop_id)])
            cr.execute(SQL("DELETE FROM %s WHERE %s", name, which))
            if cr.rowcount != len(ids):
                raise UserError(self.env._("Other entries would go than those that were counted."))
        return len(ids)

    @api.model
    def _note(self, cr, way, portion, rule, archive):
        """The row of what goes, and the entry that says so; its id."""
        leaves, seal = portion.leaves, _last_checkpoint(cr)
        cr.execute(
            "INSERT INTO api_audit_drop (kind, way, rule, table_name, starts, ends, entry_count, first_id, last_id,"
            " first_leaf, last_leaf, leaf_map, leaves_hash, checkpoint, size, root, archive, archive_hash)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            [
                portion.kind, way, rule, portion.table, portion.starts, portion.ends, portion.count,
                portion.first_id, portion.last_id, leaves and leaves.first, leaves and leaves.last,
                leaves and Binary(compress(leaves.bits)), leaves and b64encode(leaves.digest).decode(),
                *seal, *archive,
            ],
        )  # fmt: skip
        [drop_id] = cr.fetchone()
        if archive[0]:
            cr.execute("UPDATE api_audit_archive SET is_dropped = true WHERE name = ANY (%s)", [archive[0].split(", ")])
        self.env.registry["api.audit.entry"]._append_event(
            cr.execute, self._name, way, request_id=token_hex(10), record_ids=str(drop_id), record_count=1,
            row_count=portion.count, arguments=_in_words(portion, rule, seal, archive),
        )  # fmt: skip
        return drop_id


def _in_words(portion, rule, seal, archive):
    """What an entry tells of a drop. Data, not a text of the screens: it stays as it is in every language."""
    leaves, (_number, size, root) = portion.leaves, seal
    told = [
        f"rule: {rule}",
        f"class: {portion.kind}",
        f"table: {portion.table}",
        f"entries: {portion.count}",
        f"from: {portion.starts}",
        f"until: {portion.ends}",
        f"ids: {portion.first_id}-{portion.last_id}",
    ]
    if leaves:
        told += [f"leaves: {leaves.first}-{leaves.last}", f"leaves_hash: {b64encode(leaves.digest).decode()}"]
    if root:
        told += [f"size: {size}", f"root: {root}"]
    if archive[0]:
        told += [f"archive: {archive[0]}", f"archive_hash: {archive[1]}"]
    return "\n".join(told)


def _has_table(cr, name):
    cr.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    return cr.fetchone()[0]


def _horizon(cr):
    cr.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
    return int(cr.fetchone()[0])


def _last_hold(cr):
    cr.execute("SELECT COALESCE(max(id), 0) FROM api_audit_hold")
    return cr.fetchone()[0]


def _last_checkpoint(cr):
    """(number, size, root) of the last checkpoint; nothing where nothing was sealed."""
    if _has_table(cr, "api_audit_checkpoint"):
        cr.execute("SELECT number, size, root FROM api_audit_checkpoint ORDER BY number DESC LIMIT 1")
        if row := cr.fetchone():
            return row
    return None, None, None


def _leaves(cr, table, first_id, last_id, ids=None):
    """The leaves of a table's entries, or of those with `ids`; read a tile at a time."""
    ours = SQL("unnest(%s) e (id)", ids) if ids is not None else SQL("%s e", SQL.identifier(table))
    # tiles are joined last: eight kilobytes are not sorted along with each entry
    query = SQL(
        "SELECT ours.number, ours.places, t.hashes FROM ("
        "SELECT b.number, array_agg(u.place - 1 ORDER BY u.place) AS places FROM api_audit_leaf_block b"
        " CROSS JOIN unnest(b.entry_ids) WITH ORDINALITY u (id, place) JOIN %s ON e.id = u.id"
        " WHERE b.span && int8range(%s, %s, '[]') GROUP BY b.number"
        ") ours JOIN api_audit_tile t ON t.level = 0 AND t.number = ours.number ORDER BY ours.number",
        ours, first_id, last_id,
    )  # fmt: skip
    digest, bits, first, last, count = sha256(), bytearray(), None, None, 0
    with cr._cnx.cursor("api_guard_leaves") as stream:
        stream.itersize = 200
        stream.execute(query.code, query.params)
        for number, places, hashes in stream:
            tile = bytes(hashes)
            for place in places:
                last = number * _TILE + place
                first = last if first is None else first
                digest.update(tile[place * _HASH : (place + 1) * _HASH])
                at = last - first
                bits.extend(bytes((at >> 3) + 1 - len(bits)))
                bits[at >> 3] |= 1 << (at & 7)
            count += len(places)
    return Leaves(first, last, count, bytes(bits), digest.digest())
