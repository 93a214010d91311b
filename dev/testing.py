"""Do all tests pass? Runs two suites: the addon's own inside Odoo, and `tests/server`.

Tests inside Odoo hold a registry and one connection, so what needs several workers, a kill or
a second database lives in `tests/server`: plain pytest that starts real servers by `harness`.
"""

import json
import os
import re
import time
from pathlib import Path

from . import databases, postgres, setup
from .harness import free_port
from .layout import ADDON, ADDONS, PYTHON, ROOT, RUN
from .steps import Stop, follow, say, step

# Besides the addon: what its doors belong to, and `contacts` as the data to guard.
MODULES = (ADDON, "api_doc", "auth_totp", "contacts", "mail_plugin")
SERVER_TESTS = Path("tests", "server")
NO_TEST_MATCHED = 5  # pytest's exit code
OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def run(wanted=""):
    """Run the suites, or the part that a path or a -k expression names; return an exit code."""
    setup.ensure_for_tests()
    try:
        results = {name: suite(wanted) for name, suite in _suites(wanted).items()}
    finally:
        postgres.stop_unless_used()
    return _conclude(results)


def _suites(wanted):
    """Return the suites that a path concerns; an expression concerns both."""
    suites = {"Odoo suite": _run_odoo_suite, "Server suite": _run_server_suite}
    path = Path(wanted.partition("::")[0])
    if wanted and (ROOT / path).exists():
        name = "Server suite" if SERVER_TESTS in (path, *path.parents) else "Odoo suite"
        return {name: suites[name]}
    if not any((ROOT / SERVER_TESTS).glob("**/test_*.py")):
        say("  ! tests/server holds no test.")
        del suites["Server suite"]
    return suites


def _run_odoo_suite(wanted):
    name = f"test_{os.getpid()}"
    with step("A fresh database with the addon"):
        _drop_left_behind()
        databases.create_db(name, MODULES)
        if _has_tours():
            databases.build_assets(name)
    config = RUN / f"{name}.conf"
    port = free_port()
    setup.write_config(config, db_name=name, dbfilter=f"^{name}$", http_port=port)
    addon = ADDONS / ADDON
    try:
        return _pytest(
            # Nothing above the link may count as a package: it would be the addon once more.
            "Odoo suite", f"--rootdir={ADDONS}", f"--confcutdir={ADDONS}", "--odoo-http",
            "--doctest-modules",
            f"--ignore={addon / SERVER_TESTS}",
            *_selection(wanted, addon, addon / "tests", addon / "core"),
            environment={**setup.odoo_environment(), "ODOO_RC": str(config)},
        )
    finally:
        config.unlink()
        databases.drop_db(name)


def _has_tours():
    tests = (ROOT / "tests").glob("**/test_*.py")
    return any(re.search(r"start_tour|browser_js", path.read_text()) for path in tests)


def _run_server_suite(wanted):
    folder = ROOT / SERVER_TESTS
    return _pytest(
        # Its own root: pytest must not import the packages above, they need Odoo.
        "Server suite", f"--rootdir={folder}", f"--confcutdir={folder}", "-p", "no:odoo",
        *_selection(wanted, ROOT, folder), environment=dict(os.environ),
    )


def _selection(wanted, base, *all_of_it):
    if not wanted:
        return all_of_it
    if (ROOT / wanted.partition("::")[0]).exists():
        return (base / wanted,)
    return (*all_of_it, "-k", wanted)


def _pytest(title, *arguments, environment):
    """Run pytest, its output shown as it is, and return (exit code, counts, seconds)."""
    say(f"→ {title}")
    report, began = RUN / f"report-{os.getpid()}.json", time.monotonic()
    environment["PYTHONPATH"] = f"{environment.get('PYTHONPATH', '')}:{ROOT}".lstrip(":")
    environment["API_GUARD_REPORT"] = str(report)
    words = [PYTHON, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "dev.pytest_report",
             "-p", "no:cacheprovider", "-ra", *arguments]
    code = follow(words, env=environment)
    counts = json.loads(report.read_text()) if report.exists() else {}
    report.unlink(missing_ok=True)
    return code, counts, time.monotonic() - began


def _conclude(results):
    """Say how each suite ended; nothing found in one suite is fine when another found some."""
    for title, (code, counts, seconds) in results.items():
        told = ", ".join(f"{counts[word]} {word}" for word in OUTCOMES if word in counts)
        mark = "✔" if code == 0 else "–" if code == NO_TEST_MATCHED else "✘"
        say(f"{mark} {title}: {told or 'no tests'} in {seconds:.0f} s")
    codes = {code for code, *_rest in results.values()}
    if codes == {NO_TEST_MATCHED}:
        raise Stop("No test matches.")
    return int(bool(codes - {0, NO_TEST_MATCHED}))


def _drop_left_behind():
    """Drop databases of earlier runs that were killed; those of running ones stay."""
    for name in databases.list_dbs("test_"):
        pid = name.removeprefix("test_")
        if pid.isdigit() and not Path("/proc", pid).exists():
            databases.drop_db(name)
