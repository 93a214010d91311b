"""The RPC services: which database does a call mean, and does the guard let it run?

Around `odoo.service`; XML-RPC and /jsonrpc meet here. JSON-2 never comes here:
see `models/ir_http.py`.
"""

import json
import time

import odoo.http
import odoo.service.common
import odoo.service.db
import odoo.service.model
from odoo.addons.rpc.controllers import xmlrpc as xmlrpc_controller
from odoo.modules.registry import Registry
from odoo.tools import json_default

from ..core.call import RPC_DOORS, Door
from ..core.verdict import Deny, Reason
from ..exceptions import Refused
from . import master
from .beside import beside
from .exchange import bind, current, guarded, of_cursor
from .patch import patch
from .read_only import hold_always

_UP_TO_DATE_SECONDS = 0.1


def _is_loaded(database):
    try:
        return database in Registry.registries
    except TypeError:  # a list, a dict: no database's name
        return False


def _note_service(service, method, database):
    exchange = current()
    if exchange is not None:
        if exchange.door not in RPC_DOORS:  # whatever path led here, this is RPC
            exchange.door = Door.XMLRPC
        exchange.service = f"{service}.{method}"[:100]
        exchange.database = database
    return exchange


def _secret(params):
    """What an RPC call presents as its secret: the third parameter of `object` and `common` alike."""
    return params[2] if len(params) > 2 else None


def _asked(params):
    """The model and method that a call of `object` names, as far as they are names."""
    model, method = (*params[3:5], None, None)[:2]
    return (model if isinstance(model, str) else None, method if isinstance(method, str) else None)


def _refuse_unknown_database(exchange, secret):
    """Answer for a database that is not there as for a wrong secret: same sentence, same time."""
    master.burn_password(secret)
    raise Refused(Deny(Reason.UNKNOWN_CREDENTIAL), exchange.begin() if exchange else "-") from None


def _model_dispatch(original):
    def dispatch(method, params):
        database = params[0] if params else None
        exchange = _note_service("object", method, database)
        if exchange is None:
            return original(method, params)
        exchange.asked = _asked(params)
        master.check_visible(exchange, database, _secret(params))
        try:
            result = original(method, params)
        except Exception:
            if not _is_loaded(database) and not master.is_stock(database):
                _refuse_unknown_database(exchange, _secret(params))
            raise
        if exchange.sent is not None:
            exchange.registry["api.recorder"]._require_entered(exchange)
        return result

    return dispatch


def _told_to_wait(exchange, result):
    """Odoo answers False to whatever was refused. Who has to wait is told so, or it would go on trying."""
    if result is False and exchange.is_refused and exchange.verdict.reason.is_temporary:
        raise Refused(exchange.verdict, exchange.request_id)
    return result


def _common_dispatch(original):
    def dispatch(method, params):
        if method not in ("authenticate", "login"):
            _note_service("common", method, None)
            return original(method, params)
        database = params[0] if params else None
        exchange = _note_service("common", method, database)
        if exchange is None:
            return original(method, params)
        try:
            master.check_visible(exchange, database, _secret(params))
            return _told_to_wait(exchange, original(method, params))
        except Exception as error:
            if isinstance(error, Refused):
                if error.deny.reason.is_temporary:
                    raise
                return False  # what Odoo answers to a wrong password
            if _is_loaded(database) or master.is_stock(database):
                raise
            master.burn_password(_secret(params))
            exchange.begin()
            return False

    return dispatch


def _db_dispatch(original):
    def dispatch(method, params):
        exchange = _note_service("db", method, None)
        if exchange is not None and master.is_server_wide():
            return master.dispatch(original, exchange, method, params)
        return original(method, params)

    return dispatch


def _execute_cr(original):
    def execute_cr(cr, uid, obj, method, args, kw):
        registry = guarded(cr.dbname)
        exchange = of_cursor(cr) if registry is not None else None
        if exchange is None or exchange.identity is None:
            return original(cr, uid, obj, method, args, kw)  # no secret was presented for this
        registry["api.guard"]._authorize_rpc(exchange, cr, uid, obj, method, args, kw)
        try:
            return original(cr, uid, obj, method, args, kw)
        except Exception as error:
            registry["api.recorder"]._fail(exchange, error)
            if not exchange.deferred:
                registry["api.recorder"]._finish(exchange)
            raise
        finally:
            exchange.running = False

    return execute_cr


def _call_kw(original):
    """Once per attempt: what did the method return, and how large is it on the wire?"""

    def call_kw(model, name, args, kwargs):
        exchange = of_cursor(model.env.cr)
        if exchange is None or not (exchange.running and exchange.is_governed):
            return original(model, name, args, kwargs)
        guard, cr = exchange.registry["api.guard"], model.env.cr
        guard._confine(exchange, model.env, kwargs, args)
        result = guard._run(exchange, cr, lambda: original(model, name, args, kwargs))
        model.env["api.recorder"]._note_result(exchange, name, result)
        _render(exchange, result)
        return result

    return call_kw


def _render(exchange, result):
    try:
        if exchange.door is Door.JSONRPC:
            exchange.bytes = len(json.dumps(result, ensure_ascii=False, default=json_default).encode())
        elif exchange.door in (Door.XMLRPC, Door.XMLRPC_V1):
            exchange.rendered = (result, xmlrpc_controller.dumps((result,)))
            exchange.bytes = len(exchange.rendered[1].encode())
    except Exception as error:  # Odoo meets the same error after the commit, and answers with it
        exchange.unrenderable = error


def _dumps(original):
    def dumps(params):
        exchange = current()
        if exchange is not None and exchange.rendered is not None and isinstance(params, tuple):
            result, text = exchange.rendered
            if params[0] is result:
                return text
        return original(params)

    return dumps


def _cursor(original):
    """A cursor that a method opens for itself may commit before the call does."""

    def cursor(self, /, readonly=False):
        cr = original(self, readonly=readonly)
        if not readonly and "api.guard" in self:
            exchange = current()
            if exchange is not None and exchange.running and exchange.registry.db_name == self.db_name:
                self["api.recorder"]._record_on_commit(exchange, cr)
                bind(exchange, cr)
                if exchange.read_only:
                    hold_always(cr)
        return cr

    return cursor


def _check_signaling(original):
    """Odoo asks twice in every RPC call what other workers have signalled, and plans that query anew each time.

    The second time is left out where the first was a moment ago. Not longer: a
    caller may take minutes to send a body, and must not keep the rights it had.
    The first time asks on a connection that keeps its plans, except where reads
    go to a replica: a cache must not be emptied before the replica has the change
    that it would be filled with.
    """

    def check_signaling(self, cr=None):
        exchange = current() if "api.guard" in self else None
        if exchange is None or exchange.door is Door.BEARER:
            return original(self, cr)
        registry, moment = exchange.up_to_date or (None, 0.0)
        exchange.up_to_date = None
        if cr is None and registry is self and time.monotonic() - moment < _UP_TO_DATE_SECONDS:
            return self
        if self._db_readonly is None:
            with beside(self) as own_cr:
                registry = original(self, own_cr)
        else:
            registry = original(self, cr)
        exchange.up_to_date = (registry, time.monotonic())
        return registry

    return check_signaling


def install():
    patch(odoo.service.model, "dispatch", _model_dispatch)
    patch(odoo.service.common, "dispatch", _common_dispatch)
    patch(odoo.service.db, "dispatch", _db_dispatch)
    patch(odoo.service.model, "execute_cr", _execute_cr)
    patch(odoo.service.model, "call_kw", _call_kw)
    patch(xmlrpc_controller, "dumps", _dumps)
    patch(Registry, "cursor", _cursor)
    patch(Registry, "check_signaling", _check_signaling)
