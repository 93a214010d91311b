"""Which Python packages does the environment hold? Exactly those of `requirements.lock`.

`uv` installs them in seconds; it lies in the cache, once per version.
"""

import hashlib
import os
import subprocess
import sys

from .layout import CACHE, PYTHON, ROOT, VENV
from .steps import Stop, is_root, need_space, run, step, workshop

UV = "0.13.9"
LOCK = ROOT / "dev" / "requirements.lock"


def ensure():
    """Bring `.dev/venv` to the lock; nothing is done when it is there already."""
    stamp, wanted = VENV / ".complete", _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists():
        return
    with step("Python packages of Odoo, the tests and the tools, from dev/requirements.lock"):
        need_space(CACHE, 1200, "The Python environment")
        stamp.unlink(missing_ok=True)
        _sync(_uv())
        stamp.write_text(wanted)


def lock():
    """Write the lock anew from requirements.in: for all Pythons, with hashes, without hosts."""
    compile_lock = [
        _uv(), "pip", "compile", "--upgrade", "--no-config", "--universal",
        "--python-version=3.10", "--generate-hashes", "--no-emit-index-url", "--no-header",
        "--no-annotate", "--output-file", LOCK, LOCK.with_suffix(".in"),
    ]
    # A machine's own indexes must not leave their hashes in a lock for everybody.
    public = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    run(compile_lock, why="Locking the Python packages", env=public)


def _fingerprint():
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{version} {hashlib.sha256(LOCK.read_bytes()).hexdigest()}"


def _sync(uv):
    environment = {**os.environ, "UV_CACHE_DIR": str(CACHE / "uv"), **_index()}
    base = getattr(sys, "_base_executable", sys.executable)
    run([uv, "venv", "--clear", "--python", base, VENV], why="Making .dev/venv", env=environment)
    sync = [uv, "pip", "sync", "--require-hashes", "--python", PYTHON, LOCK]
    # A second clone finds everything in the cache and then asks no network at all.
    if subprocess.run([*sync, "--offline"], env=environment, capture_output=True).returncode:
        run(sync, why="Installing the Python packages", env=environment)


def _index():
    """Let uv use the package index that pip was told to use: uv does not read pip's settings."""
    if os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL"):
        return {}
    url = os.environ.get("PIP_INDEX_URL") or _pip_setting("global.index-url")
    return {"UV_DEFAULT_INDEX": url} if url else {}


def _pip_setting(name):
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", name], capture_output=True, text=True,
    )
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _uv():
    """Return the pinned uv, fetching it once per user."""
    uv = CACHE / f"uv-{UV}"
    if not uv.exists():
        with workshop("uv") as folder:
            _make_venv(folder)
            pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", f"uv=={UV}"]
            run(pip, why="Fetching uv")
            (folder / "bin/uv").replace(uv)
    return uv


def _make_venv(folder):
    command = [sys.executable, "-m", "venv", folder]
    if subprocess.run(command, capture_output=True).returncode == 0:
        return
    # Debian splits venv out of python3, and the error it gives is a traceback.
    package = f"python3.{sys.version_info.minor}-venv"
    if not is_root():
        raise Stop(f"This Python cannot make a virtual environment: install {package} first.")
    run(["apt-get", "update"], why="apt-get update")
    run(["apt-get", "install", "--yes", package], why=f"Installing {package}")
    run(["rm", "-rf", folder], why="Cleaning up")
    run(command, why="Making a virtual environment")
