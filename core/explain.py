"""What applies here? The merged rule, line by line, and where each restriction comes from.

Used by the screens and by the tester. Gives data, not sentences: the screens
put it into the reader's language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .policy import Policy


@dataclass(frozen=True, slots=True)
class Restriction:
    """One section of one policy: `section` names it, `values` is what it says, in its own notation."""

    section: str
    values: tuple[str, ...]
    policy: str
    enforced: bool


def restrictions(policies: Sequence[Policy]) -> list[Restriction]:
    """Everything that narrows, grouped by section; empty when nothing does.

    >>> from .call import Door
    >>> [r.values for r in restrictions([Policy("Base"), Policy("Web", doors=frozenset({Door.JSON2}))])]
    [('json2',)]
    """
    found = [
        Restriction(section, values, policy.name, policy.enforced)
        for policy in policies
        for section, values in _sections(policy)
    ]
    order = {section: place for place, section in enumerate(SECTIONS)}
    return sorted(found, key=lambda restriction: order[restriction.section])


SECTIONS = ("unreadable", "password", "allow", "deny", "doors", "age", "idle", "window", "scope", "detail")


def _sections(policy: Policy) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not policy.readable:
        yield "unreadable", ()
    if policy.refuses_passwords:
        yield "password", ()
    if policy.networks.allowed:
        yield "allow", tuple(str(network) for network in policy.networks.allowed)
    if policy.networks.denied:
        yield "deny", tuple(str(network) for network in policy.networks.denied)
    if policy.doors is not None:
        yield "doors", tuple(sorted(door.value for door in policy.doors))
    if policy.max_age_days is not None:
        yield "age", (str(policy.max_age_days),)
    if policy.max_idle_days is not None:
        yield "idle", (str(policy.max_idle_days),)
    if policy.window is not None:
        yield "window", _window(policy)
    if policy.scopes is not None:
        yield "scope", tuple(_line(line) for line in policy.scopes)
    if policy.detail is not None:
        yield "detail", (policy.detail.value,)


def _window(policy: Policy) -> tuple[str, ...]:
    window = policy.window
    clock = " - ".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (window.start, window.end))
    return (",".join(str(day) for day in sorted(window.days)), clock, str(window.zone))


def _line(line: object) -> str:
    operations = ", ".join(sorted(operation.value for operation in line.operations))
    methods = f" ({', '.join(sorted(line.methods))})" if line.methods else ""
    return f"{line.pattern}: {operations}{methods}"
