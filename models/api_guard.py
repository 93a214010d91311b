"""The guard: identify → decide → run → record, for every door.

    XML-RPC, /jsonrpc                          JSON-2, JSON-1, docs, mail plugin, any auth='bearer'
    res.users._check_uid_passwd                res.users.apikeys._check_credentials
    res.users.authenticate                     ir.http._auth_method_bearer (a session instead of a key)
        └─ _admit_rpc, _admit_login                └─ _admit_key, _admit_session
    seams: execute_cr                          ir.http._dispatch
        └─ _authorize_rpc                          └─ _authorize_request
              └────────────── _authorize ──────────────┘      core.decide.decide(call, policies), a code
                                                               where one is missing (api.second.factor), its limits
                                                               (api.limiter), then the entry rides on the call's
                                                               own commit
    seams: _answer                                             whatever ends without a commit is written
        └─ api.recorder._finish                                there (models/api_recorder.py)

`_admit_*` stands in models/api_guard_admission.py, what a call names in models/target.py.

Every method is a classmethod: most of them run where Odoo has closed or not yet
opened an environment. What a call learns on its way is kept in its `Exchange`.
"""

from dataclasses import replace
from datetime import datetime, timezone

from odoo import models
from odoo.api import Environment
from odoo.tools import SQL
from psycopg2.errors import ReadOnlySqlTransaction

from ..core.call import Call, Target
from ..core.decide import decide, decide_active, decide_answer
from ..core.markup import is_active
from ..core.operation import UNASKED
from ..core.policy import Policy
from ..core.recovery import read_recovery
from ..core.totp import is_code
from ..core.verdict import Allow, Deny, Reason
from ..exceptions import Refused
from ..seams.beside import beside
from ..seams.exchange import of_cursor, working_for
from ..seams.read_only import read_only
from .api_recorder import bounded_ids, rows_of
from .commands import contents_of, contents_of_defaults, defaults_of, named
from .keeping import keep_arguments
from .target import ids_of, named_arguments, positional_ids, renders, target_of

_OWN_WORDS = frozenset({Reason.UNKNOWN_FIELD, Reason.ACTIVE_HTML})  # what they met, the caller itself has said
#: methods that write what their caller names, and nothing that it says in other words (a name that holds an address)
_BY_VALUES = frozenset({"create", "write", "web_save", "web_save_multi", "load"})
_MAX_NAMES, _MAX_NAME = 5, 64  # of unknown fields that an answer tells


class ApiGuard(models.AbstractModel):
    _name = "api.guard"
    _description = "API Guard"

    # ------------------------------------------------------------------ decide

    @classmethod
    def _judge(cls, exchange, identity, target, arguments=None):
        exchange.judge(
            Call(
                door=exchange.door,
                credential=identity.credential,
                peer=exchange.peer,
                at=datetime.now(timezone.utc),
                target=target,
                arguments=arguments,
                body=exchange.body_size,
                proven=exchange.is_proven,
            )
        )
        exchange.verdict = identity.refusal or cls._decide(exchange, exchange.call, identity.policies)
        return exchange.verdict

    @classmethod
    def _decide(cls, exchange, call, policies):
        """The verdict of the core. The code that came along is looked at only where one is missing."""
        verdict = decide(call, policies)
        missing = verdict if isinstance(verdict, Deny) else verdict.observed
        if missing is None or missing.reason is not Reason.CODE_REQUIRED or not exchange.code:
            return verdict
        refusal = cls._prove(exchange)
        if refusal is None:
            return decide(replace(call, proven=True), policies)
        deny = replace(missing, reason=refusal)
        return deny if missing is verdict else Allow(deny)

    @classmethod
    def _judge_factor(cls, exchange, model, operation):
        """The refusal of what a running method changes on its way where a policy asks a code for that, or None."""
        place = (model, operation, Reason.CODE_REQUIRED)
        if place not in exchange.nested:
            target = Target(model, "", frozenset({operation}))
            asking = [Policy(p.name, p.enforced, second_factor=p.second_factor) for p in exchange.identity.policies]
            verdict = cls._decide(exchange, replace(exchange.call, target=target, arguments=None), asking)
            exchange.nested[place] = verdict if isinstance(verdict, Deny) else None
        return exchange.nested[place]

    @classmethod
    def _prove(cls, exchange):
        """Why the code that came along proves nothing, or None. It is used up, once for all repetitions of a call."""
        lineage_id, factors = exchange.identity.lineage_id, exchange.registry["api.second.factor"]
        if lineage_id is None:
            return Reason.CODE_NOT_ENROLLED
        if lineage_id not in exchange.proofs:
            # only now, and only what is a code: a caller could take any word of its entry away by presenting it
            exchange.secrets += (exchange.code,) if is_code(exchange.code) or read_recovery(exchange.code) else ()
            with beside(exchange.registry) as cr:
                exchange.proofs[lineage_id], exchange.unproven = factors._refusal_of(
                    cr, lineage_id, exchange.code, exchange.call.at
                )
                if exchange.proofs[lineage_id] is Reason.CODE_WRONG:
                    factors._tell_if_locked(cr, exchange)
        if exchange.is_proven:
            exchange.judge(replace(exchange.call, proven=True))
        return exchange.proofs[lineage_id]

    @classmethod
    def _require(cls, exchange, verdict, told=None):
        """Go on, or raise Refused. `told`: what the caller hears in place of `verdict`."""
        if isinstance(verdict, Allow):
            return
        exchange.interrupted = True
        if not exchange.deferred:
            cls._recorder(exchange)._finish(exchange)
        told = told or verdict
        own_words = f"({exchange.place})" if told.reason in _OWN_WORDS else ""
        raise Refused(told, exchange.request_id, own_words)

    @classmethod
    def _authorize(cls, exchange, cr, target, arguments, record_ids):
        """May the admitted credential reach `target`? From here on the entry rides on the commit of `cr`."""
        verdict = cls._judge(exchange, exchange.identity, target, arguments)
        if isinstance(verdict, Allow):
            contents = contents_of(exchange.registry, target.model, target.method, arguments or {})
            contents = _with_names(cr, contents)  # asks the database only where an id stands for a model
            verdict = exchange.verdict = cls._judge_contents(exchange, contents, verdict)
            exchange.named = contents.named if _says_all(target, arguments) else None
            exchange.references = contents.references
        if isinstance(verdict, Allow):
            exchange.registry["api.limiter"]._begin(exchange)
        cls._note_arguments(exchange, target, arguments, record_ids)
        cls._require(exchange, verdict)
        exchange.registry["api.data"]._restrict(exchange)
        cls._recorder(exchange)._record_on_commit(exchange, cr)
        exchange.running = True

    @classmethod
    def _note_arguments(cls, exchange, target, arguments, record_ids):
        """What the entry tells of them, before the method changes any."""
        keep_arguments(exchange, target, arguments)
        exchange.record_ids, exchange.record_count = bounded_ids(record_ids)
        exchange.given = ids_of(record_ids)
        exchange.defaults = defaults_of((arguments or {}).get("context"))

    @classmethod
    def _authorize_rpc(cls, exchange, cr, uid, model, method, args, kwargs):
        """`object.execute*`: before Odoo looks at model and method."""
        model, method = str(model), str(method)
        ids = positional_ids(exchange.registry, model, method, args)
        arguments = named_arguments(exchange.registry, model, method, args, ids)
        arguments |= kwargs if isinstance(kwargs, dict) else {"kwargs": kwargs}
        if exchange.identity.uid != uid:
            exchange.verdict = Deny(Reason.WRONG_USER)
            cls._require(exchange, exchange.verdict)
        target = target_of(exchange.registry, model, method)
        cls._authorize(exchange, cr, target, arguments, ids)

    @classmethod
    def _authorize_request(cls, exchange, cr, target, params):
        """A bearer route: before its controller runs."""
        arguments = {name: value for name, value in params.items() if not name.startswith("__")}
        cls._authorize(exchange, cr, target, arguments, params.get("ids"))

    @classmethod
    def _require_configuration_right(cls, env):
        """What configures the guard is changed by people; never by a program, whatever method it came in by."""
        exchange = working_for(env.cr)
        if exchange is not None:
            raise cls._refused_inside(exchange, Deny(Reason.GUARD_CONFIGURATION))

    @classmethod
    def _judge_contents(cls, exchange, contents, verdict):
        """The verdict on an allowed call, its values considered."""
        for model, operation in sorted(contents.operations, key=str):
            if denied := cls._judge_nested(exchange, model, operation):
                exchange.place = f"{model}: {operation.value}"
                return denied
        # without a scope Odoo's own answer stands: some models take names that are no fields
        scoped = (policy for policy in exchange.identity.policies if policy.scopes is not None and policy.enforced)
        if contents.unknown and (policy := next(scoped, None)) is not None:
            unknown = sorted(contents.unknown)[:_MAX_NAMES]
            exchange.place = ", ".join(f"{model}.{ascii(name)[1:-1][:_MAX_NAME]}" for model, name in unknown)
            return Deny(Reason.UNKNOWN_FIELD, policy.name)
        if contents.texts and any(policy.on_active for policy in exchange.identity.policies):
            active = next((f"{model}.{name}" for model, name, text in contents.texts if is_active(text)), None)
            if active:
                exchange.place = active
                return decide_active(exchange.identity.policies, verdict)
        return verdict

    @classmethod
    def _judge_nested(cls, exchange, model, operation):
        """The refusal of what a running method does to another model by its caller's rights, or None."""
        place = (model, operation)
        if place not in exchange.nested:
            call = exchange.call
            target = Target(model, call.target.method, frozenset({operation}), renders(exchange.registry, model))
            nested = replace(call, target=target, arguments=None)
            verdict = cls._decide(exchange, nested, exchange.identity.policies)
            exchange.nested[place] = verdict if isinstance(verdict, Deny) else None
        return exchange.nested[place]

    @classmethod
    def _run(cls, exchange, cr, method):
        """Run an admitted method: `method()`. What was refused inside and forgiven there is no refusal of the call."""
        judged = exchange.registry["api.limiter"]._end(exchange, exchange.verdict)
        if isinstance(judged, Deny):
            raise cls._refused_inside(exchange, judged, exchange.place)
        exchange.verdict = judged
        verdict, place = exchange.verdict, exchange.place
        if exchange.closures and (exchange.references or _are_given(exchange)):
            cls._check_given(exchange, cr)
        if not exchange.read_only:
            result = method()
        else:
            try:
                with read_only(cr):
                    result = method()
            except ReadOnlySqlTransaction as error:
                raise cls._refused_inside(exchange, cls._read_only_deny(exchange)) from error
        exchange.verdict, exchange.place = verdict, place
        if exchange.closures and exchange.call.target.method == "name_create":
            env = Environment(cr, exchange.identity.uid, {})
            result = env["api.data"]._renamed(exchange.call.target.model, result)
        judged = decide_answer(exchange.identity.policies, rows_of(result), verdict)
        if isinstance(judged, Deny):
            raise cls._refused_inside(exchange, judged)
        exchange.verdict = judged
        return result

    @classmethod
    def _check_given(cls, exchange, cr):
        target, env = exchange.call.target, Environment(cr, exchange.identity.uid, {})
        if target.model not in exchange.registry:
            return
        if _are_given(exchange):
            env["api.data"]._check_given(env[target.model].browse(exchange.given), target.operations)
        env["api.data"]._check_references(exchange.references)

    @classmethod
    def _check_defaults(cls, exchange, model, names):
        """What a call's context gives to new records is the caller's doing, with whatever rights they are made."""
        context = model.env.context
        values = {name: value for name, value in exchange.defaults.items() if name in names}
        values = {name: value for name, value in values.items() if context.get(f"default_{name}") == value}
        if not values:
            return
        contents = contents_of_defaults(exchange.registry, model._name, values, exchange.reads_only)
        contents = _with_names(model.env.cr, contents)
        verdict = cls._judge_contents(exchange, contents, exchange.verdict)
        if isinstance(verdict, Deny):
            raise cls._refused_inside(exchange, verdict, exchange.place)
        if exchange.closures:
            env = Environment(model.env.cr, exchange.identity.uid, {})
            env["api.data"]._check_references(contents.references)

    @classmethod
    def _read_only_deny(cls, exchange):
        policy = next(policy for policy in exchange.identity.policies if policy.read_only and policy.enforced)
        return Deny(Reason.READ_ONLY, policy.name)

    @classmethod
    def _confine(cls, exchange, env, arguments, positional=()):
        """Let `arguments`, which hold the context, act in the companies of the policies."""
        if exchange.companies is not None:
            cls._require_companies(exchange, env, arguments.get("context"))
            everything = {"": positional, **arguments}
            context = exchange.registry["api.data"]._confined(exchange, env, everything)
            if context is None:
                raise cls._refused_inside(exchange, Deny(Reason.OUT_OF_SCOPE))
            arguments["context"] = context

    @classmethod
    def _require_companies(cls, exchange, env, context):
        """Refuse a call for companies that are its user's, and that a policy takes. Of others, Odoo tells."""
        asked = set(ids_of(context.get("allowed_company_ids"))) if isinstance(context, dict) else set()
        if not (taken := asked - exchange.companies):
            return
        taken &= set(env["res.users"].browse(exchange.identity.uid).sudo().company_ids.ids)
        for closure in exchange.closures if taken else ():
            if closure.policy.companies is not None and taken - closure.policy.companies:
                deny = Deny(Reason.RECORD_HIDDEN, closure.policy.name)
                raise cls._refused_inside(exchange, deny, "res.company: read")

    @classmethod
    def _refused_inside(cls, exchange, deny, place=None):
        """The exception that ends a running method, noted as the verdict on the whole call.

        `place`: what it met, for the log; the caller is not told.
        """
        exchange.verdict, exchange.place = deny, place
        return Refused(deny, exchange.request_id)

    @classmethod
    def _minting_credential(cls, env):
        """The id of the key with which a program is making another key, or None."""
        exchange = of_cursor(env.cr)
        return exchange.identity.credential_id if exchange and exchange.identity else None

    # ---------------------------------------------------------------- settings

    @classmethod
    def _debug_errors(cls, exchange):
        settings = exchange.identity.settings if exchange.identity else {}
        return settings.get("api_guard.debug_errors") in ("True", "1", "true")


def _says_all(target, arguments):
    """Do the values of the call name every field that its caller gives? Defaults of its context may nest others."""
    context = (arguments or {}).get("context")
    defaults = context.items() if isinstance(context, dict) else ()
    nested = any(isinstance(value, (list, tuple, dict)) for name, value in defaults if name.startswith("default_"))
    return target.method in _BY_VALUES and not nested


def _are_given(exchange):
    """Does the call name records of which Odoo's rules are not asked as they are read?"""
    return exchange.record_ids and (not exchange.reads_only or exchange.call.target.method in UNASKED)


def _with_names(cr, contents):
    """The contents of a call's values, each model by its name."""
    ids = [model for model, _number in contents.references if not isinstance(model, str)]
    if not ids:
        return contents
    cr.execute(SQL("SELECT id, model FROM ir_model WHERE id = ANY(%s)", ids))
    return named(contents, dict(cr.fetchall()))
