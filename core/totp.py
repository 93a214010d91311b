"""Is this the code of that moment? Time-based one-time passwords, RFC 6238.

Used where a call needs a second factor and brings a code. The secret, the moment and
the last step that was used are handed in; knows nothing of where they are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from hmac import compare_digest

import pyotp

from .verdict import Reason

STEP = 30  # seconds that a code stands for
WINDOW = 1  # steps that the caller's clock may be off, either way; RFC 6238, section 5.2
TOLD_MINUTES = 20  # how far off a clock may be and still be recognised, for the log

_CODE = re.compile(r"[0-9]{6}")  # not \d: other scripts have digits, too


def is_code(text: str) -> bool:
    """Is this written as a code: six digits and nothing else?

    >>> is_code("012345"), is_code("12345"), is_code("12 345"), is_code("１２３４５６")
    (True, False, False, False)
    """
    return _CODE.fullmatch(text) is not None


def step_of(at: datetime) -> int:
    """The number of the time step that `at`, an aware time, lies in.

    >>> from datetime import timezone
    >>> step_of(datetime(1970, 1, 1, 0, 0, 59, tzinfo=timezone.utc))
    1
    """
    return int(at.timestamp()) // STEP


def matching_step(secret: str, code: str, at: datetime, last_step: int) -> int | Reason:
    """The step whose code this is; or why it is none: CODE_WRONG, or CODE_REUSED.

    `secret` in base32. `last_step`: the latest one that was used; it and all before it are over,
    for whoever saw a code on its way must not use it again (RFC 6238, section 5.2).

    >>> from datetime import timezone
    >>> at = datetime(2009, 2, 13, 23, 31, 30, tzinfo=timezone.utc)
    >>> matching_step("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "005924", at, 0)
    41152263
    >>> matching_step("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "005924", at, 41152263)
    <Reason.CODE_REUSED: 'second_factor.reused'>
    """
    now = step_of(at)
    matched = _matched(secret, code, range(now - WINDOW, now + WINDOW + 1))
    if not matched:
        return Reason.CODE_WRONG
    return next((step for step in matched if step > last_step), Reason.CODE_REUSED)


def minutes_off(secret: str, code: str, at: datetime) -> int | None:
    """By how many minutes does the clock seem ahead that this code comes from? None: no near clock shows it.

    >>> from datetime import timezone
    >>> at = datetime(2009, 2, 13, 23, 41, 30, tzinfo=timezone.utc)
    >>> minutes_off("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "005924", at)
    -10
    """
    now, reach = step_of(at), TOLD_MINUTES * 60 // STEP
    matched = _matched(secret, code, range(now - reach, now + reach + 1))
    nearest = min(matched, key=lambda step: abs(step - now), default=None)
    return None if nearest is None else round((nearest - now) * STEP / 60)


def _matched(secret: str, code: str, steps: Iterable[int]) -> list[int]:
    if not is_code(code):
        return []
    clock = pyotp.TOTP(secret, interval=STEP)
    # each is compared, and in full: how long it takes says nothing of how near a guess was
    return [step for step in steps if step >= 0 and compare_digest(clock.generate_otp(step), code)]
