"""The companion row of an API key: its policy, its state, what it was last used for.

Odoo's own table cannot be extended (`_auto = False`, and `auth_totp.device`
inherits whatever is put on it), and its rows vanish. A companion is made by a
trigger, so that no way of making a key leaves it out, and stays as a tombstone
when the key goes, so that the log can still tell a revoked key from an unknown one.
"""

from odoo import api, fields, models
from odoo.addons.base.models.res_users import check_identity
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ..core.explain import restrictions
from ..core.secret import is_random, write_check

#: The activity by which people are asked to do something about a key.
TODO = "mail.mail_activity_data_todo"

#: Those that open something, or could: not the tombstones.
KEY_DOMAIN = [("apikey_id", "!=", False)]

#: How a key stands, as the screens tell it.
STATUSES = [
    ("pending", "Waiting for approval"),
    ("active", "Active"),
    ("suspended", "Suspended"),
    ("retired", "Retired"),
    ("expired", "Expired"),
    ("revoked", "Revoked"),
]


class ApiCredential(models.Model):
    _name = "api.credential"
    _inherit = ["api.guard.configuration", "mail.thread", "mail.activity.mixin"]
    _description = "API Key"
    _order = "create_date desc, id desc"

    name = fields.Char(readonly=True)
    user_id = fields.Many2one("res.users", string="Owner", readonly=True, ondelete="set null", index=True)
    login = fields.Char("Owner's login", readonly=True)
    apikey_id = fields.Many2one("res.users.apikeys", readonly=True, ondelete="set null", index=True)
    key_index = fields.Char(readonly=True, index=True, groups="base.group_no_one")
    key_scope = fields.Char("Key scope", readonly=True)
    policy_id = fields.Many2one("api.policy", ondelete="restrict", index=True, tracking=True)
    bound_policy_id = fields.Many2one(
        "api.policy",
        string="Policy of its provisioner",
        readonly=True,
        ondelete="restrict",
        index=True,
        help="Whoever made this key for a bot is under this policy, and so is the key.",
    )
    parent_id = fields.Many2one(
        "api.credential",
        string="Made with",
        readonly=True,
        index=True,
        ondelete="restrict",
        help="The key with which a program made this one. It never has more rights than its parent.",
    )
    child_ids = fields.One2many("api.credential", "parent_id", readonly=True)
    state = fields.Selection(
        [
            ("pending", "Waiting for approval"),
            ("active", "Active"),
            ("suspended", "Suspended"),
            ("retired", "Retired"),
            ("revoked", "Revoked"),
        ],
        default="active",
        required=True,
        readonly=True,
        tracking=True,
    )
    suspension = fields.Selection(
        [
            ("manager", "Suspended by a manager"),
            ("idle", "Unused for too long"),
            ("leaked", "Reported as leaked"),
            ("pasted", "Found pasted in a record"),
            ("family", "A retired key of its line was used"),
        ],
        string="Suspended because",
        readonly=True,
    )
    status = fields.Selection(STATUSES, compute="_compute_status", search="_search_status")
    expired = fields.Boolean("Removed after it had expired", readonly=True)
    key_created_at = fields.Datetime("Created", readonly=True)
    expires_at = fields.Datetime("Expires", readonly=True)
    ended_at = fields.Datetime("Revoked on", readonly=True)
    ends_at = fields.Datetime("Ends", compute="_compute_ends_at", help="When it expires, or retires for its successor.")
    age_days = fields.Integer("Age (days)", compute="_compute_age_days")
    last_used_at = fields.Datetime("Last used", readonly=True, help="Up to a minute behind the audit log.")
    last_used_peer = fields.Char("Last used from", readonly=True)
    last_used_agent = fields.Char("Last client", readonly=True)
    last_used_door = fields.Selection(
        lambda self: self.env["api.audit.entry"]._selection_door(), string="Last door", readonly=True
    )
    effective_rule = fields.Html(compute="_compute_effective_rule", sanitize=False)

    # ------------------------------------------------------------------ tables

    def init(self):
        """The secret's column and the triggers; idempotent, runs at install and update."""
        # no fields: a secret's hash is nothing that the ORM may read
        self.env.cr.execute(
            "ALTER TABLE api_credential ADD COLUMN IF NOT EXISTS secret_hash varchar,"
            " ADD COLUMN IF NOT EXISTS secret_check varchar,"
            " ADD COLUMN IF NOT EXISTS rotation_nonce bytea,"
            " ADD COLUMN IF NOT EXISTS database_uuid varchar"
        )
        self._bind_database()
        self._create_triggers()
        # keys that were there before
        self.env.cr.execute("""
            INSERT INTO api_credential (name, user_id, login, apikey_id, key_index, key_scope, state,
                                        key_created_at, expires_at, database_uuid, create_date, write_date)
            SELECT k.name, k.user_id, u.login, k.id, k.index, k.scope, 'active',
                   k.create_date, k.expiration_date,
                   (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'),
                   now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
              FROM res_users_apikeys k JOIN res_users u ON u.id = k.user_id
             WHERE NOT EXISTS (SELECT 1 FROM api_credential c WHERE c.apikey_id = k.id)
        """)
        self.env.cr.execute("CREATE INDEX IF NOT EXISTS api_guard_apikeys_index_idx ON res_users_apikeys (index)")

    def _create_triggers(self):
        self.env.cr.execute("""
            CREATE OR REPLACE FUNCTION api_guard_key_made() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO api_credential (name, user_id, login, apikey_id, key_index, key_scope, state,
                                            key_created_at, expires_at, database_uuid, create_date, write_date)
                SELECT NEW.name, NEW.user_id, u.login, NEW.id, NEW.index, NEW.scope, 'active',
                       NEW.create_date, NEW.expiration_date,
                       (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'),
                       now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
                  FROM res_users u WHERE u.id = NEW.user_id;
                RETURN NEW;
            END $$;
            CREATE OR REPLACE FUNCTION api_guard_key_gone() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE api_credential
                   SET apikey_id = NULL,  -- Odoo makes no foreign key to a table that it does not manage
                       user_id = (SELECT id FROM res_users WHERE id = OLD.user_id),  -- the key may go with its user
                       state = 'revoked',
                       secret_hash = OLD.key,
                       expired = OLD.expiration_date IS NOT NULL
                                 AND OLD.expiration_date < now() AT TIME ZONE 'utc',
                       ended_at = date_trunc('second', now() AT TIME ZONE 'utc')
                 WHERE apikey_id = OLD.id;
                RETURN OLD;
            END $$;
            DROP TRIGGER IF EXISTS api_guard_key_made ON res_users_apikeys;
            DROP TRIGGER IF EXISTS api_guard_key_gone ON res_users_apikeys;
            CREATE TRIGGER api_guard_key_made AFTER INSERT ON res_users_apikeys
                FOR EACH ROW EXECUTE FUNCTION api_guard_key_made();
            CREATE TRIGGER api_guard_key_gone BEFORE DELETE ON res_users_apikeys
                FOR EACH ROW EXECUTE FUNCTION api_guard_key_gone();
        """)

    def _bind_database(self):
        """Keys belong to the database in which they were made: which one that is, is noted once.

        A copy of it has another identity or another name, and there they open nothing until somebody
        says that it is no copy (`_confirm_database`). An update must not say so by the way.
        """
        self.env.cr.execute("""
            INSERT INTO ir_config_parameter (key, value, create_date, write_date)
            SELECT 'api_guard.database_name', current_database(),
                   now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
             WHERE NOT EXISTS (SELECT 1 FROM ir_config_parameter WHERE key = 'api_guard.database_name');
            UPDATE api_credential
               SET database_uuid = (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid')
             WHERE database_uuid IS NULL
        """)

    @api.model
    def _confirm_database(self):
        """This database bears its name by right: let the keys that were made in it work again."""
        self.env["ir.config_parameter"].sudo().set_param("api_guard.database_name", self.env.cr.dbname)

    @api.model
    def _drop_triggers(self):
        self.env.cr.execute("""
            DROP TRIGGER IF EXISTS api_guard_key_made ON res_users_apikeys;
            DROP TRIGGER IF EXISTS api_guard_key_gone ON res_users_apikeys;
            DROP FUNCTION IF EXISTS api_guard_key_made();
            DROP FUNCTION IF EXISTS api_guard_key_gone();
            DROP INDEX IF EXISTS api_guard_apikeys_index_idx;
        """)

    # ----------------------------------------------------------------- compute

    @api.depends("state", "expires_at", "expired", "apikey_id", "retires_at")
    def _compute_status(self):
        now = fields.Datetime.now()
        for credential in self:
            lapsed = credential.expired or (credential.expires_at and credential.expires_at < now)
            ended = credential.state == "revoked"
            if lapsed and (not ended or credential.expired):
                credential.status = "expired"
            elif credential.state == "active" and credential.retires_at and credential.retires_at <= now:
                credential.status = "retired"
            else:
                credential.status = credential.state

    def _search_status(self, operator, value):
        if operator != "in":
            return NotImplemented
        now = fields.Datetime.now()
        Domain = fields.Domain
        lapsed = Domain("expired", "=", True) | (Domain("state", "!=", "revoked") & Domain("expires_at", "<", now))
        retired = Domain("state", "=", "active") & Domain("retires_at", "<=", now)
        domains = {
            "expired": lapsed,
            "retired": (Domain("state", "=", "retired") | retired) & ~lapsed,
            "active": Domain("state", "=", "active") & ~retired & ~lapsed,
            **{state: Domain("state", "=", state) & ~lapsed for state in ("pending", "suspended", "revoked")},
        }
        return Domain.OR(domains[status] for status in value if status in domains)

    @api.depends("expires_at", "retires_at")
    def _compute_ends_at(self):
        for credential in self:
            credential.ends_at = min(filter(None, (credential.expires_at, credential.retires_at)), default=False)

    @api.depends("key_created_at", "ended_at")
    def _compute_age_days(self):
        now = fields.Datetime.now()
        for credential in self:
            created = credential.key_created_at
            credential.age_days = ((credential.ended_at or now) - created).days if created else 0

    @api.depends("policy_id.document", "parent_id", "user_id")
    def _compute_effective_rule(self):
        for credential in self:
            rows = restrictions(credential._policies())
            credential.effective_rule = self.env["ir.qweb"]._render(
                "api_guard.effective_rule", {"rows": [credential._restriction_row(row) for row in rows]}
            )

    def _restriction_row(self, row):
        labels = self._section_labels()
        names = {door.code: door.name for door in self.env["api.door"].sudo().search([])}
        values = [names.get(value, value) for value in row.values] if row.section == "doors" else row.values
        if row.section == "companies":
            found = self.env["res.company"].sudo().browse(map(int, values)).exists()
            values = found.mapped("name") or values
        if row.section == "rotation":
            days, overdue = values
            late = {"refuse": self.env._("then refused"), "flag": self.env._("then noted in the log")}
            values = [f"{days}, {late[overdue]}"]
        if row.section == "window":
            days, clock, zone = row.values
            day_names = self._weekday_names()
            values = [", ".join(day_names[int(day)] for day in days.split(",") if day), clock, zone]
        if row.section == "limits":
            values = [self._limit_in_words(value) for value in row.values]
        if row.section == "shape":
            sizes = (value.split(" ") for value in row.values)
            values = [": ".join(self.env["api.reason"]._size_in_words(kind, int(size))) for kind, size in sizes]
        return {
            "label": labels[row.section],
            "values": values,
            "policy": row.policy,
            "enforced": row.enforced,
        }

    @api.model
    def _section_labels(self):
        return {
            "unreadable": self.env._("Refuses everything: the policy cannot be read"),
            "password": self.env._("Passwords are refused over RPC"),
            "allow": self.env._("Only from these networks"),
            "deny": self.env._("Never from these networks"),
            "doors": self.env._("Only through these doors"),
            "age": self.env._("Refused when older than (days)"),
            "idle": self.env._("Refused when unused for (days)"),
            "rotation": self.env._("To be rotated every (days)"),
            "window": self.env._("Only at these hours"),
            "read_only": self.env._("Read only"),
            "scope": self.env._("Only these models and operations"),
            "second_factor": self.env._("A second factor is needed for"),
            "companies": self.env._("Only in these companies"),
            "shape": self.env._("Greatest size of a call"),
            "on_active": self.env._("Active HTML in plain texts"),
            "limits": self.env._("Limits"),
            "concurrency": self.env._("Calls at the same time"),
            "detail": self.env._("Kept in the log"),
            "hiding": self.env._("Left out of the log"),
            "searchable": self.env._("Values can be searched for in the log"),
        }

    @api.model
    def _limit_in_words(self, value):
        """A limit in the notation of `core.explain`: "600 calls-minute-key"."""
        amount, name = value.split(" ")
        return self.env["api.policy.limit"]._in_words(int(amount), *name.split("-"))

    @api.model
    def _weekday_names(self):
        return [
            self.env._("Mon"),
            self.env._("Tue"),
            self.env._("Wed"),
            self.env._("Thu"),
            self.env._("Fri"),
            self.env._("Sat"),
            self.env._("Sun"),
        ]

    def _policies(self):
        """The policies that apply to this key, as a call made now would be judged by them."""
        identity = self._identity()
        return identity.policies if identity else ()

    def _identity(self):
        """What would be known of a call with this key, as it is stored; None for a key that is gone."""
        self.ensure_one()
        return self.env["api.identity"]._of_credential(self.env.cr, self._origin.id)

    # ----------------------------------------------------------------- actions

    def action_suspend(self):
        self._check_manager()
        self._suspend_for("manager")

    def _suspend_for(self, suspension):
        """Suspend these keys, and the successors that whoever holds them has made with them."""
        keys = self | self._successors(by_hand=suspension == "pasted")
        keys.filtered(lambda credential: credential.state == "active").sudo().write(
            {"state": "suspended", "suspension": suspension}
        )

    def _successors(self, by_hand):
        """The keys that came of these ones before these retired. `by_hand`: those that a person made, too."""
        found, line = self.browse(), self.sudo()
        while line := line.filtered(lambda key: key.status != "retired"):
            line = line.search([("predecessor_id", "in", line.ids), ("apikey_id", "!=", False)])
            line = line.filtered(lambda key: by_hand or key.made_by_key)
            found |= line.with_env(self.env)
        return found

    def action_resume(self):
        """Let suspended keys work again; what was unused for too long has been used now, as it were."""
        self._check_manager()
        for key in self.filtered(lambda credential: credential.state == "suspended").sudo():
            approver = key.approved_by_id or self.env.user  # a manager who resumes a key accepts it
            key.write(
                {
                    "state": "active",
                    "suspension": False,
                    "resumed_at": fields.Datetime.now(),
                    "approved_by_id": approver.id,
                }
            )

    @check_identity
    def action_revoke(self):
        return self._revoke()

    def _revoke(self):
        """Delete the keys; their companions stay and tell what became of them."""
        self._check_manager_or_owner()
        self.env["api.guard"]._require_configuration_right(self.env)
        # a successor that nobody has used yet is in the hands of whoever asked for it with this key
        unused = self._successors(by_hand=False).filtered(lambda key: not key.sudo().predecessor_id.succeeded_at)
        for key in (self | unused).sudo():
            key._message_log(body=self.env._("Revoked."))
        (self | unused).sudo().apikey_id.unlink()
        self.invalidate_recordset()

    def _check_manager(self):
        if not self.env.su and not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers may do this."))

    def _check_manager_or_owner(self):
        if self.env.su or self.env.user.has_group("api_guard.group_manager"):
            return
        if not all(map(self._is_theirs, self)):
            raise AccessError(self.env._("You can only do this with keys of your own."))

    @api.model
    def _is_theirs(self, key):
        """Is this a key of the current user, or of a bot whose keys they make?"""
        owner = key.sudo().user_id
        return owner == self.env.user or (owner.api_only and self.env.user.has_group("api_guard.group_provisioner"))

    def _check_may_hold_secret(self):
        """May the current user see a successor's secret? Its owner; of a bot's key, whoever makes keys for bots."""
        self.ensure_one()
        if self.env.su or self.user_id == self.env.user:
            return
        bot = self.sudo().user_id
        if not bot.api_only or not self.env.user.has_group("api_guard.group_provisioner"):
            raise AccessError(
                self.env._(
                    "A key's secret is shown to its owner alone. You can demand that it is rotated by a date, and let "
                    "its owner do it."
                )
            )
        self._check_no_escalation(bot)
        self._check_no_wider_than_own()

    def _check_no_wider_than_own(self):
        """Refuse a provisioner who would come to hold a key that is not within what they may make themselves."""
        own, policy = self.env.user.sudo().api_policy_id, self.sudo().policy_id
        may_choose = self.env["res.users.apikeys.description"]._may_choose
        if (own and own not in self._governing()) or (policy and not may_choose(policy)):
            raise AccessError(
                self.env._("This key is not within your own policy. Ask a manager of API Guard to rotate it.")
            )

    @api.model
    def _check_no_escalation(self, bot):
        """Refuse whoever would come to an administrator's rights by a bot's key."""
        if bot.has_group("base.group_erp_manager") and not self.env.user.has_group("base.group_erp_manager"):
            raise AccessError(self.env._("“%(bot)s” is an administrator: only one makes keys for it.", bot=bot.name))

    def action_open_entries(self):
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_audit_entry"),
            "domain": [("credential_id", "in", self.ids)],
            "context": {},
        }

    def action_open_test(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Test a call"),
            "res_model": "api.policy.test",
            "view_mode": "form",
            "target": "new",
            "context": {"default_credential_id": self.id},
        }

    # -------------------------------------------------------------- raw writes

    @api.model
    def _of_secret(self, secret, user):
        """The companion of the key that was just made for `user`: the newest with that index."""
        self.env.cr.execute(
            "SELECT c.id, k.key FROM api_credential c JOIN res_users_apikeys k ON k.id = c.apikey_id"
            " WHERE k.index = %s AND k.user_id = %s ORDER BY k.id DESC LIMIT 1",
            [secret[:8], user.id],
        )
        credential_id, stored = self.env.cr.fetchone()
        self._write_check(self.env.cr, credential_id, secret, stored)
        return self.browse(credential_id)

    def _set_raw(self, **values):
        """Write columns not through the ORM, which a program may not use for this: it may be making the key."""
        columns = SQL(", ").join(SQL("%s = %s", SQL.identifier(name), value) for name, value in values.items())
        self.env.cr.execute(SQL("UPDATE api_credential SET %s WHERE id IN %s", columns, tuple(self.ids)))
        self.invalidate_recordset()

    def _adopt(self, **bonds):
        """Bind a freshly made key to its policies, its parent and the like, before anybody could use it."""
        bonds = {name: value for name, value in bonds.items() if value}
        if bonds:
            self._set_raw(**bonds)
        if parent_id := bonds.get("parent_id"):  # no child outlives its parent
            self.env.cr.execute(
                SQL(
                    "WITH parent AS (SELECT expires_at FROM api_credential WHERE id = %s),"
                    " capped AS (UPDATE res_users_apikeys k"
                    "               SET expiration_date = LEAST(k.expiration_date, parent.expires_at)"
                    "              FROM parent, api_credential c WHERE c.apikey_id = k.id AND c.id IN %s"
                    "         RETURNING c.id, k.expiration_date)"
                    " UPDATE api_credential c SET expires_at = capped.expiration_date"
                    "   FROM capped WHERE c.id = capped.id",
                    parent_id,
                    tuple(self.ids),
                )
            )
            self.invalidate_recordset()

    @classmethod
    def _write_check(cls, cr, credential_id, secret, stored):
        """Let the next calls recognise this key without deriving its slow hash (core/secret.py)."""
        if is_random(secret):
            cr.execute(
                "UPDATE api_credential SET secret_check = %s WHERE id = %s AND secret_check IS NULL",
                [write_check(secret, stored), credential_id],
            )

    @classmethod
    def _suspend_leaked(cls, cr, credential_id):
        """Suspend a key that somebody outside has; whether it would open anything, now or when it is resumed.

        And what came of it, as long as it had not retired: whoever has it could have rotated it.
        """
        cr.execute(
            """WITH RECURSIVE line AS (
                   SELECT c.id, c.retires_at FROM api_credential c JOIN res_users_apikeys k ON k.id = c.apikey_id
                    WHERE c.id = %s
                      AND (k.expiration_date IS NULL OR k.expiration_date > now() AT TIME ZONE 'utc')
                    UNION
                   SELECT heir.id, heir.retires_at FROM api_credential heir JOIN line ON heir.predecessor_id = line.id
                    WHERE line.retires_at IS NULL OR line.retires_at > now() AT TIME ZONE 'utc')
               UPDATE api_credential c SET state = 'suspended', suspension = 'leaked'
                 FROM line WHERE c.id = line.id AND c.apikey_id IS NOT NULL
            RETURNING c.id""",
            [credential_id],
        )
        return cr.fetchone() is not None

    @classmethod
    def _write_last_use(cls, cr, credential_id, exchange):
        """Note the last use, never through the ORM: it is hot, and nobody's business transaction waits for it."""
        cr.execute(
            """UPDATE api_credential
                  SET last_used_at = date_trunc('second', now() AT TIME ZONE 'utc'),
                      last_used_peer = %s, last_used_agent = %s, last_used_door = %s
                WHERE id = %s""",
            [
                str(exchange.peer) if exchange.peer else None,
                (exchange.agent or "").replace("\0", "")[:200] or None,
                exchange.door.value,
                credential_id,
            ],
        )
