"""What stands before any database: the db service, dbfilter, and answers that take equally long.

Only a server-wide addon is loaded early enough to govern all of it; the Settings
page says whether that is the case.
"""

import base64
import logging
import os
import threading
import time

import odoo.http
import odoo.service.db
import odoo.sql_db
from odoo.exceptions import AccessDenied
from odoo.modules.registry import Registry
from odoo.tools import config
from passlib.context import CryptContext

from ..core.verdict import Deny, Reason
from ..exceptions import Refused
from .exchange import current
from .patch import patch

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


def _check_super(original):
    """The master password, over RPC and in the database manager: its failures lead to a wait as any other's do."""

    def check_super(passwd):
        exchange = current()
        if exchange is None or not exchange.is_remote or not is_server_wide():
            return original(passwd)
        exchange.begin()
        attempt = begin_attempt(exchange)
        if attempt.deny is not None:
            raise Refused(attempt.deny, exchange.request_id)
        try:
            result = original(passwd)
        except AccessDenied:
            attempt.fail(exchange)
            raise
        attempt.succeed()
        return result

    return check_super


def begin_attempt(exchange):
    """Count an attempt at the master password, in the database that keeps this server's counters."""
    registry = _home()
    lockouts = registry["api.lockout"] if registry is not None else None
    if lockouts is None:
        return _Uncounted()
    return lockouts._begin_master(registry, exchange)


class _Uncounted:
    """No database of this server has the guard: there is nowhere to count."""

    deny = None

    def fail(self, exchange):
        """Odoo's own answer stands."""

    def succeed(self):
        """As it was."""


_home_name = (0.0, None)  # (monotonic time until which it is believed, name)
_home_lock = threading.Lock()
_HOME_SECONDS = 60.0


def _home():
    """The registry of the first database, by name, that has the guard: all workers and hosts choose the same one."""
    global _home_name
    with _home_lock:
        until, name = _home_name
        if time.monotonic() >= until:
            name = next(filter(_installed, _served()), None)
            _home_name = (time.monotonic() + _HOME_SECONDS, name)
    try:
        registry = Registry(name) if name else None
    except Exception:  # dropped a moment ago
        return None
    return registry if registry is not None and "api.lockout" in registry else None


def _served():
    """The names of the databases that this server serves. A filter by host name tells nothing of that: then all."""
    try:
        names = sorted(odoo.service.db.list_dbs(force=True))
        by_host = any(mark in (config["dbfilter"] or "") for mark in ("%h", "%d"))
        return names if by_host else odoo.http.db_filter(names, host="")
    except Exception:  # PostgreSQL does not answer: nor will the database manager
        return []


_default = (None, False)  # (the stored hash, whether it is that of Odoo's default)


def _verify_admin_password(original):
    """Odoo asks at every page and call about databases whether the master password is still "admin".

    That takes half a second of a worker each time, for whoever asks. The answer changes with the setting alone.
    """

    def verify_admin_password(password):
        global _default
        if password != "admin":  # noqa: S105
            return original(password)
        stored, is_default = _default
        if stored is None or stored != config["admin_passwd"]:
            is_default = original(password)
            _default = config["admin_passwd"], is_default
        return is_default

    return verify_admin_password


def install():
    patch(odoo.service.db, "check_super", _check_super)
    patch(config, "verify_admin_password", _verify_admin_password)


def _refuse(exchange, method, why):
    _logger.warning(
        "db.%r from %s refused (request %s): %s", str(method)[:50], exchange.remote, exchange.request_id, why
    )
    raise Refused(Deny(Reason.DOOR_REFUSED), exchange.request_id)
