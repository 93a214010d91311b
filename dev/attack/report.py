"""How is it told? A line for each attack as it ends, a table at last, and all figures in a file."""

import json

from .. import weaknesses
from ..layout import DEV
from .doors import DOORS
from .manners import MANNERS
from .variants import VARIANTS

JSON, MARKDOWN = DEV / "attack.json", DEV / "attack.md"

_HEAD = (
    "door", "manner",
    *(f"{name} {what}" for name in VARIANTS for what in ("attempts", "checked", "burnt")),
    *(f"program's p95, {name}" for name in VARIANTS), *(f"right login, {name}" for name in VARIANTS),
)


def line(measured):
    """One attack of one Odoo, in a line."""
    answers = ", ".join(f"{count} {kind}" for kind, count in sorted(measured["answers"].items())) or "no answer"
    counts = ", ".join(f"{count} {kind}" for kind, count in measured["counts"].items() if count) or "no hash"
    return (
        f"{measured['sent']} attempts, {measured['per_second']:.1f} answers/s ({answers}); compared: {counts}; "
        f"program p50 {_times(measured, 50)}, p95 {_times(measured, 95)}, {_answered(measured['program'])}; "
        f"right login: {_entries(measured)}"
    )


def write(rows, sizes):
    """Write both files and return the table."""
    told = {"machine": weaknesses.machine(), "sizes": sizes, "rows": rows}
    JSON.write_text(f"{json.dumps(told, indent=1)}\n")
    text = table(rows, sizes)
    MARKDOWN.write_text(f"{text}\n")
    return f"{text}\n\nThis table: {MARKDOWN}\nAll figures: {JSON}"


def table(rows, sizes):
    """The table in Markdown, its columns as wide as their widest cell so that a terminal shows it well."""
    cells = [list(_HEAD), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in cells]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join([*lines, "", _legend(sizes)])


def _legend(sizes):
    return (
        f"{sizes['connections']} connections for {sizes['seconds']:g} s at each door, on {weaknesses.machine()}. "
        "Attempts: sent; checked: wrong secrets that were compared with a real one; burnt: slow hashes computed for "
        "nothing. Program: ten calls of JSON-2 a second with a valid key, from an address of "
        "its own, each from when it was due; without the attack → with it. Right login: of somebody who is attacked, "
        "from an address of their own, halfway through the attack."
    )


def _cells(row):
    measured = [row[name] for name in VARIANTS]
    return [
        DOORS[row["door"]].title, MANNERS[row["manner"]].title,
        *(str(of[what]) for of in measured for what in ("sent", "checks", "burnt")),
        *(_times(of, 95) for of in measured), *map(_entries, measured),
    ]


def _times(measured, share):
    times = [measured[when][f"p{share}_ms"] for when in ("quiet", "program")]
    return f"{times[0]:.0f} → {times[1]:.0f} ms (× {measured[f'p{share}_ratio']:.1f})"


def _answered(program):
    return f"{program['answers'].get('200', 0)} of {program['due']} calls answered"


def _entries(measured):
    words = {True: "yes", False: "no", None: "no answer"}
    return ", ".join(f"{of['way']} {words[of['is_in']]} {of['seconds']:.1f} s" for of in measured["entries"])
