"""Where is what retention takes? In files that `offline/verify_log.py` reads, read back before anything goes.

A file holds the entries of one table in the order of their leaves, and what proves them: their tiles, those above
up to the root, the last checkpoint, the public keys. Large tables go to several files, a part at a time, so that a run
that is cut off goes on where it was. What does not fit its leaf is not archived, and so does not go.
"""

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import tempfile
from base64 import b64decode
from datetime import datetime, timezone

from odoo import api, fields, models
from odoo.tools import SQL

from ..core import logfile, merkle
from ..core.canonical import leaf
from ..core.checkpoint import Signed

BLOCKS = 400  # tiles of 256 leaves in one file
_STEP = 16  # of them in memory
_LEVEL = 6  # of gzip
_SPARE = 256 * 2**20  # bytes that have to stay free
_ENTRY = b'{"type":"entry"'


class ArchiveFailed(Exception):
    """Nothing may go: why, in words for the log."""


class ApiAuditArchive(models.Model):
    _name = "api.audit.archive"
    _inherit = ["api.guard.configuration"]
    _description = "Archive of the Audit Log"
    _log_access = False
    _order = "id desc"

    name = fields.Char(required=True, readonly=True)
    kind = fields.Selection(lambda self: self.env["api.audit.entry"]._fields["kind"].selection, "Class", readonly=True)
    table_name = fields.Char("Table", readonly=True, index=True)
    made_at = fields.Datetime("Made", readonly=True)
    folder = fields.Char(readonly=True)
    attachment_id = fields.Many2one("ir.attachment", readonly=True, ondelete="set null")
    entry_count = fields.Integer("Entries", readonly=True)
    starts = fields.Datetime("From", readonly=True)
    ends = fields.Datetime("Until", readonly=True)
    first_block = fields.Integer(readonly=True, aggregator=None)
    last_block = fields.Integer(readonly=True, aggregator=None)
    size_mb = fields.Float("Size (MB)", readonly=True, digits=(16, 1))
    digest = fields.Char("SHA-256", readonly=True)
    is_part = fields.Boolean(readonly=True, help="Of a whole table, which goes when all parts are there.")
    is_dropped = fields.Boolean("Dropped since", readonly=True)

    # ----------------------------------------------------------------- for retention

    @api.model
    def _archive_table(self, portion, is_over):
        """Archive a whole table: (names, hashes) of its files. None: time is over, go on another time.

        Raises ArchiveFailed. `is_over`: is asked between two files.
        """
        registry = self.env.registry
        with registry.cursor() as cr:
            done = self._parts(cr, portion.table)
            blocks = _blocks_of(cr, portion)
        last = max((part["last_block"] for part in done), default=-1)
        left = [block for block in blocks if block > last]
        while left:
            if is_over():
                return None
            now, left = left[:BLOCKS], left[BLOCKS:]
            done.append(self._write(portion.kind, portion.table, now, is_part=True))
        if sum(part["entry_count"] for part in done) != portion.count:  # sealed since, in a tile that was partial
            with registry.cursor() as cr:
                cr.execute("UPDATE api_audit_archive SET is_part = false WHERE table_name = %s", [portion.table])
            raise ArchiveFailed(f"{portion.table}: more entries than in its archives; they are made anew")
        return ", ".join(part["name"] for part in done), ", ".join(part["digest"] for part in done)

    @api.model
    def _archive_some(self, kind, table, ids):
        """Archive these entries of a table: (name, hash) of the file. Raises ArchiveFailed."""
        with self.env.registry.cursor() as cr:
            cr.execute(
                "SELECT number FROM api_audit_leaf_block WHERE span && int8range(%s, %s, '[]')"
                " AND entry_ids && %s::bigint[] ORDER BY number",
                [min(ids), max(ids), list(ids)],
            )
            blocks = [number for (number,) in cr.fetchall()]
        part = self._write(kind, table, blocks, set(ids))
        if part["entry_count"] != len(ids):
            raise ArchiveFailed(f"{table}: {part['entry_count']} of {len(ids)} entries are in the archive")
        return part["name"], part["digest"]

    @api.model
    def _parts(self, cr, table):
        """What there is of a table that was not dropped yet; files that are gone by now do not count."""
        cr.execute(
            "SELECT id, name, folder, digest, entry_count, last_block FROM api_audit_archive"
            " WHERE table_name = %s AND is_part AND NOT COALESCE(is_dropped, false) ORDER BY first_block",
            [table],
        )
        parts = cr.dictfetchall()
        if any(part["folder"] and not os.path.isfile(os.path.join(part["folder"], part["name"])) for part in parts):
            cr.execute("UPDATE api_audit_archive SET is_part = false WHERE id = ANY (%s)", [[p["id"] for p in parts]])
            return []
        return parts

    # ------------------------------------------------------------------------- write

    @api.model
    def _write(self, kind, table, blocks, ids=None, is_part=False):
        """Write one file, read it back, note it: its row."""
        now = datetime.now(timezone.utc)
        stem = f"{self.env.cr.dbname}_{table.removeprefix('api_audit_entry_')}_{blocks[0]:07d}_{now:%Y%m%dT%H%M%S%f}"
        name, place = f"{stem}.jsonl.gz", self._place()
        with self.env.registry.cursor() as cr:
            cr.execute("SET LOCAL extra_float_digits = 1")  # a float is read with all its digits, as it was sealed
            env = api.Environment(cr, self.env.uid, {})
            with _target(place) as target:
                told = _Writer(env, target, table, ids).run(blocks, f"{table}, tiles {blocks[0]} to {blocks[-1]}", now)
                told["digest"] = _read_back(target, told)
                told["size_mb"] = os.fstat(target.fileno()).st_size / 2**20
                attachment = place.keep(env, target, name)
            cr.execute(
                "INSERT INTO api_audit_archive (name, kind, table_name, made_at, folder, attachment_id, entry_count,"
                " starts, ends, first_block, last_block, size_mb, digest, is_part)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    name, kind, table, now.replace(tzinfo=None), place.folder, attachment, told["entry_count"],
                    told["starts"], told["ends"], blocks[0], blocks[-1], told["size_mb"], told["digest"], is_part,
                ],
            )  # fmt: skip
        return {"name": name, "digest": told["digest"], "entry_count": told["entry_count"], "last_block": blocks[-1]}

    @api.model
    def _place(self):
        """Where files go, by the settings. Raises ArchiveFailed if they cannot."""
        parameters = self.env["ir.config_parameter"].sudo()
        if parameters.get_param("api_guard.archive_place") == "attachment":
            return Attachments()
        place = Folder(parameters.get_param("api_guard.archive_folder") or "")
        if problem := place.problem():
            raise ArchiveFailed(problem)
        return place


class Folder:
    """A folder of the server."""

    def __init__(self, folder):
        self.folder = folder

    def problem(self):
        """Why nothing can be archived in it, in words for the log; None: it can."""
        if not self.folder or not os.path.isabs(self.folder):
            return "no archive folder is set"
        try:
            with tempfile.TemporaryFile(dir=self.folder):
                free = shutil.disk_usage(self.folder).free
        except OSError as error:
            return f"the archive folder cannot be written: {error.strerror or error}"
        return None if free > _SPARE else f"the archive folder has only {free // 2**20} MB free"

    def keep(self, _env, target, name):
        """The finished file gets its name, on the disk for good."""
        os.rename(target.name, os.path.join(self.folder, name))
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Attachments:
    """Odoo's own files."""

    folder = None

    def problem(self):
        return None

    def keep(self, env, target, name):
        target.seek(0)
        content = target.read()
        values = {"name": name, "raw": content, "mimetype": "application/gzip", "res_model": "api.audit.archive"}
        attachment = env["ir.attachment"].sudo().create(values)
        env.flush_all()
        attachment.invalidate_recordset()
        if attachment.raw != content:
            raise ArchiveFailed("the attachment does not hold what was written")
        if attachment.store_fname:
            with open(attachment._full_path(attachment.store_fname), "rb") as stored:
                os.fsync(stored.fileno())
        return attachment.id


@contextlib.contextmanager
def _target(place):
    """An open file, which is gone in the end if it got no other name. OSError becomes ArchiveFailed."""
    try:
        target = tempfile.NamedTemporaryFile(
            "w+b", dir=place.folder, prefix=".", suffix=".partial", buffering=0, delete=False
        )
        try:
            with target:  # mkstemp lets nobody else read it
                yield target.file
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target.name)
    except OSError as error:
        raise ArchiveFailed(f"the archive cannot be written: {error.strerror or error}") from error


class _Writer:
    """The lines of one file, a few tiles at a time in memory."""

    def __init__(self, env, target, table, ids):
        self.env, self.target, self.table, self.ids = env, target, table, ids
        self.hash, self.count, self.starts, self.ends = hashlib.sha256(), 0, None, None

    def run(self, blocks, what, now):
        with gzip.GzipFile("", "wb", _LEVEL, self.target, mtime=0) as self.file:
            size = self._head(what, now)
            for at in range(0, len(blocks), _STEP):
                self._tiles([block for block in blocks[at : at + _STEP] if block * merkle.TILE < size], size)
            edge = size // merkle.TILE
            if size % merkle.TILE and edge not in blocks:  # from the edge on, the root is known
                self._line(logfile.tile_line(0, edge, self._hashes([edge]).get(edge, b"")))
            self._line(logfile.end_line(self.count))
        os.fsync(self.target.fileno())
        return {"entry_count": self.count, "content": self.hash.digest(), "starts": self.starts, "ends": self.ends}

    def _line(self, line):
        self.hash.update(line)
        self.file.write(line)

    def _head(self, what, now):
        """Everything that stands before entries; the size of the tree of the last checkpoint."""
        rows = self.env.execute_query
        [[origin]] = rows(SQL("SELECT origin::text FROM api_audit_seal"))
        self._line(logfile.header_line(origin, now, what, complete=False))
        for (public,) in rows(SQL("SELECT public FROM api_audit_key ORDER BY id")):
            self._line(logfile.key_line(b64decode(public)))
        checkpoints = rows(
            SQL(
                "SELECT size, body, signature FROM api_audit_checkpoint WHERE next_key IS NOT NULL OR number ="
                " (SELECT max(number) FROM api_audit_checkpoint) ORDER BY number"
            )
        )
        if not checkpoints:
            raise ArchiveFailed("there is no checkpoint yet")
        for _size, body, signature in checkpoints:
            self._line(logfile.checkpoint_line(Signed(body.encode(), b64decode(signature))))
        for level, number, hashes in rows(
            SQL("SELECT level, number, hashes FROM api_audit_tile WHERE level > 0 ORDER BY level, number")
        ):
            self._line(logfile.tile_line(level, number, bytes(hashes)))
        return checkpoints[-1][0]

    def _hashes(self, blocks):
        rows = self.env.execute_query(
            SQL("SELECT number, hashes FROM api_audit_tile WHERE level = 0 AND number = ANY (%s)", list(blocks))
        )
        return {number: bytes(hashes) for number, hashes in rows}

    def _tiles(self, blocks, size):
        hashes, placed = self._hashes(blocks), {}
        rows = self.env.execute_query(
            SQL("SELECT number, entry_ids FROM api_audit_leaf_block WHERE number = ANY (%s)", list(blocks))
        )
        for number, ids in rows:
            placed[number] = ids[: max(0, size - number * merkle.TILE)]
        wanted = {entry_id for ids in placed.values() for entry_id in ids if self.ids is None or entry_id in self.ids}
        entries = self._entries(wanted)
        for block in blocks:
            self._line(logfile.tile_line(0, block, hashes.get(block, b"")))
            for place, entry_id in enumerate(placed.get(block, ())):
                if entry_id in entries:
                    self._entry(block * merkle.TILE + place, entries[entry_id], hashes[block], place)

    def _entries(self, ids):
        self.env.cr.execute(SQL("SELECT * FROM %s WHERE id = ANY (%s)", SQL.identifier(self.table), list(ids)))
        return {entry["id"]: entry for entry in self.env.cr.dictfetchall()}

    def _entry(self, index, entry, tile, place):
        sealed = leaf(entry)
        if merkle.leaf_hash(sealed) != tile[place * merkle.HASH : (place + 1) * merkle.HASH]:
            raise ArchiveFailed(f"entry {entry['id']} is not what was sealed: it stays, for the verification to tell")
        self._line(logfile.entry_line(index, sealed))
        self.count += 1
        moment = entry["occurred_at"]
        self.starts = moment if self.starts is None else min(self.starts, moment)
        self.ends = moment if self.ends is None else max(self.ends, moment)


def _read_back(target, told):
    """The file's hash, once it was read again and holds what was written."""
    content, whole, count = hashlib.sha256(), hashlib.sha256(), 0
    target.seek(0)
    while chunk := target.read(2**20):
        whole.update(chunk)
    target.seek(0)
    with gzip.GzipFile("", "rb", fileobj=target) as file:
        for line in io.BufferedReader(file):
            content.update(line)
            count += line.startswith(_ENTRY)
    if (content.digest(), count) != (told["content"], told["entry_count"]):
        raise ArchiveFailed("the archive does not hold what was written")
    return whole.hexdigest()


def _blocks_of(cr, portion):
    """The tiles in which leaves of this table lie."""
    first, bits = portion.leaves.first, portion.leaves.bits
    blocks = {(first + 8 * at + bit) // merkle.TILE for at, byte in enumerate(bits) if byte for bit in range(8)
              if byte >> bit & 1}  # fmt: skip
    return sorted(blocks)
