"""A pytest plugin: does a suite pass with nothing skipped? Also keeps its counts for a summary.

A skipped test proves nothing, so the run fails on one and names it.
"""

import json
import os
from pathlib import Path


def pytest_terminal_summary(terminalreporter, exitstatus):
    counts = {name: len(reports) for name, reports in terminalreporter.stats.items() if name}
    if path := os.environ.get("API_GUARD_REPORT"):
        Path(path).write_text(json.dumps(counts))
    if counts.get("skipped"):
        terminalreporter.section("skipped tests prove nothing: this run fails", red=True)


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = 1
