"""Is this entry sealed, and how is that shown? What the screens of the log tell of it.

Whoever sees an entry sees that it is sealed, as which leaf and by which checkpoint. The proof names
hashes alone, nothing of what the entry holds.
"""

import json
from base64 import b64decode, b64encode

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import SQL

from ..core import merkle
from ..core.canonical import leaf
from ..core.checkpoint import is_signed

_UNSEALED = """
    SELECT waiting.id FROM api_audit_entry waiting
     WHERE (waiting.xid, waiting.id) > ((SELECT xid FROM api_audit_seal), (SELECT entry_id FROM api_audit_seal))
       AND NOT EXISTS (SELECT FROM api_audit_leaf_block block
                        WHERE block.span @> waiting.id AND waiting.id = ANY(block.entry_ids))
     UNION ALL
    SELECT unsigned.id FROM (SELECT COALESCE(max(size), 0) AS size FROM api_audit_checkpoint) signed
      JOIN api_audit_leaf_block block ON block.number >= signed.size / 256
      JOIN unnest(block.entry_ids) WITH ORDINALITY AS unsigned (id, place)
           ON block.number * 256 + unsigned.place > signed.size
"""


class ApiAuditEntry(models.Model):
    _inherit = "api.audit.entry"

    is_sealed = fields.Boolean(
        "Sealed",
        compute="_compute_seal",
        search="_search_is_sealed",
        help="It is in the tree, and a signed checkpoint stands for it: a change would be found. This takes up to a "
        "minute.",
    )
    leaf = fields.Char(compute="_compute_seal", help="Which one of the tree, counted from 0.")
    checkpoint = fields.Char("Sealed by", compute="_compute_seal")
    proof = fields.Text(
        compute="_compute_proof",
        groups="api_guard.group_auditor",
        help="The hash of the entry, those that lead from it to the root, and the checkpoint that signs the root.",
    )

    def _compute_seal(self):
        leaves = self.env["api.audit.seal"]._leaves(self.ids)
        numbers = self._checkpoints_of(sorted(set(leaves.values())))
        for entry in self:
            place = leaves.get(entry.id)
            number = numbers.get(place)
            entry.leaf = False if place is None else str(place)
            entry.checkpoint = number and self.env._("Checkpoint %(number)s", number=number)
            entry.is_sealed = bool(number)

    @api.model
    def _checkpoints_of(self, leaves):
        """{leaf: number of the first checkpoint that stands for it}."""
        rows = self.env.execute_query(
            SQL(
                "SELECT leaf, (SELECT min(number) FROM api_audit_checkpoint WHERE size ="
                " (SELECT min(size) FROM api_audit_checkpoint WHERE size > leaf)) FROM unnest(%s::bigint[]) leaf",
                leaves,
            )
        )  # fmt: skip
        return {place: number for place, number in rows if number}

    @api.model
    def _search_is_sealed(self, operator, value):
        if operator not in ("in", "not in"):
            return NotImplemented
        is_sealed = (True in value) == (operator == "in")
        # few wait: found by their ids, where a plain IN has PostgreSQL walk through the log in search of them
        form = SQL("NOT IN (%s)" if is_sealed else "= ANY(ARRAY(%s))", SQL(_UNSEALED))
        return Domain.custom(to_sql=lambda model, alias, query: SQL("%s %s", SQL.identifier(alias, "id"), form))

    @api.depends("is_sealed")
    def _compute_proof(self):
        for entry in self:
            found = entry._proven() if entry.is_sealed else None
            entry.proof = found and json.dumps(entry._shown_proof(*found), indent=2)

    def _proven(self):
        """The leaf of this entry, its hash as it is in the tree, the proof, and its checkpoint."""
        seal = self.env["api.audit.seal"]
        place = seal._leaves(self.ids)[self.id]
        checkpoint = self.env["api.audit.checkpoint"].sudo().browse(self._checkpoints_of([place])[place])
        number, at = divmod(place, merkle.TILE)
        sealed = seal._tile(0, number)[at * merkle.HASH : (at + 1) * merkle.HASH]
        return place, sealed, merkle.inclusion_proof(place, checkpoint.size, seal._tile), checkpoint

    def _shown_proof(self, place, sealed, proof, checkpoint):
        return {
            "leaf": place,
            "leaf_hash": b64encode(sealed).decode(),
            "proof": [b64encode(step).decode() for step in proof],
            "checkpoint": json.loads(checkpoint.body),
            "signature": checkpoint.signature,
        }

    def action_check_proof(self):
        """Compare this entry with what was sealed, now, and say what came of it."""
        self.ensure_one()
        if not self.env.su and not self.env.user.has_group("api_guard.group_auditor"):
            raise AccessError(self.env._("Only auditors and managers of API Guard check proofs."))
        if not self.is_sealed:
            return self._told("info", self.env._("This entry is not sealed yet. That takes up to a minute."))
        if problem := self._proof_problem():
            return self._told("danger", problem)
        return self._told("success", self.env._("The entry is what was sealed, and what %(checkpoint)s signs.",
                                                checkpoint=self.checkpoint))  # fmt: skip

    def _proof_problem(self):
        """What is wrong with this entry or its proof; None: nothing."""
        try:
            place, sealed, proof, checkpoint = self._proven()
        except merkle.TileMissing:
            return self.env._("Hashes are missing that lead from this entry to the root. Verify the whole log.")
        rows = list(self.env["api.audit.seal"]._entries_of(self.ids))
        if [merkle.leaf_hash(leaf(row)) for row in rows] != [sealed]:
            return self.env._("The entry is not what was sealed: it was changed.")
        root = b64decode(checkpoint.root)
        if not merkle.verify_inclusion(sealed, place, checkpoint.size, proof, root):
            return self.env._("The hashes do not lead to the root that was signed. Verify the whole log.")
        keys = self.env["api.audit.key"].sudo().search([("key_id", "=", checkpoint.key_id)])
        said = json.loads(checkpoint.body)
        if (said.get("size"), said.get("root")) != (checkpoint.size, checkpoint.root) or not any(
            is_signed(checkpoint._signed(), key._public()) for key in keys
        ):
            return self.env._("The checkpoint's signature does not fit. Verify the whole log.")
        return None

    def _told(self, kind, message):
        params = {"type": kind, "message": message, "sticky": kind == "danger"}
        return {"type": "ir.actions.client", "tag": "display_notification", "params": params}
