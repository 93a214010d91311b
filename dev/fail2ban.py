"""Which lines of a log does a fail2ban filter match? Asked of the real `fail2ban-regex`.

    from dev import fail2ban

    fail2ban.hosts(log_path, filter_path)          # ["192.0.2.7"], one for each line that counts
    fail2ban.regex("one line", filter_path).stdout # the report: lines matched, missed, ignored

The program is the machine's own, else Debian's, unpacked into the cache. Nothing is ever banned.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import debian
from .layout import RUN

PACKAGES = ("fail2ban",)
RECIPE = 1  # raise it when the packages change
OTHERWISE = "Install fail2ban and run again."


class Fail2banFailed(Exception):
    """fail2ban-regex could not read the filter or the log; the message is what it printed."""


def ensure():
    """Return (command, variables, folder of the configuration), fetching fail2ban once per user."""
    if own := shutil.which("fail2ban-regex"):
        return [own], {}, Path("/etc/fail2ban")
    root = debian.unpacked("fail2ban", PACKAGES, title="fail2ban", recipe=RECIPE, otherwise=OTHERWISE)
    packages = root / "usr/lib/python3/dist-packages"
    # Its first line names a Python that may not be there.
    command = [sys.executable, str(root / "usr/bin/fail2ban-regex")]
    environment = {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
    return command, environment, root / "etc/fail2ban"


def regex(log, filter_file, *options):
    """Run fail2ban-regex on a log (a Path, or a line as text) and return the completed process.

    It exits with 0 also when no line matches. The filter lies among fail2ban's own for the run,
    so `before = common.conf` finds what it would find in /etc/fail2ban.
    """
    command, environment, configuration = ensure()
    RUN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUN, prefix="fail2ban-") as folder:
        name = _among_filters(Path(folder), Path(filter_file), configuration)
        # A Path is a file and a text a line: left to guess, a mistyped path would be a line.
        subject = str(log.resolve(strict=True)) if isinstance(log, Path) else log
        return subprocess.run(
            [*command, "--config", folder, *options, subject, name], capture_output=True, text=True,
            env={**os.environ, **environment}, cwd=folder, stdin=subprocess.DEVNULL,
        )


def hosts(log, filter_file):
    """Return the address of each line of the log that counts as a failure, in order."""
    result = regex(log, filter_file, "--out", "ip")
    if result.returncode:
        raise Fail2banFailed(result.stdout + result.stderr)
    return result.stdout.split()


def _among_filters(folder, filter_file, configuration):
    """Lay out a configuration with one more filter, and return that filter's name."""
    filters = folder / "filter.d"
    filters.mkdir()
    for own in (configuration / "filter.d").iterdir():
        (filters / own.name).symlink_to(own)
    (folder / "fail2ban.conf").symlink_to(configuration / "fail2ban.conf")
    ours = filters / f"{filter_file.stem}.conf"
    ours.unlink(missing_ok=True)  # an installed filter of that name is not the one to ask
    shutil.copy(filter_file, ours)
    return ours.stem
