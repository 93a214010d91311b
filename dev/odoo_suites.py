"""Do Odoo's own RPC and HTTP tests still pass with the addon installed? `make test-odoo`.

The addon sits in front of every door of Odoo, so Odoo's tests of these doors are its tests
too. They run by Odoo's own runner after everything is installed, also the ones that Odoo runs
while installing: the addon may load after them, and then they would not meet it.
"""

import ast
import os
import re
import subprocess

from . import browser, databases, postgres, setup
from .harness import free_port
from .layout import ADDON, LOG
from .steps import Stop, say, step

SUITES = ("rpc", "test_rpc", "test_http", "api_doc", "auth_totp")
EXPECTED = 222  # on a stock Odoo 19.0; fewer means that some were not found
# Odoo's own choice: it needs crm, on a stock Odoo too.
SKIPS = 1

INSIDE = """
from odoo.tests.shell import run_tests
# As Odoo's own start-up does before browser tests: without, tours time out on building assets.
env["ir.qweb"]._pregenerate_assets_bundles()
env.cr.commit()
report = run_tests(env, {tags!r}, modules={modules!r})
print("RESULT", [report.testsRun, report.failures_count, report.errors_count, report.skipped])
"""


def run(stock=""):
    """Run the suites, with the addon or on a stock Odoo; return an exit code."""
    setup.ensure()
    browser.ensure()
    name = f"odoo_suites_{os.getpid()}"
    title = "a stock Odoo" if stock else "the addon installed"
    with step(f"A database with {title}"):
        databases.create_db(name, SUITES if stock else (*SUITES, ADDON))
    try:
        with step(f"Odoo's own suites with {title} (about 3 minutes)"):
            counts = _run_inside(name)
    finally:
        databases.drop_db(name)
        postgres.stop_unless_used()
    return _conclude(counts)


def _run_inside(name):
    code = INSIDE.format(tags=",".join(f"/{suite}" for suite in SUITES), modules=SUITES)
    with _log().open("w") as log:
        result = subprocess.run(
            setup.odoo_command("shell", "-d", name, f"--http-port={free_port()}",
                               "--max-cron-threads=0"),
            input=code, text=True, stdout=subprocess.PIPE, stderr=log, check=False,
            env=setup.odoo_environment(),
        )
    told = re.search(r"RESULT (\[.*\])", result.stdout)
    if not told:
        tail = "\n".join(_log().read_text().splitlines()[-20:])
        raise Stop(f"The suites did not run to their end:\n{tail}\nAll of it: {_log()}")
    return ast.literal_eval(told[1])


def _conclude(counts):
    ran, failures, errors, skipped = counts
    for line in re.findall(r"(?:FAIL|ERROR): .*|skipped Test.*", _log().read_text()):
        say(f"  {line}")
    say(f"{ran - failures - errors} passed, {failures + errors} failed, {skipped} skipped")
    if ran < EXPECTED:
        say(f"✘ Only {ran} tests ran, a stock Odoo 19 has {EXPECTED}.")
    say(f"All of it: {_log()}")
    return int(bool(failures or errors or skipped > SKIPS or ran < EXPECTED))


def _log():
    return LOG / "odoo-suites.log"
