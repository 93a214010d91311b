"""The doors as a program meets them: raw HTTP over a fresh connection each time, so that any worker may answer.

    caller = Caller(server.url, "shop", key.secret, uid=2)
    answer = xmlrpc(caller, "res.partner", "create", vals_list=[{"name": "Ada"}])
    answer.value, answer.refusal, answer.request_id

Knows no client library: what a client would hide (status, headers, fault codes) is looked at here.
"""

import http.client
import json
import re
import xmlrpc.client
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit
from xml.parsers.expat import ExpatError

ACCESS_ERROR = 4  # RPC_FAULT_CODE_ACCESS_ERROR, odoo/addons/rpc/controllers/xmlrpc.py
ACCESS_DENIED = 3  # XML-RPC's fault code
SEC_FETCH = {  # what a browser sends, and what any program can send
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
}
_REQUEST_ID = re.compile(r"\(request ([0-9a-f]+)\)")


@dataclass(frozen=True)
class Caller:
    """Who calls which database of which server. `db` None: the header is left out."""

    url: str
    db: object
    secret: object
    uid: object = None
    login: object = None
    headers: dict = field(default_factory=dict)

    def using(self, **changes):
        return replace(self, **changes)

    def with_headers(self, headers):
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True)
class Answer:
    """What came back. `refusal` is the error's sentence, None when there was none; `code` the transport's own."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    value: object = None
    refusal: str = None
    code: object = None

    @property
    def request_id(self):
        return self.headers.get("X-Request-Id")

    @property
    def told_id(self):
        """The request id that the error's text tells."""
        found = _REQUEST_ID.search(self.refusal or "")
        return found and found[1]

    @property
    def sentence(self):
        """The error's text without the id, which is another one each time, and without Odoo's own first words."""
        return _REQUEST_ID.sub("", self.refusal or "").strip().removeprefix("Access Denied: ")


def send(url, path, body=None, headers=(), method=None, timeout=60):
    """Send one request over a connection of its own; an `Answer` of which nothing was read yet."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


# ---------------------------------------------------------------------- RPC services


def xmlrpc_service(url, service, method, *params, version="2/", headers=()):
    body = xmlrpc.client.dumps(params, method, allow_none=True).encode()
    answer = send(url, f"/xmlrpc/{version}{service}", body, {"Content-Type": "text/xml", **dict(headers)})
    return read_xmlrpc(answer)


def xmlrpc_v1_service(url, service, method, *params, headers=()):
    return xmlrpc_service(url, service, method, *params, version="", headers=headers)


def jsonrpc_service(url, service, method, *params, headers=()):
    return post_jsonrpc(url, "/jsonrpc", {"service": service, "method": method, "args": params}, headers)


def read_xmlrpc(answer):
    try:
        (value,), _method = xmlrpc.client.loads(answer.body)
    except xmlrpc.client.Fault as fault:
        # version 1 tells the message as the code
        text = fault.faultString if isinstance(fault.faultCode, int) else f"{fault.faultString or fault.faultCode}"
        return replace(answer, refusal=text, code=fault.faultCode)
    except ExpatError:  # a page: Odoo itself found no database
        return replace(answer, refusal=f"HTTP {answer.status}")
    return replace(answer, value=value)


def post_jsonrpc(url, path, params, headers=()):
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}).encode()
    answer = send(url, path, body, {"Content-Type": "application/json", **dict(headers)})
    try:
        content = json.loads(answer.body)
    except ValueError:
        return replace(answer, refusal=answer.body.decode(errors="replace"), code=answer.status)
    if "error" in content:
        data = content["error"].get("data", {})
        told = f"(request {data['request_id']})" if data.get("request_id") else ""
        return replace(answer, refusal=f"{data.get('message')} {told}", code=data.get("name"))
    return replace(answer, value=content.get("result"))


def _rpc(service):
    def execute(caller, model, method, ids=None, **kwargs):
        args = [] if ids is None else [ids]
        if "vals_list" in kwargs:  # Odoo's call_kw looks for it among the positional arguments
            args.append(kwargs.pop("vals_list"))
        params = (caller.db, caller.uid, caller.secret, model, method, args, kwargs)
        return service(caller.url, "object", "execute_kw", *params, headers=caller.headers)

    return execute


xmlrpc_2 = _rpc(xmlrpc_service)
xmlrpc_v1 = _rpc(xmlrpc_v1_service)
jsonrpc = _rpc(jsonrpc_service)


# ---------------------------------------------------------------------- bearer routes


def _bearer(caller):
    headers = dict(caller.headers)
    if caller.db is not None:
        headers["X-Odoo-Database"] = caller.db
    if caller.secret is not None:
        headers["Authorization"] = f"Bearer {caller.secret}"
    return headers


def json2(caller, model, method, ids=None, **kwargs):
    if ids is not None:
        kwargs["ids"] = ids
    headers = {"Content-Type": "application/json", **_bearer(caller)}
    return read_json(send(caller.url, quote(f"/json/2/{model}/{method}"), json.dumps(kwargs).encode(), headers))


def get(caller, path):
    """JSON-1, docs: what a GET with the key as bearer token shows."""
    return read_json(send(caller.url, path, headers=_bearer(caller)))


def plugin(caller, path, **params):
    return post_jsonrpc(caller.url, path, params, _bearer(caller))


def read_json(answer):
    try:
        content = json.loads(answer.body or b"null")
    except ValueError:
        content = answer.body.decode(errors="replace")
    if answer.status < 400:
        return replace(answer, value=content)
    if not isinstance(content, dict):
        return replace(answer, refusal=str(content), code=answer.status)
    told = f"(request {content['request_id']})" if content.get("request_id") else ""
    return replace(answer, refusal=f"{content.get('message')} {told}", code=answer.status)


# ---------------------------------------------------------------------- the web client


class WebClient:
    """A person at the screens: a session by password, and the calls that the views make."""

    def __init__(self, url, db, login, password):
        self.url = url
        answer = post_jsonrpc(url, "/web/session/authenticate", {"db": db, "login": login, "password": password})
        assert answer.refusal is None, answer.refusal
        cookie = next(text for text in answer.headers.get_all("Set-Cookie") if text.startswith("session_id="))
        self.cookie = cookie.partition(";")[0]
        self.uid = answer.value["uid"]

    def ask(self, model, method, *args, **kwargs):
        """Like `call`, but an error is an answer, too."""
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        return post_jsonrpc(self.url, "/web/dataset/call_kw", params, {"Cookie": self.cookie})

    def call(self, model, method, *args, **kwargs):
        answer = self.ask(model, method, *args, **kwargs)
        assert answer.refusal is None, f"{model}.{method}: {answer.refusal}"
        return answer.value
