"""What proves that a call is in the log? For the program that made it, and for whoever checks it later."""

from odoo import http
from odoo.exceptions import UserError
from odoo.http import request

from ..models.api_audit_receipt import SEAL_SECONDS
from ..seams.exchange import current

_GREATEST = 2**53 - 1
_PRIVATE = [("Cache-Control", "private, no-store")]
_CODES = {403: "receipt_withheld", 404: "not_found", 422: "malformed"}


class Receipt(http.Controller):
    # not `readonly`: a replica may not have yet what was sealed a moment ago
    @http.route("/api_guard/v1/receipt/<request_id>", type="http", auth="bearer", methods=["GET"], save_session=False)
    def receipt(self, request_id):
        """The receipts of a call, once it is sealed; see docs/receipts.md. No rights are needed for one's own."""
        status, told = request.env["api.audit.receipt"]._receipts(request_id, current())
        if status == 200:
            return request.make_json_response(told, headers=_PRIVATE)
        if status == 202:
            body = {"status": "pending", "message": told, "request_id": current().request_id}
            wait = [("Retry-After", str(SEAL_SECONDS))]
            return request.make_json_response(body, headers=_PRIVATE + wait, status=202)
        return _refusal(status, told)

    @http.route("/api_guard/v1/log", type="http", auth="bearer", methods=["GET"], save_session=False)
    def log(self):
        """The log's origin, its public keys and its last checkpoint."""
        return request.make_json_response(request.env["api.audit.receipt"]._log(), headers=_PRIVATE)

    @http.route("/api_guard/v1/consistency", type="http", auth="bearer", methods=["GET"], save_session=False)
    def consistency(self, **given):
        """That the log only grew from checkpoint `from` to checkpoint `to`; without `to`, to the last one."""
        proofs = request.env["api.audit.receipt"]
        old, new = (_number(given.get(name)) for name in ("from", "to"))
        if old is None or (new is None and "to" in given):
            return _refusal(422, request.env._("Give the numbers of two checkpoints: ?from=1&to=2"))
        last = request.env["api.audit.checkpoint"]._last()
        try:
            told = proofs._consistency(proofs._checkpoint(old), proofs._checkpoint(new) if new else last)
        except UserError as error:
            return _refusal(404, str(error))
        return request.make_json_response(told, headers=_PRIVATE)


def _number(text):
    number = int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 17 else None
    return number if number and number <= _GREATEST else None


def _refusal(status, sentence):
    body = {"error": _CODES[status], "message": sentence, "request_id": current().request_id}
    return request.make_json_response(body, headers=_PRIVATE, status=status)
