"""Is this the time at which a credential may be used?

Used by `decide`. The caller passes the time; this module has no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo


def older_than(moment: datetime | None, days: int, at: datetime) -> bool:
    """Do more than `days` days lie between `moment` and `at`? An unknown moment is older than anything.

    >>> from datetime import timezone
    >>> then = datetime(2026, 1, 1, tzinfo=timezone.utc)
    >>> older_than(then, 30, then + timedelta(days=30)), older_than(then, 30, then + timedelta(days=31))
    (False, True)
    """
    return moment is None or at - moment > timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Rotation:
    """How long a key may be used before it is replaced by its successor. `refuses` False: a late one is only noted."""

    days: int
    refuses: bool = True

    def deadline(self, created: datetime) -> datetime:
        """By when does a key that was made then have to be replaced?

        >>> from datetime import timezone
        >>> Rotation(30).deadline(datetime(2026, 1, 1, tzinfo=timezone.utc)).isoformat()
        '2026-01-31T00:00:00+00:00'
        """
        return created + timedelta(days=self.days)

    def is_overdue(self, created: datetime | None, at: datetime) -> bool:
        """Has the deadline of a key that was made then passed? Of one whose age nobody knows it has."""
        return created is None or self.deadline(created) <= at


def first_deadline(created: datetime, rotations: Iterable[Rotation], rotate_by: datetime | None) -> datetime | None:
    """The first of all deadlines by which a key has to be replaced, or None: there is none."""
    deadlines = [rotation.deadline(created) for rotation in rotations]
    return min([*deadlines, *filter(None, [rotate_by])], default=None)


def due_reminder(deadline: datetime, days_before: Iterable[int], reminded: int | None, at: datetime) -> int | None:
    """Which reminder is due: so many days before the deadline? None: none, or it was sent.

    `reminded`: the reminder that was sent last, None for none. One that was missed (nothing ran) is
    sent late, and of several the last one alone. After the deadline there is nothing to remind of.

    >>> from datetime import timezone
    >>> deadline = datetime(2026, 1, 31, tzinfo=timezone.utc)
    >>> due_reminder(deadline, [14, 7, 1], None, deadline - timedelta(days=8))
    14
    >>> due_reminder(deadline, [14, 7, 1], 14, deadline - timedelta(hours=3))
    1
    >>> due_reminder(deadline, [14, 7, 1], 1, deadline - timedelta(hours=3)) is None
    True
    """
    if at >= deadline:
        return None
    due = min((days for days in days_before if deadline - at <= timedelta(days=days)), default=None)
    return None if due is None or (reminded is not None and reminded <= due) else due


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of some weekdays in one time zone.

    `days` holds 0 (Monday) to 6; `start` and `end` are minutes since midnight,
    `end` exclusive. `start` after `end` runs over midnight and belongs to the
    day on which it begins; `start` equal to `end` is the whole day.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: tzinfo

    def contains(self, at: datetime) -> bool:
        """Does the window contain the aware time `at`?

        >>> from datetime import timezone
        >>> night = Window(frozenset({4}), 22 * 60, 6 * 60, timezone.utc)  # Friday night
        >>> night.contains(datetime(2026, 1, 3, 5, 59, tzinfo=timezone.utc))  # Saturday
        True
        """
        local = at.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        if self.start == self.end:
            return today in self.days
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)
