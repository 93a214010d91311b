"""Where does a call come from, and does a rule admit it?"""

from ipaddress import ip_address, ip_network

from odoo.tests.common import BaseCase

from ...core.network import NetworkRules, is_public, parse_address, parse_network, peer_of

# fmt: off
ADDRESSES = [
    ("1.2.3.4", "1.2.3.4"),
    (" 1.2.3.4\t", "1.2.3.4"),
    ("1.2.3.4:56", "1.2.3.4"),
    ("2001:db8::1", "2001:db8::1"),
    ("2001:DB8:0:0::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:56", "2001:db8::1"),
    ("fe80::1%eth0", "fe80::1"),
    ("[fe80::1%eth0]:56", "fe80::1"),
    ("::1", "::1"),
    ("::ffff:1.2.3.4", "1.2.3.4"),
    ("::ffff:102:304", "1.2.3.4"),
    ("[::ffff:1.2.3.4]:56", "1.2.3.4"),
    ("::1.2.3.4", "::102:304"),  # compatible, not mapped: another address
    ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - binds nothing
    ("255.255.255.255", "255.255.255.255"),
]
NO_ADDRESSES = [
    None, "", " ", "unknown", "_hidden", "localhost", "1.2.3", "1.2.3.4.5", "256.2.3.4", "01.2.3.4", "1.2.3.4/32",
    "1.2.3.4, 5.6.7.8", ":", "::1::", "[", "[]", "[]:80", "2001:db8::g", "１.2.3.4", "1.2.3.4\x00", "\ud800",
]
NETWORKS = [
    ("10.0.0.0/8", "10.0.0.0/8"),
    ("10.1.2.3/8", "10.0.0.0/8"),
    (" 10.1.2.3 ", "10.1.2.3/32"),
    ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
    ("0.0.0.0/0", "0.0.0.0/0"),
    ("2001:db8::1/32", "2001:db8::/32"),
    ("2001:db8::1", "2001:db8::1/128"),
    ("::/0", "::/0"),
    ("::ffff:10.1.2.3", "10.1.2.3/32"),
    ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ("::ffff:0:0/96", "0.0.0.0/0"),
    ("::ffff:0:0/95", "::fffe:0:0/95"),  # more than the mapped addresses: stays what it says
    ("::fffe:0:0/96", "::fffe:0:0/96"),
]
NO_NETWORKS = ["", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/x", "example.com", "10.0.0", "10.0.0.0/8/8"]

PROXIES = ["10.0.0.0/8", "2001:db8::/32"]
# the socket's other end, X-Forwarded-For, the peer
PEERS = [
    ("nobody forwards", "1.2.3.4", None, "1.2.3.4"),
    ("a header that is empty", "1.2.3.4", "", "1.2.3.4"),
    ("a stranger's header is not believed", "1.2.3.4", "6.6.6.6", "1.2.3.4"),
    ("a stranger who claims a proxy's address", "1.2.3.4", "10.0.0.1", "1.2.3.4"),
    ("a proxy without a header", "10.0.0.1", None, "10.0.0.1"),
    ("a proxy vouches for the last hop", "10.0.0.1", "1.2.3.4", "1.2.3.4"),
    ("what the last hop claims is not believed", "10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
    ("two proxies", "10.0.0.1", "1.2.3.4, 10.0.0.2", "1.2.3.4"),
    ("two proxies and a claim", "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
    ("nothing but proxies", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("empty hops are none", "10.0.0.1", " , 1.2.3.4, ,", "1.2.3.4"),
    ("only empty hops", "10.0.0.1", " , ,", "10.0.0.1"),
    ("a hop that is no address", "10.0.0.1", "1.2.3.4, unknown", None),
    ("a proxy behind no address", "10.0.0.1", "1.2.3.4, unknown, 10.0.0.2", None),
    ("a claim that is no address", "10.0.0.1", "unknown, 1.2.3.4", "1.2.3.4"),
    ("hops with ports", "10.0.0.1:80", "1.2.3.4:5678", "1.2.3.4"),
    ("a proxy by its mapped address", "::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
    ("a proxy on IPv6", "2001:db8::1", "[2001:db9::1]:443", "2001:db9::1"),
    ("no socket", None, "1.2.3.4", None),
    ("a socket without an address", "", "1.2.3.4", None),
    ("a unix socket", "unix:", "1.2.3.4", None),
]
# fmt: on


class TestNetwork(BaseCase):
    def test_an_address_is_found_in_what_proxies_write(self):
        for text, expected in ADDRESSES:
            with self.subTest(text):
                self.assertEqual(parse_address(text), ip_address(expected))

    def test_what_is_no_address_is_none(self):
        for text in NO_ADDRESSES:
            with self.subTest(repr(text)):
                self.assertIsNone(parse_address(text))

    def test_a_network_is_read_as_it_is_meant(self):
        for text, expected in NETWORKS:
            with self.subTest(text):
                self.assertEqual(parse_network(text), ip_network(expected))

    def test_what_is_no_network_is_an_error(self):
        for text in NO_NETWORKS:
            with self.subTest(text), self.assertRaises(ValueError):
                parse_network(text)

    def test_the_peer_is_the_last_hop_that_no_proxy_vouches_for(self):
        trusted = [parse_network(text) for text in PROXIES]
        for name, remote, forwarded, expected in PEERS:
            with self.subTest(name):
                self.assertEqual(peer_of(remote, forwarded, trusted), expected and ip_address(expected))

    def test_without_trusted_proxies_the_header_says_nothing(self):
        for name, remote, forwarded, _expected in PEERS:
            with self.subTest(name):
                self.assertEqual(peer_of(remote, forwarded, []), parse_address(remote))

    def test_rules_restrict_once_they_name_a_network(self):
        network = (parse_network("10.0.0.0/8"),)
        self.assertFalse(NetworkRules())
        self.assertTrue(NetworkRules(allowed=network))
        self.assertTrue(NetworkRules(denied=network))
        self.assertTrue(NetworkRules().admit(ip_address("1.2.3.4")))

    def test_a_rule_of_one_version_says_nothing_of_the_other(self):
        for admits, rules in (
            (False, NetworkRules(allowed=(parse_network("::/0"),))),
            (True, NetworkRules(denied=(parse_network("::/0"),))),
        ):
            with self.subTest(admits):
                self.assertEqual(rules.admit(ip_address("0.0.0.1")), admits)
                self.assertEqual(rules.admit(ip_address("::1")), not admits)

    def test_what_is_public(self):
        for text, expected in (
            ("9.9.9.9", True),
            ("2620:fe::fe", True),
            ("10.1.2.3", False),
            ("172.16.0.1", False),
            ("192.168.1.1", False),
            ("127.0.0.1", False),
            ("0.0.0.0", False),  # noqa: S104
            ("100.64.0.1", False),
            ("169.254.169.254", False),
            ("224.0.0.1", False),
            ("255.255.255.255", False),
            ("::1", False),
            ("::", False),
            ("fe80::1", False),
            ("fc00::1", False),
            ("ff02::1", False),
            ("::ffff:10.0.0.1", False),
            ("::ffff:9.9.9.9", True),
            ("2002:0a00:0001::1", False),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
            ("64:ff9b::7f00:1", False),
        ):
            with self.subTest(text):
                self.assertEqual(is_public(ip_address(text)), expected)
