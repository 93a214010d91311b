"""Does what was sealed open again: with its key, for its purpose and context, unchanged, and never otherwise?"""

import base64

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.sealing import KEY_SIZE, NONCE_SIZE, Unsealable, key_id, open_sealed, parse_keys, seal, sealed_with
from .common import examples

KEY, OTHER = bytes(range(KEY_SIZE)), bytes(KEY_SIZE)
NONCE = b"twelve bytes"
SEALED = seal(KEY, NONCE, "second_factor", "7", "the secret")


class TestSealing(BaseCase):
    def _refuses(self, sealed, keys=(KEY,), purpose="second_factor", context="7"):
        with self.assertRaises(Unsealable):
            open_sealed(keys, purpose, context, sealed)

    @examples
    @given(
        st.binary(min_size=KEY_SIZE, max_size=KEY_SIZE), st.binary(min_size=NONCE_SIZE, max_size=NONCE_SIZE),
        st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")),
        st.text(st.characters(codec="utf-8")),
    )  # fmt: skip
    def test_what_was_sealed_opens(self, key, nonce, purpose, context, plaintext):
        sealed = seal(key, nonce, purpose, context, plaintext)
        self.assertEqual(open_sealed((OTHER, key), purpose, context, sealed), plaintext)

    def test_the_text_names_its_version_and_key_and_holds_no_secret(self):
        version, named, text = SEALED.split(".")
        self.assertEqual((version, named), ("v1", key_id(KEY)))
        self.assertEqual(sealed_with(SEALED), key_id(KEY))
        self.assertEqual(base64.urlsafe_b64decode(text)[:NONCE_SIZE], NONCE)
        self.assertNotIn(b"secret", base64.urlsafe_b64decode(text))
        self.assertNotIn(KEY.hex()[:8], SEALED)

    def test_every_flipped_bit_is_noticed(self):
        version, named, text = SEALED.split(".")
        content = base64.urlsafe_b64decode(text)
        for place in range(len(content) * 8):
            changed = bytearray(content)
            changed[place // 8] ^= 1 << place % 8
            with self.subTest(place):
                self._refuses(f"{version}.{named}.{base64.urlsafe_b64encode(bytes(changed)).decode()}")

    def test_another_purpose_or_context_does_not_open_it(self):
        self._refuses(SEALED, purpose="signing")
        self._refuses(SEALED, context="8")
        self._refuses(seal(KEY, NONCE, "a b", "c", "x"), purpose="a", context="b c")

    def test_another_key_does_not_open_it_under_any_name(self):
        self._refuses(SEALED, keys=())
        self._refuses(SEALED, keys=(OTHER,))
        self._refuses(SEALED.replace(key_id(KEY), key_id(OTHER)), keys=(OTHER, KEY))

    def test_damaged_texts_do_not_open(self):
        head = f"v1.{key_id(KEY)}"
        for text in ("", ".", "..", "v1", head, f"{head}.", f"{head}.é", f"{head}.AAAA", "v2" + SEALED[2:],
                     SEALED[:-4], SEALED + "AAAA"):  # fmt: skip
            with self.subTest(text):
                self._refuses(text)

    def test_keys_change_one_after_the_other(self):
        self.assertEqual(open_sealed((OTHER, KEY), "second_factor", "7", SEALED), "the secret")
        renewed = seal(OTHER, NONCE, "second_factor", "7", "the secret")
        self.assertEqual(open_sealed((OTHER,), "second_factor", "7", renewed), "the secret")
        self._refuses(renewed, keys=(KEY,))


class TestKeys(BaseCase):
    def test_base64_and_hexadecimal_are_read(self):
        standard, address_safe = "/" * 42 + "8=", "_" * 42 + "8="
        for text in (standard, address_safe, standard.rstrip("="), "ff" * 32, "FF" * 32, f"\n {standard}\n"):
            with self.subTest(text):
                self.assertEqual(parse_keys(text), (b"\xff" * 32,))

    def test_several_stand_in_their_order(self):
        for separator in (",", "\n", ", ", ",\n\n", " "):
            with self.subTest(separator):
                self.assertEqual(parse_keys(separator.join(["00" * 32, "01" * 32])), (bytes(32), b"\x01" * 32))

    def test_anything_else_is_refused_and_not_repeated(self):
        good = "00" * 32
        for text in ("", " , ", "hunter2", "00" * 31, "00" * 33, "zz" * 32, "A" * 42, "A" * 44, "é" * 32, good + ",x"):
            with self.subTest(text), self.assertRaises(ValueError) as refusal:
                parse_keys(text)
            if text.strip(" ,"):
                self.assertNotIn(text, str(refusal.exception))
