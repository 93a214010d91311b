"""Where do a worker's milliseconds go? `make profile CASE=json2_search_read`, `VARIANT=stock` for the other side.

One server with one worker is asked the same thing over and over while py-spy looks on, twice: once
for a flame graph, once for the tables below. Waiting for PostgreSQL counts, waiting for a call does
not; in the flame graph, click on `process_request` to be rid of the latter. On a busy machine
py-spy tends to look when the worker waits, and overstates waiting.
"""

import argparse
import contextlib
import itertools
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import setup
from .bench import auditlog
from .bench.cases import CASES, Implausible, checked
from .bench.client import Client
from .bench.report import table
from .bench.variants import AUDITLOG, GUARD, VARIANTS, running
from .layout import ADDON, DEV, VENV
from .steps import Stop, say, step

_WARM = 20
_RATE = 250  # looks per second
_LINES = 25
_FIRST_KEYS = 3000  # for the case that uses one up in each call
_SERVING = re.compile(r"(.*\.)?process_request \(")  # the worker's frame below which a call is served
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>.*?)(:(?P<line>\d+))?\)")


def run(*arguments):
    options = _options(arguments)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    setup.ensure()
    if options.variant == AUDITLOG:
        auditlog.ensure()
    first_keys = _FIRST_KEYS if options.case == "xmlrpc_first_call" else 0
    suffix = "" if options.variant == GUARD else f"-{options.variant}"
    graph = DEV / f"profile-{options.case}{suffix}.svg"
    with running((options.variant,), first_keys=first_keys, workers=1) as [variant]:
        stacks, calls = _record(CASES[options.case], variant, options.seconds, graph)
    say(f"\n{options.case} on {options.variant}, under py-spy: {calls.mean_ms:.2f} ms per call, {calls.count} calls")
    _tell(Profile(stacks, calls.mean_ms))
    say(f"\nFlame graph: {graph}")
    return 0


def _options(arguments):
    parser = argparse.ArgumentParser(prog="make profile")
    parser.add_argument("--case", default="json2_search_read")
    parser.add_argument("--variant", default=GUARD, choices=VARIANTS)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args(arguments)
    if options.case not in CASES:
        raise Stop(f"There is no case {options.case}. There are: {', '.join(CASES)}")
    return options


# ---------------------------------------------------------------------- recording


class Calls(threading.Thread):
    """One client that makes the same call until it is told to stop."""

    def __init__(self, case, variant):
        super().__init__(daemon=True)
        self._case, self._variant, self._stopped = case, variant, threading.Event()
        self.milliseconds, self.error = [], None

    def run(self):
        client = Client(self._variant.port)
        for n in itertools.count():
            if self._stopped.is_set():
                break
            try:
                answer = client.send(self._case.request(self._variant, 0, n))
                checked(self._case, self._variant, answer)
            except IndexError:  # no key is left that was never used
                break
            except Exception as error:
                self.error = error
                break
            self.milliseconds.append(answer.ms)
        client.close()

    def stop(self):
        self._stopped.set()
        self.join()
        if isinstance(self.error, Implausible):
            raise Stop(str(self.error))
        if self.error:
            raise self.error

    @property
    def count(self):
        return len(self.milliseconds)

    @property
    def mean_ms(self):
        return sum(self.milliseconds) / max(1, self.count)


def _record(case, variant, seconds, graph):
    """Write the flame graph; return the stacks [(frames, count)] and the calls that were made meanwhile."""
    [pid] = variant.server.pids()
    calls = Calls(case, variant)
    calls.start()
    try:
        while calls.count < _WARM and calls.is_alive():
            time.sleep(0.05)
        del calls.milliseconds[:]
        with step(f"{case.name}: a flame graph, then the same for the tables ({2 * seconds} s)"), _raw_file() as raw:
            _look(pid, graph, seconds, "--format=flamegraph")
            _look(pid, raw, seconds, "--format=raw", "--full-filenames")
            return list(_stacks(raw.read_text())), calls
    finally:
        calls.stop()


@contextlib.contextmanager
def _raw_file():
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        yield Path(folder, "stacks")


def _look(pid, path, seconds, *options):
    command = [VENV / "bin" / "py-spy", "record", "--pid", pid, "--output", path, "--duration", seconds,
               "--rate", _RATE, "--idle", "--function", *options]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode or not path.exists():
        raise Stop(
            f"py-spy could not look into the worker: {(result.stderr or result.stdout).strip()[-1500:]}\n"
            "It needs the right to trace a process that it did not start: run as root, or set "
            "kernel.yama.ptrace_scope to 0 for a while."
        )


def _stacks(text):
    """[(frames from the worker's serving downwards, how often seen)], without the waiting for a call."""
    for line in text.splitlines():
        stack, _space, count = line.rpartition(" ")
        frames = stack.split(";")
        serving = next((at for at, frame in enumerate(frames) if _SERVING.match(frame)), None)
        if serving is not None:
            yield frames[serving:], int(count)


# ---------------------------------------------------------------------- reading


@dataclass
class Profile:
    """Milliseconds per call, by function: `own` in it alone, `total` with all that it calls."""

    stacks: list
    call_ms: float
    own: Counter = field(default_factory=Counter)
    total: Counter = field(default_factory=Counter)
    by_origin: Counter = field(default_factory=Counter)
    under_guard: Counter = field(default_factory=Counter)

    def __post_init__(self):
        everything = sum(count for _frames, count in self.stacks)
        if not everything:
            raise Stop("py-spy saw no call being served.")
        for frames, count in self.stacks:
            self._add(frames, self.call_ms * count / everything)

    def _add(self, frames, ms):
        functions = [_function(frame) for frame in frames]
        self.own[functions[-1]] += ms
        self.by_origin[functions[-1].origin] += ms
        for function in set(functions):
            self.total[function] += ms
        # What a frame of the addon does not hand back to Odoo's own work is the addon's doing.
        at = max((at for at, function in enumerate(functions) if function.origin == ADDON), default=None)
        if at is not None and not _hands_over(functions[at], next(iter(functions[at + 1:]), None)):
            self.under_guard[functions[at]] += ms


@dataclass(frozen=True)
class Function:
    name: str
    place: str  # file below odoo/ or api_guard/, and the function's first line
    origin: str  # api_guard, odoo, psycopg2, … or python

    def __str__(self):
        return f"{self.name}  {self.place}"


def _function(frame):
    parts = _FRAME.fullmatch(frame)
    if not parts:
        return Function(frame, "", "other")
    path = parts["file"]
    found = re.search(r"/(api_guard|odoo|psycopg2|werkzeug|passlib|lxml|auditlog)/(?!.*/\1/)(.*)", path)
    if "/addons/api_guard/" in path:
        found = re.search(r"/(api_guard)/(.*)", path)
    origin, rest = (found[1], found[2]) if found else ("python", Path(path).name)
    place = f"{origin}/{rest}" if found else rest
    return Function(parts["name"], f"{place}:{parts['line']}" if parts["line"] else place, origin)


def _hands_over(function, below):
    """Does this frame of the addon only pass on to the function of Odoo that it overrides or wraps?

    The commit does not count as such: Odoo's own commit of a call that only reads costs next to
    nothing, but the one that carries the entry waits for the disk. (For a call that writes, Odoo
    would have waited as well.)
    """
    name = _bare(function)
    return name == "check_password" or (below is not None and name != "commit" and name == _bare(below))


def _bare(function):
    return function.name.rpartition(".")[2]


def _tell(profile):
    say(f"\nBy origin, ms per call: {', '.join(f'{name} {ms:.2f}' for name, ms in profile.by_origin.most_common())}")
    ours = {function: ms for function, ms in profile.total.items() if function.origin == ADDON}
    for title, counts in (
        ("The addon's functions with all that they call (wrappers hold Odoo's own work, too)", Counter(ours)),
        ("Done for the addon: each moment under its innermost function, without the wrappers", profile.under_guard),
        ("Odoo's and the addon's functions with all that they call", _of(profile.total, ADDON, "odoo")),
        ("Functions by themselves", profile.own),
    ):
        say(f"\n{title}")
        say(_table(counts, profile.call_ms))
    say(f"\nDone for the addon in all: {sum(profile.under_guard.values()):.2f} ms of {profile.call_ms:.2f}")


def _of(counts, *origins):
    return Counter({function: ms for function, ms in counts.items() if function.origin in origins})


def _table(counts, call_ms):
    rows = [["ms", "share", "function", ""]]
    rows += [[f"{ms:.3f}", f"{ms / call_ms:.1%}", function.name, function.place]
             for function, ms in counts.most_common(_LINES)]
    return table([[" " * 2 + row[0], row[1], f"{row[2]}  {row[3]}"] for row in rows])
