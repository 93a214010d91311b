"""Which npm packages does the environment hold? Exactly those of `package-lock.json`."""

import os
import shutil

from .layout import CACHE, NODE, ROOT, VENV
from .steps import run, step

LOCK = ROOT / "dev" / "package-lock.json"


def ensure():
    """Bring `.dev/node` to the lock; node itself is a Python wheel, so nobody needs root."""
    stamp = NODE / ".complete"
    if stamp.exists() and stamp.read_text() == LOCK.read_text():
        return
    with step("npm packages: a client for the tests, linters, a script Debian left out"):
        stamp.unlink(missing_ok=True)
        NODE.mkdir(exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / "dev" / name, NODE)
        npm("ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts")
        stamp.write_text(LOCK.read_text())


def lock():
    """Write the lock anew from package.json; dev/.npmrc keeps hosts out of it."""
    npm("update", "--package-lock-only", "--ignore-scripts", folder=LOCK.parent)


def npm(*arguments, folder=NODE):
    run(
        [VENV / "bin" / "npm", *arguments], why=f"npm {arguments[0]}", cwd=folder,
        env={
            **os.environ,
            "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}",
            "npm_config_cache": str(CACHE / "npm"),
            # Its own patience ends after more than a minute, without a word meanwhile.
            "npm_config_fetch_retry_mintimeout": "1000",
            "npm_config_fetch_retry_maxtimeout": "5000",
        },
    )
