"""Which keys does a text hold?

Asked of whatever was written down in the database. Says what looks like a key; whose
it is, if anybody's, only the table of keys can tell. Knows nothing of records.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from .secret import is_well_formed, split_code

MAX_REPORTED = 20  # secrets in one report

#: What a database may look for before it hands a text over; it finds more than `keys_in` does.
ROUGH_PATTERN = "ag_[0-9A-Za-z]{36}|[0-9a-f]{40}"

# No boundary before ours: in what a program wrote down, "\n" is often two characters. The checksum keeps out the rest.
_OURS = re.compile(r"(?=(ag_[0-9A-Za-z]{36}))")
_ODOOS = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])")


def keys_in(text: str) -> tuple[str, ...]:
    """What in `text` looks like a key, each once: ours, whole ones only; and 40 hexadecimal digits.

    >>> keys_in("use " + "5f" * 20 + ", not ag_" + "0" * 36)
    ('5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f',)
    """
    ours = (found for found in _OURS.findall(text) if is_well_formed(found))
    return tuple(dict.fromkeys((*ours, *_ODOOS.findall(text))))


def read_report(report: object) -> tuple[str, ...]:
    """The secrets that a report tells of, each once, whatever they are. Raises ValueError for what is no report.

    >>> read_report({"secret": "a"}), read_report({"secrets": ["a", "b", "a"]})
    (('a',), ('a', 'b'))
    """
    if not isinstance(report, dict):
        raise ValueError("not an object")
    named = [report[name] for name in ("secret", "token", "secrets") if name in report]
    if len(named) != 1:
        raise ValueError("not one of the three names")
    secrets = [named[0]] if isinstance(named[0], str) else named[0]
    if not isinstance(secrets, Sequence) or not 0 < len(secrets) <= MAX_REPORTED:
        raise ValueError("not a list of the right length")
    if not all(isinstance(secret, str) for secret in secrets):
        raise ValueError("not texts")
    return tuple(dict.fromkeys(map(_bare, secrets)))


def _bare(text: str) -> str:
    """The key alone: without white space around it, and without the code of a second factor behind it."""
    return split_code(text.strip())[0]


def fingerprint(secret: str, key: str) -> str:
    """A mark by which the same secret is known again, and which tells nothing of it; `key` is the database's own.

    >>> fingerprint("a", "k") == fingerprint("a", "k"), fingerprint("a", "k") == fingerprint("a", "other")
    (True, False)
    """
    own = blake2b(key.encode(), digest_size=32, person=b"api_guard.leak").digest()
    return blake2b(secret.encode("utf-8", "replace"), key=own, digest_size=16).hexdigest()
