"""What of a model's records and fields may a call reach under one policy?

A line of a scope grants; what it says of fields and records restricts. Where
several lines name a model, all their restrictions hold, so that a narrow line
is not lifted by a broad one. Answers for one policy alone: a field or record has
to pass every policy that applies.
"""

from __future__ import annotations

from collections.abc import Sequence

from .call import Operation
from .mask import Masker
from .policy import Policy
from .scope import FieldMode, ScopeLine

_READ = frozenset({Operation.READ})
_WRITE = frozenset({Operation.WRITE, Operation.CREATE})


def restricting(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """The policies that say anything of data. One in monitor mode does not: it refuses nothing."""
    return tuple(policy for policy in policies if policy.enforced and policy.restricts_data)


def lines_on(policy: Policy, model: str, operations: frozenset[Operation]) -> list[ScopeLine]:
    """The lines whose restrictions hold when one of `operations` meets `model`."""
    found = [line for operation in sorted(operations) for line in _lines_for(policy, model, operation)]
    return [line for line in dict.fromkeys(found) if line.restricts_data]


def _lines_for(policy: Policy, model: str, operation: Operation) -> list[ScopeLine]:
    """Those that grant the operation and name the model in full; where none does, all that name it.

    A pattern that grants what a narrow line does not is no reason to forget the narrow one, nor
    is a method: what is executed may write what no line lets a caller write, and is bound as well.
    """
    naming = [line for line in policy.scopes or () if line.names(model)]
    return [line for line in naming if line.is_exact and operation in line.operations] or naming


def shows(policy: Policy, model: str, field: str, *, written: bool) -> bool:
    """Does the policy, as it is written down, show the field to reading, or leave it to writing?"""
    lines = lines_on(policy, model, _WRITE if written else _READ)
    if written:
        return all(line.writes.takes(field) for line in lines)
    return all(line.reads.shows(field) and field not in dict(line.masks) for line in lines)


def names_fully(policy: Policy, model: str, operation: Operation) -> bool:
    """Does a line name the model in full, and grant the operation on it?"""
    return any(line.is_exact and line.names(model) and operation in line.operations for line in policy.scopes or ())


def hides_by_name(policy: Policy, model: str, field: str) -> bool:
    """Is the field hidden because a line names it, and not because it is none of those that are shown?"""
    lines = lines_on(policy, model, _READ)
    return any(field in dict(line.masks) or _is_named(line, field, FieldMode.EXCEPT) for line in lines)


def is_given(policy: Policy, model: str, field: str) -> bool:
    """Did somebody allow the field by hand, by its name, although it gives away what is hidden?"""
    lines = [line for line in policy.scopes or () if line.names(model)]
    return any(field in line.given or _is_named(line, field, FieldMode.ONLY) for line in lines)


def _is_named(line: ScopeLine, field: str, mode: FieldMode) -> bool:
    return line.reads.mode is mode and field in line.reads.names


def masker_of(policy: Policy, model: str, field: str) -> Masker | None:
    """How the policy masks the field, or None. The first line that masks it says how."""
    lines = lines_on(policy, model, _READ)
    if not all(line.reads.shows(field) for line in lines):
        return None  # hidden altogether
    return next((masker for line in lines for name, masker in line.masks if name == field), None)


def domains_on(policy: Policy, model: str, operation: Operation) -> list[str]:
    """The Odoo domains, as they are written down, that the records have to be in."""
    return [line.domain for line in lines_on(policy, model, frozenset({operation})) if line.domain]
