"""The second factor of a key: what its codes are checked with, and what became of them.

A call that needs a code looks here, on the connection beside its own: a code is used up,
and a wrong one counted, whatever becomes of the call. Each step is one statement that
holds its own conditions, so that all workers agree on who came first.
"""

from datetime import timezone
from secrets import token_bytes

import pyotp
from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..core.alert import Signal
from ..core.recovery import COUNT, SIZE, hash_recovery, read_recovery, write_recovery
from ..core.totp import matching_step, minutes_off
from ..core.verdict import Reason
from . import vault
from .vault import VaultUnreadable

PURPOSE = "second_factor"
MAX_FAILURES = 5  # wrong codes in a row
FIRST_LOCK = 15  # minutes; each further lock is twice as long
LONGEST_LOCK = 24 * 60

_IS_OPEN = "(locked_until IS NULL OR locked_until <= now() AT TIME ZONE 'utc')"
_FIND = f"""
    SELECT id, secret, last_step, NOT {_IS_OPEN} AS is_locked
      FROM api_second_factor WHERE lineage_id = %s AND secret IS NOT NULL
"""  # noqa: S608 - a constant
_FIND_OPEN = f"SELECT id FROM api_second_factor WHERE id = %s AND {_IS_OPEN}"  # noqa: S608
_USE_STEP = f"""
    UPDATE api_second_factor SET last_step = %s, failures = 0, locks = 0, locked_until = NULL
     WHERE id = %s AND last_step < %s AND {_IS_OPEN} RETURNING id
"""  # noqa: S608
_USE_RECOVERY = f"""
    UPDATE api_second_factor
       SET recovery = array_remove(recovery, %s), failures = 0, locks = 0, locked_until = NULL
     WHERE id = %s AND %s = ANY(recovery) AND {_IS_OPEN} RETURNING id
"""  # noqa: S608
_COUNT_FAILURE = f"""
    UPDATE api_second_factor
       SET failures = (failures + 1) %% {MAX_FAILURES},
           locks = locks + (failures + 1) / {MAX_FAILURES},
           locked_until = CASE WHEN failures + 1 >= {MAX_FAILURES}
                               THEN now() AT TIME ZONE 'utc' + make_interval(
                                    mins => LEAST({FIRST_LOCK} * 2 ^ LEAST(locks, 10), {LONGEST_LOCK})::integer)
                          END
     WHERE id = %s AND {_IS_OPEN} RETURNING id
"""  # noqa: S608


class ApiSecondFactor(models.Model):
    _name = "api.second.factor"
    _inherit = ["api.guard.configuration"]
    _description = "Second Factor of an API Key"
    _rec_name = "lineage_id"

    # of a key and of all that replace it: the id of the first one's companion
    lineage_id = fields.Integer("Key", required=True, readonly=True)
    confirmed_at = fields.Datetime("Set up on", readonly=True)
    last_step = fields.Integer("Last time step", readonly=True, default=0, required=True, aggregator=None)
    failures = fields.Integer("Wrong codes in a row", readonly=True, default=0, required=True)
    locks = fields.Integer("Locks in a row", readonly=True, default=0, required=True)
    locked_until = fields.Datetime(readonly=True)

    _lineage_unique = models.Constraint("UNIQUE (lineage_id)", "A key has one second factor.")

    def init(self):
        """The columns of what the ORM must not read: the sealed secret, the hashes of the recovery codes."""
        self.env.cr.execute(
            "ALTER TABLE api_second_factor ADD COLUMN IF NOT EXISTS secret varchar,"
            " ADD COLUMN IF NOT EXISTS recovery varchar[]"
        )

    # -------------------------------------------------------------- at a call

    @classmethod
    def _refusal_of(cls, cr, lineage_id, code, at):
        """Why `code` proves nothing at this moment, or None; and what the log may know of it.

        `cr`: the connection beside the call's. A right code is used up, a wrong one counted.
        """
        cr.execute(_FIND, [lineage_id])
        found = cr.dictfetchall()
        if not found:
            return Reason.CODE_NOT_ENROLLED, None
        [factor] = found
        if factor["is_locked"]:
            return Reason.CODE_LOCKED, None
        if recovery := read_recovery(code):
            return cls._use_recovery(cr, factor, hash_recovery(recovery, str(lineage_id))), None
        return cls._refusal_of_code(cr, lineage_id, factor, code, at)

    @classmethod
    def _refusal_of_code(cls, cr, lineage_id, factor, code, at):
        try:
            secret = vault.open_sealed(PURPOSE, str(lineage_id), factor["secret"])
        except VaultUnreadable:
            return Reason.VAULT_UNREADABLE, None
        step = matching_step(secret, code, at, factor["last_step"])
        if step is Reason.CODE_WRONG:
            return cls._fail(cr, factor), _clock(minutes_off(secret, code, at))
        return step if step is Reason.CODE_REUSED else cls._use_step(cr, factor, step), None

    @classmethod
    def _use_step(cls, cr, factor, step):
        """None: it is used up by this. Else another call came first, and used it or locked the second factor."""
        cr.execute(_USE_STEP, [step, factor["id"], step])
        if cr.fetchone():
            return None
        cr.execute(_FIND_OPEN, [factor["id"]])
        return Reason.CODE_REUSED if cr.fetchone() else Reason.CODE_LOCKED

    @classmethod
    def _use_recovery(cls, cr, factor, spent):
        cr.execute(_USE_RECOVERY, [spent, factor["id"], spent])
        return None if cr.fetchone() else cls._fail(cr, factor)

    @classmethod
    def _fail(cls, cr, factor):
        """Count a wrong code. Once it is locked, no code is judged any more, not even as wrong."""
        cr.execute(_COUNT_FAILURE, [factor["id"]])
        return Reason.CODE_WRONG if cr.fetchone() else Reason.CODE_LOCKED

    @classmethod
    def _tell_if_locked(cls, cr, exchange):
        """Was this the wrong code too many? Then whoever sends them has the key."""
        identity = exchange.identity
        cr.execute(
            f"SELECT 1 FROM api_second_factor WHERE lineage_id = %s AND NOT {_IS_OPEN}",  # noqa: S608
            [identity.lineage_id],
        )
        if cr.fetchone():
            exchange.registry["api.alert"]._raise(
                cr, Signal.CODES_LOCKED, identity.credential_id, identity.uid, exchange.peer, exchange.request_id
            )

    # ----------------------------------------------------------- at the screens

    @api.model
    def _draw(self, lineage_id):
        """A new secret, sealed. It opens nothing before it is confirmed."""
        return self.env["api.vault"]._seal(PURPOSE, str(lineage_id), pyotp.random_base32(length=32))

    @api.model
    def _confirm(self, lineage_id, sealed, code):
        """Put a drawn secret in force if `code` is one of its; the recovery codes, told this once. Raises UserError."""
        self.env["api.guard"]._require_configuration_right(self.env)
        secret = self.env["api.vault"]._open(PURPOSE, str(lineage_id), sealed)
        step = matching_step(secret, (code or "").strip(), fields.Datetime.now().replace(tzinfo=timezone.utc), 0)
        if isinstance(step, Reason):
            raise UserError(
                self.env._("This is not the code of this moment. Wait for the next one; check the device's clock.")
            )
        codes = [write_recovery(token_bytes(SIZE)) for _number in range(COUNT)]
        self._store(lineage_id, sealed, step, codes)
        return codes

    @api.model
    def _store(self, lineage_id, sealed, step, codes):
        hashes = [hash_recovery(read_recovery(code), str(lineage_id)) for code in codes]
        self.env.cr.execute(
            """INSERT INTO api_second_factor
                      (lineage_id, secret, last_step, recovery, confirmed_at, failures, locks,
                       create_uid, write_uid, create_date, write_date)
               VALUES (%(lineage)s, %(secret)s, %(step)s, %(recovery)s, date_trunc('second', now() AT TIME ZONE 'utc'),
                       0, 0, %(uid)s, %(uid)s, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
               ON CONFLICT (lineage_id) DO UPDATE
                  SET secret = excluded.secret, last_step = excluded.last_step, recovery = excluded.recovery,
                      confirmed_at = excluded.confirmed_at, failures = 0, locks = 0, locked_until = NULL,
                      write_uid = excluded.write_uid, write_date = excluded.write_date""",
            {"lineage": lineage_id, "secret": sealed, "step": step, "recovery": hashes, "uid": self.env.uid},
        )
        self.invalidate_model()

    def _unlock(self):
        self.env["api.guard"]._require_configuration_right(self.env)
        if not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers unlock a second factor."))
        self.sudo().write({"failures": 0, "locks": 0, "locked_until": False})

    def _recovery_left(self):
        """How many recovery codes were not used yet: {lineage id: number}."""
        self.env.cr.execute(
            "SELECT lineage_id, COALESCE(cardinality(recovery), 0) FROM api_second_factor WHERE id = ANY(%s)",
            [self.ids],
        )
        return dict(self.env.cr.fetchall())

    @api.autovacuum
    def _gc_ended(self):
        """The secrets of keys that are gone open nothing, and so need not be kept."""
        credentials = self.env["api.credential"].sudo()
        live = {credentials._lineage_of(credential) for credential in credentials.search([("apikey_id", "!=", False)])}
        self.sudo().search([("lineage_id", "not in", list(live))]).unlink()


class ApiVault(models.AbstractModel):
    _inherit = "api.vault"

    @api.model
    def _sealed_columns(self):
        return [*super()._sealed_columns(), ("api_second_factor", "secret", PURPOSE, "lineage_id")]


def _clock(minutes):
    """What the log tells of a code that another moment would have shown."""
    if minutes is None:
        return None
    return f"the caller's clock seems {abs(minutes)} minutes {'ahead' if minutes > 0 else 'behind'}"
