"""A client proves what it sent, on a real server: from the header to the verifier that knows no Odoo."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doors import get, json2, jsonrpc, read_json, send, xmlrpc_2

ROOT = Path(__file__).parents[2]
WISH = {"X-Audit-Receipt": "1"}


def run_job(world, name):
    """Run a scheduled job now, as its button does."""
    [row] = world.rows("SELECT res_id FROM ir_model_data WHERE module = 'api_guard' AND name = %s", name)
    world.web.call("ir.cron", "method_direct_trigger", [row["res_id"]])


def verify(what, document, key, folder):
    """What the offline verifier says: (exit code, its words)."""
    file = folder / f"{what}.json"
    file.write_text(json.dumps(document))
    command = [sys.executable, ROOT / "offline" / "verify_log.py", what, file, "--key", key]
    run = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    return run.returncode, run.stdout + run.stderr


def search(caller, execute=json2):
    return execute(caller, "res.partner", "search_read", domain=[], fields=["name"], limit=1)


def public_key(caller):
    [key] = get(caller, "/api_guard/v1/log").value["public_keys"]
    return key["public"]


@pytest.mark.parametrize("execute", [json2, xmlrpc_2, jsonrpc])
def test_a_call_is_proven_offline(world, call, tmp_path, execute):
    caller = call(world.key(scope={"res.partner": "read"}, read_only=True))
    answer = search(caller.with_headers(WISH), execute)
    path = answer.headers["X-Audit-Receipt"]
    assert path == f"/api_guard/v1/receipt/{answer.request_id}"
    pending = get(caller, path)
    assert (pending.status, pending.headers["Retry-After"], pending.value["status"]) == (202, "20", "pending")

    run_job(world, "cron_seal")
    told = get(caller, path)
    assert told.status == 200, told.body
    assert told.headers["Cache-Control"] == "private, no-store"
    [receipt] = told.value["receipts"]
    entry = world.entry(answer)
    assert (receipt["entry"]["id"], receipt["entry"]["method"]) == (entry["id"], "search_read")
    key = public_key(caller)
    code, words = verify("receipt", told.value, key, tmp_path)
    assert code == 0, words
    receipt["entry"]["method"] = "unlink"
    code, words = verify("receipt", told.value, key, tmp_path)
    assert code == 1, words


def test_the_example_of_the_documentation_says_the_same(world, call, tmp_path):
    caller = call(world.key())
    answer = search(caller)
    run_job(world, "cron_seal")
    told = get(caller, f"/api_guard/v1/receipt/{answer.request_id}").value
    page = (ROOT / "docs" / "receipts.md").read_text()
    [example] = re.findall(r"<!-- example -->\n```python\n(.*?)```", page, re.DOTALL)
    assert len(example.splitlines()) <= 22
    script, file = tmp_path / "example.py", tmp_path / "receipt.json"
    script.write_text(example)
    for method, code in (("search_read", 0), ("unlink", 1)):
        told["receipts"][0]["entry"]["method"] = method
        file.write_text(json.dumps(told))
        run = subprocess.run([sys.executable, script, file, public_key(caller)], capture_output=True, text=True)  # noqa: S603
        assert run.returncode == code, run.stderr


def test_only_who_asks_and_was_allowed_is_told_where(world, call):
    caller = call(world.key(scope={"res.partner": "read"}))
    assert search(caller).headers["X-Audit-Receipt"] is None
    assert search(caller.with_headers({"X-Audit-Receipt": "yes"})).headers["X-Audit-Receipt"] is None
    refused = json2(caller.with_headers(WISH), "res.country", "search_count", domain=[])
    assert (refused.status, refused.headers["X-Audit-Receipt"]) == (403, None)
    run_job(world, "cron_seal")
    told = get(caller, f"/api_guard/v1/receipt/{refused.request_id}")
    assert (told.status, json.loads(told.body)["error"]) == (403, "receipt_withheld")
    assert b"res.country" not in told.body
    assert b"scope" not in told.body


def test_nobody_elses_call_is_told_apart_from_none(world, call):
    mine, other = call(world.key()), call(world.key(scope={"res.partner": "read"}))
    answer = search(mine)
    run_job(world, "cron_seal")
    bodies = []
    for request_id in (answer.request_id, answer.request_id[:-1] + ("0" if answer.request_id[-1] != "0" else "1"), "x"):
        told = get(other, f"/api_guard/v1/receipt/{request_id}")
        body = json.loads(told.body)
        assert (told.status, body.pop("request_id")) == (404, told.request_id)
        bodies.append(body)
    assert bodies[0] == bodies[1] == bodies[2]


def test_a_successor_gets_what_its_predecessor_did(world, call):
    old = call(world.key(rotation_days=30))
    answer = search(old)
    headers = {"Authorization": f"Bearer {old.secret}", "X-Odoo-Database": old.db}
    told = read_json(send(old.url, "/api_guard/v1/key/rotate", b"", headers))
    world.secrets.append(told.value["secret"])
    run_job(world, "cron_seal")
    new = old.using(secret=told.value["secret"])
    assert get(new, f"/api_guard/v1/receipt/{answer.request_id}").status == 200


def test_without_a_key_nothing_is_told(call, world):
    nobody = call(world.key()).using(secret="nonsense")
    for path in ("receipt/019abcdef01000000001", "log", "consistency?from=1"):
        assert get(nobody, f"/api_guard/v1/{path}").status == 401


def test_the_log_only_grew(world, call, tmp_path):
    caller = call(world.key(scope={"res.partner": "read"}))
    search(caller)
    run_job(world, "cron_seal")
    first = get(caller, "/api_guard/v1/log").value["checkpoint"]["body"]
    search(caller)
    run_job(world, "cron_seal")
    last = get(caller, "/api_guard/v1/log").value["checkpoint"]["body"]
    assert last["size"] > first["size"]
    told = get(caller, f"/api_guard/v1/consistency?from={first['number']}&to={last['number']}").value
    assert (told["from"]["body"], told["to"]["body"]) == (first, last)
    code, words = verify("consistency", told, public_key(caller), tmp_path)
    assert code == 0, words
    told["proof"] = told["proof"][:-1]
    assert verify("consistency", told, public_key(caller), tmp_path)[0] == 1
    newest = get(caller, f"/api_guard/v1/consistency?from={first['number']}").value
    assert newest["to"]["body"]["number"] >= last["number"]


@pytest.mark.parametrize(("query", "status"), [
    ("", 422), ("?from=x", 422), ("?from=0", 422), ("?from=-1", 422), ("?from=1&to=", 422), ("?from=²", 422),
    ("?from=99999999999999999999", 422), ("?from=9007199254740991", 404), ("?from=2&to=1", 404),
])
def test_what_is_no_pair_of_checkpoints(world, call, query, status):
    caller = call(world.key())
    for _pair in range(2):
        search(caller)
        run_job(world, "cron_seal")
    told = get(caller, f"/api_guard/v1/consistency{query.replace('²', '%C2%B2')}")
    assert told.status == status, told.body
