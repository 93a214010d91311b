"""Is text that a browser would run told from text that it would show?"""

import time

from odoo.tests.common import BaseCase

from ...core.decide import decide_active
from ...core.markup import is_active
from ...core.verdict import Allow, Deny, Reason
from .common import a_policy

INNOCENT = [
    "", "a < b and c > d", "x<y", "<john@example.com>", "1 <on= 2", "<3 one=two", "<b>bold</b>", "<p class=x>text</p>",
    "Fish & Chips <fish@example.com>", "data: 5 <b>", "javascript: a language",
    "<a href='https://example.com'>x</a>", "<scripture>", "<formula>", "<stylesheet>", "<<<<", "<", "< script >",
]
ACTIVE = [
    "<script>alert(1)</script>", "<SCRIPT src=//x>", "text <script", "</script >", "<iframe src=x>", "<svg/onload=x>",
    "<img src=x onerror=alert(1)>", "<img src=x onerror = alert(1)", "<b/onclick='x'>", "<a href=javascript:x>",
    "<a href='java\nscript:x'>", "<a href=&#106;avascript:x>", '<a href="data:text/html,x">', "<object data=x>",
    "<embed src=x>", "<form action=x>", "<base href=x>", "<meta http-equiv=refresh>", "<style>x</style>",
    "<x\tonfocus=1>", '<a title=""onclick=x>', "a < b <script>",
]


class TestMarkup(BaseCase):
    def test_what_would_run_is_active_and_what_would_not_is_not(self):
        for texts, expected in ((INNOCENT, False), (ACTIVE, True)):
            for text in texts:
                with self.subTest(text):
                    self.assertEqual(is_active(text), expected)

    def test_time_grows_with_the_length_alone(self):
        for piece in ("<a ", "<a on", "<a onx ", "<a " + "on" * 20, "<a &", "<a =data:", "<", "<a\t\t\t\t"):
            for text in (piece * (200_000 // len(piece)), "<a" + piece[1:] * (200_000 // len(piece))):
                with self.subTest(text[:12]):
                    began = time.process_time()
                    is_active(text)
                    self.assertLess(time.process_time() - began, 1)

    def test_a_policy_refuses_flags_or_takes_it(self):
        allow, deny = Allow(), Deny(Reason.ACTIVE_HTML, "P")
        for sections, expected in (
            ({}, allow),
            ({"on_active": "flag"}, Allow(deny)),
            ({"on_active": "refuse"}, deny),
            ({"on_active": "refuse", "mode": "monitor"}, Allow(deny)),
        ):
            with self.subTest(sections):
                self.assertEqual(decide_active([a_policy(**sections)], allow), expected)
        other = Deny(Reason.TOO_OLD, "Other")
        self.assertEqual(decide_active([a_policy(on_active="flag")], Allow(other)), Allow(other))
