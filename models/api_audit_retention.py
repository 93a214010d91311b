"""How long is an entry kept? One line for each class of outcome; a cron takes what is past its time.

Whole partitions go at once, without reading them, as soon as the last of their entries is past its time. Row by
row goes what cannot: the entries of the version that had no partitions, those beside others that are held, and
where a line says `to the day`, those of a month that is not over yet. What goes is archived first, if the line
says so, sealed, and noted (models/api_audit_drop.py).
"""

import logging
import time
from datetime import timedelta
from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.tools import SQL, format_date
from odoo.tools.misc import format_decimalized_number

from .api_audit_archive import ArchiveFailed
from .api_audit_entry import BEFORE
from .api_audit_partition import BATCH

_logger = logging.getLogger(__name__)

MAX_DAYS = 36_500
LEAST_DAYS = 30  # that whoever manages API Guard alone may set
PAUSE = 0.05  # seconds between two batches
RUN = 60.0  # seconds of one run of the cron, but for the unit that it is at
CHUNK = 100_000  # entries that are looked up, and archived, at a time where they go row by row
_COUNTED = 100_000  # rows that a preview counts one by one
_TRIES = 8  # of a table that somebody reads, in one run


class ApiAuditRetention(models.Model):
    _name = "api.audit.retention"
    _inherit = ["api.guard.written"]
    _description = "Retention of the Audit Log"
    _order = "sequence, id"
    _rec_name = "kind"

    sequence = fields.Integer(default=10)
    kind = fields.Selection(
        lambda self: self.env["api.audit.entry"]._fields["kind"].selection, "Class", required=True, readonly=True
    )
    days = fields.Integer("Keep for (days)", required=True, help="0: for ever.")
    period = fields.Selection(
        [("month", "Month"), ("day", "Day")],
        "Partition",
        required=True,
        default="month",
        help="How much goes at once. By day nothing stays longer than it must, for at most a few hundred days: "
        "many partitions make every search slower.",
    )
    is_exact = fields.Boolean(
        "To the day",
        help="Entries of a month that is not past its time as a whole are deleted one by one, each day. That takes "
        "far longer than dropping the month when its time has come.",
    )
    is_archived = fields.Boolean("Archive first", help="To a file, before anything is dropped. The settings say where.")
    problem = fields.Char("Why nothing goes", readonly=True, help="At the last run.")
    preview = fields.Char("Would go now", compute="_compute_preview", help="If these lines were saved as they are.")

    _kind_unique = models.Constraint("UNIQUE (kind)", "There is one line for each class.")

    @api.constrains("days")
    def _check_days(self):
        if any(not 0 <= line.days <= MAX_DAYS for line in self):
            raise ValidationError(
                self.env._("Entries are kept for 1 to %(most)s days, or for ever (0).", most=MAX_DAYS)
            )

    @api.constrains("days")
    def _check_who_shortens(self):
        """A manager of API Guard could have their own traces go within a day. Asked of the user: this runs as sudo."""
        if not self.env.user._is_system() and any(0 < line.days < LEAST_DAYS for line in self):
            raise ValidationError(
                self.env._("Only an administrator of Odoo lets entries go after less than %(least)s days.",
                           least=LEAST_DAYS)
            )  # fmt: skip

    def write(self, vals):
        """That the time was changed is an entry."""
        self._check_written(vals)
        before = {line: line._rule() for line in self}
        result = super().write(vals)
        for line in self.filtered(lambda line: line._rule() != before[line]):
            line._enter("write", f"{before[line]} → {line._rule()}")
        return result

    @api.model
    def _add_before(self):
        """The line of an upgraded log's old entries. They were to stay, and do so until somebody decides otherwise."""
        self.env.cr.execute("SELECT EXISTS (SELECT FROM api_audit_partition WHERE kind = %s)", [BEFORE])
        if self.env.cr.fetchone()[0] and not self.search_count([("kind", "=", BEFORE)]):
            self.create({"kind": BEFORE, "days": 0, "sequence": 9})

    def _rule(self):
        """What is noted with what goes by it. Data, not a text of the screens."""
        kept = f"{self.days} days" if self.days else "for ever"
        more = [self.period, *(["to the day"] if self.is_exact else []), *(["archived"] if self.is_archived else [])]
        return f"{self.kind}: {kept} ({', '.join(more)})"

    def _enter(self, method, text):
        self.env.flush_all()
        self.env["api.audit.entry"]._append_event(
            self.env.cr.execute, self._name, method, request_id=token_hex(10),
            user_id=self.env.uid, login=self.env.user.login, record_ids=str(self.id), record_count=1, arguments=text,
        )  # fmt: skip

    def _until(self):
        """What is older may go. None: nothing ever."""
        return self.env.cr.now().replace(microsecond=0) - timedelta(days=self.days) if self.days else None

    # -------------------------------------------------------------------- preview

    @api.depends("kind", "days", "is_exact")
    def _compute_preview(self):
        for line in self:
            line.preview = line._would_go()

    def _would_go(self):
        """In words: how much, from when, until when, how large, and what of it is held."""
        self.ensure_one()
        if not self.days or not 0 < self.days <= MAX_DAYS or not self.kind:
            return self.env._("Nothing: kept for ever")
        whole, parts = self._partitions_past(), self._parts_past()
        sizes = self.env["api.audit.partition"]._sizes(whole.mapped("table_name"))
        count = sum(sizes.get(table, (0, 0))[0] for table in whole.mapped("table_name"))
        some = [(table, self._count_before(table)) for table in parts]
        count += sum(number for _table, number in some)
        if not whole and not count:
            return self.env._("Nothing")
        told = [self.env._("about %(count)s entries", count=format_decimalized_number(count, 1))]
        if whole:
            told.append(
                self.env._(
                    "%(count)s partitions from %(first)s until %(last)s (%(size)s MB)",
                    count=len(whole),
                    first=format_date(self.env, min(whole.mapped("starts"))),
                    last=format_date(self.env, max(whole.mapped("ends")) - timedelta(seconds=1)),
                    size=round(sum(size for _rows, size in sizes.values()) / 2**20),
                )
            )
        if any(number for _table, number in some):
            told.append(self.env._("some one by one"))
        if held := self._held_in(whole):
            told.append(self.env._("%(count)s partitions stay in part: entries in them are held", count=held))
        return ", ".join(told)

    def _partitions_past(self):
        """The partitions of which all is past its time."""
        domain = [("kind", "=", self.kind), ("ends", "<=", self._until())]
        return self.env["api.audit.partition"].search(domain, order="starts")

    def _parts_past(self):
        """The tables of which only some is past its time, and goes one by one."""
        if self.kind != BEFORE and not self.is_exact:
            return []
        domain = [("kind", "=", self.kind), ("starts", "<", self._until()), ("ends", ">", self._until())]
        return self.env["api.audit.partition"].search(domain, order="starts").mapped("table_name")

    def _count_before(self, table):
        """How many are past their time: one by one if they are few, else in proportion to all."""
        name, until = SQL.identifier(table), self._until()
        [[count]] = self.env.execute_query(
            SQL("SELECT count(*) FROM (SELECT FROM %s WHERE occurred_at < %s LIMIT %s) x", name, until, _COUNTED)
        )
        if count < _COUNTED:
            return count
        [[share]] = self.env.execute_query(
            SQL(
                "SELECT extract(epoch FROM %s - starts) / extract(epoch FROM ends - starts)"
                " FROM api_audit_partition WHERE table_name = %s",
                until, table,
            )
        )  # fmt: skip
        return max(count, round(float(share) * self.env["api.audit.partition"]._sizes([table])[table][0]))

    def _held_in(self, partitions):
        holds_any = self.env["api.audit.drop"]._holds_any
        return sum(holds_any(self.env.cr, table) for table in partitions.mapped("table_name"))

    # ----------------------------------------------------------------------- drop

    def action_drop_now(self):
        """Begin at once, in the background: a request that reads the log would be in its own way."""
        if not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers drop entries of the audit log."))
        self.env["api.guard"]._require_configuration_right(self.env)
        for line in self.search([("days", ">", 0)]):
            line._enter("action_drop_now", line._rule())
        self.env.ref("api_guard.cron_retention").sudo()._trigger()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("It begins within a minute. What went is in the list of what was dropped."),
            },
        }

    @api.model
    def _cron_retention(self):
        """Take what is past its time, for as long as a run may take; what is left is for the next."""
        ends = time.monotonic() + RUN
        is_done = True
        for line in self.search([("days", ">", 0)]):
            problem, kind, known = None, line.kind, line.problem or None
            try:
                is_done = line._take(ends) and is_done
            except ArchiveFailed as error:
                problem = str(error)
                _logger.error("retention of class %s: nothing goes: %s", kind, problem)
            except Exception as error:
                problem = type(error).__name__
                _logger.exception("retention of class %s: nothing more goes for now", kind)
            if problem != known:
                with self.env.registry.cursor() as cr:
                    cr.execute("UPDATE api_audit_retention SET problem = %s WHERE id = %s", [problem, line.id])
        if not is_done:
            self.env.ref("api_guard.cron_retention").sudo()._trigger(self.env.cr.now() + timedelta(minutes=1))

    def _take(self, ends):
        """Take what is past the time of this line. False: not all of it, there is more to do or to wait for."""
        rule, until = self._rule(), self._until()
        whole, parts = self._partitions_past().mapped("table_name"), self._parts_past()
        is_done = True
        for table in whole:
            if time.monotonic() > ends:
                return False
            is_done = self._take_whole(table, rule, until, ends) and is_done
        for table in parts:
            is_done = self._take_some(table, rule, until, ends) and is_done
        return is_done

    def _take_whole(self, table, rule, until, ends):
        drops = self.env["api.audit.drop"]
        with self.env.registry.cursor() as cr:
            is_held = drops._holds_any(cr, table)
        if is_held:
            return self._take_some(table, rule, until, ends)
        portion = drops._survey(self.kind, table)
        if portion is None:  # not sealed yet: another time
            return True
        archive = (None, None)
        if self.is_archived and portion.count:
            archive = self.env["api.audit.archive"]._archive_table(portion, lambda: time.monotonic() > ends)
            if archive is None:
                return False
        for _try in range(_TRIES):
            if drops._take_table(portion, rule, archive):
                return True
            time.sleep(PAUSE)
        return False

    def _take_some(self, table, rule, until, ends):
        """Batch after batch. False: there was no time for all."""
        drops, after = self.env["api.audit.drop"], None
        while candidates := drops._candidates(table, until, CHUNK, after):
            after = candidates[-1]
            if time.monotonic() > ends:
                return False
            archive = (None, None)
            if self.is_archived:
                ids = [entry_id for _time, entry_id in candidates]
                archive = self.env["api.audit.archive"]._archive_some(self.kind, table, ids)
            for first in range(0, len(candidates), BATCH):
                if time.monotonic() > ends:
                    return False
                drops._take_batch(self.kind, table, candidates[first : first + BATCH], rule, archive)
                time.sleep(PAUSE)
        return True
