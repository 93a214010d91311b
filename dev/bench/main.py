"""The benchmark from its first database to its last line. `make bench`, `make bench QUICK=1 CASES=…`."""

import argparse
import os
import signal
import time

from .. import setup
from ..steps import Stop, say
from . import auditlog, report, servers, summary, timing
from .cases import CASES, MAX_CLIENTS, SUSTAINED, Implausible
from .load import Load
from .progress import Progress
from .variants import AUDITLOG, GUARD, STOCK, WORKERS, count_entries, running

WRONG_SECRET = "wrong_secret"  # noqa: S105  a name
FIRST_CALL = "xmlrpc_first_call"
QUICK_SECONDS = 104  # of two minutes: the rest is for taking everything down
FULL = {"rounds": 500, "many_rounds": 125, "warm": 30, "sustained": 300, "tries": 10_000}
QUICK = {"rounds": 60, "many_rounds": 12, "warm": 3, "tries": 1_000}


def run(*arguments):
    began = time.monotonic()
    options = _options(arguments)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)  # so that everything is cleaned up
    setup.ensure()
    auditlog.ensure()
    try:
        results = Bench(options, began).run()
    except Implausible as error:
        raise Stop(str(error)) from None
    report.write_json(results)
    say(f"\nAll numbers: {report.JSON}")
    if options.is_whole and not options.quick:
        report.write_results(results)
        say(f"For readers: {report.RESULTS}")
    return 0


def _options(arguments):
    names = (*CASES, SUSTAINED.name, WRONG_SECRET)
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true", help="ends within two minutes")
    parser.add_argument("--cases", default="", help=f"some of {', '.join(names)}")
    options = parser.parse_args(arguments)
    wanted = [name for name in options.cases.replace(",", " ").split() if name]
    if strange := set(wanted) - set(names):
        raise Stop(f"There is no case {', '.join(sorted(strange))}. There are: {', '.join(names)}")
    options.is_whole = not wanted
    options.wanted = wanted or [name for name in names if name != WRONG_SECRET]
    return options


def _told(part):
    """A part in words: "json2_write", "json2_write with 8 clients"."""
    _method, *arguments = part
    if not arguments:
        return "the long run"
    case, clients = arguments
    return case.name if clients == 1 else f"{case.name} with {clients} clients"


class Bench:
    """One run. `_parts`: what is still to be done, so that a quick run shares its time among them."""

    def __init__(self, options, began):
        self._options = options
        self._sizes = QUICK if options.quick else FULL
        self._deadline = began + QUICK_SECONDS if options.quick else None
        self._parts = self._plan(options.wanted)
        self._progress = Progress(len(self._parts))
        self._cases, self._n = {}, 0

    def run(self):
        """Return all results; print each as it comes."""
        results = {
            "date": report.now(), "quick": self._options.quick, "machine": report.machine(), "cases": self._cases,
        }
        only_secrets = self._options.wanted == [WRONG_SECRET]
        names = (STOCK, GUARD) if only_secrets else (STOCK, GUARD, AUDITLOG)
        with running(names, first_keys=self._first_keys()) as variants:
            before = {variant.name: count_entries(variant) for variant in variants}
            while self._parts:
                part, *arguments = self._parts[0]
                if self._is_late():
                    say("\n! A busy machine: two minutes were not enough for "
                        f"{', '.join(map(_told, self._parts))}. CASES=… measures some.")
                    break
                part(variants, results, *arguments)
                self._parts.pop(0)
            self._check_entries(variants, before)
        self._progress.end()
        if self._cases:
            lines = report.verdict_lines(self._cases, self._options.quick)
            say(f"\nBudgets\n{report.table([list(line) for line in lines])}")
        return results

    def _plan(self, wanted):
        """One client first, then eight, then the long run."""
        cases = [CASES[name] for name in wanted if name in CASES]
        parts = [(self._case, case, 1) for case in cases]
        parts += [(self._case, case, MAX_CLIENTS) for case in cases if case.many]
        if SUSTAINED.name in wanted and "sustained" in self._sizes:
            parts.append((self._sustained,))
        if WRONG_SECRET in wanted:
            parts.append((self._wrong_secret,))
        return parts

    def _first_keys(self):
        if FIRST_CALL not in self._options.wanted:
            return 0
        return self._sizes["rounds"] + self._sizes["warm"] if not self._options.quick else 30

    # ------------------------------------------------------------------ parts

    def _case(self, variants, results, case, clients):
        name = case.name if clients == 1 else f"{case.name}_{clients}_clients"
        is_first_call = case.name == FIRST_CALL
        rounds = self._sizes["rounds" if clients == 1 else "many_rounds"]
        warm = 1 if is_first_call else self._sizes["warm"]
        if is_first_call and self._options.quick:
            rounds = self._first_keys() - warm
        self._measure(variants, name, case, clients, warm=warm, rounds=rounds, first=0 if is_first_call else None)

    def _sustained(self, variants, results):
        self._measure(variants, SUSTAINED.name, SUSTAINED, MAX_CLIENTS, warm=5, seconds=self._sizes["sustained"])

    def _wrong_secret(self, variants, results):
        seconds = self._share()
        tick = self._progress.part(WRONG_SECRET, self._sizes["tries"], seconds)
        compared = [variant for variant in variants if variant.name in (STOCK, GUARD)]
        timing.measure(compared, self._sizes["warm"])
        times = timing.measure(compared, self._sizes["tries"], seconds=seconds, progress=tick, clock=time.monotonic)
        results[WRONG_SECRET] = timing.describe(times)
        self._tell(report.secret_table(results[WRONG_SECRET]))

    def _measure(self, variants, name, case, clients, *, warm, rounds=None, seconds=None, first=None):
        """Warm up, measure, and keep the result. `first`: the number of the first call, of those never made before."""
        seconds = seconds or self._share()
        tick = self._progress.part(name, rounds, seconds)
        first = self._n if first is None else first
        began = time.monotonic()
        # several at once, so that no worker is still cold when the clock starts
        several = clients if case.name == FIRST_CALL or case.every else max(clients, 2 * WORKERS)
        common = [variant for variant in variants if variant.name not in case.every]
        heated = Load(case, common, several, rounds=warm, seconds=seconds, first=first).run()
        if seconds and self._deadline:
            seconds -= time.monotonic() - began
        readings = {variant.name: servers.read(variant.server) for variant in variants}
        start = first + len(heated[variants[0].name].rounds)
        load = Load(case, variants, clients, rounds=rounds, seconds=seconds, first=start,
                    progress=lambda n: tick(n - start))
        samples = load.run()
        costs = {
            variant.name: servers.used(variant.server, readings[variant.name], len(samples[variant.name].milliseconds))
            for variant in variants
        }
        self._n = start + len(samples[variants[0].name].rounds)
        self._cases[name] = summary.describe(samples, costs)
        self._tell(report.case_table(name, self._cases[name]))

    def _share(self):
        """How many seconds the next part of a quick run may take. None: as long as it takes."""
        return self._deadline and max(1.0, (self._deadline - time.monotonic()) / len(self._parts))

    def _is_late(self):
        return self._deadline is not None and time.monotonic() > self._deadline and bool(self._cases)

    # ------------------------------------------------------------------ telling

    def _tell(self, text):
        self._progress.end()
        say(f"\n{text}")

    def _check_entries(self, variants, before):
        """A benchmark of something that was switched off would look very good."""
        for variant in variants:
            after = count_entries(variant)
            if after is not None and self._cases and after <= before[variant.name]:
                if variant.name == GUARD or any("write" in name or "create" in name for name in self._cases):
                    raise Stop(f"{variant.name} has recorded nothing: the numbers are worth nothing.")
        say(f"\nEntries: {', '.join(f'{v.name} {count_entries(v)}' for v in variants if v.name != STOCK)}"
            f"   (load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
