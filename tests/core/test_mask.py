"""Does a mask keep what a value is recognised by, and no more?"""

from odoo.tests.common import BaseCase

from ...core.mask import Masker, mask

# fmt: off
MASKS = [
    (Masker.EMAIL, "jane@example.com", "j***@example.com"),
    (Masker.EMAIL, " a@b ", "a***@b"),
    (Masker.EMAIL, "jane@a.com, joe@b.com", "***"),
    (Masker.EMAIL, '"Jane" <jane@a.com>', "***"),
    (Masker.EMAIL, "jane", "***"),
    (Masker.EMAIL, "@example.com", "***"),
    (Masker.PHONE, "+32 (2) 555.12.34", "***34"),
    (Masker.PHONE, "112", "***"),
    (Masker.IBAN, "BE68 5390 0754 7034", "BE***7034"),
    (Masker.IBAN, "be68539007547034", "BE***7034"),
    (Masker.IBAN, "12345", "***"),
    (Masker.IBAN, "123456789012", "***9012"),
    (Masker.CARD, "4111-1111-1111-1111", "***1111"),
    (Masker.CARD, "1111", "***"),
    (Masker.NAME, "Ada  Lovelace", "A*** L***"),
    (Masker.NAME, "x", "x***"),
    (Masker.PHONE, 3225551234, "***34"),
]
# fmt: on


class TestMask(BaseCase):
    def test_masks(self):
        for masker, value, expected in MASKS:
            with self.subTest(masker=masker, value=value):
                self.assertEqual(mask(masker, value, b"key"), expected)

    def test_nothing_stays_nothing(self):
        for masker in Masker:
            for value in (None, False, ""):
                self.assertIs(mask(masker, value, b"key"), value)

    def test_equal_values_have_equal_hashes_for_one_key_alone(self):
        one, same = (mask(Masker.HASH, "jane", b"key") for _ in range(2))
        self.assertEqual(one, same)
        self.assertEqual(len(one), 32)
        self.assertNotEqual(one, mask(Masker.HASH, "joan", b"key"))
        self.assertNotEqual(one, mask(Masker.HASH, "jane", b"another"))

    def test_no_mask_shows_the_middle_of_a_value(self):
        for masker in Masker:
            self.assertNotIn("secretmiddle", str(mask(masker, "12ab-secretmiddle-34cd@secretmiddle", b"k"))[:8])
