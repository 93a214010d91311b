"""Is the log what was sealed? A part of it at a time, read from the database with all doubt.

Each function looks at one part and gives the faults that it found there, as dicts of JSON: `kind`,
and what belongs to it of `leaf` (counted from 0), `entry`, `checkpoint`, `level`, `number`, `first`
and `last` (leaves) and `detail`. What they mean in words is said in models/api_audit_verify.py.
"""

from base64 import b64decode, b64encode
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise

from odoo.tools import SQL

from ..core import merkle
from ..core.canonical import leaf
from ..core.checkpoint import Fault, Head, Malformed, Signed, follow, key_id, parse
from ..core.sealing import key_id as sealing_key_id
from ..core.sealing import sealed_with
from . import vault
from .vault import Problem, VaultUnreadable

#: Kinds of faults, the one that says most first: of several, people are told of this one.
KINDS = (
    "changed", "removed", "reordered", "inserted", "drop", "block", "tile", "tiles", "checkpoint", "copy", "cut", "key",
)  # fmt: skip
_GAP = 512  # ids between which it is cheaper to read what lies between than to look for each
_MAX_SWAPS = 40  # entries of a part that do not fit: among so many is looked for those that changed places


def check_keys(env):
    """The faults of the signing keys, and the ids of those that cannot be checked: their vault key is not here."""
    faults, unchecked, here = [], [], set()
    env.cr.execute("SELECT id, key_id, public, secret FROM api_audit_key ORDER BY id")
    rows = env.cr.fetchall()
    with suppress(VaultUnreadable):
        here = {sealing_key_id(key) for key in vault.keys()}
    for row_id, name, public, secret in rows:
        if key_id(_raw(public)) != name:
            faults.append({"kind": "key", "detail": name})
        elif secret is None or sealed_with(secret) not in here:
            unchecked.append(name)
        else:
            try:
                env["api.audit.key"].browse(row_id)._private()
            except VaultUnreadable as error:
                if error.problem is Problem.CLOSED:
                    faults.append({"kind": "key", "detail": name})
    return faults, unchecked


def _raw(text):
    try:
        return b64decode(text or "", validate=True)
    except ValueError:
        return b""


def check_checkpoints(env, head, keys, limit):
    """The faults of the next checkpoints after `head` (None: from the first), the new head, and whether there are more.

    `keys`: the public keys that are trusted. Ends at the first that does not follow.
    """
    rows = env.execute_query(
        SQL(
            "SELECT number, size, root, made_at, key_id, next_key, note, body, signature FROM api_audit_checkpoint"
            " WHERE number > %s ORDER BY number LIMIT %s",
            head.checkpoint.number if head else 0, limit,
        )
    )  # fmt: skip
    tile = lru_cache(maxsize=4096)(env["api.audit.seal"]._tile)
    for *told, body, signature in rows:
        before = head.checkpoint.size if head else 0
        head = follow(head, Signed(body.encode(), _raw(signature)), keys)
        if isinstance(head, Fault):
            return [{"kind": "checkpoint", "checkpoint": head.number, "detail": head.code.value}], None, False
        if told != _columns(head.checkpoint):
            return [{"kind": "copy", "checkpoint": head.checkpoint.number}], None, False
        if fault := _root_fault(head.checkpoint, before, tile):
            return [fault], None, False
    return [], head, len(rows) == limit


def _columns(said):
    """What the columns of a checkpoint, which screens and searches show, have to repeat."""
    next_key = said.next_key and b64encode(said.next_key).decode()
    at = said.time.replace(tzinfo=None)
    return [said.number, said.size, b64encode(said.root).decode(), at, said.key, next_key, said.note]


def _root_fault(said, before, tile):
    """Do the tiles come to the root that was signed? Those before this checkpoint did."""
    try:
        if merkle.root_at(said.size, tile) == said.root:
            return None
    except merkle.TileMissing as missing:
        level, number = missing.args
        start = number << merkle.HEIGHT * (level + 1)
        last = start + (1 << merkle.HEIGHT * (level + 1)) - 1
        return {"kind": "tile", "level": level, "number": number, "first": start, "last": min(last, said.size - 1)}
    return {"kind": "tiles", "checkpoint": said.number, "first": before, "last": said.size - 1}


def check_end(env, head):
    """The faults of where the log ends: is there less than was signed, or a checkpoint missing that was possible?"""
    seal = env["api.audit.seal"]
    env.cr.execute("SELECT origin::text, size FROM api_audit_seal")
    [(origin, size)] = env.cr.fetchall() or [("", 0)]
    signed = head.checkpoint.size if head else 0
    if size < signed or (head and head.checkpoint.origin != origin):
        return [{"kind": "cut", "first": size, "last": signed}]
    if size > signed and seal._can_sign():
        return [{"kind": "checkpoint", "checkpoint": (head.checkpoint.number if head else 0) + 1, "detail": "number"}]
    return []


def remarks_on(env, after, head):
    """What checkpoints after one head up to another note, for people to know."""
    first = after.checkpoint.number if after else 0
    rows = env.execute_query(
        SQL("SELECT number, note FROM api_audit_checkpoint WHERE note IS NOT NULL AND number > %s AND number <= %s"
            " ORDER BY number LIMIT 20", first, head.checkpoint.number if head else 0)
    )  # fmt: skip
    return [{"kind": note, "checkpoint": number, "detail": note} for number, note in rows]


# ---------------------------------------------------------------------- leaves


def check_leaves(env, number, count, size, since=0):
    """The faults of the leaves of `count` tiles from `number` on, in a tree of `size`; leaves before `since` are left
    out. How many entries were compared comes second."""
    first, end = max(number * merkle.TILE, since), min((number + count) * merkle.TILE, size)
    if first >= end:
        return [], 0
    tiles, blocks = _tiles(env, number, count), _blocks(env, number, count)
    faults, expected = _misfits(number, count, size, tiles, blocks)
    faults += [fault for place in range(number, number + count) for fault in _link_faults(env, place, tiles, size)]
    wanted = {at: pair for at, pair in expected.items() if at >= first}
    found = _hashes(env, [entry_id for entry_id, _hash in wanted.values()])
    return faults + _entry_faults(env, wanted, found), len(wanted)


def _tiles(env, number, count):
    rows = env.execute_query(
        SQL("SELECT number, hashes FROM api_audit_tile WHERE level = 0 AND number >= %s AND number < %s",
            number, number + count)
    )  # fmt: skip
    return {place: bytes(hashes) for place, hashes in rows}


def _blocks(env, number, count):
    rows = env.execute_query(
        SQL("SELECT number, entry_ids FROM api_audit_leaf_block WHERE number >= %s AND number < %s",
            number, number + count)
    )  # fmt: skip
    return dict(rows)


def _misfits(number, count, size, tiles, blocks):
    """The faults of tiles and blocks that are missing or too short; and {leaf: (entry id, hash)} of the others."""
    faults, expected = [], {}
    for place in range(number, number + count):
        start = place * merkle.TILE
        length = min(merkle.TILE, size - start)
        if length <= 0:
            break
        hashes, ids = tiles.get(place, b""), blocks.get(place, [])
        if len(hashes) < length * merkle.HASH:
            faults.append({"kind": "tile", "level": 0, "number": place, "first": start, "last": start + length - 1})
        elif len(ids) < length:
            faults.append({"kind": "block", "number": place, "first": start, "last": start + length - 1})
        else:
            parts = (hashes[at * merkle.HASH : (at + 1) * merkle.HASH] for at in range(length))
            expected.update((start + at, pair) for at, pair in enumerate(zip(ids[:length], parts, strict=True)))
    return faults, expected


def _link_faults(env, place, tiles, size):
    """Where a full tile is not what the one above says of it; upwards, as far as it is the last below a full one."""
    level, hashes = 0, tiles.get(place, b"")
    while len(hashes) == merkle.TILE * merkle.HASH and (place + 1) << merkle.HEIGHT * (level + 1) <= size:
        above, at = divmod(place, merkle.TILE)
        upper = env["api.audit.seal"]._tile(level + 1, above)
        if upper[at * merkle.HASH : (at + 1) * merkle.HASH] != merkle.tile_root(hashes):
            start = place << merkle.HEIGHT * (level + 1)
            last = start + (1 << merkle.HEIGHT * (level + 1)) - 1
            yield {"kind": "tile", "level": level, "number": place, "first": start, "last": last}
        if at != merkle.TILE - 1:
            return
        level, place, hashes = level + 1, above, upper


def _hashes(env, ids):
    """{entry id: [(leaf hash, entry)]} of these entries; several where an id stands twice. Of those that do not fit,
    the entry is needed again, which is why it is there."""
    found = {}
    for where in _ranges(ids):
        for entry in env["api.audit.seal"]._entries(where):
            found.setdefault(entry["id"], []).append((merkle.leaf_hash(leaf(entry)), entry))
    return found


def _ranges(ids):
    """What to ask the table for, so that it reads these and hardly any others."""
    ids = sorted(ids)
    start = 0
    lone = []
    for at in range(1, len(ids) + 1):
        if at < len(ids) and ids[at] - ids[at - 1] <= _GAP:
            continue
        if at - start > 8:
            yield SQL("id BETWEEN %s AND %s", ids[start], ids[at - 1])
        else:
            lone += ids[start:at]
        start = at
    if lone:
        yield SQL("id = ANY(%s)", lone)


def _entry_faults(env, wanted, found):
    odd = {
        at: (entry_id, found.get(entry_id, []))
        for at, (entry_id, sealed) in wanted.items()
        if all(hashed != sealed for hashed, _entry in found.get(entry_id, ()))
    }
    if odd:
        odd = _still_odd(env, odd, wanted)
    if not odd:
        return []
    dropped = _dropped(env, min(odd), max(odd))
    places = {sealed: at for at, (_entry_id, sealed) in wanted.items()}
    swapped = _swapped(odd, wanted)
    faults = []
    for at, (entry_id, rows) in odd.items():
        if not rows and at in dropped:
            continue
        elsewhere = any(hashed in places for hashed, _entry in rows) or at in swapped
        kind = "removed" if not rows else "reordered" if elsewhere else "changed"
        faults.append({"kind": kind, "leaf": at, "entry": entry_id})
    return _still_removed(env, faults)


def _still_removed(env, faults):
    """The same without what retention took in this very moment: a dropped table is gone for us at once, and the row
    that says so is seen by a later transaction alone."""
    removed = [fault["leaf"] for fault in faults if fault["kind"] == "removed"]
    if not removed or "api.audit.drop" not in env:
        return faults
    with env.registry.cursor() as cr:
        dropped = _dropped(env(cr=cr), min(removed), max(removed))
    return [fault for fault in faults if fault["kind"] != "removed" or fault["leaf"] not in dropped]


def _dropped(env, first, last):
    """The leaves whose entries retention took, and said so."""
    return env["api.audit.drop"]._dropped_leaves(first, last) if "api.audit.drop" in env else set()


def _still_odd(env, odd, wanted):
    """The same without what is well when it is looked at anew: entries that were moved to another table of the log
    since this transaction began, which sees neither the one nor the other; and what retention took meanwhile."""
    with env.registry.cursor() as cr:
        anew = env(cr=cr)
        found = _hashes(anew, [entry_id for entry_id, _rows in odd.values()])
        dropped = _dropped(anew, min(odd), max(odd))
    return {
        at: (entry_id, rows)
        for at, (entry_id, rows) in odd.items()
        if all(hashed != wanted[at][1] for hashed, _entry in found.get(entry_id, ()))
        and not (at in dropped and entry_id not in found)
    }


def _swapped(odd, wanted):
    """Of those that do not fit, the leaves whose entries have taken each other's ids."""
    if not 1 < len(odd) <= _MAX_SWAPS:
        return set()
    hashes = {wanted[at][1]: at for at in odd}
    swapped = set()
    for at, (_entry_id, rows) in odd.items():
        for other, (other_id, _rows) in odd.items():
            if at != other and any(hashes.get(merkle.leaf_hash(leaf(e | {"id": other_id}))) == other for _h, e in rows):
                swapped |= {at, other}
    return swapped


# --------------------------------------------------------------------- entries


def check_entries(env, start, limit):
    """The faults of entries that are in no leaf though they should be, among the next `limit` from the id `start` on;
    from which id on to continue, or None at the end."""
    rows = env.execute_query(
        SQL("SELECT id, xid::text FROM api_audit_entry WHERE id >= %s ORDER BY id, occurred_at, kind LIMIT %s",
            start, limit)
    )  # fmt: skip
    ids = [entry_id for entry_id, _xid in rows]
    if not ids:
        return [], None
    twice = {one for one, other in pairwise(ids) if one == other}
    following = None
    if len(ids) == limit:  # the last id may stand once more: it comes with the next
        following = ids[-1] if ids[-1] > ids[0] else ids[-1] + 1
    sealed, state = env["api.audit.seal"]._sealed(ids), _position(env)
    faults = [
        {"kind": "inserted", "entry": entry_id}
        for entry_id, xid in dict(rows).items()
        if entry_id != following
        and (entry_id in twice or (entry_id not in sealed and _is_past(entry_id, int(xid), state)))
    ]
    return faults, following


def _position(env):
    env.cr.execute(
        "SELECT xid::text::numeric, entry_id, resume_xid IS NOT NULL,"
        " pg_snapshot_xmax(pg_current_snapshot())::text::numeric, pg_current_xact_id_if_assigned()::text::numeric"
        " FROM api_audit_seal"
    )
    xid, entry_id, moving, end, own = env.cr.fetchone()
    return (int(xid), entry_id), moving, int(max(end, own + 1 if own is not None else 0))


def _is_past(entry_id, xid, state):
    """Is this where sealing has been, or where it will never come? An entry that waits lies between."""
    position, moving, end = state
    return not moving and ((xid, entry_id) <= position or xid >= end)


# ----------------------------------------------------------------------- drops

_UNTOLD = """
    SELECT gone.id FROM api_audit_drop gone
     WHERE NOT EXISTS (
               SELECT FROM api_audit_entry entry
                WHERE entry.model = 'api.audit.drop' AND entry.record_ids = gone.id::text AND entry.kind = 'write'
                  AND entry.occurred_at > gone.dropped_at - interval '1 hour'
                  AND entry.occurred_at < gone.dropped_at + interval '1 hour')
       AND NOT EXISTS (
               SELECT FROM api_audit_drop later
                WHERE later.kind = 'write' AND later.id > gone.id AND gone.dropped_at < later.ends + interval '1 hour')
     ORDER BY gone.id LIMIT 100
"""


def check_drops(env):
    """The faults of what is said to be retention's: each drop is told of by an entry, or that went by a later drop.

    Else whoever deletes an entry would only have to write that a rule did.
    """
    if "api.audit.drop" not in env:
        return []
    return [{"kind": "drop", "number": drop_id} for (drop_id,) in env.execute_query(SQL(_UNTOLD))]


# ------------------------------------------------------------------------ head


def head_to_json(head):
    """What a later verification goes on from."""
    if head is None:
        return None
    return {
        "body": head.checkpoint.body().decode(),
        "key": b64encode(head.key).decode(),
        "spent": sorted(head.spent),
    }


def head_from_json(said):
    """That head again; None where there is none."""
    if not said:
        return None
    with suppress(Malformed):
        return Head(parse(said["body"].encode()), b64decode(said["key"]), frozenset(said["spent"]))
    return None
