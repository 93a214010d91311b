"""With which keys are checkpoints signed? The private one is sealed by the vault, whose key is not in the database."""

import os
from base64 import b64decode, b64encode
from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from ..core.checkpoint import KEY_SIZE, key_id, public_key
from . import vault
from .vault import Problem, VaultUnreadable

PURPOSE = "log_signing"


class ApiAuditKey(models.Model):
    _name = "api.audit.key"
    _inherit = ["api.guard.configuration"]
    _description = "Signing Key of the Audit Log"
    _log_access = False
    _order = "id desc"
    _rec_name = "key_id"

    key_id = fields.Char(required=True, readonly=True, help="The beginning of the SHA-256 of the public key.")
    public = fields.Char("Public key", required=True, readonly=True, help="Ed25519, 32 bytes in base64.")
    created_at = fields.Datetime("In use since", required=True, readonly=True)
    retired_at = fields.Datetime("In use until", readonly=True)

    _key_id_unique = models.Constraint("UNIQUE (key_id)", "There is this key already.")

    def init(self):
        """The column of what the ORM must not read."""
        self.env.cr.execute("ALTER TABLE api_audit_key ADD COLUMN IF NOT EXISTS secret varchar")

    def unlink(self):  # pylint: disable=method-required-super
        raise UserError(  # pylint: disable=no-raise-unlink
            self.env._("A public key is kept for ever: what was signed with it can be checked by it alone.")
        )

    @api.model
    def _make(self):
        """A new key, which is in use from now on. Raises VaultUnreadable."""
        private = os.urandom(KEY_SIZE)
        public = public_key(private)
        name = key_id(public)
        secret = vault.seal(PURPOSE, name, b64encode(private).decode(), create=not self.env["api.vault"]._key_ids())
        self.env.cr.execute(
            SQL(
                "INSERT INTO api_audit_key (key_id, public, created_at, secret)"
                " VALUES (%s, %s, date_trunc('second', clock_timestamp() AT TIME ZONE 'utc'), %s) RETURNING id",
                name, b64encode(public).decode(), secret,
            )
        )  # fmt: skip
        return self.browse(self.env.cr.fetchone()[0])

    @api.model
    def _current(self):
        """The key in use; empty before the first seal."""
        return self.sudo().search([("retired_at", "=", False)], limit=1)

    def _private(self):
        """The private key, raw. Raises VaultUnreadable, also where it is not that of the public one."""
        self.env.cr.execute(SQL("SELECT key_id, public, secret FROM api_audit_key WHERE id = %s", self.id))
        name, public, secret = self.env.cr.fetchone()
        try:
            private = b64decode(vault.open_sealed(PURPOSE, name, secret or ""))
            if b64encode(public_key(private)).decode() != public or key_id(public_key(private)) != name:
                raise VaultUnreadable(Problem.CLOSED)
        except ValueError:
            raise VaultUnreadable(Problem.CLOSED) from None
        return private

    def _public(self):
        return b64decode(self.public)

    def _retire(self):
        self.env.cr.execute(
            SQL(
                "UPDATE api_audit_key SET retired_at = date_trunc('second', clock_timestamp() AT TIME ZONE 'utc')"
                " WHERE id = %s AND retired_at IS NULL",
                self.id,
            )
        )
        self.invalidate_recordset(["retired_at"])

    # ----------------------------------------------------------------- screens

    def action_rotate(self):
        """A new key for the checkpoints to come; the last one that the old key signs names it."""
        self._check_manager()
        try:
            self.env["api.audit.seal"]._rotate()
        except VaultUnreadable as error:
            raise UserError(
                self.env._(
                    "The present key cannot sign the new one. %(problem)s If it is lost for good, start anew.",
                    problem=self.env["api.vault"]._text(error.problem),
                )
            ) from None
        self._enter("action_rotate")
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_start_anew(self):
        """A new key that no old one vouches for, where that is lost."""
        self._check_manager()
        try:
            self.env["api.audit.seal"]._start_anew()
        except VaultUnreadable as error:
            raise UserError(self.env["api.vault"]._text(error.problem)) from None
        self._enter("action_start_anew")
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _enter(self, method):
        self.env["api.audit.entry"]._append_event(
            self.env.cr.execute, self._name, method, request_id=token_hex(10), user_id=self.env.uid,
            login=self.env.user.login, arguments=f"new key: {self._current().key_id}",
        )  # fmt: skip

    @api.model
    def _check_manager(self):
        if not self.env.su and not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers change the signing key."))
        self.env["api.guard"]._require_configuration_right(self.env)


class ApiVault(models.AbstractModel):
    _inherit = "api.vault"

    @api.model
    def _sealed_columns(self):
        return [*super()._sealed_columns(), ("api_audit_key", "secret", PURPOSE, "key_id")]
