"""Ways past a scope that a review found, each closed: by other models, by other operations, by context and by size.

With apps of Odoo, because it is their fields, views and methods that lead around a restriction.
"""

import base64
import itertools
import json
import os
import re

import pytest
import world as worlds
from doors import Caller, get, json2, jsonrpc, send, xmlrpc_2

from dev.harness import Server, create_db
from dev.testing import MODULES

APPS = ("crm", "hr", "project", "sale_management", "website")
EXECUTE = {"xmlrpc": xmlrpc_2, "jsonrpc": jsonrpc, "json2": json2}
every_door = pytest.mark.parametrize("door", EXECUTE)
INSIDE = {"domain": "[('color', '=', 7)]"}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_numbers = itertools.count(1)


def token():
    return f"way{os.getpid()}x{next(_numbers):05}z"


@pytest.fixture(scope="module")
def one():
    """A server of a database with the guard and these apps."""
    name = f"{worlds.PREFIX}_ways"
    create_db(name, [*MODULES, *APPS])
    with Server(name) as server:
        yield server
    worlds.drop_db(name)


@pytest.fixture(scope="module")
def world(one):
    printed = worlds.shell(f"{worlds.PREFIX}_ways", worlds._SEED)
    seed = next(line for line in printed.splitlines() if line.startswith("SEED "))
    world = worlds.World(f"{worlds.PREFIX}_ways", json.loads(seed.removeprefix("SEED ")))
    world.open(one.url)
    yield world
    if world._connection is not None:
        world._connection.close()


@pytest.fixture(scope="module")
def key(world, one):
    """A caller with a key of the administrator's: `key({model: line}, **sections)`."""

    def made(scope, uid=None, **sections):
        own = world.key(uid=uid or world.admin_uid, scope=scope, **sections)
        return Caller(one.url, world.name, own.secret, own.uid)

    return made


@pytest.fixture
def made(world):
    """Make a record as a person does: `made(model, **values)`."""
    return lambda of, /, **values: world.web.call(of, "create", [values])[0]


@pytest.fixture
def outside(made):
    """A partner that `INSIDE` leaves out, with tokens in its fields."""
    values = {name: token() for name in ("name", "street", "city", "ref")}
    return {**values, "id": made("res.partner", color=3, is_company=True, **values)}


@pytest.fixture
def product(world, made):
    template = made("product.template", name=token(), type="consu")
    return world.value("SELECT id FROM product_product WHERE product_tmpl_id = %s", template)


def refused(answer, *tokens):
    assert answer.refusal, answer.body[:300]
    assert not any(token.encode() in answer.body for token in tokens)


def allowed(world, answer):
    assert answer.refusal is None, [answer.body[:300], world.entry(answer)["error_message"]]
    return answer.value


# ------------------------------------------------------------------ what everybody's browser runs


def test_no_pattern_reaches_what_everybody_s_browser_runs(world, one, key):
    caller = key({"ir.*": "read write create unlink"})
    [path] = re.findall(r'src="(/web/assets/[^"]+\.js)"', send(one.url, "/web/login").body.decode())[:1]
    send(one.url, path)  # which makes it
    asset = world.value("SELECT max(id) FROM ir_attachment WHERE url = %s", path)
    hacked = {"datas": base64.b64encode(b"/*hacked*/").decode()}
    refused(json2(caller, "ir.attachment", "write", [asset], vals=hacked))
    refused(json2(caller, "ir.attachment", "unlink", [asset]))
    own = f"/web/static/src/{token()}.js"
    values = {"name": "x", "url": own, "raw": "alert(1)", "mimetype": "application/javascript", "public": True}
    refused(json2(caller, "ir.attachment", "create", vals_list=[values]))
    values.pop("url")
    refused(json2(caller, "ir.attachment", "create", vals_list=[values], context={"default_url": own}))
    [plain] = allowed(world, json2(caller, "ir.attachment", "create", vals_list=[values]))
    refused(json2(caller, "ir.attachment", "write", [plain], vals={"url": own}))
    assert send(one.url, own).status == 404
    allowed(world, json2(caller, "ir.attachment", "write", [plain], vals={"url": "https://example.com/"}))


def test_no_pattern_reaches_websites_and_menus(world, one, key):
    caller, script = key({"*": "read write"}), f"<script>'{token()}'</script>"
    refused(json2(caller, "website", "write", [1], vals={"custom_code_head": script}))
    assert script.encode() not in send(one.url, "/").body
    menu = world.value("SELECT min(id) FROM ir_ui_menu")
    refused(json2(caller, "ir.ui.menu", "write", [menu], vals={"name": "Menu"}))


def test_a_protected_model_is_not_written_through_a_field_that_shows_it(world, key, made):
    caller, team = key({"crm.team": "read write create"}), made("crm.team", name=token())
    for values in ({"alias_name": token()}, {"alias_defaults": "{'user_id': 2}"}):
        refused(json2(caller, "crm.team", "write", [team], vals=values))
        refused(json2(caller, "crm.team", "create", vals_list=[{"name": "x", **values}]))
    refused(json2(caller, "crm.team", "create", vals_list=[{"name": "x"}], context={"default_alias_name": token()}))
    allowed(world, json2(caller, "crm.team", "write", [team], vals={"name": token()}))


def test_the_address_of_another_user_is_not_written_by_another_model(world, key, made):
    partner = world.value("SELECT partner_id FROM res_users WHERE id = %s", world.uid)
    employee, former = made("hr.employee", name="x", user_id=world.uid), token() + "@example.com"
    world.web.call("res.partner", "write", [partner], {"email": former})
    caller = key({"hr.*": "read write"})
    refused(json2(caller, "hr.employee", "write", [employee], vals={"work_email": "evil@example.com"}))
    assert world.value("SELECT email FROM res_partner WHERE id = %s", partner) == former
    stranger = made("hr.employee", name="y")
    allowed(world, json2(caller, "hr.employee", "write", [stranger], vals={"work_email": "own@example.com"}))


# ------------------------------------------------------------------ grants on other models


@every_door
def test_the_context_gives_no_values_that_a_call_may_not_give(door, world, key, made, outside):
    caller, account = key({"res.partner": "read write create"}), token()
    order = made("sale.order", partner_id=outside["id"])
    for name, commands in (
        ("bank_ids", [[0, 0, {"acc_number": account}]]), ("sale_order_ids", [[4, order, 0]]),
        ("sale_order_ids", [[6, 0, [order]]]), ("sale_order_ids", [order]),
    ):  # fmt: skip
        context = {f"default_{name}": commands}
        refused(EXECUTE[door](caller, "res.partner", "create", vals_list=[{"name": "x"}], context=context))
        refused(EXECUTE[door](caller, "res.partner", "name_create", name="x", context=context))
    assert world.value("SELECT count(*) FROM res_partner_bank WHERE acc_number = %s", account) == 0
    assert world.value("SELECT partner_id FROM sale_order WHERE id = %s", order) == outside["id"]


def test_the_context_gives_none_to_records_that_are_made_on_the_way(world, key, made):
    """`default_bank_ids` is no field of a tag, and one of the contact that is made through it."""
    caller = key({"res.partner.category": "read write create", "res.partner": "read write create"})
    tag, account = made("res.partner.category", name=token()), token()
    values = {"partner_ids": [[0, 0, {"name": "x"}]]}
    context = {"default_bank_ids": [[0, 0, {"acc_number": account}]]}
    refused(json2(caller, "res.partner.category", "write", [tag], vals=values, context=context))
    allowed(world, json2(caller, "res.partner.category", "write", [tag], vals=values))
    assert world.value("SELECT count(*) FROM res_partner_bank WHERE acc_number = %s", account) == 0


@every_door
@pytest.mark.parametrize("commands", [False, [], "SET", [[3, "LINE", 0]], [[5, 0, 0]], [[6, 0, []]], [[2, "LINE", 0]]])
def test_lines_are_deleted_by_those_who_may(commands, door, world, key, made, outside, product):
    line = {"name": token(), "product_id": product}
    order = made("sale.order", partner_id=outside["id"], order_line=[(0, 0, line)])
    own = world.value("SELECT id FROM sale_order_line WHERE order_id = %s", order)
    other = made("sale.order", partner_id=outside["id"], order_line=[(0, 0, line)])
    theirs = world.value("SELECT id FROM sale_order_line WHERE order_id = %s", other)
    commands = json.loads(json.dumps(commands).replace('"LINE"', str(own)).replace('"SET"', f"[{theirs}]"))
    for lines in ("", "read write create"):
        caller = key({"sale.order": "read write", **({"sale.order.line": lines} if lines else {})})
        answer = EXECUTE[door](caller, "sale.order", "write", [order], vals={"order_line": commands})
        assert answer.refusal or commands == []
        assert world.value("SELECT order_id FROM sale_order_line WHERE id = %s", own) == order
        assert world.value("SELECT order_id FROM sale_order_line WHERE id = %s", theirs) == other
    caller = key({"sale.order": "read write", "sale.order.line": "read write create unlink"})
    allowed(world, EXECUTE[door](caller, "sale.order", "write", [order], vals={"order_line": commands}))


@every_door
def test_orders_are_written_with_their_lines_by_who_may(door, world, key, made, product):
    """What the checks on values must not stand in the way of, with domains that hold for both."""
    customer = made("res.partner", name=token(), color=7)
    caller = key({
        "sale.order": ("read write create", {"domain": "[('partner_id.color', '=', 7)]"}),
        "sale.order.line": ("read create write unlink", {
            "domain": "[('order_id.partner_id.color', '=', 7)]", "given_fields": "name"}),
        "res.partner": ("read", INSIDE), "product.product": ("read", {"domain": "[('sale_ok', '=', True)]"}),
    })  # fmt: skip
    line = {"name": "One", "product_id": product, "product_uom_qty": 2}
    execute = EXECUTE[door]
    [order] = allowed(world, execute(caller, "sale.order", "create", vals_list=[
        {"partner_id": customer, "order_line": [[0, 0, line], [0, 0, {**line, "name": "Two"}]]}]))
    lines = allowed(world, execute(caller, "sale.order", "read", [order], fields=["order_line"]))[0]["order_line"]
    assert len(lines) == 2
    commands = [[1, lines[0], {"name": "First"}], [2, lines[1], 0], [0, 0, line]]
    allowed(world, execute(caller, "sale.order", "write", [order], vals={"order_line": commands}))
    specification = {"order_line": {"fields": {"name": {}}}}
    [shown] = allowed(world, execute(caller, "sale.order", "web_save", [order], vals={"client_order_ref": "x"},
                                     specification=specification))
    assert sorted(row["name"] for row in shown["order_line"]) == ["First", "One"]


def test_commands_are_followed_as_deep_as_they_go(world, key):
    caller, account = key({"res.partner": "read write create"}), token()
    values = {"name": "x", "bank_ids": [[0, 0, {"acc_number": account}]]}
    for _level in range(40):
        values = {"name": "x", "child_ids": [[0, 0, values]]}
    refused(json2(caller, "res.partner", "create", vals_list=[values]))
    assert world.value("SELECT count(*) FROM res_partner_bank WHERE acc_number = %s", account) == 0


@pytest.mark.parametrize("fields", [["name", "bank_ids.id"], ["name", "bank_ids:id"], ["name", "bank_ids/.id"]])
def test_an_import_reaches_other_models_by_no_path(fields, world, key, made, outside):
    bank, caller = made("res.partner.bank", acc_number=token(), partner_id=outside["id"]), key(
        {"res.partner": "read write create"})
    json2(caller, "res.partner", "load", fields=fields, data=[["x", str(bank)]])
    assert world.value("SELECT partner_id FROM res_partner_bank WHERE id = %s", bank) == outside["id"]


def test_an_import_makes_no_records_by_their_names_alone(world, key):
    caller, name = key({"res.partner": "read write create", "res.partner.industry": "read"}), token()
    enabled = {"name_create_enabled_fields": {"industry_id": True}}
    answer = json2(caller, "res.partner", "load", fields=["name", "industry_id"], data=[["x", name]], context=enabled)
    refused(answer)
    assert world.value("SELECT count(*) FROM res_partner_industry WHERE name->>'en_US' = %s", name) == 0


def test_properties_are_defined_by_those_who_may_write_what_holds_them(world, key, made):
    project = made("project.project", name=token())
    task = made("project.task", name="x", project_id=project)
    properties = [{"name": "aaaa", "type": "char", "string": "A", "value": "x", "definition_changed": True}]
    write = {"vals": {"task_properties": properties}}
    refused(json2(key({"project.task": "read write"}), "project.task", "write", [task], **write))
    assert not world.value("SELECT task_properties_definition FROM project_project WHERE id = %s", project)
    both = key({"project.task": "read write", "project.project": "read write"})
    allowed(world, json2(both, "project.task", "write", [task], **write))
    properties[0] |= {"type": "many2one", "comodel": "res.partner.bank", "value": False}
    refused(json2(both, "project.task", "write", [task], **write))
    definition = {"vals": {"task_properties_definition": properties}}
    refused(json2(both, "project.project", "write", [project], **definition))
    one_only = key({"project.task": "read write"})
    allowed(world, json2(one_only, "project.task", "write", [task], vals={"task_properties": {"aaaa": "y"}}))


# ------------------------------------------------------------------ what binds writing


@every_door
def test_a_broad_line_lifts_nothing_of_a_narrow_one_for_writing(door, world, key, made, outside):
    narrow = ("read", {**INSIDE, "write_mode": "except", "write_fields": "ref"})
    caller, execute = key({"res.partner": narrow, "*": "read write create unlink"}), EXECUTE[door]
    inside = made("res.partner", name=token(), color=7)
    refused(execute(caller, "res.partner", "write", [outside["id"]], vals={"function": "x"}))
    refused(execute(caller, "res.partner", "write", [inside], vals={"ref": "x"}))
    refused(execute(caller, "res.partner", "unlink", [outside["id"]]))
    refused(execute(caller, "res.partner", "create", vals_list=[{"name": "x", "color": 3}]))
    allowed(world, execute(caller, "res.partner", "write", [inside], vals={"function": "x"}))


# ------------------------------------------------------------------ what tells


def test_no_pattern_reads_the_log(world, key, outside):
    secret = token()
    writing = key({"res.partner": "read write"}, argument_detail="values")
    json2(writing, "res.partner", "write", [outside["id"]], vals={"comment": secret})
    broad = key({"*": "read"})
    ask = {"domain": [["arguments", "ilike", secret]], "fields": ["arguments"]}
    refused(json2(broad, "api.audit.entry", "search_read", **ask), secret)
    own = key({"api.audit.entry": "read"})
    assert secret.encode() in json2(own, "api.audit.entry", "search_read", **ask).body


def test_a_document_that_no_line_covers_is_not_named(world, key, made):
    employee = made("hr.employee", name=token())
    model = world.value("SELECT id FROM ir_model WHERE model = 'hr.employee'")
    ask = {"values": {"res_model_id": model, "res_id": employee}, "field_names": ["res_id"],
           "fields_spec": {"res_model_id": {}, "res_id": {}, "res_name": {}}}
    refused(json2(key({"mail.activity": "read"}), "mail.activity", "onchange", [], **ask))
    apart = {**ask, "values": {"res_model_id": model}, "context": {"default_res_id": employee}}
    refused(json2(key({"mail.activity": "read"}), "mail.activity", "onchange", [], **apart))
    allowed(world, json2(key({"mail.activity": "read", "hr.employee": "read"}), "mail.activity", "onchange", [], **ask))


def test_names_of_records_in_properties_are_told_as_far_as_their_models_are_covered(world, key, made):
    project, country = made("project.project", name=token()), world.value("SELECT id FROM res_country LIMIT 1")
    name = world.web.call("res.country", "read", [country], ["display_name"])[0]["display_name"]
    definition = [{"name": "aaaa", "type": "many2one", "comodel": "res.country", "string": "C"}]
    world.web.call("project.project", "write", [project], {"task_properties_definition": definition})
    task = made("project.task", name="x", project_id=project, task_properties={"aaaa": country})
    read = ("project.task", "read", [task])
    [row] = allowed(world, json2(key({"project.task": "read"}), *read, fields=["task_properties"]))
    assert row["task_properties"][0]["value"] == [country, f"res.country,{country}"]
    both = key({"project.task": "read", "res.country": "read"})
    [row] = allowed(world, json2(both, *read, fields=["task_properties"]))
    assert row["task_properties"][0]["value"] == [country, name]


def test_files_of_hidden_fields_are_no_attachments(world, key, made):
    partner = made("res.partner", name=token(), image_1920=PIXEL)
    ask = {"domain": [["res_model", "=", "res.partner"], ["res_field", "!=", False], ["res_id", "=", partner]],
           "fields": ["res_field", "datas"]}
    hiding = key({"res.partner": ("read", {"read_mode": "except", "read_fields": "image_1920"}), "*": "read"})
    assert allowed(world, json2(hiding, "ir.attachment", "search_read", **ask)) == []
    assert allowed(world, json2(key({"*": "read"}), "ir.attachment", "search_read", **ask))
    unwritable = ("read write", {"write_mode": "except", "write_fields": "image_1920"})
    writing = key({"res.partner": unwritable, "ir.attachment": "read write"})
    for row in allowed(world, json2(writing, "ir.attachment", "search_read", **ask)):
        refused(json2(writing, "ir.attachment", "write", [row["id"]], vals={"datas": "R0lGODlhAQABAAAAACw="}))


def test_what_is_filled_in_from_a_hidden_field_of_that_name_is_hidden(world, key, outside):
    hiding = {"read_mode": "except", "read_fields": "street city"}
    caller = key({"res.partner": ("read", hiding), "*": "read"})
    ask = {"values": {"partner_id": outside["id"]}, "field_names": ["partner_id"]}
    refused(json2(caller, "crm.lead", "onchange", [], **ask, fields_spec={"street": {}}), outside["street"])
    refused(json2(caller, "crm.lead", "onchange", [], **ask, fields_spec={"city": {}}), outside["city"])
    allowed(world, json2(caller, "crm.lead", "onchange", [], **ask, fields_spec={"zip": {}}))


@every_door
def test_order_tells_nothing_of_names_outside(door, world, key, made):
    theirs, ours = made("res.partner.industry", name="mmm"), made("res.partner.industry", name="aaa", full_name="in")
    first, second = made("res.partner", name="1", industry_id=theirs), made("res.partner", name="2", industry_id=ours)
    industries = ("read write", {"domain": "[('full_name', '=', 'in')]"})
    caller, found = key({"res.partner": "read", "res.partner.industry": industries}), set()
    for name in ("aaa", "zzz"):
        world.web.call("res.partner.industry", "write", [ours], {"name": name})
        for ask in ({"order": "industry_id"}, {"order": "industry_id desc"}):
            rows = allowed(world, EXECUTE[door](caller, "res.partner", "search",
                                                domain=[["id", "in", [first, second]]], **ask))
            found.add((*ask.values(), *rows))
    assert len(found) == 2


def test_an_import_finds_no_names_outside(world, key, made, outside):
    inside = made("res.partner", name=token(), color=7, is_company=True, street=token())
    caller = key({"res.partner": ("read write create", {**INSIDE, "given_fields": "display_name complete_name"})})
    name = world.value("SELECT name FROM res_partner WHERE id = %s", inside)

    def loaded(parent, path="parent_id"):
        return json2(caller, "res.partner", "load", fields=["name", "color", path], data=[["x", "7", parent]])

    assert allowed(world, loaded(name))["ids"]
    answers = [allowed(world, loaded(text)) for text in (outside["name"], outside["ref"], token())]
    assert [answer["ids"] for answer in answers] == [False] * 3
    refused(loaded(str(outside["id"]), "parent_id/.id"))
    unreadable = key({"res.partner": "write create"})
    refused(json2(unreadable, "res.partner", "load", fields=["name", "country_id"], data=[["x", "Belgium"]]))


@every_door
def test_values_name_no_records_outside(door, world, key, made, outside):
    caller, execute = key({"sale.order": "read write create", "res.partner": ("read write", INSIDE)}), EXECUTE[door]
    inside = made("res.partner", name=token(), color=7)
    [order] = allowed(world, execute(caller, "sale.order", "create", vals_list=[{"partner_id": inside}]))
    for answer in (
        execute(caller, "sale.order", "create", vals_list=[{"partner_id": outside["id"]}]),
        execute(caller, "sale.order", "write", [order], vals={"partner_invoice_id": outside["id"]}),
        execute(caller, "sale.order", "create", vals_list=[{}], context={"default_partner_id": outside["id"]}),
        execute(caller, "sale.order", "name_create", name="x",
                context={"default_partner_id": outside["id"], "sale_show_partner_name": True}),
        execute(caller, "sale.order", "onchange", [], values={"partner_id": outside["id"]},
                field_names=["partner_id"], fields_spec={"partner_id": {"fields": {"display_name": {}}}}),
        execute(caller, "sale.order", "onchange", [], values={"partner_id": {"id": outside["id"]}},
                field_names=["partner_id"], fields_spec={"partner_id": {}}),
        execute(caller, "sale.order", "onchange", [], values={}, field_names=[], fields_spec={"partner_id": {}},
                context={"default_partner_id": outside["id"]}),
    ):
        refused(answer, outside["name"])


@every_door
def test_the_other_side_of_a_relation_is_the_same_relation(door, world, key, made, outside):
    tag, execute = made("res.partner.category", name=token()), EXECUTE[door]
    inside = made("res.partner", name=token(), color=7, category_id=[(6, 0, [tag])])
    hiding = key({"res.partner": ("read", {"read_mode": "except", "read_fields": "category_id"}), "*": "read"})
    refused(execute(hiding, "res.partner.category", "read", [tag], fields=["partner_ids"]))
    unwritable = {"write_mode": "except", "write_fields": "category_id"}
    caller = key({"res.partner": ("read", unwritable), "res.partner.category": "read write"})
    refused(execute(caller, "res.partner.category", "write", [tag], vals={"partner_ids": [[5, 0, 0]]}))
    own = key({"res.partner": ("read", {"domain": f"[('category_id', 'in', [{tag}])]"}),
               "res.partner.category": "read write"})
    refused(execute(own, "res.partner.category", "write", [tag], vals={"partner_ids": [[4, outside["id"], 0]]}))
    refused(execute(own, "res.partner", "read", [outside["id"]], fields=["name"]))
    assert allowed(world, execute(own, "res.partner", "search", domain=[])) == [inside]


@pytest.mark.parametrize("operator", ["child_of", "parent_of"])
def test_a_hidden_parent_is_not_searched_by_a_hierarchy(operator, world, key, made, outside):
    child = made("res.partner", name=token(), parent_id=outside["id"])
    hiding = key({"res.partner": ("read", {"read_mode": "except", "read_fields": "parent_id"}), "*": "read"})
    for model, domain in (
        ("res.partner", [["id", operator, child]]), ("res.users", [["partner_id", operator, child]]),
        ("res.partner", [["child_ids", "any", [["id", operator, child]]]]),
    ):  # fmt: skip
        refused(json2(hiding, model, "search", domain=domain))
    allowed(world, json2(key({"res.partner": "read"}), "res.partner", "search", domain=[["id", operator, child]]))


# ------------------------------------------------------------------ tables beside


def test_an_inherited_field_is_hidden_where_it_is_kept(world, key, made):
    employee = made("hr.employee", name=token(), wage=4321.5)
    version = world.value("SELECT current_version_id FROM hr_employee WHERE id = %s", employee)
    hiding = ("read", {"read_mode": "except", "read_fields": "wage"})
    caller = key({"hr.employee": hiding, "*": "read"})
    refused(json2(caller, "hr.employee", "search", domain=[["current_version_id.wage", "=", 4321.5]]))
    refused(json2(caller, "hr.version", "read", [version], fields=["wage"]), "4321.5")
    named = key({"hr.employee": hiding, "hr.version": "read"})
    assert b"4321.5" in json2(named, "hr.version", "read", [version], fields=["wage"]).body


def test_a_query_shows_no_more_than_the_tables_that_it_reads(world, key, made, outside, product):
    address = token() + "@example.com"
    theirs = made("hr.employee", name=token(), color=3, work_email=address)
    ours = made("hr.employee", name=token(), color=7)
    hiding = key({"hr.employee": ("read", {"read_mode": "except", "read_fields": "work_email"}), "*": "read"})
    refused(json2(hiding, "hr.employee.public", "read", [theirs], fields=["work_email"]), address)
    for uid in (world.admin_uid, world.uid):
        caller = key({"hr.employee": ("read", INSIDE), "*": "read"}, uid=uid)
        for model in ("hr.employee.public", "hr.employee"):
            found = allowed(world, json2(caller, model, "search", domain=[["id", "in", [theirs, ours]]]))
            assert found == [ours], (model, uid)
    made("sale.order", partner_id=outside["id"], order_line=[(0, 0, {"name": "x", "product_id": product})])
    ask = {"domain": [["product_id", "=", product]], "fields": ["name"]}
    lines = {"sale.order": ("read", {"domain": "[('id', '=', 0)]"}), "*": "read"}
    assert allowed(world, json2(key(lines), "sale.report", "search_read", **ask)) == []
    hiding = {"sale.order.line": ("read", {"read_mode": "except", "read_fields": "price_subtotal"}), "*": "read"}
    assert allowed(world, json2(key(hiding), "sale.report", "search_read", **ask)) == []
    assert allowed(world, json2(key({**lines, "sale.report": "read"}), "sale.report", "search_read", **ask))
    assert allowed(world, json2(key({"*": "read"}), "sale.report", "search_read", **ask))


def test_what_is_part_of_a_message_is_where_the_message_is(world, key, made, outside):
    posted = world.web.call("res.partner", "message_post", [outside["id"]], body="x")
    message = posted[0] if isinstance(posted, list) else posted
    translated, sent = token(), token()
    made("mail.message.translation", message_id=message, source_lang="en", target_lang="fr", body=translated)
    made("sms.sms", mail_message_id=message, body=sent, number="1")
    caller = key({"res.partner": ("read", INSIDE), "*": "read"})
    for model in ("mail.message.translation", "sms.sms"):
        answer = json2(caller, model, "search_read", domain=[], fields=["body"])
        allowed(world, answer)
        assert translated.encode() not in answer.body
        assert sent.encode() not in answer.body


def test_a_copy_takes_in_the_lines_that_are_shown(world, key, made, outside, product):
    line = {"product_id": product}
    lines = [(0, 0, {**line, "name": "in", "sequence": 1}), (0, 0, {**line, "name": "out", "sequence": 99})]
    order = made("sale.order", partner_id=outside["id"], order_line=lines)
    shown = ("read create", {"domain": "[('sequence', '<', 50)]"})
    caller = key({"sale.order": "read create", "sale.order.line": shown})
    [copied] = allowed(world, json2(caller, "sale.order", "copy", [order]))
    rows = world.rows("SELECT name FROM sale_order_line WHERE order_id = %s", copied)
    assert [row["name"] for row in rows] == ["in"]


# ------------------------------------------------------------------ external ids, sizes, small things


def test_external_ids_are_told_of_what_is_shown(world, key, made, outside):
    name = token()
    made("ir.model.data", module="zz", name=name, model="res.partner", res_id=outside["id"])
    child = made("res.partner", name="x", color=7, parent_id=outside["id"])
    caller = key({"res.partner": ("read", INSIDE), "*": "read"})
    refused(json2(caller, "res.partner", "get_external_id", [outside["id"]]), name)
    answer = json2(caller, "res.partner", "export_data", [child], fields_to_export=["parent_id/id"])
    assert allowed(world, answer) == {"datas": [[""]]}
    free = json2(key({"res.partner": "read"}), "res.partner", "export_data", [child], fields_to_export=["parent_id/id"])
    assert allowed(world, free) == {"datas": [[f"zz.{name}"]]}


def test_external_ids_are_given_in_the_name_of_no_module(world, key, made):
    caller, name = key({"res.partner": "read write create"}), token()

    def loaded(xml_id, **context):
        return json2(caller, "res.partner", "load", fields=["id", "name"], data=[[xml_id, "x"]], context=context)

    loaded(f"base.{name}")
    loaded(name, _import_current_module="base")
    json2(caller, "res.partner", "create", vals_list=[{"name": "x", "id": name}],
          context={"_import_current_module": "base"})
    assert world.value("SELECT count(*) FROM ir_model_data WHERE module = 'base' AND name = %s", name) == 0
    assert allowed(world, loaded(f"erp.{name}"))["ids"]
    assert allowed(world, loaded("base.main_partner"))["ids"]
    partner, caller = made("res.partner", name="x"), key({"res.partner": "read"})
    refused(json2(caller, "res.partner", "export_data", [partner], fields_to_export=["id"]))


def test_sizes_hold_whatever_they_are_named(world, key):
    sizes = {"max_limit": 10, "max_leaves": 2, "max_levels": 1, "max_rows": 20, "max_values": 2}
    caller, leaves = key({"*": "read write create unlink"}, **sizes), [["id", ">", 0]] * 8
    spec = {"parent_id": {"fields": {"parent_id": {"fields": {"name": {}}}}}}
    groups = {"domain": [], "groupby": ["active"], "limit": 5}
    unfolded = {**groups, "aggregates": [], "auto_unfold": True, "unfold_read_specification": {"name": {}}}
    for method, arguments in (
        ("search_count", {"domain": [["parent_id", "ANY", leaves]]}),
        ("formatted_read_group", {**groups, "aggregates": ["__count"], "having": [["__count", ">", 0]] * 3}),
        ("search_panel_select_range", {"field_name": "country_id", "search_domain": leaves}),
        ("create", {"vals_list": [{"name": "x", "child_ids": [[0, 0, {"name": "y"}]] * 3}]}),
        ("web_read_group", {**unfolded, "unfold_read_default_limit": 11}),
        ("web_read_group", {**unfolded, "unfold_read_specification": spec}),
        ("web_read_group", unfolded),
        ("formatted_read_group", {**groups, "aggregates": ["name:array_agg"]}),
    ):
        if method in ("web_read_group", "formatted_read_group"):
            world.web.call("res.partner", "create", [{"name": "x"} for _ in range(25)])
        refused(json2(caller, "res.partner", method, **arguments))
    allowed(world, json2(caller, "res.partner", "formatted_read_group", **groups, aggregates=["__count"]))


def test_active_html_by_a_default_is_active_html(world, key):
    caller = key({"res.partner": "read write create"}, on_active="refuse")
    context = {"default_function": "<img src=x onerror=alert(1)>"}
    refused(json2(caller, "res.partner", "create", vals_list=[{"name": "x"}], context=context))


def test_a_key_s_own_user_is_no_exception_to_a_domain(world, key):
    caller = key({"res.partner": ("read", INSIDE), "res.users": "read"})
    for fields in (["login"], ["login", "name"]):
        refused(json2(caller, "res.users", "read", [world.admin_uid], fields=fields))
    allowed(world, json2(key({"res.users": "read"}), "res.users", "read", [world.admin_uid], fields=["login"]))
    counting = key({"ir.model": "read", "res.partner": ("read", INSIDE)})
    refused(json2(counting, "ir.model", "search_read", domain=[["model", "=", "res.partner"]], fields=["count"]))


def test_the_document_describes_no_values_for_a_key_that_only_reads(world, key):
    caller = key({"res.partner": ("read", {"read_mode": "except", "read_fields": "phone"})})
    document = json.loads(get(caller, "/api_guard/v1/openapi.json?models=res.partner").body)
    assert not any("phone" in schema.get("properties", {}) for schema in document["components"]["schemas"].values())
