"""Which Odoos are compared? The same one three times, each with a database and a server of its own.

What is common to all three databases is prepared once per Odoo and copied; the addon itself is
installed afresh for each run. Everything else is gone when the run ends, however it ends.
"""

import contextlib
import hashlib
import http.client
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .. import databases, odoo_tree
from ..harness import Server
from ..layout import ADDON
from ..steps import Stop, alone, step
from . import auditlog

STOCK, GUARD, AUDITLOG = "stock", ADDON, "auditlog"
VARIANTS = (STOCK, GUARD, AUDITLOG)
WORKERS = 2
LOGIN, PASSWORD = "bench", "bench-password"  # of databases that live for minutes

HERE = Path(__file__).parent
MODULES = ("base_setup", "mail", "rpc", "web")  # what the addon needs, so that the addon is all that differs


@dataclass
class Variant:
    """An Odoo that is measured. `facts`: its keys and record ids, as `fill_variant.py` prints them."""

    name: str
    database: str
    server: Server
    facts: dict = field(default_factory=dict, repr=False)
    cookie: str = field(default="", repr=False)

    @property
    def port(self):
        return self.server.port


@contextlib.contextmanager
def running(names=VARIANTS, *, first_keys=0, workers=WORKERS):
    """Yield the variants, their servers up and a web session open; leave nothing of them behind."""
    with contextlib.ExitStack() as stack:
        with step(f"Databases and servers: {', '.join(names)}"), ThreadPoolExecutor(len(names)) as pool:
            _templates(names)
            made = [Variant(name, f"bench_{name}_{os.getpid()}", _server(name, workers)) for name in names]
            list(pool.map(lambda variant: _set_up(variant, stack, first_keys), made))
        yield made


def _set_up(variant, stack, first_keys):
    stack.callback(databases.drop_db, variant.database)
    variant.facts = _fill(variant, first_keys)
    stack.enter_context(variant.server)
    variant.cookie = _log_in(variant)


def count_entries(variant):
    """How many lines of audit has this variant written? None: it keeps no audit."""
    table = {GUARD: "api_audit_entry", AUDITLOG: "auditlog_log"}.get(variant.name)
    return table and int(databases.psql(variant.database, f"SELECT count(*) FROM {table}"))  # noqa: S608


# ---------------------------------------------------------------------- databases


def _templates(names):
    with alone("benchmark databases"):
        if _template(STOCK) not in databases.list_dbs("prepared_"):
            _make_template(STOCK, lambda draft: databases.create_db(draft, MODULES), "fill_template.py")
        if AUDITLOG in names and _template(AUDITLOG) not in databases.list_dbs("prepared_"):
            _make_template(AUDITLOG, _with_auditlog)


def _template(name):
    """Named like the prepared databases of `databases.py`, which drops those of another Odoo."""
    odoo = hashlib.sha256(odoo_tree.identity().encode()).hexdigest()[:8]
    content = (HERE / "fill_template.py").read_bytes() + (auditlog.digest().encode() if name == AUDITLOG else b"")
    return f"prepared_{odoo}_bench_{name}_{hashlib.sha256(content).hexdigest()[:8]}"


def _make_template(name, make, script=None):
    final, draft = _template(name), f"draft_{_template(name)}"
    for old in databases.list_dbs(final.rpartition("_")[0]):
        databases.drop_db(old)
    databases.drop_db(draft)
    make(draft)
    if script:
        databases.shell(draft, (HERE / script).read_text())
    databases.copy_db(draft, final)
    databases.drop_db(draft)


def _with_auditlog(draft):
    databases.copy_db(_template(STOCK), draft)
    _install(draft, "auditlog", *_addons(AUDITLOG))


def _install(database, module, *arguments):
    databases.odoo("-d", database, "-i", module, "--no-http", "--stop-after-init", "--max-cron-threads=0",
                   *arguments, log=f"install-{database}")


def _fill(variant, first_keys):
    """Make the variant's database and return its facts."""
    name, database = variant.name, variant.database
    databases.copy_db(_template(AUDITLOG if name == AUDITLOG else STOCK), database)
    if name == GUARD:
        _install(database, ADDON)
    code = f"VARIANT, FIRST_KEYS = {name!r}, {first_keys}\n{(HERE / 'fill_variant.py').read_text()}"
    printed = databases.odoo("shell", "-d", database, "--no-http", "--log-level=warn", *_addons(name),
                             log=f"shell-{database}", input=code, stdout=subprocess.PIPE, text=True).stdout
    try:
        return json.loads(printed.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Stop(f"The database of {name} could not be filled:\n{printed[-3000:]}") from None


def _addons(name):
    """The argument that lets Odoo find auditlog, which no other variant may even see."""
    if name != AUDITLOG:
        return []
    return [f"--addons-path={','.join(map(str, (*odoo_tree.addons_paths(), auditlog.ensure())))}"]


# ---------------------------------------------------------------------- servers


def _server(name, workers):
    load = ("base", "rpc", "web", *([ADDON] if name == GUARD else []))
    return Server(f"bench_{name}_{os.getpid()}", load=load, workers=workers, gevent=False, extra=_addons(name))


def _log_in(variant):
    """The cookie of a new web session."""
    params = {"db": variant.database, "login": LOGIN, "password": PASSWORD}
    connection = http.client.HTTPConnection("127.0.0.1", variant.port, timeout=60)
    try:
        connection.request("POST", "/web/session/authenticate",
                           json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        cookies = [cookie.partition(";")[0] for cookie in answer.headers.get_all("Set-Cookie") or ()]
    finally:
        connection.close()
    if json.loads(body).get("result", {}).get("uid") != variant.facts["uid"]:
        raise Stop(f"{variant.name} lets nobody log in: {body[:2000]!r}")
    return next(cookie for cookie in cookies if cookie.startswith("session_id="))
