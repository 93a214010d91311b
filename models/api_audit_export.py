"""The whole log as a file, for whoever verifies it without Odoo (offline/verify_log.py).

Written line by line, a few tiles at a time in memory, as one transaction sees it: what is written
meanwhile is not in it. It reaches to the last checkpoint.
"""

import contextlib
import gzip
import os
import secrets
from base64 import b64decode
from datetime import datetime, timezone
from functools import lru_cache
from zlib import decompress

from odoo import api, models
from odoo.tools import SQL

from ..core import logfile, merkle
from ..core.canonical import leaf
from ..core.checkpoint import Signed
from . import log_check

_TILES = 32  # in one part
_ROWS = 1_000
_RANGES = 5_000  # in one line
_LEVEL = 6  # of gzip


class ApiAuditExport(models.AbstractModel):
    _name = "api.audit.export"
    _description = "API Guard: export of the audit log"

    @api.model
    def _write(self, path, told=None):
        """The log as a gzip file at `path`, whole or not at all; how many entries. `told`: called with leaves done and
        leaves in all."""
        draft = f"{path}.{secrets.token_hex(4)}.partial"
        try:
            with open(draft, "xb") as raw, gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as file:
                os.fchmod(raw.fileno(), 0o600)
                count = self._write_lines(file.write, told)
                file.close()
                os.fsync(raw.fileno())
            os.replace(draft, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
            raise
        return count

    @api.model
    def _write_lines(self, write, told=None):
        # before anything is read: a partition that retention dropped then would be gone, and what says so not seen
        self.env.cr.execute("LOCK TABLE api_audit_entry IN ACCESS SHARE MODE")
        self.env.cr.execute("SELECT origin::text FROM api_audit_seal")
        [origin] = self.env.cr.fetchone()
        last = self.env["api.audit.checkpoint"]._last()
        size, now = (last.size if last else 0), datetime.now(timezone.utc)
        what = f"{self.env.cr.dbname}: the whole log, up to checkpoint {last.number or 0}"
        write(logfile.header_line(origin, now, what, complete=True))
        for (public,) in self._rows("SELECT public FROM api_audit_key ORDER BY id"):
            write(logfile.key_line(b64decode(public)))
        for body, signature in self._rows("SELECT body, signature FROM api_audit_checkpoint ORDER BY number"):
            write(logfile.checkpoint_line(Signed(body.encode(), b64decode(signature))))
        for level, number, hashes in self._rows(
            "SELECT level, number, hashes FROM api_audit_tile WHERE level > 0 ORDER BY level, number"
        ):
            write(logfile.tile_line(level, number, bytes(hashes)))
        count = self._write_leaves(write, size, told) + self._write_strays(write)
        write(logfile.end_line(count))
        return count

    @api.model
    def _write_leaves(self, write, size, told):
        count, dropped = 0, Dropped(self.env)
        for number in range(0, -(-size // merkle.TILE), _TILES):
            tiles = log_check._tiles(self.env, number, _TILES)
            blocks = log_check._blocks(self.env, number, _TILES)
            entries = log_check._hashes(self.env, [entry_id for ids in blocks.values() for entry_id in ids])
            first, end = number * merkle.TILE, min((number + _TILES) * merkle.TILE, size)
            for line in dropped.lines(first, end - 1):
                write(line)
            for place in range(number, number + _TILES):
                if place in tiles:
                    write(logfile.tile_line(0, place, tiles[place]))
                for at, entry_id in enumerate(blocks.get(place, ())[: max(0, size - place * merkle.TILE)]):
                    for _hash, entry in entries.get(entry_id, ()):
                        write(logfile.entry_line(place * merkle.TILE + at, leaf(entry)))
                        count += 1
            if told:
                told(end, size)
        return count

    @api.model
    def _write_strays(self, write):
        """Entries that are in no leaf though they should be: a fault, which the file tells as well."""
        count, after = 0, 0
        while after is not None:
            faults, after = log_check.check_entries(self.env, after, _ROWS * 50)
            for entry in self.env["api.audit.seal"]._entries_of([fault["entry"] for fault in faults]):
                write(logfile.entry_line(None, leaf(entry)))
                count += 1
        return count

    @api.model
    def _rows(self, query):
        with self.env.cr._cnx.cursor("api_guard_export") as cursor:
            cursor.itersize = _ROWS
            cursor.execute(query)
            yield from cursor


class Dropped:
    """What retention took, by the leaves."""

    def __init__(self, env):
        self._env = env
        self._bits = lru_cache(maxsize=16)(self._read)

    def _read(self, drop_id):
        self._env.cr.execute("SELECT leaf_map FROM api_audit_drop WHERE id = %s", [drop_id])
        return decompress(bytes(self._env.cr.fetchone()[0]))

    def lines(self, first, last):
        """Why these leaves have no entry."""
        if "api.audit.drop" not in self._env:
            return
        rows = self._env.execute_query(
            SQL(
                "SELECT id, first_leaf, rule, kind, ends FROM api_audit_drop"
                " WHERE first_leaf <= %s AND last_leaf >= %s ORDER BY id",
                last, first,
            )
        )  # fmt: skip
        for drop_id, start, rule, kind, ends in rows:
            bits = self._bits(drop_id)
            inside = range(max(first, start), min(last, start + 8 * len(bits) - 1) + 1)
            taken = [at for at in inside if bits[(at - start) >> 3] >> ((at - start) & 7) & 1]
            ranges = list(_ranges(taken))
            for at in range(0, len(ranges), _RANGES):
                yield logfile.dropped_line(ranges[at : at + _RANGES], rule=rule, kind=kind, until=ends)


def _ranges(numbers):
    """First and last of each row of numbers without a gap."""
    first = before = None
    for number in numbers:
        if before is not None and number != before + 1:
            yield first, before
            first = None
        first, before = number if first is None else first, number
    if first is not None:
        yield first, before
