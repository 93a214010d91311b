"""Where does everything of the development environment lie? Used by all of `dev`.

Two places: `.dev/` in the checkout, thrown away at will, and a per-user cache of downloads that
a second clone reuses. Both are made by `make setup`; git sees neither.
"""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / ".dev"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "api_guard"

ADDON = "api_guard"
ADDONS = DEV / "addons"
VENV = DEV / "venv"
PYTHON = VENV / "bin" / "python"
NODE = DEV / "node"
ODOO = DEV / "odoo"
ODOO_CONF = DEV / "odoo.conf"
DATA = DEV / "data"
LOG = DEV / "log"
RUN = DEV / "run"

# Tells two checkouts apart wherever a path must be short or outside of the checkout.
TAG = hashlib.sha256(str(DEV).encode()).hexdigest()[:8]


def make_folders():
    """Make the folders that every step counts on."""
    for folder in (CACHE, ADDONS, DATA, LOG, RUN):
        folder.mkdir(parents=True, exist_ok=True)
    link(ADDONS / ADDON, ROOT)


def link(path, target):
    """Point the symbolic link `path` at `target`, replacing an older link in one move."""
    if path.is_symlink() and path.readlink() == Path(target):
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(path)
