"""Where does Odoo 19 come from? A developer's own `ODOO_HOME`, or Debian's package, unpacked.

PyPI has no Odoo server. Debian's `odoo-19` lies in the suite sid and cannot be installed on a
stable Debian, but its files need nothing from sid: they are unpacked into the cache, once per
version, and `.dev/odoo` links there.
"""

import os
import re
import shutil
from pathlib import Path

from .layout import CACHE, NODE, ODOO, link
from .steps import Stop, need_space, run, say, step, workshop

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
DEBIAN_SUITES = re.compile(
    r"(bookworm|trixie|forky|duke|sid|stable|testing|unstable|oldstable)(-updates)?$"
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
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Stop(
            "Odoo is taken from Debian's packages and this machine has no apt-get. Point "
            "ODOO_HOME at an Odoo 19 (a source checkout or an installed package) and run again."
        )
    with workshop("odoo") as work:
        if tree := _cached():  # another checkout was faster
            return tree
        with step("Odoo 19 from Debian's packages: downloading (about 130 MB)"):
            need_space(CACHE, 1800, "Odoo 19")
            debs = _download(work)
        with step("Odoo 19: unpacking (1.3 GB, once per user)"):
            root = work / "root"
            for deb in debs:
                run(["dpkg", "-x", deb, root], why=f"Unpacking {deb.name}")
            _add_missing_script(root)
            tree = CACHE / f"odoo-{_version(debs)}-recipe{RECIPE}"
            root.rename(tree)
            shutil.rmtree(CACHE / "debs")
    return tree


def _download(work):
    """Fetch the packages into the cache, with package lists of their own, and return them."""
    debs = CACHE / "debs"
    for folder in (debs, work / "lists/partial", work / "archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    sources = work / "sources.list"
    sources.write_text(_sources())
    options = {
        "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": work / "lists", "Dir::Cache": work,
        "Dir::State::Status": "/dev/null",
        "APT::Sandbox::User": "root",  # the cache is the user's own, not the user _apt's
        "Acquire::Languages": "none", "Acquire::Retries": "3",
        "Dpkg::Use-Pty": "0",
    }
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items())]
    # apt-get update ends well without a network; only a strict one tells.
    run([*apt, "-oAPT::Update::Error-Mode=any", "update"], why="Reading Debian's list of packages")
    wanted = [_pinned_or_newest(apt), *LINKED]
    # What an interrupted run has fetched, apt checks and keeps.
    run([*apt, "download", *wanted], why="Downloading Odoo", cwd=debs)
    return [_newest(debs, name) for name in wanted]


def _pinned_or_newest(apt):
    policy = run(["apt-cache", *apt[2:], "policy", "odoo-19"], why="Looking for odoo-19")
    if VERSION in policy:
        return f"odoo-19={VERSION}"
    candidate = re.search(r"Candidate: (\S+)", policy)
    if not candidate or candidate[1] == "(none)":
        raise Stop("Debian no longer has odoo-19. Point ODOO_HOME at an Odoo 19 and run again.")
    say(f"  ! Debian has odoo-19 {candidate[1]} now; this addon was verified with {VERSION}.")
    return f"odoo-19={candidate[1]}"


def _newest(debs, name):
    found = debs.glob(f"{re.split('[=/]', name)[0]}_*.deb")
    return max(found, key=lambda deb: deb.stat().st_mtime)


def _version(debs):
    return next(deb.name.split("_")[1] for deb in debs if deb.name.startswith("odoo-19_"))


def _add_missing_script(root):
    """Put back the one script that Debian removed, or every browser tour fails with `mail`."""
    name = "selfie_segmentation.js"
    target = root / "usr/lib/python3/dist-packages/odoo/addons/mail/static/lib/selfie_segmentation"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(NODE / "node_modules/@mediapipe/selfie_segmentation" / name, target / name)


# ------------------------------------------------------------------ Debian's mirror


def _sources():
    """Return an apt source list for sid and bookworm at this machine's own Debian mirror."""
    for options, uri, suite in _configured():
        if DEBIAN_SUITES.match(suite):
            # Without Signed-By apt asks all the keys that it trusts.
            return "".join(f"deb {options}{uri} {wanted} main\n" for wanted in ("sid", "bookworm"))
    raise Stop(
        "No Debian mirror is configured for apt on this machine (is it a Debian?). Point "
        "ODOO_HOME at an Odoo 19 and run again."
    )


def _configured():
    """Yield (options, URI, suite) of each apt source, in both of apt's formats."""
    etc = Path("/etc/apt")
    for path in (*sorted((etc / "sources.list.d").glob("*.sources")),):
        yield from _deb822(path.read_text())
    for path in (etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))):
        if path.exists():
            yield from _one_line(path.read_text())


def _deb822(text):
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {
            key.lower(): value.split() for key, value in re.findall(r"(?m)^([\w-]+):(.*)$", stanza)
        }
        if "deb" not in fields.get("types", []) or fields.get("enabled", ["yes"]) == ["no"]:
            continue
        key = fields.get("signed-by", [""])
        options = f"[signed-by={key[0]}] " if key and key[0].startswith("/") else ""
        for uri in fields.get("uris", []):
            yield from ((options, uri, suite) for suite in fields.get("suites", []))


def _one_line(text):
    for match in re.finditer(r"(?m)^\s*deb\s+(\[[^]]*\]\s*)?(\S+)\s+(\S+)", text):
        yield (match[1] or "", match[2], match[3])


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
