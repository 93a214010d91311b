"""Does every link and every picture of the documentation lead somewhere?"""

import re
from pathlib import Path

from odoo.tests.common import BaseCase

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text):
    """The names by which a page's headings are linked to: “What it costs” is #what-it-costs."""
    found = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(text))
    return {title.strip().replace(" ", "-") for title in found}


class TestDocs(BaseCase):
    def test_every_link_and_picture_is_there(self):
        for page in PAGES:
            for target in _LINK.findall(page.read_text()):
                if "://" in target:
                    continue
                path, _, anchor = target.partition("#")
                with self.subTest(page=page.name, target=target):
                    linked = (page.parent / path).resolve() if path else page
                    self.assertTrue(linked.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(linked.read_text()))
