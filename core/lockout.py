"""Who has to wait after wrong secrets, and how long?

Counted for a subject: a login from one network, a network, a key's prefix, the master
password. An attempt is counted *before* its secret is looked at, and given back if it was
right, so that no number of attempts at once gets more secrets judged than are allowed.
Knows no store and no clock: moments are seconds of one clock, that of the store.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum


class Kind(str, Enum):
    """What is counted together."""

    PAIR = "pair"  # a login, from one network
    NETWORK = "network"
    KEY = "key"  # a key's prefix, from one network
    TOTP = "totp"  # a user's codes at the web login, from one network
    DEVICE = "device"  # a browser that has logged in before: it passes the locks of others, and has its own
    MASTER = "master"  # the master password, from one network


@dataclass(frozen=True, slots=True)
class Rule:
    """So many wrong secrets, then a wait of `first` seconds, twice as long with each further one, up to `longest`.

    All is forgotten `forget` seconds after the last. `threshold` 0: never.
    """

    threshold: int
    first: float
    longest: float
    forget: float


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a subject. `known_until`: it has been right before, and is not counted beforehand until then."""

    failures: int = 0
    level: int = 0  # locks in a row
    locked_until: float = 0.0
    last: float = 0.0
    known_until: float = 0.0

    def write(self) -> str:
        return json.dumps([self.failures, self.level, self.locked_until, self.last, self.known_until])

    @classmethod
    def read(cls, text: str | None) -> State:
        """The state that was written; a new one for None.

        >>> State.read(State(3, 1, 60.0, 5.0).write())
        State(failures=3, level=1, locked_until=60.0, last=5.0, known_until=0.0)
        """
        return cls(*json.loads(text)) if text else cls()

    def wait(self, rule: Rule, now: float) -> float:
        """How many seconds is it locked for? 0: it is not."""
        if not rule.threshold or self.failures < rule.threshold:
            return 0.0
        # a clock that was set back must not lock anybody for longer than the longest wait
        return min(max(0.0, self.locked_until - now), rule.longest)

    def aged(self, rule: Rule, now: float) -> State:
        """The same, without what is forgotten by now."""
        return replace(State(), known_until=self.known_until) if now - self.last > rule.forget else self

    def failed(self, rule: Rule, now: float) -> State:
        """One more wrong secret, or one whose rightness is not known yet.

        >>> rule = Rule(threshold=2, first=60, longest=3600, forget=86400)
        >>> [round(s.wait(rule, 0)) for s in (State().failed(rule, 0), State(1).failed(rule, 0), State(2, 1).failed(rule, 0))]
        [0, 60, 120]
        """
        state = self.aged(rule, now)
        failures, level, locked = state.failures + 1, state.level, state.locked_until
        if rule.threshold and failures >= rule.threshold:
            locked = now + min(rule.first * 2.0 ** min(level, 30), rule.longest)
            level += 1
        return State(failures, level, locked, now, state.known_until)

    def given_back(self, rule: Rule) -> State:
        """The attempt that was counted beforehand was right: as if it had not been."""
        failures = max(0, self.failures - 1)
        if rule.threshold and self.failures >= rule.threshold:
            return replace(self, failures=failures, level=max(0, self.level - 1), locked_until=0.0)
        return replace(self, failures=failures)

    def cleared(self, known_until: float = 0.0) -> State:
        """Nothing is held against it any more."""
        return State(known_until=known_until)

    def ends(self, rule: Rule) -> float:
        """When the store may forget it."""
        return max(self.last + rule.forget, self.locked_until, self.known_until)
