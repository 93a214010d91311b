"""How does a test start a real Odoo, with workers, and end it again?

    from dev.harness import Server, create_db, psql, shell

    create_db("guarded", ["api_guard", "contacts"])
    with Server("guarded", workers=2) as server:
        xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/common").version()
        server.pids()      # of the HTTP workers
        server.log()       # what Odoo logged so far

Used by `tests/server`, the demo and the benchmarks; knows nothing of the addon. It ends no
process but those that it started.
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import setup
from .databases import copy_db, create_db, drop_db, list_dbs, psql, shell
from .layout import LOG, make_folders

__all__ = [
    "Server", "ServerFailed", "copy_db", "create_db", "drop_db", "free_port", "list_dbs", "psql",
    "shell",
]

_numbers = itertools.count(1)


class ServerFailed(Exception):
    """Odoo did not come up; the message ends with the last lines of its log."""


def free_port():
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """An Odoo of this environment in a process group of its own.

    `db` is one name, several, or None for whatever `dbfilter` lets through. `load` are the
    server-wide modules. With `gevent` it is ready only when the evented worker answers, too
    (4 s later). `cron` is the number of cron workers. `extra` are further arguments,
    `environment` further variables.
    """

    def __init__(
        self, db=None, *, dbfilter=None, load=("base", "rpc", "web"), workers=2, gevent=True,
        cron=0, port=None, extra=(), environment=None,
    ):
        self.port, self.gevent_port = port or free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.gevent_url = f"http://127.0.0.1:{self.gevent_port}"
        self.log_path = LOG / f"server-{os.getpid()}-{next(_numbers)}.log"
        self.workers = workers
        self.waits_for_gevent = gevent and workers > 0
        self.environment = environment or {}
        self.arguments = [
            *_option("--database", db), *_option("--db-filter", dbfilter),
            *_option("--load", load), f"--workers={workers}", f"--max-cron-threads={cron}",
            f"--http-port={self.port}", f"--gevent-port={self.gevent_port}", *extra,
        ]
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_exception):
        self.stop()

    def start(self, timeout=60):
        """Start Odoo and return when it answers."""
        make_folders()
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                setup.odoo_command(*self.arguments), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                env={**setup.odoo_environment(), **self.environment},
            )
        try:
            self._wait(timeout)
        except BaseException:  # Ctrl-C included: whoever failed to start must not stay
            self.stop()
            raise
        return self

    def stop(self, timeout=1):
        """End Odoo: politely for `timeout` seconds, then the whole group by force.

        An idle worker takes up to 4 s to notice a polite request, and tests seldom need that.
        Fine when Odoo has ended already.
        """
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
        # The evented worker is a process of its own and outlives a master that was killed.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def pids(self):
        """Return the process ids of the HTTP workers; without workers, of the server itself."""
        if not self.workers:
            return [self.process.pid]
        children = _children(self.process.pid)
        return [pid for pid in children if "gevent" not in _command_line(pid)]

    def gevent_pid(self):
        """Return the process id of the evented worker, None when there is none."""
        children = _children(self.process.pid)
        return next((pid for pid in children if "gevent" in _command_line(pid)), None)

    def log(self):
        """Return what Odoo has logged so far."""
        return self.log_path.read_text(errors="replace")

    def _wait(self, timeout):
        urls = [self.url, *([self.gevent_url] if self.waits_for_gevent else [])]
        deadline = time.monotonic() + timeout
        while not all(map(_is_healthy, urls)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(self.log().splitlines()[-30:])
                raise ServerFailed(f"Odoo is not up ({self.log_path}):\n{tail}")
            time.sleep(0.1)


def _option(name, value):
    if value is None:
        return []
    return [f"{name}={value if isinstance(value, str) else ','.join(value)}"]


def _is_healthy(url):
    try:
        with urllib.request.urlopen(f"{url}/web/health", timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def _children(parent):
    return [pid for pid in _all_pids() if _parent(pid) == parent]


def _all_pids():
    return sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _parent(pid):
    with contextlib.suppress(OSError):
        # The name in parentheses may hold anything, so the fields are counted from its end.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def _command_line(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []
