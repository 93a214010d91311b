"""Limits and lockouts in the database that they are for: the default, which needs no other server.

Unlogged tables and functions that do all of a call's counters in one round trip
(stores/sql/counters.sql), on a connection of its own that commits each statement.
"""

import contextlib
import time
from functools import partial

import psycopg2
from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage
from odoo.tools import file_open

from ..core.limit import Sort, Standing
from ..seams.beside import Planned
from .store import TIMEOUT, Request, Store, StoreDown, Taken, digest

_TAKE = Planned("SELECT * FROM api_guard_take(%s, %s, %s, %s, %s, %s, %s, %s)")
# Functions all of them: a table that is locked is met when they run, where they have a time to wait, and not before
_LOAD = Planned("SELECT id::text, state, api_guard_now() AS now FROM api_guard_load(%s)")
_SWAP = Planned("SELECT api_guard_swap(%s, %s, %s, %s) AS done")
_RELEASE = Planned("SELECT api_guard_release(%s, %s)")
_HOLDERS = Planned("SELECT api_guard_holders(%s) AS holder")
_INCREMENT = """
    INSERT INTO api_guard_counter AS c (id, taken, expires_at) VALUES (%s, %s, api_guard_now() + %s)
        ON CONFLICT (id) DO UPDATE
       SET taken = CASE WHEN c.expires_at > api_guard_now() THEN c.taken ELSE 0 END + EXCLUDED.taken,
           expires_at = CASE WHEN c.expires_at > api_guard_now() THEN c.expires_at ELSE EXCLUDED.expires_at END
    RETURNING taken
"""
_GET = "SELECT taken, expires_at FROM api_guard_counter WHERE id = %s::uuid AND expires_at > api_guard_now()"
_TABLES = ("api_guard_counter", "api_guard_moment", "api_guard_lease", "api_guard_lockout")


def create(cr):
    """The tables and functions; idempotent."""
    drop_functions(cr)
    with file_open("api_guard/stores/sql/counters.sql") as source:
        cr.execute(source.read())


def drop_functions(cr):
    cr.execute("SELECT to_regclass('api_guard_counter') IS NOT NULL")
    if cr.fetchone()[0]:  # some take a row of it
        cr.execute("""
            DROP FUNCTION IF EXISTS api_guard_oldest(api_guard_counter, bigint, double precision, double precision);
            DROP FUNCTION IF EXISTS api_guard_put(api_guard_counter, uuid, text, bigint, double precision, bigint, text,
                                                  double precision);
        """)
    cr.execute("""
        DROP FUNCTION IF EXISTS api_guard_take(uuid[], text[], bigint[], double precision[], bigint[], boolean[],
                                               boolean[], text);
        DROP FUNCTION IF EXISTS api_guard_swap(uuid[], text[], text[], double precision[]);
        DROP FUNCTION IF EXISTS api_guard_sweep(integer);
        DROP FUNCTION IF EXISTS api_guard_load(uuid[]);
        DROP FUNCTION IF EXISTS api_guard_release(uuid[], text);
        DROP FUNCTION IF EXISTS api_guard_holders(uuid);
        DROP FUNCTION IF EXISTS api_guard_now();
    """)


def drop(cr):
    """Leave nothing behind."""
    drop_functions(cr)
    cr.execute("".join(f"DROP TABLE IF EXISTS {table};" for table in _TABLES))


class PostgresStore(Store, Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """`connect()`: a context manager that gives a cursor which commits each statement (seams/beside.py).

    `hold()`: such a cursor until it is closed, or None where there is none to be had.
    """

    STORAGE_SCHEME = ["api-guard-postgresql"]

    def __init__(self, connect, hold=None):
        super().__init__()
        self._connect, self._hold = connect, hold

    @property
    def base_exceptions(self):
        return (psycopg2.Error, StoreDown)

    # ------------------------------------------------------------------- store

    def take(self, requests, holder=""):
        order, parameters = _parameters(requests, holder)
        return _standings(order, self._ask(_TAKE, *parameters))

    def begin(self, requests, holder=""):
        order, parameters = _parameters(requests, holder)
        with _told_down():
            cr = self._hold() if self._hold else None
            if cr is None:
                return Taken(self.take(requests, holder))
            try:
                cr.send(_TAKE, parameters, TIMEOUT)
            except BaseException:
                cr.close()
                raise
        return _OnItsWay(cr, order)

    def release(self, keys, holder):
        self._ask(_RELEASE, _array(map(digest, keys)), holder)

    def holders(self, key):
        return [row["holder"] for row in self._ask(_HOLDERS, str(digest(key)))]

    def load(self, keys):
        names = {str(digest(key)): key for key in keys}
        rows = self._ask(_LOAD, _array(names))
        return rows[0]["now"], {names[row["id"]]: row["state"] for row in rows if row["state"] is not None}

    def swap(self, swaps):
        ordered = sorted(swaps, key=lambda swap: digest(swap.key))
        try:
            [row] = self._ask(
                _SWAP,
                _array(digest(swap.key) for swap in ordered),
                _array(_quoted(swap.known) for swap in ordered),
                _array(_quoted(swap.state) for swap in ordered),
                _array(float(swap.expires) for swap in ordered),
            )
        except StoreDown as error:
            if isinstance(error.__cause__, psycopg2.errors.SerializationFailure):
                return False
            raise
        return row["done"]

    # ------------------------------------------- a storage of the limits library

    def acquire_entry(self, key, limit, expiry, amount=1):
        return self._acquire(Sort.MOVING, key, limit, expiry, amount)

    def get_moving_window(self, key, limit, expiry):
        standing = self._look(Sort.MOVING, key, limit, expiry)
        taken = limit - standing.remaining
        return time.time() - (expiry - standing.wait if taken else 0), taken

    def acquire_sliding_window_entry(self, key, limit, expiry, amount=1):
        return self._acquire(Sort.SLIDING, key, limit, expiry, amount)

    def get_sliding_window(self, key, expiry):
        greatest = 2**40
        standing = self._look(Sort.SLIDING, key, greatest, expiry)
        return 0, 0.0, greatest - standing.remaining, standing.wait

    def clear_sliding_window(self, key, expiry):
        self.clear(key)

    def _acquire(self, sort, key, limit, expiry, amount):
        return amount <= limit and self.take([Request(key, sort, limit, expiry, amount)])[0].admitted

    def _look(self, sort, key, limit, expiry):
        return self.take([Request(key, sort, limit, expiry, cost=0)])[0]

    def incr(self, key, expiry, amount=1):
        return self._ask(_INCREMENT, str(digest(key)), amount, expiry)[0]["taken"]

    def get(self, key):
        rows = self._ask(_GET, str(digest(key)))
        return rows[0]["taken"] if rows else 0

    def get_expiry(self, key):
        rows = self._ask(_GET, str(digest(key)))
        return rows[0]["expires_at"] if rows else time.time()

    def check(self):
        try:
            return bool(self._ask("SELECT 1"))
        except StoreDown:
            return False

    def clear(self, key):
        for table in ("api_guard_moment", "api_guard_counter"):
            self._ask(f"DELETE FROM {table} WHERE id = %s::uuid", str(digest(key)), reads=False)  # noqa: S608

    def reset(self):
        removed = self._ask("SELECT count(*) AS number FROM api_guard_counter")[0]["number"]
        for table in _TABLES:
            self._ask(f"DELETE FROM {table}", reads=False)  # noqa: S608
        return removed

    def _ask(self, query, *parameters, reads=True):
        with _told_down(), self._connect() as cr:
            run = partial(cr.execute, query, parameters)
            run(timeout=TIMEOUT) if hasattr(cr, "settle") else run()
            return cr.dictfetchall() if reads else None


class _OnItsWay(Taken):
    """A statement that was sent on a connection which is held until it has ended."""

    def __init__(self, cr, order):
        self._cr, self._order = cr, order

    def end(self):
        with _told_down(), contextlib.closing(self._cr):
            self._cr.settle(TIMEOUT)
            return _standings(self._order, self._cr.dictfetchall())

    def close(self):
        self._cr.close()


def _parameters(requests, holder):
    """The order in which locks are taken, and what `api_guard_take` is given."""
    order = sorted(range(len(requests)), key=lambda place: digest(requests[place].key))
    chosen = [requests[place] for place in order]
    return order, (
        _array(digest(request.key) for request in chosen),
        _array(request.sort.value for request in chosen),
        _array(request.amount for request in chosen),
        _array(float(request.seconds) for request in chosen),
        _array(request.cost for request in chosen),
        _array(str(request.strict) for request in chosen),
        _array(str(request.forced) for request in chosen),
        holder,
    )


def _standings(order, rows):
    standings = [None] * len(order)
    for place, row in zip(order, rows, strict=True):
        standings[place] = Standing(row["admitted"], row["remaining"], row["wait"])
    return standings


@contextlib.contextmanager
def _told_down():
    try:
        yield
    except (psycopg2.Error, OSError) as error:
        raise StoreDown("PostgreSQL") from error


def _array(values):
    """A PostgreSQL array's text. Its elements are numbers and words of ours, or quoted."""
    return "{" + ",".join(map(str, values)) + "}"


def _quoted(text):
    """`text` as an element. None: NULL."""
    if text is None:
        return "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
