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
from doors import Caller, json2, jsonrpc, send, xmlrpc_2

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
    return lambda model, **values: world.web.call(model, "create", [values])[0]


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
    assert answer.refusal is None, [answer.body[:300], world.entry(answer)["place"] if answer.request_id else None]
    return answer.value


# ------------------------------------------------------------------ what everybody's browser runs


def test_no_pattern_reaches_what_everybody_s_browser_runs(world, one, key):
    caller = key({"ir.*": "read write create unlink"})
    [path] = re.findall(r'src="(/web/assets/[^"]+\.js)"', send(one.url, "/web/login").body.decode())[:1]
    asset = world.value("SELECT max(id) FROM ir_attachment WHERE url = %s", path)
    hacked = {"datas": base64.b64encode(b"/*hacked*/").decode()}
    refused(json2(caller, "ir.attachment", "write", [asset], vals=hacked))
    refused(json2(caller, "ir.attachment", "unlink", [asset]))
    own = f"/web/static/src/{token()}.js"
    values = {"name": "x", "url": own, "raw": "alert(1)", "mimetype": "application/javascript", "public": True}
    refused(json2(caller, "ir.attachment", "create", vals_list=[values]))
    values["url"] = False
    refused(json2(caller, "ir.attachment", "create", vals_list=[{**values}], context={"default_url": own}))
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
        "sale.order.line": ("read create write unlink", {"domain": "[('order_id.partner_id.color', '=', 7)]"}),
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
    allowed(world, execute(caller, "sale.order", "unlink", [order]))


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
    allowed(world, json2(key({"mail.activity": "read", "hr.employee": "read"}), "mail.activity", "onchange", [], **ask))
