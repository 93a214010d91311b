"""What can be done without the screens?

    odoo api_guard lockouts -d shop
    odoo api_guard unlock -d shop --login admin
    odoo api_guard unlock -d shop --network 203.0.113.0/24
    odoo api_guard unlock -d shop --all
    odoo api_guard verify -d shop [--full] [--json] [--public-key KEY]
    odoo api_guard export -d shop --output FILE
    odoo api_guard public-key -d shop

`verify` ends with 0 where the audit log is what was sealed, with 1 where it is not, and with 2 where
that cannot be told.

Odoo loads it as one of its own commands, apart from the addon's package. Its name is that of
the addon: a command's name takes no hyphen (odoo/cli/command.py).
"""

import argparse
import base64
import json
import sys

from odoo.api import SUPERUSER_ID, Environment
from odoo.modules.registry import Registry
from odoo.tools import config

from . import Command


class ApiGuard(Command):
    """See and lift the lockouts of API Guard; verify and export its audit log."""

    name = "api_guard"

    def run(self, args):
        options, others = self._parser_of_ours().parse_known_args(args)
        try:
            sys.exit(self._run(options, others))
        except (SystemExit, KeyboardInterrupt):
            raise
        except Exception as error:
            if options.action != "verify":
                raise
            print(f"The log could not be verified: {error}", file=sys.stderr)
            sys.exit(2)

    def _run(self, options, others):
        config.parse_config([*others, "--no-http"], setup_logging=True)
        names = config["db_name"]
        failure = 2 if options.action == "verify" else 1
        if len(names) != 1:
            return _stop("Name one database with -d.", failure)
        registry = Registry(names[0])
        if "api.lockout" not in registry:
            return _stop(f"API Guard is not installed in {names[0]}.", failure)
        with registry.cursor() as cr:
            return _ACTIONS[options.action](Environment(cr, SUPERUSER_ID, {}), options)

    def _parser_of_ours(self):
        parser = argparse.ArgumentParser(
            prog=self.prog, description=self.__doc__, epilog="All options of Odoo are taken, too: -c, -d, --db_host …"
        )
        parser.add_argument("action", choices=tuple(_ACTIONS))
        parser.add_argument("--login", help="only this login's")
        parser.add_argument("--network", help="only those from this network, as the list shows it")
        parser.add_argument("--all", action="store_true", help="unlock all")
        parser.add_argument("--full", action="store_true", help="verify all, not what is new since last time")
        parser.add_argument("--json", action="store_true", help="tell it to a machine")
        parser.add_argument(
            "--public-key", action="append", metavar="KEY", type=_key,
            help="verify with this key, which you have kept, and no other (the first one of the log, in base64)",
        )  # fmt: skip
        parser.add_argument("--output", metavar="FILE", help="where to export to, gzip")
        return parser


def _key(text):
    if len(base64.b64decode(text, validate=True)) != 32:
        raise ValueError
    return text


def _stop(text, code):
    print(text, file=sys.stderr)
    return code


def _lockouts(env, options):
    _show(env["api.lockout"].search(_domain(options)))


def _unlock(env, options):
    locks = env["api.lockout"].search(_domain(options))
    if not (options.all or options.login or options.network):
        sys.exit("Say whom to unlock: --login, --network or --all.")
    _show(locks)
    locks._unlock()
    print("Unlocked.")


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


def _verify(env, options):
    run = env["api.audit.verify"]._begin(options.full, "command", " ".join(options.public_key or ()))
    run._run(None if options.json else _shown_progress())
    if options.json:
        print(json.dumps(run._as_json(), ensure_ascii=False))
    else:
        scope = "All of the log" if run.is_full else "What is new since the last verification"
        print(f"{scope}: {run.entry_count:.0f} entries, up to checkpoint {run.checkpoint_count}.")
        print(run.report or "It is what was sealed.")
        if run.fault_count:
            print(f"{run.fault_count} faults. {run.advice}")
    return int(run.state != "intact")


def _shown_progress():
    if not sys.stderr.isatty():
        return None
    return lambda run: print(f"\r{run.progress:5.1f} % ", end="", file=sys.stderr, flush=True)


def _export(env, options):
    if not options.output:
        sys.exit("Say where to: --output FILE.")
    shown = _shown_export if sys.stderr.isatty() else None
    count = env["api.audit.export"]._write(options.output, shown)
    print(f"{count} entries. Verify them with offline/verify_log.py, and a public key that you got elsewhere.")


def _shown_export(done, total):
    print(f"\r{100 * done / total:5.1f} % ", end="", file=sys.stderr, flush=True)


def _public_key(env, _options):
    """The one in use first."""
    for key in env["api.audit.key"].search([], order="id desc"):
        until = f"until {key.retired_at} UTC" if key.retired_at else "in use"
        print(f"{key.public}  {key.key_id}  since {key.created_at} UTC, {until}")


_ACTIONS = {
    "lockouts": _lockouts,
    "unlock": _unlock,
    "verify": _verify,
    "export": _export,
    "public-key": _public_key,
}
