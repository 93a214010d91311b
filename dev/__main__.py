"""The commands behind `make` and the scripts in this folder: `dev/run COMMAND ARGUMENTS`."""

import os
import sys

from . import browser, layout, odoo_tree, postgres, setup
from .steps import Stop, main_or_stop, say


def do_setup():
    """Set up everything, the browser for the tours included."""
    setup.ensure()
    browser.ensure()
    say(f"Ready. dev/odoo and dev/psql run in this environment ({layout.DEV}).")


def do_odoo(*arguments):
    """Replace this process by Odoo, so that signals and exit codes are its own."""
    setup.ensure()
    os.environ.update(odoo_environment())
    words = [str(layout.PYTHON), str(odoo_tree.launcher()), *arguments]
    os.execv(words[0], words)


def odoo_environment():
    """Return the variables that make any Odoo program use this environment."""
    return {
        "ODOO_RC": str(layout.ODOO_CONF),
        "PYTHONPATH": str(odoo_tree.package().parent),
        "PATH": f"{layout.VENV / 'bin'}:{os.environ['PATH']}",
    }


def do_psql(*arguments):
    """Replace this process by psql; without arguments it lists the databases."""
    setup.ensure()
    os.environ.update(postgres.client_environment())
    os.execv(postgres.program("psql"), ["psql", *(arguments or ("-d", "postgres", "-l"))])


def do_stop():
    """Stop PostgreSQL."""
    postgres.stop_unless_used()


def main():
    os.environ.pop("PYTHONPATH", None)  # it led to this module and is none of Odoo's business
    name, *arguments = sys.argv[1:] or ["help"]
    command = globals().get(f"do_{name.replace('-', '_')}")
    if not command:
        raise Stop(f"There is no command {name}.")
    return command(*arguments)


main_or_stop(main)
