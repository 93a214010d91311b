"""How does a stranger talk to an Odoo server? Each caller from an address of its own.

Used by the probes of `dev/weaknesses_probes.py`; standard library only, so that nothing between
the probe and the wire retries, hides a header or words an error anew.
"""

import http.client
import itertools
import json
import time
import urllib.parse
import xmlrpc.client
from dataclasses import dataclass, field

# All of 127.0.0.0/8 is this machine, so each caller can be another peer to the server, in a network (/24) of its own.
_addresses = (f"127.{a}.{c}.{b}" for a, b, c in itertools.product(range(7, 250), range(1, 250), range(1, 250)))

# What a browser sends when somebody types an address. Any program can.
SEC_FETCH = {
    "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Sec-Fetch-User": "?1",
}


class Failure(Exception):
    """The server answered with an error. `code` is a fault code or an HTTP status."""

    def __init__(self, code, text, raw):
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.raw = code, text, raw


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str
    ms: float


@dataclass
class Caller:
    """A program at one address, which calls one database of one server."""

    url: str
    database: str
    headers: dict = field(default_factory=dict)
    address: str = field(default_factory=lambda: next(_addresses))

    def send(self, path, body="", headers=None, method="POST"):
        """Return the server's answer, whatever its status."""
        host, port = urllib.parse.urlsplit(self.url).netloc.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60, source_address=(self.address, 0))
        began = time.perf_counter()
        try:
            connection.request(method, path, body.encode(), {**self.headers, **(headers or {})})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            return Answer(response.status, response.headers, text, (time.perf_counter() - began) * 1000)
        finally:
            connection.close()

    def xmlrpc(self, service, method, *params, path="/xmlrpc/2"):
        body = xmlrpc.client.dumps(params, method, allow_none=True)
        answer = self.send(f"{path}/{service}", body, {"Content-Type": "text/xml"})
        try:
            return xmlrpc.client.loads(answer.text)[0][0]
        except xmlrpc.client.Fault as fault:
            raise Failure(fault.faultCode, fault.faultString, answer.text) from None

    def jsonrpc(self, service, method, *params):
        return self._json_call("/jsonrpc", {"service": service, "method": method, "args": params})

    def authenticate(self, login, secret, agent=None):
        """Return the uid that `common.authenticate` tells, False for none, and for who is told to wait."""
        try:
            return self.xmlrpc("common", "authenticate", self.database, login, secret, agent or {})
        except Failure as failure:
            if "Too many" in failure.text:
                return False
            raise

    def execute(self, uid, secret, model, method, *args, path="/xmlrpc/2", **kwargs):
        return self.xmlrpc("object", "execute_kw", self.database, uid, secret, model, method, args, kwargs, path=path)

    def json2(self, key, model, method, headers=None, **arguments):
        """Return the result of a JSON-2 call; `key` None presents no key."""
        answer = self.json2_answer(key, model, method, headers, **arguments)
        if answer.status != 200:
            raise Failure(answer.status, answer.text, answer.text)
        return json.loads(answer.text)

    def json2_answer(self, key, model, method, headers=None, **arguments):
        credential = {"Authorization": f"Bearer {key}"} if key else {}
        return self.send(
            f"/json/2/{model}/{method}", json.dumps(arguments),
            {"Content-Type": "application/json", "X-Odoo-Database": self.database, **credential, **(headers or {})},
        )

    def _json_call(self, path, params):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params})
        answer = self.send(path, body, {"Content-Type": "application/json"})
        told = json.loads(answer.text)
        if "error" in told:
            raise Failure(told["error"]["code"], told["error"]["data"]["message"], answer.text)
        self._cookies = answer.headers.get_all("Set-Cookie") or ()
        return told.get("result")


class Person(Caller):
    """Somebody in the web client."""

    def log_in(self, login, password):
        """Return the uid; from here on the calls carry the session's cookie."""
        params = {"db": self.database, "login": login, "password": password}
        told = self._json_call("/web/session/authenticate", params)
        self.headers["Cookie"] = next(
            cookie.partition(";")[0] for cookie in self._cookies if cookie.startswith("session_id=")
        )
        self.password = password
        return told["uid"]

    def call(self, model, method, *args, **kwargs):
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        return self._json_call(f"/web/dataset/call_kw/{model}/{method}", params)

    def make_key(self, name, **values):
        """Return the secret of a new key, made in the dialog of the preferences, password question included."""
        values = {"name": name, "duration": "1", **values}
        wizard = self.call("res.users.apikeys.description", "create", values)
        action = self._confirm(self.call("res.users.apikeys.description", "make_key", [wizard]))
        return action["context"]["default_key"]

    def revoke_key(self, name):
        found = self.call("res.users.apikeys", "search", [["name", "=", name]])
        self._confirm(self.call("res.users.apikeys", "remove", found))

    def _confirm(self, action):
        if action.get("res_model") != "res.users.identitycheck":
            return action
        return self.call(
            "res.users.identitycheck", "run_check", [action["res_id"]], context={"password": self.password}
        )
