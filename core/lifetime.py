"""Is this the time at which a credential may be used?

Used by `decide`. The caller passes the time; this module has no clock.
"""

from __future__ import annotations

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
