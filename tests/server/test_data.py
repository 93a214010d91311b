"""What a scope says of fields, records and companies holds whatever method carries the call.

Unique tokens are planted where the caller may not look: in a hidden field, and in records outside the
line's domain. No answer may hold one, and searching for one must answer as searching for nonsense does.
"""

import itertools
import json

import pytest
from doors import get, json2, jsonrpc, xmlrpc_2
from world import USER

_numbers = itertools.count(1)
EXECUTE = {"xmlrpc": xmlrpc_2, "jsonrpc": jsonrpc, "json2": json2}
every_door = pytest.mark.parametrize("door", EXECUTE)
HIDDEN = ("read write create", {"read_mode": "except", "read_fields": "phone", "given_fields": "display_name"})


def token():
    return f"7700{next(_numbers):08}3311"


def value(world, answer):
    """What a call returned; it was allowed."""
    assert answer.refusal is None, [world.entry(answer)[name] for name in ("reason", "error_message", "model")]
    return answer.value


@pytest.fixture(scope="module")
def planted(world):
    """Partners inside and outside of the domain [color = 7], each with a token in `phone` and in its name."""
    made = {}
    for place, color in (("inside", 7), ("outside", 3)):
        phone, name = token(), f"{place.title()} {token()}"
        [partner] = world.web.call("res.partner", "create", [
            {"name": name, "phone": phone, "email": f"{token()}@example.com", "color": color, "ref": "planted"}])
        made[place] = {"id": partner, "name": name, "phone": phone}
    [child] = world.web.call("res.partner", "create", [
        {"name": "A child", "parent_id": made["outside"]["id"], "color": 7, "ref": "planted"}])
    world.web.call("res.partner", "create", [
        {"name": "Inner child", "parent_id": made["inside"]["id"], "color": 7}])
    user = world.rows("SELECT partner_id FROM res_users WHERE login = %s", USER)[0]["partner_id"]
    own = token()
    world.web.call("res.partner", "write", [user], {"phone": own})
    return {**made, "child": child, "own_phone": own, "own_partner": user}


def reading(partner, phone):
    """Ways to a partner's phone: (model, method, ids, arguments)."""
    own = [["id", "=", partner]]
    return [
        ("res.partner", "read", [partner], {"fields": ["phone"]}),
        ("res.partner", "search_read", None, {"domain": own, "fields": ["name", "phone"]}),
        ("res.partner", "web_read", [partner], {"specification": {"phone": {}}}),
        ("res.partner", "web_search_read", None, {"domain": own, "specification": {"phone": {}}}),
        ("res.partner", "web_read", [partner], {
            "specification": {"child_ids": {"fields": {"parent_id": {"fields": {"phone": {}}}}}}}),
        ("res.partner", "export_data", [partner], {"fields_to_export": ["name", "phone"]}),
        ("res.partner", "export_data", [partner], {"fields_to_export": ["child_ids/parent_id/phone"]}),
        ("res.partner", "search", None, {"domain": [["phone", "=", phone]]}),
        ("res.partner", "search_count", None, {"domain": [["phone", "like", phone[:6]]]}),
        ("res.partner", "search_count", None, {"domain": [["parent_id.phone", "=", phone]]}),
        ("res.partner", "search_count", None, {"domain": [["parent_id", "any", [["phone", "=", phone]]]]}),
        ("res.partner", "search", None, {"domain": own, "order": "phone"}),
        ("res.partner", "formatted_read_group", None, {
            "domain": own, "groupby": ["phone"], "aggregates": ["__count"]}),
        ("res.partner", "formatted_read_group", None, {
            "domain": own, "groupby": ["parent_id"], "aggregates": ["phone:array_agg"]}),
        ("res.partner", "read_group", None, {"domain": own, "fields": ["name"], "groupby": ["phone"]}),
        ("res.partner", "copy", [partner], {"default": {"name": "A copy"}}),
        ("res.partner", "onchange", [partner], {
            "values": {"name": "x"}, "field_names": ["name"], "fields_spec": {"name": {}, "phone": {}}}),
        ("res.partner", "name_search", None, {"name": phone}),
        ("res.partner", "phone_get_country", [partner], {}),
    ]


@every_door
def test_hidden_field_is_hidden_from_every_way_of_reading(door, world, call, planted):
    caller, inside = call(world.key(scope={"res.partner": HIDDEN})), planted["inside"]
    for model, method, ids, arguments in reading(inside["id"], inside["phone"]):
        answer = EXECUTE[door](caller, model, method, ids, **json.loads(json.dumps(arguments)))
        assert inside["phone"].encode() not in answer.body, (method, arguments, answer.body[:300])
        if method not in ("name_search", "copy"):  # which search what is left, and show nothing of what they copy
            assert answer.refusal, (method, arguments, answer.body[:300])


@every_door
def test_what_is_not_hidden_is_read_as_ever(door, world, call, planted):
    caller, inside = call(world.key(scope={"res.partner": HIDDEN})), planted["inside"]
    execute = EXECUTE[door]
    [row] = value(world, execute(caller, "res.partner", "read", [inside["id"]], fields=["name", "color", "parent_id"]))
    assert (row["name"], row["color"]) == (inside["name"], 7)
    [row] = value(world, execute(caller, "res.partner", "search_read", domain=[["id", "=", inside["id"]]]))
    assert row["name"] == inside["name"]
    assert "phone" not in row
    described = execute(caller, "res.partner", "fields_get", attributes=["type"]).value
    assert "name" in described
    assert "phone" not in described
    found = execute(caller, "res.partner", "name_search", name=inside["name"]).value
    assert inside["id"] in [row[0] for row in found]


@every_door
def test_refused_field_is_told_in_the_log(door, world, call, planted):
    caller = call(world.key(scope={"res.partner": HIDDEN}))
    answer = EXECUTE[door](caller, "res.partner", "read", [planted["inside"]["id"]], fields=["phone"])
    entry = world.entry(answer)
    assert (entry["outcome"], entry["reason"], entry["committed"]) == ("refused", "scope.field_hidden", False)


@every_door
def test_fields_made_of_a_hidden_one_are_hidden_too(door, world, call, planted):
    """A user's phone is that of its partner, read under sudo."""
    caller = call(world.key(scope={"res.partner": HIDDEN, "res.users": "read"}))
    execute = EXECUTE[door]
    for method, ids, arguments in (
        ("read", [world.uid], {"fields": ["phone"]}),
        ("search_read", None, {"domain": [["id", "=", world.uid]], "fields": ["login", "phone"]}),
        ("search_count", None, {"domain": [["phone", "=", planted["own_phone"]]]}),
        ("export_data", [world.uid], {"fields_to_export": ["partner_id/phone"]}),
        ("formatted_read_group", None, {"domain": [], "groupby": ["phone"], "aggregates": ["__count"]}),
    ):
        answer = execute(caller, "res.users", method, ids, **arguments)
        assert answer.refusal, (method, answer.body[:300])
        assert planted["own_phone"].encode() not in answer.body
    [row] = value(world, execute(caller, "res.users", "read", [world.uid], fields=["login"]))
    assert row["login"] == USER


@every_door
def test_only_named_fields_are_read(door, world, call, planted):
    only = ("read", {"read_mode": "only", "read_fields": "name, color"})
    caller, inside = call(world.key(scope={"res.partner": only})), planted["inside"]
    execute = EXECUTE[door]
    [row] = value(world, execute(caller, "res.partner", "search_read", domain=[["id", "=", inside["id"]]]))
    assert {*row} == {"id", "name", "color", "active"}
    assert execute(caller, "res.partner", "read", [inside["id"]], fields=["email"]).refusal
    assert execute(caller, "res.partner", "search", domain=[["email", "!=", False]]).refusal


@every_door
def test_fields_that_may_not_be_written_are_not(door, world, call, planted):
    line = ("read write create", {"write_mode": "except", "write_fields": "phone"})
    caller, inside = call(world.key(scope={"res.partner": line, "res.users": "read write"})), planted["inside"]
    execute = EXECUTE[door]
    assert execute(caller, "res.partner", "write", [inside["id"]], vals={"comment": "x"}).refusal is None
    for answer in (
        execute(caller, "res.partner", "write", [inside["id"]], vals={"phone": "1"}),
        execute(caller, "res.partner", "create", vals_list=[{"name": "x", "phone": "1"}]),
        execute(caller, "res.partner", "web_save", [inside["id"]], vals={"phone": "1"}, specification={}),
        execute(caller, "res.users", "write", [world.uid], vals={"phone": "1"}),
    ):
        assert answer.refusal
    phones = world.rows("SELECT phone FROM res_partner WHERE id = ANY(%s)", [inside["id"], planted["own_partner"]])
    assert {row["phone"] for row in phones} == {inside["phone"], planted["own_phone"]}


# ------------------------------------------------------------------------------ records

SEVEN = ("read write create unlink", {"domain": "[('color', '=', 7)]"})


def outside_ways(partner, name):
    own = [["id", "=", partner]]
    return [
        ("res.partner", "read", [partner], {"fields": ["name"]}),
        ("res.partner", "search_read", None, {"domain": own, "fields": ["name"]}),
        ("res.partner", "search_read", None, {"domain": [["ref", "=", "planted"]], "fields": ["color", "parent_id"]}),
        ("res.partner", "web_search_read", None, {
            "domain": [["ref", "=", "planted"]],
            "specification": {"parent_id": {"fields": {"display_name": {}}}}}),
        ("res.partner", "web_search_read", None, {
            "domain": [["ref", "=", "planted"]], "specification": {"parent_id": {"fields": {"name": {}}}}}),
        ("res.partner", "export_data", [partner], {"fields_to_export": ["name"]}),
        ("res.partner", "name_search", None, {"name": name}),
        ("res.partner", "web_name_search", None, {"name": name, "specification": {"display_name": {}}}),
        ("res.partner", "search_count", None, {"domain": [["name", "=", name]]}),
        ("res.partner", "search_count", None, {"domain": [["parent_id.name", "=", name]]}),
        ("res.partner", "formatted_read_group", None, {
            "domain": [], "groupby": ["parent_id"], "aggregates": ["__count"]}),
        ("res.partner", "read_group", None, {"domain": [], "fields": ["color"], "groupby": ["parent_id"]}),
        ("res.partner", "read_group", None, {"domain": [], "fields": ["color"], "groupby": ["name"], "limit": 5000}),
        ("res.partner", "copy", [partner], {}),
        ("res.partner", "get_metadata", [partner], {}),
        ("res.partner", "search_panel_select_range", None, {"field_name": "parent_id"}),
    ]


@every_door
def test_records_outside_the_domain_are_not_there(door, world, call, planted):
    caller, outside = call(world.key(scope={"res.partner": SEVEN})), planted["outside"]
    for model, method, ids, arguments in outside_ways(outside["id"], outside["name"]):
        answer = EXECUTE[door](caller, model, method, ids, **json.loads(json.dumps(arguments)))
        planted_number = outside["name"].split()[1].encode()
        assert planted_number not in answer.body, (method, arguments, answer.body[:400])
        if method in ("copy", "get_metadata"):
            assert answer.refusal
        if method == "search_count":
            assert answer.value == 0 or answer.refusal, (arguments, answer.body[:300])


@every_door
def test_records_inside_the_domain_are(door, world, call, planted):
    caller, inside = call(world.key(scope={"res.partner": SEVEN})), planted["inside"]
    [row] = value(world, EXECUTE[door](caller, "res.partner", "read", [inside["id"]], fields=["name"]))
    assert row["name"] == inside["name"]
    found = value(world, EXECUTE[door](caller, "res.partner", "search", domain=[["ref", "=", "planted"]]))
    assert {inside["id"], planted["child"]} <= {*found}
    assert planted["outside"]["id"] not in found


@every_door
def test_records_inside_are_found_by_the_name_that_is_shown_all_the_same(door, world, call, planted):
    given = ("read", {"domain": "[('color', '=', 7)]", "given_fields": "display_name"})
    caller, execute = call(world.key(scope={"res.partner": given})), EXECUTE[door]
    found = value(world, execute(caller, "res.partner", "name_search", name=planted["inside"]["name"]))
    assert [planted["inside"]["id"], planted["inside"]["name"]] in [[*row] for row in found]
    assert not value(world, execute(caller, "res.partner", "name_search", name=planted["outside"]["name"] + "x"))
    found = value(world, execute(caller, "res.partner", "name_search", name=planted["outside"]["name"]))
    assert planted["outside"]["id"] not in [row[0] for row in found]


@every_door
def test_records_outside_the_domain_are_not_changed(door, world, call, planted):
    caller, outside, inside = call(world.key(scope={"res.partner": SEVEN})), planted["outside"], planted["inside"]
    execute = EXECUTE[door]
    before = world.rows("SELECT md5(p::text) FROM res_partner p WHERE id = %s", outside["id"])
    assert all((
        execute(caller, "res.partner", "write", [outside["id"]], vals={"comment": "x"}).refusal,
        execute(caller, "res.partner", "unlink", [outside["id"]]).refusal,
        execute(caller, "res.partner", "create", vals_list=[{"name": "x", "color": 3}]).refusal,
        execute(caller, "res.partner", "write", [inside["id"]], vals={
            "child_ids": [[1, outside["id"], {"comment": "x"}]]}).refusal,
        execute(caller, "res.partner", "write", [inside["id"]], vals={"color": 3}).refusal,
        execute(caller, "res.partner", "web_save", [inside["id"]], vals={"color": 3}, specification={}).refusal,
        execute(caller, "res.partner", "web_resequence", [outside["id"]], specification={}).refusal,
        execute(caller, "res.partner", "web_resequence", [inside["id"]], specification={}, field_name="color").refusal,
    ))
    assert world.value("SELECT color FROM res_partner WHERE id = %s", inside["id"]) == 7
    assert world.rows("SELECT md5(p::text) FROM res_partner p WHERE id = %s", outside["id"]) == before
    assert value(world, execute(caller, "res.partner", "create", vals_list=[{"name": "In", "color": 7}]))


@every_door
def test_no_domain_leaks_to_another_key_nor_from_it(door, world, call, planted):
    """`res.users` inherits from partners: Odoo caches its rules with those of its parent."""
    free, bound = call(world.key()), call(world.key(scope={"res.partner": SEVEN, "res.users": "read"}))
    execute = EXECUTE[door]

    def users(caller):
        return execute(caller, "res.users", "search_count", domain=[["id", "=", world.uid]]).value

    for _ in range(3):  # in both workers, with either of them first
        assert [users(free), users(bound), users(free), users(bound)] == [1, 0, 1, 0]
        assert execute(free, "res.partner", "search_count", domain=[["id", "=", planted["outside"]["id"]]]).value == 1
        assert execute(bound, "res.partner", "search_count", domain=[["id", "=", planted["outside"]["id"]]]).value == 0


@every_door
def test_models_that_a_reading_call_meets_have_to_be_covered(door, world, call):
    caller = call(world.key(scope={"res.partner": "read"}))
    for method, arguments in (
        ("search", {"domain": [["country_id.code", "=", "BE"]]}),
        ("search", {"domain": [["user_ids.login", "=", "admin"]]}),
        ("search_read", {"domain": [["user_ids", "any", [["login", "like", "a"]]]], "fields": ["name"]}),
        ("web_search_read", {"domain": [], "specification": {"user_ids": {"fields": {"login": {}}}}}),
    ):
        answer = EXECUTE[door](caller, "res.partner", method, **arguments)
        assert answer.refusal, (method, arguments, answer.body[:300])
        assert world.entry(answer)["reason"] in ("scope.not_covered", "scope.protected")


@every_door
def test_relational_commands_need_their_own_grant(door, world, call, planted):
    partner_only = call(world.key(scope={"res.partner": "read write"}))
    both = call(world.key(scope={"res.partner": "read write", "res.partner.bank": "create"}))
    vals = {"bank_ids": [[0, 0, {"acc_number": f"BE{token()}"}]]}
    inside = planted["inside"]["id"]
    count = "SELECT count(*) FROM res_partner_bank WHERE partner_id = %s"
    before = world.value(count, inside)
    answer = EXECUTE[door](partner_only, "res.partner", "write", [inside], vals=vals)
    assert world.entry(answer)["reason"] == "scope.not_covered"
    assert world.value(count, inside) == before
    assert EXECUTE[door](both, "res.partner", "write", [inside], vals=vals).refusal is None
    assert world.value(count, inside) == before + 1


@every_door
def test_a_listed_field_rule_is_about_writing_and_lets_odoo_fill_in_the_rest(door, world, call, planted):
    """`active` is shown because each search asks for it; that is no leave to archive."""
    only = ("read write create", {"write_mode": "only", "write_fields": "name, child_ids"})
    caller, execute, inside = call(world.key(scope={"res.partner": only})), EXECUTE[door], planted["inside"]["id"]
    [made] = value(world, execute(caller, "res.partner", "create", vals_list=[{"name": "Only a name"}]))
    assert value(world, execute(caller, "res.partner", "write", [made], vals={"name": "Another"}))
    for answer, field in (
        (execute(caller, "res.partner", "write", [inside], vals={"active": False}), "active"),
        (execute(caller, "res.partner", "action_archive", [inside]), "active"),
        (execute(caller, "res.partner", "create", vals_list=[{"name": "x", "active": False}]), "active"),
        (execute(caller, "res.partner", "create", vals_list=[{"name": "x"}],
                 context={"default_active": False}), "active"),
        (execute(caller, "res.partner", "create", vals_list=[{"name": "x"}], context={"default_ref": "x"}), "ref"),
        (execute(caller, "res.partner", "create", vals_list=[{"name": "x"}],
                 context={"default_child_ids": [[0, 0, {"name": "y", "ref": "x"}]]}), "ref"),
        (execute(caller, "res.partner", "write", [made], vals={"child_ids": [[0, 0, {"name": "y"}]]}), "parent_id"),
        (execute(caller, "res.partner", "name_create", name="Ada <ada@example.com>"), "email"),
    ):
        entry = world.entry(answer)
        assert (entry["reason"], entry["error_message"]) == ("scope.field_hidden", f"res.partner.{field}: write")
    assert world.value("SELECT active FROM res_partner WHERE id = %s", inside)


@every_door
def test_record_outside_is_a_refusal_that_names_the_policy(door, world, call, planted):
    execute, outside = EXECUTE[door], planted["outside"]["id"]
    key = world.key(scope={"res.partner": SEVEN})
    for method, ids, arguments, place in (
        ("read", [outside], {"fields": ["name"]}, "res.partner: read"),
        ("web_read", [outside], {"specification": {"name": {}}}, "res.partner: read"),
        ("create", None, {"vals_list": [{"name": "Elsewhere", "color": 3}]}, "res.partner: create"),
        ("write", [outside], {"vals": {"comment": "x"}}, "res.partner"),
    ):
        answer = execute(call(key), "res.partner", method, ids, **arguments)
        assert answer.sentence == "The scope of this credential does not cover this call.", answer.body[:300]
        entry = world.entry(answer)
        assert (entry["outcome"], entry["reason"], entry["error_message"]) == ("refused", "scope.record_hidden", place)
        assert entry["refusing_policy"].startswith("Policy ")
        if door == "json2":
            assert (answer.status, json.loads(answer.body)["error"]) == (403, "insufficient_scope")
    assert not world.partners("Elsewhere")


@every_door
def test_what_odoo_itself_does_not_show_is_told_in_odoos_words(door, world, call, planted):
    """Else a scope would tell which records there are."""
    execute, outside = EXECUTE[door], planted["outside"]["id"]
    model = world.value("SELECT id FROM ir_model WHERE model = 'res.partner'")
    [rule] = world.web.call("ir.rule", "create", [
        {"name": "not this one", "model_id": model, "domain_force": f"[('id', '!=', {outside})]"}])
    try:
        answers = [execute(call(world.key(**sections)), "res.partner", "read", [outside], fields=["name"])
                   for sections in ({"scope": {"res.partner": SEVEN}}, {})]
        assert answers[0].sentence == answers[1].sentence
        assert world.entry(answers[0])["outcome"] == "failed"
    finally:
        world.web.call("ir.rule", "unlink", [rule])


# ------------------------------------------------------------------------------ masks


@every_door
def test_masked_field_is_shown_masked_and_answers_no_question(door, world, call, planted):
    masked = ("read", {"mask_ids": [(0, 0, {"name": "phone", "masker": "phone"}),
                                    (0, 0, {"name": "email", "masker": "hash"})], "given_fields": "display_name"})
    caller, inside = call(world.key(scope={"res.partner": masked})), planted["inside"]
    execute, own = EXECUTE[door], [["id", "=", inside["id"]]]
    shown = [
        execute(caller, "res.partner", "read", [inside["id"]], fields=["phone", "email"]).value[0],
        execute(caller, "res.partner", "search_read", domain=own, fields=["phone", "email"]).value[0],
        execute(caller, "res.partner", "web_read", [inside["id"]], specification={"phone": {}, "email": {}}).value[0],
    ]
    assert {row["phone"] for row in shown} == {"***" + inside["phone"][-2:]}
    [digest] = {row["email"] for row in shown}
    assert len(digest) == 32
    for answer in (
        execute(caller, "res.partner", "search", domain=[["phone", "=", inside["phone"]]]),
        execute(caller, "res.partner", "search", domain=own, order="phone"),
        execute(caller, "res.partner", "formatted_read_group", domain=own, groupby=["phone"], aggregates=["__count"]),
        execute(caller, "res.partner", "export_data", [inside["id"]], fields_to_export=["phone"]),
    ):
        assert answer.refusal
        assert inside["phone"].encode() not in answer.body


# ------------------------------------------------------------------------------ read-only, companies, sizes


@every_door
def test_read_only_call_writes_nothing_whatever_its_method_does(door, world, call, planted):
    caller, execute, inside = call(world.key(read_only=True)), EXECUTE[door], planted["inside"]["id"]
    assert execute(caller, "res.partner", "search_count", domain=[]).value > 0
    assert execute(caller, "res.partner", "fields_get", attributes=["type"]).refusal is None
    refused = [
        execute(caller, "res.partner", "write", [inside], vals={"comment": "x"}),
        execute(caller, "res.partner", "create", vals_list=[{"name": "x"}]),
        execute(caller, "res.partner", "message_subscribe", [inside], partner_ids=[planted["own_partner"]]),
        execute(caller, "res.partner", "message_post", [inside], body="x"),
    ]
    for answer in refused:
        assert answer.refusal, answer.body[:300]
        entry = world.entry(answer)
        assert (entry["outcome"], entry["reason"]) == ("refused", "scope.read_only")
        assert not entry["committed"]
        assert b"Traceback" not in answer.body
        assert b"transaction" not in answer.body
    good = execute(caller, "res.partner", "read", [inside], fields=["name"])
    assert world.entry(good)["outcome"] == "allowed"


@every_door
def test_key_acts_in_its_companies_alone(door, world, call):
    execute = EXECUTE[door]
    main = world.value("SELECT company_id FROM res_users WHERE id = %s", world.uid)
    [other] = world.web.call("res.company", "create", [{"name": f"Other {token()}"}])
    world.web.call("res.users", "write", [world.uid], {"company_ids": [(4, other)]})
    [theirs] = world.web.call("res.partner", "create", [{"name": f"Theirs {token()}", "company_id": other}])
    [ours] = world.web.call("res.partner", "create", [{"name": f"Ours {token()}", "company_id": main}])
    caller = call(world.key(company_ids=[(6, 0, [other])]))
    try:
        found = execute(caller, "res.partner", "search", domain=[["id", "in", [ours, theirs]]]).value
        assert found == [theirs]
        answer = execute(caller, "res.partner", "read", [ours], fields=["name"])
        assert world.entry(answer)["reason"] == "scope.record_hidden", answer.body[:300]
        asked = execute(caller, "res.partner", "search", domain=[["id", "in", [ours, theirs]]],
                        context={"allowed_company_ids": [main, other]})
        entry = world.entry(asked)
        assert (entry["reason"], entry["error_message"]) == ("scope.record_hidden", "res.company: read")
        assert execute(caller, "res.partner", "create", vals_list=[{"name": "x", "company_id": main}]).refusal
        everywhere = {"allowed_company_ids": [main, other]}
        free = value(world, execute(call(world.key()), "res.partner", "search",
                                    domain=[["id", "in", [ours, theirs]]], context=everywhere))
        assert sorted(free) == sorted([ours, theirs])
    finally:
        world.web.call("res.users", "write", [world.uid], {"company_ids": [(3, other)]})


@every_door
@pytest.mark.parametrize("ways", ["twice", "no list", "specification", "empty in a specification"])
def test_key_asks_in_vain_to_act_in_another_company(ways, door, world, call):
    """What depends on a company is the value of the first one that the context names."""
    main = world.value("SELECT company_id FROM res_users WHERE id = %s", world.admin_uid)
    [other] = world.web.call("res.company", "create", [{"name": f"Other {token()}"}])
    world.web.call("res.users", "write", [world.admin_uid], {"company_ids": [(4, other)]})
    secret = token()
    [partner] = world.web.call("res.partner", "create", [{"name": "Child", "child_ids": [(0, 0, {"name": "Inner"})]}])
    [child] = world.web.call("res.partner", "search", [("parent_id", "=", partner)])
    world.web.call("res.partner", "write", [child], {"barcode": secret}, context={"allowed_company_ids": [main]})
    context, inner = {
        "twice": ({"allowed_company_ids": [main] * 31}, None),
        "no list": ({"allowed_company_ids": {str(main): 1}}, None),
        "specification": ({}, {"allowed_company_ids": [main]}),
        "empty in a specification": ({}, {"allowed_company_ids": []}),
    }[ways]
    asked = {"child_ids": {"fields": {"barcode": {}}, **({} if inner is None else {"context": inner})}}
    caller = call(world.key(uid=world.admin_uid, company_ids=[(6, 0, [other])]))
    answer = EXECUTE[door](caller, "res.partner", "web_read", [partner], specification=asked, context=context)
    assert answer.refusal
    assert secret.encode() not in answer.body


@every_door
@pytest.mark.parametrize(("sections", "method", "ids", "arguments", "kind"), [
    ({"max_ids": 2}, "read", [1, 2, 3], {"fields": ["name"]}, "ids: 3"),
    ({"max_limit": 10}, "search_read", None, {"domain": [], "fields": ["name"]}, "limit: unlimited"),
    ({"max_limit": 10}, "search", None, {"domain": [], "limit": 11}, "limit: 11"),
    ({"max_leaves": 2}, "search_count", None, {
        "domain": [["id", ">", 1], ["id", ">", 2], ["id", ">", 3]]}, "leaves: 3"),
    ({"max_depth": 3}, "search_count", None, {
        "domain": [["parent_id", "any", [["parent_id", "any", [["parent_id", "any", []]]]]]]}, "depth: 4"),
    ({"max_levels": 1}, "web_read", [1], {"specification": {"parent_id": {"fields": {"name": {}}}}}, "levels: 2"),
    ({"max_body_kib": 1}, "search_count", None, {"domain": [["name", "=", "x" * 2000]]}, "body: "),
    ({"max_values": 1}, "create", None, {"vals_list": [{"name": "Too"}, {"name": "Many"}]}, "values: 2"),
    ({"max_values": 1}, "write", [1, 2], {"vals": {"comment": "x"}}, "values: 2"),
    ({"max_values": 1}, "action_archive", [1, 2], {}, "values: 2"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) and len(value) == 1 else None)
def test_calls_that_are_too_large_are_refused_before_they_run(
    door, world, call, sections, method, ids, arguments, kind
):
    answer = EXECUTE[door](call(world.key(**sections)), "res.partner", method, ids, **json.loads(json.dumps(arguments)))
    assert answer.sentence.startswith("The call is larger than its policy allows. ("), answer.body[:300]
    assert f", at most {1024 if 'max_body_kib' in sections else max(sections.values())})" in answer.sentence
    entry = world.entry(answer)
    assert entry["reason"] == "shape.too_large"
    assert entry["error_message"].startswith(kind)
    if door == "json2":
        assert answer.status == 422


@every_door
def test_calls_within_the_sizes_pass(door, world, call):
    caller = call(world.key(max_ids=2, max_limit=10, max_leaves=2, max_depth=3, max_levels=1, max_body_kib=4))
    execute = EXECUTE[door]
    small = {"domain": [["id", ">", 0]], "fields": ["name"], "limit": 10}
    rows = value(world, execute(caller, "res.partner", "search_read", **small))
    assert 0 < len(rows) <= 10
    assert len(execute(caller, "res.partner", "read", [row["id"] for row in rows[:2]], fields=["name"]).value) == 2


@every_door
@pytest.mark.parametrize(("method", "arguments"), [
    ("search_read", {"domain": [], "fields": ["name"]}),
    ("search", {"domain": []}),
    ("web_search_read", {"domain": [], "specification": {"name": {}}}),
    ("create", {"vals_list": [{"name": "One", "ref": "returned"}] * 4}),
])
def test_an_answer_with_too_many_records_is_refused_and_undone(door, world, call, method, arguments):
    answer = EXECUTE[door](call(world.key(max_rows=3)), "res.partner", method, None, **arguments)
    told = "The call is larger than its policy allows. (records returned: "
    assert answer.sentence.startswith(told), answer.body[:300]
    assert answer.sentence.endswith(", at most 3)")
    entry = world.entry(answer)
    assert (entry["reason"], entry["error_message"][:5]) == ("shape.too_large", "rows:")
    assert not world.rows("SELECT id FROM res_partner WHERE ref = 'returned'")


@every_door
def test_an_answer_with_few_records_and_many_members_passes(door, world, call):
    caller = call(world.key(max_rows=3))
    assert len(value(world, EXECUTE[door](caller, "res.partner", "search", None, domain=[], limit=3))) == 3
    assert len(value(world, EXECUTE[door](caller, "res.partner", "fields_get", None))) > 3


@every_door
@pytest.mark.parametrize("values", [
    {"name": "Unknown", "phon": "1"},
    {"name": "Unknown", "child_ids": [[0, 0, {"name": "Unknown", "phon": "1"}]]},
], ids=["own", "nested"])
def test_unknown_fields_are_named_and_nothing_runs(door, world, call, values):
    caller = call(world.key(scope={"res.partner": ("read write create", {})}))
    answer = EXECUTE[door](caller, "res.partner", "create", None, vals_list=[values])
    assert "does not have. (res.partner.phon)" in answer.body.decode(), answer.body[:500]
    assert world.entry(answer)["reason"] == "values.unknown_field"
    assert world.entry(answer)["error_message"] == "res.partner.phon"
    assert not world.rows("SELECT id FROM res_partner WHERE name = 'Unknown'")
    if door == "json2":
        assert answer.status == 422


def test_unknown_names_are_told_in_ascii_and_in_bounds(world, call):
    caller = call(world.key(scope={"res.partner": ("read write create", {})}))
    strange = {f"\x00<b>é{number}" + "x" * 500: 1 for number in range(50)}
    printable = {name.replace("\x00", ""): 1 for name in strange}
    answer = xmlrpc_2(caller, "res.partner", "create", [{"name": "x", **printable}])
    assert len(answer.body) < 2000, answer.body
    answer = json2(caller, "res.partner", "create", None, vals_list=[{"name": "x", **strange}])
    assert answer.status == 422 and len(answer.body) < 2000
    assert answer.body.isascii()


ATTACK = "<img src=x onerror=alert(1)>"


@every_door
@pytest.mark.parametrize(("method", "arguments"), [
    ("create", {"vals_list": [{"name": ATTACK}]}),
    ("create", {"vals_list": [{"name": "Active", "child_ids": [[0, 0, {"name": ATTACK}]]}]}),
    ("name_create", {"name": ATTACK}),
    ("load", {"fields": ["name"], "data": [[ATTACK]]}),
], ids=["create", "nested", "name_create", "load"])
def test_active_html_in_plain_texts_is_refused_by_policy(door, world, call, method, arguments):
    answer = EXECUTE[door](call(world.key(on_active="refuse")), "res.partner", method, None, **arguments)
    assert answer.sentence == "A plain text of the call holds active HTML. (res.partner.name)", answer.body[:300]
    assert world.entry(answer)["reason"] == "values.active_html"
    assert not world.rows("SELECT id FROM res_partner WHERE position('onerror' in name) > 0")


@every_door
def test_active_html_is_flagged_by_policy_and_html_fields_are_odoos(door, world, call):
    caller = call(world.key(on_active="flag"))
    answer = EXECUTE[door](caller, "res.partner", "create", None, vals_list=[{"name": "<svg onload=1>", "ref": "flag"}])
    [created] = value(world, answer)
    entry = world.entry(answer)
    assert (entry["outcome"], entry["reason"]) == ("allowed", "values.active_html")
    world.web.call("res.partner", "unlink", [created])
    answer = EXECUTE[door](call(world.key(on_active="refuse")), "res.partner", "create", None, vals_list=[
        {"name": "A < B <ada@example.com>", "comment": "<p onclick='x'>Odoo cleans it</p>"}])
    world.web.call("res.partner", "unlink", value(world, answer))


# ------------------------------------------------------------------------------ what applies


def test_key_asks_what_applies_to_it(world, call):
    line = ("read", {"read_mode": "except", "read_fields": "phone", "domain": "[('color', '=', 7)]"})
    caller = call(world.key(scope={"res.partner": line}, read_only=True, max_limit=10, doors=["json2"]))
    answer = get(caller, "/api_guard/v1/me")
    assert answer.status == 200, answer.body
    told = json.loads(answer.body)
    assert (told["kind"], told["owner"]["login"], told["peer"]) == ("key", USER, "127.0.0.1")
    sections = {row["section"]: row["values"] for row in told["restrictions"]}
    line = "res.partner: read; reads all but phone; [('color', '=', 7)]; hides what gives the rest away"
    assert sections["scope"] == [line]
    assert sections["shape"] == ["limit 10"]
    assert any("Records searched: 10" in text for text in told["text"])
    assert "read_only" in sections
    assert any(text.startswith("Read only") for text in told["text"])
    assert world.entry(answer)["outcome"] == "allowed"
    assert caller.secret not in answer.body.decode()


def test_only_good_keys_are_told_what_applies(world, call):
    key = world.key(networks=[("deny", "127.0.0.0/8")])
    assert get(call(key), "/api_guard/v1/me").status == 403
    assert get(call(world.key()).using(secret="0" * 40), "/api_guard/v1/me").status == 401
