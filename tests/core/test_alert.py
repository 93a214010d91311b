"""Of what are people told, and how grave is it? The whole catalogue, so that a change shows in review."""

from odoo.tests.common import BaseCase

from ...core.alert import Severity, Signal

# fmt: off
CATALOGUE = {
    "key.leaked":       ("critical", True),
    "log.broken":       ("critical", True),
    "log.unsigned":     ("high",     True),
    "second_factor.locked": ("high", True),
    "limit.store_down": ("high",     True),
    "log.restored":     ("critical", True),
    "log.disputed":     ("critical", True),
    "log.forked":       ("critical", True),
    "witness.behind":   ("high",     True),
    "key.pasted":       ("high",     True),
    "key.retired_used": ("high",     True),
}
# fmt: on


class TestAlert(BaseCase):
    def test_every_signal_is_in_the_catalogue(self):
        told = {signal.value: (signal.severity.value, signal.severity.is_urgent) for signal in Signal}
        self.assertEqual(told, CATALOGUE)

    def test_a_signal_is_its_code(self):
        self.assertIs(Signal("key.leaked"), Signal.KEY_LEAKED)
        self.assertEqual(Signal.KEY_LEAKED, "key.leaked")

    def test_what_is_urgent_is_no_less_grave_than_what_is_not(self):
        self.assertEqual([severity.is_urgent for severity in Severity], [False, False, False, True, True])
