"""Can a caller tell by the clock why a key is refused? `make bench CASES=wrong_secret`.

JSON-2, one call after another, on stock and guarded alike: a key that nobody has, one whose first
eight characters somebody's key has, a revoked one, and for comparison the right one. Two kinds of
wrong keys that take equally long give histograms that overlap.
"""

import random
import secrets

from .cases import FIELDS, Implausible, json2
from .client import Client
from .summary import quantile

KINDS = ("unknown", "known_prefix", "revoked", "right")
BINS = 40


def measure(variants, tries, *, seconds=None, progress=None, clock=None):
    """{variant: {kind: milliseconds}}, `tries` of each, in an order drawn anew for each round."""
    draw = random.Random(19)  # noqa: S311  the same order on every machine
    connections = {variant.name: Client(variant.port) for variant in variants}
    times = {variant.name: {kind: [] for kind in KINDS} for variant in variants}
    plan = [(variant, kind) for variant in variants for kind in KINDS]
    until = seconds and clock() + seconds
    for n in range(tries):
        draw.shuffle(plan)
        for variant, kind in plan:
            answer = connections[variant.name].send(_request(variant, kind))
            _check(variant, kind, answer)
            times[variant.name][kind].append(answer.ms)
        if progress:
            progress(n)
        if until and clock() > until:
            break
    return times


def describe(times):
    """{variant: {kind: quantiles and the overlap with `unknown`}}."""
    return {variant: {kind: _kind(kinds, kind) for kind in kinds} for variant, kinds in times.items()}


def _kind(kinds, kind):
    values = kinds[kind]
    told = {f"p{share}_ms": quantile(values, share / 100) for share in (5, 25, 50, 75, 95)}
    # what chance leaves of the overlap of a distribution with itself
    reference = (kinds["unknown"][::2], kinds["unknown"][1::2]) if kind == "unknown" else (kinds["unknown"], values)
    return {"calls": len(values), **told, "overlap": overlap(*reference)}


def overlap(one, other, bins=BINS):
    """The share that two histograms have in common: 1 for the same distribution, 0 for disjoint ones.

    The bins are equally wide between the 1 % and the 99 % quantile of both together; the first and
    the last also hold what lies beyond.

    >>> overlap([1, 2, 3, 4], [1, 2, 3, 4]), overlap([1, 1.1, 1.2], [9, 9.1, 9.2])
    (1.0, 0)
    """
    pooled = [*one, *other]
    low, high = quantile(pooled, 0.01), quantile(pooled, 0.99)
    width = (high - low) / bins or 1

    def histogram(values):
        counts = [0] * bins
        for value in values:
            counts[min(bins - 1, max(0, int((value - low) / width)))] += 1
        return [count / len(values) for count in counts]

    return sum(map(min, histogram(one), histogram(other)))


def _request(variant, kind):
    key = variant.facts["key"]
    secret = {
        "unknown": lambda: _not_beginning_with(key[:8]),
        "known_prefix": lambda: key[:8] + secrets.token_hex(16),
        "revoked": lambda: variant.facts["revoked_key"],
        "right": lambda: key,
    }[kind]()
    return json2(variant, secret, "search_read", {"domain": [["id", "=", 1]], "fields": FIELDS, "limit": 1})


def _not_beginning_with(prefix):
    while (secret := secrets.token_hex(20)).startswith(prefix):
        pass
    return secret


def _check(variant, kind, answer):
    if (answer.status == 200) != (kind == "right") or answer.status not in (200, 401):
        raise Implausible(f"wrong_secret: {variant.name} answered {answer.status} to {kind}: {answer.body[:2000]!r}")
