"""Does the tree have the roots and the proofs of RFC 9162? Known vectors, and the RFC's own words beside it."""

from hashlib import sha256
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.merkle import (
    EMPTY_ROOT,
    HASH,
    TILE,
    TileMissing,
    append,
    consistency_proof,
    edge,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    root_at,
    tile_root,
    verify_consistency,
    verify_inclusion,
)
from .common import examples

#: The leaves, roots and proofs that implementations of Certificate Transparency are tried with
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
NODE_23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
NODE_4567 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
NODE_67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
NODE_45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSIONS = [
    (0, 1, []),
    (0, 8, [LEAF_1, NODE_23, NODE_4567]),
    (5, 8, [LEAF_4, NODE_67, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], NODE_23, LEAF_4]),
]
CONSISTENCIES = [
    (1, 1, []),
    (1, 8, [LEAF_1, NODE_23, NODE_4567]),
    (6, 8, [NODE_45, NODE_67, ROOTS[4]]),
    (2, 5, [NODE_23, LEAF_4]),
]

HASHES = [leaf_hash(str(number).encode()) for number in range(70_000)]
sizes = st.integers(0, 600)


def grow(*batches):
    """The tiles of a tree that grew by so many leaves at a time."""
    tiles, size = {}, 0
    for count in batches:
        tiles.update(append(size, lambda *place: tiles[place], HASHES[size : size + count]))
        size += count
    return tiles


def reader(tiles):
    return lambda *place: tiles[place]


ALL = grow(len(HASHES))
tile = reader(ALL)


# The RFC's recursive definitions, word for word: sections 2.1.1, 2.1.3.1 and 2.1.4.1.
def split(count):
    return max(2**power for power in range(count.bit_length()) if 2**power < count)


def naive_root(hashes):
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return sha256(b"\1" + naive_root(hashes[:k]) + naive_root(hashes[k:])).digest()


def naive_path(m, hashes):
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if m < k:
        return [*naive_path(m, hashes[:k]), naive_root(hashes[k:])]
    return [*naive_path(m - k, hashes[k:]), naive_root(hashes[:k])]


def naive_proof(m, hashes, whole=True):
    if m == len(hashes):
        return [] if whole else [naive_root(hashes)]
    k = split(len(hashes))
    if m <= k:
        return [*naive_proof(m, hashes[:k], whole), naive_root(hashes[k:])]
    return [*naive_proof(m - k, hashes[k:], False), naive_root(hashes[:k])]


def damaged(proof):
    """The proof, made wrong in every small way."""
    for at, step in enumerate(proof):
        yield [*proof[:at], bytes([step[0] ^ 1, *step[1:]]), *proof[at + 1 :]]
        yield [*proof[:at], step[:-1], *proof[at + 1 :]]
        yield proof[:at] + proof[at + 1 :]
        yield [*proof[:at], step, *proof[at:]]
    yield [*proof, HASHES[0]]
    yield [HASHES[0], *proof]
    yield from (
        [*proof[:at], proof[at + 1], proof[at], *proof[at + 2 :]]
        for at, (one, other) in enumerate(pairwise(proof))
        if one != other
    )


class TestVectors(BaseCase):
    def setUp(self):
        super().setUp()
        self.hashes = [leaf_hash(bytes.fromhex(text)) for text in LEAVES]
        tiles = append(0, None, self.hashes)
        self.tile = lambda *place: tiles[place]

    def test_roots(self):
        for size, expected in enumerate(ROOTS):
            with self.subTest(size):
                self.assertEqual(root(self.hashes[:size]).hex(), expected)
                self.assertEqual(root_at(size, self.tile).hex(), expected)
        self.assertEqual(EMPTY_ROOT.hex(), ROOTS[0])

    def test_inclusion(self):
        for index, size, expected in INCLUSIONS:
            with self.subTest(index=index, size=size):
                proof = inclusion_proof(index, size, self.tile)
                self.assertEqual([step.hex() for step in proof], expected)
                self.assertTrue(verify_inclusion(self.hashes[index], index, size, proof, bytes.fromhex(ROOTS[size])))

    def test_consistency(self):
        for old, new, expected in CONSISTENCIES:
            with self.subTest(old=old, new=new):
                proof = consistency_proof(old, new, self.tile)
                self.assertEqual([step.hex() for step in proof], expected)
                roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
                self.assertTrue(verify_consistency(old, new, *roots, proof))

    def test_a_leaf_is_never_taken_for_a_node(self):
        one, two = self.hashes[:2]
        self.assertNotEqual(leaf_hash(one + two), node_hash(one, two))
        self.assertEqual(node_hash(one, two).hex(), ROOTS[2])


class TestTiles(BaseCase):
    @examples
    @given(st.lists(st.integers(0, 700), max_size=6))
    def test_any_batches_give_the_same_tiles(self, batches):
        self.assertEqual(grow(*batches), grow(sum(batches)))

    def test_tiles_of_a_large_tree(self):
        self.assertEqual(grow(255, 1, 256, 65_023, 1, 0, 4464), ALL)
        counts = {level: sum(place[0] == level for place in ALL) for level in range(4)}
        self.assertEqual(counts, {0: 274, 1: 2, 2: 1, 3: 0})
        self.assertEqual(ALL[0, 273], b"".join(HASHES[273 * TILE :]))
        self.assertEqual(ALL[1, 1][:HASH], naive_root(HASHES[256 * TILE : 257 * TILE]))
        self.assertEqual(ALL[2, 0], naive_root(HASHES[:65_536]))

    def test_the_edge_is_all_that_is_read(self):
        for size in (0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000):
            with self.subTest(size):
                held = {place: ALL[place] for place in edge(size)}
                self.assertEqual(root_at(size, reader(held)), naive_root(HASHES[:size]))
                append(size, reader(held), [HASHES[0]] * 300)

    def test_only_what_changes_is_given(self):
        self.assertEqual(append(512, None, []), {})
        self.assertEqual(set(append(600, tile, [HASHES[0]])), {(0, 2)})
        self.assertEqual(set(append(767, tile, [HASHES[0]])), {(0, 2), (1, 0)})

    def test_a_missing_or_short_tile_is_told(self):
        for size, held in ((300, {}), (300, {(0, 1): ALL[0, 1]}), (300, {(0, 1): b"short", (1, 0): ALL[1, 0]})):
            with self.subTest(held.keys()), self.assertRaises(TileMissing):
                root_at(size, lambda *place, held=held: held.get(place, b""))
        with self.assertRaises(TileMissing) as caught:
            append(300, lambda level, number: None, [HASHES[0]])
        self.assertEqual(caught.exception.args, (0, 1))

    def test_what_is_no_hash_is_refused(self):
        with self.assertRaises(ValueError):
            append(0, None, [b"short"])

    @examples
    @given(sizes)
    def test_roots_are_those_of_the_rfc(self, size):
        expected = naive_root(HASHES[:size])
        self.assertEqual(root_at(size, tile), expected)
        self.assertEqual(root(HASHES[:size]), expected)
        self.assertEqual(tile_root(b"".join(HASHES[:size])), expected)


class TestInclusion(BaseCase):
    @examples
    @given(st.data(), st.integers(1, 600))
    def test_proofs_are_those_of_the_rfc_and_verify(self, data, size):
        index = data.draw(st.integers(0, size - 1))
        proof = inclusion_proof(index, size, tile)
        self.assertEqual(proof, naive_path(index, HASHES[:size]))
        expected = root_at(size, tile)
        self.assertTrue(verify_inclusion(HASHES[index], index, size, proof, expected))
        other = data.draw(st.integers(0, size).filter(lambda found: found != index))
        self.assertFalse(verify_inclusion(HASHES[index], other, size, proof, expected))
        self.assertFalse(verify_inclusion(HASHES[other], index, size, proof, expected))

    def test_every_leaf_of_small_trees_and_no_other_proof(self):
        for size in range(1, 34):
            expected = root_at(size, tile)
            for index in range(size):
                proof = inclusion_proof(index, size, tile)
                with self.subTest(size=size, index=index):
                    self.assertTrue(verify_inclusion(HASHES[index], index, size, proof, expected))
                    for wrong in damaged(proof):
                        self.assertFalse(verify_inclusion(HASHES[index], index, size, wrong, expected))

    def test_leaves_of_a_large_tree(self):
        for index in (0, 255, 256, 65_535, 65_536, 69_999):
            with self.subTest(index):
                proof = inclusion_proof(index, 70_000, tile)
                self.assertEqual(proof, naive_path(index, HASHES))
                self.assertTrue(verify_inclusion(HASHES[index], index, 70_000, proof, root_at(70_000, tile)))

    def test_there_is_no_leaf_outside(self):
        for index, size in ((0, 0), (-1, 1), (1, 1), (5, 3)):
            with self.subTest(index=index, size=size):
                self.assertFalse(verify_inclusion(HASHES[0], index, size, [], HASHES[0]))
                with self.assertRaises(ValueError):
                    inclusion_proof(index, size, tile)


class TestConsistency(BaseCase):
    @examples
    @given(st.data(), sizes)
    def test_proofs_are_those_of_the_rfc_and_verify(self, data, new):
        old = data.draw(st.integers(0, new))
        proof = consistency_proof(old, new, tile)
        self.assertEqual(proof, naive_proof(old, HASHES[:new]) if old else [])
        roots = root_at(old, tile), root_at(new, tile)
        self.assertTrue(verify_consistency(old, new, *roots, proof))
        self.assertFalse(verify_consistency(old, new, HASHES[-1], roots[1], proof))
        if old:  # a proof that begins with no leaf says nothing of the new root
            self.assertFalse(verify_consistency(old, new, roots[0], HASHES[-1], proof))

    def test_every_pair_of_small_sizes_and_no_other_proof(self):
        for new in range(1, 24):
            for old in range(new + 1):
                proof = consistency_proof(old, new, tile)
                roots = root_at(old, tile), root_at(new, tile)
                with self.subTest(old=old, new=new):
                    self.assertTrue(verify_consistency(old, new, *roots, proof))
                    for wrong in damaged(proof):
                        self.assertFalse(verify_consistency(old, new, *roots, wrong))

    def test_another_history_is_refused(self):
        other = [leaf_hash(b"other"), *HASHES[1:40]]
        for old in range(1, 40):
            with self.subTest(old):
                proof = naive_proof(old, other)
                roots = naive_root(HASHES[:old]), naive_root(other)
                self.assertFalse(verify_consistency(old, 40, *roots, proof))

    def test_a_tree_does_not_shrink(self):
        self.assertFalse(verify_consistency(2, 1, ALL[0, 0][:32], ALL[0, 0][:32], []))
        with self.assertRaises(ValueError):
            consistency_proof(2, 1, tile)

    def test_no_leaf_has_one_root_alone(self):
        for old_root, new_root, expected in (
            (EMPTY_ROOT, EMPTY_ROOT, True), (HASHES[0], EMPTY_ROOT, False), (EMPTY_ROOT, HASHES[0], False),
        ):  # fmt: skip
            self.assertEqual(verify_consistency(0, 0, old_root, new_root, []), expected)
