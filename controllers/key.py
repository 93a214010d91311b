"""A key replaces itself by its successor: for a cron job at the client, without a person."""

from odoo import http
from odoo.http import request


class Key(http.Controller):
    # csrf: a bearer token is nothing that a browser sends by itself
    @http.route(
        "/api_guard/v1/key/rotate",
        type="http",
        auth="bearer",
        methods=["POST"],
        save_session=False,
        csrf=False,
        api_guard_target=("api.key", "rotate"),  # what a policy may ask a code for, by whatever door
    )
    def rotate(self):
        """The successor of the key that asks, as JSON; see `api.key.rotate`. Asked again, it tells the same."""
        told = request.env["api.key"].rotate()
        return request.make_json_response(told, headers=[("Cache-Control", "private, no-store")])
