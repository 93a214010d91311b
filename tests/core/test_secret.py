"""Does a key tell that it is whole? Does a fast check accept its own secret and hash, and nothing else?"""

import re
from binascii import crc32

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.secret import (
    PATTERN,
    RANDOM_BYTES,
    has_prefix,
    is_random,
    is_well_formed,
    read_check,
    write_check,
    write_secret,
)
from .common import examples

KEY, STORED = "5f" * 20, "$pbkdf2-sha512$6000$salt$sum"
OURS = write_secret(bytes(range(RANDOM_BYTES)))
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

randomness = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


class TestForm(BaseCase):
    def test_the_checksum_is_crc32_as_anybody_computes_it(self):
        value = 0
        for digit in OURS[-6:]:
            value = value * 62 + ALPHABET.index(digit)
        self.assertEqual(value, crc32(OURS[:-6].encode()))

    def test_only_a_whole_key_is_well_formed(self):
        # fmt: off
        cases = [
            (OURS, True), (OURS[:-1], False), (OURS + "0", False), (OURS + "\n", False), (" " + OURS, False),
            (OURS.upper(), False), (OURS.lower(), False), ("xg_" + OURS[3:], False), (OURS[3:], False),
            ("ag_" + "0" * 36, False), ("ag_" + "٣" * 36, False), ("ag_", False), ("", False), (KEY, False),
        ]
        # fmt: on
        for secret, expected in cases:
            with self.subTest(repr(secret)):
                self.assertIs(is_well_formed(secret), expected)

    def test_what_claims_to_be_ours(self):
        for secret, expected in [
            (OURS, True), ("ag_", True), ("AG_", False), (KEY, False), ("", False), (None, False), (5, False)
        ]:  # fmt: skip
            with self.subTest(repr(secret)):
                self.assertIs(has_prefix(secret), expected)

    def test_too_little_randomness_makes_no_key(self):
        with self.assertRaises(ValueError):
            write_secret(bytes(RANDOM_BYTES - 1))

    @examples
    @given(randomness)
    def test_every_key_is_well_formed_and_found_in_any_text(self, drawn):
        secret = write_secret(drawn)
        self.assertEqual(len(secret), 39)
        self.assertTrue(is_well_formed(secret) and is_random(secret))
        for text in (secret, f'{{"key":"{secret}"}}', f"Bearer {secret}\n", f"<p>{secret}</p>", f"key={secret}&x=1"):
            self.assertEqual(re.findall(PATTERN, text), [secret])

    @examples
    @given(randomness, st.integers(3, 38), st.sampled_from(ALPHABET))
    def test_one_other_character_makes_it_malformed(self, drawn, place, character):
        secret = write_secret(drawn)
        other = secret[:place] + character + secret[place + 1 :]
        self.assertEqual(is_well_formed(other), other == secret)

    @examples
    @given(randomness, st.integers(3, 37))
    def test_two_swapped_characters_make_it_malformed(self, drawn, place):
        secret = write_secret(drawn)
        other = secret[:place] + secret[place + 1] + secret[place] + secret[place + 2 :]
        self.assertEqual(is_well_formed(other), other == secret)

    @examples
    @given(randomness, randomness)
    def test_other_randomness_makes_another_key(self, one, other):
        self.assertEqual(write_secret(one) == write_secret(other), one == other)


class TestSecret(BaseCase):
    def test_only_what_is_drawn_is_random(self):
        # fmt: off
        cases = [
            (KEY, True), (KEY[:-1], False), (KEY + "0", False), (KEY.upper(), False), (KEY[:-1] + "g", False),
            (OURS, True), (OURS[:-1], False), (OURS[:-1] + "!", False), ("ag_" + "0" * 36, False),
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
        for key in (KEY, OURS):
            check = write_check(key, STORED)
            self.assertIs(read_check(key, STORED, check), True)
            for place in range(len(key)):
                with self.subTest(place, key=key):
                    other = key[:place] + ("0" if key[place] != "0" else "1") + key[place + 1 :]
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
