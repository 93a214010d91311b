"""May the call go on, and if not, why?

A verdict is `Allow` or `Deny`, never a bare bool. Each `Reason` carries the one
HTTP status, the one public sentence and the one error code that go with it, so
that every door refuses in the same words. The public side tells a caller
nothing: who reads the log learns which reason it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import ceil

from .shape import Excess

_REJECTED = (401, "invalid_token", "The credential was not accepted.")
_FORBIDDEN = (403, "not_allowed", "The policy of this credential does not allow this call.")
_FACTOR = (401, "insufficient_user_authentication", "This call needs a second factor.")  # RFC 9470
_SCOPE = (403, "insufficient_scope", "The scope of this credential does not cover this call.")
_LARGE = (422, "too_large", "The call is larger than its policy allows.")
_MALFORMED = (422, "unknown_field", "The values name a field that the model does not have.")
_ACTIVE = (422, "active_html", "A plain text of the call holds active HTML.")
_LATER = (429, "too_many_failures", "Too many failed attempts. Try again later.")
_LIMITED = (429, "rate_limited", "The limit of this credential is used up. Try again later.")
_AT_ONCE = (429, "too_many_at_once", "Too many calls of this credential are under way. Try again later.")
_REPORTS = (429, "too_many_reports", "Too many reports. Try again later.")
_CLOSED = (503, "unavailable", "The call cannot be judged at the moment and was refused.")


class Reason(str, Enum):
    """Why a call is refused. The value is the code in the audit log.

    >>> Reason.KEY_EXPIRED.status, Reason.KEY_EXPIRED.sentence
    (401, 'The credential was not accepted.')
    >>> Reason.KEY_EXPIRED.public_code == Reason.UNKNOWN_CREDENTIAL.public_code
    True
    """

    status: int
    public_code: str
    sentence: str

    def __new__(cls, code: str, public: tuple[int, str, str]) -> Reason:
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.status, reason.public_code, reason.sentence = public
        return reason

    @property
    def is_temporary(self) -> bool:
        """Is the same call worth trying again?"""
        return self.status in (429, 503)

    # who
    UNKNOWN_CREDENTIAL = "credential.unknown", _REJECTED
    KEY_MISTYPED = "credential.mistyped", _REJECTED
    WRONG_USER = "credential.wrong_user", _REJECTED
    USER_INACTIVE = "credential.user_inactive", _REJECTED
    KEY_REVOKED = "credential.revoked", _REJECTED
    KEY_SUSPENDED = "credential.suspended", _REJECTED
    KEY_EXPIRED = "credential.expired", _REJECTED
    KEY_PENDING = "credential.pending", _REJECTED
    KEY_RETIRED = "credential.retired", _REJECTED
    DATABASE_COPIED = "credential.database_copied", _REJECTED
    PARENT_INACTIVE = "credential.parent_inactive", _REJECTED
    TOO_MANY_FAILURES = "credential.too_many_failures", _LATER
    PASSWORD_REFUSED = "credential.password_refused", _REJECTED
    # policy
    DATABASE_HIDDEN = "database.hidden", _REJECTED
    NETWORK_REFUSED = "network.refused", _FORBIDDEN
    PEER_UNKNOWN = "network.peer_unknown", _FORBIDDEN
    DOOR_REFUSED = "door.refused", _FORBIDDEN
    TOO_OLD = "lifetime.too_old", _FORBIDDEN
    IDLE_TOO_LONG = "lifetime.idle_too_long", _FORBIDDEN
    ROTATION_OVERDUE = "lifetime.rotation_overdue", _FORBIDDEN
    OUTSIDE_HOURS = "lifetime.outside_hours", _FORBIDDEN
    OUT_OF_SCOPE = "scope.not_covered", _SCOPE
    PROTECTED_MODEL = "scope.protected", _SCOPE
    FIELD_HIDDEN = "scope.field_hidden", _SCOPE
    RECORD_HIDDEN = "scope.record_hidden", _SCOPE
    READ_ONLY = "scope.read_only", _SCOPE
    TOO_LARGE = "shape.too_large", _LARGE
    ACTIVE_HTML = "values.active_html", _ACTIVE
    UNKNOWN_FIELD = "values.unknown_field", _MALFORMED
    GUARD_CONFIGURATION = "scope.guard_configuration", _SCOPE
    LIMIT_EXCEEDED = "limit.exceeded", _LIMITED
    TOO_MANY_AT_ONCE = "limit.concurrency", _AT_ONCE
    LIMITS_UNREADABLE = "limit.store_down", _CLOSED
    TOO_MANY_REPORTS = "report.too_many", _REPORTS
    # second factor
    CODE_REQUIRED = "second_factor.required", _FACTOR
    CODE_WRONG = "second_factor.wrong", _FACTOR
    CODE_REUSED = "second_factor.reused", _FACTOR
    CODE_LOCKED = "second_factor.locked", _FACTOR
    CODE_NOT_ENROLLED = "second_factor.not_enrolled", _FACTOR
    # us
    POLICY_UNREADABLE = "guard.policy_unreadable", _CLOSED
    VAULT_UNREADABLE = "guard.vault_unreadable", _CLOSED


@dataclass(frozen=True, slots=True)
class Deny:
    """The call is refused. `policy` names the policy that refused it; "" when none did. `excess`: of one too large.

    `wait`: seconds after which it is worth trying again, where that is known.
    """

    reason: Reason
    policy: str = ""
    excess: Excess | None = field(default=None, compare=False)
    wait: float | None = field(default=None, compare=False)

    @property
    def seconds(self) -> int | None:
        """The wait in whole seconds, as a caller is told it.

        >>> Deny(Reason.LIMIT_EXCEEDED, wait=0.2).seconds
        1
        """
        return None if self.wait is None else max(1, ceil(self.wait))

    @property
    def sentence(self) -> str:
        """The public sentence, with the wait in it.

        >>> Deny(Reason.TOO_MANY_FAILURES, wait=59.2).sentence
        'Too many failed attempts. Try again in 60 seconds.'
        """
        sentence = self.reason.sentence
        return sentence if self.wait is None else sentence.replace(" later.", f" in {self.seconds} seconds.")


@dataclass(frozen=True, slots=True)
class Allow:
    """The call may go on. `observed`: what a policy in monitor mode would have refused."""

    observed: Deny | None = None


Verdict = Allow | Deny
