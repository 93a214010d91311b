"""Where anybody may report a key that was found where it does not belong: a scanner, a colleague, a stranger."""

import json

from odoo import http
from odoo.http import request
from werkzeug.exceptions import NotFound

from ..core.leak import read_report
from ..seams.exchange import guarded

_MAX_BODY = 64 * 1024  # bytes; twenty keys are less than 1 kB


class Leak(http.Controller):
    # `_ignored`: a name that it does not know, Odoo would write to the server's log, and it may be the key
    @http.route("/api_guard/v1/leak", type="http", auth="none", methods=["POST"], csrf=False, save_session=False)
    def leak(self, **_ignored):
        """Take a report: {"secret": …}, {"token": …} or {"secrets": […]}. The answer tells nothing of the keys."""
        registry = guarded(request.db)
        if registry is None:  # a server-wide addon is asked for databases without the guard, too
            raise NotFound
        reports, cr = registry["api.leak.report"], request.env.cr
        exchange = reports._open(registry, cr)
        if (deny := reports._refusal(exchange)) is not None:
            return _answer(exchange, deny.reason.status, deny.reason.public_code, deny.sentence)
        if exchange.body_size > _MAX_BODY:
            return _answer(exchange, 413, "too_large", f"A report has at most {_MAX_BODY} bytes, and tells its length.")
        try:
            secrets = read_report(json.loads(request.httprequest.get_data()))
        except (ValueError, RecursionError):
            return _answer(exchange, 400, "malformed", _USAGE)
        reports._take(exchange, cr, secrets)
        body = {"status": "accepted", "request_id": exchange.request_id}
        return request.make_json_response(body, status=202)


_USAGE = 'Send {"secret": "…"} or {"secrets": ["…", …]} as JSON, with at most 20 texts.'


def _answer(exchange, status, code, sentence):
    body = {"error": code, "message": sentence, "request_id": exchange.request_id}
    return request.make_json_response(body, status=status)
