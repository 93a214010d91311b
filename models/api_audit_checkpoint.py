"""What was sealed, when, and who vouches for it: appended, and never changed.

A checkpoint stands for all entries before it: its root is that of the tree over the first `size`
leaves. What it says is in `body`, byte for byte as it was signed; the other columns repeat it.
"""

from base64 import b64decode, b64encode
from hashlib import sha256

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..core.checkpoint import Signed


class ApiAuditCheckpoint(models.Model):
    _name = "api.audit.checkpoint"
    _description = "Checkpoint of the Audit Log"
    _auto = False  # models/sql/audit_seal.sql
    _log_access = False
    _order = "number desc"
    _rec_name = "number"

    number = fields.Integer(readonly=True, aggregator=None)
    size = fields.Integer("Entries sealed", readonly=True, aggregator="max", help="From the first one on.")
    root = fields.Char(readonly=True, help="What all of them together come to: SHA-256, in base64.")
    short_root = fields.Char("Root (beginning)", compute="_compute_short_root")
    made_at = fields.Datetime("Time", readonly=True)
    previous = fields.Char(readonly=True, help="The SHA-256 of the text of the checkpoint before.")
    key_id = fields.Char("Signed by", readonly=True)
    next_key = fields.Char("Next key", readonly=True, help="The public key that signs from the next checkpoint on.")
    note = fields.Char(readonly=True)
    body = fields.Text("Text", readonly=True, help="What was signed, byte for byte.")
    signature = fields.Char(readonly=True, help="Ed25519, in base64.")

    @api.model
    def _last(self):
        return self.sudo().search([], limit=1)

    @api.model
    def _append(self, checkpoint, signed):
        """Keep a checkpoint (core.checkpoint) that was signed; its record."""
        said = checkpoint.document()
        self.env.cr.execute(
            SQL(
                "INSERT INTO api_audit_checkpoint"
                " (id, number, size, root, made_at, previous, key_id, next_key, note, body, signature)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                checkpoint.number, checkpoint.number, checkpoint.size, said["root"],
                checkpoint.time.replace(tzinfo=None), said.get("previous"), checkpoint.key, said.get("next_key"),
                checkpoint.note, signed.body.decode(), b64encode(signed.signature).decode(),
            )
        )  # fmt: skip
        return self.browse(checkpoint.number)

    def _signed(self):
        """As core.checkpoint takes it."""
        return Signed(self.body.encode(), b64decode(self.signature))

    def _digest(self):
        return sha256(self.body.encode()).digest()

    # ------------------------------------------------------------ append-only

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(self.env._("Checkpoints are made by the guard alone."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("A checkpoint cannot be changed."))

    def unlink(self):  # pylint: disable=method-required-super
        raise UserError(self.env._("A checkpoint cannot be deleted."))  # pylint: disable=no-raise-unlink

    def copy(self, default=None):  # pylint: disable=method-required-super
        raise UserError(self.env._("Checkpoints are made by the guard alone."))

    # ----------------------------------------------------------------- screens

    @api.depends("root")
    def _compute_short_root(self):
        for checkpoint in self:
            checkpoint.short_root = checkpoint.root and f"{checkpoint.root[:12]}…"

    @api.depends("number")
    def _compute_display_name(self):
        for checkpoint in self:
            checkpoint.display_name = self.env._("Checkpoint %(number)s", number=checkpoint.number)
