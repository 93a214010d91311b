"""Which names and texts give away what no log may hold?"""

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase
from stdnum import luhn

from ...core.sensitive import (
    CARD,
    EMAIL,
    IBAN,
    PHONE,
    is_email_name,
    is_phone_name,
    is_secret_key,
    without_emails,
    without_numbers,
    without_phones,
    without_secrets,
)
from .common import examples

# fmt: off
NUMBERS = [
    ("4111111111111111", CARD), ("5500 0000 0000 0004", CARD), ("3400-000000-00009", CARD), ("6011000000000004", CARD),
    ("4222222222222", CARD), ("6304000000000000000", CARD), ("411111111111", "411111111111"),
    ("4111111111111112", "4111111111111112"), ("1 4111111111111111", f"1 {CARD}"),
    ("4111 1111 1111 1111 12/29 123", f"{CARD} 12/29 123"), ("2026 4111111111111111 7", f"2026 {CARD} 7"),
    ("4111111111111111, 5500000000000004", f"{CARD}, {CARD}"), ("4111111111111111 5500000000000004", f"{CARD} {CARD}"),
    ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", CARD), ("4111\u00a01111\u00a01111\u00a01111", CARD),
    ("x4111111111111111x", f"x{CARD}x"),
    ("٤١١١١١١١١١١١١١١١", CARD), ("2026-03-04 12:00:00", "2026-03-04 12:00:00"),
    ("DE89370400440532013000", IBAN), ("GB82 WEST 1234 5698 7654 32", IBAN), ("gb82west12345698765432", IBAN),
    ("BE68-5390-0754-7034", IBAN), ("NO93 8601 1117 947", IBAN),
    ("DE89 3704 0044 0532 0130 00 thanks", f"{IBAN} thanks"),
    ("IBAN:DE89370400440532013000.", f"IBAN:{IBAN}."), ("order AB12 to GB82 WEST 1234 5698 7654 32 now",
    f"order AB12 to {IBAN} now"),
    ("DE88370400440532013000", "DE88370400440532013000"), ("", ""), ("Ada", "Ada"),
]
EMAILS = [
    ("ada@example.com", EMAIL), ("Ada <ada.l+x@mail.example.com>, bob@x.io", f"Ada <{EMAIL}>, {EMAIL}"),
    ("mailto:é@é.fr", f"mailto:{EMAIL}"),
    ("a @ b", "a @ b"), ("@ada", "@ada"),
]
PHONES = [
    ("+32 2 555 12 34", PHONE), ("0032 2 555 12 34", PHONE), ("02/555.12.34", PHONE), ("(02) 555 12 34", f"{PHONE}"),
    ("+1 (555) 010-9999 x", f"{PHONE} x"), ("1234567", "1234567"), ("+1234", "+1234"), ("10.012345678", "10.012345678"),
]
PLAIN = ["reset the password today", "a keyboard", "Tokens of love", "monkey: yes", "spin: 5", "the key",
"password:", "password: ''"]
# fmt: on


class TestSensitive(BaseCase):
    def test_what_is_left_of_texts(self):
        for function, table in ((without_numbers, NUMBERS), (without_emails, EMAILS), (without_phones, PHONES)):
            for text, expected in table:
                with self.subTest(text):
                    self.assertEqual(function(text), expected)

    def test_texts_that_only_speak_of_secrets_stay(self):
        for text in PLAIN:
            with self.subTest(text):
                self.assertEqual(without_secrets(text), text)

    def test_names_by_option(self):
        for function, names, others in (
            (is_email_name, ("email", "email_from", "work_email", "mail"), ("name", "phone")),
            (
                is_phone_name,
                ("phone", "mobile", "mobile_phone", "fax", "x_tel"),
                ("name", "hotel", "cancelled", "telephoto"),
            ),
        ):
            self.assertEqual([name for name in (*names, *others) if function(name)], list(names))

    def test_a_mapping_names_a_secret_however_long(self):
        self.assertTrue(is_secret_key("x" * 1000 + "password"))
        self.assertTrue(is_secret_key("password" + "x" * 1000))
        self.assertFalse(is_secret_key("x" * 1000))
        self.assertFalse(is_secret_key(5))

    @examples
    @given(
        st.text(st.sampled_from("0123456789"), min_size=12, max_size=18),
        st.lists(st.sampled_from(["", " ", "-", "  "]), min_size=19, max_size=19),
        st.sampled_from(["", "x", "7 ", "12-34 ", "(", ":"]),
        st.sampled_from(["", "x", " 7", ".", " 12/29"]),
    )
    def test_no_card_number_comes_through(self, digits, blanks, before, after):
        number = digits + luhn.calc_check_digit(digits)
        # written in groups of at least two digits, as people and programs do
        written = "".join(
            digit + (blank if place % 2 else "")
            for place, (digit, blank) in enumerate(zip(number, blanks, strict=False))
        )
        kept = without_numbers(before + written.strip(" -") + after)
        self.assertNotIn(number, "".join(char for char in kept if char.isdigit()))
