"""How a name of Odoo is replaced: once, and with the original in reach."""

import functools

MARK = "_api_guard_original"


def patch(owner, name, around):
    """Replace `owner.name` by `around(original)`, unless that was done before.

    The replacement keeps the original's metadata and carries it as an attribute,
    so that other addons can wrap it again and a reader can find the way back.
    """
    original = getattr(owner, name)
    if hasattr(original, MARK):
        return
    replacement = functools.wraps(original)(around(original))
    setattr(replacement, MARK, original)
    setattr(owner, name, replacement)
