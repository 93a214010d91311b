"""The key of the digests by which values are found in the log (core/digest.py).

One for each database, drawn when the first policy wants digests, sealed in the vault, and kept
opened by each process that needs it. It never leaves the server: whoever may read the log asks by
a value, and the search makes the digest (models/api_audit_shown.py).
"""

import logging
import secrets
import time

from odoo import api, models
from odoo.exceptions import UserError

from ..core.digest import KEY_SIZE, digests
from ..seams.beside import Planned, beside
from . import vault
from .vault import VaultUnreadable

_logger = logging.getLogger(__name__)

PURPOSE, CONTEXT = "digest", "values"
_FIND = Planned("SELECT sealed FROM api_digest_key WHERE id = 1")
_AGAIN = 30.0  # seconds until a key that did not open is tried again


class ApiDigest(models.AbstractModel):
    _name = "api.digest"
    _description = "API Guard: digests of values"

    _opened = (None, 0.0)  # of this database in this process: the key or None, and until when that holds

    def init(self):
        """The table of the one key; idempotent, runs at install and update."""
        self.env.cr.execute(
            "CREATE TABLE IF NOT EXISTS api_digest_key"
            " (id integer PRIMARY KEY CHECK (id = 1), name varchar NOT NULL, sealed varchar NOT NULL)"
        )

    @api.model
    def _drop_table(self):
        self.env.cr.execute("DROP TABLE IF EXISTS api_digest_key")

    @classmethod
    def _of(cls, value, hidden):
        """The digests of the values in `value`, without `hidden`; none where the key cannot be opened."""
        key = cls._key()
        return digests(key, value, hidden) if key else []

    @classmethod
    def _key(cls):
        """The key, or None. A call goes on without: its entry is then not found by its values."""
        key, until = cls._opened
        if key is None and time.monotonic() >= until:
            with beside(cls.pool) as cr:
                cr.execute(_FIND)
                row = cr.fetchone()
            try:
                key = bytes.fromhex(vault.open_sealed(PURPOSE, CONTEXT, row[0])) if row else None
            except VaultUnreadable as error:
                _logger.warning("values get no digests, and cannot be searched for: the vault is %s", error)
            cls.pool["api.digest"]._opened = (key, time.monotonic() + _AGAIN)
        return key

    @api.model
    def _provide_key(self):
        """Draw the key if there is none. Raises UserError where the vault cannot seal it."""
        self.env.cr.execute("SELECT 1 FROM api_digest_key")
        if self.env.cr.fetchone():
            return
        sealed = self.env["api.vault"]._seal(PURPOSE, CONTEXT, secrets.token_bytes(KEY_SIZE).hex())
        self.env.cr.execute("INSERT INTO api_digest_key VALUES (1, %s, %s) ON CONFLICT DO NOTHING", [CONTEXT, sealed])
        self.env.cr.postcommit.add(self._forget)

    def _forget(self):
        """A process that found no key a moment ago looks again. Others do within half a minute."""
        self.pool["api.digest"]._opened = (None, 0.0)

    @api.model
    def _require_key(self):
        """The key for a search. Raises UserError: no answer must pass for "nobody"."""
        key = self._key()
        if key is None:
            raise UserError(
                self.env._(
                    "Values cannot be searched for: no policy has asked for that yet (“Values can be searched for”), "
                    "or the vault cannot be opened. The self-check in Settings tells."
                )
            )
        return key


class ApiVault(models.AbstractModel):
    _inherit = "api.vault"

    @api.model
    def _sealed_columns(self):
        return [*super()._sealed_columns(), ("api_digest_key", "sealed", PURPOSE, "name")]
