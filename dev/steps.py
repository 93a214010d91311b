"""How does a step say what it does, how long it took, and why it cannot go on?

Used by every script of `dev`; knows nothing of Odoo.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .layout import CACHE, LOG, RUN

BEAT = 15  # seconds without news after which a step says that it is still at work
NO_SPACE = ("No space left on device", "os error 28", "ENOSPC")
NO_NETWORK = (
    "Temporary failure", "Could not resolve", "ENOTFOUND", "EAI_AGAIN", "dns error", "ECONNREFUSED",
    "Connection refused", "Network is unreachable", "error (Connect)", "Could not connect",
)
OFFLINE = (
    "The first run needs the network: a Python package index, Debian's packages and the npm "
    "registry. What was fetched is kept: run the same command again when it is back."
)


class Stop(Exception):
    """What the developer reads instead of a traceback: what is wrong and what to do about it."""


def say(text=""):
    """Print a line now, also when the output is a pipe."""
    print(text, flush=True)


@contextlib.contextmanager
def step(title):
    """Say that a step begins, that it goes on, and how long it took."""
    say(f"→ {title}")
    began, done = time.monotonic(), threading.Event()
    threading.Thread(target=_beat, args=(title, began, done), daemon=True).start()
    try:
        yield
    except OSError as error:
        raise _explained(error, title) from error
    finally:
        done.set()
    say(f"  done in {time.monotonic() - began:.1f} s")


def _beat(title, began, done):
    while not done.wait(BEAT):
        say(f"  … {title}: {time.monotonic() - began:.0f} s")


def _explained(error, title):
    if error.errno == errno.ENOSPC:
        return Stop(f"The disk is full ({title}). Free some space and run the same command again.")
    return error


def run(command, *, why, **options):
    """Run a command quietly and return its output; when it fails, stop and say why."""
    command = [str(word) for word in command]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", **options,
    )
    _log(command, result.stdout)
    if result.returncode:
        raise Stop(failure(result.stdout, why, LOG / "setup.log"))
    return result.stdout


def follow(command, **options):
    """Run a command in the foreground and return its exit code.

    Ctrl-C reaches it as well as us; it is given the time to clean up after itself, where
    subprocess.run would kill it after a quarter of a second.
    """
    with subprocess.Popen([str(word) for word in command], **options) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with contextlib.suppress(KeyboardInterrupt):
                process.wait(timeout=30)
            raise


def failure(output, why, log):
    """Return what to tell of a failed command: the cause if it is a known one, else its end."""
    if any(words in output for words in NO_SPACE):
        return f"{why}: the disk is full. Free some space and run the same command again."
    if any(words in output for words in NO_NETWORK):
        return f"{why}: no network. {OFFLINE}\nThe details are in {log}."
    tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-20:])
    return f"{why} failed:\n{tail}\nAll of it: {log}"


def _log(command, output):
    with contextlib.suppress(OSError), (LOG / "setup.log").open("a") as log:
        log.write(f"$ {' '.join(command)}\n{output}\n")


def need_space(folder, megabytes, what):
    """Stop before a download that cannot end well."""
    free = shutil.disk_usage(folder).free // 2**20
    if free < megabytes:
        raise Stop(
            f"{what} needs {megabytes} MB below {folder}, and {free} MB are free there. "
            "Free some space and run the same command again."
        )


@contextlib.contextmanager
def alone(name, folder=RUN):
    """Let one process at a time through, so that two terminals do not build the same thing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  … another process is busy with {name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def workshop(name):
    """Yield a folder in the cache for something half-made; one at a time, and none stays behind."""
    with alone(name, CACHE):
        for left in CACHE.glob(f".{name}-*"):  # of a run that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=f".{name}-") as folder:
            yield Path(folder)


def is_root():
    return os.geteuid() == 0


def main_or_stop(main):
    """Run `main`, turn a Stop or Ctrl-C into one clear line and an exit code."""
    try:
        sys.exit(main())
    except Stop as stop:
        sys.exit(f"✘ {stop}")
    except KeyboardInterrupt:
        say("\nStopped.")
        sys.exit(130)
    except PermissionError as error:
        sys.exit(f"✘ {error.filename} belongs to another user: was an earlier run root's?")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit("✘ The disk is full. Free some space and run the same command again.")
