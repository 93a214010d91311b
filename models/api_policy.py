"""Policies: what an administrator writes down, and the document that is judged by.

The document is a stored computed field: Odoo recomputes it in the transaction
that changes anything it depends on, and with it the fingerprint by which every
worker finds out, on the next call, that the policy is another one.
"""

from odoo import api, fields, models
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import UserError, ValidationError

from ..core.hiding import MAX_RULES, TYPES, check_mask, check_name
from ..core.network import parse_network
from ..core.policy import DOCUMENT_VERSION, compile_policy, fingerprint, write_document
from .api_scope_line import DATA_FIELDS

MAX_DAYS = 36_500
MAX_SIZE = 1_000_000
MAX_GRACE_HOURS = 24.0 * 366
DEFAULT_REMINDERS = "14, 7, 1"
#: field → (what `core.shape.Shape` calls it, how many of its units one is)
SHAPE = {
    "max_body_kib": ("body", 1024),
    "max_ids": ("ids", 1),
    "max_values": ("values", 1),
    "max_limit": ("limit", 1),
    "max_leaves": ("leaves", 1),
    "max_depth": ("depth", 1),
    "max_levels": ("levels", 1),
    "max_rows": ("rows", 1),
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class ApiPolicy(models.Model):
    _name = "api.policy"
    _inherit = ["api.guard.configuration"]
    _description = "API Policy"
    _order = "name"

    name = fields.Char(required=True)
    description = fields.Text()
    active = fields.Boolean(
        default=True, help="An archived policy is not offered any more; whoever has it stays bound by it."
    )
    mode = fields.Selection(
        [("enforce", "Enforce"), ("monitor", "Monitor")],
        default="enforce",
        required=True,
        help="Enforce refuses what the policy does not allow. Monitor refuses nothing and notes in the audit log "
        "what would have been refused.",
    )
    network_ids = fields.One2many("api.policy.network", "policy_id", string="Networks", copy=True)
    door_ids = fields.Many2many(
        "api.door", string="Doors", help="The doors this credential may use. None ticked: all of them."
    )
    scope_ids = fields.Many2many(
        "api.scope", string="Scopes", help="What the credential may reach. None: whatever its user may."
    )
    max_age_days = fields.Integer(
        "Greatest age (days)", help="A key older than this is refused until it is replaced. 0: no limit."
    )
    max_idle_days = fields.Integer(
        "Greatest idle time (days)",
        help="A key unused for longer than this is refused, and suspended until a manager resumes it. 0: no limit.",
    )
    rotation_days = fields.Integer(
        "Rotate every (days)",
        help="A key has to be replaced by a successor before it is older than this. 0: no deadline.",
    )
    rotation_overdue = fields.Selection(
        [("refuse", "Refused"), ("flag", "Noted in the log")],
        "Past the deadline",
        default="refuse",
        required=True,
        help="What becomes of the calls of a key that was not rotated in time. The key itself stays.",
    )
    reminder_days = fields.Char(
        "Reminders (days before)",
        default=DEFAULT_REMINDERS,
        help="When owners are reminded of a deadline, such as 14, 7, 1. Empty: never.",
    )
    grace_hours = fields.Float(
        "Grace (hours)",
        default=24.0,
        help="How long a key still works once its successor was used for the first time. 0: not a moment longer.",
    )
    on_retired_use = fields.Selection(
        [("alert", "Raise an alert"), ("suspend", "Raise an alert and suspend its successors")],
        "If a retired key is used",
        default="alert",
        required=True,
        help="Somebody kept a key that was replaced: a program that was forgotten, or a thief.",
    )
    needs_approval = fields.Boolean(
        "New keys need approval", help="A key that a user makes opens nothing until an API Guard manager accepts it."
    )
    responsible_id = fields.Many2one(
        "res.users",
        default=lambda self: self.env.user,
        domain="[('share', '=', False)]",
        help="Who is asked to approve keys, and told of those that are due.",
    )
    has_window = fields.Boolean("Only at certain hours")
    hour_from = fields.Float("From", default=8.0)
    hour_to = fields.Float("To", default=18.0, help="Before “From”: the window runs over midnight.")
    window_tz = fields.Selection(_tz_get, string="Time zone", default=lambda self: self.env.user.tz or "UTC")
    monday = fields.Boolean(default=True)
    tuesday = fields.Boolean(default=True)
    wednesday = fields.Boolean(default=True)
    thursday = fields.Boolean(default=True)
    friday = fields.Boolean(default=True)
    saturday = fields.Boolean()
    sunday = fields.Boolean()
    refuse_passwords = fields.Boolean(
        "Refuse passwords over RPC",
        help="Programs have to use an API key; a password is not accepted by XML-RPC and JSON-RPC.",
    )
    argument_detail = fields.Selection(
        [
            ("none", "Nothing"),
            ("names", "Names only"),
            ("values", "Values, without secrets"),
            ("results", "Values and results, without secrets"),
        ],
        string="Kept in the log",
        help="How much of a call's arguments and results the audit log keeps. Empty: names of arguments, unless "
        "another policy says less.",
    )
    hide_email = fields.Boolean("Hide e-mail addresses", help="In fields of such names, and in whatever text.")
    hide_phone = fields.Boolean("Hide phone numbers", help="In fields of such names, and in whatever text.")
    hidden_fields = fields.Char(
        "Hide fields",
        help="Names with spaces between them, in which * stands for any letters and ? for one: wage x_*_note. With a "
        "dot, of one model only: hr.employee.*",
    )
    hidden_types = fields.Char("Hide types of fields", help="With spaces between them, such as: html monetary")
    hidden_values = fields.Text(
        "Hide values like",
        help="One in a line. # stands for a digit and ? for a letter or digit, all else for itself: ###-##-####",
    )
    is_searchable = fields.Boolean(
        "Values can be searched for",
        help="The log keeps a digest of each value that a call gives, made with a key that stays in this server; where "
        "results are kept, of those too. Whoever has the value finds the calls, and nobody reads it from the log.",
    )
    read_only = fields.Boolean(
        "Read only",
        help="Calls run in a read-only transaction: PostgreSQL refuses to write, whatever a method does.",
    )
    company_ids = fields.Many2many(
        "res.company", string="Companies", help="The companies that a program may act in. None: those of its user."
    )
    max_body_kib = fields.Integer(
        "Request (KiB)", help="The size of the HTTP request. One that does not tell its size is refused. 0: no limit."
    )
    max_ids = fields.Integer(
        "Records named by their ID", help="The records that a call is made on: the IDs of a read, say. 0: no limit."
    )
    max_values = fields.Integer(
        "Records created or written at once",
        help="The list of values of a create, the rows of an import, the IDs of a write. 0: no limit.",
    )
    max_limit = fields.Integer(
        "Records searched", help="The greatest “limit” of a search; one without a limit is refused. 0: no limit."
    )
    max_leaves = fields.Integer(
        "Conditions of a domain", help="Those within a condition count, too (any). 0: no limit."
    )
    max_depth = fields.Integer(
        "Nesting of a domain",
        help="How deep its operators (and, or, not) and conditions within conditions nest. One condition has "
        "nesting 1. 0: no limit.",
    )
    max_levels = fields.Integer(
        "Levels of a nested specification",
        help="How far web_read and its kin follow relations: a contact's own fields are level 1, those of its country "
        "level 2. 0: no limit.",
    )
    max_rows = fields.Integer(
        "Records returned", help="A longer answer is refused, and what the call did is undone. 0: no limit."
    )
    on_active = fields.Selection(
        [("flag", "Noted in the log"), ("refuse", "Refused")],
        "Active HTML in plain texts",
        help="Scripts, event handlers and the like in names and other plain texts. Empty: taken as they are.",
    )
    second_factor_scope_ids = fields.Many2many(
        "api.scope",
        "api_policy_second_factor_scope_rel",
        string="Second factor for",
        help="What these scopes name needs a code of the key's second factor with each call. They allow nothing, and "
        "their patterns reach protected models, too. None: no call needs a code.",
    )
    require_mfa = fields.Boolean(
        "Owner needs two-factor authentication",
        help="Whoever makes a key under this policy needs two-factor authentication for their own login first.",
    )
    is_selectable = fields.Boolean("Users may choose it", help="Offered to users in the New API Key dialog.")
    group_ids = fields.Many2many(
        "res.groups",
        string="Offered to",
        help="Only members of these groups may choose it. Empty: every internal user.",
    )

    document = fields.Text(compute="_compute_document", store=True, readonly=True)
    fingerprint = fields.Char(compute="_compute_document", store=True, readonly=True, index=True)

    is_baseline = fields.Boolean(compute="_compute_is_baseline")
    credential_ids = fields.One2many("api.credential", "policy_id", string="Keys", readonly=True)
    user_ids = fields.One2many("res.users", "api_policy_id", string="Users", readonly=True)
    credential_count = fields.Integer(compute="_compute_counts")
    user_count = fields.Integer(compute="_compute_counts")

    # ---------------------------------------------------------------- document

    @api.depends(
        "name",
        "mode",
        "network_ids.action",
        "network_ids.network",
        "door_ids.code",
        "scope_ids.line_ids.model_pattern",
        "scope_ids.line_ids.allow_read",
        "scope_ids.line_ids.allow_write",
        "scope_ids.line_ids.allow_create",
        "scope_ids.line_ids.allow_unlink",
        "scope_ids.line_ids.allow_execute",
        "scope_ids.line_ids.methods",
        "max_age_days",
        "max_idle_days",
        "rotation_days",
        "rotation_overdue",
        "has_window",
        "hour_from",
        "hour_to",
        "window_tz",
        *WEEKDAYS,
        "refuse_passwords",
        "argument_detail",
        "hide_email",
        "hide_phone",
        "hidden_fields",
        "hidden_types",
        "hidden_values",
        "is_searchable",
        *(f"scope_ids.line_ids.{name}" for name in DATA_FIELDS),
        "read_only",
        "company_ids",
        *SHAPE,
        "on_active",
        "second_factor_scope_ids.line_ids.model_pattern",
        "second_factor_scope_ids.line_ids.allow_read",
        "second_factor_scope_ids.line_ids.allow_write",
        "second_factor_scope_ids.line_ids.allow_create",
        "second_factor_scope_ids.line_ids.allow_unlink",
        "second_factor_scope_ids.line_ids.allow_execute",
        "second_factor_scope_ids.line_ids.methods",
        "limit_ids.amount",
        "limit_ids.unit",
        "limit_ids.period",
        "limit_ids.per",
        "limit_ids.is_exact",
        "max_at_once",
        "counts_refused",
        "on_store_down",
    )
    def _compute_document(self):
        for policy in self:
            policy.document = write_document(policy._document())
            policy.fingerprint = fingerprint(policy.document)

    def _document(self):
        """The content of `core.policy.compile_policy`'s document. A section that restricts nothing is left out."""
        sections = {
            "networks": sorted([line.action, line.network] for line in self.network_ids if line.network),
            "doors": sorted(self.sudo().door_ids.mapped("code")),
            "scopes": self._scope_lines(),
            "max_age_days": self.max_age_days,
            "max_idle_days": self.max_idle_days,
            "rotation": self._rotation(),
            "window": self._window() if self.has_window else None,
            "refuse_passwords": self.refuse_passwords,
            "detail": self.argument_detail,
            "hiding": self._hiding(),
            "searchable": self.is_searchable,
            "read_only": self.read_only,
            "on_active": self.on_active,
            "second_factor": self._second_factor_lines(),
            "companies": sorted(self.sudo().company_ids.ids),
            **self._limit_sections(),
            "shape": {kind: self[name] * unit for name, (kind, unit) in SHAPE.items() if self[name] > 0},
        }
        # an empty list of scope lines restricts everything: None alone means "no scope"
        kept = {name: value for name, value in sections.items() if value or (name == "scopes" and value is not None)}
        return {"version": DOCUMENT_VERSION, "name": self.name or "", "mode": self.mode, **kept}

    def _scope_lines(self):
        scopes = self.with_context(active_test=False).scope_ids
        return sorted((line._document() for line in scopes.line_ids), key=write_document) if scopes else None

    def _hiding(self):
        """What is left out of the log, as `core.hiding` reads it."""
        rules = {
            "names": sorted(set((self.hidden_fields or "").split())),
            "types": sorted(set((self.hidden_types or "").split())),
            "masks": sorted(set(filter(None, map(str.strip, (self.hidden_values or "").splitlines())))),
            "email": self.hide_email,
            "phone": self.hide_phone,
        }
        return {kind: rule for kind, rule in rules.items() if rule}

    def _rotation(self):
        if not self.rotation_days:
            return None
        return {"days": self.rotation_days, "refuses": self.rotation_overdue == "refuse"}

    def _second_factor_lines(self):
        """What needs a code. Fields and records of the lines do not count: of what a line names, all needs it."""
        lines = self.with_context(active_test=False).second_factor_scope_ids.line_ids
        return sorted((line._document()[:3] for line in lines), key=write_document)

    def _window(self):
        return {
            "days": [day for day, name in enumerate(WEEKDAYS) if self[name]],
            "start": round(self.hour_from * 60) % 1440,
            "end": round(self.hour_to * 60) % 1440,
            "zone": self.window_tz or "UTC",
        }

    def _compiled(self):
        """The frozen policy, as calls are judged by it."""
        self.ensure_one()
        return compile_policy(self.document)

    # ------------------------------------------------------------- constraints

    @api.constrains("max_age_days", "max_idle_days", "rotation_days", "hour_from", "hour_to", "has_window", *WEEKDAYS)
    def _check_lifetime(self):
        for policy in self:
            days = (policy.max_age_days, policy.max_idle_days, policy.rotation_days)
            if min(days) < 0:
                raise ValidationError(self.env._("A number of days cannot be negative. 0 means no limit."))
            if max(days) > MAX_DAYS:
                raise ValidationError(self.env._("A hundred years are enough: at most %(days)s days.", days=MAX_DAYS))
            if not (0 <= policy.hour_from <= 24 and 0 <= policy.hour_to <= 24):
                raise ValidationError(self.env._("Hours lie between 00:00 and 24:00."))
            if policy.has_window and not any(policy[day] for day in WEEKDAYS):
                raise ValidationError(
                    self.env._("Tick at least one weekday, or lift the restriction to certain hours.")
                )

    @api.constrains("reminder_days", "grace_hours")
    def _check_rotation(self):
        for policy in self:
            if policy._reminders() is None:
                raise ValidationError(
                    self.env._(
                        "“%(days)s” is no list of days before a deadline. Write numbers with commas, such as 14, 7, 1.",
                        days=policy.reminder_days,
                    )
                )
            if not 0 <= policy.grace_hours <= MAX_GRACE_HOURS:
                raise ValidationError(self.env._("A grace lies between 0 hours and a year."))

    def _reminders(self):
        """The reminder schedule as days before a deadline, longest first; None: it cannot be read."""
        words = (self.reminder_days or "").replace(",", " ").split()
        if not all(word.isascii() and word.isdigit() and 0 < int(word) <= MAX_DAYS for word in words):
            return None
        return sorted({int(word) for word in words}, reverse=True)

    @api.constrains(*SHAPE)
    def _check_shape(self):
        for policy in self:
            if any(not 0 <= policy[name] <= MAX_SIZE for name in SHAPE):
                raise ValidationError(self.env._("Sizes lie between 0 (no limit) and %(size)s.", size=MAX_SIZE))

    @api.constrains("hidden_fields", "hidden_types", "hidden_values")
    def _check_hiding(self):
        for policy in self:
            hiding = policy._hiding()
            if any(len(hiding.get(kind, ())) > MAX_RULES for kind in ("names", "types", "masks")):
                raise ValidationError(self.env._("At most %(count)s of them can be hidden.", count=MAX_RULES))
            for name in hiding.get("names", ()):
                if not _passes(check_name, name):
                    raise ValidationError(
                        self.env._(
                            "“%(name)s” stands for no name of a field. Small letters, digits, _ and . are names; * and "
                            "? stand for some of them.",
                            name=name,
                        )
                    )
            for mask in hiding.get("masks", ()):
                if not _passes(check_mask, mask):
                    raise ValidationError(
                        self.env._(
                            "“%(mask)s” stands for no value: 4 to 40 characters are one, such as ###-##-####.",
                            mask=mask,
                        )
                    )
            if unknown := set(hiding.get("types", ())) - set(TYPES):
                raise ValidationError(
                    self.env._(
                        "Not hidden by their type: %(unknown)s. These can be: %(types)s.",
                        unknown=", ".join(sorted(unknown)),
                        types=", ".join(TYPES),
                    )
                )

    @api.constrains("is_searchable")
    def _provide_digest_key(self):
        if any(policy.is_searchable for policy in self):
            self.env["api.digest"]._provide_key()

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        for policy in self:
            if policy.is_baseline or policy.credential_count or policy.user_count:
                raise UserError(
                    self.env._(
                        "“%(policy)s” is in use: deleting it would lift its restrictions. Give its keys and users "
                        "another policy first, or archive it.",
                        policy=policy.name,
                    )
                )

    # ----------------------------------------------------------------- screens

    def _compute_is_baseline(self):
        baseline = self.env["ir.config_parameter"].sudo().get_param("api_guard.baseline_policy_id")
        for policy in self:
            policy.is_baseline = baseline == str(policy.id)

    @api.depends("credential_ids.state", "user_ids")
    def _compute_counts(self):
        keys = dict(
            self.env["api.credential"]._read_group(
                [("policy_id", "in", self.ids), ("apikey_id", "!=", False)], ["policy_id"], ["__count"]
            )
        )
        users = dict(
            self.env["res.users"]
            .sudo()
            .with_context(active_test=False)
            ._read_group([("api_policy_id", "in", self.ids)], ["api_policy_id"], ["__count"])
        )
        for policy in self:
            policy.credential_count = keys.get(policy, 0)
            policy.user_count = users.get(policy.sudo(), 0)

    @api.model
    def _selectable_domain(self):
        """Which policies may the current user give to a key of their own?"""
        if self.env.user.has_group("api_guard.group_manager"):
            return []
        return [
            ("is_selectable", "=", True),
            "|",
            ("group_ids", "=", False),
            ("group_ids", "in", self.env.user.all_group_ids.ids),
        ]

    def action_open_credentials(self):
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_credential"),
            "domain": [("policy_id", "in", self.ids)],
            "context": {},
        }

    def action_open_users(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Users"),
            "res_model": "res.users",
            "view_mode": "list,kanban,form",
            "domain": [("api_policy_id", "in", self.ids)],
            "context": {"active_test": False},
        }

    def action_open_entries(self):
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_audit_entry"),
            "domain": ["|"] * (len(self) - 1) + [("policy_ids", "like", f",{policy.id},") for policy in self],
            "context": {},
        }

    def action_open_test(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Test a call"),
            "res_model": "api.policy.test",
            "view_mode": "form",
            "target": "new",
            "context": {"default_policy_id": self.id},
        }


def _passes(check, text):
    try:
        check(text)
    except ValueError:
        return False
    return True


class ApiPolicyNetwork(models.Model):
    _name = "api.policy.network"
    _inherit = ["api.guard.configuration"]
    _description = "API Policy Network"
    _order = "policy_id, sequence, id"

    policy_id = fields.Many2one("api.policy", required=True, ondelete="cascade", index=True)
    sequence = fields.Integer(default=10)
    name = fields.Char("Label")
    action = fields.Selection([("allow", "Allow"), ("deny", "Deny")], default="allow", required=True)
    network = fields.Char(
        required=True,
        help="An address or a network in CIDR notation, IPv4 or IPv6: 203.0.113.7, 10.0.0.0/8, 2001:db8::/32.",
    )

    @api.constrains("network")
    def _check_network(self):
        for line in self:
            try:
                parse_network(line.network)
            except ValueError:
                raise ValidationError(
                    self.env._(
                        "“%(network)s” is no network. Write an address or CIDR, such as 203.0.113.7, 10.0.0.0/8 "
                        "or 2001:db8::/32.",
                        network=line.network,
                    )
                ) from None
