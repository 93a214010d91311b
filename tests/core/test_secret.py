"""Does a fast check accept its own secret and hash, and nothing else?"""

from odoo.tests.common import BaseCase

from ...core.secret import is_random, read_check, write_check

KEY, STORED = "5f" * 20, "$pbkdf2-sha512$6000$salt$sum"


class TestSecret(BaseCase):
    def test_only_what_odoo_draws_is_random(self):
        # fmt: off
        cases = [
            (KEY, True), (KEY[:-1], False), (KEY + "0", False), (KEY.upper(), False), (KEY[:-1] + "g", False),
            (KEY + "\n", False), (" " + KEY[1:], False), ("", False), ("admin", False), ("٣" * 40, False),
        ]
        # fmt: on
        for secret, expected in cases:
            with self.subTest(repr(secret)):
                self.assertEqual(is_random(secret), expected)

    def test_a_secret_that_somebody_thought_of_gets_no_check(self):
        with self.assertRaises(ValueError):
            write_check("correct horse battery staple", STORED)

    def test_one_flipped_character_is_another_secret(self):
        check = write_check(KEY, STORED)
        self.assertIs(read_check(KEY, STORED, check), True)
        for place in range(len(KEY)):
            with self.subTest(place):
                other = KEY[:place] + ("0" if KEY[place] != "0" else "1") + KEY[place + 1 :]
                self.assertIs(read_check(other, STORED, check), False)

    def test_a_check_is_worth_nothing_beside_another_hash(self):
        self.assertIsNone(read_check(KEY, STORED + "x", write_check(KEY, STORED)))

    def test_a_check_transplanted_onto_another_hash_is_refused(self):
        other = STORED + "x"
        mark, digest = write_check(KEY, other).split(":")[0], write_check(KEY, STORED).split(":")[1]
        self.assertIs(read_check(KEY, other, f"{mark}:{digest}"), False)

    def test_a_damaged_check_says_nothing(self):
        check = write_check(KEY, STORED)
        mark, digest = check.split(":")
        for damaged in (None, "", ":", check[:5], f"{mark}:", f":{digest}", mark, "é:é", "\ud800:x"):
            with self.subTest(repr(damaged)):
                self.assertIsNone(read_check(KEY, STORED, damaged))
        self.assertIs(read_check(KEY, STORED, check[:-1]), False)
        self.assertIs(read_check(KEY, STORED, f"{mark}:é"), False)

    def test_strange_secrets_are_refused_and_raise_nothing(self):
        check = write_check(KEY, STORED)
        for secret in ("", "é", "\ud800", "\x00", KEY + KEY):
            with self.subTest(repr(secret)):
                self.assertIs(read_check(secret, STORED, check), False)

    def test_neither_secret_nor_hash_can_be_read_in_a_check(self):
        check = write_check(KEY, STORED)
        self.assertNotIn(KEY[:8], check)
        self.assertNotIn("salt", check)
        self.assertRegex(check, r"\A[0-9a-f]{16}:[0-9a-f]{64}\Z")
