"""For random scopes and random calls: nothing that is hidden appears in an answer, nor answers a question.

Two families of partners bear a unique token in each text field; one family is outside of the scopes'
domain. Every way of reading is tried with fields, paths, domains, orders and groups drawn at random.
`EXAMPLES=5000` tries as many, other ones each time; `make test` tries some hundreds, always the same.
"""

import itertools
import json
import os
import random

import pytest
from doors import json2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("EXAMPLES", "400"))
FIELDS = ["name", "phone", "email", "ref", "street", "city", "website", "function", "comment"]
DERIVED = ["display_name", "complete_name", "contact_address", "email_normalized", "phone_sanitized",
           "email_formatted", "commercial_company_name", "company_name", "phone_mobile_search"]
RELATIONS = ["parent_id", "child_ids", "commercial_partner_id", "user_ids", "country_id", "same_vat_partner_id"]
MASKERS = ["email", "phone", "iban", "card", "name", "hash"]
SCOPES = 30
ABSENT = "zzabsentzz"
_numbers = itertools.count(1)

names = st.sampled_from(FIELDS + DERIVED)
paths = st.lists(st.sampled_from(RELATIONS), max_size=2).flatmap(lambda way: names.map(lambda name: [*way, name]))
operators = st.sampled_from(["=", "ilike", "=like", "in", "!=", "not ilike", ">", "<="])


@pytest.fixture(scope="module")
def family(world):
    """{"inside" | "outside": {"id": …, field: token}}; the children's parents are of the other family."""
    made = {}
    for place, color in (("inside", 7), ("outside", 3)):
        tokens = {name: f"zq{next(_numbers):03}{name[:2]}{place[:2]}zq" for name in FIELDS}
        tokens["email"] += "@x.example"
        [partner] = world.web.call("res.partner", "create", [{**tokens, "color": color, "is_company": True}])
        made[place] = {"id": partner, **tokens}
    for place, other in (("inside", "outside"), ("outside", "inside")):
        color = 7 if place == "inside" else 3
        world.web.call("res.partner", "create", [
            {"name": f"child zz{place}", "parent_id": made[other]["id"], "color": color, "type": "other"}])
    return made


@pytest.fixture(scope="module")
def scopes(world, family, call):
    """Keys with scopes drawn at random, always the same ones: [(caller, hidden fields, has a domain)]."""
    drawn = random.Random(20260901)  # noqa: S311  no secret: always the same ones
    made = []
    for _ in range(SCOPES):
        hidden = set(drawn.sample(FIELDS, drawn.randint(0, 4)))
        masked = set(drawn.sample(sorted(set(FIELDS) - hidden), drawn.randint(0, 2)))
        bound = drawn.random() < 0.6 or not (hidden or masked)
        if drawn.random() < 0.3:
            fields = {"read_mode": "only", "read_fields": " ".join(sorted({*FIELDS, *RELATIONS, "color"} - hidden))}
        else:
            fields = {"read_mode": "except", "read_fields": " ".join(sorted(hidden))} if hidden else {}
        masks = [
            (0, 0, {"name": name, "masker": "hash" if name == "comment" else drawn.choice(MASKERS)})
            for name in sorted(masked)
        ]
        line = {**fields, "mask_ids": masks, "domain": "[('color', '=', 7)]" if bound else "[]"}
        scope = {"res.partner": ("read", line)}
        if drawn.random() < 0.5:
            scope["res.users"] = "read"
        if drawn.random() < 0.5:
            scope["*"] = "read"  # a broad line lifts nothing
        made.append((call(world.key(scope=scope)), hidden | masked, bound))
    return made


@st.composite
def calls(draw):
    """(method, arguments): a way of reading partners, with the token TOKEN in the place of what is looked for."""
    token = draw(st.sampled_from(["TOKEN", ABSENT]))
    way = draw(paths)
    value = [token] if draw(st.booleans()) else token
    operator = draw(operators)
    leaf = [".".join(way), operator, value if (operator == "in") is isinstance(value, list) else token]
    if operator == "in" and not isinstance(leaf[2], list):
        leaf[2] = [token]
    nested = leaf
    if len(way) > 1 and draw(st.booleans()):
        nested = [way[0], "any", [[".".join(way[1:]), *leaf[1:]]]]
    domain = draw(st.sampled_from([[], [nested], ["|", nested, ["id", "=", 0]], ["!", nested]]))
    some = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    order = draw(st.sampled_from(["", *FIELDS, *DERIVED, "parent_id", "color"]))
    context = draw(st.sampled_from([{}, {"show_email": 1}, {"show_address": 1, "show_vat": True}, {"lang": "en_US"}]))
    specification = {}
    inner = specification
    for step in way[:-1]:
        inner = inner.setdefault(step, {"fields": {}})["fields"]
    inner[way[-1]] = {}
    kind = draw(st.sampled_from([
        "search_read", "read", "web_search_read", "web_read", "export_data", "search", "search_count", "name_search",
        "formatted_read_group", "read_group", "onchange", "fields_get", "web_name_search", "default_get",
        "search_panel_select_range", "get_metadata", "formatted_read_grouping_sets", "read_progress_bar",
    ]))
    arguments = {
        "search_read": {"domain": domain, "fields": draw(st.sampled_from([some, []])), "order": order},
        "read": {"ids": "IDS", "fields": some},
        "web_search_read": {"domain": domain, "specification": specification, "order": order},
        "web_read": {"ids": "IDS", "specification": specification},
        "export_data": {"ids": "IDS", "fields_to_export": ["/".join(way), *some]},
        "search": {"domain": domain, "order": order},
        "search_count": {"domain": domain},
        "name_search": {"name": token, "domain": domain, "operator": draw(st.sampled_from(["ilike", "="]))},
        "web_name_search": {"name": token, "specification": {"display_name": {}, way[0]: {}}},
        "formatted_read_group": {"domain": domain, "groupby": [draw(st.sampled_from([*FIELDS, *DERIVED, "parent_id"]))],
                                 "aggregates": ["__count", f"{some[0]}:array_agg"][:draw(st.integers(1, 2))]},
        "formatted_read_grouping_sets": {"domain": domain, "grouping_sets": [["parent_id"], [some[0]]],
                                         "aggregates": ["__count"]},
        "read_group": {"domain": domain, "fields": some, "groupby": [draw(st.sampled_from([*some, "parent_id"]))]},
        "read_progress_bar": {"domain": domain, "group_by": "parent_id",
                              "progress_bar": {"field": some[0], "colors": {"a": "b"}}},
        "onchange": {"ids": "ID", "values": {"name": "x"}, "field_names": ["name"], "fields_spec": specification},
        "fields_get": {"attributes": ["string", "type"]},
        "default_get": {"fields": some},
        "search_panel_select_range": {"field_name": "parent_id"},
        "get_metadata": {"ids": "IDS"},
    }[kind]
    return kind, {**arguments, "context": context}


def _filled(arguments, token, ids):
    text = json.dumps(arguments).replace("TOKEN", token)
    return json.loads(text.replace('"IDS"', json.dumps(ids)).replace('"ID"', json.dumps(ids[:1])))


@settings(max_examples=EXAMPLES, derandomize="EXAMPLES" not in os.environ, deadline=None,
          suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, SCOPES - 1), drawn=calls(), sought=st.sampled_from(FIELDS),
       place=st.sampled_from(["inside", "outside"]), also_outside=st.booleans())
def test_nothing_hidden_is_shown_nor_found(world, family, scopes, number, drawn, sought, place, also_outside):
    caller, hidden, bound = scopes[number]
    method, arguments = drawn
    ids = [family["inside"]["id"], family["outside"]["id"]][:1 + also_outside]
    forbidden = {family[where][name] for where in family for name in FIELDS
                 if name in hidden or (bound and where == "outside")}
    token = family[place][sought]
    asks = "TOKEN" in json.dumps(arguments)
    answer = json2(caller, "res.partner", method, **_filled(arguments, token, ids))
    shown = {secret for secret in forbidden if secret.encode() in answer.body}
    if asks:
        shown.discard(token)  # what was sent comes back with groups and in errors; it is compared below
    assert not shown, (method, arguments, answer.body[:600])
    if asks and token in forbidden:
        absent = "zr".join(token.rsplit("zq", 1))  # its neighbour in every order
        other = json2(caller, "res.partner", method, **_filled(arguments, absent, ids))
        body, other_body = answer.body.replace(token.encode(), b""), other.body.replace(absent.encode(), b"")
        assert answer.status == other.status, (method, arguments, body[:300], other_body[:300])
        if answer.status == 200:
            assert json.loads(body) == json.loads(other_body), (method, arguments, body[:300], other_body[:300])
