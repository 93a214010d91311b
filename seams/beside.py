"""A connection beside the business one, for what is read and written apart from the call's transaction.

Odoo empties a pooled connection each time it lends it (`DISCARD ALL`), so that
PostgreSQL plans everything anew: that doubles the time to identify a caller.
These connections stay as they are. They commit each statement by itself, so that
one statement is one round trip, always sees what is committed now, and always
goes to the primary. No rollback or lock of a call reaches what is written here.

They are asynchronous to psycopg2: a statement can be on its way (`send`) while Odoo
ends the call, and is waited for (`settle`) before the answer goes out.
"""

import contextlib
import os
import select
import threading
import time
from collections import OrderedDict

import psycopg2
import psycopg2.extensions
from odoo.sql_db import connection_info_for
from odoo.tools import SQL
from psycopg2 import errors

MAX_IDLE = 8  # connections kept open by a process that serves many databases
MAX_IDLE_SECONDS = 600.0

_CONNECTION_OK = 0  # libpq's; psycopg2 has no name for it

_lock = threading.Lock()
_idle = OrderedDict()  # (process, database) → (connection, when it was given back); one for each


class Planned(str):
    """A statement that is worth planning once for each connection beside; a plain cursor runs it as it is.

    `again`: what takes its place, with the same parameters, where the connection was lost while it ran, and nobody
    can tell whether it was done. None: itself.
    """

    __slots__ = ("again",)

    def __new__(cls, text, again=None):
        statement = super().__new__(cls, text)
        statement.again = again
        return statement


class TimedOut(psycopg2.Error):
    """PostgreSQL did not answer in the time that there was."""


class _Connection(psycopg2.extensions.connection):
    """`prepared`: the statements that the server knows by name on this connection."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.prepared = {}


class Beside:
    """The part of a cursor that is needed here. `execute` commits."""

    _prepares = True  # False where a pooler lends each statement another connection

    def __init__(self, database):
        self._database = database
        self._connection = _take(database)
        self._cursor = self._connection.cursor()
        self._sent = None  # the statement that is on its way, and its parameters

    @property
    def connection(self):
        """What serves it at this moment: another one as soon as this is lost."""
        return self._connection

    def execute(self, query, params=None, timeout=None):
        """Run one statement. `timeout`: the seconds to wait for it at most, or TimedOut is raised."""
        self.send(query, params, timeout)
        self.settle(timeout)

    def send(self, query, params=None, timeout=None):
        """Start one statement; `settle` ends it. `timeout`: of what has to be waited for before that."""
        if isinstance(query, SQL):
            # Odoo builds its question for changes anew each time, but always the same
            query, params = query.code if query.params else Planned(query.code), query.params
        _count_query()
        self._sent = query, params or None
        try:
            self._start(*self._sent, timeout)
        except psycopg2.OperationalError:
            if not _is_lost(self._connection):
                raise
            self._start_anew(timeout)

    def settle(self, timeout=None):
        """Wait for the statement that was sent, if there is one."""
        if self._sent is None:
            return
        try:
            self._wait(timeout)
        except psycopg2.Error:  # an answer too
            self._sent = None
            raise
        self._sent = None

    def _wait(self, timeout=None):
        try:
            _wait(self._connection, timeout)
        except errors.InvalidSqlStatementName:
            Beside._prepares = False
            self._start(*self._sent, timeout)
            _wait(self._connection, timeout)
        except psycopg2.OperationalError:
            if not _is_lost(self._connection):
                raise
            self._start_anew(timeout)
            _wait(self._connection, timeout)

    def _start_anew(self, timeout=None):
        """A connection that was lost is replaced; if it was idle, as most are, the statement never arrived."""
        query, params = self._sent
        self._sent = getattr(query, "again", None) or query, params
        self._connection.close()
        self._connection = _connect(self._database)
        self._cursor = self._connection.cursor()
        self._start(*self._sent, timeout)

    def _start(self, query, params, timeout=None):
        if Beside._prepares and isinstance(query, Planned):
            try:
                query = self._prepared(query, len(params or ()), timeout)
            except errors.DuplicatePreparedStatement:
                Beside._prepares = False
        self._cursor.execute(query, params)

    def _prepared(self, query, count, timeout=None):
        """The statement that executes `query`, which has `count` parameters, by the name that this connection knows."""
        prepared = self._connection.prepared
        if query not in prepared:
            name = f"api_guard_{len(prepared)}"
            numbered = query % tuple(f"${n}" for n in range(1, count + 1)) if count else query
            self._cursor.execute(f"PREPARE {name} AS {numbered}")
            _wait(self._connection, timeout)
            prepared[query] = f"EXECUTE {name}" + (f" ({', '.join(['%s'] * count)})" if count else "")
        return prepared[query]

    def fetchone(self):
        return self._cursor.fetchone()

    def dictfetchall(self):
        names = [column.name for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]

    def close(self):
        if self._sent is not None:  # nobody waited for it: whoever took this connection would meet its end
            self._connection.close()
        self._cursor.close()
        _give_back(self._database, self._connection)


@contextlib.contextmanager
def beside(registry):
    """A cursor apart from any business transaction of `registry`'s database; every statement commits by itself."""
    if "cursor" in vars(registry):  # Odoo's tests replaced it: their data is in a transaction that never commits
        with _test_cursor(registry) as cr:
            yield cr
        return
    with contextlib.closing(Beside(registry.db_name)) as cr:
        yield cr


def held(registry):
    """The same, kept until its holder closes it; None in Odoo's tests."""
    return None if "cursor" in vars(registry) else Beside(registry.db_name)


def _test_cursor(registry):
    try:
        return registry.cursor()
    except Exception:  # a plain one, where the request's own cursor only reads
        return registry.cursor(readonly=True)


def _connect(database):
    connection = psycopg2.connect(**connection_info_for(database)[1], connection_factory=_Connection, async_=True)
    _wait(connection)
    return connection


def _is_lost(connection):
    return connection.closed or connection.info.status != _CONNECTION_OK


def _wait(connection, timeout=None):
    """Until what was asked of `connection` is done. Raises its error; TimedOut after `timeout` seconds, and closes it.

    What was asked may be done all the same, later.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection, select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not poller.poll(left) and deadline is not None and time.monotonic() >= deadline:
            connection.close()
            raise TimedOut(f"no answer in {timeout} s")


def _take(database):
    with _lock:  # by process: a forked worker uses none of its parent's
        connection, _since = _idle.pop((os.getpid(), database), (None, 0.0))
    return _connect(database) if connection is None or connection.closed else connection


def _give_back(database, connection):
    now = time.monotonic()
    with _lock:
        if not connection.closed:
            _idle.setdefault((os.getpid(), database), (connection, now))
            _idle.move_to_end((os.getpid(), database))
        kept = _idle.get((os.getpid(), database), (None,))[0]
        ended = [] if kept is connection else [connection]
        while _idle:
            slot, (oldest, since) = next(iter(_idle.items()))
            if len(_idle) <= MAX_IDLE and now - since < MAX_IDLE_SECONDS:
                break
            del _idle[slot]
            ended += [oldest] if slot[0] == os.getpid() else []
    for connection in ended:
        connection.close()


def _count_query():
    thread = threading.current_thread()
    if hasattr(thread, "query_count"):  # Odoo's access line and our entry tell how many there were
        thread.query_count += 1
