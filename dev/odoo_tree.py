"""Where does Odoo 19 come from? A developer's own `ODOO_HOME`, or Debian's package, unpacked.

PyPI has no Odoo server. Debian's `odoo-19` lies in the suite sid and cannot be installed on a
stable Debian, but its files need nothing from sid: they are unpacked into the cache, once per
version, and `.dev/odoo` links there.
"""

import os
import re
import shutil
from pathlib import Path

from . import debian
from .layout import CACHE, NODE, ODOO, link
from .steps import Stop, need_space, say, step, workshop

# The version this environment was verified with; sid keeps only the newest, so a newer one is
# taken, and said, when this one is gone.
VERSION = "19.0.0+dfsg-1"
# Raise it when the recipe below changes, and older trees are left behind.
RECIPE = 1
# Odoo's package links files of these into its tree; without them the login page is an error.
LINKED = (
    "libjs-jquery", "libjs-underscore", "libjs-jquery-form", "fonts-roboto-unhinted",
    "fonts-montserrat", "fonts-inconsolata", "fonts-ocr-b", "fonts-glyphicons-halflings",
    # Debian 12's: newer ones have no .ttf where Odoo looks.
    "fonts-font-awesome/bookworm",
)
OTHERWISE = (
    "Point ODOO_HOME at an Odoo 19 (a source checkout or an installed package) and run again."
)


def ensure():
    """Make `.dev/odoo` lead to an Odoo 19."""
    if home := os.environ.get("ODOO_HOME"):
        _check(Path(home).resolve())
        link(ODOO, Path(home).resolve())
    elif not _is_ours(ODOO):
        link(ODOO, _cached() or _build())


def _is_ours(tree):
    return tree.is_symlink() and tree.readlink().parent == CACHE and tree.exists()


def _cached():
    """Return the tree that another checkout has unpacked: the pinned version, else the newest."""
    trees = sorted(CACHE.glob(f"odoo-*-recipe{RECIPE}"))
    pinned = CACHE / f"odoo-{VERSION}-recipe{RECIPE}"
    return pinned if pinned in trees else (trees or [None])[-1]


def _build():
    with workshop("odoo") as work:
        if tree := _cached():  # another checkout was faster
            return tree
        with step("Odoo 19 from Debian's packages: downloading (about 130 MB)"):
            need_space(CACHE, 1800, "Odoo 19")
            debs = _download(work)
        with step("Odoo 19: unpacking (1.3 GB, once per user)"):
            root = debian.unpack(debs, work / "root")
            _add_missing_script(root)
            tree = CACHE / f"odoo-{_version(debs)}-recipe{RECIPE}"
            root.rename(tree)
            shutil.rmtree(CACHE / "debs")
    return tree


def _download(work):
    """Fetch the packages into the cache, where an interrupted download goes on, and return them."""
    apt = debian.read_lists(work, ["sid", "bookworm"], OTHERWISE)
    return debian.download(apt, [_pinned_or_newest(apt), *LINKED], CACHE / "debs", "Odoo")


def _pinned_or_newest(apt):
    newest, told = debian.policy(apt, "odoo-19")
    if VERSION in told:
        return f"odoo-19={VERSION}"
    if not newest:
        raise Stop(f"Debian no longer has odoo-19. {OTHERWISE}")
    say(f"  ! Debian has odoo-19 {newest} now; this addon was verified with {VERSION}.")
    return f"odoo-19={newest}"


def _version(debs):
    return next(deb.name.split("_")[1] for deb in debs if deb.name.startswith("odoo-19_"))


def _add_missing_script(root):
    """Put back the one script that Debian removed, or every browser tour fails with `mail`."""
    name = "selfie_segmentation.js"
    target = root / "usr/lib/python3/dist-packages/odoo/addons/mail/static/lib/selfie_segmentation"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(NODE / "node_modules/@mediapipe/selfie_segmentation" / name, target / name)


# ------------------------------------------------------------------ an Odoo, however laid out


def _check(home):
    if not any((home / name).exists() for name in LAUNCHERS):
        raise Stop(f"ODOO_HOME is {home}, and no {' or '.join(LAUNCHERS)} is there.")
    release = (package(home) / "release.py").read_text()
    if not re.search(r"version_info\s*=\s*\(\s*19\b", release):
        raise Stop(f"ODOO_HOME is {home}, and that is not an Odoo 19.")


LAUNCHERS = ("odoo-bin", "bin/odoo", "usr/bin/odoo")


def launcher(home=ODOO):
    """Return the script that starts Odoo; `python -m odoo` loses the evented worker."""
    return next(home / name for name in LAUNCHERS if (home / name).exists())


def package(home=ODOO):
    """Return the folder of the Python package `odoo`."""
    for pattern in ("odoo", "lib/python3*/*-packages/odoo", "usr/lib/python3/dist-packages/odoo"):
        for found in sorted(home.glob(pattern)):
            if (found / "release.py").exists():
                return found
    raise Stop(f"No Odoo package below {home}.")


def addons_paths(home=ODOO):
    """Return Odoo's own addons folders that exist, the source checkout's second one included."""
    candidates = (home / "addons", package(home) / "addons")
    return [path for path in candidates if path.is_dir()]


def identity(home=ODOO):
    """Return a string that changes when Odoo does, so that prepared databases follow it."""
    release = package(home) / "release.py"
    return f"{home.resolve()} {release.stat().st_mtime_ns}"
