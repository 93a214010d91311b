"""Settings: the baseline, trusted proxies, and what this deployment lets the guard reach."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.tools import config

from ..core.network import parse_network, readable_networks
from ..seams import master
from ..stores.redis import SCHEMES, redis_store
from ..stores.store import StoreDown

NUMBERS = ("lockout_failures", "lockout_network_failures", "lockout_minutes", "lockout_hours")
MAX_NUMBER = 100_000


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    api_guard_baseline_policy_id = fields.Many2one(
        "api.policy",
        groups="base.group_system",
        string="Baseline policy",
        config_parameter="api_guard.baseline_policy_id",
        help="Applies to every API call of everybody, besides the policies of user and key.",
    )
    api_guard_trusted_proxies = fields.Char(
        groups="base.group_system",
        string="Trusted proxies",
        config_parameter="api_guard.trusted_proxies",
        help="Addresses or networks of your reverse proxies, separated by commas. Only what they report in "
        "X-Forwarded-For is believed.",
    )
    api_guard_refuse_rpc_passwords = fields.Boolean(
        groups="base.group_system",
        string="Refuse passwords over RPC",
        config_parameter="api_guard.refuse_rpc_passwords",
    )
    api_guard_debug_errors = fields.Boolean(
        groups="base.group_system", string="Show error details to callers", config_parameter="api_guard.debug_errors"
    )
    api_guard_lockout_failures = fields.Integer(
        groups="base.group_system",
        string="Wrong secrets before a lock",
        config_parameter="api_guard.lockout_failures",
        default=5,
        help="Of one login from one network; of a key's prefix, of codes, of the master password. 0: never.",
    )
    api_guard_lockout_network_failures = fields.Integer(
        groups="base.group_system",
        string="Wrong secrets of a network in an hour",
        config_parameter="api_guard.lockout_network_failures",
        default=50,
        help="With whatever logins. 0: no limit.",
    )
    api_guard_lockout_minutes = fields.Integer(
        groups="base.group_system",
        string="Longest lock (minutes)",
        config_parameter="api_guard.lockout_minutes",
        default=60,
    )
    api_guard_lockout_hours = fields.Integer(
        groups="base.group_system",
        string="Forgotten after (hours)",
        config_parameter="api_guard.lockout_hours",
        default=24,
    )
    api_guard_lockout_trusted = fields.Char(
        groups="base.group_system",
        string="Networks that are never locked out",
        config_parameter="api_guard.lockout_trusted",
        help="Addresses or networks, separated by commas: your own office, say. Wrong secrets from there are not "
        "counted.",
    )
    api_guard_store_url = fields.Char(
        groups="base.group_system",
        string="Counters of limits and lockouts",
        config_parameter="api_guard.store_url",
        help="Empty: this database. Or the URL of a Redis or Valkey server: redis://host:6379/0, rediss://… for TLS.",
    )
    api_guard_x_ratelimit = fields.Boolean(
        groups="base.group_system", string="Send X-RateLimit headers as well", config_parameter="api_guard.x_ratelimit"
    )
    api_guard_durability = fields.Selection(
        [("strict", "Strict: on the disk before the answer"), ("relaxed", "Relaxed: within a second")],
        groups="base.group_system",
        string="Entries of calls that change nothing",
        config_parameter="api_guard.durability",
        default="strict",
    )
    api_guard_is_copy = fields.Boolean(compute="_compute_api_guard_is_copy")
    api_guard_self_check = fields.Html(compute="_compute_api_guard_self_check", sanitize=False)

    @api.constrains("api_guard_trusted_proxies")
    def _check_api_guard_trusted_proxies(self):
        for settings in self:
            settings._check_networks(settings.api_guard_trusted_proxies)

    def _check_networks(self, networks):
        for text in (networks or "").replace(",", " ").split():
            try:
                parse_network(text)
            except ValueError:
                raise ValidationError(
                    self.env._("“%(network)s” is no address and no network in CIDR notation.", network=text)
                ) from None

    @api.constrains("api_guard_lockout_trusted")
    def _check_api_guard_lockout_trusted(self):
        for settings in self:
            settings._check_networks(settings.api_guard_lockout_trusted)
            for network in readable_networks(settings.api_guard_lockout_trusted):
                if not network.prefixlen:
                    raise ValidationError(
                        self.env._("“%(network)s” is everybody: nobody would ever be locked out.", network=str(network))
                    )

    @api.constrains(*(f"api_guard_{name}" for name in NUMBERS))
    def _check_api_guard_lockout(self):
        for settings in self:
            if any(not 0 <= settings[f"api_guard_{name}"] <= MAX_NUMBER for name in NUMBERS):
                raise ValidationError(
                    self.env._("The numbers of lockouts lie between 0 and %(most)s.", most=MAX_NUMBER)
                )
            if min(settings.api_guard_lockout_minutes, settings.api_guard_lockout_hours) < 1:
                raise ValidationError(
                    self.env._("A lock lasts at least a minute, and is remembered for at least an hour.")
                )

    @api.constrains("api_guard_store_url")
    def _check_api_guard_store_url(self):
        """A store that does not answer would refuse calls from the next one on: a new one is asked here first."""
        known = self.env["ir.config_parameter"].sudo().get_param("api_guard.store_url")
        for settings in self:
            url = (settings.api_guard_store_url or "").strip()
            if not url or url in ("postgresql", known):
                continue
            if not url.startswith(SCHEMES):
                raise ValidationError(
                    self.env._("“%(url)s” is no URL of Redis or Valkey, such as redis://127.0.0.1:6379/0.",
                               url=url.partition("@")[2] or url)
                )  # fmt: skip
            try:
                redis_store(url, "check").load(["check"])
            except StoreDown as error:
                raise ValidationError(
                    self.env._("The server at this URL does not answer (%(error)s). Is it running, and may it be "
                               "reached from here?", error=error)
                ) from None  # fmt: skip

    @api.model
    def default_get(self, fields):
        """Odoo reads the parameters for whoever asks, whatever groups a field has: ours are not everybody's to know."""
        if not self.env.is_system():
            fields = [name for name in fields if not name.startswith("api_guard_")]
        return super().default_get(fields)

    def set_values(self):
        """Odoo forgets a parameter that is zero; here zero means something."""
        result = super().set_values()
        parameters = self.env["ir.config_parameter"].sudo()
        for name in NUMBERS:
            parameters.set_param(f"api_guard.{name}", str(self[f"api_guard_{name}"]))
        return result

    @api.depends_context("uid")
    def _compute_api_guard_is_copy(self):
        self.api_guard_is_copy = self._api_guard_bound_name() != self.env.cr.dbname

    @api.model
    def _api_guard_bound_name(self):
        return self.env["ir.config_parameter"].sudo().get_param("api_guard.database_name")

    def action_api_guard_confirm_database(self):
        """This database bears its name by right, and its keys may work."""
        if not self.env.is_system():
            raise AccessError(self.env._("Only an administrator says which database this is."))
        self.env["api.guard"]._require_configuration_right(self.env)
        self.env["api.credential"]._confirm_database()
        return {"type": "ir.actions.client", "tag": "reload"}

    @api.depends_context("uid")
    def _compute_api_guard_self_check(self):
        checks = self._api_guard_checks()
        for settings in self:
            settings.api_guard_self_check = self.env["ir.qweb"]._render("api_guard.self_check", {"checks": checks})

    @api.model
    def _api_guard_checks(self):
        """What this deployment lets the guard reach: [(is fine, what is so, what to do)]."""
        parameters = self.env["ir.config_parameter"].sudo()
        server_wide = master.is_server_wide()
        proxies = parameters.get_param("api_guard.trusted_proxies")
        baseline_id = int(parameters.get_param("api_guard.baseline_policy_id") or 0)
        baseline = self.env["api.policy"].sudo().browse(baseline_id).exists()
        refuses = baseline.refuse_passwords and baseline.mode == "enforce"
        default_master = config.verify_admin_password("admin")
        locks = parameters.get_param("api_guard.lockout_failures") != "0"
        checks = [
            (
                server_wide,
                self.env._("API Guard is loaded for the whole server"),
                self.env._("API Guard is not loaded for the whole server"),
                self.env._(
                    "The database service (db.* over RPC, /web/database) and calls before a database is loaded are not "
                    "governed. Add api_guard to server_wide_modules in odoo.conf and restart."
                ),
            ),
            (
                not default_master,
                self.env._("The master password is not Odoo's default"),
                self.env._("The master password is Odoo's default"),
                self.env._("Anybody can create, copy and drop databases. Set admin_passwd in odoo.conf."),
            ),
            (
                bool(proxies) or not config["proxy_mode"],
                self.env._("Addresses of callers are known"),
                self.env._("Addresses of callers are not known"),
                self.env._(
                    "The server runs behind a proxy, but no trusted proxy is set: every caller seems to be the proxy. "
                    "Enter its address above."
                ),
            ),
            (
                not config["list_db"],
                self.env._("The list of databases is not shown"),
                self.env._("The list of databases is shown to everybody"),
                self.env._("Set list_db = False in odoo.conf, unless people have to choose a database."),
            ),
            (
                parameters.get_param("api_guard.refuse_rpc_passwords") in ("True", "1") or refuses,
                self.env._("Programs use keys, not passwords"),
                self.env._("Programs may use passwords"),
                self.env._(
                    "A password over RPC has all rights of its user, and no policy of a key. "
                    "Tick “Refuse passwords over RPC”."
                ),
            ),
            (
                locks,
                self.env._("Wrong secrets lead to a lock"),
                self.env._("Wrong secrets lead to no lock"),
                self.env._("Passwords can be guessed without end. Allow a number of wrong secrets, such as 5."),
            ),
            (
                self._api_guard_bound_name() == self.env.cr.dbname,
                self.env._("Keys belong to this database"),
                self.env._("Keys are asleep: this database is a copy, or bears a new name"),
                self.env._(
                    "The keys in it were made in “%(name)s”, and open nothing here. If this is that database under a "
                    "new name, confirm it above. If it is a copy, leave it so: the programs stay where they belong.",
                    name=self._api_guard_bound_name() or "?",
                ),
            ),
            (
                bool(baseline),
                self.env._("A baseline policy applies to everybody"),
                self.env._("No policy applies to everybody"),
                self.env._(
                    "Keys and users without a policy of their own are not restricted. Choose a baseline policy."
                ),
            ),
        ]
        return [(is_fine, good if is_fine else bad, remedy) for is_fine, good, bad, remedy in checks]
