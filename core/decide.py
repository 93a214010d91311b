"""May this call go on? The one function that decides, and the order in which it asks.

Read this file first. A `Call` comes in with the policies that apply to it
(baseline, user's, key's, its ancestors'); a `Verdict` comes out. Policies only
narrow: each is asked on its own and one refusal is enough, so no combination of
them ever allows more, and their order decides nothing but which reason is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .call import RPC_DOORS, Call, Kind, Operation, State
from .lifetime import older_than
from .limit import Counter, Sort, Standing, StoreDown, exhausted
from .markup import OnActive
from .operation import LIMITED
from .policy import Policy
from .protected import GUARD_MODELS, is_protected
from .scope import covered, demanded
from .shape import Excess
from .verdict import Allow, Deny, Reason, Verdict

_STATE_REASONS = {
    State.UNKNOWN: Reason.UNKNOWN_CREDENTIAL,
    State.REVOKED: Reason.KEY_REVOKED,
    State.SUSPENDED: Reason.KEY_SUSPENDED,
    State.EXPIRED: Reason.KEY_EXPIRED,
    State.PENDING: Reason.KEY_PENDING,
    State.RETIRED: Reason.KEY_RETIRED,
}


def decide(call: Call, policies: Sequence[Policy]) -> Verdict:
    """May `call` go on under all of `policies`?

    What no policy can lift comes first: the credential's own state, policies
    nobody can read, API Guard's own configuration. Then check by check, each
    put to every policy. A policy in monitor mode refuses nothing, nor does one
    that only notes what is late; the first refusal is kept in `Allow.observed`.
    """
    if deny := _unconditional(call, policies):
        return deny
    observed: Deny | None = None
    for check in CHECKS:
        for policy in policies:
            found = check(policy, call)
            if found is None:
                continue
            deny = _too_large(policy, found) if isinstance(found, Excess) else Deny(found, policy.name)
            if not policy.only_notes(deny.reason):
                return deny
            observed = observed or deny
    return Allow(observed)


def decide_answer(policies: Sequence[Policy], rows: int, verdict: Allow) -> Verdict:
    """What becomes of an allowed call whose answer holds so many records? What has run is undone if it is refused."""
    exceeded = [(policy, excess) for policy in policies if (excess := policy.shape.exceeded_by_answer(rows))]
    minding = [_too_large(policy, excess) for policy, excess in exceeded]
    return _afterwards(verdict, minding, [_too_large(*found) for found in exceeded if found[0].enforced])


def decide_limits(standings: Sequence[tuple[Counter, Standing]], verdict: Allow) -> Verdict:
    """What becomes of an allowed call whose counters stand so?"""
    if (found := exhausted(standings)) is None:
        return verdict
    counter, standing = found
    reason = Reason.TOO_MANY_AT_ONCE if counter.limit.sort is Sort.LEASE else Reason.LIMIT_EXCEEDED
    deny = Deny(reason, counter.policy, wait=standing.wait)
    return deny if counter.enforced else Allow(verdict.observed or deny)


def decide_without_store(counters: Sequence[Counter], verdict: Allow) -> Verdict:
    """What becomes of an allowed call while its counters cannot be asked?"""
    closed = (c for c in counters if c.enforced and c.on_store_down is StoreDown.CLOSED)
    counter = next(closed, None)
    return verdict if counter is None else Deny(Reason.LIMITS_UNREADABLE, counter.policy, wait=1.0)


def decide_active(policies: Sequence[Policy], verdict: Allow) -> Verdict:
    """What becomes of an allowed call that brings active HTML into plain text? A flag is an observation."""
    minding = [policy for policy in policies if policy.on_active is not None]
    refusing = [policy for policy in minding if policy.enforced and policy.on_active is OnActive.REFUSE]
    denied = [[Deny(Reason.ACTIVE_HTML, policy.name) for policy in found] for found in (minding, refusing)]
    return _afterwards(verdict, *denied)


def _afterwards(verdict: Allow, minding: Sequence[Deny], refusing: Sequence[Deny]) -> Verdict:
    """The verdict on an allowed call of which something is learnt later: refused, observed, or as it was."""
    if refusing:
        return refusing[0]
    if minding and verdict.observed is None:
        return Allow(minding[0])
    return verdict


def _too_large(policy: Policy, excess: Excess) -> Deny:
    return Deny(Reason.TOO_LARGE, policy.name, excess)


def _unconditional(call: Call, policies: Sequence[Policy]) -> Deny | None:
    state = call.credential.state
    if state is not State.ACTIVE:
        return Deny(_STATE_REASONS[state])
    if (reason := _run_out(call)) is not None:
        return Deny(reason)
    for policy in policies:
        if not policy.readable:
            return Deny(Reason.POLICY_UNREADABLE, policy.name)
    if _touches_configuration(call):
        return Deny(Reason.GUARD_CONFIGURATION)
    return None


def _run_out(call: Call) -> Reason | None:
    credential = call.credential
    ends = (
        (credential.expires, Reason.KEY_EXPIRED),
        (credential.retires, Reason.KEY_RETIRED),
        (credential.rotate_by, Reason.ROTATION_OVERDUE),
    )
    return next((reason for moment, reason in ends if moment is not None and moment <= call.at), None)


def _touches_configuration(call: Call) -> bool:
    target = call.target
    return target is not None and target.model in GUARD_MODELS and target.operations != {Operation.READ}


def _password(policy: Policy, call: Call) -> Reason | None:
    refused = policy.refuses_passwords and call.credential.kind is Kind.PASSWORD and call.door in RPC_DOORS
    return Reason.PASSWORD_REFUSED if refused else None


def _network(policy: Policy, call: Call) -> Reason | None:
    if not policy.networks:
        return None
    if call.peer is None:
        return Reason.PEER_UNKNOWN
    return None if policy.networks.admit(call.peer) else Reason.NETWORK_REFUSED


def _door(policy: Policy, call: Call) -> Reason | None:
    return None if policy.doors is None or call.door in policy.doors else Reason.DOOR_REFUSED


def _age(policy: Policy, call: Call) -> Reason | None:
    if policy.max_age_days is None or call.credential.kind is not Kind.KEY:
        return None
    return Reason.TOO_OLD if older_than(call.credential.created, policy.max_age_days, call.at) else None


def _idle(policy: Policy, call: Call) -> Reason | None:
    if policy.max_idle_days is None or call.credential.kind is not Kind.KEY:
        return None
    since = call.credential.last_used or call.credential.created
    return Reason.IDLE_TOO_LONG if older_than(since, policy.max_idle_days, call.at) else None


def _rotation(policy: Policy, call: Call) -> Reason | None:
    if policy.rotation is None or call.credential.kind is not Kind.KEY:
        return None
    return Reason.ROTATION_OVERDUE if policy.rotation.is_overdue(call.credential.created, call.at) else None


def _hours(policy: Policy, call: Call) -> Reason | None:
    return None if policy.window is None or policy.window.contains(call.at) else Reason.OUTSIDE_HOURS


def _scope(policy: Policy, call: Call) -> Reason | None:
    if policy.scopes is None or call.target is None or covered(call.target, policy.scopes):
        return None
    target = call.target
    if target.needs_name or any(is_protected(target.model, operation) for operation in target.operations):
        return Reason.PROTECTED_MODEL
    return Reason.OUT_OF_SCOPE


_CHANGES = frozenset({Operation.WRITE, Operation.CREATE, Operation.UNLINK})


def _read_only(policy: Policy, call: Call) -> Reason | None:
    # what a method that is executed writes is refused by PostgreSQL
    if not policy.read_only or call.target is None or not call.target.operations & _CHANGES:
        return None
    return Reason.READ_ONLY


def _shape(policy: Policy, call: Call) -> Excess | None:
    target = call.target
    if target is None or call.arguments is None:
        return None
    searches, writes = target.method in LIMITED, Operation.WRITE in target.operations
    return policy.shape.exceeded(call.arguments, call.body, searches, writes)


def _second_factor(policy: Policy, call: Call) -> Reason | None:
    # last of all, so that no code is used up by a call that is refused anyway
    if call.proven or call.target is None or not policy.second_factor:
        return None
    return Reason.CODE_REQUIRED if demanded(call.target, policy.second_factor) else None


CHECKS: tuple[Callable[[Policy, Call], Reason | Excess | None], ...] = (
    _password,
    _network,
    _door,
    _age,
    _idle,
    _rotation,
    _hours,
    _scope,
    _read_only,
    _shape,
    _second_factor,
)
