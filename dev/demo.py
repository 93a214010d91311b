"""What does a newcomer see of the addon within minutes? `make demo`.

A database with contacts and the addon, real calls through real protocols so that the log has
something to show, a running Odoo with two workers, and calls to paste. Ctrl-C ends all of it.
"""

import hashlib
import json
import os
import signal
import socket
import time

from . import databases, postgres, setup
from .demo_calls import make_calls
from .harness import Server
from .layout import ADDON, DEV, ROOT
from .steps import Stop, say, step

DB = "demo"
STATE = DEV / "demo.json"  # holds secrets: mode 0600
PORTS = range(8069, 8170)
DAY = 86400


def run():
    """Set up, start Odoo, tell how to use it, and wait for Ctrl-C."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    try:
        setup.ensure()
        _serve(_state())
    except KeyboardInterrupt:
        pass
    finally:
        # A second Ctrl-C would leave something running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        postgres.stop_unless_used()
    return 0


# ------------------------------------------------------------------ the database


def _state():
    """Return the demo's secrets, building or updating its database where needed."""
    state = _read_state()
    if not state or DB not in databases.list_dbs() or state["until"] < time.time():
        return _build()
    if state["sources"] != _sources():
        with step("The addon has changed: updating the demo database"):
            databases.odoo("-d", DB, "-u", ADDON, "--no-http", "--stop-after-init",
                           "--max-cron-threads=0", log="update-demo")
        state["sources"] = _sources()
        _write_state(state)
    return state


def _build():
    STATE.unlink(missing_ok=True)
    with step("The database demo: Contacts, demo data and the addon (about a minute)"):
        databases.create_db(DB, [ADDON, "contacts"], demo=True)
    with step("Policies, scopes and keys to play with"):
        printed = databases.shell(DB, (ROOT / "dev" / "demo_data.py").read_text())
    secrets = json.loads(printed.strip().splitlines()[-1])
    state = {"secrets": secrets, "sources": _sources(), "until": time.time() + 80 * DAY}
    _write_state({**state, "called": False})
    return _read_state()


def _sources():
    """Return a string that changes with the addon's code and data."""
    digest = hashlib.sha256()
    for path in sorted(ROOT.rglob("*")):
        kind = path.relative_to(ROOT).parts[0]
        if path.suffix in {".py", ".xml", ".csv", ".sql"} and kind not in {".dev", "dev", "tests"}:
            digest.update(f"{path} {path.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def _read_state():
    return json.loads(STATE.read_text()) if STATE.exists() else None


def _write_state(state):
    fresh = STATE.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(state, file)
    fresh.replace(STATE)


# ------------------------------------------------------------------ the server


def _serve(state):
    port = _free_port()
    server = Server(DB, port=port, workers=2, cron=1, load=("base", "rpc", "web", ADDON))
    try:
        with step("Odoo with two workers"):
            server.start()
        if not state["called"]:
            with step("Calls through JSON-2, XML-RPC and JSON-RPC, for the log"):
                make_calls(server.url, state["secrets"])
            _write_state({**state, "called": True})
        _tell(f"http://localhost:{port}", state["secrets"]["reporting"], server)
        server.process.wait()
        raise Stop(f"Odoo has ended by itself. Its log: {server.log_path}")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop(timeout=5)
        say("\nOdoo stopped.")


def _free_port():
    """Return 8069, or the next port that nobody listens on."""
    port = next(filter(_is_free, PORTS), None)
    if port is None:
        raise Stop(f"No free port from {PORTS[0]} to {PORTS[-1]}.")
    if port != PORTS[0]:
        say(f"  ! Port {PORTS[0]} is in use: taking {port}.")
    return port


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _tell(url, key, server):
    say(f"""
────────────────────────────────────────────────────────────────────────────
  API Guard is running on  {url}
  Log in as  admin / admin  (manager), or  demo / demo  (a user with a key).
  Some calls were made already: see API Guard → Audit Log.
────────────────────────────────────────────────────────────────────────────

Allowed: the key may read contacts.

  curl {url}/json/2/res.partner/search_read \\
    -H 'Authorization: bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{"domain": [], "fields": ["name"], "limit": 3}}'

Refused: it may not change them.

  curl {url}/json/2/res.partner/write \\
    -H 'Authorization: bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{"ids": [1], "vals": {{"name": "Mallory"}}}}'

The same from Python; the second call is refused:

import xmlrpc.client
key = "{key}"
uid = xmlrpc.client.ServerProxy("{url}/xmlrpc/2/common").login("{DB}", "demo", key)
odoo = xmlrpc.client.ServerProxy("{url}/xmlrpc/2/object")
print(odoo.execute_kw("{DB}", uid, key, "res.partner", "search_read", [[], ["name"]], {{"limit": 3}}))
odoo.execute_kw("{DB}", uid, key, "res.partner", "write", [[1], {{"name": "Mallory"}}])

Odoo's log: {server.log_path}
Ctrl-C stops Odoo and PostgreSQL.""")
