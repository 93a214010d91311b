"""What a server remembers of a log, outside of its database."""

import json
import stat
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from unittest.mock import patch

from odoo.tests.common import BaseCase, tagged

from ..core.checkpoint import Checkpoint
from ..models import heads

ORIGIN = "0b8f9a0e-3a52-4c1c-9d0e-2f6f3f1c7a11"


def a_checkpoint(number, size=0):
    return Checkpoint(ORIGIN, number, size, bytes(32), datetime(2026, 11, 25, tzinfo=timezone.utc), "0" * 16)


@tagged("standard")
class TestHeads(BaseCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        patcher = patch.object(heads, "config", {"data_dir": folder.name})
        patcher.start()
        self.addCleanup(patcher.stop)
        self.folder = Path(folder.name, "api_guard", "heads")

    def test_the_last_one_is_remembered(self):
        self.assertIsNone(heads.read(ORIGIN, "shop"))
        for number in (1, 2):
            heads.write(ORIGIN, "shop", a_checkpoint(number, 7))
            self.assertEqual(heads.read(ORIGIN, "shop"), (number, a_checkpoint(number, 7).digest()))
        [file] = self.folder.iterdir()
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertEqual(json.loads(file.read_text())["size"], 7)

    def test_a_copy_does_not_speak_for_its_original(self):
        heads.write(ORIGIN, "shop", a_checkpoint(5))
        heads.write(ORIGIN, "shop_test", a_checkpoint(1))
        self.assertEqual(heads.read(ORIGIN, "shop")[0], 5)
        self.assertEqual(heads.read(ORIGIN, "shop_test")[0], 1)

    def test_no_name_leads_elsewhere(self):
        for origin in ("../../x", "a/b", "", "x" * 500):
            self.assertEqual(heads.path(origin, "../shop").parent, self.folder)
            heads.write(origin, "../shop", a_checkpoint(1))

    def test_what_cannot_be_read_is_said(self):
        heads.write(ORIGIN, "shop", a_checkpoint(1))
        [file] = self.folder.iterdir()
        for text in ("", "[]", "{}", '{"number": "1", "digest": ""}', '{"number": 1, "digest": "é"}', "{"):
            file.write_text(text)
            with self.subTest(text), self.assertRaises(ValueError):
                heads.read(ORIGIN, "shop")
