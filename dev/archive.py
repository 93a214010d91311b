"""What does an administrator unpack into an addons folder? `make zip`.

The addon as git has it: .gitattributes names what stays behind.
"""

import ast
import subprocess
import zipfile

from .layout import ADDON, ROOT
from .steps import Stop, say, step

# Whoever adds a developer's file must not ship it by accident.
DEVELOPER_ONLY = ("dev/", ".ci/", "Makefile", "pyproject.toml", ".git")


def run():
    """Write dist/api_guard-VERSION.zip and look into it."""
    version = ast.literal_eval((ROOT / "__manifest__.py").read_text())["version"]
    path = ROOT / "dist" / f"{ADDON}-{version}.zip"
    path.parent.mkdir(exist_ok=True)
    with step(f"The archive {path.relative_to(ROOT)}"):
        _git("archive", "--format=zip", f"--prefix={ADDON}/", f"--output={path}", "HEAD")
        count = _inspect(path)
    if _git("status", "--porcelain"):
        say("  ! It holds the last commit; your uncommitted changes are not in it.")
    say(f"✔ {path}: {count} files, {path.stat().st_size // 1024} kB")
    return 0


def _inspect(path):
    with zipfile.ZipFile(path) as archive:
        names = [name.removeprefix(f"{ADDON}/") for name in archive.namelist()]
    stray = [name for name in names if name.startswith(DEVELOPER_ONLY)]
    if stray or "__manifest__.py" not in names:
        raise Stop(f"The archive is wrong, look at .gitattributes: {stray or 'no manifest'}")
    return sum(not name.endswith("/") for name in names)


def _git(*arguments):
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        raise Stop(f"git {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout
