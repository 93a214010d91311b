"""Which calls fill the demo's log? One of each kind that an administrator meets.

Real protocols through real sockets. Each call says how it should end, and one that ends
otherwise is told: the demo must not show a guard that does not guard.
"""

import json
import urllib.error
import urllib.request
import xmlrpc.client

from .databases import psql
from .steps import say

DB = "demo"
FIRST = {"domain": [], "fields": ["name"], "limit": 3}

# What, allowed?, door, key, model, method, arguments
CALLS = (
    ("reads contacts", True, "json2", "reporting", "res.partner", "search_read", FIRST),
    ("counts contacts", True, "json2", "reporting", "res.partner", "search_count", {"domain": []}),
    ("reads contacts", True, "xmlrpc", "reporting", "res.partner", "search_read", FIRST),
    ("reads countries", True, "jsonrpc", "reporting", "res.country", "search_read", FIRST),
    ("changes a contact", False, "json2", "reporting", "res.partner", "write",
     {"ids": [1], "vals": {"name": "Mallory"}}),
    ("reads users", False, "xmlrpc", "reporting", "res.users", "search_read", FIRST),
    ("calls from the wrong network", False, "json2", "office", "res.partner", "search_read", FIRST),
    ("uses a suspended key", False, "json2", "suspended", "res.partner", "search_read", FIRST),
    ("guesses a key", False, "json2", "unknown", "res.partner", "search_read", FIRST),
    ("uses a password", False, "xmlrpc", "password", "res.partner", "search_read", FIRST),
)


def make_calls(url, secrets):
    """Make each call once and say which of them ended otherwise than expected."""
    secrets = {**secrets, "unknown": "0" * 40, "password": "demo"}
    for what, allowed, door, key, *call in CALLS:
        answered = DOORS[door](url, secrets[key], *call)
        if answered != allowed:
            say(f"  ! {door}: a program that {what} was {'answered' if answered else 'refused'}")


def _json2(url, secret, model, method, arguments):
    return _post(f"{url}/json/2/{model}/{method}", arguments, Authorization=f"bearer {secret}")


def _jsonrpc(url, secret, model, method, arguments):
    params = {
        "service": "object", "method": "execute_kw",
        "args": [DB, _uid(), secret, model, method, [], arguments],
    }
    return _post(f"{url}/jsonrpc", {"jsonrpc": "2.0", "method": "call", "params": params})


def _xmlrpc(url, secret, model, method, arguments):
    proxy = xmlrpc.client.ServerProxy(f"{url}/xmlrpc/2/object")
    try:
        proxy.execute_kw(DB, _uid(), secret, model, method, [], arguments)
    except xmlrpc.client.Fault:
        return False
    return True


def _uid():
    return int(psql(DB, "SELECT id FROM res_users WHERE login = 'demo'"))


def _post(url, body, **headers):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = json.load(answer)
    except urllib.error.HTTPError:
        return False
    return not (isinstance(content, dict) and content.get("error"))


DOORS = {"json2": _json2, "jsonrpc": _jsonrpc, "xmlrpc": _xmlrpc}
