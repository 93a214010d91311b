"""Is this the time at which a credential may be used? Windows where clocks are changed."""

from datetime import timedelta

import pytz
from odoo.tests.common import BaseCase

from ...core.lifetime import Rotation, Window, due_reminder, first_deadline, older_than
from .common import DAY, NOW, SECOND, UTC, utc

PARIS = pytz.timezone("Europe/Paris")
SUNDAY = frozenset({6})
NIGHT = Window(SUNDAY, 2 * 60, 3 * 60, PARIS)  # from 2:00 to 3:00, the hour that is skipped and repeated
LATE = Window(frozenset({5}), 22 * 60, 4 * 60, PARIS)  # Saturday 22:00 to Sunday 4:00

# fmt: off
CHANGES_OF_THE_CLOCK = [
    ("an ordinary Sunday, before", NIGHT, "2026-03-22 00:59:59", False),
    ("an ordinary Sunday, 2:00", NIGHT, "2026-03-22 01:00:00", True),
    ("an ordinary Sunday, last second", NIGHT, "2026-03-22 01:59:59", True),
    ("an ordinary Sunday, 3:00", NIGHT, "2026-03-22 02:00:00", False),
    ("the hour is skipped: 1:59:59", NIGHT, "2026-03-29 00:59:59", False),
    ("the hour is skipped: 3:00 comes next", NIGHT, "2026-03-29 01:00:00", False),
    ("the hour is repeated: 1:59:59", NIGHT, "2026-10-24 23:59:59", False),
    ("the hour is repeated: 2:00 the first time", NIGHT, "2026-10-25 00:00:00", True),
    ("the hour is repeated: 2:59:59 the first time", NIGHT, "2026-10-25 00:59:59", True),
    ("the hour is repeated: 2:00 the second time", NIGHT, "2026-10-25 01:00:00", True),
    ("the hour is repeated: 2:59:59 the second time", NIGHT, "2026-10-25 01:59:59", True),
    ("the hour is repeated: 3:00", NIGHT, "2026-10-25 02:00:00", False),
    ("a night of five hours: last second", LATE, "2026-03-29 01:59:59", True),
    ("a night of five hours: 4:00", LATE, "2026-03-29 02:00:00", False),
    ("a night of seven hours: last second", LATE, "2026-10-25 02:59:59", True),
    ("a night of seven hours: 4:00", LATE, "2026-10-25 03:00:00", False),
    ("a day of 23 hours: its first second", Window(SUNDAY, 0, 0, PARIS), "2026-03-28 23:00:00", True),
    ("a day of 23 hours: its last second", Window(SUNDAY, 0, 0, PARIS), "2026-03-29 21:59:59", True),
    ("a day of 23 hours: the next", Window(SUNDAY, 0, 0, PARIS), "2026-03-29 22:00:00", False),
    ("a day of 25 hours: its last second", Window(SUNDAY, 0, 0, PARIS), "2026-10-25 22:59:59", True),
    ("a day of 25 hours: the next", Window(SUNDAY, 0, 0, PARIS), "2026-10-25 23:00:00", False),
]
# fmt: on


class TestLifetime(BaseCase):
    def test_older_means_more_than_that_many_days(self):
        for days in (1, 30, 36500):
            with self.subTest(days):
                self.assertFalse(older_than(NOW - days * DAY, days, NOW))
                self.assertTrue(older_than(NOW - days * DAY - timedelta(microseconds=1), days, NOW))

    def test_a_moment_to_come_is_not_old_and_an_unknown_one_is(self):
        self.assertFalse(older_than(NOW + SECOND, 1, NOW))
        self.assertTrue(older_than(None, 36500, NOW))

    def test_the_greatest_number_of_days_can_be_asked(self):
        self.assertFalse(older_than(utc("0001-01-01"), timedelta.max.days, NOW))

    def test_reminders_come_once_each_and_the_last_one_when_several_were_missed(self):
        deadline = NOW + 20 * DAY
        for name, before, reminded, due in (
            ("before the first", 15 * DAY, None, None),
            ("at the first", 14 * DAY, None, 14),
            ("the first was sent", 14 * DAY - SECOND, 14, None),
            ("a second before the next", 7 * DAY + SECOND, 14, None),
            ("at the next", 7 * DAY, 14, 7),
            ("nothing ran for two weeks", SECOND, None, 1),
            ("all were sent", SECOND, 1, None),
            ("at the deadline", 0 * DAY, 7, None),
            ("past the deadline", -DAY, None, None),
        ):
            with self.subTest(name):
                self.assertEqual(due_reminder(deadline, [1, 14, 7], reminded, deadline - before), due)

    def test_the_first_of_all_deadlines_holds(self):
        rotations = [Rotation(90), Rotation(30, refuses=False)]
        self.assertIsNone(first_deadline(NOW, [], None))
        self.assertEqual(first_deadline(NOW, rotations, None), NOW + 30 * DAY)
        self.assertEqual(first_deadline(NOW, rotations, NOW + DAY), NOW + DAY)
        self.assertEqual(first_deadline(NOW, [], NOW + DAY), NOW + DAY)

    def test_a_window_follows_the_clock_on_the_wall(self):
        for name, window, at, inside in CHANGES_OF_THE_CLOCK:
            with self.subTest(name):
                self.assertEqual(window.contains(utc(at)), inside)

    def test_the_time_may_come_in_any_zone(self):
        at = PARIS.localize(utc("2026-10-25 02:30:00").replace(tzinfo=None), is_dst=False)
        self.assertTrue(NIGHT.contains(at))
        self.assertFalse(NIGHT.contains(at + timedelta(hours=1)))

    def test_each_day_is_its_own(self):
        monday = utc("2026-03-02 12:00:00")
        for day in range(7):
            for asked in range(7):
                with self.subTest(day=day, asked=asked):
                    window = Window(frozenset({day}), 0, 24 * 60 - 1, UTC)
                    self.assertEqual(window.contains(monday + asked * DAY), day == asked)

    def test_a_window_over_midnight_reaches_from_sunday_into_monday(self):
        window = Window(SUNDAY, 22 * 60, 6 * 60, UTC)
        self.assertTrue(window.contains(utc("2026-03-09 05:59:59")))  # Monday
        self.assertFalse(window.contains(utc("2026-03-08 05:59:59")))
        self.assertFalse(window.contains(utc("2026-03-09 22:00:00")))

    def test_a_window_of_one_minute(self):
        window = Window(frozenset({2}), 720, 721, UTC)
        self.assertFalse(window.contains(NOW - SECOND))
        self.assertTrue(window.contains(NOW))
        self.assertTrue(window.contains(NOW + 59 * SECOND))
        self.assertFalse(window.contains(NOW + 60 * SECOND))
