"""How are variants asked so that a machine's drift hits them all alike? In turn, call by call.

A round asks each variant once per client, in an order that rotates from round to round. Within a
round all clients ask the same variant at the same moment and wait for each other before they go
on to the next, so that with eight of them a variant is loaded by eight calls of its own and by
nobody else's.
"""

import gc
import sys
import threading
import time
from dataclasses import dataclass, field

from .cases import checked
from .client import Client

_FEWEST = 3  # rounds that are made, however little time there is
_GRACE = 600  # seconds after which a client that waits for the others gives up


@dataclass
class Samples:
    """What was measured of one variant: per round, what each client waited, and how long all of it took."""

    rounds: dict = field(default_factory=dict)  # number of the round → milliseconds, one for each client
    walls: list = field(default_factory=list)  # seconds from the first byte sent to the last one read
    reused: int = 0  # calls that found their connection still open

    @property
    def milliseconds(self):
        return [ms for times in self.rounds.values() for ms in times]


class Load:
    """Some rounds of one case. Use once."""

    def __init__(self, case, variants, clients=1, *, rounds=None, seconds=None, first=0, progress=None):
        """Ends after `rounds` or `seconds`, whichever comes first; never within a round, nor before the third."""
        self._case, self._variants, self._clients = case, variants, clients
        self._last = None if rounds is None else first + rounds
        self._seconds, self._progress = seconds, progress
        self._first, self._n = first, first - 1
        self._over, self._error = False, None
        self._round = threading.Barrier(clients, action=self._begin_round)
        self._burst = threading.Barrier(clients)
        self._answers = [[] for _client in range(clients)]  # of (variant, round, began, ended), as they came
        self._reused = [{} for _client in range(clients)]  # variant → calls
        self._until = None

    def run(self):
        """Return each variant's Samples by name. Raises Implausible at the first answer that is not one."""
        threads = [threading.Thread(target=self._work, args=(client,), daemon=True) for client in range(self._clients)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)  # or a client waits for another one's Python rather than for Odoo
        gc.collect()
        gc.disable()
        if self._seconds is not None:
            self._until = time.monotonic() + self._seconds
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._stop()
            gc.enable()
            sys.setswitchinterval(interval)
        if self._error is not None:
            raise self._error
        return self._samples()

    def _work(self, client):
        connections = {variant.name: Client(variant.port) for variant in self._variants}
        try:
            while True:
                self._round.wait(_GRACE)
                if self._over:
                    break
                self._one_round(client, connections)
        except threading.BrokenBarrierError:
            pass
        except Exception as error:
            self._error = self._error or error
            self._stop()
        finally:
            self._reused[client] = {name: connection.reused for name, connection in connections.items()}
            for connection in connections.values():
                connection.close()

    def _one_round(self, client, connections):
        n = self._n
        for variant in rotated(self._variants, n):
            if (n - self._first) % self._case.every.get(variant.name, 1):
                continue
            request = self._case.request(variant, client, n)
            self._burst.wait(_GRACE)
            answer = connections[variant.name].send(request)
            self._answers[client].append((variant.name, n, answer.began, answer.ended))
            checked(self._case, variant, answer)

    def _begin_round(self):
        self._n += 1
        late = self._until is not None and time.monotonic() >= self._until
        self._over = (late and self._n >= self._first + _FEWEST) or (self._last is not None and self._n >= self._last)
        if self._progress and not self._over:
            self._progress(self._n)

    def _stop(self):
        self._over = True
        self._round.abort()
        self._burst.abort()

    def _samples(self):
        samples = {variant.name: Samples() for variant in self._variants}
        for burst in zip(*self._answers, strict=True):
            name, n, *_times = burst[0]
            samples[name].rounds[n] = [(ended - began) * 1000 for *_which, began, ended in burst]
            samples[name].walls.append(max(answer[3] for answer in burst) - min(answer[2] for answer in burst))
        for counts in self._reused:
            for name, count in counts.items():
                samples[name].reused += count
        return samples


def rotated(items, n):
    """The items in turn: each round begins with another one."""
    start = n % len(items)
    return [*items[start:], *items[:start]]
