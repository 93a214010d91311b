"""Where does OCA's audit log come from? A pinned wheel, unpacked into a folder of its own below `.dev`."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from .. import python_env
from ..layout import CACHE, DEV, PYTHON
from ..steps import alone, run

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = DEV / "auditlog"
ADDONS = FOLDER / "odoo" / "addons"  # an addons path: the wheel lays its files out for a namespace package


def ensure():
    """Fetch the wheel once; its hash is checked, its dependencies (Odoo itself) are not fetched."""
    stamp = FOLDER / ".complete"
    with alone("auditlog"):
        if not stamp.exists() or stamp.read_text() != digest():
            _install()
            stamp.write_text(digest())
    return ADDONS


def version():
    return REQUIREMENTS.read_text().partition("==")[2].split()[0]


def digest():
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _install():
    shutil.rmtree(FOLDER, ignore_errors=True)
    environment = {**os.environ, "UV_CACHE_DIR": str(CACHE / "uv"), **python_env._index()}
    command = [python_env._uv(), "pip", "install", "--python", PYTHON, "--target", FOLDER, "--no-deps",
               "--require-hashes", "--requirement", REQUIREMENTS]
    offline = subprocess.run([*map(str, command), "--offline"], env=environment, capture_output=True)
    if offline.returncode:
        run(command, why="Fetching OCA's auditlog", env=environment)
