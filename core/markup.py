"""Does a plain text hold HTML that would run, if some page showed it unescaped?

For names, notes and other fields of plain text: Odoo cleans its HTML fields itself.
A browser reads generously, and so does this: unclosed tags, slashes for spaces,
escaped letters. Linear in the length of the text, whatever it holds.
"""

from __future__ import annotations

import re
from enum import Enum
from html import unescape

_TAG = re.compile(r"<[a-zA-Z!/?][^<>]*")
_ACTIVE = re.compile(
    r"</?(?:script|iframe|frame|object|embed|applet|base|meta|link|form|style|svg|math)(?![a-z0-9-])", re.IGNORECASE
)
_HANDLER = re.compile(r"[\s/\"'`]on[a-z]{2,30}\s{0,50}=", re.IGNORECASE)
_URL = re.compile(
    r"=[\"'`]?(?:(?:javascript|vbscript|livescript):|data:(?:text/html|image/svg|application/x))", re.IGNORECASE
)
_IGNORED = re.compile(r"[\s\x00-\x1f]+")  # browsers read "java\nscript:" as one word


class OnActive(str, Enum):
    """What becomes of a call that brings active HTML into a field of plain text?"""

    FLAG = "flag"
    REFUSE = "refuse"


def is_active(text: str) -> bool:
    """Would a browser run a part of `text`?

    >>> is_active("a < b, <john@example.com> and <b>bold</b>"), is_active("<img src=x onerror=alert(1)>")
    (False, True)
    """
    return any(_is_active(tag.group()) for tag in _TAG.finditer(text))


def _is_active(tag: str) -> bool:
    if _ACTIVE.match(tag) or _HANDLER.search(tag):
        return True
    return _URL.search(_IGNORED.sub("", unescape(tag))) is not None
