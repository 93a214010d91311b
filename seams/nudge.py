"""Who tells the sealing job that there is something to seal? Whoever wrote it, a moment later, and never on the way.

Odoo's cron looks for work about once a minute and may sleep longer than that. A process that
has written an entry waits for others to follow, then wakes the job, in a thread and with a
connection of its own. It first looks whether the log was sealed meanwhile: of many processes
that have written, one wakes it.
"""

import logging
import os
import threading
import time

from odoo.api import SUPERUSER_ID, Environment
from odoo.modules.registry import Registry

from .beside import beside

_logger = logging.getLogger(__name__)

SECONDS = 20.0  # between an entry and its seal, if others follow
_MARGIN = 2.0  # what was written just before a seal is not in it
_JOB = "api_guard.cron_seal"

_SEALED = "SELECT EXTRACT(EPOCH FROM clock_timestamp() AT TIME ZONE 'utc' - sealed_at)::float FROM api_audit_seal"

_waiting = {}  # database → [when its first unsealed entry was written here, when the last]
_changed = threading.Condition()
_process = None  # the thread does not survive a fork


def note(registry):
    """An entry is being written."""
    if "cursor" in vars(registry):  # Odoo's tests: nothing of theirs is ever committed
        return
    now, written = time.monotonic(), _waiting.get(registry.db_name)
    if written is not None and _process == os.getpid():
        written[1] = now
    else:
        _wait(registry.db_name, now, now)


def _wait(database, first, last):
    global _process
    with _changed:
        if _process != os.getpid():
            _waiting.clear()
            _process = os.getpid()
            threading.Thread(target=_run, name="api_guard.nudge", daemon=True).start()
        written = _waiting.setdefault(database, [first, last])
        written[:] = min(written[0], first), max(written[1], last)
        _changed.notify()


def _run():
    while True:
        database, written = _next()
        try:
            left = _wake(database, written)
        except Exception:  # a minute later the job runs by itself
            _logger.debug("the log of %s could not be looked at", database, exc_info=True)
            left = None
        if left is not None:
            _wait(database, time.monotonic() + left - SECONDS, written[1])


def _next():
    """The database whose time has come, and what was written there."""
    with _changed:
        while True:
            database = min(_waiting, key=lambda name: _waiting[name][0], default=None)
            left = None if database is None else _waiting[database][0] + SECONDS - time.monotonic()
            if left is not None and left <= 0:
                return database, _waiting.pop(database)
            _changed.wait(left)


def _wake(database, written):
    """Wake the job, unless it has just run. The seconds after which to look again; None: all is sealed, or will be."""
    registry = Registry(database)
    with beside(registry) as cr:
        cr.execute(_SEALED)
        [age] = cr.fetchone() or (None,)
    first, last = (time.monotonic() - moment for moment in written)  # so long ago
    if age is not None and age + _MARGIN < last:
        return None
    if age is not None and age + _MARGIN < first and age < SECONDS:
        return SECONDS - age
    with registry.cursor() as cr:
        Environment(cr, SUPERUSER_ID, {}).ref(_JOB)._trigger()
    return None
