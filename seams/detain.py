"""Who is locked out waits for the answer, and no worker waits with him.

A worker of Odoo serves one connection at a time. Whoever guesses as fast as refusals come
back would have all workers busy with refusing. So the answer to one who is told to wait is
laid aside with its connection, and sent by a thread of the worker a moment later: the worker
goes on to the next call at once. Of strangers that are many the surplus is answered at once.
"""

import heapq
import itertools
import logging
import os
import socket
import threading
import time

from odoo.tools import config

from ..core.verdict import Deny, Reason

_logger = logging.getLogger(__name__)
_access = logging.getLogger("werkzeug")

OPTION = "api_guard_detain_seconds"  #: in odoo.conf; 0: answered at once
SECONDS = 2.0
MAX_DETAINED = 200  # connections of one process

_waiting = []  # heap of (when, number, socket, answer)
_changed = threading.Condition()
_numbers = itertools.count()
_process = None  # the thread does not survive a fork


class Detained(ConnectionAbortedError):
    """For the WSGI server: this connection is no longer its to answer."""


def detain(exchange, environ, status, headers, result):
    """`result`, or raise Detained: the connection is taken from the server and answered later."""
    connection, seconds = environ.get("werkzeug.socket"), _seconds()
    if not _is_locked_out(exchange) or connection is None or not seconds or len(_waiting) >= MAX_DETAINED:
        return result
    try:
        body = b"".join(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    _log_access(environ, status)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    answer = f"HTTP/1.0 {status}\r\n{head}Connection: close\r\n\r\n".encode("latin-1")
    # the server's own object is left without a descriptor, so that it cannot close what it does not own any more
    taken = socket.socket(fileno=connection.detach())
    _wait(taken, seconds, answer + (b"" if environ.get("REQUEST_METHOD") == "HEAD" else body))
    raise Detained


def _log_access(environ, status):
    """The line that Odoo's server would write: it does not know of this answer."""
    moment = time.strftime("%d/%b/%Y %H:%M:%S")
    what = (environ.get("REQUEST_METHOD"), _printable(environ.get("PATH_INFO", "")), environ.get("SERVER_PROTOCOL"))
    _access.info('%s - - [%s] "%s %s %s" %s -', environ.get("REMOTE_ADDR"), moment, *what, status[:3])


def _printable(text):
    return text.encode("unicode_escape").decode()


def _seconds():
    try:
        return float(config.get(OPTION, SECONDS))
    except (TypeError, ValueError):
        return SECONDS


def _is_locked_out(exchange):
    deny = exchange.verdict
    return isinstance(deny, Deny) and deny.reason is Reason.TOO_MANY_FAILURES


def _wait(taken, seconds, answer):
    global _process
    with _changed:
        heapq.heappush(_waiting, (time.monotonic() + seconds, next(_numbers), taken, answer))
        if _process != os.getpid():
            _process = os.getpid()
            threading.Thread(target=_send_all, name="api_guard.detain", daemon=True).start()
        _changed.notify()


def _send_all():
    while True:
        with _changed:
            while not _waiting or (left := _waiting[0][0] - time.monotonic()) > 0:
                _changed.wait(left if _waiting else None)
            _when, _number, taken, answer = heapq.heappop(_waiting)
        _send(taken, answer)


def _send(taken, answer):
    """At once, or not: a stranger who does not read holds nobody up."""
    try:
        with taken:
            taken.setblocking(False)
            taken.send(answer)
            taken.shutdown(socket.SHUT_WR)
    except OSError as error:  # gone meanwhile
        _logger.debug("a detained answer was not sent: %s", error)
    except Exception:
        _logger.exception("a detained answer could not be sent")
