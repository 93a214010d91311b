"""What are people told of without their asking, and how grave is it?

One enum with all signals: the model of alerts takes its codes and severities from
here, and whoever raises an alert names a signal. Knows nothing of who is told, or how.
"""

from __future__ import annotations

from enum import Enum


class Severity(str, Enum):
    """How grave is it? In the order in which it gets worse.

    >>> Severity.HIGH.is_urgent, Severity.MEDIUM.is_urgent
    (True, False)
    """

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def is_urgent(self) -> bool:
        """Is it worth a mail?"""
        return self in (Severity.HIGH, Severity.CRITICAL)


class Signal(str, Enum):
    """What happened. The value is the code of the alert.

    >>> Signal.KEY_LEAKED.severity.value, Signal("key.leaked") is Signal.KEY_LEAKED
    ('critical', True)
    """

    severity: Severity

    def __new__(cls, code: str, severity: Severity) -> Signal:
        signal = str.__new__(cls, code)
        signal._value_ = code
        signal.severity = severity
        return signal

    KEY_LEAKED = "key.leaked", Severity.CRITICAL  # somebody outside has a key that opened something
    KEY_PASTED = "key.pasted", Severity.HIGH  # a key stands where colleagues can read it
    STORE_DOWN = "limit.store_down", Severity.HIGH  # limits are not counted as they should be
    CODES_LOCKED = "second_factor.locked", Severity.HIGH  # wrong codes came with a good key: somebody has it
    LOG_BROKEN = "log.broken", Severity.CRITICAL  # the audit log is not what was sealed
    LOG_RESTORED = "log.restored", Severity.CRITICAL  # the log is older than what was seen of it
    LOG_DISPUTED = "log.disputed", Severity.CRITICAL  # a witness has seen another log than this one
    LOG_FORKED = "log.forked", Severity.CRITICAL  # a log that this database is witness of is not what it was
    WITNESS_BEHIND = "witness.behind", Severity.HIGH  # a witness was not told of checkpoints for long
    LOG_UNSIGNED = "log.unsigned", Severity.HIGH  # what is sealed cannot be signed: its key is not there
    KEY_RETIRED_USED = "key.retired_used", Severity.HIGH  # somebody kept a key that its successor has replaced
