"""The guard: identify → decide → run → record, for every door.

    XML-RPC, /jsonrpc                          JSON-2, JSON-1, docs, mail plugin, any auth='bearer'
    res.users._check_uid_passwd                res.users.apikeys._check_credentials
    res.users.authenticate                     ir.http._auth_method_bearer (a session instead of a key)
        └─ _admit_rpc, _admit_login                └─ _admit_key, _admit_session
    seams: execute_cr                          ir.http._dispatch
        └─ _authorize_rpc                          └─ _authorize_request
              └────────────── _authorize ──────────────┘      decide(call, policies), then
                              _record_on_commit                the entry rides on the call's own commit
    seams: _answer                             whatever ends without a commit is written here,
        └─ _finish                             on a connection of its own

Every method is a classmethod: most of them run where Odoo has closed or not yet
opened an environment. What a call learns on its way is kept in its `Exchange`.
"""

import contextlib
import logging
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone

from odoo import SUPERUSER_ID, api, models
from odoo.exceptions import AccessDenied
from odoo.http import GeoIP, Response
from odoo.modules.registry import Registry
from odoo.tools import config

from ..core.call import Call, Credential, Door, Kind, Operation, State, Target
from ..core.decide import decide
from ..core.network import parse_network
from ..core.operation import operations_of
from ..core.policy import least_detail
from ..core.redact import redact
from ..core.scope import GUARD_MODELS
from ..core.verdict import Allow, Deny, Reason
from ..exceptions import Refused
from ..seams import master
from ..seams.exchange import Exchange, bind, of_cursor

_logger = logging.getLogger(__name__)

MAX_RECORD_IDS = 100
_LAST_USED_EVERY = 60.0  # seconds between two writes of a key's last use, per process

AUTHENTICATE = Target("", "authenticate", frozenset({Operation.AUTHENTICATE}))


class ApiGuard(models.AbstractModel):
    _name = "api.guard"
    _description = "API Guard"

    _last_used = {}  # (database, credential id) → monotonic time of the last write

    # ---------------------------------------------------------------- identify

    @classmethod
    def _admit_key(cls, env, scope, key):
        """The uid whose key was presented at a bearer or mail plugin door, or None.

        None leaves the answer to Odoo, whose contract it is; the verdict that was
        noted decides how the caller hears of it.
        """
        exchange = cls._open(env.cr)
        if exchange.vouched:  # a password is being checked over RPC: no key matched a moment ago
            return None
        identity = cls._on_primary(env, lambda identities: identities._of_key(key, scope) or identities._nobody())
        verdict = cls._admit(exchange, identity, key, exchange.route_target)
        if isinstance(verdict, Deny):
            return None
        cls._record_on_commit(exchange, env.cr)
        return identity.uid

    @classmethod
    def _admit_session(cls, env):
        """A session cookie where a key belongs is a credential like any other."""
        exchange = cls._open(env.cr)
        if exchange.identity is None or exchange.is_refused:
            identity = cls._on_primary(env, lambda identities: identities._of_user(env.uid, Kind.SESSION))
            cls._require(exchange, cls._admit(exchange, identity))

    @classmethod
    def _admit_rpc(cls, env, uid, secret, check_password):
        """Settle who calls `object.execute*`. Raises Refused; the same answer, in the same time, for every cause."""
        exchange = cls._open(env.cr)
        key = env["api.identity"]._of_key(secret)
        if key is not None:
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
        user = env["res.users"].sudo().search(env["res.users"]._get_login_domain(login), limit=1)
        key = env["api.identity"]._of_key(secret)
        exchange.call = None
        if key is None:
            cls._admit_password(env, exchange, user.id, secret, check_password, target=AUTHENTICATE)
        else:
            if key.uid != user.id:
                key = _with_refusal(key, Reason.WRONG_USER)
            verdict = cls._admit(exchange, key, secret, target=AUTHENTICATE)
            if isinstance(verdict, Deny):
                master.burn_password(secret)
            cls._require(exchange, verdict)
        cls._record_on_commit(exchange, env.cr)
        return exchange.identity.uid

    @classmethod
    def _admit_password(cls, env, exchange, uid, secret, check_password, target=None):
        identity = env["api.identity"]._of_user(uid or None, Kind.PASSWORD)
        if cls._is_cooling_down(env, exchange, identity.settings):
            identity = _with_refusal(identity, Reason.TOO_MANY_FAILURES)
        elif identity.refusal is None and env["res.users"].browse(uid)._rpc_api_keys_only():
            identity = _with_refusal(identity, Reason.PASSWORD_REFUSED)
        verdict = cls._admit(exchange, identity, secret, target)
        if isinstance(verdict, Deny):
            master.burn_password(secret)
            cls._require(exchange, verdict)
        exchange.vouched = True
        try:
            check_password()
        except (AccessDenied, TypeError, ValueError):  # the latter from passlib, for what no password can be
            exchange.verdict = Deny(Reason.UNKNOWN_CREDENTIAL)
            cls._require(exchange, exchange.verdict)
        finally:
            exchange.vouched = False

    @classmethod
    @contextlib.contextmanager
    def _watch_web_login(cls, env, exchange, login):
        """Around a login of the web client: its failures count with those of the API, in all workers and hosts."""
        with cls._separate(env) as identities:
            nobody = replace(identities._nobody(Kind.PASSWORD), login=str(login))
            if cls._is_cooling_down(identities.env, exchange, nobody.settings):
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
    def _separate(cls, env):
        """`api.identity` on a cursor that a failure of the business transaction leaves intact."""
        with env.registry.cursor() as cr:
            yield api.Environment(cr, SUPERUSER_ID, {})["api.identity"]

    @classmethod
    def _note_web_login(cls, env, exchange, nobody, reason):
        exchange.door = Door.WEB
        exchange.enter(env.registry)
        exchange.identity, exchange.verdict = nobody, Deny(reason)
        exchange.interrupted = True
        exchange.locate(cls._trusted(nobody))
        if not exchange.deferred:
            cls._finish(exchange)

    @classmethod
    def _open(cls, cr):
        """The exchange that `cr` works for, entered in this database's log."""
        exchange = of_cursor(cr) or Exchange()
        exchange.enter(Registry(cr.dbname))
        exchange.running = False  # a repeated attempt begins anew
        bind(exchange, cr)
        return exchange

    @classmethod
    def _on_primary(cls, env, ask):
        """Ask `api.identity` on the primary, never on a replica that may lag behind a revocation."""
        if env.cr.readonly and env.registry._db_readonly is not None:
            with env.registry.cursor() as cr:
                return ask(env["api.identity"].with_env(env(cr=cr)))
        return ask(env["api.identity"])

    @classmethod
    def _admit(cls, exchange, identity, secret=None, target=None):
        """Judge the credential on its own; the target is judged when it is known. Notes and returns the verdict."""
        exchange.identity = identity
        exchange.secrets = (secret,) if isinstance(secret, str) else ()
        exchange.locate(cls._trusted(identity))
        if identity.refusal is None and exchange.database and not master.is_visible(exchange, exchange.database):
            identity = _with_refusal(identity, Reason.DATABASE_HIDDEN)
        return cls._judge(exchange, identity, target)

    @classmethod
    def _trusted(cls, identity):
        return parse_trusted(identity.settings.get("api_guard.trusted_proxies"))

    # ------------------------------------------------------------------ decide

    @classmethod
    def _judge(cls, exchange, identity, target):
        exchange.call = Call(
            door=exchange.door,
            credential=identity.credential,
            peer=exchange.peer,
            at=datetime.now(timezone.utc),
            target=target,
        )
        exchange.verdict = identity.refusal or decide(exchange.call, identity.policies)
        return exchange.verdict

    @classmethod
    def _require(cls, exchange, verdict):
        if isinstance(verdict, Allow):
            return
        exchange.interrupted = True
        if not exchange.deferred:
            cls._finish(exchange)
        raise Refused(verdict, exchange.request_id)

    @classmethod
    def _authorize(cls, exchange, cr, target, arguments, record_ids):
        """May the admitted credential reach `target`? From here on the entry rides on the commit of `cr`."""
        detail = least_detail(exchange.identity.policies)
        exchange.arguments = redact(arguments, detail, exchange.secrets) if arguments else None  # before they change
        exchange.record_ids, exchange.record_count = bounded_ids(record_ids)
        cls._require(exchange, cls._judge(exchange, exchange.identity, target))
        cls._record_on_commit(exchange, cr)
        exchange.running = True

    @classmethod
    def _authorize_rpc(cls, exchange, cr, uid, model, method, args, kwargs):
        """`object.execute*`: before Odoo looks at model and method."""
        model, method = str(model), str(method)
        ids = _positional_ids(exchange.registry, model, method, args)
        arguments = {"args": args, **(kwargs if isinstance(kwargs, dict) else {"kwargs": kwargs})}
        if exchange.identity.uid != uid:
            exchange.verdict = Deny(Reason.WRONG_USER)
            cls._require(exchange, exchange.verdict)
        cls._authorize(exchange, cr, Target(model, method, operations_of(method)), arguments, ids)

    @classmethod
    def _authorize_request(cls, exchange, cr, target, params):
        """A bearer route: before its controller runs."""
        arguments = {name: value for name, value in params.items() if not name.startswith("__")}
        cls._authorize(exchange, cr, target, arguments, params.get("ids"))

    @classmethod
    def _may_configure(cls, env):
        """May what runs now change API Guard itself? Programs may only where a scope names the model."""
        exchange = of_cursor(env.cr)
        if exchange is None or exchange.call is None or not exchange.running:
            return True
        return exchange.call.target is not None and exchange.call.target.model in GUARD_MODELS

    @classmethod
    def _require_configuration_right(cls, env):
        if not cls._may_configure(env):
            exchange = of_cursor(env.cr)
            exchange.verdict = Deny(Reason.GUARD_CONFIGURATION)
            raise Refused(exchange.verdict, exchange.request_id)

    @classmethod
    def _minting_credential(cls, env):
        """The id of the key with which a program is making another key, or None."""
        exchange = of_cursor(env.cr)
        return exchange.identity.credential_id if exchange and exchange.identity else None

    # --------------------------------------------------------------------- run

    @classmethod
    def _note_result(cls, exchange, method, result):
        """What did the call return? Rows, and the ids of created records."""
        if isinstance(result, Response):
            return
        if isinstance(result, models.BaseModel):
            result = result.ids
        exchange.rows = len(result) if isinstance(result, (list, tuple, dict)) else int(result is not None)
        if method in ("create", "name_create", "copy", "web_save"):
            created = result if isinstance(result, (list, tuple)) else [result]
            ids = [item["id"] if isinstance(item, dict) and "id" in item else item for item in created]
            exchange.record_ids, exchange.record_count = bounded_ids([i for i in ids if isinstance(i, int)])

    @classmethod
    def _fail(cls, exchange, error):
        """The business method raised. Its refusal, if it was one of ours, is already noted."""
        exchange.fail(error)
        exchange.running, exchange.interrupted = False, True
        if not exchange.deferred:
            cls._finish(exchange)

    # ------------------------------------------------------------------ record

    @classmethod
    def _record_on_commit(cls, exchange, cr):
        """Let the entry be part of the next commit of `cr`, so that no effect is ever without it.

        The commit itself is wrapped, on this cursor only: Odoo's precommit hooks
        also run at each savepoint, long before anything is final.
        """
        if cr.readonly or "commit" in vars(cr):
            return
        plain_commit = cr.commit

        def commit():
            if exchange.entered:
                return plain_commit()
            cr.flush()
            cls._append(exchange, cr, committed=True)
            exchange.entered = True
            try:
                plain_commit()
            except BaseException:
                exchange.entered = False
                raise
            exchange.committed = True
            vars(cr).pop("commit", None)
            return None

        cr.commit = commit

    @classmethod
    def _finish(cls, exchange, status=200, size=None):
        """Write the entry of a call that ended without a commit. Raises Refused if an answer may not go out.

        Runs after the business cursor is closed, on one of its own: neither a
        rollback nor a lock of the call can take the entry away.
        """
        exchange.running = False
        if exchange.bytes is None:
            exchange.bytes = size
        # a method that commits and then fails has an entry for either; an answer that fails later has not
        unwritten = not exchange.entered or exchange.interrupted
        try:
            if unwritten:
                if exchange.identity is None:
                    cls._identify_stray(exchange)
                with exchange.registry.cursor() as cr:
                    cls._append(exchange, cr, committed=False, status=status)
                exchange.entered = True
            cls._touch(exchange)
        except Exception:
            _logger.critical("request %s: its audit entry could not be written", exchange.request_id, exc_info=True)
            if unwritten and exchange.outcome == "allowed":
                exchange.verdict = Deny(Reason.POLICY_UNREADABLE)
                raise Refused(exchange.verdict, exchange.request_id) from None
        finally:
            exchange.secrets = ()

    @classmethod
    def _identify_stray(cls, exchange):
        """A request that reached no check: still say where it came from."""
        with exchange.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            exchange.identity = env["api.identity"]._nobody()
        exchange.locate(cls._trusted(exchange.identity))

    @classmethod
    def _append(cls, exchange, cr, committed, status=200):
        exchange.registry["api.audit.entry"]._append(cr, cls._entry(exchange, committed, status))

    @classmethod
    def _entry(cls, exchange, committed, status):
        """The entry of `exchange`, column by column."""
        identity, target = exchange.identity, exchange.call and exchange.call.target
        verdict = exchange.verdict
        deny = verdict if isinstance(verdict, Deny) else getattr(verdict, "observed", None)
        credential = identity.credential if identity else Credential(Kind.NONE, State.UNKNOWN)
        error = exchange.error or exchange.unrenderable
        return {
            "occurred_at": exchange.started_at.replace(tzinfo=None),
            "request_id": exchange.request_id,
            "door": exchange.door.value,
            "route": exchange.path,
            "service": exchange.service,
            "http_method": exchange.http_method,
            "peer": str(exchange.peer) if exchange.peer else None,
            "forwarded": exchange.forwarded,
            "country": _country(exchange.peer),
            "user_agent": exchange.agent,
            "database": exchange.registry.db_name,
            "user_id": identity and identity.uid,
            "login": identity and identity.login,
            "credential_kind": credential.kind.value,
            "credential_id": identity and identity.credential_id,
            "key_id": identity and identity.key_id,
            "credential_name": identity and identity.name,
            "policies": ", ".join(policy.name for policy in identity.policies) if identity else None,
            "model": target.model if target else None,
            "method": target.method if target else None,
            "operation": ",".join(sorted(op.value for op in target.operations)) if target else None,
            "record_ids": ",".join(map(str, exchange.record_ids)) or None,
            "record_count": exchange.record_count,
            "row_count": exchange.rows,
            "byte_count": exchange.bytes,
            "arguments": exchange.arguments,
            "verdict": "none" if verdict is None else "deny" if deny else "allow",
            "reason": deny and deny.reason.value,
            "refusing_policy": deny and deny.policy,
            "outcome": exchange.outcome,
            "committed": committed,
            "status": status,
            "duration_ms": round((time.perf_counter() - exchange.started) * 1000, 3),
            "sql_count": _query_count() - exchange.queries,
            "error_class": type(error).__name__ if error is not None else None,
            "error_message": str(error) if error is not None else None,
            "secrets": exchange.secrets,
        }

    @classmethod
    def _touch(cls, exchange):
        """Note when, from where and by what client a key was last used; at most once a minute in each process."""
        identity = exchange.identity
        if exchange.outcome == "refused" or not identity or not identity.credential_id:
            return
        slot = (exchange.registry.db_name, identity.credential_id)
        now = time.monotonic()
        if now - cls._last_used.get(slot, -_LAST_USED_EVERY) < _LAST_USED_EVERY:
            return
        credentials = exchange.registry["api.credential"]
        with exchange.registry.cursor() as cr:
            credentials._write_last_use(cr, identity.credential_id, exchange)
            if identity.unchecked_hash and exchange.secrets:
                credentials._write_check(cr, identity.credential_id, exchange.secrets[0], identity.unchecked_hash)
        cls._last_used[slot] = now

    # ---------------------------------------------------------------- settings

    @classmethod
    def _debug_errors(cls, exchange):
        settings = exchange.identity.settings if exchange.identity else {}
        return settings.get("api_guard.debug_errors") in ("True", "1", "true")

    @classmethod
    def _is_cooling_down(cls, env, exchange, settings):
        """Have too many secrets from this peer been wrong lately? Counted in the log, so in all workers and hosts."""
        allowed = _number(settings.get("api_guard.cooldown_failures"), 10)
        if not allowed:
            return False
        peer = exchange.locate(parse_trusted(settings.get("api_guard.trusted_proxies")))
        seconds = _number(settings.get("api_guard.cooldown_seconds"), 60)
        return peer is not None and env["api.audit.entry"]._failures_from(str(peer), seconds, allowed) >= allowed


def parse_trusted(text):
    """The networks of trusted proxies. What cannot be read vouches for nobody."""
    networks = []
    for part in (text or "").replace(",", " ").split():
        with contextlib.suppress(ValueError):
            networks.append(parse_network(part))
    return networks


def bounded_ids(ids):
    """The first record ids of a call, and how many there are. None: it names no records."""
    if isinstance(ids, bool) or ids is None:
        return (), None
    if isinstance(ids, int):
        ids = [ids]
    if not isinstance(ids, (list, tuple)):
        return (), None
    numbers = [i for i in ids[:MAX_RECORD_IDS] if isinstance(i, int) and not isinstance(i, bool)]
    return tuple(numbers), len(ids)


def _positional_ids(registry, model, method, args):
    """The record ids of an RPC call: its first argument, unless the method belongs to the model as a whole."""
    function = getattr(registry.get(model), method, None) if not method.startswith("_") else None
    if function is None or getattr(function, "_api_model", False) or not isinstance(args, (list, tuple)) or not args:
        return None
    return args[0]


def _with_refusal(identity, reason):
    return replace(identity, refusal=identity.refusal or Deny(reason))


def _number(text, default):
    try:
        return max(0, int(text))
    except (TypeError, ValueError):
        return default


def _country(peer):
    """The country of `peer`, where a GeoIP database is set up."""
    if peer is None or not (config["geoip_country_db"] or config["geoip_city_db"]):
        return None
    try:
        return GeoIP(str(peer)).country_code
    except Exception:  # a broken GeoIP file must not break the log
        return None


def _query_count():
    return getattr(threading.current_thread(), "query_count", 0)
