"""Who has to wait after wrong secrets, and how long?

Counted for a subject: a login from one network, a network, a key's prefix, the master
password. An attempt is counted *before* its secret is looked at, and given back if it was
right, so that no number of attempts at once gets more secrets judged than are allowed.
Knows no store and no clock: moments are seconds of one clock, that of the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

HOUR = 3600.0


class Kind(str, Enum):
    """What is counted together."""

    PAIR = "pair"  # a login, from one network
    NETWORK = "network"
    KEY = "key"  # a key's prefix, from one network
    TOTP = "totp"  # a user's codes at the web login, from one network
    DEVICE = "device"  # a browser that has logged in before: it passes the locks of others, and has its own
    MASTER = "master"  # the master password, from one network


@dataclass(frozen=True, slots=True)
class Subject:
    """Of whom failures are counted. `name`: a login, a prefix, a device's mark; "" for a whole network."""

    kind: Kind
    network: str
    name: str = ""

    @property
    def key(self) -> str:
        """Where a store keeps it.

        >>> Subject(Kind.PAIR, "10.0.0.0/24", "admin").key
        'pair 10.0.0.0/24 admin'
        """
        return f"{self.kind.value} {self.network} {self.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """So many wrong secrets, then a wait of `first` seconds, twice as long with each further one, up to `longest`.

    All is forgotten `forget` seconds after the last. `threshold` 0: never. With a `window`, in seconds, there are at
    most so many in any window, and the wait is as long as it takes for the first of them to leave it. After the first
    few, one in `pace` seconds: checking a password keeps a worker busy, and not all of them may be busy with that.
    """

    threshold: int
    first: float = 60.0
    longest: float = HOUR
    forget: float = 24 * HOUR
    window: float | None = None
    paced_after: int = 10
    pace: float = 4.0


@dataclass(frozen=True, slots=True)
class State:
    """What is held against a subject. `known_until`: it has been right before, and is trusted to be so until then."""

    failures: int = 0
    level: int = 0  # locks in a row
    locked_until: float = 0.0
    last: float = 0.0
    known_until: float = 0.0
    moments: tuple[float, ...] = ()  # of the failures in a window

    def to_text(self) -> str:
        """What a store keeps of it."""
        return json.dumps(
            [self.failures, self.level, self.locked_until, self.last, self.known_until, self.moments],
            separators=(",", ":"),
        )

    @classmethod
    def from_text(cls, text: str | None) -> State:
        """The state that was written; a new one for None.

        >>> State.from_text(State(3, 1, 60.0, 5.0, moments=(1.0,)).to_text())
        State(failures=3, level=1, locked_until=60.0, last=5.0, known_until=0.0, moments=(1.0,))
        """
        if not text:
            return cls()
        *numbers, moments = json.loads(text)
        return cls(*numbers, tuple(moments))

    def wait(self, rule: Rule, now: float) -> float:
        """For how many seconds is it locked? 0: it is not."""
        if not rule.threshold:
            return 0.0
        if rule.window is not None:
            live = self._live(rule.window, now)
            if len(live) >= rule.threshold:
                return max(0.0, live[-rule.threshold] + rule.window - now)
            return max(0.0, live[-1] + rule.pace - now) if len(live) >= rule.paced_after else 0.0
        # a clock that was set back must lock nobody for longer than the longest wait
        return min(max(0.0, self.locked_until - now), rule.longest) if self.failures >= rule.threshold else 0.0

    def is_known(self, now: float) -> bool:
        """Was it right lately, so that it is not counted beforehand?"""
        return self.known_until > now

    def failed(self, rule: Rule, now: float) -> State:
        """One more wrong secret, or one of which it is not known yet.

        >>> rule = Rule(threshold=2)
        >>> [round(state.failed(rule, 0).wait(rule, 0)) for state in (State(), State(1), State(2, 1), State(9, 9))]
        [0, 60, 120, 3600]
        """
        if rule.window is not None:
            moments = (*self._live(rule.window, now), now)[-max(1, rule.threshold) :]
            return replace(self, failures=len(moments), last=now, moments=moments)
        state = State(known_until=self.known_until) if now - self.last > rule.forget else self
        failures, level, locked = state.failures + 1, state.level, state.locked_until
        if rule.threshold and failures >= rule.threshold:
            locked = now + min(rule.first * 2.0 ** min(level, 30), rule.longest)
            level += 1
        return State(failures, level, locked, now, state.known_until)

    def given_back(self, rule: Rule) -> State:
        """The last attempt that was counted was right: as if it had not been.

        >>> rule = Rule(threshold=2)
        >>> State(1).failed(rule, 0).given_back(rule).wait(rule, 0)
        0.0
        """
        if rule.window is not None:
            return replace(self, failures=max(0, len(self.moments) - 1), moments=self.moments[:-1])
        level = max(0, self.level - 1) if self.failures >= rule.threshold else self.level
        return replace(self, failures=max(0, self.failures - 1), level=level, locked_until=0.0)

    def ends(self, rule: Rule) -> float:
        """When a store may forget it."""
        kept = rule.forget if rule.window is None else rule.window
        return max(self.last + kept, self.locked_until, self.known_until)

    def _live(self, window: float, now: float) -> tuple[float, ...]:
        # a moment of the future was noted before the clock was set back
        return tuple(at for at in self.moments if now - window < at <= now + 1)


def _is_trusted(subject: Subject, state: State, rules: Mapping[Kind, Rule], now: float) -> bool:
    # close to its threshold it is counted beforehand like any other
    return subject.kind is Kind.PAIR and state.is_known(now) and state.failures + 2 < rules[subject.kind].threshold


def attempt(
    states: Mapping[Subject, State], rules: Mapping[Kind, Rule], now: float
) -> tuple[float, dict[Subject, State]]:
    """The seconds that an attempt has to wait for, or 0.0 and the states in which it is counted.

    A pair that is known is not counted beforehand: a program whose many connections all bring
    the right password at once is no attack. Nor does it wait for what others of its network did.
    """
    known = [subject for subject, state in states.items() if _is_trusted(subject, state, rules, now)]
    asked = {subject: states[subject] for subject in known} if known else states
    wait = max((state.wait(rules[subject.kind], now) for subject, state in asked.items()), default=0.0)
    if wait or known:
        return wait, {}
    return 0.0, {subject: state.failed(rules[subject.kind], now) for subject, state in states.items()}
