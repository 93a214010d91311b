"""What is sealed in this database, with which keys, and how to seal it anew.

A model that keeps sealed texts adds its column to `_sealed_columns`; then changing the
vault's key and the self-check cover it.
"""

from collections import Counter
from contextlib import suppress

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..core.sealing import key_id, sealed_with
from . import vault
from .vault import Problem, VaultUnreadable


class ApiVault(models.AbstractModel):
    _name = "api.vault"
    _description = "API Guard: vault"

    @api.model
    def _sealed_columns(self):
        """All columns with sealed texts: (table, column, purpose, column whose value is the context)."""
        return []

    @api.model
    def _seal(self, purpose, context, plaintext):
        """`plaintext` sealed. The first in this database may make the vault's key. Raises UserError."""
        try:
            return vault.seal(purpose, context, plaintext, create=not self._key_ids())
        except VaultUnreadable as error:
            raise UserError(self._text(error.problem)) from None

    @api.model
    def _open(self, purpose, context, sealed):
        """What was sealed. Raises UserError."""
        try:
            return vault.open_sealed(purpose, context, sealed)
        except VaultUnreadable as error:
            raise UserError(self._text(error.problem)) from None

    @api.model
    def _key_ids(self):
        """How many texts of this database are sealed with which key: {key id: number}."""
        return Counter(sealed_with(sealed) for *_place, sealed in self._sealed())

    @api.model
    def _missing_key_ids(self):
        """The keys that texts of this database are sealed with and that are not in the vault."""
        known = set()
        with suppress(VaultUnreadable):
            known = {key_id(key) for key in vault.keys()}
        return sorted(set(self._key_ids()) - known)

    @api.model
    def _reseal(self):
        """Seal everything with the vault's first key; how many texts there were. All or nothing: raises UserError.

        From `odoo shell`: `env["api.vault"]._reseal()`, then `env.cr.commit()`.
        """
        self.env["api.guard"]._require_configuration_right(self.env)
        count = 0
        for table, column, purpose, context, row_id, sealed in self._sealed():
            renewed = self._seal(purpose, context, self._open(purpose, context, sealed))
            self.env.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s WHERE id = %s AND %s = %s",
                    SQL.identifier(table), SQL.identifier(column), renewed, row_id, SQL.identifier(column), sealed,
                )
            )  # fmt: skip
            count += 1
        return count

    @api.model
    def _sealed(self):
        for table, column, purpose, context in self._sealed_columns():
            self.env.cr.execute(
                SQL(
                    "SELECT %s::text, id, %s FROM %s WHERE %s IS NOT NULL ORDER BY 2",
                    *map(SQL.identifier, (context, column, table, column)),
                )
            )
            for context_value, row_id, sealed in self.env.cr.fetchall():
                yield table, column, purpose, context_value, row_id, sealed

    # ----------------------------------------------------------------- screens

    @api.model
    def _text(self, problem):
        """What is wrong with the vault, and what an administrator can do about it."""
        place = {"option": vault.OPTION, "environment": vault.VARIABLE, "file": str(vault.path())}[vault.source()]
        return {
            Problem.MISSING: self.env._(
                "The vault's key is not there, although secrets were sealed with it. Bring back %(place)s.",
                place=place,
            ),
            Problem.MALFORMED: self.env._(
                "What is in %(place)s is no vault key: 32 bytes in base64 or hexadecimal, several separated by commas.",
                place=place,
            ),
            Problem.EXPOSED: self.env._(
                "Others on the server may read the vault's key. Restrict it: chmod 600 %(place)s", place=place
            ),
            Problem.UNREACHABLE: self.env._(
                "The vault's key cannot be read or made at %(place)s. Give the Odoo user rights to its folder.",
                place=place,
            ),
            Problem.CLOSED: self.env._(
                "A secret was sealed with another vault key than those in %(place)s, or it was changed. Put the key "
                "that is missing beside the others.",
                place=place,
            ),
        }[problem]

    @api.model
    def _check(self):
        """The vault's line of the self-check: (is fine, what is so, what to do)."""
        sources = {
            "option": self.env._("The vault's key comes from odoo.conf"),
            "environment": self.env._("The vault's key comes from the environment"),
            "file": self.env._("The vault's key is a file of this server: %(path)s", path=vault.path()),
        }
        sealed = sum(self._key_ids().values())
        try:
            vault.keys()
        except VaultUnreadable as error:
            if error.problem is Problem.MISSING and not sealed:
                return True, self.env._("Nothing is sealed yet: the vault's key is made when it is needed"), ""
            return False, self.env._("The vault's key cannot be used"), self._text(error.problem)
        if missing := self._missing_key_ids():
            return (
                False,
                self.env._("Secrets are sealed with a key that is not in the vault: %(keys)s", keys=", ".join(missing)),
                self.env._(
                    "Their calls are refused. Put that key beside the others, or set up those second factors anew."
                ),
            )
        return True, sources[vault.source()], ""
