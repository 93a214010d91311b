"""What does a policy say, in a form that can be judged quickly and compared byte by byte?

A policy travels as its *document*: canonical JSON, written by the database's
models, stored beside them, and identified by its fingerprint. Whoever holds the
fingerprint holds the meaning, so a compiled policy may be kept for ever and
never has to be invalidated. Knows nothing of where documents are stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from typing import Any

import pytz

from .call import Door, Operation
from .hiding import MAX_RULES, NOTHING_MORE, TYPES, Hiding, check_mask, check_name, hide_all
from .lifetime import Rotation, Window
from .limit import MAX_MOVING, Budget, Limit, Per, Period, StoreDown, Unit
from .markup import OnActive
from .mask import Masker
from .network import NetworkRules, parse_network
from .scope import ALL_FIELDS, FieldMode, FieldRule, ScopeLine
from .shape import Shape
from .verdict import Reason

DOCUMENT_VERSION = 1
GREATEST_AMOUNT = 10**15  # of bytes in a month, and less than what a float tells apart
_HUNDRED_YEARS = 36_500  # days; a date that lies further off might not be one any more


class Detail(str, Enum):
    """How much of a call its entry keeps, from least to most: of its arguments, and in the end of its results."""

    NONE = "none"
    NAMES = "names"
    VALUES = "values"
    RESULTS = "results"


DETAILS = tuple(Detail)


@dataclass(frozen=True, slots=True)
class Policy:
    """One compiled policy. Every section is None or empty when it restricts nothing.

    `scopes` None: no scope is set. `scopes` (): scopes are set and cover nothing.
    `readable` False: the document could not be understood, so nothing is allowed.
    """

    name: str
    enforced: bool = True
    networks: NetworkRules = field(default_factory=NetworkRules)
    doors: frozenset[Door] | None = None
    scopes: tuple[ScopeLine, ...] | None = None
    max_age_days: int | None = None
    max_idle_days: int | None = None
    rotation: Rotation | None = None
    window: Window | None = None
    refuses_passwords: bool = False
    detail: Detail | None = None
    hiding: Hiding = NOTHING_MORE
    searchable: bool = False
    read_only: bool = False
    companies: frozenset[int] | None = None
    shape: Shape = field(default_factory=Shape)
    on_active: OnActive | None = None
    second_factor: tuple[ScopeLine, ...] = ()
    budget: Budget = field(default_factory=Budget)
    mark: str = field(default="", compare=False)  # the fingerprint of the document it was compiled from
    readable: bool = True

    def only_notes(self, reason: Reason) -> bool:
        """Does the policy let a call pass that it minds for this reason, and have it noted?"""
        if reason is Reason.ROTATION_OVERDUE and self.rotation is not None and not self.rotation.refuses:
            return True
        return not self.enforced

    @property
    def restricts_data(self) -> bool:
        """Does the policy say anything of fields, records or companies?"""
        return self.companies is not None or any(line.restricts_data for line in self.scopes or ())

    @property
    def restricts_reading(self) -> bool:
        """Does the policy leave out anything of what is read?"""
        return self.companies is not None or any(line.restricts_reading for line in self.scopes or ())

    @classmethod
    def unreadable(cls, name: str) -> Policy:
        """The policy that stands for one nobody can read: it refuses everything."""
        return cls(name=name, readable=False)


def write_document(content: Mapping[str, Any]) -> str:
    """The canonical text of a policy: equal policies give equal bytes.

    >>> write_document({"name": "é", "version": 1})
    '{"name":"é","version":1}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(document: str) -> str:
    """Which policy is this? 32 hex digits (128 bits of SHA-256) of its document."""
    return sha256(document.encode()).hexdigest()[:32]


def compile_policy(document: str) -> Policy:
    """The frozen policy that a document describes. Raises ValueError for anything it does not know.

    >>> compile_policy('{"version": 1, "name": "P", "mode": "monitor"}').enforced
    False
    """
    try:
        content = json.loads(document)
        if content.pop("version") != DOCUMENT_VERSION:
            raise ValueError("unknown version")
        policy = Policy(
            name=_typed(content.pop("name"), str),
            enforced={"enforce": True, "monitor": False}[content.pop("mode")],
            networks=_networks(content.pop("networks", [])),
            doors=_doors(content.pop("doors", None)),
            scopes=_scopes(content.pop("scopes", None)),
            max_age_days=_days(content.pop("max_age_days", None)),
            max_idle_days=_days(content.pop("max_idle_days", None)),
            rotation=_rotation(content.pop("rotation", None)),
            window=_window(content.pop("window", None)),
            refuses_passwords=_typed(content.pop("refuse_passwords", False), bool),
            detail=_detail(content.pop("detail", None)),
            hiding=_hiding(**content.pop("hiding", {})),
            searchable=_typed(content.pop("searchable", False), bool),
            read_only=_typed(content.pop("read_only", False), bool),
            companies=_companies(content.pop("companies", None)),
            shape=_shape(content.pop("shape", {})),
            on_active=_on_active(content.pop("on_active", None)),
            second_factor=_scopes(content.pop("second_factor", [])) or (),
            budget=_budget(content),
            mark=fingerprint(document),
        )
    except (AttributeError, KeyError, TypeError, ValueError, pytz.UnknownTimeZoneError) as error:
        raise ValueError(f"not a policy document: {error!r}") from error
    if content:  # a restriction that this version does not know must not be dropped in silence
        raise ValueError(f"unknown sections: {sorted(content)}")
    return policy


def _typed(value: Any, kind: type) -> Any:
    # a value of another type would be met at a call, as an error or as no restriction at all
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _within(value: Any, least: int, greatest: int) -> int:
    if not least <= _typed(value, int) <= greatest:
        raise ValueError(f"{value} is not between {least} and {greatest}")
    return value


def _networks(rules: list[list[str]]) -> NetworkRules:
    split: dict[str, list[Any]] = {"allow": [], "deny": []}
    for action, network in _typed(rules, list):
        split[action].append(parse_network(network))
    return NetworkRules(tuple(split["allow"]), tuple(split["deny"]))


def _doors(codes: list[str] | None) -> frozenset[Door] | None:
    return None if codes is None else frozenset(Door(code) for code in _typed(codes, list))


def _scopes(lines: list[list[Any]] | None) -> tuple[ScopeLine, ...] | None:
    return None if lines is None else tuple(_scope_line(*line) for line in _typed(lines, list))


def _scope_line(
    pattern: str, operations: list[str], methods: list[str], data: dict[str, Any] | None = None
) -> ScopeLine:
    return ScopeLine(
        _typed(pattern, str),
        frozenset(Operation(name) for name in _typed(operations, list)),
        _names(methods),
        **({} if data is None else _line_data(**data)),
    )


def _line_data(
    reads: list[Any] | None = None,
    writes: list[Any] | None = None,
    domain: str = "",
    given: list[str] | None = None,
    masks: list[list[str]] | None = None,
) -> dict[str, Any]:
    return {
        "reads": _field_rule(reads),
        "writes": _field_rule(writes),
        "domain": _typed(domain, str),
        "given": _names(given or []),
        "masks": tuple((_typed(name, str), Masker(masker)) for name, masker in masks or []),
    }


def _field_rule(content: list[Any] | None) -> FieldRule:
    if content is None:
        return ALL_FIELDS
    mode, names = content
    return FieldRule(FieldMode(mode), _names(names))


def _names(names: list[str]) -> frozenset[str]:
    return frozenset(_typed(name, str) for name in _typed(names, list))


def _companies(ids: list[int] | None) -> frozenset[int] | None:
    return None if ids is None else frozenset(_within(number, 1, 2**31 - 1) for number in _typed(ids, list))


def _shape(content: dict[str, int]) -> Shape:
    return Shape(**{name: _within(value, 1, 2**31 - 1) for name, value in _typed(content, dict).items()})


def _on_active(value: str | None) -> OnActive | None:
    return None if value is None else OnActive(value)


def _budget(content: dict[str, Any]) -> Budget:
    concurrency = content.pop("concurrency", None)
    return Budget(
        limits=tuple(_limit(*line) for line in _typed(content.pop("limits", []), list)),
        concurrency=None if concurrency is None else _slots(*concurrency),
        counts_refused=_typed(content.pop("counts_refused", False), bool),
        on_store_down=StoreDown(content.pop("on_store_down", StoreDown.CLOSED)),
    )


def _limit(number: int, amount: int, unit: str, period: str, per: str, moving: bool) -> Limit:
    if _typed(moving, bool) and not Unit(unit).is_known_before:
        raise ValueError("what is known afterwards has no moving window")
    greatest = MAX_MOVING if moving else GREATEST_AMOUNT
    within = _within(amount, 1, greatest)
    return Limit(_within(number, 0, 2**31 - 1), within, Unit(unit), Period(period), Per(per), moving)


def _slots(number: int, amount: int) -> tuple[int, int]:
    return _within(number, 0, 2**31 - 1), _within(amount, 1, 2**31 - 1)


def _days(value: int | None) -> int | None:
    return None if value is None else _within(value, 1, timedelta.max.days)


def _rotation(content: dict[str, Any] | None) -> Rotation | None:
    return None if content is None else _rotation_of(**content)


def _rotation_of(days: int, refuses: bool = True) -> Rotation:
    return Rotation(_within(days, 1, _HUNDRED_YEARS), _typed(refuses, bool))


def _window(content: dict[str, Any] | None) -> Window | None:
    return None if content is None else _window_of(**content)


def _window_of(days: list[int], start: int, end: int, zone: str) -> Window:
    last = 24 * 60 - 1
    weekdays = frozenset(_within(day, 0, 6) for day in _typed(days, list))
    return Window(weekdays, _within(start, 0, last), _within(end, 0, last), pytz.timezone(zone))


def _hiding(
    names: list[str] | None = None,
    types: list[str] | None = None,
    masks: list[str] | None = None,
    email: bool = False,
    phone: bool = False,
) -> Hiding:
    return Hiding(
        names=frozenset(map(check_name, _rules(names))),
        types=frozenset(_one_of(TYPES, kind) for kind in _rules(types)),
        masks=frozenset(map(check_mask, _rules(masks))),
        email=_typed(email, bool),
        phone=_typed(phone, bool),
    )


def _rules(rules: list[str] | None) -> frozenset[str]:
    found = _names(rules or [])
    if len(found) > MAX_RULES:
        raise ValueError(f"more than {MAX_RULES} rules")
    return found


def _one_of(known: tuple[str, ...], value: str) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is not known")
    return value


def _detail(value: str | None) -> Detail | None:
    return None if value is None else Detail(value)


def least_detail(policies: tuple[Policy, ...], default: Detail = Detail.NAMES) -> Detail:
    """How much of the arguments may be kept, when each policy may only narrow?

    >>> least_detail((Policy("a", detail=Detail.VALUES), Policy("b")))
    <Detail.VALUES: 'values'>
    >>> least_detail((Policy("a", detail=Detail.VALUES), Policy("b", detail=Detail.NONE)))
    <Detail.NONE: 'none'>
    """
    stated = [policy.detail for policy in policies if policy.detail is not None]
    return min(stated, key=DETAILS.index, default=default)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What entries of a call keep of it. `searchable`: digests of its values, too."""

    detail: Detail = Detail.NAMES
    hiding: Hiding = NOTHING_MORE
    searchable: bool = False


def keeping(policies: tuple[Policy, ...]) -> Keeping:
    """What may be kept of a call under all of these policies? Where one of them cannot be read, nothing.

    >>> keeping((Policy("a", detail=Detail.RESULTS), Policy("b", hiding=Hiding(email=True)))).hiding.email
    True
    """
    if not all(policy.readable for policy in policies):
        return Keeping(Detail.NONE)
    detail = least_detail(policies)
    searchable = detail is not Detail.NONE and any(policy.searchable for policy in policies)
    return Keeping(detail, hide_all(policy.hiding for policy in policies), searchable)
