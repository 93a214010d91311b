"""Who calls? Each way in which a secret is presented ends here, in an identity and a first verdict.

Extends `api.guard` (models/api_guard.py, which opens with the graph of calls). The target is judged
when it is known; what is refused here is refused alike, and in the same time, for every cause.
"""

import contextlib
from dataclasses import replace

from odoo import models
from odoo.exceptions import AccessDenied
from odoo.modules.registry import Registry

from ..core import lockout
from ..core.call import Door, Kind, Target
from ..core.network import readable_networks
from ..core.operation import OWN
from ..core.secret import split_code
from ..core.verdict import Deny, Reason
from ..seams import master
from ..seams.beside import beside
from ..seams.exchange import Exchange, bind, of_cursor
from .api_identity import reason_of_form

AUTHENTICATE = Target("", "authenticate", OWN)

#: somebody presented a secret that is none, or not his
FAILURES = frozenset({Reason.UNKNOWN_CREDENTIAL, Reason.KEY_MISTYPED, Reason.WRONG_USER, Reason.USER_INACTIVE})


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
        identity = cls._identify(exchange, key, scope)
        if identity.refusal is not None and identity.refusal.reason in FAILURES:
            identity = cls._count_wrong_key(exchange, identity)
        verdict = cls._admit(exchange, identity, key, exchange.route_target)
        if isinstance(verdict, Deny):
            return None
        if exchange.route_target is not None:  # its controller asked for the key itself, and runs already
            verdict = exchange.verdict = exchange.registry["api.limiter"]._take(exchange, verdict)
            cls._require(exchange, verdict)
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
        key = cls._identify(exchange, secret)
        if key.credential.kind is Kind.KEY:
            if key.uid != uid:
                key = cls._count_wrong_key(exchange, _with_refusal(key, Reason.WRONG_USER))
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
        key = cls._identify(exchange, secret)
        exchange.call = None
        if key.credential.kind is not Kind.KEY:
            cls._admit_password(env, exchange, user.id, secret, check_password, AUTHENTICATE, login)
        else:
            if key.uid != user.id:
                key = cls._count_wrong_key(exchange, _with_refusal(key, Reason.WRONG_USER))
            verdict = cls._admit(exchange, key, secret, target=AUTHENTICATE)
            if isinstance(verdict, Deny) and verdict.reason is not Reason.TOO_MANY_FAILURES:
                master.burn_password(secret)
            cls._require(exchange, verdict)
        verdict = exchange.verdict = exchange.registry["api.limiter"]._take(exchange, exchange.verdict)
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
    def _identify(cls, exchange, secret, scope="rpc"):
        """Whose key is `secret`? Where only the slow hash can tell, wrong ones are counted for the key's prefix."""

        def derive(settings, verify):
            attempt = cls._attempt(exchange, settings, (lockout.Kind.KEY, secret[:8]))
            if attempt.deny is not None:
                return attempt.deny
            if is_right := verify():
                attempt.succeed()
            else:
                attempt.fail(exchange)
            return is_right

        with beside(exchange.registry) as cr:
            return exchange.registry["api.identity"]._of_key(cr, secret, scope, derive)

    @classmethod
    def _count_wrong_key(cls, exchange, identity):
        """A key that opens nothing: one more from there. Too many are told to wait, whatever they bring."""
        subjects = [(lockout.Kind.NETWORK, "")]
        if identity.prefix is not None:
            subjects.append((lockout.Kind.KEY, identity.prefix))
        attempt = cls._attempt(exchange, identity.settings, *subjects)
        if attempt.deny is not None:
            return replace(identity, refusal=attempt.deny)
        attempt.fail(exchange, identity.refusal.reason)
        return identity

    @classmethod
    def _attempt(cls, exchange, settings, *subjects, registry=None):
        """Begin an attempt of `subjects`, as (kind, name), from where the exchange comes. None inside the server."""
        registry = registry or exchange.registry
        peer = exchange.locate(readable_networks(settings.get("api_guard.trusted_proxies")))
        lockouts = registry["api.lockout"]
        found = [lockouts._subject(kind, peer, name) for kind, name in subjects] if exchange.is_remote else []
        return lockouts._begin(registry, settings, found, peer)

    @classmethod
    def _admit_password(cls, env, exchange, uid, secret, check_password, target=None, login=None):
        with beside(exchange.registry) as cr:
            identity = exchange.registry["api.identity"]._of_user(cr, uid, Kind.PASSWORD)
        name = login or identity.login or f"#{uid}"
        if identity.settings.get("api_guard.refuse_rpc_passwords") in ("True", "1", "true"):
            # nobody's password opens anything here, and none is looked at: an old program that still sends a right
            # one must not lock its owner out of the web. Whether the login exists or not.
            name = f"{name} (RPC)"
        attempt = cls._attempt(exchange, identity.settings, (lockout.Kind.PAIR, name), (lockout.Kind.NETWORK, ""))
        if attempt.deny is not None:
            # whether the user exists or not
            identity = replace(identity, refusal=attempt.deny)
        elif identity.refusal is None and env["res.users"].browse(uid)._rpc_api_keys_only():
            identity = _with_refusal(identity, Reason.PASSWORD_REFUSED)
        verdict = cls._admit(exchange, identity, secret, target)
        if isinstance(verdict, Deny):
            exchange.is_settled = True  # a stranger must not use up what is another's
            if verdict.reason is Reason.TOO_MANY_FAILURES:  # hangs on login and address: nothing to hide by being slow
                cls._require(exchange, verdict)
            master.burn_password(secret)
            attempt.fail(exchange, verdict.reason)  # like a wrong password: who is counted must not tell who exists
            # nothing has been proven yet: a policy's refusal would tell that the user exists
            cls._require(exchange, verdict, told=Deny(Reason.UNKNOWN_CREDENTIAL))
        exchange.vouched = exchange.attempting = True
        try:
            check_password()
        except (AccessDenied, TypeError, ValueError):  # the latter from passlib, for what no password can be
            exchange.verdict, exchange.is_settled = Deny(reason_of_form(secret)), True
            attempt.fail(exchange, exchange.verdict.reason)
            cls._require(exchange, exchange.verdict)
        finally:
            exchange.vouched = exchange.attempting = False
        attempt.succeed()

    @classmethod
    @contextlib.contextmanager
    def _watch_web_login(cls, env, exchange, user):
        """Around a login of the web client: its failures count with those of the API, in all workers and hosts.

        `user`: a login with its password, or an id with the code of its second factor.
        """
        with beside(env.registry) as cr:
            nobody = replace(env["api.identity"]._nobody(cr, Kind.PASSWORD), login=str(user))
        was, exchange.attempting = exchange.attempting, True
        try:
            with cls._watch(env, exchange, nobody, user):
                yield
        finally:
            exchange.attempting = was

    @classmethod
    @contextlib.contextmanager
    def _watch(cls, env, exchange, nobody, user):
        """Around a secret that is checked at the screens."""
        subjects = cls._web_subjects(env, user)
        attempt = cls._attempt(exchange, nobody.settings, *subjects, registry=env.registry)
        if attempt.deny is not None:
            cls._note_web_login(env, exchange, nobody, attempt.deny)
            raise AccessDenied(attempt.deny.sentence)
        try:
            yield
        except AccessDenied:
            if not exchange.is_refused:
                cls._note_web_login(env, exchange, nobody, Deny(Reason.UNKNOWN_CREDENTIAL))
            attempt.fail(exchange)
            if subjects[0][0] is lockout.Kind.DEVICE:  # it does not wait for its network, and counts for it
                cls._attempt(exchange, nobody.settings, (lockout.Kind.NETWORK, ""), registry=env.registry)
            raise
        attempt.succeed()

    @classmethod
    def _web_subjects(cls, env, user):
        """A browser that has logged in as this user before is counted by itself: no stranger locks it out."""
        is_code = isinstance(user, int)
        login = env["res.users"].browse(user).sudo().login if is_code else user
        if device := env["res.users"]._known_device(login):
            return [(lockout.Kind.DEVICE, f"{device} code" if is_code else device)]
        kind = lockout.Kind.TOTP if is_code else lockout.Kind.PAIR
        return [(kind, user), (lockout.Kind.NETWORK, "")]

    @classmethod
    @contextlib.contextmanager
    def _watch_inner_check(cls, env, exchange):
        """Around a password that a running method checks: a key guesses it no faster than a stranger."""
        settings = exchange.identity.settings
        attempt = cls._attempt(exchange, settings, (lockout.Kind.PAIR, env.user.sudo().login))
        if attempt.deny is not None:
            raise cls._refused_inside(exchange, attempt.deny)
        try:
            yield
        except AccessDenied:
            exchange.verdict = Deny(Reason.UNKNOWN_CREDENTIAL)
            attempt.fail(exchange)
            raise
        attempt.succeed()

    @classmethod
    @contextlib.contextmanager
    def _watch_web_check(cls, env, exchange):
        """The same at the screens: whoever found an open session guesses its password no faster than a stranger."""
        with beside(env.registry) as cr:
            nobody = replace(env["api.identity"]._nobody(cr, Kind.PASSWORD), login=env.user.sudo().login)
        with cls._watch(env, exchange, nobody, nobody.login):
            yield

    @classmethod
    def _note_web_login(cls, env, exchange, nobody, deny):
        exchange.door = Door.WEB
        exchange.enter(env.registry)
        exchange.identity, exchange.verdict = nobody, deny
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
        return readable_networks(identity.settings.get("api_guard.trusted_proxies"))


def _with_refusal(identity, reason):
    return replace(identity, refusal=identity.refusal or Deny(reason))
