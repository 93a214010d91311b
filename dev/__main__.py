"""The commands behind `make` and the scripts in this folder: `dev/run COMMAND ARGUMENTS`."""

import os
import sys

from . import layout, node, postgres, python_env, setup
from .steps import Stop, main_or_stop, say, step


def do_setup():
    """Set up everything, what only the tests need included."""
    setup.ensure_for_tests()
    say(f"Ready. dev/odoo and dev/psql run in this environment ({layout.DEV}).")


def do_odoo(*arguments):
    """Replace this process by Odoo, so that signals and exit codes are its own."""
    setup.ensure()
    words = setup.odoo_command(*arguments)
    os.execve(words[0], words, setup.odoo_environment())


def do_psql(*arguments):
    """Replace this process by psql; without arguments it lists the databases."""
    setup.ensure()
    environment = {**os.environ, **postgres.client_environment()}
    os.execve(
        postgres.program("psql"), ["psql", *(arguments or ("-d", "postgres", "-l"))], environment
    )


def do_lock():
    """Write both lock files anew; the next setup installs what they then name."""
    setup.ensure_tools()
    with step("Newest releases into dev/requirements.lock and dev/package-lock.json"):
        python_env.lock()
        node.lock()


def do_stop():
    """Stop PostgreSQL."""
    layout.make_folders()
    postgres.stop_unless_used()


def do_test(*arguments):
    """Run the test suites."""
    from . import testing

    return testing.run(*arguments)


def do_bench_limits(*arguments):
    """Measure what limits cost, in PostgreSQL and in Redis."""
    from .bench import limits

    return limits.run(*arguments)


def do_bench_scale(*arguments):
    """Measure what a log of ten million entries costs."""
    from .bench import scale

    return scale.run(*arguments)


def do_test_odoo(*arguments):
    """Run Odoo's own suites with the addon installed."""
    from . import odoo_suites

    return odoo_suites.run(*arguments)


def do_lint():
    """Read the code for what a machine can find."""
    from . import lint

    return lint.run()


def do_zip():
    """Make the archive that an administrator unpacks into an addons folder."""
    from . import archive

    return archive.run()


def do_i18n():
    """Export the words that are to be translated."""
    from . import i18n

    return i18n.run()


def do_weaknesses(*arguments):
    """Measure Odoo's weaknesses with and without the addon."""
    from . import weaknesses

    return weaknesses.run(*arguments)


def do_demo():
    """Show the addon at work."""
    from . import demo

    return demo.run()


def do_bench(*arguments):
    """Compare the speed of Odoo with and without the addon."""
    from .bench import main as bench

    return bench.run(*arguments)


def do_attack(*arguments):
    """Measure what guessing secrets costs, with and without the addon."""
    from .attack import main as attack

    return attack.run(*arguments)


def do_profile(*arguments):
    """Find where a worker's milliseconds go."""
    from . import profile

    return profile.run(*arguments)


def main():
    os.environ.pop("PYTHONPATH", None)  # it led to this module and is none of Odoo's business
    name, *arguments = sys.argv[1:] or ["help"]
    command = globals().get(f"do_{name.replace('-', '_')}")
    if not command:
        raise Stop(f"There is no command {name}.")
    return command(*arguments)


main_or_stop(main)
