"""What became of a call, and where its entry is written.

A call that changes something carries its entry in its own transaction: the commit
of its cursor is wrapped, so that whatever is committed, by whomever, takes the
entry along, and a process that is killed leaves both or neither. Whatever ends
without a change (reads, refusals, failures) is written before its answer on a
connection of its own, which keeps its plans, and which no rollback can undo.
"""

import contextlib
import logging
import os
import threading
import time

from odoo import models
from odoo.http import GeoIP, Response
from odoo.tools import config
from psycopg2.extensions import STATUS_READY

from ..core.call import Credential, Kind, Operation, State
from ..core.policy import Detail
from ..core.reading import NOTHING
from ..core.redact import redact_text, without_values
from ..core.verdict import Deny, Reason
from ..exceptions import Refused
from ..seams.beside import beside, held
from .keeping import digests_of, keep_result, keeping_of

_logger = logging.getLogger(__name__)

MAX_RECORD_IDS = 100
_LAST_USED_EVERY = 60.0  # seconds between two writes of a key's last use, per process


class ApiRecorder(models.AbstractModel):
    _name = "api.recorder"
    _description = "API Guard: recording"

    _last_used = {}  # (database, credential id) → monotonic time of the last write

    @classmethod
    def _note_result(cls, exchange, method, result):
        """What did the call return? Rows, the ids of created records, and what of which was read."""
        if isinstance(result, Response):
            keep_result(exchange, method, result)
            return
        if isinstance(result, models.BaseModel):
            result = result.ids
        exchange.rows = rows_of(result)
        keep_result(exchange, method, result)
        if method in ("create", "name_create", "copy", "web_save"):
            created = result if isinstance(result, (list, tuple)) else [result]
            ids = [item["id"] if isinstance(item, dict) and "id" in item else item for item in created]
            exchange.record_ids, exchange.record_count = bounded_ids([i for i in ids if isinstance(i, int)])

    @classmethod
    def _fail(cls, exchange, error):
        """The business method raised. Its refusal, if it was one of ours, is already noted."""
        exchange.fail(error)
        exchange.running, exchange.interrupted = False, True

    @classmethod
    def _record_on_commit(cls, exchange, cr, status=200):
        """Let the entry be part of the next commit of `cr`, so that no effect is ever without it.

        The commit itself is wrapped, on this cursor only: Odoo's precommit hooks
        also run at each savepoint, long before anything is final.
        """
        if cr.readonly or "commit" in vars(cr):
            return
        plain_commit = cr.commit

        def commit():
            if exchange.entered:
                return plain_commit()
            cr.flush()
            if _only_reads(exchange) and not _has_effect(cr):
                cls._send(exchange)
                plain_commit()
            else:
                cls._append(exchange, cr.execute, committed=True, effect=True, status=status)
                exchange.entered = True
                try:
                    plain_commit()
                except BaseException:
                    exchange.entered = False
                    raise
            vars(cr).pop("commit", None)
            return None

        cr.commit = commit

    @classmethod
    def _finish(cls, exchange, status=200, size=None):
        """Write the entry of a call that ended without a commit. Raises Refused if an answer may not go out.

        Runs after the business cursor is closed, on one of its own: neither a
        rollback nor a lock of the call can take the entry away.
        """
        exchange.running = False
        if exchange.bytes is None:
            exchange.bytes = size
        try:
            cls._settle(exchange)
            # a method that commits and then fails has an entry for either; an answer that fails later has not
            if exchange.is_unwritten:
                if exchange.identity is None:
                    cls._identify_stray(exchange)
                with beside(exchange.registry) as cr:
                    # a flood of refusals, in which nothing has happened, must not become a flood of disk syncs
                    sync = exchange.entered or not exchange.is_refused
                    cls._append(exchange, cr.execute, committed=False, status=status, sync=sync)
                exchange.entered, exchange.interrupted = True, False
            cls._touch(exchange)
        except Exception:
            refused = cls._unrecorded(exchange)
            if exchange.is_unwritten and exchange.outcome == "allowed":
                exchange.verdict = refused.deny
                raise refused from None
        finally:
            # after the entry that was sent: until then it has the connection that this would use
            exchange.registry["api.limiter"]._settle(exchange)
            exchange.secrets = ()

    @classmethod
    def _send(cls, exchange):
        """Write the entry of a call that has changed nothing. Where an answer follows, that waits until it is written.

        PostgreSQL brings it to the disk while Odoo ends the call. Were the end of an empty
        transaction to fail, the failure would be told by an entry of its own.
        """
        cr = held(exchange.registry) if exchange.deferred else None
        if cr is None:
            with beside(exchange.registry) as own_cr:
                cls._append(exchange, own_cr.execute, committed=True)
        else:
            try:
                cls._append(exchange, cr.send, committed=True)
            except BaseException:
                cr.close()
                raise
            exchange.sent = cr
        exchange.entered = True

    @classmethod
    def _require_entered(cls, exchange):
        """Wait for a sent entry where a refusal can still be told in the words of the door. Raises Refused."""
        try:
            cls._settle(exchange)
        except Exception:
            refused = cls._unrecorded(exchange)
            exchange.verdict = refused.deny
            raise refused from None

    @classmethod
    def _unrecorded(cls, exchange):
        _logger.critical("request %s: its audit entry could not be written", exchange.request_id, exc_info=True)
        return Refused(Deny(Reason.POLICY_UNREADABLE), exchange.request_id)

    @classmethod
    def _settle(cls, exchange):
        """Wait for an entry that was sent."""
        cr, exchange.sent = exchange.sent, None
        if cr is not None:
            with contextlib.closing(cr):
                exchange.entered = False
                cr.settle()
                exchange.entered = True

    @classmethod
    def _identify_stray(cls, exchange):
        """A request that reached no check: still say where it came from."""
        with beside(exchange.registry) as cr:
            exchange.identity = exchange.registry["api.identity"]._nobody(cr)
        exchange.locate(exchange.registry["api.guard"]._trusted(exchange.identity))

    @classmethod
    def _append(cls, exchange, execute, committed, effect=False, status=200, sync=True):
        """`effect`: it is committed together with what the call may have changed."""
        sync = sync and (effect or not _is_relaxed(exchange))
        kind = "write" if effect else "read"
        entry = cls._entry(exchange, committed, status)
        entry["kind"] = kind if exchange.outcome == "allowed" else exchange.outcome
        exchange.registry["api.audit.entry"]._append(execute, entry, sync)

    @classmethod
    def _entry(cls, exchange, committed, status):
        """The entry of `exchange`, column by column."""
        identity, target = exchange.identity, exchange.call and exchange.call.target
        model, method = (target.model, target.method) if target else exchange.asked
        verdict = exchange.verdict
        deny = verdict if isinstance(verdict, Deny) else getattr(verdict, "observed", None)
        credential = identity.credential if identity else Credential(Kind.NONE, State.UNKNOWN)
        error = exchange.error or exchange.unrenderable
        reading = exchange.reading if exchange.outcome == "allowed" else NOTHING  # else nothing went out
        return {
            "occurred_at": exchange.started_at.replace(tzinfo=None),
            "request_id": exchange.request_id,
            "door": exchange.door.value,
            "route": exchange.path,
            "service": exchange.service,
            "http_method": exchange.http_method,
            "peer": str(exchange.peer) if exchange.peer else None,
            "forwarded": exchange.forwarded,
            "country": _country(exchange.peer),
            "user_agent": exchange.agent,
            "database": exchange.registry.db_name,
            "user_id": identity and identity.uid,
            "login": identity and identity.login,
            "credential_kind": credential.kind.value,
            "credential_id": identity and identity.credential_id,
            "key_id": identity and identity.key_id,
            "credential_name": identity and identity.name,
            "policies": ", ".join(policy.name for policy in identity.policies) if identity else None,
            "policy_ids": f",{','.join(identity.policy_ids)}," if identity and identity.policy_ids else None,
            "model": model,
            "method": method,
            "operation": ",".join(sorted(op.value for op in target.operations)) if target else None,
            "record_ids": ",".join(map(str, exchange.record_ids)) or None,
            "record_count": exchange.record_count,
            "row_count": exchange.rows,
            "byte_count": exchange.bytes,
            "read_ids": reading.ids,
            "read_fields": reading.fields,
            "arguments": exchange.arguments,
            "results": exchange.results,
            "digests": digests_of(exchange) or None,
            "verdict": "none" if verdict is None else "deny" if deny else "allow",
            "reason": deny and deny.reason.value,
            "refusing_policy": deny and deny.policy,
            "outcome": exchange.outcome,
            "committed": committed,
            "status": status,
            "duration_ms": round((time.perf_counter() - exchange.started) * 1000, 3),
            "sql_count": _query_count() - exchange.queries,
            "error_class": type(error).__name__ if error is not None else None,
            "error_message": _error_message(error, exchange, deny),
            "secrets": exchange.secrets,
        }

    @classmethod
    def _touch(cls, exchange):
        """Note when, from where and by what client a key was last used; at most once a minute in each process."""
        identity = exchange.identity
        if exchange.outcome == "refused" or not identity or not identity.credential_id:
            return
        if identity.predecessor_id:
            with beside(exchange.registry) as cr:
                exchange.registry["api.credential"]._write_succession(cr, identity.predecessor_id)
        slot = (exchange.registry.db_name, identity.credential_id)
        now = time.monotonic()
        if now - cls._last_used.get(slot, -_LAST_USED_EVERY) < _LAST_USED_EVERY:
            return
        credentials = exchange.registry["api.credential"]
        with beside(exchange.registry) as cr:
            credentials._write_last_use(cr, identity.credential_id, exchange)
            if identity.unchecked_hash and exchange.secrets:
                credentials._write_check(cr, identity.credential_id, exchange.secrets[0], identity.unchecked_hash)
        cls._last_used[slot] = now


def rows_of(result):
    """How many records does an answer hold? A page of them comes with its length beside."""
    if isinstance(result, Response):
        return 0
    if isinstance(result, dict):
        records = next((result[name] for name in ("records", "groups", "datas") if name in result), None)
        return _rows(records) if isinstance(records, (list, tuple)) else 1
    if isinstance(result, (list, tuple)):
        return _rows(result)
    return len(result) if isinstance(result, models.BaseModel) else int(result is not None)


def _is_relaxed(exchange):
    """May entries of calls that change nothing be confirmed before they are on the disk?"""
    return exchange.identity is not None and exchange.identity.settings.get("api_guard.durability") == "relaxed"


_UNFOLDED = frozenset({"__records", "__groups", "__domain"})


def _rows(rows):
    """How many records do these rows hold? A thousand plain ones are counted by a look into each, and no more."""
    first = next(iter(rows), None)
    if isinstance(first, list):  # one of several groupings
        return sum(_rows(row) if isinstance(row, list) else 1 for row in rows)
    if not isinstance(first, dict):
        return len(rows)
    listed = [name for name in first if _lists(name)]  # all rows have the same aggregates, but not all are unfolded
    number = sum(_rows_in(row, listed) if _holds_more(row, listed) else 1 for row in rows)
    nested = [name for name, value in first.items() if type(value) is list and name not in _UNFOLDED | set(listed)]
    return number + sum(_nested(row, nested) for row in rows) if nested else number


def _nested(row, names):
    """The records that a specification shows within a record: rows, where others have ids."""
    held = (row.get(name) for name in names) if isinstance(row, dict) else ()
    return sum(_rows(rows) for rows in held if rows and type(rows) is list and isinstance(rows[0], dict))


def _holds_more(row, listed):
    return isinstance(row, dict) and (listed or "__records" in row or "__groups" in row)


def _rows_in(row, listed):
    """One, and what a group holds: its records, its groups, the values of each that an aggregate lists."""
    lengths = [len(row[name]) for name in listed if isinstance(row.get(name), (list, tuple))]
    inner = sum(rows_of(row[name]) for name in ("__records", "__groups") if name in row)
    return max(1, *lengths) + inner if lengths else 1 + inner


def _lists(name):
    return isinstance(name, str) and name.partition(":")[2] in ("array_agg", "array_agg_distinct", "recordset")


def _only_reads(exchange):
    """Does the method promise to change nothing? That is then asked of PostgreSQL, which costs a round trip."""
    if exchange.read_only:
        return True
    target = exchange.call and exchange.call.target
    return target is not None and target.operations <= {Operation.READ, Operation.AUTHENTICATE}


def _has_effect(cr):
    """Has the transaction of `cr` changed anything, or will what waits for its commit?

    PostgreSQL numbers a transaction when it first changes something.
    """
    if cr.postcommit:
        return True
    if cr._cnx.status == STATUS_READY:
        return False
    cr.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
    return cr.fetchone()[0]


def bounded_ids(ids):
    """The first record ids of a call, and how many there are. None: it names no records."""
    if isinstance(ids, bool) or ids is None:
        return (), None
    if isinstance(ids, int):
        ids = [ids]
    if not isinstance(ids, (list, tuple)):
        return (), None
    numbers = [i for i in ids[:MAX_RECORD_IDS] if isinstance(i, int) and not isinstance(i, bool)]
    return tuple(numbers), len(ids)


def _error_message(error, exchange, deny):
    """What an entry tells of an error: as much as of the arguments, which it may quote; or where it was refused."""
    place = str(deny.excess) if deny and deny.excess else exchange.place
    told = "; ".join(filter(None, (place, exchange.unproven)))
    if told and (exchange.is_refused or (deny and error is None)):
        return told
    keeping = keeping_of(exchange)
    if error is None or keeping.detail is Detail.NONE:
        return None
    if isinstance(error, Refused):
        return str(error)
    keeps_values = keeping.detail in (Detail.VALUES, Detail.RESULTS)
    return redact_text(str(error) if keeps_values else without_values(str(error)), exchange.secrets, keeping.hiding)


def _country(peer):
    """The country of `peer`, where a GeoIP database is set up. Odoo would look for its file twice in each call."""
    if peer is None or not any(map(os.path.exists, (config["geoip_country_db"], config["geoip_city_db"]))):
        return None
    try:
        return GeoIP(str(peer)).country_code
    except Exception:  # a broken GeoIP file must not break the log
        return None


def _query_count():
    return getattr(threading.current_thread(), "query_count", 0)
