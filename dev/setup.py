"""What does it take to run Odoo 19 with this addon here? Each step does nothing once it is done."""

import os

from . import browser, fail2ban, node, odoo_tree, postgres, python_env, redis
from .layout import ADDONS, DATA, ODOO_CONF, VENV, make_folders
from .steps import alone


def ensure_tools():
    """Set up what needs no Odoo: the Python and the npm packages."""
    make_folders()
    with alone("setup"):
        python_env.ensure()
        node.ensure()


def ensure():
    """Set up all that Odoo needs to start, and start PostgreSQL."""
    ensure_tools()
    with alone("setup"):
        odoo_tree.ensure()
    postgres.ensure()
    write_config(ODOO_CONF)


def ensure_for_tests():
    """Set up all that the tests need besides: a browser, Redis and fail2ban."""
    ensure()
    browser.ensure()
    redis.ensure()
    fail2ban.ensure()


def write_config(path, **more):
    """Write an Odoo configuration for this environment; `more` are further options of it."""
    options = {
        "addons_path": ",".join(map(str, (*odoo_tree.addons_paths(), ADDONS))),
        "data_dir": DATA,
        "http_interface": "127.0.0.1",
        **_database(),
        **more,
    }
    lines = "".join(f"{key} = {value}\n" for key, value in options.items())
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(f"[options]\n{lines}")
    fresh.replace(path)


def _database():
    if postgres.is_external():
        return {}  # Odoo reads the PG* variables itself
    return {"db_host": postgres.SOCKET, "db_user": postgres.ROLE}


def odoo_environment():
    """Return the variables with which any Odoo program, and what it starts, runs here."""
    return {
        **os.environ,
        **postgres.client_environment(),
        "ODOO_RC": os.environ.get("API_GUARD_ODOO_CONF", str(ODOO_CONF)),
        "PYTHONPATH": str(odoo_tree.package().parent),
        "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}",
    }


def odoo_command(*arguments):
    """Return the words that start Odoo with this environment's Python."""
    return [str(VENV / "bin" / "python"), str(odoo_tree.launcher()), *map(str, arguments)]
