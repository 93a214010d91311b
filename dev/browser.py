"""Is there a Chromium for Odoo's browser tours? Root gets Debian's, anybody else a clear line."""

import os
import shutil

from .steps import is_root, run, say, step

# Odoo looks for these names, in this order (odoo/tests/common.py, _find_executable).
NAMES = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")
MISSING = (
    "No Chromium on this machine: the browser tours cannot run and will fail. "
    "Install Debian's packages chromium and chromium-driver."
)


def find():
    """Return the path of the browser, None when there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def ensure():
    """Install the browser where we may."""
    if find() and shutil.which("chromedriver"):
        return
    if not is_root() or not shutil.which("apt-get"):
        say(f"  ! {MISSING}")
        return
    with step("Chromium for the browser tours, from Debian's packages"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "-q", "update"], why="apt-get update", env=environment)
        run(["apt-get", "-q", "install", "--yes", "--no-install-recommends", "chromium",
             "chromium-driver"], why="Installing Chromium", env=environment)
