"""The words in which the tables of `tests.core` are written.

A policy is given as the sections of its document, a target as model and method,
so that a row passes through the compiler and the operations as a real call does.
"""

from datetime import datetime, timedelta, timezone

from hypothesis import settings

from ...core.call import Call, Credential, Door, Kind, Operation, State, Target
from ...core.network import parse_address
from ...core.operation import operations_of
from ...core.policy import compile_policy, write_document

UTC = timezone.utc
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)

#: The same examples on each run, in as much time as they take, and nothing kept on disk.
examples = settings(deadline=None, derandomize=True, database=None, max_examples=100)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def to(model, method="read"):
    return Target(model, method, operations_of(method))


def route(path):
    return Target(path, "handler", frozenset({Operation.EXECUTE}))


def a_call(
    *,
    door=Door.JSON2,
    kind=Kind.KEY,
    state=State.ACTIVE,
    created=NOW - 10 * DAY,
    expires=None,
    last_used=None,
    retires=None,
    rotate_by=None,
    peer="10.0.0.5",
    at=NOW,
    target=to("res.partner"),  # noqa: B008 - frozen
    arguments=None,
    proven=False,
):
    """A call that nothing speaks against, but for what is given."""
    credential = Credential(kind, state, created, expires, last_used, retires, rotate_by)
    return Call(door, credential, parse_address(peer), at, target, arguments, proven=proven)


def a_policy(name="P", mode="enforce", **sections):
    """A policy compiled from the document that holds these sections."""
    return compile_policy(write_document({"version": 1, "name": name, "mode": mode, **sections}))


def scopes(*lines):
    """The `scopes` section of a document: ("sale.*", "read write", "action_confirm")."""
    return [[pattern, words.split(), " ".join(methods).split()] for pattern, words, *methods in lines]
