"""Where does a call come from, and may it come from there?

Used by `decide` (rules) and by the seams (which hop is the peer). Knows
addresses and CIDR, nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from .call import Address

Network = IPv4Network | IPv6Network

_V4_MAPPED = ip_network("::ffff:0:0/96")
_TRANSLATED = ip_network("64:ff9b::/96")  # RFC 6052: stands for any IPv4 address


def parse_network(text: str) -> Network:
    """Which network is meant by `text` (an address or CIDR)? A v4-mapped one is its IPv4 network.

    Host bits may be set ("10.1.2.3/8"). Raises ValueError.

    >>> parse_network("10.1.2.3/8"), parse_network("::ffff:10.0.0.0/104")
    (IPv4Network('10.0.0.0/8'), IPv4Network('10.0.0.0/8'))
    """
    network = ip_network(text.strip(), strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.subnet_of(_V4_MAPPED):
        mapped = int(network.network_address) & 0xFFFFFFFF
        return ip_network((mapped, network.prefixlen - 96))
    return network


def readable_networks(text: str | None) -> list[Network]:
    """The networks of a setting, separated by commas or spaces. What cannot be read is left out: it vouches for nobody.

    >>> readable_networks("10.0.0.0/8, office")
    [IPv4Network('10.0.0.0/8')]
    """
    found = []
    for part in (text or "").replace(",", " ").split():
        with suppress(ValueError):
            found.append(parse_network(part))
    return found


def parse_address(text: str | None) -> Address | None:
    """Which address is meant by one hop, as servers and proxies write it? None: it names none.

    Takes "1.2.3.4", "1.2.3.4:56", "2001:db8::1", "[2001:db8::1]:56", a scope id.

    >>> parse_address("::ffff:1.2.3.4"), parse_address("[2001:db8::1]:443"), parse_address("unknown")
    (IPv4Address('1.2.3.4'), IPv6Address('2001:db8::1'), None)
    """
    hop = (text or "").strip()
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        address = ip_address(hop.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def peer_of(remote: str | None, forwarded: str | None, trusted: Sequence[Network]) -> Address | None:
    """Who is calling: the last hop that no trusted proxy vouches for.

    `remote` is the socket's other end, `forwarded` the X-Forwarded-For header.
    A hop counts only when everything behind it is a trusted proxy, so a header
    sent by a stranger is never believed. A hop that is no address makes the
    peer unknown (None): guessing further would let a caller choose.

    >>> peer_of("10.0.0.1", "6.6.6.6, 1.2.3.4", [ip_network("10.0.0.0/8")])
    IPv4Address('1.2.3.4')
    >>> peer_of("1.2.3.4", "6.6.6.6", [ip_network("10.0.0.0/8")])
    IPv4Address('1.2.3.4')
    """
    hops = [hop for hop in (forwarded or "").split(",") if hop.strip()]
    peer = parse_address(remote)
    while peer is not None and hops and contains(trusted, peer):
        peer = parse_address(hops.pop())
    return peer


def contains(networks: Iterable[Network], address: Address) -> bool:
    """Is `address` in one of them?

    >>> contains([parse_network("10.0.0.0/8")], ip_address("10.1.2.3"))
    True
    """
    return any(address.version == network.version and address in network for network in networks)


def is_public(address: Address) -> bool:
    """Does it lie on the internet, and not within a building, a host or a tunnel? What is not known does not.

    >>> [is_public(ip_address(text)) for text in ("9.9.9.9", "10.1.2.3", "169.254.169.254", "64:ff9b::a00:1")]
    [True, False, False, False]
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address.sixtofour or address.teredo or address in _TRANSLATED:
            return False
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class NetworkRules:
    """Allowlist and denylist of networks. Deny wins; without an allowlist all else may pass."""

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.allowed or self.denied)

    def admit(self, peer: Address) -> bool:
        """May a call come from `peer`?

        >>> rules = NetworkRules((parse_network("10.0.0.0/8"),), (parse_network("10.6.6.6"),))
        >>> rules.admit(ip_address("10.1.1.1")), rules.admit(ip_address("10.6.6.6"))
        (True, False)
        """
        if contains(self.denied, peer):
            return False
        return not self.allowed or contains(self.allowed, peer)
