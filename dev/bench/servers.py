"""What did some calls cost the server? Processor time, SQL statements and memory of its HTTP workers."""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
# Odoo ends its access line with: statements, seconds in SQL, seconds elsewhere.
_PERF = re.compile(rb" (\d+) \d+\.\d{3} \d+\.\d{3}\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Reading:
    """The meters of one server at one moment."""

    cpu: dict  # worker's pid → seconds
    log_size: int


def read(server):
    return Reading({pid: _cpu_seconds(pid) for pid in server.pids()}, server.log_path.stat().st_size)


def used(server, before, calls):
    """What the calls since `before` took each, on average. None where a worker was replaced meanwhile."""
    after = read(server)
    same = after.cpu.keys() == before.cpu.keys()
    seconds = sum(after.cpu.values()) - sum(before.cpu.values())
    return {
        "cpu_s_per_call": seconds / calls if same else None,
        "sql_per_call": _statements(server, before.log_size, after.log_size) / calls,
        "pss_mib": _mean(_pss_mib(pid) for pid in after.cpu),
    }


def _cpu_seconds(pid):
    """User and system time of a process: in nanoseconds where the kernel tells, else in ticks of 10 ms."""
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
        if nanoseconds := sum(int(task.read_text().split()[0]) for task in tasks):
            return nanoseconds / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _statements(server, start, end):
    with server.log_path.open("rb") as log:
        log.seek(start)
        return sum(map(int, _PERF.findall(log.read(end - start))))


def _pss_mib(pid):
    """The worker's own memory and its share of what it shares with others; None where the kernel keeps it secret.

    Every variant's workers grow by some 12 to 20 MiB at once, at a time of their own in the first
    thousand calls, probably when the first full garbage collection makes shared pages their own.
    Until that has happened everywhere, a difference between variants says nothing.
    """
    with contextlib.suppress(OSError):
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[1]) / 1024 if found else None
    return None


def _mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
