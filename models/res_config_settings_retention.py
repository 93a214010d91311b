"""Settings: where archives of the audit log go, and whether its partitions and its growth are well."""

import os
import shutil

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .api_audit_archive import Folder
from .api_audit_entry import KINDS

_SCARCE = 0.1  # of a disk


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    api_guard_archive_place = fields.Selection(
        [("folder", "A folder of the server"), ("attachment", "Odoo's attachments")],
        groups="base.group_system",
        string="Archives go to",
        config_parameter="api_guard.archive_place",
        default="folder",
    )
    api_guard_archive_folder = fields.Char(
        groups="base.group_system",
        string="Folder of archives",
        config_parameter="api_guard.archive_folder",
        help="On the server that runs Odoo's scheduled actions, for instance a share that is backed up.",
    )

    @api.constrains("api_guard_archive_folder", "api_guard_archive_place")
    def _check_api_guard_archive_folder(self):
        for settings in self:
            folder = (settings.api_guard_archive_folder or "").strip()
            if folder and settings.api_guard_archive_place == "folder" and (problem := Folder(folder).problem()):
                raise ValidationError(
                    self.env._("Archives cannot be kept in “%(folder)s”: %(problem)s.", folder=folder, problem=problem)
                )

    @api.model
    def _api_guard_checks(self):
        return [
            *super()._api_guard_checks(),
            self._api_guard_check_partitions(),
            self._api_guard_check_retention(),
            self._api_guard_check_growth(),
        ]

    @api.model
    def _api_guard_check_partitions(self):
        missing = self.env["api.audit.partition"].sudo()._missing()
        if missing:
            return (
                False,
                self.env._("Tables of the audit log are missing: %(tables)s", tables=", ".join(missing)),
                self.env._(
                    "Somebody detached or dropped them in PostgreSQL. New entries are kept all the same, and empty "
                    "tables are made again. Verify the log: it says which entries are gone."
                ),
            )
        in_rest = [kind for kind in KINDS if self._api_guard_has_rows(f"api_audit_entry_{kind}_rest")]
        if in_rest:
            return (
                False,
                self.env._("Entries of the audit log lie outside of their partitions: %(kinds)s",
                           kinds=", ".join(in_rest)),
                self.env._(
                    "None is lost. The scheduled action “API Guard: partitions of the audit log” moves them within "
                    "minutes. If this stays, look whether it is active, and what the server's log says of it."
                ),
            )  # fmt: skip
        return True, self.env._("Every entry of the audit log lies in its partition"), ""

    @api.model
    def _api_guard_has_rows(self, table):
        query = SQL("SELECT EXISTS (SELECT FROM %s)", SQL.identifier(table))
        return self.env.execute_query(query)[0][0]

    @api.model
    def _api_guard_check_retention(self):
        lines = self.env["api.audit.retention"].sudo().search([("days", ">", 0)])
        stuck = lines.filtered("problem")
        problem = "; ".join(f"{line.kind}: {line.problem}" for line in stuck)
        if not problem and any(lines.mapped("is_archived")):
            problem = self._api_guard_archive_problem()
        return (
            not problem,
            self.env._("Retention can drop what is past its time")
            if not problem
            else self.env._("Retention drops nothing: %(problem)s", problem=problem),
            self.env._(
                "What cannot be archived stays. Set a folder that Odoo may write to and that has space, under "
                "“Archives go to”; the next run goes on."
            ),
        )

    @api.model
    def _api_guard_archive_problem(self):
        parameters = self.env["ir.config_parameter"].sudo()
        if parameters.get_param("api_guard.archive_place") == "attachment":
            return None
        return Folder(parameters.get_param("api_guard.archive_folder") or "").problem()

    @api.model
    def _api_guard_check_growth(self):
        """PostgreSQL does not tell how full its disk is, and may have another than Odoo. Said is what is known: how
        large the log is and how fast it grows; and how full the disk is, where PostgreSQL's own folder is here."""
        [[size]] = self.env.execute_query(
            SQL("SELECT COALESCE(sum(pg_total_relation_size(relid)), 0) FROM pg_partition_tree('api_audit_entry')")
        )
        grown = self._api_guard_size_of_last_days(30)
        told = {"size": _size(size), "month": _size(grown)}
        free, total = self._api_guard_disk()
        if free is not None and (free < _SCARCE * total or free < grown):
            return (
                False,
                self.env._(
                    "The database's disk is nearly full: %(free)s are free, and the audit log (%(size)s) grows by "
                    "about %(month)s in 30 days",
                    free=_size(free),
                    **told,
                ),
                self.env._(
                    "When it is full, calls are refused, because their entries cannot be written. Keep entries for a "
                    "shorter time, or give the database more space."
                ),
            )
        return (
            True,
            self.env._("The audit log takes %(size)s and grows by about %(month)s in 30 days", **told),
            self.env._("Whether the database's disk has that much is not for Odoo to see: watch it there."),
        )

    @api.model
    def _api_guard_size_of_last_days(self, days):
        """What was added in the last days, about: partitions that begin in them, and a share of the one before."""
        since = fields.Datetime.subtract(fields.Datetime.now(), days=days)
        partitions = self.env["api.audit.partition"].sudo().search(
            [("ends", ">", since), ("starts", "<", fields.Datetime.now()), ("kind", "in", KINDS)]
        )  # fmt: skip
        sizes = partitions._sizes(partitions.mapped("table_name"))
        shares = {}
        for part in partitions:
            ends = min(part.ends, fields.Datetime.now())
            length = max((ends - part.starts).total_seconds(), 1)
            shares[part.table_name] = min(1, (ends - max(part.starts, since)).total_seconds() / length)
        return sum(share * sizes.get(table, (0, 0))[1] for table, share in shares.items())

    @api.model
    def _api_guard_disk(self):
        """Free and total bytes of PostgreSQL's disk; None where it cannot be seen from here."""
        cr = self.env.cr
        cr.execute("SELECT inet_server_addr() IS NULL, pg_has_role(current_user, 'pg_read_all_settings', 'usage')")
        is_here, may_ask = cr.fetchone()
        if not is_here or not may_ask:
            return None, None
        cr.execute("SHOW data_directory")
        [folder] = cr.fetchone()
        if not os.path.isdir(folder):
            return None, None
        usage = shutil.disk_usage(folder)
        return usage.free, usage.total


def _size(count):
    """12.3 GB, or MB where it is less."""
    count = float(count)
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"
