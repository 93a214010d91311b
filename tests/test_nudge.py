"""Who wakes the sealing job, and when not?"""

import contextlib
import time
from unittest.mock import MagicMock, patch

from odoo.tests.common import BaseCase, tagged

from ..seams import nudge


@tagged("standard")
class TestNudge(BaseCase):
    def setUp(self):
        super().setUp()
        self.woken = MagicMock()
        self.age = None
        for name, value in (("Registry", MagicMock()), ("Environment", self.woken), ("beside", self._beside)):
            patcher = patch.object(nudge, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    @contextlib.contextmanager
    def _beside(self, _registry):
        yield MagicMock(fetchone=lambda: (self.age,))

    def wake(self, age, first, last):
        """What follows from entries that were written so many seconds ago, where the log was sealed `age` ago."""
        self.age = age
        self.woken.reset_mock()
        now = time.monotonic()
        left = nudge._wake("a database", [now - first, now - last])
        return left, self.woken.called

    def test_what_waits_is_sealed(self):
        for age in (None, 25, 60, 3600):
            with self.subTest(age):
                self.assertEqual(self.wake(age, 20, 5), (None, True))

    def test_what_is_sealed_meanwhile_wakes_nobody(self):
        self.assertEqual(self.wake(3, 20, 10), (None, False))

    def test_what_came_after_a_seal_waits_its_time(self):
        left, woken = self.wake(6, 20, 1)
        self.assertEqual((round(left), woken), (14, False))

    def test_what_was_written_just_before_a_seal_may_not_be_in_it(self):
        left, woken = self.wake(3, 20, 4)
        self.assertEqual((round(left), woken), (17, False))
        self.assertEqual(self.wake(18, 19, 19), (None, True))

    def test_of_many_entries_the_first_sets_the_time(self):
        registry = MagicMock(db_name="a database")
        with patch.dict(nudge._waiting, clear=True), patch.object(nudge, "_process", nudge.os.getpid()):
            with patch.object(nudge.time, "monotonic", side_effect=[10.0, 11.0, 12.0]):
                for _number in range(3):
                    nudge.note(registry)
            self.assertEqual(nudge._waiting, {"a database": [10.0, 12.0]})
            with patch.object(nudge.time, "monotonic", return_value=10.0 + nudge.SECONDS):
                self.assertEqual(nudge._next(), ("a database", [10.0, 12.0]))

    def test_tests_of_odoo_wake_nobody(self):
        registry = MagicMock(db_name="a database")
        registry.cursor = None  # as in its test mode
        with patch.dict(nudge._waiting, clear=True):
            nudge.note(registry)
            self.assertFalse(nudge._waiting)
