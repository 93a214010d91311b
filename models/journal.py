"""What the log took without waiting for the disk, kept beside it until it is there for certain.

PostgreSQL confirms such an entry at once and brings it to the disk within about half a second:
if it crashes meanwhile, the entry is gone. So each process also writes it to a file of its own,
`<data_dir>/api_guard/journal/<host>-<process>-<database>.<0 or 1>`, which the operating system keeps whoever is
killed. Whatever turns out to be missing is written to the log again; only when the whole
machine stops are the entries of the last second lost.

    doubtful = of(database).note(connection, row)    what may be missing: its connection was lost since
    for rows in orphans(database): …                 what processes that ended have left

An entry is certain once its own connection has answered a second later: a crash of PostgreSQL
ends all connections.
"""

import contextlib
import json
import logging
import os
import re
import socket
import threading
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

import psutil
from odoo.tools import config

_logger = logging.getLogger(__name__)

CERTAIN_SECONDS = 1.0  # three times PostgreSQL's wal_writer_delay of 200 ms, and a margin
ROTATE_SECONDS = 5.0

_lock = threading.Lock()
_journals = {}  # (process, database) → Journal


def of(database):
    """The journal of this process for `database`."""
    slot = (os.getpid(), database)
    with _lock:
        if slot not in _journals:
            _journals[slot] = Journal(database)
        return _journals[slot]


class Journal:
    """Two files, of which one is written and the other one emptied when all of it is certain."""

    def __init__(self, database):
        self._lock = threading.Lock()
        name = f"{_owner()}-{quote(database, safe='')}"
        self._paths = [folder() / f"{name}.{number}" for number in (0, 1)]
        self._current, self._file, self._since = 0, None, 0.0
        self._pending = deque()  # (when, connection, file, row): not yet certain
        self._answered = (None, 0.0)  # the connection of the last entry, and when it was noted

    @property
    def is_new(self):
        return self._file is None

    def note(self, connection, row):
        """`row` was written by `connection`. Returns the rows whose connection is lost: they have to be looked for."""
        now = time.monotonic()
        with self._lock:
            doubtful = self._review(connection, now)
            self._append(row, now)
            self._pending.append((now, connection, self._current, row))
            self._answered = connection, now
            return doubtful

    def _review(self, connection, now):
        """Drop what is certain; return what is not and whose time to become so is over."""
        last, when = self._answered
        doubtful = []
        while self._pending and now - self._pending[0][0] > CERTAIN_SECONDS:
            noted, writer, _file, row = self._pending[0]
            if writer is connection and last is connection and noted > when - CERTAIN_SECONDS:
                break  # its connection has not answered since
            self._pending.popleft()
            if writer is not connection or last is not connection:
                doubtful.append(row)
        return doubtful

    def _append(self, row, now):
        try:
            if self._file is None or (now - self._since > ROTATE_SECONDS and self._can_rotate()):
                self._rotate(now)
            os.write(self._file, json.dumps(row, default=_text).encode() + b"\n")
        except OSError:  # as sure as PostgreSQL alone
            _logger.warning("the journal of the audit log cannot be written: %s", self._paths[self._current])

    def _can_rotate(self):
        return all(file == self._current for _when, _connection, file, _row in self._pending)

    def _rotate(self, now):
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 1 - self._current
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._paths[number], flags, 0o600)
        if self._file is not None:
            os.close(self._file)
        self._file, self._current, self._since = descriptor, number, now


def orphans(database):
    """The rows that ended processes of this host have left for `database`; their files go when they were taken.

    Yields lists of rows. Of several processes that look, one gets a file.
    """
    with contextlib.suppress(OSError):
        for path in sorted(folder().iterdir()):
            owner = _OWNER.fullmatch(path.name)
            if owner is None or unquote(owner["database"]) != database or _lives(owner):
                continue
            claimed = path.with_name(f"claimed-{os.getpid()}-{owner['name']}")
            with contextlib.suppress(FileNotFoundError):
                path.rename(claimed)
                yield list(_read(claimed))
                claimed.unlink()


def folder():
    return Path(config["data_dir"], "api_guard", "journal")


_OWNER = re.compile(
    r"(?:claimed-(?P<claimer>\d+)-)?(?P<name>(?P<host>[^-]+)-(?P<pid>\d+)-(?P<born>\d+)-(?P<database>.+)\.[01])"
)


def _owner():
    return f"{_host()}-{os.getpid()}-{_born(os.getpid())}"


def _host():
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())


def _born(pid):
    return int(psutil.Process(pid).create_time() * 100)


def _is_running(pid):
    # one that was killed and that nobody has waited for keeps its number
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _lives(owner):
    """Is the process still there? One of another host counts as such: its journal is its own."""
    if owner["host"] != _host():
        return True
    try:
        if owner["claimer"]:  # whoever claimed it may have been killed as well
            return _is_running(int(owner["claimer"]))
        return _is_running(int(owner["pid"])) and _born(int(owner["pid"])) == int(owner["born"])
    except psutil.Error:
        return False


def _read(path):
    """The rows of a file; the last one may be torn."""
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def _text(value):
    return value.isoformat() if isinstance(value, datetime) else str(value)
