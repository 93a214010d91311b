"""What strangers report as leaked: counted by where it comes from, and acted on.

A report is told nothing, so that nobody can sort good keys from bad ones by it. What
it reports is suspended in the transaction that its audit entry commits with.
"""

import time

from odoo import fields, models
from odoo.tools import SQL

from ..core.alert import Signal
from ..core.verdict import Allow, Deny, Reason
from ..seams.beside import beside

MAX_AN_HOUR = 20  # reports from one IPv4 address or IPv6 /64, of up to twenty keys each
# how long a report takes, whatever it holds: the slow hash of a key, and all else that is done for a good one. A
# worker waits meanwhile, so that this bounds what a stranger can keep busy: some 4 s in an hour
_SECONDS, _SECONDS_EACH = 0.02, 0.01


class ApiLeakReport(models.Model):
    _name = "api.leak.report"
    _description = "Reports of Leaked Keys"
    _log_access = False
    _rec_name = "origin"

    origin = fields.Char(required=True, readonly=True)
    hour = fields.Datetime(required=True, readonly=True)
    count = fields.Integer(required=True, readonly=True, aggregator="sum")

    _once_an_hour = models.UniqueIndex("(origin, hour)")

    @classmethod
    def _open(cls, registry, cr):
        """The exchange of a report, in whose entry stands where it came from. Nobody has to prove anything."""
        exchange = registry["api.guard"]._open(cr)
        exchange.asked = (None, "leak")
        if exchange.identity is None:
            exchange.registry["api.recorder"]._identify_stray(exchange)
        return exchange

    @classmethod
    def _refusal(cls, exchange):
        """Count one more report from where this one comes from. None: it is taken; else the Deny that says when."""
        if isinstance(exchange.verdict, Allow):  # Odoo repeats what met a concurrent change
            return None
        with beside(exchange.registry) as cr:
            count, seconds = cls._count(cr, exchange.peer and str(exchange.peer))
        if count <= MAX_AN_HOUR:
            return None
        exchange.verdict = Deny(Reason.TOO_MANY_REPORTS, wait=seconds)
        return exchange.verdict

    @classmethod
    def _count(cls, cr, peer):
        """One more from there: how many in this hour, and how many seconds are left of it.

        In the database, for all workers and hosts; not worth waiting for the disk.
        """
        cr.execute(
            SQL(
                """WITH this AS (SELECT date_trunc('hour', now() AT TIME ZONE 'utc') AS hour),
                        old AS (DELETE FROM api_leak_report r USING this WHERE r.hour < this.hour)
                   INSERT INTO api_leak_report AS known (origin, hour, count)
                   SELECT COALESCE(%s::text, ''), this.hour, 1 FROM this
                       ON CONFLICT (origin, hour) DO UPDATE SET count = known.count + 1
                RETURNING count, extract(epoch FROM hour + interval '1 hour' - now() AT TIME ZONE 'utc'),
                          set_config('synchronous_commit', 'off', true)""",
                _origin(peer),
            )
        )
        count, seconds, _setting = cr.fetchone()
        return count, seconds

    @classmethod
    def _take(cls, exchange, cr, secrets):
        """Suspend what of `secrets` opens anything, and tell people."""
        registry = exchange.registry
        exchange.verdict, exchange.secrets, exchange.record_count = Allow(), tuple(secrets), len(secrets)
        registry["api.recorder"]._record_on_commit(exchange, cr, status=202)
        for secret in secrets:
            identity = registry["api.identity"]._of_key(cr, secret)
            if identity.key_id and registry["api.credential"]._suspend_leaked(cr, identity.credential_id):
                registry["api.alert"]._raise(
                    cr, Signal.KEY_LEAKED, identity.credential_id, identity.uid, exchange.peer, exchange.request_id
                )
        # a good key has its hash derived and its row changed: that must not be seen on the clock
        until = exchange.started + _SECONDS + _SECONDS_EACH * len(secrets)
        time.sleep(max(0.0, until - time.perf_counter()))


def _origin(peer):
    """Where an address is: an IPv6 one stands for its /64, which its owner moves in freely."""
    return SQL("network(set_masklen(%s::inet, CASE family(%s::inet) WHEN 6 THEN 64 ELSE 32 END))", peer, peer)
