"""Who calls? Each way in which a secret is presented ends here, in an identity and a first verdict.

Extends `api.guard` (models/api_guard.py, which opens with the graph of calls). The target is judged
when it is known; what is refused here is refused alike, and in the same time, for every cause.
"""

import contextlib
from dataclasses import replace

from odoo import models
from odoo.exceptions import AccessDenied
from odoo.modules.registry import Registry

from ..core.call import Door, Kind, Target
from ..core.network import parse_network
from ..core.operation import OWN
from ..core.secret import split_code
from ..core.verdict import Deny, Reason
from ..seams import master
from ..seams.beside import beside
from ..seams.exchange import Exchange, bind, of_cursor
from .api_audit_entry import ApiAuditEntry
from .api_identity import reason_of_form

AUTHENTICATE = Target("", "authenticate", OWN)


class ApiGuard(models.AbstractModel):
    _inherit = "api.guard"

    @classmethod
    def _admit_key(cls, env, scope, key):
        """The uid whose key was presented at a bearer or mail plugin door, or None.

        None leaves the answer to Odoo, whose contract it is; the verdict that was
        noted decides how the caller hears of it.
        """
        exchange = cls._open(env.cr)
        if exchange.vouched:  # a password is being checked over RPC: no key matched a moment ago
            return None
        with beside(exchange.registry) as cr:
            identity = exchange.registry["api.identity"]._of_key(cr, key, scope)
        verdict = cls._admit(exchange, identity, key, exchange.route_target)
        if isinstance(verdict, Deny):
            return None
        cls._recorder(exchange)._record_on_commit(exchange, env.cr)
        return identity.uid

    @classmethod
    def _admit_session(cls, env):
        """A session cookie where a key belongs is a credential like any other."""
        exchange = cls._open(env.cr)
        if exchange.identity is None or exchange.is_refused:
            with beside(exchange.registry) as cr:
                identity = exchange.registry["api.identity"]._of_user(cr, env.uid, Kind.SESSION)
            cls._require(exchange, cls._admit(exchange, identity))

    @classmethod
    def _admit_rpc(cls, env, uid, secret, check_password):
        """Settle who calls `object.execute*`. Raises Refused; the same answer, in the same time, for every cause."""
        exchange = cls._open(env.cr)
        secret = cls._without_code(exchange, secret)
        with beside(exchange.registry) as cr:
            key = exchange.registry["api.identity"]._of_key(cr, secret)
        if key.credential.kind is Kind.KEY:
            if key.uid != uid:
                key = _with_refusal(key, Reason.WRONG_USER)
            verdict = cls._admit(exchange, key, secret)
            if isinstance(verdict, Deny) and verdict.reason.status == 401:
                master.burn_password(secret)
            return cls._require(exchange, verdict)
        return cls._admit_password(env, exchange, uid, secret, check_password)

    @classmethod
    def _admit_login(cls, env, login, secret, check_password):
        """Settle who calls `common.authenticate`; the uid. Raises Refused."""
        exchange = cls._open(env.cr)
        secret = cls._without_code(exchange, secret)
        user = env["res.users"].sudo().search(env["res.users"]._get_login_domain(login), limit=1)
        with beside(exchange.registry) as cr:
            key = exchange.registry["api.identity"]._of_key(cr, secret)
        exchange.call = None
        if key.credential.kind is not Kind.KEY:
            cls._admit_password(env, exchange, user.id, secret, check_password, target=AUTHENTICATE)
        else:
            if key.uid != user.id:
                key = _with_refusal(key, Reason.WRONG_USER)
            verdict = cls._admit(exchange, key, secret, target=AUTHENTICATE)
            if isinstance(verdict, Deny):
                master.burn_password(secret)
            cls._require(exchange, verdict)
        cls._recorder(exchange)._record_on_commit(exchange, env.cr)
        return exchange.identity.uid

    @classmethod
    def _without_code(cls, exchange, secret):
        """The secret of an RPC call, without the code that may stand behind it. A password is left as it is."""
        if isinstance(secret, str) and ":" in secret:
            secret, code = split_code(secret)
            exchange.code = code or exchange.code
        return secret

    @classmethod
    def _admit_password(cls, env, exchange, uid, secret, check_password, target=None):
        with beside(exchange.registry) as cr:
            identity = exchange.registry["api.identity"]._of_user(cr, uid, Kind.PASSWORD)
            is_cooling_down = cls._is_cooling_down(cr, exchange, identity.settings)
        if is_cooling_down:
            # whether the user exists or not
            identity = replace(identity, refusal=Deny(Reason.TOO_MANY_FAILURES))
        elif identity.refusal is None and env["res.users"].browse(uid)._rpc_api_keys_only():
            identity = _with_refusal(identity, Reason.PASSWORD_REFUSED)
        verdict = cls._admit(exchange, identity, secret, target)
        if isinstance(verdict, Deny):
            if verdict.reason is Reason.TOO_MANY_FAILURES:  # hangs on the address alone: nothing to hide by being slow
                cls._require(exchange, verdict)
            master.burn_password(secret)
            # nothing has been proven yet: a policy's refusal would tell that the user exists
            cls._require(exchange, verdict, told=Deny(Reason.UNKNOWN_CREDENTIAL))
        exchange.vouched = True
        try:
            check_password()
        except (AccessDenied, TypeError, ValueError):  # the latter from passlib, for what no password can be
            exchange.verdict = Deny(reason_of_form(secret))
            cls._require(exchange, exchange.verdict)
        finally:
            exchange.vouched = False

    @classmethod
    @contextlib.contextmanager
    def _watch_web_login(cls, env, exchange, login):
        """Around a login of the web client: its failures count with those of the API, in all workers and hosts."""
        with beside(env.registry) as cr:
            nobody = replace(env["api.identity"]._nobody(cr, Kind.PASSWORD), login=str(login))
            is_cooling_down = cls._is_cooling_down(cr, exchange, nobody.settings)
        if is_cooling_down:
            cls._note_web_login(env, exchange, nobody, Reason.TOO_MANY_FAILURES)
            raise AccessDenied(exchange.verdict.reason.sentence)
        try:
            yield
        except AccessDenied:
            if not exchange.is_refused:
                cls._note_web_login(env, exchange, nobody, Reason.UNKNOWN_CREDENTIAL)
            raise

    @classmethod
    @contextlib.contextmanager
    def _watch_inner_check(cls, env, exchange):
        """Around a password that a running method checks: a key guesses it no faster than a stranger."""
        with beside(exchange.registry) as cr:
            is_cooling_down = cls._is_cooling_down(cr, exchange, exchange.identity.settings)
        if is_cooling_down:
            raise cls._refused_inside(exchange, Deny(Reason.TOO_MANY_FAILURES))
        try:
            yield
        except AccessDenied:
            exchange.verdict = Deny(Reason.UNKNOWN_CREDENTIAL)
            raise

    @classmethod
    def _note_web_login(cls, env, exchange, nobody, reason):
        exchange.door = Door.WEB
        exchange.enter(env.registry)
        exchange.identity, exchange.verdict = nobody, Deny(reason)
        exchange.interrupted = True
        exchange.locate(cls._trusted(nobody))
        if not exchange.deferred:
            cls._recorder(exchange)._finish(exchange)

    @classmethod
    def _open(cls, cr):
        """The exchange that `cr` works for, entered in this database's log."""
        exchange = of_cursor(cr) or Exchange()
        exchange.enter(Registry(cr.dbname))
        exchange.begin_attempt()
        bind(exchange, cr)
        return exchange

    @classmethod
    def _admit(cls, exchange, identity, secret=None, target=None):
        """Judge the credential on its own; the target is judged when it is known. Notes and returns the verdict."""
        exchange.identity = identity
        exchange.secrets = (secret,) if isinstance(secret, str) else ()
        exchange.locate(cls._trusted(identity))
        if identity.refusal is None and exchange.database and not master.is_visible(exchange, exchange.database):
            identity = _with_refusal(identity, Reason.DATABASE_HIDDEN)
        verdict = cls._judge(exchange, identity, target)
        if isinstance(verdict, Deny) and verdict.reason is Reason.KEY_RETIRED:
            with beside(exchange.registry) as cr:
                exchange.registry["api.credential"]._react_to_retired(cr, exchange)
        return verdict

    @classmethod
    def _recorder(cls, exchange):
        return exchange.registry["api.recorder"]

    @classmethod
    def _trusted(cls, identity):
        return parse_trusted(identity.settings.get("api_guard.trusted_proxies"))

    @classmethod
    def _is_cooling_down(cls, cr, exchange, settings):
        """Have too many secrets from this peer been wrong lately? Counted in the log, so in all workers and hosts."""
        allowed = _number(settings.get("api_guard.cooldown_failures"), 10)
        if not (allowed and exchange.is_remote):
            return False
        peer = exchange.locate(parse_trusted(settings.get("api_guard.trusted_proxies")))
        seconds = _number(settings.get("api_guard.cooldown_seconds"), 60)
        return ApiAuditEntry._failures_from(cr, peer and str(peer), seconds, allowed) >= allowed


def parse_trusted(text):
    """The networks of trusted proxies. What cannot be read vouches for nobody."""
    networks = []
    for part in (text or "").replace(",", " ").split():
        with contextlib.suppress(ValueError):
            networks.append(parse_network(part))
    return networks


def _with_refusal(identity, reason):
    return replace(identity, refusal=identity.refusal or Deny(reason))


def _number(text, default):
    """A setting as it was saved, or `default` for one that makes no sense."""
    try:
        number = int(text)
    except (TypeError, ValueError):
        return default
    return number if number >= 0 else default
