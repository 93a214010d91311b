"""Limits and lockouts in Redis or Valkey, by URL.

The storage of the `limits` library, with scripts that do all of a call's counters at once
and by the server's clock. All keys of a database share one hash tag, so that a cluster
keeps them together.
"""

import contextlib
import os
import threading
import time
from functools import lru_cache
from math import ceil

from limits.storage.redis import RedisStorage
from odoo.tools import file_open

from ..core.limit import Sort, Standing
from .store import TIMEOUT, Request, Store, StoreDown, Taken, digest

SCHEMES = ("redis://", "rediss://", "redis+unix://", "valkey://", "valkeys://", "valkey+unix://")
_GREATEST = 2**40


class RedisStore(RedisStorage, Store):
    """`namespace`: what tells the counters of one database from another's."""

    STORAGE_SCHEME = ["api-guard-redis"]

    def __init__(self, uri, namespace):
        # one wait for the connection and one for the answer, together what a call may wait
        waits = {"socket_timeout": TIMEOUT / 2, "socket_connect_timeout": TIMEOUT / 2}
        super().__init__(uri, key_prefix=f"api_guard:{{{namespace}}}", retry=None, **waits)
        self.storage.connection_pool.connection_kwargs["retry"] = _never(self.dependency)
        self._take = self.storage.register_script(_script("take"))
        self._swap = self.storage.register_script(_script("swap"))

    # ------------------------------------------------------------------- store

    def take(self, requests, holder=""):
        keys, arguments = self._parameters(requests, holder)
        with self._told_down():
            return _standings(self._take(keys=keys, args=arguments))

    def begin(self, requests, holder=""):
        keys, arguments = self._parameters(requests, holder)
        pool = self.storage.connection_pool
        with self._told_down():
            connection = pool.get_connection()
            try:
                connection.send_command("EVALSHA", self._take.sha, len(keys), *keys, *arguments)
            except BaseException:
                connection.disconnect()
                pool.release(connection)
                raise
        return _OnItsWay(self, connection, requests, holder)

    def _parameters(self, requests, holder):
        arguments = [holder]
        for request in requests:
            arguments += [request.sort.value, request.amount, repr(float(request.seconds)), request.cost]
            arguments += [int(request.strict), int(request.forced)]
        return [self._name("c", request.key) for request in requests], arguments

    def release(self, keys, holder):
        with self._told_down(), self.storage.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.zrem(self._name("c", key), holder)
            pipe.execute()

    def holders(self, key):
        with self._told_down():
            return [holder.decode() for holder in self.storage.zrange(self._name("c", key), 0, -1)]

    def load(self, keys):
        with self._told_down(), self.storage.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.mget([self._name("s", key) for key in keys])
            (seconds, micro), states = pipe.execute()
        found = {key: state.decode() for key, state in zip(keys, states, strict=True) if state is not None}
        return seconds + micro / 1e6, found

    def swap(self, swaps):
        flat = []
        with self._told_down():
            for swap in swaps:
                kept = max(1, ceil(swap.expires - (swap.now or time.time())))
                flat += [int(swap.known is not None), swap.known or "", int(swap.state is not None), swap.state or ""]
                flat.append(kept)
            return bool(self._swap(keys=[self._name("s", swap.key) for swap in swaps], args=flat))

    # ------------------------------------------- a storage of the limits library

    def acquire_sliding_window_entry(self, key, limit, expiry, amount=1):
        return amount <= limit and self.take([Request(key, Sort.SLIDING, limit, expiry, amount)])[0].admitted

    def get_sliding_window(self, key, expiry):
        standing = self.take([Request(key, Sort.SLIDING, _GREATEST, expiry, cost=0)])[0]
        return 0, 0.0, _GREATEST - standing.remaining, standing.wait

    def clear_sliding_window(self, key, expiry):
        with self._told_down():
            self.storage.delete(self._name("c", key))

    def _name(self, sort, key):
        return f"{self.key_prefix}:{sort}:{digest(key).hex}"

    @contextlib.contextmanager
    def _told_down(self):
        try:
            yield
        except (self.base_exceptions, OSError, ValueError) as error:
            # the error's text may quote the URL, and with it a password
            raise StoreDown(type(error).__name__) from None


class _OnItsWay(Taken):
    """A script that was sent; its answer is read from the connection when it is asked for."""

    def __init__(self, store, connection, requests, holder):
        self._store, self._connection, self._again = store, connection, (requests, holder)

    def end(self):
        with self._store._told_down():
            try:
                answers = self._connection.read_response()
            except self._store.dependency.exceptions.NoScriptError:  # the server was started anew
                answers = None
            except BaseException:
                self._connection.disconnect()  # whoever took it next would read this answer
                raise
            finally:
                self._store.storage.connection_pool.release(self._connection)
        return self._store.take(*self._again) if answers is None else _standings(answers)

    def close(self):
        self._connection.disconnect()
        self._store.storage.connection_pool.release(self._connection)


def _standings(text):
    answers = text.split()
    return [
        Standing(answers[place] == b"1", int(answers[place + 1]), float(answers[place + 2]))
        for place in range(0, len(answers), 3)
    ]


def _never(library):
    """The client library tries again, and longer than there is time for, unless it is told not to."""
    backoff = __import__(f"{library.__name__}.backoff", fromlist=["NoBackoff"])
    retry = __import__(f"{library.__name__}.retry", fromlist=["Retry"])
    return retry.Retry(backoff.NoBackoff(), 0)


@lru_cache
def _script(name):
    with file_open(f"api_guard/stores/lua/{name}.lua") as source:
        return source.read()


_stores = {}
_lock = threading.Lock()


def redis_store(uri, namespace):
    """The store of this process for `uri`; a forked worker uses no connection of its parent's. Raises StoreDown."""
    place = (os.getpid(), uri, namespace)
    with _lock:
        if place not in _stores:
            try:
                _stores[place] = RedisStore(uri, namespace)
            except Exception as error:  # a URL that cannot be read, a library that is not installed
                raise StoreDown(type(error).__name__) from None
            while len(_stores) > 16:
                _stores.pop(next(iter(_stores)))
        return _stores[place]
