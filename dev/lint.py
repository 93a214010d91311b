"""What can a machine find in the code without running it? `make lint`."""

import os
import subprocess
from xml.etree import ElementTree

from . import setup
from .layout import ADDON, ADDONS, NODE, PYTHON, ROOT, VENV
from .steps import say, step


def run():
    """Run every linter, also after one has found something; return an exit code."""
    setup.ensure_tools()
    found = []
    for check in (_ruff, _pylint_odoo, _xml, _prettier, _eslint):
        with step(check.__doc__.splitlines()[0]):
            if not check():
                found.append(check.__name__.strip("_"))
    say(f"✘ Found something: {', '.join(found)}" if found else "✔ Nothing found")
    return int(bool(found))


def _ruff():
    """ruff: the rules of pyproject.toml"""
    return _succeeds(VENV / "bin" / "ruff", "check", "--quiet", "--output-format=concise", ".")


def _pylint_odoo():
    """pylint-odoo: Odoo's own traps"""
    # By the link, because it takes the addon's name from its folder.
    return _succeeds(
        PYTHON, "-m", "pylint", f"--rcfile={ROOT / 'pyproject.toml'}", "--score=no",
        # What only the OCA asks of its own addons.
        "--disable=manifest-required-author,missing-readme", ADDON, cwd=ADDONS,
    )


def _xml():
    """XML: well-formed"""
    broken = [*filter(None, map(_broken, _files("*.xml")))]
    for line in broken:
        say(f"  {line}")
    return not broken


def _broken(path):
    try:
        ElementTree.parse(path)  # noqa: S314  our own files
    except ElementTree.ParseError as error:
        return f"{path.relative_to(ROOT)}: {error}"
    return None


def _prettier():
    """prettier: the look of static/src"""
    # What git does not track prettier must still read, and .dev it must not.
    return not _scripts("js", "scss") or _succeeds(
        NODE / "node_modules/.bin/prettier", "--check", "--log-level=warn",
        f"--config={ROOT / 'dev' / 'prettier.json'}", *_scripts("js", "scss"),
    )


def _eslint():
    """eslint: static/src"""
    return not _scripts("js") or _succeeds(
        NODE / "node_modules/.bin/eslint", f"--config={ROOT / 'dev' / 'eslint.config.mjs'}",
        "--no-warn-ignored", *_scripts("js"),
    )


def _scripts(*kinds):
    return [path for kind in kinds for path in sorted((ROOT / "static" / "src").rglob(f"*.{kind}"))]


def _files(pattern):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    return [path for path in map(ROOT.joinpath, listed.stdout.split("\n")[:-1]) if path.exists()]


def _succeeds(*command, cwd=ROOT):
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
    words = list(map(str, command))
    return subprocess.run(words, cwd=cwd, env=environment, check=False).returncode == 0
