"""What applies here? The merged rule, line by line, and where each restriction comes from.

Used by the screens and by the tester. Gives data, not sentences: the screens
put it into the reader's language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from .call import Operation
from .lifetime import Rotation
from .policy import Policy
from .scope import FieldMode, ScopeLine


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


SECTIONS = (
    "unreadable", "password", "allow", "deny", "doors", "age", "idle", "rotation", "window", "read_only", "scope",
    "second_factor",
    "companies", "shape", "on_active", "limits", "concurrency", "detail", "hiding", "searchable",
)  # fmt: skip


def _sections(policy: Policy) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not policy.readable:
        yield "unreadable", ()
    if policy.refuses_passwords:
        yield "password", ()
    if policy.read_only:
        yield "read_only", ()
    if policy.window is not None:
        yield "window", _window(policy)
    lists: dict[str, Iterable[str] | None] = {
        "allow": map(str, policy.networks.allowed) if policy.networks.allowed else None,
        "deny": map(str, policy.networks.denied) if policy.networks.denied else None,
        "doors": None if policy.doors is None else sorted(door.value for door in policy.doors),
        "age": None if policy.max_age_days is None else [str(policy.max_age_days)],
        "idle": None if policy.max_idle_days is None else [str(policy.max_idle_days)],
        "rotation": None if policy.rotation is None else _rotation(policy.rotation),
        "scope": None if policy.scopes is None else map(_line, policy.scopes),
        "second_factor": map(_line, policy.second_factor) if policy.second_factor else None,
        "companies": None if policy.companies is None else map(str, sorted(policy.companies)),
        "shape": _shape(policy) or None,
        "on_active": None if policy.on_active is None else [policy.on_active.value],
        "limits": [f"{limit.amount} {limit.name}" for limit in policy.budget.limits] or None,
        "concurrency": None if policy.budget.concurrency is None else [str(policy.budget.concurrency[1])],
        "detail": None if policy.detail is None else [policy.detail.value],
        "hiding": _hiding(policy) or None,
        "searchable": [] if policy.searchable else None,
    }
    for section, values in lists.items():
        if values is not None:
            yield section, tuple(values)


def _window(policy: Policy) -> tuple[str, ...]:
    window = policy.window
    clock = " - ".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (window.start, window.end))
    return (",".join(str(day) for day in sorted(window.days)), clock, str(window.zone))


def _rotation(rotation: Rotation) -> list[str]:
    return [str(rotation.days), "refuse" if rotation.refuses else "flag"]


def _shape(policy: Policy) -> list[str]:
    return [f"{name} {size}" for name, size in asdict(policy.shape).items() if size is not None]


def _hiding(policy: Policy) -> list[str]:
    hiding = policy.hiding
    by_option = [word for word, is_hidden in (("e-mail", hiding.email), ("phone", hiding.phone)) if is_hidden]
    by_type = [f"type {kind}" for kind in sorted(hiding.types)]
    return [*by_option, *sorted(hiding.names), *by_type, *(f"value {mask}" for mask in sorted(hiding.masks))]


def _line(line: ScopeLine) -> str:
    """A line of a scope, and what it restricts: "sale.order: read; executes action_confirm; reads all but note"."""
    operations = [operation.value for operation in Operation if operation in line.operations]
    if line.methods and Operation.EXECUTE in line.operations:
        operations.remove(Operation.EXECUTE.value)
    executes = [f"executes {', '.join(sorted(line.methods))}"] if line.methods else []
    parts = [", ".join(operations)] * bool(operations) + executes
    for verb, rule in (("reads", line.reads), ("writes", line.writes)):
        if rule.mode is not FieldMode.ALL:
            only = "only" if rule.mode is FieldMode.ONLY else "all but"
            parts.append(f"{verb} {only} {', '.join(sorted(rule.names)) or 'id'}")
    if line.masks:
        parts.append("masks " + ", ".join(f"{name} ({masker.value})" for name, masker in line.masks))
    parts += filter(None, [line.domain])
    if line.restricts_reading:
        but = f", but for {', '.join(sorted(line.given))}" if line.given else ""
        parts.append(f"hides what gives the rest away{but}")
    return f"{line.pattern}: {'; '.join(parts)}"
