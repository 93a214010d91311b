"""Limits at a call: what is taken before it runs, what is charged when it is over.

Taken once for each call, however often Odoo repeats it, after everything else has allowed
it. The question travels while Odoo looks up the method; its answer is waited for before
that runs. What shows only afterwards (records, bytes, time) is charged before the answer goes out,
so that the next call meets it. Neither touches the call's own transaction.
"""

import logging
import os
import socket
import time
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv6Address, ip_network

import psutil
from odoo import models
from odoo.tools import config

from ..core.alert import Signal
from ..core.decide import decide_limits, decide_without_store
from ..core.limit import Counter, Per, Sort, StoreDown, Unit, counters, exhausted
from ..core.verdict import Allow, Deny
from ..seams.beside import beside, held
from ..stores import postgres, store
from ..stores.local import LocalStore
from ..stores.redis import SCHEMES, redis_store
from ..stores.store import Request

_logger = logging.getLogger(__name__)

OPTION = "api_guard_store"  #: in odoo.conf; goes before the setting, and keeps a password out of the database
AFTER_FAILURE = 1.0  # seconds in which a store that failed is not asked again, so that no call waits for it
ABOUT_ITSELF = "/api_guard/v1/me"
_MARGIN = 15  # seconds a slot outlasts the longest that a call may take


class ApiLimiter(models.AbstractModel):
    _name = "api.limiter"
    _description = "API Guard: limits"

    _down_until = {}  # (database, store) → monotonic time before which it is not asked
    _local = {}  # database → LocalStore

    def init(self):
        """The tables and functions of the counters; idempotent, runs at install and update."""
        postgres.create(self.env.cr)

    # ------------------------------------------------------------------ a call

    @classmethod
    def _begin(cls, exchange):
        """Take an allowed call from its counters, once, however often Odoo repeats it."""
        if exchange.standings is not None or exchange.taking is not None:
            return
        found = cls._counters(exchange)
        if not found:
            exchange.standings = []
            return
        exchange.holder = f"{_process()}:{exchange.request_id}"
        requests = [_request(counter) for counter in found]
        try:
            chosen = cls._store(exchange.registry, exchange.identity.settings)
            exchange.taking = found, chosen, cls._asked(exchange.registry, chosen, "begin", requests, exchange.holder)
        except store.StoreDown:
            exchange.taking = found, None, None

    @classmethod
    def _end(cls, exchange, verdict):
        """The verdict on an allowed call, its limits considered."""
        if exchange.taking is None:
            return cls._judged(exchange, verdict)
        (found, chosen, taken), exchange.taking = exchange.taking, None
        exchange.standings = []
        try:
            if taken is None:
                raise store.StoreDown
            standings = cls._guarded(exchange.registry, chosen, taken.end)
            standings = cls._without_dead(exchange, chosen, found, standings)
        except store.StoreDown:
            return cls._without_store(exchange, found, verdict)
        return cls._conclude(exchange, found, standings, verdict)

    @classmethod
    def _take(cls, exchange, verdict):
        """Both, where there is nothing to do between."""
        cls._begin(exchange)
        return cls._end(exchange, verdict)

    @classmethod
    def _conclude(cls, exchange, found, standings, verdict):
        exchange.standings = list(zip(found, standings, strict=True))
        exchange.is_counted = isinstance(decide_limits(exchange.standings, verdict), Allow)
        judged = cls._judged(exchange, verdict)
        if judged != verdict:
            counter, _standing = exhausted(exchange.standings)
            exchange.place = f"{counter.limit.name}: at most {counter.limit.amount}"
        return judged

    @classmethod
    def _judged(cls, exchange, verdict):
        """The verdict by the counters as they stand. A key may ask what is left when nothing is."""
        if not exchange.standings or exchange.path == ABOUT_ITSELF:
            return verdict
        return decide_limits(exchange.standings, verdict)

    @classmethod
    def _without_dead(cls, exchange, chosen, found, standings):
        """The same; where no slot was free, those of processes that are gone are freed, and the call taken anew."""
        for counter, standing in zip(found, standings, strict=True):
            is_full = counter.enforced and counter.limit.sort is Sort.LEASE and not standing.admitted
            if is_full and cls._free_dead(chosen, counter):
                requests = [_request(counter) for counter in found]
                return cls._asked(exchange.registry, chosen, "take", requests, exchange.holder)
        return standings

    @classmethod
    def _free_dead(cls, chosen, counter):
        dead = [holder for holder in chosen.holders(counter.key) if _is_dead(holder)]
        for holder in dead:
            chosen.release([counter.key], holder)
        return bool(dead)

    @classmethod
    def _without_store(cls, exchange, found, verdict):
        """The store does not answer: each policy's choice."""
        verdict = decide_without_store(found, verdict)
        if isinstance(verdict, Deny):
            return verdict
        alerts, told = exchange.registry["api.alert"], {"peer": exchange.peer, "request_id": exchange.request_id}
        with suppress(Exception), beside(exchange.registry) as cr:
            alerts._raise(cr, Signal.STORE_DOWN, **told)
        local = [counter for counter in found if counter.on_store_down is StoreDown.LOCAL]
        if not local:
            return verdict
        exchange.is_local = True
        standings = cls._local_store(exchange.registry).take([_request(counter) for counter in local], exchange.holder)
        return cls._conclude(exchange, local, standings, verdict)

    @classmethod
    def _settle(cls, exchange):
        """The call is over: charge what it has cost, give its slots back. Never fails, and is done once."""
        if exchange.is_settled or exchange.identity is None:
            return
        if exchange.taking is not None:  # it ended before its method was found
            cls._end(exchange, Allow())
        if exchange.standings is None and not exchange.is_refused:
            return
        exchange.is_settled = True
        requests = list(cls._charges(exchange))
        slots = [c.key for c, _standing in exchange.standings or () if c.limit.sort is Sort.LEASE]
        if not requests and not (slots and exchange.is_counted):
            return
        try:
            chosen = cls._store_of(exchange)
        except store.StoreDown:
            return
        # whatever became of the charge, and also in the moment for which a store is left alone
        try:
            if slots and exchange.is_counted:
                cls._guarded(exchange.registry, chosen, chosen.release, slots, exchange.holder)
            if requests:
                charged = cls._asked(exchange.registry, chosen, "take", requests, "")
                told = {request.key: standing for request, standing in zip(requests, charged, strict=True)}
                exchange.standings = [(c, told.get(c.key, standing)) for c, standing in exchange.standings or ()]
        except store.StoreDown:
            _logger.warning("request %s: what it has cost could not be charged", exchange.request_id)

    @classmethod
    def _store_of(cls, exchange):
        if exchange.is_local:
            return cls._local_store(exchange.registry)
        return cls._store(exchange.registry, exchange.identity.settings)

    @classmethod
    def _charges(cls, exchange):
        """What the call has cost besides what was taken of it before."""
        if not exchange.is_counted:
            found = cls._counters(exchange) if exchange.is_refused else ()
            for counter in found:
                if counter.counts_refused and counter.cost and counter.limit.sort is not Sort.LEASE:
                    yield _request(counter, forced=True)
            return
        costs = None
        for counter, _standing in exchange.standings:
            if counter.cost is None:
                costs = costs or _costs(exchange)
                if cost := costs[counter.limit.unit]:
                    yield _request(counter, cost=cost, forced=True)

    @classmethod
    def _counters(cls, exchange):
        identity = exchange.identity
        budgets = _budgets(identity)
        return counters(budgets, _Subjects(identity, exchange.peer), _lease()) if budgets else []

    @classmethod
    def _look(cls, registry, identity, peer=None):
        """How the limits of an identity stand, without taking anything: [(Counter, Standing)]. Raises StoreDown."""
        found = counters(_budgets(identity), _Subjects(identity, peer), _lease())
        if peer is None:
            found = [counter for counter in found if counter.limit.per not in (Per.PEER, Per.NETWORK)]
        if not found:
            return []
        looks = [_request(counter, cost=0) for counter in found]
        standings = cls._asked(registry, cls._store(registry, identity.settings), "take", looks)
        return list(zip(found, standings, strict=True))

    # ------------------------------------------------------------------- store

    @classmethod
    def _store(cls, registry, settings):
        """The store that the settings choose. Raises StoreDown."""
        url = config.get(OPTION) or settings.get("api_guard.store_url") or ""
        if not url or url == "postgresql":
            return postgres.PostgresStore(lambda: beside(registry), lambda: held(registry))
        if not url.startswith(SCHEMES):
            raise store.StoreDown("unknown scheme")
        return redis_store(url, settings.get("database.uuid") or registry.db_name)

    @classmethod
    def _asked(cls, registry, chosen, method, *arguments):
        """Ask the store. One that did not answer is left alone for a moment, in which no call waits for it."""
        slot = _slot(registry, chosen)
        if cls._down_until and time.monotonic() < cls._down_until.get(slot, 0.0):
            raise store.StoreDown("a moment ago")
        return cls._guarded(registry, chosen, getattr(chosen, method), *arguments)

    @classmethod
    def _guarded(cls, registry, chosen, ask, *arguments):
        try:
            return ask(*arguments)
        except store.StoreDown as error:
            cls._down_until[_slot(registry, chosen)] = time.monotonic() + AFTER_FAILURE
            _logger.error("the store of limits and lockouts does not answer: %s", error)
            raise

    @classmethod
    def _local_store(cls, registry):
        return cls._local.setdefault((os.getpid(), registry.db_name), LocalStore(config["workers"] or 1))


def _slot(registry, chosen):
    return (os.getpid(), registry.db_name, type(chosen).__name__)


def _budgets(identity):
    return [(policy.name, policy.enforced, policy.budget) for policy in identity.policies if policy.budget]


def _request(counter: Counter, cost=None, forced=False):
    limit = counter.limit
    cost = counter.taken if cost is None else cost
    return Request(counter.key, limit.sort, limit.amount, limit.seconds, cost, counter.enforced, forced)


def _costs(exchange):
    return {
        Unit.ROWS: exchange.rows or 0,
        Unit.BYTES: exchange.bytes or 0,
        Unit.MILLISECONDS: round((time.perf_counter() - exchange.started) * 1000),
        Unit.WRITTEN: exchange.written,
    }


class _Subjects:
    """By what the calls of `identity` from `peer` are counted: each is worked out where a limit asks for it."""

    def __init__(self, identity, peer):
        self._identity, self._peer = identity, peer

    def __getitem__(self, per):
        if per is Per.KEY and (key := self._identity.lineage_id or self._identity.credential_id):
            return f"k{key}"
        if per is Per.PEER:
            return str(network_of(self._peer, 32, 64))
        if per is Per.NETWORK:
            return str(network_of(self._peer))
        return "" if per is Per.POLICY else f"u{self._identity.uid}"


def network_of(peer, v4=24, v6=56):
    """The network that an address is in. None: nobody knows, which is a network of its own."""
    if peer is None:
        return None
    return ip_network((peer, v6 if isinstance(peer, IPv6Address) else v4), strict=False)


def _lease():
    return (config["limit_time_real"] or 3600) + _MARGIN


@lru_cache
def _host():
    """This machine, as the processes on it see it: not those in another container."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot:
            return f"{socket.gethostname()}/{boot.read().strip()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _process():
    """Which process on which machine? The start time tells apart those that had the same number one after another."""
    return f"{_host()}:{os.getpid()}:{_started(os.getpid())}"


@lru_cache(maxsize=64)
def _started(pid):
    return psutil.Process(pid).create_time()


def _is_dead(holder):
    """Is the process gone that holds a slot? Only those of this machine can be judged."""
    try:
        host, pid, started, _request_id = holder.rsplit(":", 3)
        if host != _host():
            return False
        return psutil.Process(int(pid)).create_time() != float(started)
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.Error):
        return False
