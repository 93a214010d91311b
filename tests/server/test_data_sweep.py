"""Every model of the database, read by a key that may read them all, but not these fields and not those partners.

Tokens are planted in hidden fields and in records outside of the domain, and in all that Odoo makes of
them: attachments, chatter, tracked values, activities, followers, external ids, properties, values by
company. None of them comes out, by whatever model.
"""

import base64
import itertools
import json
import os
import threading

import pytest
from doors import json2, send

HIDDEN = ["phone", "email", "comment", "street", "barcode", "properties"]
_numbers = itertools.count(1)


def token():
    return f"zs{os.getpid()}n{next(_numbers)}sz"


@pytest.fixture(scope="module")
def planted(world):
    """{"inside" | "outside": id, "tokens": {token: where it is}}, and what belongs to the outside one."""
    tokens, made = {}, {}

    def plant(where):
        tokens[found := token()] = where
        return found

    definition = world.rows(
        "SELECT d.id FROM properties_base_definition d JOIN ir_model_fields f ON f.id = d.properties_field_id"
        " WHERE f.model = 'res.partner'")
    for place, color in (("inside", 7), ("outside", 3)):
        values = {name: plant(f"{place}.{name}") for name in ("phone", "comment", "street", "barcode")}
        values["email"] = plant(f"{place}.email") + "@example.com"
        name = plant("outside.name") if place == "outside" else "A partner inside"
        [made[place]] = world.web.call("res.partner", "create", [{"name": name, "color": color, **values}])
        world.web.call("res.partner", "write", [made[place]], {
            "phone": plant(f"{place}.phone, tracked"), "email": plant(f"{place}.email, tracked") + "@example.com"})
        if definition:
            world.web.call("res.partner", "write", [made[place]], {"properties": [{
                "name": "pzs", "type": "char", "string": "P", "value": plant(f"{place}.properties"),
                "definition_changed": place == "inside"}]})
    outside = made["outside"]
    world.web.call("res.partner", "message_post", [outside], body=plant("outside: message"))
    text = base64.b64encode(f"text {plant('outside: content of an attachment')}".encode()).decode()
    [made["attachment"]] = world.web.call("ir.attachment", "create", [{
        "name": plant("outside: attachment") + ".txt", "datas": text, "res_model": "res.partner", "res_id": outside}])
    kind = world.rows("SELECT id FROM mail_activity_type ORDER BY id LIMIT 1")[0]["id"]
    model = world.value("SELECT id FROM ir_model WHERE model = 'res.partner'")
    world.web.call("mail.activity", "create", [{
        "res_model_id": model, "res_id": outside, "activity_type_id": kind, "summary": plant("outside: activity")}])
    world.web.call("ir.model.data", "create", [{
        "module": "zz", "name": plant("outside: external id"), "model": "res.partner", "res_id": outside}])
    world.web.call("res.partner.bank", "create", [{"acc_number": "ZS1", "partner_id": outside}])
    return {**made, "tokens": tokens}


@pytest.fixture(scope="module", params=["all but these", "only these"])
def reader(request, world, call, planted):
    fields = {"read_mode": "except", "read_fields": " ".join(HIDDEN)}
    if request.param == "only these":
        fields = {"read_mode": "only", "read_fields": "name color parent_id child_ids"}
    line = {**fields, "domain": "[('color', '=', 7)]"}
    return call(world.key(uid=world.admin_uid, scope={"res.partner": ("read", line), "*": "read"}))


def _leaks(answer, tokens):
    return sorted({where for token, where in tokens.items() if token.encode() in answer.body})


def test_tokens_are_there_without_a_scope(world, call, planted):
    """Else their absence would show nothing."""
    caller = call(world.key(uid=world.admin_uid))
    seen = set()
    for model in ("res.partner", "mail.message", "mail.tracking.value", "ir.attachment", "ir.model.data",
                  "mail.activity"):
        answer = json2(caller, model, "search_read", domain=[], order="id desc", limit=200)
        assert answer.status == 200, (model, answer.body[:300])
        seen.update(_leaks(answer, planted["tokens"]))
    unseen = set(planted["tokens"].values()) - seen - {"outside: content of an attachment"}
    assert unseen <= {"inside.phone", "outside.phone", "inside.email", "outside.email"}, unseen


def test_no_model_tells_what_is_hidden(world, reader, planted):
    models = [row["model"] for row in world.rows("SELECT model FROM ir_model WHERE NOT abstract ORDER BY model")]
    read, leaks = 0, {}
    for model in models:
        answer = json2(reader, model, "search_read", domain=[], order="id desc", limit=500)
        if answer.status == 422:  # models whose tables have no order
            answer = json2(reader, model, "search_read", domain=[], limit=500)
        read += answer.status == 200
        if found := _leaks(answer, planted["tokens"]):
            rows = answer.value if answer.status == 200 else []
            leaks[model] = found, sorted({name for row in rows for name, value in row.items()
                                          if any(hidden in json.dumps(value) for hidden in planted["tokens"])})
    assert not leaks, "\n".join(map(str, leaks.items()))
    assert read > 100


@pytest.mark.parametrize(("method", "arguments"), [
    ("read", {"fields": ["name", "datas", "raw", "index_content", "access_token"]}),
    ("export_data", {"fields_to_export": ["name", "datas"]}),
    ("web_read", {"specification": {"name": {}, "datas": {}}}),
])
def test_attachments_go_with_their_record(world, reader, planted, method, arguments):
    answer = json2(reader, "ir.attachment", method, [planted["attachment"]], **arguments)
    assert not _leaks(answer, planted["tokens"])


def test_a_key_opens_no_file_by_its_number(world, one, reader, planted):
    """`/web/content` asks for a session or a token, and a key is neither."""
    for path in (f"/web/content/{planted['attachment']}", f"/web/content/res.partner/{planted['inside']}/comment",
                 f"/web/image/res.partner/{planted['outside']}/avatar_128"):
        answer = send(one.url, path, headers={"Authorization": f"Bearer {reader.secret}",
                                              "X-Odoo-Database": world.name})
        assert not _leaks(answer, planted["tokens"]), path
        assert answer.status in (403, 404) or answer.headers["Content-Type"].startswith("image/"), path


def test_searching_models_besides_tells_nothing(world, reader, planted):
    for token_, where in planted["tokens"].items():
        for model, field in (("mail.message", "body"), ("ir.attachment", "index_content"), ("ir.attachment", "name"),
                             ("ir.model.data", "name"), ("mail.activity", "summary"), ("mail.activity", "res_name"),
                             ("mail.tracking.value", "new_value_char"), ("res.partner.bank", "acc_holder_name"),
                             ("mail.followers", "partner_id.name"), ("res.users", "email")):
            answer = json2(reader, model, "search_count", domain=[[field, "ilike", token_]])
            assert answer.status != 200 or answer.value == 0, (where, model, field)


def test_a_token_that_opens_the_record_goes_with_what_is_hidden_of_it(world, call, planted):
    scope = {"ir.attachment": ("read", {"read_mode": "except", "read_fields": "datas raw"}), "res.partner": "read"}
    caller = call(world.key(uid=world.admin_uid, scope=scope))
    ids = [planted["attachment"]]
    [row] = json2(caller, "ir.attachment", "read", ids, fields=["name", "mimetype"]).value
    assert row["mimetype"] == "text/plain"
    assert json2(caller, "ir.attachment", "read", ids, fields=["access_token"]).status == 403
    assert json2(caller, "ir.attachment", "search_count", domain=[["access_token", "!=", False]]).status == 403
    assert json2(caller, "ir.attachment", "generate_access_token", ids).status == 403


def test_translations_are_the_field_they_translate(world, call):
    secret = token()
    [industry] = world.web.call("res.partner.industry", "create", [{"name": "Zs", "full_name": secret}])
    line = {"read_mode": "except", "read_fields": "full_name", "write_mode": "except", "write_fields": "full_name"}
    caller = call(world.key(uid=world.admin_uid, scope={"res.partner.industry": ("read write", line)}))
    for method, arguments in (
        ("get_field_translations", {"field_name": "full_name"}),
        ("read", {"fields": ["full_name"], "context": {"lang": "fr_FR"}}),
        ("update_field_translations", {"field_name": "full_name", "translations": {"en_US": "changed"}}),
        ("web_override_translations", {"values": {"full_name": "changed"}}),
        ("write", {"vals": {"full_name": "changed"}}),
    ):
        answer = json2(caller, "res.partner.industry", method, [industry], **arguments)
        assert answer.status == 403 and secret.encode() not in answer.body, (method, answer.body)
    assert secret in json.dumps(world.value("SELECT full_name FROM res_partner_industry WHERE id = %s", industry))
    assert json2(caller, "res.partner.industry", "write", [industry], vals={"name": "Zs again"}).value is True


def test_chatter_of_hidden_records_takes_nothing(world, call, planted):
    line = {"domain": "[('color', '=', 7)]"}
    words = "read write create unlink message_post message_subscribe activity_schedule"
    scope = {"res.partner": (words, line), "*": "read write create unlink"}
    caller, outside = call(world.key(uid=world.admin_uid, scope=scope)), planted["outside"]
    model = world.value("SELECT id FROM ir_model WHERE model = 'res.partner'")

    def state():
        return [world.value(f"SELECT count(*) FROM {table} WHERE {column} = 'res.partner' AND res_id = %s", outside)  # noqa: S608
                for table, column in (("mail_message", "model"), ("mail_followers", "res_model"),
                                      ("ir_attachment", "res_model"), ("mail_activity", "res_model"))]

    before = state()
    attachment = {"name": "x", "raw": "x", "res_model": "res.partner"}
    for name, method, ids, arguments in (
        ("res.partner", "message_post", [outside], {"body": "x"}),
        ("res.partner", "message_subscribe", [outside], {"partner_ids": [planted["inside"]]}),
        ("mail.message", "create", None, {"vals_list": [{"model": "res.partner", "res_id": outside, "body": "x"}]}),
        ("ir.attachment", "create", None, {"vals_list": [{**attachment, "res_id": outside}]}),
        ("ir.attachment", "unlink", [planted["attachment"]], {}),
        ("ir.attachment", "write", [planted["attachment"]], {"vals": {"res_id": planted["inside"]}}),
        ("mail.followers", "create", None, {"vals_list": [
            {"res_model": "res.partner", "res_id": outside, "partner_id": planted["inside"]}]}),
        ("mail.activity", "create", None, {"vals_list": [{"res_model_id": model, "res_id": outside}]}),
    ):
        answer = json2(caller, name, method, ids, **arguments)
        assert answer.refusal, (name, method, answer.body)
        assert state() == before, (name, method)
    [kept] = json2(caller, "ir.attachment", "create", vals_list=[{**attachment, "res_id": planted["inside"]}]).value
    assert json2(caller, "ir.attachment", "write", [kept], vals={"res_id": outside}).refusal
    assert state() == before


def test_a_call_that_odoo_repeats_is_held_in_each_attempt(world, one, call):
    """Writers race for one record, so that Odoo repeats the losers' calls: each attempt is held like the first."""
    secret = token()
    [partner] = world.web.call("res.partner", "create", [{"name": "Raced", "color": 7, "phone": secret}])
    [outside] = world.web.call("res.partner", "create", [{"name": "Not raced", "color": 3}])
    line = {"read_mode": "except", "read_fields": "phone", "domain": "[('color', '=', 7)]"}
    caller = call(world.key(scope={"res.partner": ("read write create", line)}))
    since = len(one.log())

    def race(number, saved, refused):
        for turn in range(25):
            vals = {"ref": f"{number}.{turn}"}
            saved.append(json2(caller, "res.partner", "web_save", [partner], vals=vals, specification={"ref": {}}))
            refused.append(json2(caller, "res.partner", "web_save", [partner], vals=vals,
                                 specification={"ref": {}, "phone": {}}))
            refused.append(json2(caller, "res.partner", "write", [partner, outside], vals=vals))

    saved, refused = [], []
    writers = [threading.Thread(target=race, args=[number, saved, refused]) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert "SERIALIZATION_FAILURE" in one.log()[since:], "nobody lost a race: the test has shown nothing"
    assert not any(answer.refusal for answer in saved)
    assert all(answer.refusal for answer in refused)
    assert secret not in str([answer.value for answer in saved + refused])
    assert world.value("SELECT ref FROM res_partner WHERE id = %s", outside) is None


def test_a_hidden_field_that_only_searches_is_closed_whatever_it_would_find(world, call):
    """`phone_mobile_search` asks the database while Odoo simplifies the domain: no match, nothing left of it."""
    number = "+32485" + "".join(str(ord(letter) % 10) for letter in token())
    [parent] = world.web.call("res.partner", "create", [{"name": "Parent", "phone": number, "color": 3}])
    world.web.call("res.partner", "create", [{"name": "Child", "parent_id": parent, "color": 7}])
    for hides in ({"read_mode": "except", "read_fields": "phone"}, {"domain": "[('color', '=', 7)]"}):
        caller = call(world.key(scope={"res.partner": ("read", hides)}))
        for path in ("phone_mobile_search", "parent_id.phone_mobile_search"):
            for domain in ([[path, "=", number]], [[path, "=", number[:-1] + "x"]], ["!", [path, "=", "+32999999999"]]):
                for method, arguments in (("search_count", {}), ("search_read", {"fields": ["color"]}),
                                          ("formatted_read_grouping_sets", {"grouping_sets": [["color"], []],
                                                                            "aggregates": ["__count"]})):
                    answer = json2(caller, "res.partner", method, domain=domain, **arguments)
                    assert answer.status == 403, (hides, method, domain, answer.body[:300])
