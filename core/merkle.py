"""Is this entry in that log, and was the log only ever appended to? The tree of RFC 9162, section 2.1.

Leaves are hashed into a tree whose root stands for all of them. Kept are tiles: 256 hashes of
32 bytes. Those of level 0 are the leaves' own; hash i of a tile of level n is the root of the
full tile (n - 1, number * 256 + i). The last tile of a level may be partial, and from the last
ones alone follow the root and all that is appended. Where tiles are kept is the caller's:
`tile(level, number)` gives the bytes of one, which may be longer than at the size asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

TILE = 256  # hashes; a tile of 8 kB
HASH = 32  # bytes
HEIGHT = 8  # of the tree within a full tile

Tile = Callable[[int, int], bytes]


class TileMissing(LookupError):
    """A tile is not there, or is too short for a tree of that size: level and number."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf; never that of a node, whatever the leaf holds.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two others."""
    return sha256(b"\1" + left + right).digest()


EMPTY_ROOT = sha256(b"").digest()  # of a tree without a leaf


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes, in their order.

    >>> root([]) == EMPTY_ROOT, root([leaf_hash(b"")]) == leaf_hash(b"")
    (True, True)
    """
    return tile_root(b"".join(hashes))


def tile_root(hashes: bytes) -> bytes:
    """The root over hashes that lie one after the other, as in a tile.

    >>> one, two, three = (leaf_hash(data) for data in (b"1", b"2", b"3"))
    >>> tile_root(one + two + three) == node_hash(node_hash(one, two), three)
    True
    """
    while len(hashes) > HASH:
        pairs = len(hashes) // (2 * HASH) * (2 * HASH)
        joined = [sha256(b"\1" + hashes[at : at + 2 * HASH]).digest() for at in range(0, pairs, 2 * HASH)]
        hashes = b"".join(joined) + hashes[pairs:]  # one without a partner rises as it is
    return hashes or EMPTY_ROOT


def edge(size: int) -> list[tuple[int, int]]:
    """The partial tiles of a tree of `size` leaves, as (level, number): all that `append` and `root_at` read.

    >>> edge(0), edge(3), edge(256), edge(600)
    ([], [(0, 0)], [(1, 0)], [(0, 2), (1, 0)])
    """
    levels = range((size.bit_length() + HEIGHT - 1) // HEIGHT)
    filled = ((level, size >> HEIGHT * level) for level in levels)
    return [(level, count // TILE) for level, count in filled if count % TILE]


def tiles_above(numbers: Iterable[int], size: int) -> list[tuple[int, int]]:
    """The tiles, as (level, number), that show these tiles of level 0 to be in the tree over `size` leaves.

    >>> tiles_above([1], 70_000)
    [(0, 1), (0, 273), (1, 0), (1, 1), (2, 0)]
    """
    found, level = set(edge(size)), 0
    climbing = set(numbers)
    while climbing and size >> HEIGHT * level:
        found |= {(level, number) for number in climbing if number * TILE < size >> HEIGHT * level}
        climbing, level = {number // TILE for number in climbing}, level + 1
    return sorted(found)


def append(size: int, tile: Tile, hashes: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
    """The tiles that change when these leaf hashes follow the first `size`, as {(level, number): bytes}.

    Reads the tiles of `edge(size)` alone, and gives every new one of each level.

    >>> tiles = append(0, None, [leaf_hash(b"1")] * 300)
    >>> {place: len(content) // HASH for place, content in tiles.items()}
    {(0, 0): 256, (0, 1): 44, (1, 0): 1}
    """
    changed: dict[tuple[int, int], bytes] = {}
    level, risen = 0, b"".join(hashes)
    if len(risen) % HASH:
        raise ValueError(f"a hash is {HASH} bytes")
    while risen:
        number, rest = divmod(size, TILE)
        content = (_read(tile, level, number, rest) if rest else b"") + risen
        parts = [content[at : at + TILE * HASH] for at in range(0, len(content), TILE * HASH)]
        changed.update(((level, number + i), part) for i, part in enumerate(parts))
        risen = b"".join(tile_root(part) for part in parts if len(part) == TILE * HASH)
        level, size = level + 1, number
    return changed


def root_at(size: int, tile: Tile) -> bytes:
    """The root of the tree over the first `size` leaves.

    >>> tiles = append(0, None, [leaf_hash(b"1")] * 300)
    >>> root_at(300, lambda *place: tiles[place]) == root([leaf_hash(b"1")] * 300)
    True
    """
    return _range_root(0, size, tile) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, tile: Tile) -> list[bytes]:
    """What shows that leaf `index`, counted from 0, is in the tree over the first `size`. RFC 9162, section 2.1.3.1.

    >>> tiles = append(0, None, [leaf_hash(b"1"), leaf_hash(b"2")])
    >>> inclusion_proof(0, 2, lambda *place: tiles[place]) == [leaf_hash(b"2")]
    True
    """
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    tile, proof, start, end = _remembered(tile), [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, tile))
            end = middle
        else:
            proof.append(_range_root(start, middle, tile))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, tile: Tile) -> list[bytes]:
    """What shows that the tree over the first `new` leaves begins with that over `old`. RFC 9162, section 2.1.4.1.

    Empty where there is nothing to show: from no leaf, and to the same size.

    >>> tiles = append(0, None, [leaf_hash(b"1"), leaf_hash(b"2")])
    >>> consistency_proof(1, 2, lambda *place: tiles[place]) == [leaf_hash(b"2")]
    True
    """
    if not 0 <= old <= new:
        raise ValueError("the old tree is the larger one")
    if not old:
        return []
    tile, proof, start, end = _remembered(tile), [], 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(middle, end, tile))
            end = middle
        else:
            proof.append(_range_root(start, middle, tile))
            start = middle
    if start:  # else it is the old root, which the verifier has
        proof.append(_range_root(start, end, tile))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Is the leaf with the hash `leaf` at `index` of the tree of this size and root? RFC 9162, section 2.1.3.2.

    >>> one, two = leaf_hash(b"1"), leaf_hash(b"2")
    >>> [verify_inclusion(one, index, 2, [two], node_hash(one, two)) for index in (0, 1)]
    [True, False]
    """
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    node, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(step, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, step)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Does the tree of size and root `new` begin with that of `old`? RFC 9162, section 2.1.4.2.

    >>> one, two = leaf_hash(b"1"), leaf_hash(b"2")
    >>> verify_consistency(1, 2, one, node_hash(one, two), [two])
    True
    """
    if not 0 <= old <= new or not _are_hashes(old_root, new_root, *proof):
        return False
    if old in (0, new):
        return not proof and old_root == (new_root if old else EMPTY_ROOT) and (new > 0 or new_root == EMPTY_ROOT)
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    return bool(steps) and _grown(old - 1, new - 1, steps) == (old_root, new_root)


def _grown(node: int, last: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The old and the new root that these steps lead to. None: there are too many or too few."""
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, step)
        node, last = node >> 1, last >> 1
    return (before, after) if last == 0 else None


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(found) == HASH for found in hashes)


def _split(count: int) -> int:
    """The largest power of two below `count`: where RFC 9162 divides a tree."""
    return 1 << (count - 1).bit_length() - 1


def _range_root(start: int, end: int, tile: Tile) -> bytes:
    """The root over leaves `start` to `end`, one of the parts that the RFC divides a tree into."""
    perfect = []
    while start < end:
        height = (end - start).bit_length() - 1
        perfect.append(_perfect_root(height, start >> height, tile))
        start += 1 << height
    found = perfect.pop()
    while perfect:
        found = node_hash(perfect.pop(), found)
    return found


def _perfect_root(height: int, index: int, tile: Tile) -> bytes:
    """The root over the 2**height leaves from index * 2**height: of hashes that lie within one tile."""
    level, within = divmod(height, HEIGHT)
    number, first = divmod(index << within, TILE)
    end = first + (1 << within)
    return tile_root(_read(tile, level, number, end)[first * HASH :])


def _read(tile: Tile, level: int, number: int, count: int) -> bytes:
    content = bytes(tile(level, number) or b"")[: count * HASH]
    if len(content) != count * HASH:
        raise TileMissing(level, number)
    return content


def _remembered(tile: Tile) -> Tile:
    seen: dict[tuple[int, int], bytes] = {}

    def remembered(level: int, number: int) -> bytes:
        place = (level, number)
        if place not in seen:
            seen[place] = tile(level, number)
        return seen[place]

    return remembered
