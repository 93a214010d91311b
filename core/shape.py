"""How large may one call be? Judged before anything runs, from what the caller sent.

Used by `decide` through the adapters, which hand over the arguments by their
names. Knows the notation of domains and specifications, and no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MAX_DEPTH = 200  # beyond, Python itself would give up


#: What each kind of size is called, in words that a caller knows it by.
KINDS = {
    "body": "bytes of the request",
    "ids": "records named by their ids",
    "limit": "limit of a search",
    "leaves": "conditions of a domain",
    "depth": "nesting of a domain",
    "levels": "levels of a specification",
    "values": "records created or written at once",
    "rows": "records returned",
}


@dataclass(frozen=True, slots=True)
class Excess:
    """A size that a call exceeds. `size` None: none is set.

    >>> excess = Excess("limit", None, 10)
    >>> str(excess), excess.words
    ('limit: unlimited, at most 10', 'limit of a search: unlimited, at most 10')
    """

    kind: str
    size: int | None
    greatest: int

    def __str__(self) -> str:
        return f"{self.kind}: {self._sizes}"

    @property
    def words(self) -> str:
        """What its caller is told."""
        return f"{KINDS[self.kind]}: {self._sizes}"

    @property
    def _sizes(self) -> str:
        return f"{'unlimited' if self.size is None else self.size}, at most {self.greatest}"


@dataclass(frozen=True, slots=True)
class Shape:
    """The greatest size of each kind; None: unlimited.

    `body`: bytes of the request. `ids`: records that one call names. `limit`: what it may ask
    for at most, and it has to ask. `leaves`, `depth`: of a domain. `levels`: of a nested
    specification. `values`: records that one call creates or writes with values of their own.
    `rows`: records that one answer holds, which is known only afterwards.
    """

    body: int | None = None
    ids: int | None = None
    limit: int | None = None
    leaves: int | None = None
    depth: int | None = None
    levels: int | None = None
    values: int | None = None
    rows: int | None = None

    def exceeded(
        self, arguments: Mapping[str, Any], body: float | None, searches: bool, writes: bool = False
    ) -> Excess | None:
        """What does the call exceed, or None.

        `searches`: its method takes a limit, and reads all without one. `writes`: it writes the records that it names.

        >>> Shape(leaves=1).exceeded({"domain": ["|", ("a", "=", 1), ("b", "=", 2)]}, None, False)
        Excess(kind='leaves', size=2, greatest=1)
        >>> Shape(limit=100).exceeded({"domain": []}, None, True)
        Excess(kind='limit', size=None, greatest=100)
        """
        if self == _UNLIMITED:
            return None
        measured = {
            "body": body or 0,
            "ids": _count(arguments.get("ids")),
            "limit": max(_limit(arguments.get(name)) for name in _limits_in(arguments)) if searches else 0,
            "values": max(_count(arguments.get(name)) for name in (*_VALUES, *(["ids"] if writes else [])))
            + _nested(arguments),
            "levels": max(_levels(arguments.get(name)) for name in _SPECIFICATIONS),
            "leaves": 0,
            "depth": 0,
        }
        domains = [_domain(arguments.get(name)) for name in _DOMAINS]
        measured["leaves"], measured["depth"] = (max(sizes) for sizes in zip(*domains, strict=True))
        for kind, size in measured.items():
            greatest = getattr(self, kind)
            if greatest is not None and size > greatest:
                return Excess(kind, None if size == _INFINITE else int(size), greatest)
        return None

    def exceeded_by_answer(self, rows: int) -> Excess | None:
        """Does an answer hold more records than it may?

        >>> Shape(rows=10).exceeded_by_answer(11)
        Excess(kind='rows', size=11, greatest=10)
        """
        return Excess("rows", rows, self.rows) if self.rows is not None and rows > self.rows else None


_VALUES = ("vals_list", "data", "vals")
_INFINITE = float("inf")
_UNLIMITED = Shape()
_DOMAINS = ("domain", "args", "having", "search_domain", "category_domain", "comodel_domain", "filter_domain",
            "group_domain")  # fmt: skip
_SPECIFICATIONS = ("specification", "fields_spec", "unfold_read_specification")
_UNFOLDED = "unfold_read_default_limit"


def _limits_in(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The arguments that limit a search. Groups are unfolded up to a limit of their own, which has a default."""
    return ("limit", _UNFOLDED) if _UNFOLDED in arguments else ("limit",)


def _nested(arguments: Mapping[str, Any]) -> int:
    """How many records do the commands in the values, however deep, create or write with values of their own?"""
    context = arguments.get("context")
    defaults = [context[name] for name in context if str(name).startswith("default_")] if _is_map(context) else []
    pending = [arguments.get("vals_list"), arguments.get("vals"), arguments.get("default"), *defaults]
    found = 0
    while pending:
        item = pending.pop()
        if _is_map(item):
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
            found += len(item) > 2 and item[0] in (0, 1) and _is_map(item[2])
    return found


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _count(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple)) else 0


def _limit(value: Any) -> float:
    """What no limit at all, or one that is none, would read."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else _INFINITE


def _levels(specification: Any, depth: int = 0) -> int:
    """How deep is {"a": {"fields": {"b": {}}}}?"""
    if not isinstance(specification, Mapping) or not specification or depth > _MAX_DEPTH:
        return depth
    inner = (item.get("fields") for item in specification.values() if isinstance(item, Mapping))
    return max((_levels(fields, depth + 1) for fields in inner), default=depth + 1)


def _domain(value: Any, depth: int = 0) -> tuple[int, int]:
    """Leaves and nesting of a domain; a leaf whose value is a domain again (`any`) nests."""
    if not isinstance(value, (list, tuple)) or depth > _MAX_DEPTH:
        return 0, depth
    leaves, deepest = 0, depth + 1
    for item in value:
        if isinstance(item, (list, tuple)):
            leaves += 1
            if len(item) == 3 and isinstance(item[1], str) and item[1].lower().startswith(("any", "not any")):
                inner, below = _domain(item[2], depth + 1)
                leaves, deepest = leaves + inner, max(deepest, below)
    # operators in prefix notation nest too: "!" by itself, "&" and "|" over what follows them
    operators = sum(1 for item in value if isinstance(item, str))
    return leaves, max(deepest, depth + operators)
