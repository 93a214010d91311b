"""Who is tried, and from where? The n-th attempt of an attack in one of several manners.

All of 127.0.0.0/8 is this machine, so each attempt can come from another peer.
"""

from dataclasses import dataclass

PEERS = 200


@dataclass(frozen=True)
class Manner:
    """`many`: many logins instead of one; `address`: where the n-th attempt comes from."""

    title: str
    many: bool
    pattern: str = "127.0.0.{}"
    peers: int = PEERS

    def address(self, n):
        return self.pattern.format(n % self.peers + 1)

    def victim(self, n, victims):
        """All logins in turn, and each peer all of them.

        >>> [MANNERS["networks"].victim(n, range(50)) for n in (0, 1, 49, 200, 201)]
        [0, 1, 49, 1, 2]
        """
        return victims[(n + n // PEERS) % len(victims)] if self.many else victims[0]


MANNERS = {
    "one": Manner("one login from one address", many=False, peers=1),
    "logins": Manner("many logins from one address", many=True, peers=1),
    "addresses": Manner("many logins from 200 addresses", many=True),
    "networks": Manner("many logins from 200 networks", many=True, pattern="127.0.{}.1"),
    "siege": Manner("one login from 200 networks", many=False, pattern="127.0.{}.1"),
}
