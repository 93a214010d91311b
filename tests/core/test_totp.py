"""Which codes are those of a moment? The vectors of RFC 6238, and both sides of each boundary."""

import base64
from datetime import datetime, timedelta, timezone

import pyotp
from odoo.tests.common import BaseCase

from ...core.totp import STEP, is_code, matching_step, minutes_off, step_of
from ...core.verdict import Reason

SECRET = base64.b32encode(b"12345678901234567890").decode()
#: RFC 6238, appendix B, the rows of SHA1; six digits are the last six of its eight
VECTORS = [
    (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
    (2000000000, "69279037"), (20000000000, "65353130"),
]  # fmt: skip
NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=timezone.utc)  # the first second of a step
STRANGE = [
    "", " ", "12345", "1234567", "12345a", "-12345", "+12345", "1234.5", "0x1234", "123456 ", " 123456", "123 456",
    "123456\n", "123456\0", "١٢٣٤٥٦", "１２３４５６", "12345²", "½½½½½½", "é" * 6, "\ud800" * 6, "1" * 10_000,
]  # fmt: skip


def code_at(moment):
    return pyotp.TOTP(SECRET).at(moment)


class TestTotp(BaseCase):
    def test_the_vectors_of_the_rfc(self):
        for seconds, digits in VECTORS:
            with self.subTest(seconds):
                at = datetime.fromtimestamp(seconds, timezone.utc)
                self.assertEqual(matching_step(SECRET, digits[-6:], at, -1), seconds // STEP)

    def test_a_code_holds_a_step_before_and_a_step_after_its_own(self):
        code, step = code_at(NOW), step_of(NOW)
        for seconds, expected in (
            (-31, Reason.CODE_WRONG), (-30, step), (-1, step), (0, step), (29, step), (30, step), (59, step),
            (60, Reason.CODE_WRONG),
        ):  # fmt: skip
            with self.subTest(seconds):
                self.assertEqual(matching_step(SECRET, code, NOW + timedelta(seconds=seconds), 0), expected)

    def test_a_step_that_was_used_is_over_and_all_before_it(self):
        step = step_of(NOW)
        for last_step, expected in ((step - 1, step), (step, Reason.CODE_REUSED), (step + 1, Reason.CODE_REUSED)):
            with self.subTest(last_step - step):
                self.assertEqual(matching_step(SECRET, code_at(NOW), NOW, last_step), expected)
        self.assertEqual(matching_step(SECRET, code_at(NOW + timedelta(seconds=30)), NOW, step), step + 1)

    def test_what_is_no_code_is_wrong(self):
        for text in STRANGE:
            with self.subTest(ascii(text)[:20]):
                self.assertFalse(is_code(text))
                self.assertEqual(matching_step(SECRET, text, NOW, 0), Reason.CODE_WRONG)
                self.assertIsNone(minutes_off(SECRET, text, NOW))

    def test_the_code_of_another_secret_is_wrong(self):
        other = pyotp.TOTP(base64.b32encode(b"another secret here!").decode())
        self.assertEqual(matching_step(SECRET, other.at(NOW), NOW, 0), Reason.CODE_WRONG)

    def test_a_clock_that_is_off_is_told_in_minutes(self):
        for minutes, told in ((-21, None), (-20, -20), (-10, -10), (3, 3), (20, 20), (21, None)):
            with self.subTest(minutes):
                self.assertEqual(minutes_off(SECRET, code_at(NOW + timedelta(minutes=minutes)), NOW), told)

    def test_before_the_epoch_there_is_no_code(self):
        at = datetime.fromtimestamp(0, timezone.utc)
        self.assertEqual(matching_step(SECRET, code_at(at), at, -1), 0)
        self.assertEqual(matching_step(SECRET, "000000", at, -1), Reason.CODE_WRONG)
