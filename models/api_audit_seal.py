"""Which entries are in the tree, and which come next?

Calls are not chained: that would have all workers wait for one another. They write their
entries, and this seals them a moment later, in the order in which it finds them.

An entry is settled when every transaction older than its own is over (`xid` below the snapshot's
xmin): no other will ever come to lie before it. Each run reads what lies beyond its persistent
position in the order (xid, id), seals what it sees there, settled or not, and moves the position
no further than what is settled. So an entry whose transaction commits late is found late, and
never passed over, and a long transaction delays nobody else's.

    seal = env["api.audit.seal"]
    seal._seal()          the next entries, in this transaction: (how many, whether there are more)
    seal._tile(0, 7)      for core.merkle
    seal._leaves(ids)     {entry id: leaf}

Numbers of transactions belong to a cluster of PostgreSQL. In a dump that was read into another
one they may lie ahead of whatever is written there: the log is then gone through once from its
beginning, and the leaf blocks tell what was sealed before.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import chain

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL, file_open
from psycopg2 import Binary
from psycopg2.errors import InsufficientPrivilege, LockNotAvailable, SerializationFailure

from ..core import merkle
from ..core.alert import Signal
from ..core.canonical import leaf
from ..core.checkpoint import Checkpoint, sign
from .vault import VaultUnreadable

CHUNK = 50_000  # entries of one transaction
_KEYS = 250_000  # looked through at a time for those that came late
_FETCH = 1_000  # rows in memory
_END = (2**64 - 1, 2**63 - 1)  # beyond every (xid, id)
_START = (0, 0)
_BETWEEN = "(xid, id) > (%s::text::xid8, %s) AND (xid, id) <= (%s::text::xid8, %s)"

# A float is read with all its digits, whatever the role's settings are: else its text would be another
_LOCK = """
    SELECT origin::text, size, xid::text, entry_id, reached_xid::text, reached_id, system_identifier,
           resume_xid::text, restored_id, note, set_config('extra_float_digits', '1', true),
           pg_snapshot_xmin(pg_current_snapshot())::text,
           GREATEST(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id())::text,
           clock_timestamp() AT TIME ZONE 'utc'
      FROM api_audit_seal WHERE id = 1 FOR UPDATE NOWAIT
"""


@dataclass(frozen=True)
class State:
    """How far the log is sealed, and what this transaction sees. Positions are (xid, id)."""

    origin: str
    size: int
    position: tuple
    reached: tuple
    system: int | None
    resume: int | None
    restored_id: int
    note: str | None
    horizon: int  # below it, every transaction is over
    end: int  # from it on, none is seen, but for what lies there since the log was moved
    now: datetime


class ApiAuditSeal(models.AbstractModel):
    _name = "api.audit.seal"
    _description = "API Guard: sealing of the audit log"

    def init(self):
        with file_open("api_guard/models/sql/audit_seal.sql") as file:
            self.env.cr.execute(file.read())

    @api.model
    def _drop_tables(self):
        """What Odoo does not drop."""
        self.env.cr.execute("""
            DROP TABLE IF EXISTS api_audit_seal, api_audit_tile, api_audit_leaf_block, api_audit_checkpoint CASCADE;
            DROP FUNCTION IF EXISTS api_guard_grows_only() CASCADE;
        """)

    # -------------------------------------------------------------------- seal

    @api.model
    def _cron_seal(self):
        """Seal what there is, for as long as the cron may run; each chunk is committed."""
        behind, seconds = True, float("inf")
        while behind and seconds > 0:
            count, behind = self._seal()
            seconds = self.env["ir.cron"]._commit_progress(max(count, int(behind)), remaining=int(behind))

    @api.model
    def _seal(self, limit=CHUNK):
        """Seal the next entries, in this transaction: how many, and whether there are more.

        (0, False) also where another is sealing: that one goes on to the end.
        """
        state = self._lock()
        if state is None:
            return 0, False
        state = self._notice_move(state)
        late, fresh, state, behind = self._next(state, limit)
        ids, hashes, traffic = [], [], self.env["api.audit.rollup"]._tally()
        for entry in chain(self._read_each(late), self._read_all(fresh)):
            ids.append(entry["id"])
            hashes.append(merkle.leaf_hash(leaf(entry)))
            traffic.add(entry)
        traffic.store()
        self._grow(state.size, ids, hashes)
        state = replace(state, size=state.size + len(ids))
        signed = self._checkpoint(state, state.note)
        self._save(replace(state, note=None) if signed else state)
        return len(ids), behind

    @api.model
    def _lock(self):
        """What is sealed, locked against others until the end of this transaction; None: another has it."""
        try:
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute(_LOCK, log_exceptions=False)
                row = self.env.cr.fetchone()
        except (LockNotAvailable, SerializationFailure):
            return None
        origin, size, xid, entry_id, reached_xid, reached_id, system, resume, restored_id, note, *seen = row
        _digits, horizon, end, now = seen
        return State(
            origin, size, (int(xid), entry_id), (int(reached_xid), reached_id), system, resume and int(resume),
            restored_id, note, int(horizon), int(end) + 1, now.replace(tzinfo=timezone.utc),
        )  # fmt: skip

    @api.model
    def _save(self, state):
        self.env.cr.execute(
            "UPDATE api_audit_seal SET size = %s, xid = %s::text::xid8, entry_id = %s,"
            " reached_xid = %s::text::xid8, reached_id = %s, system_identifier = %s, resume_xid = %s::text::xid8,"
            " restored_id = %s, note = %s, sealed_at = %s WHERE id = 1",
            [
                state.size, *state.position, *state.reached, state.system, state.resume, state.restored_id,
                state.note, state.now.replace(tzinfo=None),
            ],
        )  # fmt: skip

    @api.model
    def _notice_move(self, state):
        """The state from which to go on, where this cluster is another one than at the last run."""
        system = self._system_identifier()
        moved = state.system is not None and system is not None and system != state.system
        if moved or (state.horizon < state.position[0] and state.resume is None):
            state = replace(state, position=_START, reached=_END, resume=state.horizon, note="restored")
        return replace(state, system=system)

    @api.model
    def _system_identifier(self):
        try:
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute("SELECT system_identifier FROM pg_control_system()", log_exceptions=False)
                return self.env.cr.fetchone()[0]
        except InsufficientPrivilege:  # some hosters do not let us; then lower numbers are noticed all the same
            return None

    # ------------------------------------------------------- which come next

    @api.model
    def _next(self, state, limit):
        """The next entries, at most `limit`, as (xid, id): those that came late, those that follow; the state after
        them; whether there are more."""
        late, at, behind = self._late(state, limit)
        if state.resume is not None:
            return late, [], self._gone_through(state, at, behind), behind
        fresh = [] if behind else self._fresh(state, limit - len(late))
        if fresh:
            at = fresh[-1]
        if not behind and not (behind := len(fresh) == limit - len(late)):
            at = (state.end, 0)
        position = max(state.position, min(at, (state.horizon, 0)))
        reached = max(state.reached, position, *fresh[-1:])
        fresh = self._unsealed_of_move(state, fresh)
        return late, fresh, replace(state, position=position, reached=reached), behind

    @api.model
    def _late(self, state, limit):
        """Of what lies where entries were sealed before, those that were not; how far that was looked through; whether
        there is more of it."""
        late, at = [], state.position
        while at < state.reached:
            keys = self._keys(SQL(_BETWEEN, *at, *state.reached), _KEYS)
            late += self._unsealed(keys)
            if len(late) >= limit:
                return late[:limit], late[limit - 1], True
            at = keys[-1] if len(keys) == _KEYS else state.reached
            if state.resume is not None:  # through the whole log: a part at a time
                break
        return late, at, at < state.reached

    @api.model
    def _fresh(self, state, limit):
        """What lies beyond."""
        place = max(state.position, state.reached)
        return self._keys(SQL("(xid, id) > (%s::text::xid8, %s) AND xid < %s::text::xid8", *place, state.end), limit)

    @api.model
    def _gone_through(self, state, at, behind):
        """The state while the log of another cluster is gone through, and after.

        What was written here meanwhile has numbers from `resume` on, and is looked for from there.
        """
        if behind:
            return replace(state, position=at)
        self.env.cr.execute("SELECT COALESCE(max(id), 0) FROM api_audit_entry")
        [restored_id] = self.env.cr.fetchone()
        return replace(
            state, position=(state.resume, 0), reached=(state.end, 0), resume=None, restored_id=restored_id
        )  # fmt: skip

    @api.model
    def _unsealed_of_move(self, state, keys):
        """The same without what came along from another cluster, whose numbers this one has reached by now."""
        moved = [key for key in keys if key[1] <= state.restored_id]
        if not moved:
            return keys
        sealed = set(moved) - set(self._unsealed(moved))
        return [key for key in keys if key not in sealed]

    @api.model
    def _keys(self, where, limit):
        rows = self.env.execute_query(
            SQL("SELECT xid::text, id FROM api_audit_entry WHERE %s ORDER BY xid, id LIMIT %s", where, limit)
        )
        return [(int(xid), entry_id) for xid, entry_id in rows]

    @api.model
    def _unsealed(self, keys):
        sealed = self._sealed([entry_id for _xid, entry_id in keys])
        return [key for key in keys if key[1] not in sealed]

    @api.model
    def _sealed(self, ids):
        """Which of these entries are in the tree, and maybe others beside them."""
        if not ids:
            return set()
        rows = self.env.execute_query(
            SQL(
                "SELECT entry_id FROM api_audit_leaf_block, unnest(entry_ids) entry_id"
                " WHERE span && int8range(%(first)s, %(last)s, '[]') AND entry_id BETWEEN %(first)s AND %(last)s",
                first=min(ids), last=max(ids),
            )
        )  # fmt: skip
        return {entry_id for (entry_id,) in rows}

    @api.model
    def _read_each(self, keys):
        return self._entries_of([entry_id for _xid, entry_id in keys]) if keys else ()

    @api.model
    def _entries_of(self, ids):
        """These entries in order, as dicts of all columns."""
        return self._entries(SQL("id = ANY(%s)", list(ids)))

    @api.model
    def _read_all(self, keys):
        """The entries of keys between which there are no others, or hardly any: by one walk along the index."""
        if not keys:
            return ()
        wanted = set(keys)
        (first_xid, first_id), last = keys[0], keys[-1]
        entries = self._entries(SQL(_BETWEEN, first_xid, first_id - 1, *last))
        return (entry for entry in entries if (int(entry["xid"]), entry["id"]) in wanted)

    @api.model
    def _entries(self, where):
        """Entries as dicts of all columns that the table has, in order, a part of them at a time in memory.

        Not those that the model names: a later version may know fewer.
        """
        with self.env.cr._cnx.cursor("api_guard_entries") as cursor:
            cursor.itersize = _FETCH
            query = SQL("SELECT * FROM api_audit_entry WHERE %s ORDER BY xid, id", where)
            cursor.execute(query.code, query.params)
            names = None
            for row in cursor:
                names = names or [column.name for column in cursor.description]
                yield dict(zip(names, row, strict=True))

    # -------------------------------------------------------------------- tree

    @api.model
    def _tile(self, level, number):
        """The hashes of a tile, for core.merkle; empty: there is none."""
        self.env.cr.execute("SELECT hashes FROM api_audit_tile WHERE level = %s AND number = %s", [level, number])
        row = self.env.cr.fetchone()
        return bytes(row[0]) if row else b""

    @api.model
    def _leaves(self, ids):
        """Which leaves are these entries? {entry id: number of the leaf, from 0}; without those that are none yet."""
        rows = self.env.execute_query(
            SQL(
                "SELECT asked.id, block.number, array_position(block.entry_ids, asked.id)"
                "  FROM unnest(%s::bigint[]) AS asked (id)"
                "  JOIN api_audit_leaf_block block ON block.span @> asked.id AND asked.id = ANY(block.entry_ids)"
                " ORDER BY block.number DESC",
                list(ids),
            )
        )  # fmt: skip
        return {entry_id: number * merkle.TILE + place - 1 for entry_id, number, place in rows}

    @api.model
    def _grow(self, size, ids, hashes):
        """Append these leaves to the tree of `size`."""
        if not ids:
            return
        tiles = merkle.append(size, self._tile, hashes)
        self.env.cr.execute_values(
            "INSERT INTO api_audit_tile (level, number, hashes) VALUES %s"
            " ON CONFLICT (level, number) DO UPDATE SET hashes = EXCLUDED.hashes",
            [(level, number, Binary(content)) for (level, number), content in tiles.items()],
        )
        self.env.cr.execute_values(
            "INSERT INTO api_audit_leaf_block AS block (number, entry_ids, span) VALUES %s"
            " ON CONFLICT (number) DO UPDATE SET entry_ids = block.entry_ids || EXCLUDED.entry_ids,"
            " span = range_merge(block.span, EXCLUDED.span)",
            [(number, part, min(part), max(part)) for number, part in _blocks(size, ids)],
            template="(%s, %s::bigint[], int8range(%s, %s, '[]'))",
        )

    @api.model
    def _checkpoint(self, state, note=None, next_key=None):
        """Say in public how far the log is sealed; False: there is nothing new, or no key to sign it with.

        Without a key, sealing goes on: the first checkpoint after its return stands for all of it.
        """
        last = self.env["api.audit.checkpoint"]._last()
        if (last.size if last else 0) == state.size and not note and not next_key:
            return False
        keys = self.env["api.audit.key"]
        try:
            with self.env.cr.savepoint(flush=False):
                key = keys._current() or keys._make()
                private = key._private()
        except VaultUnreadable as error:
            self.env["api.alert"]._raise(self.env.cr, Signal.LOG_UNSIGNED, detail=error.problem.value)
            return False
        self._sign(state, last, key, private, note, next_key)
        return True

    @api.model
    def _sign(self, state, last, key, private, note, next_key=None):
        checkpoint = Checkpoint(
            origin=state.origin,
            number=(last.number if last else 0) + 1,
            size=state.size,
            root=merkle.root_at(state.size, self._tile),
            time=state.now,
            key=key.key_id,
            previous=last._digest() if last else None,
            next_key=next_key,
            note=note,
        )
        self.env["api.audit.checkpoint"]._append(checkpoint, sign(private, checkpoint))

    # -------------------------------------------------------------------- keys

    @api.model
    def _rotate(self):
        """Let another key sign what comes; the old one signs that. Raises VaultUnreadable."""
        state, keys = self._lock_now(), self.env["api.audit.key"]
        old = keys._current()
        new = keys._make()
        if old:
            last = self.env["api.audit.checkpoint"]._last()
            self._sign(state, last, old, old._private(), state.note, next_key=new._public())
            old._retire()
            self._save(replace(state, note=None))

    @api.model
    def _start_anew(self):
        """Let another key sign, where the old one is lost and cannot say so. Raises VaultUnreadable."""
        state, keys = self._lock_now(), self.env["api.audit.key"]
        keys._current()._retire()
        new = keys._make()
        self._sign(state, self.env["api.audit.checkpoint"]._last(), new, new._private(), "key lost")

    @api.model
    def _can_sign(self):
        """Is there a key, and does it open?"""
        key = self.env["api.audit.key"]._current()
        try:
            return bool(key and key._private())
        except VaultUnreadable:
            return False

    @api.model
    def _lock_now(self):
        state = self._lock()
        if state is None:
            raise UserError(self.env._("The log is being sealed right now. Try again in a moment."))
        return state


def _blocks(size, ids):
    """The leaf blocks that these ids belong into, after the first `size`: (number, ids)."""
    start = 0
    while start < len(ids):
        number, filled = divmod(size + start, merkle.TILE)
        part = ids[start : start + merkle.TILE - filled]
        yield number, part
        start += len(part)
