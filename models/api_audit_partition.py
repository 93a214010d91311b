"""Where does an entry lie? A partition for each class of outcome and month, so that what has to go goes at once."""

import logging
import os

from odoo import fields, models

from ..seams.beside import Planned, beside

_logger = logging.getLogger(__name__)

_ADD = Planned("SELECT api_guard_add_partition(%s, %s, %s)")


class ApiAuditPartition(models.Model):
    _name = "api.audit.partition"
    _description = "API Audit Log Partition"
    _log_access = False
    _order = "starts desc, kind"
    _rec_name = "table_name"

    kind = fields.Char("Class", readonly=True, required=True)
    starts = fields.Datetime("From", readonly=True, required=True)
    ends = fields.Datetime("Until", readonly=True, required=True)
    table_name = fields.Char("Table", readonly=True, required=True)

    _known = {}  # (process, database, class) → the days for which there is a partition, as this process has seen

    @classmethod
    def _provide(cls, kind, moment):
        """Before an entry is written: the partition for it. Costs a look into a set, but for the first one of a day.

        Whatever is wrong with that, the entry is not lost: it goes to the rest.
        """
        slot = (os.getpid(), cls.pool.db_name, kind)
        known = cls._known.setdefault(slot, set())
        day = moment.date()
        if day in known:
            return
        known.add(day)
        try:
            with beside(cls.pool) as cr:
                cr.execute(_ADD, [kind, moment, "month"])
        except Exception:
            _logger.warning("the audit log has no partition for %s on %s", kind, day, exc_info=True)
