"""What, beyond secrets, does an administrator want left out of the log?

By the name of a field, by its type, or by what a value looks like. Neither language can be made
to take long: in names `*` and `?` stand for characters, in values `#` stands for a digit and `?`
for a letter or digit, and all else for itself. Knows nothing of models or of entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_RULES = 50  # of one kind in one policy
MAX_NAME, MIN_MASK, MAX_MASK = 100, 4, 40  # characters

#: What a policy may hide by: Odoo's types of fields that hold what people write or send.
TYPES = (
    "binary", "char", "date", "datetime", "float", "html", "image", "integer", "json", "many2one_reference",
    "monetary", "properties", "reference", "selection", "text",
)  # fmt: skip

_NAME = re.compile(r"[a-z0-9_.*?]+")
_WILD = {"*": ".*", "?": "."}
_MASKED = {"#": r"\d", "?": r"[^\W_]"}


@dataclass(frozen=True, slots=True)
class Hiding:
    """What is left out of an entry. `names` with a dot are of one model: "hr.employee.*"; `masks`: "###-##-####"."""

    names: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    masks: frozenset[str] = frozenset()
    email: bool = False
    phone: bool = False


NOTHING_MORE = Hiding()


def hide_all(hidings: Iterable[Hiding]) -> Hiding:
    """What is hidden where all of `hidings` apply: each of them only ever hides more.

    >>> hide_all([Hiding(email=True), Hiding(names=frozenset({"wage"}))])
    Hiding(names=frozenset({'wage'}), types=frozenset(), masks=frozenset(), email=True, phone=False)
    """
    found = [hiding for hiding in hidings if hiding != NOTHING_MORE]
    if len(found) < 2:
        return found[0] if found else NOTHING_MORE
    return Hiding(
        names=frozenset().union(*(hiding.names for hiding in found)),
        types=frozenset().union(*(hiding.types for hiding in found)),
        masks=frozenset().union(*(hiding.masks for hiding in found)),
        email=any(hiding.email for hiding in found),
        phone=any(hiding.phone for hiding in found),
    )


def check_name(pattern: str) -> str:
    """`pattern` if it can stand for names of fields. Raises ValueError.

    >>> check_name("x_*_salary"), check_name("hr.employee.*")
    ('x_*_salary', 'hr.employee.*')
    """
    if len(pattern) > MAX_NAME or not _NAME.fullmatch(pattern) or not pattern.strip("*.?"):
        raise ValueError(f"{pattern!r} stands for no name of a field")
    return pattern


def check_mask(mask: str) -> str:
    """`mask` if it can stand for values. Raises ValueError.

    >>> check_mask("EMP-#####")
    'EMP-#####'
    """
    if not MIN_MASK <= len(mask) <= MAX_MASK or mask != mask.strip() or not mask.isprintable():
        raise ValueError(f"{mask!r} stands for no value")
    return mask


def names_pattern(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """What matches the names that `patterns` stand for, whole ones; None where there are none."""
    texts = ["".join(_WILD.get(char) or re.escape(char) for char in re.sub(r"\*+", "*", text)) for text in patterns]
    return re.compile(f"(?:{'|'.join(sorted(texts))})", re.DOTALL) if texts else None


def masks_pattern(masks: Iterable[str]) -> re.Pattern[str] | None:
    """What finds the values that `masks` stand for within a text; None where there are none.

    A value is found where neither a letter nor a digit stands before or behind it.

    >>> masks_pattern(["##-##"]).sub("x", "12-34, 112-34")
    'x, 112-34'
    """
    texts = ["".join(_MASKED.get(char) or re.escape(char) for char in mask) for mask in masks]
    # the longest first: one may be the beginning of another
    either = "|".join(sorted(texts, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])", re.IGNORECASE) if texts else None
