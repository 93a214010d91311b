"""Who is locked out, and how does an administrator get back in who cannot reach the screens?

    odoo api_guard lockouts -d shop
    odoo api_guard unlock -d shop --login admin
    odoo api_guard unlock -d shop --network 203.0.113.0/24
    odoo api_guard unlock -d shop --all

Odoo loads it as one of its own commands, apart from the addon's package. Its name is that of
the addon: a command's name takes no hyphen (odoo/cli/command.py).
"""

import argparse
import sys

from odoo.api import SUPERUSER_ID, Environment
from odoo.modules.registry import Registry
from odoo.tools import config

from . import Command


class ApiGuard(Command):
    """See and lift the lockouts of API Guard."""

    name = "api_guard"

    def run(self, args):
        options, others = self._parser_of_ours().parse_known_args(args)
        config.parse_config([*others, "--no-http"], setup_logging=True)
        names = config["db_name"]
        if len(names) != 1:
            sys.exit("Name one database with -d.")
        registry = Registry(names[0])
        if "api.lockout" not in registry:
            sys.exit(f"API Guard is not installed in {names[0]}.")
        with registry.cursor() as cr:
            env = Environment(cr, SUPERUSER_ID, {})
            locks = env["api.lockout"].search(_domain(options))
            if options.action == "lockouts":
                _show(locks)
            else:
                _unlock(locks, options)

    def _parser_of_ours(self):
        parser = argparse.ArgumentParser(
            prog=self.prog, description=self.__doc__, epilog="All options of Odoo are taken, too: -c, -d, --db_host …"
        )
        parser.add_argument("action", choices=("lockouts", "unlock"))
        parser.add_argument("--login", help="only this login's")
        parser.add_argument("--network", help="only those from this network, as the list shows it")
        parser.add_argument("--all", action="store_true", help="unlock all")
        return parser


def _domain(options):
    domain = [("is_locked", "=", True)]
    if options.login:
        domain += [("kind", "=", "pair"), ("name", "=", options.login.strip().casefold())]
    if options.network:
        domain.append(("network", "=", options.network))
    return domain


def _show(locks):
    for lock in locks:
        until = lock.locked_until.isoformat(" ", "seconds")
        print(f"{lock.kind:8} {lock.network:22} {lock.name or '-':24} {lock.failures:4} wrong, until {until} UTC")
    print(f"{len(locks)} locked.")


def _unlock(locks, options):
    if not (options.all or options.login or options.network):
        sys.exit("Say whom to unlock: --login, --network or --all.")
    _show(locks)
    locks._unlock()
    print("Unlocked.")
