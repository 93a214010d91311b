"""What holds for every policy and every call, however strange? Found by trying."""

import dataclasses
import json
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

from hypothesis import assume, given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.call import Door, Kind, Operation, State, Target
from ...core.decide import decide
from ...core.digest import digest, digests
from ...core.explain import restrictions
from ...core.hiding import Hiding, hide_all
from ...core.network import parse_address, parse_network, peer_of
from ...core.operation import operations_of
from ...core.policy import Detail, Policy, compile_policy, fingerprint, write_document
from ...core.protected import GUARD_MODELS
from ...core.redact import CUT, MAX_TOTAL, redact
from ...core.sensitive import REDACTED, blank
from ...core.verdict import Allow, Deny
from .common import DAY, NOW, a_call, a_policy, examples

# Few of each, so that calls and policies meet often.
MODELS = ["res.partner", "sale.order", "sale.order.line", "ir.cron", "ir.config_parameter", "api.policy", "/mail/x"]
PATTERNS = [*MODELS, "sale.*", "api.*", "*", "/*"]
METHODS = ["read", "write", "create", "unlink", "copy", "web_save", "action_confirm", "run"]
CIDRS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.5", "::ffff:10.0.0.0/104", "2001:db8::/32", "::/0", "0.0.0.0/0"]
PEERS = [None, "10.0.0.5", "10.0.1.5", "192.0.2.1", "::ffff:10.0.0.5", "2001:db8::1"]
ZONES = ["UTC", "Europe/Paris", "Asia/Tokyo", "America/St_Johns"]

minutes = st.integers(0, 1439)
lines = st.tuples(
    st.sampled_from(PATTERNS),
    st.lists(st.sampled_from([operation.value for operation in Operation]), unique=True),
    st.lists(st.sampled_from(METHODS), max_size=2, unique=True),
).map(list)
sections = {
    "mode": st.sampled_from(["enforce", "monitor"]),
    "networks": st.lists(st.tuples(st.sampled_from(["allow", "deny"]), st.sampled_from(CIDRS)).map(list), max_size=3),
    "doors": st.lists(st.sampled_from([door.value for door in Door]), unique=True),
    "scopes": st.lists(lines, max_size=4),
    "second_factor": st.lists(lines, max_size=2),
    "max_age_days": st.integers(1, 60),
    "max_idle_days": st.integers(1, 60),
    "window": st.fixed_dictionaries(
        {
            "days": st.lists(st.integers(0, 6), unique=True),
            "start": minutes,
            "end": minutes,
            "zone": st.sampled_from(ZONES),
        }
    ),
    "refuse_passwords": st.booleans(),
    "read_only": st.booleans(),
    "on_active": st.sampled_from(["flag", "refuse"]),
    "companies": st.lists(st.integers(1, 3), unique=True),
    "shape": st.dictionaries(st.sampled_from(["ids", "limit", "leaves", "depth"]), st.integers(1, 3)),
    "detail": st.sampled_from([detail.value for detail in Detail]),
    "hiding": st.fixed_dictionaries(
        {},
        optional={
            "names": st.lists(st.sampled_from(["wage", "x_*", "hr.employee.*"]), unique=True),
            "types": st.lists(st.sampled_from(["html", "binary"]), unique=True),
            "masks": st.lists(st.sampled_from(["####", "EMP-???"]), unique=True),
            "email": st.booleans(),
            "phone": st.booleans(),
        },
    ),
    "searchable": st.booleans(),
}
contents = st.fixed_dictionaries({}, optional=sections)
readable = contents.map(lambda content: a_policy(**content))
policies = readable | st.just(Policy.unreadable("Broken"))
few = st.lists(policies, max_size=4)


@st.composite
def calls(draw):
    days = st.none() | st.integers(0, 70).map(lambda days: NOW - days * DAY)
    model = draw(st.sampled_from(MODELS))
    method = draw(st.sampled_from(METHODS))
    operations = frozenset({Operation.EXECUTE}) if model.startswith("/") else operations_of(method)
    return a_call(
        door=draw(st.sampled_from(Door)),
        kind=draw(st.sampled_from(Kind)),
        state=draw(st.sampled_from([State.ACTIVE] * 8 + list(State))),
        created=draw(days),
        expires=draw(st.sampled_from([None, None, NOW + 9 * DAY, NOW])),
        last_used=draw(days),
        peer=draw(st.sampled_from(PEERS)),
        at=NOW + timedelta(minutes=draw(st.integers(-10080, 0))),
        target=draw(st.just(Target(model, method, operations)) | st.none()),
        proven=draw(st.booleans()),
    )


def allows(call, asked):
    return isinstance(decide(call, asked), Allow)


def all_in_mode(asked, enforced):
    return [dataclasses.replace(policy, enforced=enforced) for policy in asked]


def changes_the_guard(call):
    return call.target is not None and call.target.model in GUARD_MODELS and call.target.method != "read"


class TestNarrowing(BaseCase):
    @examples
    @given(calls(), few, policies)
    def test_one_more_policy_never_allows_what_was_refused(self, call, asked, more):
        self.assertLessEqual(allows(call, [*asked, more]), allows(call, asked))

    @examples
    @given(calls(), few, st.randoms(use_true_random=False))
    def test_the_order_of_policies_decides_nothing_but_who_is_named(self, call, asked, random):
        shuffled = random.sample(asked, len(asked))
        one, other = decide(call, asked), decide(call, shuffled)
        self.assertEqual(type(one), type(other))
        if isinstance(one, Deny):
            self.assertEqual(one.reason, other.reason)

    @examples
    @given(calls(), few)
    def test_every_policy_has_to_allow_on_its_own(self, call, asked):
        assume(asked and not changes_the_guard(call))
        self.assertEqual(allows(call, asked), all(allows(call, [policy]) for policy in asked))

    @examples
    @given(calls(), few)
    def test_a_policy_twice_is_a_policy_once(self, call, asked):
        self.assertEqual(decide(call, asked * 2), decide(call, asked))

    @examples
    @given(calls(), few, readable)
    def test_a_policy_in_monitor_mode_never_refuses(self, call, asked, more):
        monitored = dataclasses.replace(more, enforced=False)
        self.assertGreaterEqual(allows(call, [*asked, monitored]), allows(call, asked))

    @examples
    @given(calls(), st.lists(readable, max_size=4))
    def test_monitoring_tells_exactly_what_enforcing_would_refuse(self, call, asked):
        tried, real = (decide(call, all_in_mode(asked, enforced)) for enforced in (False, True))
        if isinstance(tried, Deny):  # by what no policy lifts, and no mode either
            self.assertEqual((tried, tried.policy), (real, ""))
        else:
            self.assertEqual(tried.observed or Allow(), real)

    @examples
    @given(calls(), few)
    def test_what_is_refused_names_a_policy_that_was_asked(self, call, asked):
        verdict = decide(call, asked)
        told = verdict if isinstance(verdict, Deny) else verdict.observed
        self.assertIn(told.policy if told else "", {"", *(policy.name for policy in asked)})

    @examples
    @given(calls(), readable)
    def test_a_policy_that_changes_a_verdict_shows_why(self, call, policy):
        if decide(call, [policy]) != decide(call, []):
            self.assertTrue(restrictions([policy]))


def lines_of(found):
    return [[line.pattern, sorted(line.operations), sorted(line.methods)] for line in found]


def content_of(policy):
    """The document that says what a policy says: `compile_policy` backwards."""
    window = policy.window and {
        "days": sorted(policy.window.days),
        "start": policy.window.start,
        "end": policy.window.end,
        "zone": str(policy.window.zone),
    }
    networks = [
        [action, str(network)]
        for action, found in (("allow", policy.networks.allowed), ("deny", policy.networks.denied))
        for network in found
    ]
    return {
        "version": 1,
        "name": policy.name,
        "mode": "enforce" if policy.enforced else "monitor",
        "networks": networks,
        "doors": None if policy.doors is None else sorted(policy.doors),
        "scopes": None if policy.scopes is None else lines_of(policy.scopes),
        "second_factor": lines_of(policy.second_factor),
        "max_age_days": policy.max_age_days,
        "max_idle_days": policy.max_idle_days,
        "window": window,
        "refuse_passwords": policy.refuses_passwords,
        "read_only": policy.read_only,
        "on_active": policy.on_active,
        "companies": None if policy.companies is None else sorted(policy.companies),
        "shape": {kind: size for kind, size in dataclasses.asdict(policy.shape).items() if size is not None},
        "detail": policy.detail,
        "hiding": {
            **{kind: sorted(getattr(policy.hiding, kind)) for kind in ("names", "types", "masks")},
            **{kind: getattr(policy.hiding, kind) for kind in ("email", "phone")},
        },
        "searchable": policy.searchable,
    }


# what JSON can say, and no more
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


class TestDocuments(BaseCase):
    @examples
    @given(contents, st.text(st.characters(exclude_categories=["Cs"])))
    def test_a_policy_survives_its_document(self, content, name):
        policy = a_policy(name, **content)
        again = compile_policy(write_document(content_of(policy)))
        self.assertEqual(again, policy)
        self.assertEqual(content_of(again), content_of(policy))

    @examples
    @given(contents, contents)
    def test_other_documents_have_other_fingerprints(self, one, other):
        written = [write_document({"version": 1, "name": "P", **content}) for content in (one, other)]
        marks = [fingerprint(text) for text in written]
        self.assertEqual(marks[0] == marks[1], one == other)
        for mark in marks:
            self.assertRegex(mark, r"\A[0-9a-f]{32}\Z")

    @examples
    @given(contents, st.sampled_from([*sections, "version", "name", "limits"]), json_values)
    def test_a_document_is_read_or_refused_and_then_judges(self, content, section, value):
        document = json.dumps({"version": 1, "name": "P", "mode": "enforce", **content, section: value})
        try:
            policy = compile_policy(document)
        except ValueError:
            return
        self.assertIsInstance(decide(a_call(), [policy]), (Allow, Deny))
        self.assertIsInstance(restrictions([policy]), list)


anything = st.characters(exclude_categories=[])  # lone surrogates too
addresses = st.ip_addresses().map(str)
hops = st.one_of(
    addresses,
    addresses.map("{}:80".format),
    addresses.map("[{}]:80".format),
    st.sampled_from(["unknown", "", " ", "10.0.0.1", "::ffff:10.0.0.1"]),
)
headers = st.none() | st.text(anything) | st.lists(hops, max_size=5).map(", ".join)
TRUSTED = [parse_network("10.0.0.0/8"), parse_network("2001:db8::/32")]


class TestPeer(BaseCase):
    @examples
    @given(st.none() | st.text(anything) | hops, headers, st.sampled_from([[], TRUSTED]))
    def test_no_text_is_too_strange(self, remote, forwarded, trusted):
        peer = peer_of(remote, forwarded, trusted)
        self.assertIsInstance(peer, (IPv4Address, IPv6Address, type(None)))
        self.assertIsNone(getattr(peer, "ipv4_mapped", None))

    @examples
    @given(hops | st.text(anything), headers)
    def test_a_header_sent_by_a_stranger_is_never_believed(self, remote, forwarded):
        address = parse_address(remote)
        assume(address is None or not any(address in network for network in TRUSTED))
        self.assertEqual(peer_of(remote, forwarded, TRUSTED), address)
        self.assertEqual(peer_of(remote, forwarded, []), address)

    @examples
    @given(headers, addresses)
    def test_what_stands_before_the_last_stranger_changes_nothing(self, claimed, stranger):
        address = parse_address(stranger)
        assume(not any(address in network for network in TRUSTED))
        header = f"{claimed or ''},{stranger}"
        self.assertEqual(peer_of("10.0.0.1", header, TRUSTED), address)

    @examples
    @given(st.ip_addresses())
    def test_an_address_is_found_again_however_it_is_written(self, address):
        expected = getattr(address, "ipv4_mapped", None) or address
        spellings = [str(address), f" {address} ", f"[{address}]:443", address.exploded]
        spellings += [f"::ffff:{address}", f"{address}:443"] if address.version == 4 else [f"{address}%eth0"]
        for text in spellings:
            self.assertEqual(parse_address(text), expected, text)

    @examples
    @given(st.ip_addresses(), st.integers(0, 128))
    def test_a_network_holds_the_address_it_was_made_of(self, address, length):
        length = min(length, address.max_prefixlen)
        network = parse_network(f"{address}/{length}")
        assume(address.version == 4 or address.ipv4_mapped is None or length >= 96)
        self.assertIn(parse_address(str(address)), network)


numbers = st.integers() | st.floats() | st.just(10**4000) | st.just(-(10**4000)) | st.decimals()
leaves = st.one_of(
    st.none(), st.booleans(), numbers, st.text(anything), st.binary(), st.datetimes(), st.dates(), st.times(),
    st.timedeltas(), st.complex_numbers(), st.uuids(), st.builds(object), st.text("A", min_size=195, max_size=300),
)  # fmt: skip
keys = st.text(anything) | st.none() | st.booleans() | st.integers() | st.just(10**4000) | st.binary()
nested = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(keys | st.sampled_from(["password", "value", "key"]), inner),
        st.frozensets(keys),
    ),
    max_leaves=60,
)
details = st.sampled_from([Detail.NAMES, Detail.VALUES])
# no part of what redaction itself writes
secret_texts = st.text(anything, min_size=4, max_size=60).filter(
    lambda secret: not set(secret) & set(f"[]{CUT}") and secret not in REDACTED
)


# with capitals and digits, so that they are no part of what stands around them
passwords = st.text(st.sampled_from("ABCDEFXYZ0123456789!#$-_"), min_size=12, max_size=60).filter(
    lambda secret: not set(secret) <= set("-_") and not secret.startswith("-" * 6)
)
hidings = st.builds(
    Hiding,
    names=st.frozensets(st.sampled_from(["a", "b*", "?"])),
    masks=st.frozensets(st.sampled_from(["####", "ab##"])),
    email=st.booleans(),
    phone=st.booleans(),
)
KEY = bytes(32)


def spellings(secret):
    return {secret, json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(secret)[1:-1]}


class TestRedaction(BaseCase):
    @examples
    @given(nested, details, st.lists(st.text(anything), max_size=3))
    def test_whatever_comes_something_short_is_kept(self, value, detail, secrets):
        text = redact(value, detail, secrets)
        self.assertIsInstance(text, str)
        self.assertLessEqual(len(text), MAX_TOTAL)

    @examples
    @given(nested, details)
    def test_what_is_kept_is_json_unless_it_was_cut(self, value, detail):
        text = redact(value, detail)
        if len(text) < MAX_TOTAL:
            json.loads(text, parse_constant=self.fail)

    @examples
    @given(nested, st.text(anything), secret_texts, st.text(anything), details)
    def test_the_secret_does_not_come_through(self, value, before, secret, after, detail):
        text = f"{before}{secret}{after}"
        for place in (text, [value, text], {text: value}, {"a": [text, {"b": (text, value)}]}, ("=", [text])):
            kept = redact(place, detail, [secret])
            for spelling in spellings(secret):
                self.assertNotIn(spelling, kept)

    @examples
    @given(passwords, st.integers(0, 7), st.integers(0, 300), nested)
    def test_what_goes_by_the_name_of_a_secret_does_not_come_through(self, secret, way, before, beside):
        # nested, in a domain, in a context, in a command, behind dots, as JSON or Python within a text, where it is cut
        places = [
            {"vals_list": [{"a": {"b": {"password": secret}}, "c": beside}]},
            {"domain": ["|", ["user_id.api_key", "=", secret], ["user_ids", "any", [["x_token", "in", [secret]]]]]},
            {"context": {"default_pin": secret, "a": beside}, "ids": [1]},
            {"line_ids": [(0, 0, {"otp": secret}), (1, 5, {"session_id": [secret]})]},
            {"note": "-" * before + json.dumps({"a": [{"password": secret}]})},
            {"note": json.dumps({"x": "-" * before, "a": [json.dumps({"password": secret})]})},
            {"note": "-" * before + repr({"secret": secret})},
            {"key": "database.secret", "value": secret, "default_value": [secret]},
        ]
        for detail in (Detail.NAMES, Detail.VALUES, Detail.RESULTS):
            kept = redact(places[way], detail)
            self.assertFalse(secret in kept or secret[:12] in kept, kept)
        self.assertNotIn(digest(KEY, secret), digests(KEY, places[way]))

    @examples
    @given(nested, hidings, hidings, st.sampled_from([Detail.VALUES, Detail.RESULTS]))
    def test_more_rules_never_show_more(self, value, one, other, detail):
        both = redact(value, detail, hiding=hide_all([one, other]))
        for hiding in (one, other):
            alone = redact(value, detail, hiding=hiding)
            self.assertLessEqual(alone.count(REDACTED), both.count(REDACTED) + both.count(CUT) + alone.count(CUT))

    @examples
    @given(st.text(anything), st.lists(secret_texts, max_size=4))
    def test_blanking_leaves_none_of_the_secrets(self, text, secrets):
        whole = text + "".join(secrets) + text
        blanked = blank(whole, secrets)
        longest = max(secrets, key=len, default="")
        self.assertTrue(not longest or longest not in blanked)
        self.assertEqual(blanked == whole, not secrets)

    @examples
    @given(nested)
    def test_the_arguments_themselves_stay_as_they_were(self, value):
        before = repr(value)
        redact(value, Detail.VALUES, ["abcd"])
        self.assertEqual(repr(value), before)
