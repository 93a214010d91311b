"""The measurement from its first database to its last line. `make attack`, `make attack QUICK=1 DOORS=…`.

One server at a time, attacked at one door in one manner; then the next, which finds everything as
it was. Meanwhile a program with a valid key works, and halfway somebody who is attacked logs in.
"""

import argparse
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from .. import postgres, setup
from ..steps import Stop, say, step
from . import person, report
from .child import Child
from .doors import DOORS, IN
from .manners import MANNERS
from .variants import BURNT, COUNTED, prepared, started
from .variants import counts as read_counts

PACE = 10  # calls of the program, per second
WARM_CALLS = 20  # of the program, so that every worker has loaded what it needs
QUICK_DOORS = ("xmlrpc_login", "xmlrpc_object", "json2_prefix", "web_session", "web_code", "db_service")
QUICK_MANNERS = ("one", "networks")


@dataclass(frozen=True)
class Sizes:
    """Seconds of the attack and of the quiet before it; connections of the attacker."""

    seconds: float = 60
    quiet: float = 20
    connections: int = 20


QUICK = Sizes(seconds=6, quiet=3)


def run(*arguments):
    options = _options(arguments)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)  # so that everything is cleaned up
    setup.ensure()
    try:
        rows = measure(options.pairs, options.sizes)
    finally:
        postgres.stop_unless_used()
    say(f"\n{report.write(rows, asdict(options.sizes))}")
    return int(any(_opened(row) for row in rows))


def _options(arguments):
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a trial of a few minutes: some doors, some seconds each")
    parser.add_argument("--doors", type=_names(DOORS), help=f"some of {', '.join(DOORS)}")
    parser.add_argument("--manners", type=_names(MANNERS), help=f"some of {', '.join(MANNERS)}")
    parser.add_argument("--seconds", type=float, help="of each attack")
    parser.add_argument("--connections", type=int, help=f"of the attacker; {Sizes.connections}")
    options = parser.parse_args(arguments)
    doors = options.doors or (QUICK_DOORS if options.quick else tuple(DOORS))
    manners = options.manners or (QUICK_MANNERS if options.quick else tuple(MANNERS))
    options.pairs = [(door, manner) for door in doors for manner in manners if _makes_sense(door, manner)]
    options.sizes = _sizes(options)
    if not options.pairs:
        raise Stop("The master password has no logins: choose another manner.")
    return options


def _sizes(options):
    sizes = QUICK if options.quick else Sizes()
    if options.seconds:
        sizes = replace(sizes, seconds=options.seconds, quiet=min(Sizes.quiet, max(1, options.seconds / 2)))
    return replace(sizes, connections=options.connections or sizes.connections)


def _names(known):
    def names(text):
        wanted = [name for name in text.replace(",", " ").split() if name]
        if strange := set(wanted) - set(known):
            raise argparse.ArgumentTypeError(f"no {', '.join(sorted(strange))}; there are {', '.join(known)}")
        return wanted
    return names


def _makes_sense(door, manner):
    """A door that asks for no login is not attacked in the manners that differ by the login alone."""
    return DOORS[door].victims != "master" or manner not in ("logins", "siege")


def measure(pairs, sizes):
    """Return a row for each (door, manner): {door, manner, stock: …, guarded: …}."""
    quiet, rows = {}, []
    say(f"{2 * len(pairs)} attacks, about {_minutes(pairs, sizes):.0f} minutes")
    with prepared() as variants:
        for door, manner in pairs:
            row = {"door": door, "manner": manner}
            for variant in variants:
                with step(f"{len(rows) + 1}/{len(pairs)} {door}, {MANNERS[manner].title}: {variant.name}"):
                    row[variant.name] = _attack(variant, door, manner, sizes, quiet)
                say(f"  {report.line(row[variant.name])}")
            rows.append(row)
    return rows


def _minutes(pairs, sizes):
    each = 2 * len(pairs) * (sizes.seconds + 8)  # seconds to copy the database, and to start and stop the server
    return (each + 2 * len({door for door, _manner in pairs}) * sizes.quiet + 60) / 60


def _opened(row):
    return any(IN in row[name]["answers"] for name in ("stock", "guarded"))


# ---------------------------------------------------------------------- one attack


def _attack(variant, door, manner, sizes, quiet):
    """What one attack came to. `quiet`: what the program waits without one, measured once for each door."""
    with started(variant) as server:
        work = variant.job(server, pace=PACE, key=variant.facts["program"]["key"])
        _run_program(work, WARM_CALLS / PACE)
        if (door, variant.name) not in quiet:
            quiet[door, variant.name] = _run_program(work, sizes.quiet)
        victims = variant.facts[DOORS[door].victims]
        job = variant.job(server, door=door, manner=manner, victims=victims, connections=sizes.connections,
                          seconds=sizes.seconds)
        attack, program, checks, entries = _at_once(variant, job, {**work, "seconds": sizes.seconds}, victims[0])
    before = quiet[door, variant.name]
    return {
        **attack, "per_second": sum(attack["answers"].values()) / sizes.seconds,
        "checks": sum(checks[kind] for kind in COUNTED), "burnt": checks[BURNT], "counts": checks,
        "quiet": before, "program": program,
        "p50_ratio": program["p50_ms"] / before["p50_ms"], "p95_ratio": program["p95_ms"] / before["p95_ms"],
        "entries": [asdict(entry) for entry in entries],
    }


def _at_once(variant, job, work, victim):
    """Attack, work and log in: (what the attacker tells, what the program tells, checks by kind, entries)."""
    with Child("attacker", job) as attacker, Child("program", work) as program, ThreadPoolExecutor(1) as pool:
        before = read_counts(variant)
        attacker.go()
        program.go()
        entries = pool.submit(_log_in_halfway, job, victim)
        attack = attacker.result()
        after = read_counts(variant)
        told = program.result()
        return attack, told, {kind: after[kind] - before[kind] for kind in after}, entries.result()


def _log_in_halfway(job, victim):
    time.sleep(job["seconds"] / 2)
    return person.log_in(DOORS[job["door"]], job, victim)


def _run_program(work, seconds):
    with Child("program", {**work, "seconds": seconds}) as program:
        program.go()
        return program.result()
