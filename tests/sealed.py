"""A log to be sealed, in a transaction that no other sees: what tests of sealing and verifying share."""

from datetime import datetime

from odoo.tests.common import TransactionCase
from odoo.tools import SQL

from ..models import vault
from .test_vault import ONE, Places

ENTRY = {
    "kind": "read",
    "occurred_at": "2026-01-01 10:30:00.5",
    "request_id": "r",
    "door": "json2",
    "verdict": "allow",
    "outcome": "allowed",
    "model": "res.partner",
}


class SealedCase(Places, TransactionCase):
    def setUp(self):
        super().setUp()
        self.options[vault.OPTION] = ONE
        self.seal = self.env["api.audit.seal"]
        self.checkpoints = self.env["api.audit.checkpoint"]
        self.seal_all()
        self.before = self.size()

    def enter(self, count=1, **values):
        """Entries, written as the guard does; their ids. `xid`: the transaction that they claim to be of."""
        return [self._enter({**ENTRY, **values}) for _number in range(count)]

    def _enter(self, row):
        self.env.cr.execute(
            SQL(
                "INSERT INTO api_audit_entry (%s) VALUES (%s) RETURNING id",
                SQL(", ").join(map(SQL.identifier, row)),
                SQL(", ").join(SQL("%s::text::xid8" if name == "xid" else "%s", row[name]) for name in row),
            )
        )
        return self.env.cr.fetchone()[0]

    def seal_all(self, limit=10_000):
        """How many were sealed."""
        total, behind = 0, True
        while behind:
            count, behind = self.seal._seal(limit)
            total += count
        return total

    def size(self):
        return self.state("size")

    def state(self, column):
        self.env.cr.execute(SQL("SELECT %s FROM api_audit_seal", SQL.identifier(column)))
        return self.env.cr.fetchone()[0]

    def leaves(self):
        """The ids of this test's entries in the order of their leaves."""
        self.env.cr.execute("SELECT entry_ids FROM api_audit_leaf_block ORDER BY number")
        return [entry_id for (ids,) in self.env.cr.fetchall() for entry_id in ids][self.before :]

    def horizon(self):
        self.env.cr.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return self.env.cr.fetchone()[0]

    def checked(self, sql, *parameters):
        """Run SQL as somebody does who owns the database, and has switched the triggers off."""
        tables = ("entry", "tile", "leaf_block", "checkpoint", "key", "seal")
        self.env.cr.execute("SET LOCAL session_replication_role = replica") if self._is_superuser() else None
        for table in tables:
            self.env.cr.execute(SQL("ALTER TABLE %s DISABLE TRIGGER USER", SQL.identifier(f"api_audit_{table}")))
        self.env.cr.execute(sql, parameters or None)

    def _is_superuser(self):
        self.env.cr.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return self.env.cr.fetchone()[0]


def moment(text):
    return datetime.fromisoformat(text)
