"""The bearer doors: JSON-2, JSON-1, docs, mail plugin, and any route with auth='bearer'."""

import json

import psycopg2
from odoo import models
from odoo.addons.web.controllers.utils import get_action_triples
from odoo.exceptions import UserError
from odoo.http import HttpDispatcher, JsonRPCDispatcher, request
from werkzeug.exceptions import UnprocessableEntity

from ..core.call import RPC_DOORS, Door, Kind, Operation, Target
from ..core.operation import OWN
from ..core.verdict import Allow
from ..exceptions import Refused
from ..seams import errors
from ..seams.exchange import current, door_of
from .target import target_of

# what Odoo's ORM and PostgreSQL raise over values of the wrong kind
_UNFIT = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError,
          NotImplementedError, psycopg2.DataError, psycopg2.ProgrammingError)  # fmt: skip
_EXECUTE = frozenset({Operation.EXECUTE})
_READ = frozenset({Operation.READ})


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    # rests on odoo/addons/base/models/ir_http.py, _match: http_routing serves /fr/json/2 as /json/2, so that the
    # door is told by the route that was found and not by the path that was asked for
    @classmethod
    def _match(cls, path_info):
        rule, args = super()._match(path_info)
        exchange = current()
        if exchange is not None and (door := door_of(rule.endpoint.routing["routes"][0])) is not None:
            exchange.door = door
            exchange.asked = (args.get("__model__"), args.get("__method__"))
        return rule, args

    # rests on odoo/addons/base/models/ir_http.py, _auth_method_bearer
    @classmethod
    def _auth_method_bearer(cls):  # pylint: disable=missing-return
        super()._auth_method_bearer()
        exchange = current()
        if exchange is not None and (exchange.identity is None or not isinstance(exchange.verdict, Allow)):
            request.registry["api.guard"]._admit_session(request.env)

    # rests on odoo/addons/base/models/ir_http.py, _dispatch: once per attempt, with the parameters at hand
    @classmethod
    def _dispatch(cls, endpoint):
        exchange = _governed(endpoint)
        if exchange is None:
            _note_route(endpoint)
            return super()._dispatch(endpoint)
        target = _target(exchange, endpoint)
        request.registry["api.guard"]._authorize_request(exchange, request.env.cr, target, request.params)
        recorder = request.registry["api.recorder"]
        guard, cr, dispatch = request.registry["api.guard"], request.env.cr, super()._dispatch
        try:
            guard._confine(exchange, request.env, request.params)
            if exchange.companies is not None:  # JSON-1 and others take no context
                request.update_context(allowed_company_ids=request.params["context"]["allowed_company_ids"])
            result = guard._run(exchange, cr, lambda: _answered(exchange, dispatch, endpoint))
        except Exception as error:
            recorder._fail(exchange, error)
            raise
        recorder._note_result(exchange, target.method, result)
        return result

    # rests on odoo/addons/base/models/ir_http.py, _post_dispatch: the answer is complete, its transaction still open
    @classmethod
    def _post_dispatch(cls, response):  # pylint: disable=missing-return
        super()._post_dispatch(response)
        exchange = current()
        if exchange is not None and exchange.running:
            exchange.bytes = response.content_length

    # rests on odoo/addons/base/models/ir_http.py, _handle_error
    @classmethod
    def _handle_error(cls, exception):
        exchange = current()
        if exchange is None or not (exchange.is_governed or _is_bearer_door(exchange)):
            return super()._handle_error(exception)
        if exchange.door in (Door.XMLRPC, Door.XMLRPC_V1, Door.JSONRPC, Door.WEB):
            return super()._handle_error(exception)  # worded in seams/errors.py; the web client's are Odoo's own
        return _answer_error(exchange, exception, super()._handle_error)


def _is_bearer_door(exchange):
    return exchange.door in (Door.JSON2, Door.JSON1, Door.DOCS, Door.MAIL_PLUGIN)


def _governed(endpoint):
    """The exchange, if a secret was presented for this route: a key anywhere, a session where a key belongs."""
    exchange = current()
    if exchange is None or exchange.identity is None or not isinstance(exchange.verdict, Allow):
        return None
    routing = endpoint.routing
    if routing["auth"] in ("none", "public", "user") and exchange.identity.credential.kind is not Kind.KEY:
        return None
    exchange.door = door_of(routing["routes"][0]) or Door.BEARER
    return exchange


def _answered(exchange, dispatch, endpoint):
    """What the route answers; Odoo's documentation, no more of it than the caller may call and read."""
    if exchange.door is not Door.DOCS or not (exchange.scoped or exchange.closures):
        return dispatch(endpoint)
    # Odoo keeps what it has once documented for all who are in the same groups
    request.httprequest.environ["HTTP_CACHE_CONTROL"] = "no-cache"
    with exchange.suspending():
        response = dispatch(endpoint)
        response.direct_passthrough = False
        shown = json.loads(response.get_data())
    narrowed = request.env["api.openapi"]._narrowed(shown)
    return request.make_json_response(narrowed, headers=[("Cache-Control", "private, no-store")])


def _note_route(endpoint):
    """A controller may check a key itself, in the middle of its work: then its route is what the key reaches."""
    exchange = current()
    if exchange is not None and exchange.door not in RPC_DOORS:
        exchange.route_target = Target(request.httprequest.path, endpoint.func.__name__, _EXECUTE)


def _target(exchange, endpoint):
    """What does this request reach?"""
    params = request.params
    if "__model__" in params and exchange.door is Door.JSON2:
        model, method = str(params["__model__"]), str(params["__method__"])
        return target_of(request.registry, model, method)
    if exchange.door is Door.JSON1:
        return _json1_target(params)
    if exchange.door is Door.DOCS:
        model = params.get("model_name")
        # the list of all models is narrowed to what the caller may call: nobody is barred from that
        return Target(str(model), "docs", _READ) if model else Target("ir.model", "docs", OWN)
    if (named := endpoint.routing.get("api_guard_target")) is not None:
        return target_of(request.registry, *named)
    if endpoint.func.__module__.startswith("odoo.addons.api_guard."):
        return Target(request.httprequest.path, endpoint.func.__name__, OWN)
    return Target(request.httprequest.path, endpoint.func.__name__, _EXECUTE)


def _json1_target(params):
    """JSON-1 names an action; what it shows is its model, and an action made by code is that code."""
    try:
        *_, (_active_id, action, _record_id) = get_action_triples(request.env, params.get("subpath") or "", start_pos=1)
    except (ValueError, UserError):
        return Target(request.httprequest.path, "json1", _EXECUTE)
    action = action.sudo()
    if action._name == "ir.actions.act_window":
        return Target(action.res_model, "web_read", _READ)
    return Target(action._name, "run", _EXECUTE)


def _answer_error(exchange, exception, stock):
    exchange.begin()
    if not exchange.is_governed:
        exchange.enter(request.registry)
    exchange.fail(exception)
    if not exchange.deferred:
        request.registry["api.recorder"]._finish(exchange)
    if errors.shows_details(exchange):
        return stock(exception)
    error = errors.uniform(exception, exchange)
    if _is_callers_mistake(exception, exchange):
        error = UnprocessableEntity(errors.unfit(error, exchange.request_id))
    if isinstance(request.dispatcher, JsonRPCDispatcher):
        return request.dispatcher._response(error=errors.jsonrpc_error(error, exchange))
    if isinstance(request.dispatcher, HttpDispatcher) and not isinstance(error, Refused):
        return stock(exception)  # a page, which tells no traceback
    return _json_error(error, exchange)


def _is_callers_mistake(error, exchange):
    """Did the ORM's own method fail over values that it cannot read? Business code may fail for any other cause.

    Told to credentials with a scope only: to all others Odoo's answers, its statuses included, stay as they are.
    """
    target = exchange.call and exchange.call.target
    if exchange.door is not Door.JSON2 or target is None or not exchange.scoped:
        return False
    if target.operations <= _EXECUTE or target.operations == OWN:
        return False
    return isinstance(error, _UNFIT) and not isinstance(error, (UserError, Refused))


def _json_error(error, exchange):
    status = getattr(error, "http_status", None) or getattr(error, "code", None) or 500
    response = request.make_json_response(errors.error_body(error, exchange), status=status)
    if isinstance(error, Refused):
        reason = error.deny.reason
        if reason.status in (401, 403):
            code = "" if exchange.identity is None else f' error="{reason.public_code}"'
            response.headers["WWW-Authenticate"] = f"Bearer{code}"
    elif status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
