"""What every store can do, and how one says that it cannot be asked."""

from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

from ..core.limit import Sort, Standing

TIMEOUT = 0.2  # seconds that a call waits for a store, all in all


class StoreDown(Exception):
    """The store did not answer in time, or not at all."""


@dataclass(frozen=True, slots=True)
class Request:
    """Take `cost` of a counter. `strict`: where it has no room, nothing is taken of any. `forced`: it has happened."""

    key: str
    sort: Sort
    amount: int
    seconds: float
    cost: int = 1
    strict: bool = True
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Swap:
    """Put `state` in place of `known`, as long as nobody else has; None: there is none."""

    key: str
    known: str | None
    state: str | None
    expires: float
    now: float = 0.0  # the store's time when it was read


def digest(key: str) -> UUID:
    """A counter's name of a fixed size, whatever a caller writes into it."""
    return UUID(bytes=blake2b(key.encode("utf-8", "replace"), digest_size=16).digest())


class Taken:
    """What `begin` has begun, where it was done at once."""

    def __init__(self, standings: list[Standing]):
        self._standings = standings

    def end(self) -> list[Standing]:
        """How the counters stand. Raises StoreDown."""
        return self._standings

    def close(self) -> None:
        """Nobody asks how they stand."""


class Store:
    """The interface. All methods raise StoreDown, and wait for `TIMEOUT` at most."""

    def take(self, requests: list[Request], holder: str = "") -> list[Standing]:
        """Take of all counters, or of none where a strict one has no room. A cost of 0 only looks."""
        raise NotImplementedError

    def begin(self, requests: list[Request], holder: str = "") -> Taken:
        """The same, on its way while the caller does something else. It is taken whether `end` is called or not."""
        return Taken(self.take(requests, holder))

    def release(self, keys: list[str], holder: str) -> None:
        """Give slots back."""
        raise NotImplementedError

    def holders(self, key: str) -> list[str]:
        """Who holds the slots of a counter."""
        raise NotImplementedError

    def load(self, keys: list[str]) -> tuple[float, dict[str, str]]:
        """The store's time, and the states that it has of `keys`."""
        raise NotImplementedError

    def swap(self, swaps: list[Swap]) -> bool:
        """Put new states in place of known ones, all or none. False: somebody came first."""
        raise NotImplementedError
