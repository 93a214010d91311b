"""The documents that tell a key what it may call tell no more, and no less."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from doors import get, json2
from openapi_spec_validator import OpenAPIV31SpecValidator

LINE = ("read write", {"read_mode": "except", "read_fields": "phone", "given_fields": "display_name"})


def document(caller, path="/api_guard/v1/openapi.json"):
    answer = get(caller, path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.fixture(scope="module")
def shop(world):
    """A key that reads and writes partners, without phones, and runs one method."""
    return world.key(scope={
        "res.partner": ("read write message_post", {"mask_ids": [(0, 0, {"name": "email", "masker": "email"}),
                                                                 (0, 0, {"name": "color", "masker": "hash"})],
                                                    **LINE[1]}),
        "res.country": "read",
    }, max_limit=50, max_ids=20)


def test_document_holds_what_the_scope_covers_and_nothing_else(shop, call):
    told = document(call(shop))
    OpenAPIV31SpecValidator(told).validate()
    models = {path.split("/")[3] for path in told["paths"]}
    assert models == {"res.partner", "res.country"}
    methods = {path.rpartition("/")[2] for path in told["paths"] if "/res.partner/" in path}
    assert {"search_read", "write", "read"} <= methods
    assert not methods & {"create", "unlink", "copy", "action_archive_all", "web_save"}
    shown = told["components"]["schemas"]["res.partner.read"]["properties"]
    assert {"id", "name", "email", "country_id"} <= set(shown)
    assert not {"phone", "phone_sanitized"} & set(shown)
    assert {"type": "string"} in shown["color"]["oneOf"], "masked: no number any more"
    body = told["paths"]["/json/2/res.partner/search_read"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["limit"]["maximum"] == 50
    assert "limit" in body["schema"]["required"]
    assert "phone" not in body["schema"]["properties"]["fields"]["items"]["enum"]


def test_every_method_that_it_names_is_let_through(shop, call):
    caller = call(shop)
    for path, item in document(caller)["paths"].items():
        _, _, _, model, method = path.split("/")
        if method in ("write", "web_resequence", "web_save_multi"):
            continue
        needed = {name: None for name in
                  item["post"]["requestBody"]["content"]["application/json"]["schema"].get("required", ())}
        refusal = json2(caller, model, method, None, **needed | ({"limit": 1} if "limit" in needed else {})).refusal
        assert refusal is None or refusal not in ("scope.not_covered", "scope.protected_model"), (path, refusal)


def test_only_some_models(shop, call):
    told = document(call(shop), "/api_guard/v1/openapi.json?models=res.country,no.such")
    assert {path.split("/")[3] for path in told["paths"]} == {"res.country"}


def test_key_without_a_scope_is_told_what_its_user_may(world, call):
    told = document(call(world.key()))
    OpenAPIV31SpecValidator(told).validate()
    assert "/json/2/res.partner/search_read" in told["paths"]
    assert "/json/2/ir.rule/write" not in told["paths"]
    assert len(told["paths"]) > 500


def test_the_documentation_of_odoo_shows_no_more(shop, world, call):
    everything = document(call(world.key()), "/doc-bearer/index.json")
    assert len(everything["models"]) > 20
    told = document(call(shop), "/doc-bearer/index.json")
    assert {model["model"] for model in told["models"]} == {"res.partner", "res.country"}
    partner = next(model for model in told["models"] if model["model"] == "res.partner")
    assert "phone" not in partner["fields"]
    assert "unlink" not in partner["methods"]
    one = document(call(shop), "/doc-bearer/res.partner.json")
    assert "phone" not in one["fields"]
    assert "search_read" in one["methods"]
    assert "unlink" not in one["methods"]
    # and what one key is shown is not what another finds in a cache
    assert document(call(world.key()), "/doc-bearer/index.json") == everything


def test_generated_calls_meet_no_internal_error(shop, world, call, tmp_path):
    """schemathesis makes calls from the document, with right and with wrong values."""
    caller = call(shop)
    told = document(caller)
    told["servers"] = [{"url": caller.url}]
    wanted = {"search_read", "read", "search", "search_count", "write", "name_search", "fields_get"}
    told["paths"] = {path: item for path, item in told["paths"].items() if path.rpartition("/")[2] in wanted}
    source = tmp_path / "openapi.json"
    source.write_text(json.dumps(told))
    run = subprocess.run(  # noqa: S603 - our own tool, on our own file
        [Path(sys.executable).parent / "schemathesis", "run", source, "--url", caller.url,
         "--header", f"Authorization: Bearer {caller.secret}", "--header", f"X-Odoo-Database: {caller.db}",
         "--checks", "not_a_server_error", "--phases", "fuzzing", "--max-examples", "25", "--seed", "1",
         "--generation-database", ":memory:", "--no-color"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, timeout=240,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-1000:]
    met = world.rows("SELECT DISTINCT status FROM api_audit_entry WHERE key_id = %s AND method = 'search'", shop.id)
    assert {200, 422} <= {row["status"] for row in met}


@pytest.mark.parametrize(("method", "arguments"), [
    ("search_read", {"domain": ["&"], "limit": 1}),
    ("search_read", {"domain": [["name", "no such operator", 1]], "limit": 1}),
    ("search_read", {"domain": 5, "limit": 1}),
    ("search_read", {"domain": [], "limit": 1, "offset": "x"}),
    ("search", {"domain": [["id", "=", 10**30]], "limit": 1}),
    ("read", {"fields": {"a": 1}}),
    ("search", {"domain": [["create_date", ">", "no date"]], "limit": 1}),
])
def test_values_that_do_not_fit_are_the_callers_mistake(method, arguments, shop, world, call):
    answer = json2(call(shop), "res.partner", method, [1] if method == "read" else None, **arguments)
    assert answer.status in (200, 422), answer.body
    assert b"Traceback" not in answer.body
    assert world.entry(answer)["status"] == answer.status
