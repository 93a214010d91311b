"""How much may be done in a time, and by whom is it counted together?

A policy's limits are compiled to these. A limit and a subject make a `Counter`; a store
keeps it (stores/), and tells how it stands. Knows no store, no clock and no Odoo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import Protocol


class Unit(str, Enum):
    """What is counted. Only of calls is it known beforehand how many one call is.

    >>> [unit.is_known_before for unit in (Unit.CALLS, Unit.ROWS)]
    [True, False]
    """

    CALLS = "calls"
    ROWS = "rows"  # records returned
    BYTES = "bytes"  # of the answer
    MILLISECONDS = "ms"  # that the server was busy with the call
    WRITTEN = "written"  # records created, written or deleted

    @property
    def is_known_before(self) -> bool:
        """Can it be taken before the call runs?"""
        return self is Unit.CALLS


class Period(str, Enum):
    """The length of the window.

    >>> Period.HOUR.seconds
    3600
    """

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    @property
    def seconds(self) -> int:
        """How long is it?"""
        return {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "month": 30 * 86_400}[self.value]


class Per(str, Enum):
    """Whose use is counted together."""

    KEY = "key"  # with its predecessors and successors
    USER = "user"
    PEER = "peer"
    NETWORK = "network"
    POLICY = "policy"  # of all calls that are under it


class StoreDown(str, Enum):
    """What becomes of a call whose limits cannot be asked, from strict to lenient."""

    CLOSED = "closed"
    LOCAL = "local"  # each process estimates by what it has seen itself
    OPEN = "open"


class Sort(str, Enum):
    """How a counter counts.

    `MOVING`: each call by its moment, exact at every one. `SLIDING`: by hundredths of the window, of which one more
    is counted than fit; never more than the amount in any window, room becomes free up to 1 % later.
    `LEASE`: what is in use now; a holder who dies loses it when it ends.
    """

    MOVING = "moving"
    SLIDING = "sliding"
    LEASE = "lease"


MAX_MOVING = 10_000  # calls whose moments are kept
CONCURRENCY = "concurrency"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many of a unit in a period. `number` tells a policy's limits apart, and from another policy's."""

    number: int
    amount: int
    unit: Unit
    period: Period
    per: Per
    moving: bool = False

    @property
    def sort(self) -> Sort:
        """How does it count?"""
        return Sort.MOVING if self.moving else Sort.SLIDING

    @property
    def name(self) -> str:
        """What its caller knows it by.

        >>> Limit(7, 100, Unit.CALLS, Period.MINUTE, Per.KEY).name
        'calls-minute-key'
        """
        return f"{self.unit.value}-{self.period.value}-{self.per.value}"

    @property
    def seconds(self) -> int:
        """How long is its window?"""
        return self.period.seconds


@dataclass(frozen=True, slots=True)
class Concurrency:
    """So many calls of a key at once. A slot whose holder never came back is free after `seconds`."""

    number: int
    amount: int
    seconds: int
    per: Per = Per.KEY
    unit: Unit = Unit.CALLS

    @property
    def sort(self) -> Sort:
        """How does it count?"""
        return Sort.LEASE

    @property
    def name(self) -> str:
        """What its caller knows it by."""
        return CONCURRENCY


@dataclass(frozen=True, slots=True)
class Budget:
    """All that one policy limits. Empty: nothing.

    `concurrency`: a number that is the policy's own, and how many calls of a key may be under way at once.
    `counts_refused`: a call that is refused counts as one all the same.
    """

    limits: tuple[Limit, ...] = ()
    concurrency: tuple[int, int] | None = None
    counts_refused: bool = False
    on_store_down: StoreDown = StoreDown.CLOSED

    def __bool__(self) -> bool:
        return bool(self.limits or self.concurrency)


@dataclass(frozen=True, slots=True)
class Counter:
    """A limit of a policy, counted for one subject. `cost`: what the call takes of it now; None: that shows later."""

    limit: Limit | Concurrency
    subject: str
    policy: str
    enforced: bool = True
    cost: int | None = 1
    on_store_down: StoreDown = StoreDown.CLOSED
    counts_refused: bool = False

    @property
    def key(self) -> str:
        """Where a store keeps it. A limit that is changed is another one, and starts anew.

        >>> Counter(Limit(7, 100, Unit.CALLS, Period.MINUTE, Per.KEY), "k12", "P").key
        '7/100/calls-minute-key/sliding/k12'
        """
        limit = self.limit
        return f"{limit.number}/{limit.amount}/{limit.name}/{limit.sort.value}/{self.subject}"

    @property
    def taken(self) -> int:
        """What is taken of it before the call runs."""
        return self.cost or 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a counter stands. `wait`: seconds until there is room again, or until some is given back if there is some."""

    admitted: bool
    remaining: int
    wait: float


class Subjects(Protocol):
    """Whose use it is, for each way in which it can be counted together."""

    def __getitem__(self, per: Per) -> str: ...


def counters(budgets: Sequence[tuple[str, bool, Budget]], subjects: Subjects, lease: int) -> list[Counter]:
    """All that one call is counted by. `budgets`: name, whether it is enforced, and budget of each policy.

    `lease`: seconds after which a slot is free whatever has become of its call.
    """
    found: list[Counter] = []
    for name, enforced, budget in budgets:
        kept = {"on_store_down": budget.on_store_down, "counts_refused": budget.counts_refused}
        if budget.concurrency:
            slots = Concurrency(*budget.concurrency, lease)
            found.append(Counter(slots, subjects[Per.KEY], name, enforced, **kept))
        for limit in budget.limits:
            cost = 1 if limit.unit.is_known_before else None
            found.append(Counter(limit, subjects[limit.per], name, enforced, cost, **kept))
    return found


def exhausted(standings: Sequence[tuple[Counter, Standing]]) -> tuple[Counter, Standing] | None:
    """The counter that has no room, if there is one; of several the one that has to be waited for longest.

    One of a policy that only monitors is told where no other is.
    """
    full = [found for found in standings if not found[1].admitted]
    return max(full, key=lambda found: (found[0].enforced, found[1].wait), default=None)


def rate_limit_fields(standings: Sequence[tuple[Counter, Standing]]) -> list[tuple[str, str]]:
    """The fields RateLimit-Policy and RateLimit of an answer; of limits of one name the tightest is told.

    draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.

    >>> limit = Limit(7, 100, Unit.CALLS, Period.MINUTE, Per.KEY)
    >>> rate_limit_fields([(Counter(limit, "k1", "P"), Standing(True, 40, 12.2))])
    [('RateLimit-Policy', '"calls-minute-key";q=100;w=60'), ('RateLimit', '"calls-minute-key";r=40;t=13')]
    """
    shown: dict[str, tuple[Counter, Standing]] = {}
    for counter, standing in standings:
        if counter.enforced:
            known = shown.get(counter.limit.name)
            if known is None or standing.remaining < known[1].remaining:
                shown[counter.limit.name] = (counter, standing)
    if not shown:
        return []
    return [
        ("RateLimit-Policy", ", ".join(_policy_item(counter) for counter, _standing in shown.values())),
        ("RateLimit", ", ".join(_item(counter, standing) for counter, standing in shown.values())),
    ]


_QUOTA_UNITS = {Unit.BYTES: "content-bytes", Unit.ROWS: "records", Unit.WRITTEN: "records", Unit.MILLISECONDS: "ms"}


def _policy_item(counter: Counter) -> str:
    limit = counter.limit
    if isinstance(limit, Concurrency):
        return f'"{limit.name}";q={limit.amount};qu="concurrent-requests"'
    unit = _QUOTA_UNITS.get(limit.unit)
    return f'"{limit.name}";q={limit.amount}' + (f';qu="{unit}"' if unit else "") + f";w={limit.seconds}"


def _item(counter: Counter, standing: Standing) -> str:
    left = f'"{counter.limit.name}";r={max(0, standing.remaining)}'
    return left if isinstance(counter.limit, Concurrency) else f"{left};t={ceil(standing.wait)}"


def x_rate_limit_fields(standings: Sequence[tuple[Counter, Standing]]) -> list[tuple[str, str]]:
    """The older fields that many clients read; they know one limit, which is the one with the least share left."""
    timed = [found for found in standings if found[0].enforced and isinstance(found[0].limit, Limit)]
    if not timed:
        return []
    counter, standing = min(timed, key=lambda found: found[1].remaining / found[0].limit.amount)
    return [
        ("X-RateLimit-Limit", str(counter.limit.amount)),
        ("X-RateLimit-Remaining", str(max(0, standing.remaining))),
        ("X-RateLimit-Reset", str(ceil(standing.wait))),
    ]
