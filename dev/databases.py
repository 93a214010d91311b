"""How does a test or the demo get a database? As a copy of a prepared one, in about a second.

Installing Odoo's own modules is the slow part and never changes, so it is done once per set of
modules and per Odoo, as a database `prepared_…`. The addon is installed on the copy, each time.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import time

from . import odoo_tree, postgres, setup
from .layout import ADDON, DATA, LOG, ROOT
from .steps import Stop, alone, failure

FILESTORE = DATA / "filestore"


def create_db(name, modules=(ADDON,), *, demo=False, template=None):
    """Make a database with exactly these modules and what they depend on, replacing an old one.

    `template` names a database to copy instead of a prepared one; what it lacks is installed.
    """
    modules = list(dict.fromkeys(modules))
    copy_db(template or _prepared(_stock(modules), demo), name)
    ours = [module for module in modules if _is_addon(module)]
    wanted = modules if template else ours
    if wanted:
        _install(name, wanted, demo)
    return name


def copy_db(source, name):
    """Copy a database and its files; the copy gets an identity and a secret of its own."""
    drop_db(name)
    psql("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    if (FILESTORE / source).exists():
        # Files there are named by their content and never change, so links are a safe copy.
        shutil.copytree(FILESTORE / source, FILESTORE / name, copy_function=os.link)
    psql(name, "UPDATE ir_config_parameter SET value = gen_random_uuid()::text "
               "WHERE key IN ('database.uuid', 'database.secret')")
    # keys that are made in the copy work in it, those that came along do not
    psql(name, "UPDATE ir_config_parameter SET value = current_database() WHERE key = 'api_guard.database_name'")
    return name


def drop_db(name):
    """Drop a database and its files, the connections to it included; fine when there is none."""
    for _try in range(20):
        try:
            psql("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            break
        except Stop as stop:
            if "permission denied to terminate" not in str(stop):  # PostgreSQL cleans up in it
                raise
            time.sleep(1)
    else:
        raise Stop(f"The database {name} cannot be dropped: PostgreSQL is cleaning up in it.")
    shutil.rmtree(FILESTORE / name, ignore_errors=True)


def psql(database, sql):
    """Return what psql prints for a statement: bare values, `|` between columns."""
    return postgres.query(sql, database)


def list_dbs(prefix=""):
    """Return the names of the databases that begin with a prefix."""
    names = psql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate").split("\n")
    return [name for name in names if name.startswith(prefix)]


def odoo(*arguments, log, **options):
    """Run Odoo to its end, its output in a log file; stop with the end of that log if it fails."""
    path = LOG / f"{log}.log"
    with path.open("w") as output:
        result = subprocess.run(
            setup.odoo_command(*arguments), stdout=options.pop("stdout", output), stderr=output,
            env=setup.odoo_environment(), **options,
        )
    if result.returncode:
        raise Stop(failure(path.read_text(), f"odoo {' '.join(map(str, arguments))}", path))
    return result


def shell(database, code):
    """Run code in `odoo shell` and return what it printed. It commits only if the code does."""
    arguments = ("shell", "-d", database, "--no-http", "--log-level=warn")
    result = odoo(*arguments, log=f"shell-{database}", input=code, stdout=subprocess.PIPE,
                  text=True)
    return result.stdout


def build_assets(database):
    """Build the web client's assets now: a browser test that waits for them times out."""
    shell(database, "env['ir.qweb']._pregenerate_assets_bundles(); env.cr.commit()")


def _is_addon(module):
    return module == ADDON


def _stock(modules):
    """Return Odoo's modules of a list, those that the addon depends on included."""
    manifest = ast.literal_eval((ROOT / "__manifest__.py").read_text())
    needed = manifest["depends"] if ADDON in modules else []
    return sorted({"base", *needed, *(name for name in modules if not _is_addon(name))})


def _prepared(modules, demo):
    """Return the name of a database with these of Odoo's modules, installing it the first time."""
    version = _short(odoo_tree.identity())
    name = f"prepared_{version}_{_short(f'{modules} {demo}')}"
    with alone("prepared databases"):
        if name not in list_dbs("prepared_"):
            for old in list_dbs("prepared_"):
                if not old.startswith(f"prepared_{version}_"):
                    drop_db(old)
            _prepare(name, modules, demo)
    return name


def _prepare(name, modules, demo):
    # Under another name until it is complete, so that an interrupted one is never copied.
    draft = f"draft_{name}"
    drop_db(draft)
    psql("postgres", f'CREATE DATABASE "{draft}" TEMPLATE template0')
    _install(draft, modules, demo)
    shutil.rmtree(FILESTORE / name, ignore_errors=True)
    if (FILESTORE / draft).exists():
        (FILESTORE / draft).rename(FILESTORE / name)
    psql("postgres", f'ALTER DATABASE "{draft}" RENAME TO "{name}"')


def _install(name, modules, demo):
    options = ["--with-demo"] if demo else []
    odoo("-d", name, "-i", ",".join(modules), "--no-http", "--stop-after-init",
         "--max-cron-threads=0", *options, log=f"install-{name}")


def _short(text):
    return hashlib.sha256(text.encode()).hexdigest()[:8]
