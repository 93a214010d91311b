"""Settings: where limits and lockouts are counted, and whether that can be reached."""

from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.tools import config

from ..stores.store import StoreDown
from .api_limiter import OPTION


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    api_guard_store_used = fields.Char("Counters in use", compute="_compute_api_guard_store_used")

    @api.depends_context("uid")
    def _compute_api_guard_store_used(self):
        self.api_guard_store_used = self._api_guard_store_in_words()

    @api.model
    def _api_guard_store_in_words(self):
        """What counts at this moment. No password: who may see the settings need not know it."""
        option = config.get(OPTION) or ""
        url = option or self.env["ir.config_parameter"].sudo().get_param("api_guard.store_url") or ""
        if not url or url == "postgresql":
            return self.env._("In use: this database, as odoo.conf says.") if option else self.env._(
                "In use: this database."
            )
        if option:
            return self.env._("In use: %(server)s, as odoo.conf says.", server=_server(url))
        return self.env._("In use: %(server)s.", server=_server(url))

    @api.model
    def _api_guard_checks(self):
        return [*super()._api_guard_checks(), self._api_guard_check_store()]

    @api.model
    def _api_guard_check_store(self):
        settings = self.env["api.identity"]._nobody(self.env.cr).settings
        try:
            self.env["api.limiter"]._store(self.env.registry, settings).load(["check"])
        except StoreDown:
            return (
                False,
                self.env._("Counters of limits and lockouts cannot be reached"),
                self.env._(
                    "%(store)s It does not answer: calls under a limit are refused unless their policy says otherwise, "
                    "and each process counts wrong secrets alone. See that it runs and can be reached from here, or "
                    "empty the field (and api_guard_store in odoo.conf) to count in this database.",
                    store=self._api_guard_store_in_words(),
                ),
            )
        return (True, self.env._("Counters of limits and lockouts can be reached"), "")


def _server(url):
    """The host of a URL, with nothing that is secret.

    >>> _server("redis://user:secret@10.0.0.5:6379/0?password=x")
    '10.0.0.5:6379'
    """
    try:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2] or parts.path.partition("?")[0] or "?"
    except ValueError:
        return "?"
