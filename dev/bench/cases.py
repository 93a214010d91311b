"""What is asked of each Odoo, which answer is plausible, and what may it cost next to stock?

Call number `n` of client `client` is the same in every variant. No two clients write the same
record, so that nobody measures PostgreSQL's row locks.
"""

import json
import secrets
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass, field

from .client import Request
from .variants import AUDITLOG, GUARD

FIELDS = ("name", "email", "phone", "city")
DOMAIN = (("is_company", "=", False), ("ref", "=", "bench"))
MAX_CLIENTS = 8


class Implausible(Exception):
    """An answer that no speed makes good."""


@dataclass(frozen=True)
class Case:
    """`request(variant, client, n)` makes a call; `check(answer)` says whether it was answered; `budget`: of p50.

    `many`: also with eight clients at once. `every`: variants that take part in each so many-th round only.
    """

    name: str
    request: Callable
    check: Callable
    budget: float | None = None
    many: bool = False
    every: dict = field(default_factory=dict)


def checked(case, variant, answer):
    """Stop at the first answer that is not what was asked for."""
    try:
        plausible = case.check(answer)
    except Exception as error:
        plausible, answer_error = False, f" ({error!r})"
    else:
        answer_error = ""
    if not plausible:
        raise Implausible(f"{case.name}: {variant.name} answered {answer.status}{answer_error}: "
                          f"{answer.body[:2000].decode(errors='replace')}")


# ---------------------------------------------------------------------- requests


def json2(variant, key, method, arguments, model="res.partner"):
    return Request("POST", f"/json/2/{model}/{method}", json.dumps(arguments).encode(), (
        ("Authorization", f"Bearer {key}"),
        ("Content-Type", "application/json"),
        ("X-Odoo-Database", variant.database),
    ))


def xmlrpc_(variant, key, method, *args, **kwargs):
    params = (variant.database, variant.facts["uid"], key, "res.partner", method, list(args), kwargs)
    body = xmlrpc.client.dumps(params, "execute_kw").encode()
    return Request("POST", "/xmlrpc/2/object", body, (("Content-Type", "text/xml"),))


def _partner(variant, client, n):
    mine = variant.facts["partners"][client::MAX_CLIENTS]
    return mine[n % len(mine)]


def _json2_search_read(variant, client, n, key="key"):
    arguments = {"domain": DOMAIN, "fields": FIELDS, "limit": 10, "offset": n % 100}
    return json2(variant, variant.facts[key], "search_read", arguments)


def _json2_search_read_data(variant, client, n):
    """By a key whose scope has a domain and hides ten fields; Odoo knows neither."""
    return _json2_search_read(variant, client, n, key="data_key")


def _json2_write(variant, client, n):
    arguments = {"ids": [_partner(variant, client, n)], "vals": {"city": f"City {n}", "street": f"{n} Street"}}
    return json2(variant, variant.facts["key"], "write", arguments)


def _json2_create(variant, client, n):
    values = {"name": f"New {client} {n}", "email": f"new{n}@example.com", "city": "New City"}
    return json2(variant, variant.facts["key"], "create", {"vals_list": [values]})


def _json2_read_1000(variant, client, n, key="key"):
    arguments = {"ids": variant.facts["partners"][:1000], "fields": FIELDS}
    return json2(variant, variant.facts[key], "read", arguments)


def _json2_read_1000_data(variant, client, n):
    return _json2_read_1000(variant, client, n, key="data_key")


def _xmlrpc_search_read(variant, client, n, key=None):
    return xmlrpc_(variant, key or variant.facts["key"], "search_read", DOMAIN, FIELDS, n % 100, 10)


def _xmlrpc_write(variant, client, n):
    values = {"city": f"City {n}", "street": f"{n} Street"}
    return xmlrpc_(variant, variant.facts["key"], "write", [_partner(variant, client, n)], values)


def _xmlrpc_first_call(variant, client, n):
    return _xmlrpc_search_read(variant, client, n, key=variant.facts["first_keys"][n])


def _refused_key(variant, client, n):
    return json2(variant, secrets.token_hex(20), "search_read", {"domain": DOMAIN, "fields": FIELDS, "limit": 10})


def _refused_network(variant, client, n):
    """Odoo knows no networks: what it refuses, for comparison, is an unknown key."""
    if variant.name != GUARD:
        return _refused_key(variant, client, n)
    arguments = {"domain": DOMAIN, "fields": FIELDS, "limit": 10}
    return json2(variant, variant.facts["away_key"], "search_read", arguments)


def _web_call_kw(variant, client, n):
    kwargs = {"domain": DOMAIN, "fields": FIELDS, "limit": 10, "offset": n % 100}
    params = {"model": "res.partner", "method": "search_read", "args": [], "kwargs": kwargs}
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode()
    return Request("POST", "/web/dataset/call_kw/res.partner/search_read", body, (
        ("Content-Type", "application/json"), ("Cookie", variant.cookie),
    ))


def _web_page(variant, client, n):
    return Request("GET", "/odoo", headers=(("Cookie", variant.cookie),))


_MIX = (_json2_search_read, _xmlrpc_search_read, _json2_write, _json2_search_read, _web_call_kw, _xmlrpc_write,
        _json2_search_read, _xmlrpc_search_read, _json2_create, _web_call_kw)


def _mixed(variant, client, n):
    """Reads and writes, 7 to 3, through all doors."""
    return _MIX[(n + client) % len(_MIX)](variant, client, n)


# ---------------------------------------------------------------------- answers


def _ten_partners(rows):
    return len(rows) == 10 and all(row["name"] and row["id"] for row in rows)


def _json(test):
    return lambda answer: answer.status == 200 and test(json.loads(answer.body))


def _xml(test):
    return lambda answer: answer.status == 200 and test(xmlrpc.client.loads(answer.body)[0][0])


def _refused(answer):
    return answer.status in (401, 403) and b"traceback" not in answer.body[:20]


def _no_error(answer):
    if answer.status != 200 or not answer.body:
        return False
    if answer.body.startswith(b"<?xml"):
        return xmlrpc.client.loads(answer.body) is not None
    told = json.loads(answer.body)
    return not isinstance(told, dict) or "result" in told


def _page(answer):
    body = answer.body.rstrip()
    return answer.status == 200 and b"odoo.__session_info__" in body and body.endswith(b"</html>")


_is_true = _json(lambda told: told is True)
_thousand = _json(lambda told: len(told) == 1000 and all(row["name"] for row in told))

CASES = {case.name: case for case in (
    Case("json2_search_read", _json2_search_read, _json(_ten_partners), 0.65, many=True),
    Case("json2_search_read_data", _json2_search_read_data, _json(_ten_partners), 0.72),
    Case("json2_write", _json2_write, _is_true, 0.75, many=True),
    Case("json2_create", _json2_create, _json(lambda told: len(told) == 1 and told[0] > 0)),
    # auditlog writes 5,000 rows for this call, which takes it seconds
    Case("json2_read_1000", _json2_read_1000, _thousand, every={AUDITLOG: 25}),
    Case("json2_read_1000_data", _json2_read_1000_data, _thousand, 1.05, every={AUDITLOG: 25}),
    Case("xmlrpc_search_read", _xmlrpc_search_read, _xml(_ten_partners), 1.10, many=True),
    Case("xmlrpc_write", _xmlrpc_write, _xml(lambda told: told is True), 1.05, many=True),
    Case("xmlrpc_first_call", _xmlrpc_first_call, _xml(_ten_partners), 0.10),
    Case("refused_key", _refused_key, _refused, 1.0, many=True),
    Case("refused_network", _refused_network, _refused),
    Case("web_call_kw", _web_call_kw, _json(lambda told: _ten_partners(told["result"])), 1.02, many=True),
    Case("web_page", _web_page, _page, 1.02),
)}
SUSTAINED = Case("sustained", _mixed, _no_error)
