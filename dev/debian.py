"""How does one get at the files of Debian's packages without installing them, and without root?

They are fetched with package lists of our own from the mirror that this machine's apt is told to
use, and unpacked into the cache. Used for Odoo, Redis and fail2ban; knows none of them.
"""

import re
import shutil
from pathlib import Path

from .layout import CACHE
from .steps import Stop, need_space, run, step, workshop

SUITES = re.compile(
    r"(bookworm|trixie|forky|duke|sid|stable|testing|unstable|oldstable)(-updates)?$"
)
NEEDED = 100  # MB, of which the package lists take the most


def unpacked(name, packages, *, title, recipe, otherwise):
    """Return the folder of the cache with the files of Debian 12's `packages`, fetched once per user.

    Another `recipe` makes another folder. `otherwise` is what to do on a machine without apt.
    """
    tree = CACHE / f"{name}-recipe{recipe}"
    if tree.exists():
        return tree
    with workshop(name) as work:
        if not tree.exists():  # another checkout was not faster
            with step(f"{title} from Debian's packages, once per user"):
                need_space(CACHE, NEEDED, title)
                apt = read_lists(work, ["bookworm"], otherwise)
                debs = download(apt, packages, work / "debs", title)
                unpack(debs, work / "root").rename(tree)
    return tree


def read_lists(work, suites, otherwise):
    """Read the package lists of `suites` into the folder `work`; return apt's options to use them."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Stop(f"This machine has no apt-get to fetch Debian's packages with. {otherwise}")
    for folder in (work / "lists/partial", work / "archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    sources = work / "sources.list"
    sources.write_text(_sources(suites, otherwise))
    options = {
        "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": work / "lists", "Dir::Cache": work,
        "Dir::State::Status": "/dev/null",
        "APT::Sandbox::User": "root",  # the cache is the user's own, not the user _apt's
        "Acquire::Languages": "none", "Acquire::Retries": "3",
        "Dpkg::Use-Pty": "0",
    }
    apt = ["-q", *(f"-o{key}={value}" for key, value in options.items())]
    # apt-get update ends well without a network; only a strict one tells.
    strict = "-oAPT::Update::Error-Mode=any"
    run(["apt-get", *apt, strict, "update"], why="Reading Debian's list of packages")
    return apt


def policy(apt, name):
    """Return (the version apt would take or None, all that it says of the package)."""
    told = run(["apt-cache", *apt, "policy", name], why=f"Looking for {name}")
    found = re.search(r"Candidate: (\S+)", told)
    return (found[1] if found and found[1] != "(none)" else None), told


def download(apt, packages, folder, title):
    """Fetch `packages` (a name, name=version or name/suite each) and return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    # What an interrupted run has fetched, apt checks and keeps.
    run(["apt-get", *apt, "download", *packages], why=f"Downloading {title}", cwd=folder)
    return [_newest(folder, name) for name in packages]


def _newest(folder, name):
    found = folder.glob(f"{re.split('[=/]', name)[0]}_*.deb")
    return max(found, key=lambda deb: deb.stat().st_mtime)


def unpack(debs, root):
    """Unpack package files into one tree and return it."""
    for deb in debs:
        run(["dpkg", "-x", deb, root], why=f"Unpacking {deb.name}")
    return root


def libraries(root):
    """Return the folders with the shared libraries of a tree, as LD_LIBRARY_PATH wants them."""
    return ":".join(str(folder) for folder in sorted(root.glob("usr/lib/*-linux-gnu*")))


# ------------------------------------------------------------------ Debian's mirror


def _sources(suites, otherwise):
    """Return an apt source list for the suites at this machine's own Debian mirror."""
    for options, uri, suite in _configured():
        if SUITES.match(suite):
            # Without Signed-By apt asks all the keys that it trusts.
            return "".join(f"deb {options}{uri} {wanted} main\n" for wanted in suites)
    raise Stop(f"No Debian mirror is configured for apt on this machine (is it a Debian?). {otherwise}")


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
