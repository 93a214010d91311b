"""Which records of which models went out in these calls, and what of it is about persons?

For the report after a breach (GDPR, Article 33). Adds up what entries tell of what was read
(core/reading.py), and says where that is not all. Knows nothing of how entries are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .hiding import check_name, names_pattern
from .reading import CUT, read_ranges

MAX_RANGES = 50_000  # kept apart before they are merged

#: Models whose records are persons, or that hold one person's data.
PEOPLE = frozenset(
    "calendar.attendee crm.lead event.registration hr.applicant hr.candidate hr.employee hr.employee.public"
    " hr.version mailing.contact mail.guest res.partner res.partner.bank res.users survey.user_input".split()
)
_OF_PEOPLE = frozenset(
    "age barcode comment country_id complete_name contact_address display_name function lang name"
    " ref signature state_id title tz vat website".split()
)
_PERSONAL = re.compile(
    r"e?mail(?!ing)|phone|mobile|(?:^|_)(?:fax|street2?|zip|city|address)(?:_|$)|birth|gender|marital|passport|ssn|sinid"
    r"|identification|nationality|acc_number|iban|(?:^|_)(?:login|wage|salary|avatar|image|photo)(?:_|$|\d)"
    r"|(?:partner|contact|first|last|full|middle|person|employee|attendee|customer|author)_?name|children|disab|religion"
    r"|health|illness|latitude|longitude|ip_address",
    re.IGNORECASE,
)
_PERSON = re.compile(r"(?:^|_)(?:partner|user|employee|contact|author|attendee|applicant|candidate|person)s?_ids?$")


@dataclass(frozen=True, slots=True)
class Exposure:
    """What went out of one model. `ranges`: the ids that are known; `is_whole`: those are all that were read by id.

    `rows`: of all answers, a record as often as it was read; `untold`: calls whose answer told of records
    that the log does not name, such as sums over them.
    """

    model: str
    calls: int
    rows: int
    untold: int
    ranges: tuple[tuple[int, int], ...]
    is_whole: bool
    fields: tuple[str, ...]
    has_all_fields: bool

    @property
    def records(self) -> int:
        """How many different records are known by their ids."""
        return sum(last - first + 1 for first, last in self.ranges)

    def ids(self, most: int) -> list[int]:
        """The first of the known ids."""
        found: list[int] = []
        for first, last in self.ranges:
            found += range(first, min(last + 1, first + most - len(found)))
            if len(found) >= most:
                break
        return found


class _Sum:
    """What is known of one model so far."""

    def __init__(self, model: str) -> None:
        self.model, self.calls, self.rows, self.untold = model, 0, 0, 0
        self.is_whole = self.has_all_fields = True
        self.ranges: list[tuple[int, int]] = []
        self.fields: dict[str, None] = {}

    def add(self, ids: str | None, fields: str | None, rows: int) -> None:
        """Count one call, as its entry tells of it."""
        self.calls += 1
        self.rows += rows
        if ids:
            found, is_whole = read_ranges(ids)
            self.ranges += found
            self.is_whole = self.is_whole and is_whole
            if len(self.ranges) > MAX_RANGES:
                self.ranges = merged(self.ranges)
        elif rows:
            self.untold += 1
        for name in (fields or "").split(","):
            if name.endswith(CUT):
                self.has_all_fields = False
            if name.strip(CUT):
                self.fields[name.strip(CUT)] = None

    def exposure(self) -> Exposure:
        return Exposure(
            self.model, self.calls, self.rows, self.untold, tuple(merged(self.ranges)), self.is_whole,
            tuple(self.fields), self.has_all_fields,
        )  # fmt: skip


def add_up(calls: Iterable[tuple[str, str | None, str | None, int]]) -> list[Exposure]:
    """What went out of each model in these calls: (model, ids and fields that were read, rows). The most first.

    >>> [(e.model, e.records, e.fields) for e in add_up([("a", "1-3", "x", 3), ("a", "3,5", "y", 2)])]
    [('a', 4, ('x', 'y'))]
    """
    found: dict[str, _Sum] = {}
    for model, ids, fields, rows in calls:
        found.setdefault(model, _Sum(model)).add(ids, fields, rows)
    exposures = (one.exposure() for one in found.values())
    return sorted(exposures, key=lambda exposure: (-exposure.records, -exposure.rows, exposure.model))


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in as few ranges as there can be, in order.

    >>> merged([(5, 9), (1, 2), (3, 3), (7, 12)])
    [(1, 3), (5, 12)]
    """
    kept: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if kept and first <= kept[-1][1] + 1:
            kept[-1] = (kept[-1][0], max(kept[-1][1], last))
        else:
            kept.append((first, last))
    return kept


def written(ranges: Iterable[tuple[int, int]]) -> str:
    """Ranges in words: "1-3, 5".

    >>> written([(1, 3), (5, 5)])
    '1-3, 5'
    """
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def personal_fields(model: str, fields: Iterable[str], named: Iterable[str] = ()) -> list[str]:
    """Which of these fields tell of persons, as far as their names say? `named`: patterns of an administrator's own.

    >>> personal_fields("res.partner", ["name", "email", "color"])
    ['name', 'email']
    >>> personal_fields("sale.order", ["name", "partner_id", "partner_id.email", "x_note"], ["x_*"])
    ['partner_id', 'partner_id.email', 'x_note']
    """
    pattern = names_pattern(check_name(name) for name in named)
    return [name for name in fields if _is_personal(model, name, pattern)]


def _is_personal(model: str, path: str, pattern: re.Pattern[str] | None) -> bool:
    *before, last = path.partition(":")[0].split(".")
    if pattern and (pattern.fullmatch(last) or pattern.fullmatch(f"{model}.{last}")):
        return True
    if _PERSONAL.search(last) or _PERSON.search(last):
        return True
    is_of_person = model in PEOPLE if not before else bool(_PERSON.search(before[-1]))
    return is_of_person and last in _OF_PEOPLE
