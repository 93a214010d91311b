"""What is kept of entries that are not on the disk yet, and what is found of it after a crash."""

import os
import subprocess
import sys
import tempfile
from datetime import datetime
from unittest.mock import patch

from odoo.tests.common import BaseCase, tagged
from odoo.tools import config

from ..models import journal

DATABASE = "shop/üñ-1"


@tagged("post_install", "-at_install")
class TestJournal(BaseCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.startPatcher(patch.dict(config.options, data_dir=folder.name))
        self.now = 100.0
        self.startPatcher(patch.object(journal.time, "monotonic", lambda: self.now))
        self.journal = journal.Journal(DATABASE)

    def _note(self, connection, row, after=0.0):
        self.now += after
        return self.journal.note(connection, [row])

    def _files(self):
        return {path.name: path.read_text() for path in journal.folder().iterdir()}

    def _leave(self):
        """The journal of a process that has ended."""
        ended = subprocess.Popen([sys.executable, "-c", ""])
        name = self.journal._paths[0].name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
        ended.wait()
        self._note("a", "left behind")
        self.journal._paths[self.journal._current].rename(journal.folder() / name)
        return name

    def test_what_the_same_connection_outlived_is_certain(self):
        self.assertEqual(self._note("a", 1), [])
        for _n in range(5):
            self.assertEqual(self._note("a", 2, after=0.7), [])

    def test_what_a_lost_connection_wrote_is_doubtful_and_told_once(self):
        self._note("a", 1)
        self._note("a", 2, after=0.2)
        self.assertEqual(self._note("b", 3, after=0.1), [], "it may still become certain")
        self.assertEqual(self._note("b", 4, after=2), [[1], [2]])
        self.assertEqual(self._note("b", 5, after=2), [])

    def test_a_row_is_not_certain_before_its_own_connection_has_answered_a_second_later(self):
        self._note("a", 1)
        self.assertEqual(self._note("a", 2, after=30), [])  # sent on what may be dead meanwhile
        self.assertEqual(self._note("b", 3, after=2), [[1], [2]])

    def test_files_hold_what_is_not_certain_and_stay_small(self):
        for n in range(2000):
            self._note("a", n, after=0.1)
        self.assertLess(sum(map(len, self._files().values())), 4000)
        last = "".join(self._files().values())
        for n in range(1990, 2000):
            self.assertIn(f"[{n}]", last)

    def test_only_we_may_read_it(self):
        self._note("a", datetime(2026, 1, 2))  # noqa: DTZ001
        [path] = journal.folder().iterdir()
        self.assertEqual((path.stat().st_mode & 0o777, journal.folder().stat().st_mode & 0o777), (0o600, 0o700))
        self.assertEqual(path.read_text(), '["2026-01-02T00:00:00"]\n')

    def test_ended_processes_leave_what_the_next_one_takes_once(self):
        self._leave()
        self.assertEqual(list(journal.orphans("other")), [])
        self.assertEqual(list(journal.orphans(DATABASE)), [[["left behind"]]])
        self.assertEqual(list(journal.orphans(DATABASE)), [])

    def test_whoever_took_it_may_have_been_killed_as_well(self):
        name = self._leave()
        (journal.folder() / name).rename(journal.folder() / f"claimed-{2**22 - 1}-{name}")
        self.assertEqual(list(journal.orphans(DATABASE)), [[["left behind"]]])

    def test_a_torn_line_costs_itself_alone(self):
        name = self._leave()
        with (journal.folder() / name).open("a") as file:
            file.write('["torn')
        self.assertEqual(list(journal.orphans(DATABASE)), [[["left behind"]]])

    def test_what_is_alive_or_of_another_host_is_left_alone(self):
        self._note("a", "mine")
        name = self._leave()
        (journal.folder() / name).rename(journal.folder() / f"elsewhere{name[name.index('-'):]}")
        self.assertEqual(list(journal.orphans(DATABASE)), [])

    def test_a_folder_that_cannot_be_written_costs_no_entry(self):
        with patch.dict(config.options, data_dir="/proc/none"), self.assertLogs(journal._logger, "WARNING"):
            self.assertEqual(journal.Journal(DATABASE).note("a", [1]), [])
