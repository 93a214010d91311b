"""What may the key that asks call? For whoever writes the program, and for its tools."""

from odoo import http
from odoo.http import request


class OpenApi(http.Controller):
    @http.route(
        "/api_guard/v1/openapi.json", type="http", auth="bearer", methods=["GET"], save_session=False, readonly=True
    )
    def openapi(self, models=None):
        """OpenAPI 3.1 of what the caller may call on JSON-2. `models`: only these, separated by commas."""
        wanted = None if models is None else [name.strip() for name in models.split(",")]
        document = request.env["api.openapi"]._document(wanted)
        return request.make_json_response(document, headers=[("Cache-Control", "private, no-store")])
