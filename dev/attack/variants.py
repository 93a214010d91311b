"""Which Odoos are attacked? The same one twice, without the addon and with it.

Each attack finds the database as it was filled and a server that has just started: nothing that
one attack leaves behind, in a table or in a worker's memory, is there for the next.
"""

import asyncio
import contextlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .. import databases, odoo_tree, setup
from ..harness import Server
from ..layout import ADDON, ADDONS, RUN
from ..steps import Stop, step
from ..testing import MODULES
from ..weaknesses import without_addon
from . import doors, program, wire

STOCK, GUARDED = "stock", "guarded"
VARIANTS = (STOCK, GUARDED)
PROBE = "attack_probe"
COUNTED = ("password", "key", "master", "fast", "code")  # what is a check of a real secret, as `probe.py` names it
BURNT = "burnt"
WORKERS = 2
USERS, SECOND = 50, 20
PASSWORD, MASTER = "Correct Horse 77", "the master's own password"  # of databases that live for minutes

HERE = Path(__file__).parent


@dataclass
class Variant:
    """An Odoo that is attacked. `facts`: its people and their secrets, as `fill.py` prints them."""

    name: str
    facts: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        self.database = f"attack_{self.name}_{os.getpid()}"
        self.kept = f"kept_{self.database}"
        self.folder = RUN / self.database
        self.config = self.folder / "odoo.conf"

    @property
    def is_guarded(self):
        return self.name == GUARDED

    def job(self, server, **more):
        """What a process of the measurement has to know to call this Odoo."""
        return {"port": server.port, "database": self.database, "password": PASSWORD, "master": MASTER, **more}


@contextlib.contextmanager
def prepared(names=VARIANTS):
    """Yield the variants, their databases filled; leave nothing of them behind."""
    with contextlib.ExitStack() as stack:
        made = [Variant(name) for name in names]
        with step(f"Databases: {', '.join(names)}"), ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda variant: _set_up(variant, stack), made))
        yield made


@contextlib.contextmanager
def started(variant):
    """Yield a server that nobody has attacked yet."""
    databases.psql("postgres", f'DROP DATABASE IF EXISTS "{variant.database}" WITH (FORCE)')
    databases.psql("postgres", f'CREATE DATABASE "{variant.database}" TEMPLATE "{variant.kept}"')
    with _server(variant) as server:
        yield server
    server.log_path.unlink()  # of an hour's attacks, gigabytes; it stays where something failed


def counts(variant):
    """{kind: how many secrets were compared so far}, counted by the probe."""
    return {kind: (variant.folder / f"{kind}.count").stat().st_size for kind in (*COUNTED, BURNT)}


# ---------------------------------------------------------------------- setting up


def _set_up(variant, stack):
    stack.callback(shutil.rmtree, variant.folder, ignore_errors=True)
    stack.callback(databases.drop_db, variant.database)
    stack.callback(databases.drop_db, variant.kept)
    # Both have Odoo's modules that the addon needs, so that the addon is all that differs.
    modules = MODULES if variant.is_guarded else without_addon()
    databases.create_db(variant.database, [*modules, "base_import_module"])
    variant.facts = _fill(variant)
    _write_probe(variant)
    with _server(variant) as server:
        _use(variant, server)
    databases.psql("postgres", f'CREATE DATABASE "{variant.kept}" TEMPLATE "{variant.database}"')


def _fill(variant):
    values = {"PASSWORD": PASSWORD, "MASTER": MASTER, "USERS": USERS, "SECOND": SECOND}
    given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    printed = databases.shell(variant.database, f"{given}{(HERE / 'fill.py').read_text()}")
    try:
        return json.loads(printed.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Stop(f"The database {variant.database} could not be filled:\n{printed[-3000:]}") from None


def _write_probe(variant):
    addon = variant.folder / "addons" / PROBE
    addon.mkdir(parents=True)
    shutil.copy(HERE / "probe.py", addon / "__init__.py")
    (addon / "__manifest__.py").write_text(repr({"name": "Attack probe", "license": "LGPL-3"}))
    (variant.folder / "hashes.json").write_text(json.dumps(variant.facts["hashes"]))
    setup.write_config(
        variant.config, admin_passwd=variant.facts["master_hash"], api_guard_db_service="open",
        addons_path=",".join(map(str, (*odoo_tree.addons_paths(), ADDONS, addon.parent))),
    )


def _use(variant, server):
    """Call with every key once: a key that is in use is checked by other means than one that never was."""
    for owner in (*variant.facts["users"], variant.facts["program"]):
        answer = asyncio.run(wire.ask(server.port, program.ADDRESS, doors.right_key(variant.job(server), owner["key"])))
        if answer.status != 200:
            raise Stop(f"{variant.name} does not take a valid key: {answer.body[:2000]!r}")


def _server(variant):
    # The probe comes last: it looks for what the addon has loaded.
    load = ("base", "rpc", "web", *([ADDON] if variant.is_guarded else []), PROBE)
    return Server(
        variant.database, load=load, workers=WORKERS, gevent=False,
        environment={"ODOO_RC": str(variant.config), "API_GUARD_ATTACK_FOLDER": str(variant.folder)},
    )
