"""Which of Odoo's weaknesses are there without the addon, and which with it? `dev/weaknesses`.

Two real servers with two workers each, one stock and one with the addon server-wide and
installed, are attacked in the same way in the same run. The probes are in
`dev/weaknesses_probes.py`; here is what is asked, and how it is told.
"""

import argparse
import ast
import contextlib
import json
import os
import platform
import runpy
import shutil
import sys
import textwrap
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone

from . import databases, odoo_tree, postgres, setup, steps
from . import weaknesses_probes as probes
from .harness import Server
from .layout import ADDON, ROOT, RUN
from .testing import MODULES
from .weaknesses_probes import CLOSED, OK, OPEN

_SESSION = (
    "A session belongs to a person in the web client, not to a program with a key: Odoo's own doors for it "
    "(/web/session/authenticate, /web/dataset/call_kw) are outside of what API Guard governs. "
)


@dataclass(frozen=True)
class Row:
    """A weakness, and the probe that looks for it. `why`: why the addon cannot close it, by its nature."""

    title: str
    probe: object
    why: str = ""
    is_weakness: bool = True
    alone: bool = False  # measures times, or changes the server: no other probe meanwhile


ROWS = {
    "W1": Row("Passwords can be guessed over the API without end", probes.guessing),
    "W2": Row("Each worker counts wrong passwords alone, and only at the web login", probes.cooldown),
    "W3": Row("An expired key is still accepted", probes.expired_key),
    "W4": Row("A revoked key is still accepted", probes.revoked_key),
    "W5": Row("Answers hold tracebacks, paths and table names", probes.tracebacks),
    "W6": Row("The database filter does not hold for RPC", probes.hidden_database),
    "W7": Row("The default master password works", probes.master_password, alone=True),
    "W8": Row("Answers tell which logins, users, keys and databases exist", probes.enumeration, alone=True),
    "W9": Row("res.users.authenticate tries anybody's password", probes.oracle),
    "W10": Row("What a client says of itself sets web.base.url", probes.agent_environment),
    "W11": Row("A key makes further keys that outlive it", probes.minted_key),
    "W12": Row("X-Forwarded-For is the caller's to choose", probes.forwarded_for),
    "W13": Row("A password over RPC goes past every rule on keys", probes.rpc_password),
    "W13b": Row(
        "A password opens a web session for a program", probes.password_to_session,
        _SESSION + "Two-factor authentication or single sign-on closes it: then a password alone opens no session.",
    ),
    "W14": Row(
        "A session's cookie works from anywhere", probes.session_replay,
        _SESSION + "HTTPS only, and a short session lifetime, limit what a stolen cookie is worth.",
    ),
    "W15": Row("The key of an archived user (no weakness: Odoo refuses it)", probes.deactivated_user,
               is_weakness=False),
    "W16": Row("JSON-2 without a key is under no rule", probes.json2_without_key),
}


# ---------------------------------------------------------------------- two servers


@contextlib.contextmanager
def sides():
    """Start the two servers, and leave nothing of them behind."""
    names = {name: f"weak_{name}_{os.getpid()}" for name in ("stock", "guarded")}
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(_side(name, database, stack)) for name, database in names.items()
        ]


@contextlib.contextmanager
def _side(name, database, stack):
    guarded, hidden, config = name == "guarded", f"hidden_{database}", RUN / f"{database}.conf"
    for dropped in (database, hidden):
        stack.callback(databases.drop_db, dropped)
    with steps.step(f"The {name} database, its twin outside of the filter, and a server with two workers"):
        # Both have Odoo's modules that the addon needs, so that the addon is all that differs.
        databases.create_db(database, MODULES if guarded else without_addon())
        databases.copy_db(database, hidden)
        setup.write_config(config)
        stack.callback(config.unlink, missing_ok=True)
        server = Server(
            dbfilter=f"^{database}$", load=("base", "rpc", "web", *([ADDON] if guarded else [])), gevent=False,
            extra=("--proxy-mode",), environment={"ODOO_RC": str(config)},
        )
        stack.enter_context(server)
    yield probes.Side(name, server, database, hidden, config, guarded)


def without_addon():
    """Odoo's modules that a guarded database has."""
    needed = ast.literal_eval((ROOT / "__manifest__.py").read_text())["depends"]
    return [*needed, *(module for module in MODULES if module != ADDON)]


# ---------------------------------------------------------------------- asking


def measure(wanted=ROWS, say=steps.say):
    """Return {row: {title, stock, guarded, evidence, measured, why?}}; a probe that could not tell has "failed"."""
    found = {row: {"title": ROWS[row].title, "evidence": {}, "measured": {}} for row in wanted}

    def ask(side, row):
        began = time.monotonic()
        _note(found[row], side.name, ROWS[row], _probe(side, row))
        say(f"  {row:5} {side.name:8} {found[row][side.name]:7} {time.monotonic() - began:5.1f} s")

    with sides() as both:
        together = [row for row in wanted if not ROWS[row].alone]
        _at_once(lambda side: [ask(side, row) for row in together], both)
        # The one that takes over the server comes last.
        for row in sorted((row for row in wanted if ROWS[row].alone), key=lambda row: row == "W7"):
            for side in both:
                ask(side, row)
    return found


def _at_once(function, both):
    pool = ThreadPoolExecutor(len(both))
    try:
        list(pool.map(function, both))
    finally:  # on Ctrl-C do not wait: the servers go away, and the probes with them
        pool.shutdown(wait=False, cancel_futures=True)


def _probe(side, row):
    try:
        return ROWS[row].probe(side)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return error


def _note(told, name, row, finding):
    if isinstance(finding, Exception):
        told[name], told["evidence"][name] = "failed", f"{type(finding).__name__}: {finding}"
        return
    told[name] = OPEN if finding.is_open else CLOSED if row.is_weakness else OK
    told["evidence"][name], told["measured"][name] = finding.evidence, finding.measured
    if name == "guarded" and finding.is_open and row.why:
        told["why"] = row.why


# ---------------------------------------------------------------------- telling


def run(*arguments):
    """Print the table, or one JSON object; fails only when a probe could not tell."""
    options = _options(arguments)
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the result alone
        setup.ensure()
        try:
            found = measure(options.only)
        finally:
            postgres.stop_unless_used()
    tell = {"json": _json, "markdown": _markdown, "text": _text}[options.format]
    print(tell(found))
    return int(any("failed" in (told["stock"], told["guarded"]) for told in found.values()))


def _options(arguments):
    parser = argparse.ArgumentParser(prog="dev/weaknesses", description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=_rows, default=list(ROWS), metavar="W3,W4", help="these rows only")
    parser.add_argument("--json", dest="format", action="store_const", const="json", default="text",
                        help="one object, a member for each row")
    parser.add_argument("--markdown", dest="format", action="store_const", const="markdown",
                        help="the table as the README has it")
    return parser.parse_args(arguments)


def _rows(text):
    names = text.replace(" ", "").split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return names


def machine():
    """Where was this measured?"""
    odoo = runpy.run_path(str(odoo_tree.package() / "release.py"))["version"]
    today = datetime.now(timezone.utc).date()
    return f"{today}, Odoo {odoo}, two workers, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"


def _json(found):
    return json.dumps(found, indent=2, ensure_ascii=False)


def _text(found):
    width = max(60, min(shutil.get_terminal_size((110, 25)).columns, 130))
    lines = [f"{'':6}{'':{width - 26}}{'stock':>9}{'guarded':>10}"]
    for row, told in found.items():
        lines.append(f"{row:6}{told['title']:{width - 26}}{told['stock']:>9}{told['guarded']:>10}")
        for name, text in (*told["evidence"].items(), *([("why", told["why"])] if "why" in told else [])):
            lines += textwrap.wrap(
                text, width, initial_indent=f"      {name:8} ", subsequent_indent=" " * 15, break_on_hyphens=False)
    return "\n".join([*lines, "", f"Measured on {machine()}."])


def _markdown(found):
    lines = ["|  | weakness | stock | with API Guard |", "|---|---|---|---|"]
    for row, told in found.items():
        cells = [f"**{told[name]}**: {told['evidence'][name]}" for name in ("stock", "guarded")]
        if "why" in told:
            cells[1] += f". {told['why']}"
        lines.append(" | ".join([f"| {row}", told["title"], *(cell.replace("|", "\\|") for cell in cells)]) + " |")
    return "\n".join([*lines, "", f"Measured on {machine()}."])
