"""How are the results told? As tables on the terminal, and as files for programs and for readers to come."""

import json
import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path

from .. import databases, odoo_tree
from ..layout import DEV, PYTHON
from ..steps import run as run_program
from . import auditlog
from .cases import CASES
from .variants import GUARD, STOCK, WORKERS

JSON = DEV / "bench.json"
RESULTS = Path(__file__).with_name("RESULTS.md")
MAX_P99_MS = 2.0  # beyond stock
MAX_PSS_MIB = 15.0  # beyond stock, for each worker
MIN_CALLS = {"p50": 30, "p99": 100}  # of fewer there is nothing to judge by

_HEAD = ("variant", "p50 ms", "p95 ms", "p99 ms", "calls/s", "CPU ms", "SQL", "PSS MiB", "× stock", "10–90 %", "budget")


def machine():
    """What the numbers depend on."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    release = (odoo_tree.package() / "release.py").read_text()
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": run_program([PYTHON, "-c", "import platform; print(platform.python_version())"],
                              why="Asking for Python's version").strip(),
        "postgresql": databases.psql("postgres", "SHOW server_version"),
        "fsync": databases.psql("postgres", "SHOW fsync"),
        "synchronous_commit": databases.psql("postgres", "SHOW synchronous_commit"),
        "odoo": _odoo_version(release),
        "auditlog": auditlog.version(),
        "workers": WORKERS,
    }


def _odoo_version(release):
    numbers = re.search(r"version_info\s*=\s*\((\d+),\s*(\d+)", release)
    return f"{numbers[1]}.{numbers[2]}" if numbers else "19"


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


# ---------------------------------------------------------------------- verdicts


def verdicts(case, variants):
    """[(what, measured, budget, is it kept)] of the guard in one case; nothing where no stock was measured."""
    mine, stock = variants.get(GUARD), variants.get(STOCK)
    if not mine or not stock:
        return []
    found = []
    budget = CASES[base_name(case)].budget if base_name(case) in CASES else None
    calls = min(mine["calls"], stock["calls"])
    if budget is not None and calls >= MIN_CALLS["p50"]:
        found.append(("p50", mine["ratio_p50"], budget, mine["ratio_p50"] <= budget))
    if calls >= MIN_CALLS["p99"]:
        slower = mine["p99_ms"] - stock["p99_ms"]
        found.append(("p99", slower, MAX_P99_MS, slower <= MAX_P99_MS))
    return found


def memory_verdict(cases):
    """The same of the workers' memory, after the last case: it grows in jumps, in each variant at another time."""
    last = list(cases.values())[-1] if cases else {}
    sizes = [last.get(name, {}).get("pss_mib") for name in (GUARD, STOCK)]
    if None in sizes:
        return []
    more = sizes[0] - sizes[1]
    return [("memory", more, MAX_PSS_MIB, more <= MAX_PSS_MIB)]


def base_name(case):
    """json2_write of json2_write_8_clients."""
    return re.sub(r"_\d+_clients$", "", case)


_WORDING = {
    "p50": "{:.2f} × stock, at most {:.2f}",
    "p99": "{:+.1f} ms, at most +{:.0f}",
    "memory": "{:+.1f} MiB a worker, at most +{:.0f}",
}


def verdict_lines(cases, is_quick=False):
    """Each budget as (case, what, how it compares, ok or over). A quick run is too short to judge memory by."""
    found = [(case, *verdict) for case, variants in cases.items() for verdict in verdicts(case, variants)]
    found += [("all, at the end", *verdict) for verdict in memory_verdict(cases)]
    for case, what, measured, budget, kept in found:
        verdict = "ok" if kept else "over"
        if is_quick and what == "memory":
            verdict = "too short a run to tell"
        yield case, what, _WORDING[what].format(measured, budget), verdict


# ---------------------------------------------------------------------- the terminal


def case_table(case, variants):
    """The lines of one case."""
    rows = [[case, *_HEAD[1:]], *(_row(case, name, variants) for name in variants)]
    return table(rows)


def _row(case, name, variants):
    of = variants[name]
    cpu = of["cpu_s_per_call"]
    return [
        f"  {name}", *(f"{of[f'p{share}_ms']:.2f}" for share in (50, 95, 99)), f"{of['calls_per_s']:.1f}",
        "–" if cpu is None else f"{cpu * 1000:.2f}", f"{of['sql_per_call']:.1f}",
        f"{of['pss_mib']:.1f}" if of["pss_mib"] else "–",
        *_ratio_cells(of),
        _mark(case, variants) if name == GUARD else "",
    ]


def _ratio_cells(of):
    if "ratio_p50" not in of:
        return "", ""
    spread = f"{of['ratio_paired_p10']:.2f}–{of['ratio_paired_p90']:.2f}"
    return f"{of['ratio_p50']:.3f}", f"{of['ratio_paired']:.2f} ({spread})"


def _mark(case, variants):
    return ", ".join(
        f"{what} {'ok' if kept else 'OVER'}{f' (≤ {budget:.2f})' if what == 'p50' else ''}"
        for what, _measured, budget, kept in verdicts(case, variants)
    ) or f"too few calls to judge: {variants[GUARD]['calls']}"


def table(rows):
    """Columns as wide as their widest cell, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) if 0 < i < len(row) - 1 else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    )


def secret_table(described):
    head = ["wrong secret, ms", "p5", "p25", "p50", "p75", "p95", "overlap", "calls"]
    rows = [head]
    for variant, kinds in described.items():
        for kind, of in kinds.items():
            rows.append([f"{variant} {kind}", *(f"{of[f'p{share}_ms']:.2f}" for share in (5, 25, 50, 75, 95)),
                         f"{of['overlap']:.3f}", str(of["calls"])])
    return (
        f"{table(rows)}\n"
        "Overlap with `unknown`; in the line of `unknown` that of its own halves, which is what chance leaves."
    )


# ---------------------------------------------------------------------- files


def write_json(results):
    JSON.write_text(f"{json.dumps(_rounded(results), indent=1)}\n")


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def write_results(results):
    """`RESULTS.md`: a full run, for whoever has no time for one."""
    RESULTS.write_text("\n".join(_markdown(results)))


def _markdown(results):
    on = results["machine"]
    yield "# What a call costs, with and without API Guard\n"
    yield (
        f"Written by `make bench` on {results['date']}: {on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB, "
        f"{on['system']}, Python {on['python']}, PostgreSQL {on['postgresql']} (fsync {on['fsync']}, "
        f"synchronous_commit {on['synchronous_commit']}), Odoo {on['odoo']}, auditlog {on['auditlog']}, "
        f"{on['workers']} workers each.\n"
    )
    yield (
        "Stock Odoo, the same with API Guard (three policies per call, networks, a scope of twenty lines, names of "
        "arguments in the entry) and the same with OCA's auditlog (full logging of `res.partner`), asked in turn, "
        "call by call. × stock: of the medians; 10–90 %: of the ratios within each round. CPU: of Odoo's HTTP workers. "
        f"SQL: as Odoo counts statements. Connections: {_connections(results)}.\n"
    )
    yield "## Budgets\n\n| case | what | measured | |\n|---|---|---|---|"
    yield from (f"| {' | '.join(line)} |" for line in verdict_lines(results["cases"]))
    yield "\n## Numbers\n"
    yield f"| case | {' | '.join(_HEAD[:-1])} | calls |\n|---|---{'|---:' * (len(_HEAD) - 2)}|---:|"
    for case, variants in results["cases"].items():
        for name in variants:
            cells = [cell.strip() for cell in _row(case, name, variants)[:-1]]
            yield f"| {case} | {' | '.join(cells)} | {variants[name]['calls']} |"
    if "wrong_secret" in results:
        yield f"\n## Wrong secrets\n\n```\n{secret_table(results['wrong_secret'])}\n```"
    yield ""


def _connections(results):
    shares = [of["connections_reused"] for variants in results["cases"].values() for of in variants.values()]
    if shares and max(shares) > 0:
        return f"{max(shares):.0%} of the calls found theirs still open"
    return "Odoo's workers close each after its answer, so every call, of every variant, opens one"
