"""What of the sealed log is told to those outside: receipts, checkpoints, and that it only grew."""

import re
from datetime import datetime, timedelta, timezone

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..core import merkle, receipt, witness
from ..core.call import Kind
from ..core.canonical import leaf
from ..core.checkpoint import parse

SEAL_SECONDS = 20  # after which asking for a receipt again is worth it
_REQUEST_ID = re.compile(r"([0-9a-f]{11})[0-9a-f]{9}")  # seams/exchange.py: milliseconds first
_SLACK = timedelta(seconds=1)
#: what whoever may read an entry need not be allowed to see of it (models/api_audit_shown.py)
_VALUES = ("arguments", "results", "read_ids", "error_message")


class ApiAuditReceipt(models.AbstractModel):
    _name = "api.audit.receipt"
    _description = "API Guard: proofs of the audit log"

    # ----------------------------------------------------------------- receipts

    @api.model
    def _receipts(self, request_id, exchange):
        """What is told of a request: (HTTP status, document).

        200: the receipts of its entries; 202: not sealed yet; 403: its entries are not for the caller, who made the
        call; 404: there is no such request, or it is somebody else's.
        """
        entries = self._entries_of(request_id)
        given, own = self._given(entries, exchange)
        if not given:
            return (403, self._text_withheld()) if own else (404, self.env._("There is no such call of yours."))
        leaves = self.env["api.audit.seal"].sudo()._leaves([entry["id"] for entry in given])
        last = self.env["api.audit.checkpoint"]._last()
        if not last or any(leaves.get(entry["id"], last.size) >= last.size for entry in given):
            return 202, self.env._("It is not sealed yet. Ask again.")
        told = [self._receipt(entry, leaves[entry["id"]], last) for entry in given]
        return 200, receipt.receipts(request_id, told, len(entries) - len(given))

    @api.model
    def _text_withheld(self):
        return self.env._(
            "The call was refused or failed: its entry says why, which is for those who may read the audit log."
        )

    @api.model
    def _receipt(self, entry, index, checkpoint):
        proof = merkle.inclusion_proof(index, checkpoint.size, self._tile)
        return receipt.receipt(leaf(entry), index, proof, checkpoint._signed(), self._public(checkpoint.key_id))

    @api.model
    def _entries_of(self, request_id):
        """All entries of a request, as they are sealed. Its id tells when it came: other months are not looked at."""
        if not (found := _REQUEST_ID.fullmatch(request_id)):
            return []
        at = datetime.fromtimestamp(int(found[1], 16) / 1000, timezone.utc).replace(tzinfo=None)
        self.env.cr.execute("SELECT set_config('extra_float_digits', '1', true)")  # as they were read when sealed
        where = SQL("request_id = %s AND occurred_at BETWEEN %s AND %s", request_id, at - _SLACK, at + _SLACK)
        return list(self.env["api.audit.seal"].sudo()._entries(where))

    @api.model
    def _given(self, entries, exchange):
        """Those of which the caller may have all, for a leaf is proven whole or not at all; whether any is its own.

        A key is given what it was allowed to do: why it was refused, which policy did it and what an error said
        inside are in the entries of other calls. Whoever reads the log on the screens is given what is read there.
        """
        own = self._own(entries, exchange)
        given = [entry for entry in own if entry["outcome"] == "allowed"]
        if len(given) < len(entries) and not exchange.scoped and not exchange.closures:
            visible = self._visible(entries)
            given = [entry for entry in entries if entry in given or entry["id"] in visible]
        return given, bool(own)

    @api.model
    def _own(self, entries, exchange):
        """Those of the key that asks, or of one that it has replaced or been replaced by."""
        identity = exchange.identity
        if identity.credential.kind is not Kind.KEY or identity.credential_id is None:
            return []
        ids = [entry["credential_id"] for entry in entries if entry["credential_id"] is not None]
        self.env.cr.execute("SELECT id, COALESCE(lineage_id, id) FROM api_credential WHERE id = ANY(%s)", [ids])
        lineages, line = dict(self.env.cr.fetchall()), identity.lineage_id or identity.credential_id
        return [entry for entry in entries if lineages.get(entry["credential_id"]) == line]

    @api.model
    def _visible(self, entries):
        """The ids of the entries of which the user may see all on the screens."""
        model = self.env["api.audit.entry"]
        if not model.has_access("read"):
            return set()
        found = model.search([("id", "in", [entry["id"] for entry in entries])])
        names = [name for name in _VALUES if name in model._fields]
        shown = {values["id"]: values for values in found.read(names)}
        return {entry["id"] for entry in entries if entry["id"] in shown and _is_whole(entry, shown[entry["id"]])}

    # -------------------------------------------------------------- checkpoints

    @api.model
    def _log(self):
        """Which log is this, who signs it, and how far has it come?"""
        last = self.env["api.audit.checkpoint"]._last()
        keys = self.env["api.audit.key"].sudo().search([("public", "!=", False)], order="id")
        return {
            "origin": self._origin(),
            "public_keys": receipt.public_keys([key._public() for key in keys]),
            "checkpoint": receipt.checkpoint(last._signed()) if last else None,
        }

    @api.model
    def _consistency(self, old, new):
        """The document that shows that between two checkpoints (records) the log only grew. Raises UserError."""
        if not old or not new or old.number > new.number:
            raise UserError(self.env._("Choose two checkpoints that there are, the older one first."))
        proof = merkle.consistency_proof(old.size, new.size, self._tile)
        keys = [self._public(name) for name in dict.fromkeys([old.key_id, new.key_id])]
        return receipt.consistency(old._signed(), new._signed(), proof, keys)

    @api.model
    def _is_consistent(self, old, new):
        """Does the proof hold? Asked of what the checkpoints say, not of what the log would have them say."""
        before, after = parse(old.body.encode()), parse(new.body.encode())
        proof = merkle.consistency_proof(before.size, after.size, self._tile)
        return merkle.verify_consistency(before.size, after.size, before.root, after.root, proof)

    @api.model
    def _statement(self, checkpoint, since=0):
        """What a witness is told of a checkpoint (record) that knows the log with `since` entries."""
        proof = merkle.consistency_proof(since, checkpoint.size, self._tile) if since <= checkpoint.size else ()
        return witness.Statement(checkpoint._signed(), self._public(checkpoint.key_id), since, tuple(proof))

    @api.model
    def _checkpoint(self, number):
        return self.env["api.audit.checkpoint"].sudo().search([("number", "=", number)], limit=1)

    @api.model
    def _public(self, key_id):
        return self.env["api.audit.key"].sudo().search([("key_id", "=", key_id)], limit=1)._public()

    @api.model
    def _origin(self):
        self.env.cr.execute("SELECT origin::text FROM api_audit_seal")
        return self.env.cr.fetchone()[0]

    @api.model
    def _tile(self, level, number):
        return self.env["api.audit.seal"].sudo()._tile(level, number)


def _is_whole(entry, shown):
    """Is nothing of the entry hidden from who is shown this? Digests are from everybody."""
    return not entry["digests"] and all(not entry[name] or shown.get(name) for name in _VALUES)
