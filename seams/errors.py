"""How does an error look from outside? One place words it, for every door.

Business errors (`UserError` and its kin) are written for people and pass.
Everything else is told in one sentence with the request id, which finds the
story in the audit log. Databases without the guard keep Odoo's own answers.
"""

import os
import xmlrpc.client

import odoo.http
import psycopg2
from odoo.addons.rpc.controllers import xmlrpc as xmlrpc_controller
from odoo.exceptions import AccessDenied, AccessError, RedirectWarning, UserError
from odoo.modules.registry import Registry
from werkzeug.exceptions import HTTPException

from ..core.call import RPC_DOORS, Door
from ..core.sensitive import blank
from ..core.verdict import Deny, Reason
from ..exceptions import Refused
from .exchange import current, guarded
from .patch import patch

_ACCESS_DENIED = "odoo.exceptions.AccessDenied"
_SEAMS = os.path.dirname(__file__)
SENTENCE = "The server could not complete the call."


def public_message(error, request_id):
    """The text of `error` that may leave the server, in characters that can."""
    return _public_text(error, request_id).encode("utf-8", "replace").decode()


def _public_text(error, request_id):
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, (UserError, RedirectWarning)):
        return _without_names(error)
    if isinstance(error, HTTPException) and error.description:
        return str(error.description)
    if _names_a_field(error):
        return str(error)
    return f"{SENTENCE} (request {request_id})"


def unfit(error, request_id):
    """The sentence for values that a method of the ORM cannot read; it may say which field there is none."""
    if _names_a_field(error):
        return str(error)
    return f"The values of this call do not fit its method. (request {request_id})"


def _names_a_field(error):
    """The ORM says which field of the call is none: the caller's own mistake, told in the caller's own words."""
    return type(error) is ValueError and str(error).startswith("Invalid field ")


def _without_names(error):
    """A constraint's text may name tables, where it comes from the database."""
    text = str(error.args[0]) if error.args else str(error)
    cause = error.__cause__
    if isinstance(cause, psycopg2.Error):
        return blank(text, [name for name in (cause.diag.constraint_name, cause.diag.table_name) if name])
    return text


def uniform(error, exchange):
    """`error` as the caller may know it: one refusal for everything that the guard refused."""
    if exchange.is_refused and (not isinstance(error, Refused) or isinstance(error, AccessError)):
        return Refused(exchange.verdict, exchange.begin())
    if isinstance(error, AccessDenied) and not isinstance(error, Refused) and exchange.door in RPC_DOORS:
        return Refused(Deny(Reason.UNKNOWN_CREDENTIAL), exchange.begin())
    if _names_a_field(error) and not exchange.deferred:
        return RuntimeError()  # only a text can carry the request id then, and this one leaves no room for it
    return error


def shows_details(exchange):
    """Has the developer of this database asked for Odoo's own error answers?"""
    return exchange.is_governed and exchange.registry["api.guard"]._debug_errors(exchange)


def _judge(error):
    """The exchange whose answer has to be reworded, or None where Odoo's own answer stands."""
    exchange = current()
    if exchange is None or exchange.door not in (Door.XMLRPC, Door.XMLRPC_V1, Door.JSONRPC):
        return None
    if not exchange.is_governed and not _is_anonymous(exchange.database):
        _hide_frames(error)
        return None
    exchange.begin()
    exchange.fail(error)
    if not exchange.deferred and exchange.is_governed:
        exchange.registry["api.recorder"]._finish(exchange)
    return None if shows_details(exchange) else exchange


def _hide_frames(error):
    """A database without the guard shows Odoo's traceback, not the wrappers that the call came through."""
    while error is not None:
        frame = error.__traceback__
        while frame is not None:
            while frame.tb_next is not None and frame.tb_next.tb_frame.f_code.co_filename.startswith(_SEAMS):
                frame.tb_next = frame.tb_next.tb_next
            frame = frame.tb_next
        error = error.__cause__ or error.__context__


def _is_anonymous(database):
    """Does this error belong to no database that answers as stock Odoo does?"""
    try:
        return guarded(database) is not None or database not in Registry.registries
    except TypeError:
        return True


def _xmlrpc_fault(make):
    def around(original):
        def handle(error):
            exchange = _judge(error)
            if exchange is None:
                return original(error)
            error = uniform(error, exchange)
            message = public_message(error, exchange.request_id)
            if isinstance(error, (UserError, RedirectWarning)):
                return original(_reworded(error, message))
            return xmlrpc_controller.dumps(make(message))

        return handle

    return around


def _reworded(error, message):
    """An error of the same class, so that Odoo gives it the same fault code, that says only `message`."""
    clone = error.__class__.__new__(error.__class__)
    clone.args = (message,)
    return clone


def _jsonrpc_handle_error(original):
    def handle_error(self, exc):
        exchange = _judge(exc)
        if exchange is None:
            return original(self, exc)
        return self._response(error=jsonrpc_error(uniform(exc, exchange), exchange))

    return handle_error


def jsonrpc_error(error, exchange):
    """The error member of a JSON-RPC answer, in the shape that Odoo's clients read."""
    return {
        "code": 404 if getattr(error, "code", None) == 404 else 0,
        "message": "Odoo Server Error",
        "data": error_body(error, exchange) | ({"name": _ACCESS_DENIED} if isinstance(error, Refused) else {}),
    }


def error_body(error, exchange):
    """The JSON that describes `error`: Odoo's own members, without the traceback; ours only in our own refusals."""
    message = public_message(error, exchange.request_id)
    if isinstance(error, Refused):
        return _refusal_body(error.deny.reason, exchange.request_id, error.sentence)
    if isinstance(error, HTTPException):
        return _body(_class_name(error), message, [message, error.code])
    if isinstance(error, (UserError, RedirectWarning)) or _names_a_field(error):
        return _body(_class_name(error), message, [message])
    return _body("builtins.Exception", message, [message])


def _refusal_body(reason, request_id, sentence=None):
    name = "werkzeug.exceptions.Unauthorized" if reason.status == 401 else _ACCESS_DENIED
    sentence = sentence or reason.sentence
    body = _body(name, sentence, [sentence])
    return body | {"error": reason.public_code, "request_id": request_id}


def _body(name, message, arguments):
    return {"name": name, "message": message, "arguments": arguments, "context": {}, "debug": ""}


def _class_name(error):
    return f"{type(error).__module__}.{type(error).__name__}"


def install():
    patch(
        xmlrpc_controller,
        "xmlrpc_handle_exception_int",
        _xmlrpc_fault(lambda text: xmlrpc.client.Fault(xmlrpc_controller.RPC_FAULT_CODE_APPLICATION_ERROR, text)),
    )
    patch(
        xmlrpc_controller, "xmlrpc_handle_exception_string", _xmlrpc_fault(lambda text: xmlrpc.client.Fault(text, ""))
    )
    patch(odoo.http.JsonRPCDispatcher, "handle_error", _jsonrpc_handle_error)
