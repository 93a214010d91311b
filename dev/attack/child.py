"""How is a process of the measurement told to start, at the same moment as the other one?

It gets its job as a line of JSON, prepares, says READY, waits for a line, and prints what came of
it. On both sides of the pipe; nothing here knows what the job is.
"""

import json
import subprocess
import sys

from ..layout import ROOT
from ..steps import Stop

READY = "READY"


def serve(run):
    """The child's side: `run(job, ready)` calls `ready()` when it is prepared, and returns what came of it."""
    def ready():
        print(READY, flush=True)
        sys.stdin.readline()

    print(json.dumps(run(json.loads(sys.stdin.readline()), ready)), flush=True)


class Child:
    """The parent's side: a process that is prepared when this is made; it ends with the `with` block."""

    def __init__(self, name, job):
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{name}"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._tell(json.dumps(job))
        try:
            self._hear(READY)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self._process.kill()
        self._process.communicate()

    def go(self):
        self._tell("")

    def result(self):
        return json.loads(self._hear())

    def _tell(self, line):
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _hear(self, expected=None):
        line = self._process.stdout.readline().strip()
        if not line or expected not in (None, line):
            raise Stop(f"The {self._name} has failed; why, stands above.")
        return line
