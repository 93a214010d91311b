"""Is a recovery code found again, however it is typed, and nothing else?"""

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.recovery import SIZE, hash_recovery, read_recovery, write_recovery
from .common import examples


class TestRecovery(BaseCase):
    @examples
    @given(st.binary(min_size=SIZE, max_size=SIZE))
    def test_every_code_is_read_as_it_was_written(self, chance):
        code = write_recovery(chance)
        self.assertRegex(code, r"\A([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}\Z")
        for typed in (code, code.lower(), code.replace("-", ""), code.replace("0", "o").replace("1", "l")):
            self.assertEqual(read_recovery(typed), code.replace("-", ""))

    @examples
    @given(st.binary(min_size=SIZE, max_size=SIZE), st.binary(min_size=SIZE, max_size=SIZE))
    def test_two_codes_are_the_same_only_if_their_chance_is(self, one, other):
        self.assertEqual(write_recovery(one) == write_recovery(other), one == other)

    def test_what_is_no_recovery_code(self):
        fifteen = "0" * 15
        for text in ("", "123456", fifteen, fifteen + "00", "U" * 16, fifteen + "ı", fifteen + "٣", "-" * 40):
            with self.subTest(text[:20]):
                self.assertIsNone(read_recovery(text))

    def test_a_hash_is_bound_to_what_the_code_belongs_to(self):
        hashes = {hash_recovery(code, context) for code in ("0" * 16, "1" * 16) for context in ("1", "2")}
        self.assertEqual(len(hashes), 4)
