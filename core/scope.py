"""Do the scopes of a policy cover what a call reaches?

Used by `decide`. A scope is a set of lines; one line has to cover an operation
for it to be granted. Knows model names as text, nothing of a registry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .call import Operation, Target
from .mask import Masker
from .protected import is_protected


class FieldMode(str, Enum):
    """Which fields of a model does a line show?"""

    ALL = "all"
    ONLY = "only"
    EXCEPT = "except"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """All fields, only these, or all but these.

    `id` is always shown: it names a record and says nothing of it. So is `active`
    where it is not hidden by its name, because Odoo asks for it in every search;
    that is no leave to write it.
    """

    mode: FieldMode = FieldMode.ALL
    names: frozenset[str] = frozenset()

    def shows(self, name: str) -> bool:
        """Does the rule show the field?

        >>> FieldRule(FieldMode.ONLY, frozenset({"name"})).shows("phone")
        False
        """
        if self.mode is FieldMode.ALL or name == "id":
            return True
        if self.mode is FieldMode.ONLY:
            return name in self.names or name == "active"
        return name not in self.names

    def takes(self, name: str) -> bool:
        """Does the rule, as one of what is written, leave the field to writing?

        >>> only_name = FieldRule(FieldMode.ONLY, frozenset({"name"}))
        >>> only_name.shows("active"), only_name.takes("active")
        (True, False)
        """
        if self.mode is FieldMode.ONLY and name == "active":
            return name in self.names
        return self.shows(name)


ALL_FIELDS = FieldRule()
_ON_RECORDS = frozenset({Operation.READ, Operation.WRITE, Operation.CREATE, Operation.UNLINK})


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One grant: operations, and methods by name, on the models that a pattern names.

    The pattern is a model's name, "sale.*" (everything below "sale."), "*", or
    a route ("/mail_plugin/*"). What follows restricts the data of one model, and
    only a line that names it in full has it: the fields that are read and written,
    an Odoo domain that holds for every record, `given`: fields that are allowed by
    hand although they give away what is hidden, `masks`: {field: masker}.
    """

    pattern: str
    operations: frozenset[Operation]
    methods: frozenset[str] = frozenset()
    reads: FieldRule = ALL_FIELDS
    writes: FieldRule = ALL_FIELDS
    domain: str = ""
    given: frozenset[str] = frozenset()
    masks: tuple[tuple[str, Masker], ...] = ()

    @property
    def is_exact(self) -> bool:
        """Does the pattern name one model or route, and nothing below it?"""
        return not self.pattern.endswith("*")

    @property
    def restricts_data(self) -> bool:
        """Does the line say anything of fields or records?"""
        return self.restricts_reading or self.writes != ALL_FIELDS

    @property
    def restricts_reading(self) -> bool:
        """Does the line say anything of what is read?"""
        return bool(self.domain or self.masks) or self.reads != ALL_FIELDS

    def names(self, model: str) -> bool:
        """Does the pattern name `model`?

        >>> line = ScopeLine("sale.*", frozenset())
        >>> line.names("sale.order"), line.names("sale"), line.names("sales.team")
        (True, False, False)
        """
        if self.is_exact:
            return model == self.pattern
        if model.startswith("/") != self.pattern.startswith("/"):
            return False  # "*" is every model, and no route
        return model.startswith(self.pattern[:-1])

    def grants(self, operation: Operation, target: Target) -> bool:
        """Does this line allow `operation` on the target? Execute has to name the method."""
        if operation not in self.operations or not self.names(target.model):
            return False
        if not self.is_exact and (target.needs_name or is_protected(target.model, operation)):
            return False
        if operation is Operation.EXECUTE and not target.model.startswith("/"):
            return target.method in self.methods
        return True

    def demands(self, target: Target) -> bool:
        """Does this line name the target's method, or an operation that it may do? A route is named as a whole.

        >>> ScopeLine("*", frozenset({Operation.EXECUTE})).demands(
        ...     Target("res.users", "authenticate", frozenset({Operation.AUTHENTICATE})))
        False
        """
        if not target.model or not self.names(target.model):
            return False
        if target.model.startswith("/"):
            return Operation.EXECUTE in self.operations
        return bool(self.operations & target.operations & _ON_RECORDS) or target.method in self.methods


def demanded(target: Target, lines: Iterable[ScopeLine]) -> bool:
    """Does one of the lines name what the call does?

    Here a pattern reaches protected models, too: to demand more of a call is no grant. Of an
    operation that a line names it is enough that the method may do it.

    >>> deletes = ScopeLine("*", frozenset({Operation.UNLINK}))
    >>> posts = ScopeLine("account.*", frozenset({Operation.EXECUTE}), frozenset({"action_post"}))
    >>> demanded(Target("ir.rule", "unlink", frozenset({Operation.UNLINK})), [deletes, posts])
    True
    >>> demanded(Target("account.move", "action_post", frozenset({Operation.EXECUTE})), [deletes])
    False
    """
    return any(line.demands(target) for line in lines)


def covered(target: Target, lines: Iterable[ScopeLine]) -> bool:
    """Do the lines together grant every operation that the target needs?

    >>> read = ScopeLine("res.*", frozenset({Operation.READ}))
    >>> covered(Target("res.partner", "copy", frozenset({Operation.READ, Operation.CREATE})), [read])
    False
    """
    lines = tuple(lines)
    needed = target.operations - {Operation.AUTHENTICATE}
    return all(any(line.grants(operation, target) for line in lines) for operation in needed)
