"""How is a wrong secret presented at each door, and what does the answer say?

A secret is another one at each attempt: a guard may well overlook a program that repeats the same
mistake. A wrong key begins like a real one, where Odoo looks it up by its first characters, and
bears the checksum of its form, whose recipe is public: so it gets as far as a wrong key can.
"""

import json
import re
import secrets
import string
import xmlrpc.client
import zlib
from dataclasses import dataclass

from . import wire

INDEX_SIZE = 8  # of a key, odoo/addons/base/models/res_users.py
OURS = "ag_"  # how a key begins whose last six characters are a checksum

IN, WRONG, WAIT = "in", "wrong", "told to wait"

_WAIT = re.compile(rb"[Tt]oo many|try(ing)? again|reached the limit|please wait|[Ll]ocked")
_DENIED = re.compile(
    rb"Access Denied|AccessDenied|Wrong login|[Ii]nvalid|<boolean>0|Verification failed" rb'|"result": false')
_UNFIT = (404, 405, 422)  # nothing that a wrong secret is answered with


@dataclass(frozen=True)
class Door:
    """`attempt(job, victim, n, session)`: the bytes of the n-th one. `opened(answer)`: was the secret right?"""

    title: str
    attempt: object
    opened: object
    victims: str = "users"  # which of the database's: `users`, `second` (who have a second factor), `master`
    session: str = ""  # `form` or `code`: a page that is opened before the first attempt
    key: bool = False  # are keys guessed?

    def kind(self, answer):
        if self.opened(answer):
            return IN
        if answer.status == 429 or _WAIT.search(answer.body):
            return WAIT
        if answer.status in (401, 403) or (_DENIED.search(answer.body) and answer.status not in _UNFIT):
            return WRONG
        return f"error {answer.status}{answer.location and f' {answer.location}'}"


# ---------------------------------------------------------------------- secrets


def wrong_password(n):
    return f"wrong {n:08} password"


def wrong_key(key=None):
    """A key that is none. With `key` it begins like that one.

    >>> wrong_key("5f" * 20)[:8], len(wrong_key("5f" * 20)), len(wrong_key())
    ('5f5f5f5f', 40, 40)
    """
    if key is None or not key.startswith(OURS):
        return (key or secrets.token_hex(INDEX_SIZE // 2))[:INDEX_SIZE] + secrets.token_hex(16)
    alphabet = string.digits + string.ascii_letters
    body = key[:INDEX_SIZE] + "".join(secrets.choice(alphabet) for _n in range(len(key) - INDEX_SIZE - 6))
    return body + _base62(zlib.crc32(body.encode()))


def _base62(number):
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    return "".join(digits[number // 62**place % 62] for place in reversed(range(6)))


# ---------------------------------------------------------------------- RPC services


def _xml(service, method, *params):
    body = xmlrpc.client.dumps(params, method, allow_none=True).encode()
    return wire.request("POST", f"/xmlrpc/2/{service}", body, "text/xml")


def _json(path, params, **headers):
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}).encode()
    return wire.request("POST", path, body, **headers)


def _jsonrpc(service, method, *params):
    return _json("/jsonrpc", {"service": service, "method": method, "args": params})


def _login(send):
    def attempt(job, victim, n, _session):
        return send("common", "authenticate", job["database"], victim["login"], wrong_password(n), {})
    return attempt


def _object(send):
    def attempt(job, victim, n, _session):
        call = ("res.partner", "search_count", [[]], {})
        return send("object", "execute_kw", job["database"], victim["uid"], wrong_password(n), *call)
    return attempt


def _told_uid(answer):
    return b"<int>" in answer.body and b"<fault>" not in answer.body


def _told_result(answer):
    result = json.loads(answer.body).get("result") if answer.status == 200 else None
    return result["uid"] if isinstance(result, dict) and "uid" in result else result


# ---------------------------------------------------------------------- keys


def _bearer(method, path, body=b""):
    def attempt(job, victim, _n, _session):
        return wire.request(method, path, body, **_with_key(job, wrong_key(victim["key"])))
    return attempt


def _with_key(job, key):
    return {"Authorization": f"Bearer {key}", "X_Odoo_Database": job["database"]}


def _unknown_key(job, _victim, _n, _session):
    return right_key(job, wrong_key())


def right_key(job, key):
    """A call of JSON-2 that anybody's key is good for."""
    body = json.dumps({"domain": [], "fields": ["name"], "limit": 10}).encode()
    return wire.request("POST", "/json/2/res.partner/search_read", body, **_with_key(job, key))


def _mail_plugin(job, victim, _n, _session):
    return _json("/mail_plugin/partner/search", {"search_term": "a"}, **_with_key(job, wrong_key(victim["key"])))


def _is_200(answer):
    return answer.status == 200


# ---------------------------------------------------------------------- people


def _web_session(job, victim, n, _session):
    return right_web_session(job, victim["login"], wrong_password(n))


def right_web_session(job, login, password):
    return _json("/web/session/authenticate", {"db": job["database"], "login": login, "password": password})


def right_rpc(job, login, password):
    return _xml("common", "authenticate", job["database"], login, password, {})


def _web_login(_job, victim, n, session):
    return wire.form("/web/login", session.cookie, csrf_token=session.token, login=victim["login"],
                     password=wrong_password(n), type="password")


def _code(job, _victim, n, session):
    return right_code(session, f"{n % 1_000_000:06}")


def right_code(session, code):
    return wire.form("/web/login/totp", session.cookie, csrf_token=session.token, totp_token=code)


def _is_led_on(answer):
    return answer.status == 303 and not answer.location.startswith("/web/login")


def _login_upload(_job, victim, n, _session):
    return wire.form("/base_import_module/login_upload", login=victim["login"], password=wrong_password(n))


# ---------------------------------------------------------------------- the master password


def _db_service(_job, _victim, n, _session):
    return right_master(wrong_password(n))


def right_master(password):
    """Something that the master password opens, and that does nothing."""
    return _xml("db", "list_countries", password)


def _backup(_job, _victim, n, _session):
    return right_backup(wrong_password(n))


def right_backup(password):
    """A backup of a database that is not there."""
    return wire.form("/web/database/backup", master_pwd=password, name="not-there", backup_format="zip")


def is_master(answer):
    return b"<array>" in answer.body or b"is not known" in answer.body


DOORS = {
    "xmlrpc_login": Door("/xmlrpc/2/common authenticate", _login(_xml), _told_uid),
    "xmlrpc_object": Door("/xmlrpc/2/object execute_kw", _object(_xml), _told_uid),
    "jsonrpc_login": Door("/jsonrpc common.authenticate", _login(_jsonrpc), _told_result),
    "jsonrpc_object": Door("/jsonrpc object.execute_kw", _object(_jsonrpc), _told_result),
    "json2_unknown": Door("/json/2, unknown keys", _unknown_key, _is_200, key=True),
    "json2_prefix": Door("/json/2, keys that begin like real ones",
                         _bearer("POST", "/json/2/res.partner/search_count", b'{"domain": []}'), _is_200, key=True),
    "json1_prefix": Door("/json/1, the same", _bearer("GET", "/json/1/contacts"), _is_200, key=True),
    "docs_prefix": Door("/doc-bearer, the same", _bearer("GET", "/doc-bearer/index.json"), _is_200, key=True),
    "mail_plugin_prefix": Door("/mail_plugin, the same", _mail_plugin, _told_result, key=True),
    "web_session": Door("/web/session/authenticate", _web_session, _told_result),
    "web_login": Door("/web/login", _web_login, _is_led_on, session="form"),
    "web_code": Door("/web/login/totp after a right password", _code, _is_led_on, victims="second", session="code"),
    "login_upload": Door("/base_import_module/login_upload", _login_upload, _is_200),
    "db_service": Door("db service, master password", _db_service, is_master, victims="master"),
    "db_form": Door("/web/database/backup, master password", _backup, is_master, victims="master"),
}
