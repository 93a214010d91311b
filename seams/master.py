"""What stands before any database: the db service, dbfilter, and answers that take equally long.

Only a server-wide addon is loaded early enough to govern all of it; the Settings
page says whether that is the case.
"""

import base64
import logging
import os

import odoo.http
import odoo.sql_db
from odoo.modules.registry import Registry
from odoo.tools import config
from passlib.context import CryptContext

from ..core.verdict import Deny, Reason
from ..exceptions import Refused

_logger = logging.getLogger(__name__)

#: `api_guard_db_service = open` in odoo.conf lets the master password be used over RPC again
OPTION = "api_guard_db_service"

_OPEN_METHODS = frozenset({"list_lang", "server_version"})
_PASSWORD_ROUNDS = 600_000  # MIN_ROUNDS, odoo/addons/base/models/res_users.py

_password_context = CryptContext(["pbkdf2_sha512"])


def _unmatchable_hash(rounds):
    """A well-formed hash of no known secret: checking against it takes as long as against a real one."""
    salt, checksum = (base64.b64encode(os.urandom(size)).decode().rstrip("=").replace("+", ".") for size in (16, 64))
    return f"$pbkdf2-sha512${rounds}${salt}${checksum}"


_NO_PASSWORD = _unmatchable_hash(_PASSWORD_ROUNDS)


def burn_password(secret):
    """Take the time that checking one password takes."""
    try:
        _password_context.verify(secret if isinstance(secret, str) else "", _NO_PASSWORD)
    except ValueError:  # a NUL or an overlong text: passlib tells before it computes
        _password_context.verify("", _NO_PASSWORD)


def is_server_wide():
    return "api_guard" in config["server_wide_modules"]


def is_visible(exchange, database):
    """Would the web client be shown this database under the host name that the caller used?"""
    return not config["dbfilter"] or bool(odoo.http.db_filter([database], host=exchange.host))


def check_visible(exchange, database, secret):
    """Refuse a hidden database that has the guard before its registry is loaded for a stranger.

    A loaded one is judged where its log is at hand, in `api.guard`.
    """
    if not is_server_wide() or not isinstance(database, str) or database in Registry.registries:
        return
    if not is_visible(exchange, database) and _has_guard(database):
        _logger.info("RPC to %s refused: the database filter hides it from host %r", database, exchange.host[:100])
        burn_password(secret)
        raise Refused(Deny(Reason.DATABASE_HIDDEN), exchange.begin())


def _has_guard(database):
    return _installed(database) is True


def is_stock(database):
    """Is this a database that is there and has no guard? Then its answers are Odoo's own."""
    return _installed(database) is False


def _installed(database):
    """Whether the guard is installed in `database`, without loading its registry; None for no database of Odoo's."""
    if not isinstance(database, str):
        return None
    try:
        with odoo.sql_db.db_connect(database).cursor() as cr:
            cr.execute("SELECT count(*) > 0 FROM ir_module_module WHERE name = 'api_guard' AND state = 'installed'")
            return cr.fetchone()[0]
    except Exception:  # the caller learns neither why nor what
        return None


def dispatch(original, exchange, method, params):
    """The db service on a server that loads API Guard for all databases."""
    exchange.begin()
    over_rpc = not exchange.path.startswith("/web/database")
    if method in _OPEN_METHODS:
        return original(method, params)
    if method == "list":
        return odoo.http.db_filter(original(method, params), host=exchange.host)
    if method == "db_exist":
        named = params[0] if params else None
        return isinstance(named, str) and is_visible(exchange, named) and original(method, params)
    if config.verify_admin_password("admin"):
        _refuse(exchange, method, "the master password is Odoo's default; set admin_passwd in odoo.conf")
    if over_rpc and config.get(OPTION) != "open":
        _refuse(exchange, method, f"closed over RPC; {OPTION} = open in odoo.conf opens it")
    return original(method, params)


def _refuse(exchange, method, why):
    _logger.warning(
        "db.%r from %s refused (request %s): %s", str(method)[:50], exchange.remote, exchange.request_id, why
    )
    raise Refused(Deny(Reason.DOOR_REFUSED), exchange.request_id)
