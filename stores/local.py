"""What one process has seen itself: an estimate, while the shared store cannot be asked.

By the memory storage and the strategies of the `limits` library. Each process gives out
its share, so that all of them together stay within the amount.
"""

import threading
import time

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from ..core.limit import Sort, Standing
from .store import Store

MAX_STATES = 10_000


class LocalStore(Store):
    """`share`: how many processes there are."""

    def __init__(self, share=1):
        self._share = max(1, share)
        memory = MemoryStorage()
        self._limiters = {
            Sort.MOVING: MovingWindowRateLimiter(memory),
            Sort.SLIDING: SlidingWindowCounterRateLimiter(memory),
        }
        self._leases = {}  # key → {holder: when its slot is free again}
        self._states = {}
        self._lock = threading.Lock()

    def take(self, requests, holder=""):
        with self._lock:
            looks = [self._look(request, holder) for request in requests]
            all_admit = all(
                look.admitted or not request.strict or request.forced
                for look, request in zip(looks, requests, strict=True)
            )
            for look, request in zip(looks, requests, strict=True):
                if request.cost and (request.forced or (all_admit and look.admitted)):
                    self._hit(request, holder)
            return looks

    def _look(self, request, holder):
        amount = max(1, request.amount // self._share)
        if request.sort is Sort.LEASE:
            now = time.monotonic()
            ends = {who: end for who, end in self._leases.get(request.key, {}).items() if end > now and who != holder}
            self._leases[request.key] = ends
            return Standing(len(ends) < amount, amount - len(ends), min(ends.values(), default=now) - now)
        item = RateLimitItemPerSecond(amount, int(request.seconds))
        limiter = self._limiters[request.sort]
        stats = limiter.get_window_stats(item, request.key)
        wait = max(0.0, stats.reset_time - time.time())
        return Standing(limiter.test(item, request.key, cost=max(1, request.cost)), stats.remaining, wait)

    def _hit(self, request, holder):
        if request.sort is Sort.LEASE:
            self._leases[request.key][holder] = time.monotonic() + request.seconds
            return
        amount = max(1, request.amount // self._share)
        item = RateLimitItemPerSecond(amount, int(request.seconds))
        # the library takes nothing of what exceeds the amount: then all that is left
        cost = min(request.cost, self._limiters[request.sort].get_window_stats(item, request.key).remaining)
        if cost > 0:
            self._limiters[request.sort].hit(item, request.key, cost=cost)

    def release(self, keys, holder):
        with self._lock:
            for key in keys:
                self._leases.get(key, {}).pop(holder, None)

    def holders(self, key):
        return list(self._leases.get(key, {}))

    def load(self, keys):
        return time.time(), {key: self._states[key] for key in keys if key in self._states}

    def swap(self, swaps):
        with self._lock:
            if any(self._states.get(swap.key) != swap.known for swap in swaps):
                return False
            for swap in swaps:
                self._states.pop(swap.key, None)
                if swap.state is not None:
                    self._states[swap.key] = swap.state
            while len(self._states) > MAX_STATES:
                self._states.pop(next(iter(self._states)))
            return True
