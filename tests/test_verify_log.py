"""Does the verifier that knows no Odoo find whatever was done to a log, and say where?

A small log is grown as the server grows it, written down, and then changed in each way that
somebody with the database in his hands could: the verifier has to name the first place.
"""

import base64
import gzip
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ..core import logfile, merkle
from ..core.canonical import canonical, leaf, time_text
from ..core.checkpoint import Checkpoint, key_id, parse, public_key, sign
from .core.common import examples
from .core.test_canonical import values

SCRIPT = Path(__file__).parent.parent / "offline" / "verify_log.py"
KEYS = [bytes([number]) * 32 for number in range(1, 5)]  # private ones
PUBLIC = [public_key(key) for key in KEYS]
KEY, OTHER = (base64.b64encode(public).decode() for public in (PUBLIC[0], PUBLIC[3]))
NOW = datetime(2026, 11, 25, 2, 43, 35, 123456, tzinfo=timezone.utc)
SIZES = (0, 100, 300, 300, 512, 700, 1000)  # of the checkpoints; the key changes with the fifth


def _verifier():
    spec = importlib.util.spec_from_file_location("verify_log", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier = _verifier()


def entry(number):
    kind = "write" if number % 3 else "read"
    at = NOW + timedelta(seconds=number)
    said = {"id": 5000 + number, "kind": kind, "request_id": f"R{number}", "occurred_at": at}
    return {**said, "login": "é", "status": 200}


class Log:
    """A log as a database holds it: entries, tiles, signed checkpoints. Changed at will."""

    def __init__(self, sizes=SIZES, entries=None):
        self.entries = entries or [entry(number) for number in range(sizes[-1])]
        self.leaves = [leaf(found) for found in self.entries]
        self.tiles, self.signed, self.places = {}, [], list(range(len(self.entries)))
        last, size, key = None, 0, 0
        for at, wanted in enumerate(sizes):
            hashes = map(merkle.leaf_hash, self.leaves[size:wanted])
            self.tiles |= merkle.append(size, lambda *place: self.tiles[place], hashes)
            root = merkle.root_at(wanted, lambda *place: self.tiles[place])
            last = Checkpoint(
                origin="9f6c", number=at + 1, size=wanted, root=root, time=NOW + timedelta(minutes=at),
                key=key_id(PUBLIC[key]), previous=last and last.digest(), next_key=PUBLIC[1] if at == 4 else None,
            )  # fmt: skip
            self.signed.append(sign(KEYS[key], last))
            size, key = wanted, int(at >= 4)

    def tile(self, *place):
        return self.tiles[place]

    def change(self, index, with_tile=False, upwards=False):
        """Change a value of an entry, as somebody does who knows nothing, something, or all but the signing key."""
        self.leaves[index] = leaf({**self.entries[index], "login": "nobody"})
        if with_tile:
            at = index % 256 * 32
            tile = self.tiles[0, index // 256]
            self.tiles[0, index // 256] = tile[:at] + merkle.leaf_hash(self.leaves[index]) + tile[at + 32 :]
        if upwards:
            self.tiles = merkle.append(0, None, map(merkle.leaf_hash, self.leaves))

    def lines(self, complete=True, only=None, dropped=(), tiles=None, checkpoints=None):
        """The log written down. `only`: these leaves; `dropped`: lists of ranges."""
        lines = [logfile.header_line("9f6c", NOW, "a test", complete=complete), *map(logfile.key_line, PUBLIC[:2])]
        lines += map(logfile.checkpoint_line, self.signed if checkpoints is None else checkpoints)
        places = sorted(self.tiles if tiles is None else tiles)
        lines += [logfile.tile_line(*place, self.tiles[place]) for place in places if place[0]]
        lines += [logfile.dropped_line(found, rule="Reads", kind="read", until=NOW) for found in dropped]
        written = set()
        for place, content in zip(self.places, self.leaves, strict=True):
            tile = (0, place // 256)
            if only is not None and place not in only:
                continue
            if tile in places and tile not in written:
                lines.append(logfile.tile_line(*tile, self.tiles[tile]))
                written.add(tile)
            lines.append(logfile.entry_line(place, content))
        unwritten = [tile for tile in places if not tile[0] and tile not in written]
        lines += [logfile.tile_line(*tile, self.tiles[tile]) for tile in unwritten]
        if unwritten:  # in the order of their leaves
            stream = sorted(filter(is_stream, lines), key=stream_place)
            lines = [*(line for line in lines if not is_stream(line)), *stream]
        return [*lines, logfile.end_line(sum(line.startswith(b'{"type":"entry"') for line in lines))]


def is_stream(line):
    return line.startswith((b'{"type":"entry"', b'{"type":"tile","level":0'))


def json_of(line):
    try:
        return json.loads(line)
    except ValueError:
        return line


def stream_place(line):
    found = json.loads(line)
    return (found["number"] * 256, 0) if found["type"] == "tile" else (found["leaf"] or 0, 1)


WHOLE = Log((0, 100, 301)).lines()  # header, two keys, three checkpoints, tile, 301 entries with their tiles, end


class Verified(BaseCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.count = 0

    def save(self, content, name=None):
        self.count += 1
        path = self.folder / (name or f"log-{self.count}.jsonl.gz")
        if isinstance(content, list):
            content = gzip.compress(b"".join(content), 1)
        path.write_bytes(content)
        return str(path)

    def run_it(self, *words):
        out, err = io.StringIO(), io.StringIO()
        code = verifier.main([*map(str, words)], out, err)
        return code, out.getvalue(), err.getvalue()

    def check(self, what, *words, key=KEY):
        """The exit code, and what a machine is told."""
        words = [what, *words, "--json", *(["--key", key] if key else [])]
        code, out, _err = self.run_it(*words)
        return code, json.loads(out)

    def check_lines(self, *files, key=KEY, known=(), options=()):
        paths = [self.save(lines) for lines in files]
        known = [word for path in known for word in ("--checkpoint", path)]
        return self.check("log", *paths, *known, *options, key=key)

    def assertFine(self, found):
        code, told = found
        self.assertEqual((code, told["verdict"], told["faults"]), (0, "fine", []))
        return told

    def assertFound(self, found, *codes, **first):
        """The codes of the first faults, and of the first one where it is."""
        code, told = found
        self.assertEqual((code, told["verdict"]), (1, "faults"), told)
        self.assertEqual([fault["code"] for fault in told["faults"]][: len(codes)], list(codes), told["faults"][:3])
        self.assertEqual({name: told["faults"][0].get(name) for name in first}, first)
        return told

    def assertUnusable(self, found, word):
        code, told = found
        self.assertEqual((code, told["verdict"]), (2, "unusable"), told)
        self.assertIn(word, told["why"])


class TestWhole(Verified):
    def test_a_whole_log_is_fine(self):
        told = self.assertFine(self.check_lines(Log().lines()))
        self.assertEqual((told["size"], told["checkpoint"], told["counts"]["entries"]), (1000, 7, 1000))
        self.assertEqual((told["counts"]["roots"], told["counts"]["checkpoints"]), (7, 7))
        self.assertEqual(told["signed_by"], [key_id(PUBLIC[0]), key_id(PUBLIC[1])])

    def test_sizes_on_both_sides_of_a_tile(self):
        for sizes in ((0,), (1,), (0, 1), (255,), (256,), (256, 257), (255, 256), (1, 256, 512), (512,), (513, 600)):
            with self.subTest(sizes):
                told = self.assertFine(self.check_lines(Log(sizes).lines()))
                self.assertEqual(told["counts"].get("roots"), len(sizes))

    def test_the_key_may_be_given_in_three_ways(self):
        path = self.save(Log().lines())
        for key in (KEY, PUBLIC[0].hex(), key_id(PUBLIC[0]), key_id(PUBLIC[0]).upper()):
            with self.subTest(key):
                self.assertFine(self.check("log", path, key=key))
        self.assertFound(self.check("log", path, key=base64.b64encode(PUBLIC[1]).decode()), "key", checkpoint=1)
        self.assertUnusable(self.check("log", path, key="short"), "--key")

    def test_without_a_key_it_says_who_signed_and_that_this_proves_little(self):
        path = self.save(Log().lines())
        code, out, _err = self.run_it("log", path)
        self.assertEqual(code, 0)
        self.assertIn("only inner agreement was checked", out)
        self.assertIn(key_id(PUBLIC[0]), out)
        self.assertNotIn("only inner", self.run_it("log", path, "--key", KEY)[1])

    def test_lines_that_somebody_wrote_anew_are_the_same_log(self):
        lines = [json.dumps(json.loads(line), indent=None).encode() + b"\n" for line in Log().lines()]
        self.assertFine(self.check_lines(lines))

    def test_a_file_that_is_not_compressed_is_read(self):
        self.assertFine(self.check("log", self.save(b"".join(Log().lines()), "log.jsonl")))

    def test_an_archive_is_proved_by_the_tiles_above(self):
        log = Log((70_000, 70_001))
        only = set(range(30_000, 30_500)) | {69_999}
        tiles = merkle.tiles_above({place // 256 for place in only}, 70_001)
        told = self.assertFine(self.check_lines(log.lines(complete=False, only=only, tiles=tiles)))
        self.assertEqual(told["counts"]["entries"], 501)
        for place in tiles:
            with self.subTest(missing=place):
                found = self.check_lines(log.lines(complete=False, only=only, tiles=set(tiles) - {place}))
                if place in {(2, 0), (0, 118)}:  # what is below them says it all
                    self.assertFine(found)
                else:
                    self.assertIn("unproven", [fault["code"] for fault in found[1]["faults"]])
        log.change(30_100)
        self.assertFound(self.check_lines(log.lines(complete=False, only=only, tiles=tiles)), "changed", leaf=30_100)

    def test_an_archive_beside_an_export_fills_its_gaps(self):
        log = Log()
        reads = {place for place in log.places if place % 3 == 0 and place < 600}
        export = log.lines(only=set(log.places) - reads, dropped=[[(place, place)] for place in sorted(reads)])
        archive = log.lines(complete=False, only=reads)
        told = self.assertFine(self.check_lines(export))
        why = {"kind": "read", "rule": "Reads", "until": "2026-11-25T02:43:35.123456Z"}
        self.assertEqual(told["dropped"], [{**why, "count": 200}])
        told = self.assertFine(self.check_lines(archive, export))
        self.assertEqual(told["counts"]["entries"], 1000)
        bare = log.lines(only=set(log.places) - reads)
        self.assertFine(self.check_lines(bare, archive))
        self.assertFound(self.check_lines(bare), "removed", leaf=0, last_leaf=0)

    def test_an_archive_signed_by_a_later_key_is_vouched_for_by_the_export(self):
        log = Log()
        archive = log.lines(complete=False, only={1}, checkpoints=log.signed[-1:])
        self.assertUnusable(self.check_lines(archive), "key")
        self.assertFine(self.check_lines(archive, log.lines()))

    def test_tiles_that_are_gone_with_their_entries_are_proved_from_above(self):
        log = Log()
        tiles = set(log.tiles) - {(0, 0), (0, 1)}
        told = self.assertFine(self.check_lines(log.lines(only=range(512, 1000), dropped=[[(0, 511)]], tiles=tiles)))
        self.assertEqual(told["counts"]["roots"], 4)
        self.assertTrue(any("3 checkpoints end among" in note for note in told["notes"]), told["notes"])

    def test_it_runs_alone(self):
        path = self.save(Log().lines())
        words = [sys.executable, "-I", SCRIPT, "log", path, "--key", KEY]
        found = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
        self.assertEqual((found.returncode, found.stderr), (0, ""))
        self.assertIn("Nothing is wrong", found.stdout)
        source = SCRIPT.read_text()
        self.assertNotRegex(source, r"(?m)^\s*(from \.|import odoo|from odoo|from core|import core)")


class TestChanged(Verified):
    def test_a_changed_value(self):
        for index in (0, 255, 256, 511, 512, 999):
            with self.subTest(index):
                log = Log()
                log.change(index)
                told = self.assertFound(self.check_lines(log.lines()), "changed", leaf=index)
                self.assertEqual(told["fault_count"], 1)
                who, sentence = told["faults"][0]["entry"], told["faults"][0]["sentence"]
                self.assertEqual((who["id"], who["request_id"]), (5000 + index, f"R{index}"))
                at = time_text(NOW + timedelta(seconds=index))
                self.assertEqual(who["occurred_at"], at)
                self.assertIn(f"Leaf {index} (entry {5000 + index}, request R{index}, at {at})", sentence)

    def test_each_column_of_an_entry(self):
        for name, value in (
            ("id", 1), ("kind", "read"), ("request_id", "R"), ("occurred_at", NOW), ("login", None), ("status", 201),
            ("new", 1), ("login", "e\u0301"),
        ):  # fmt: skip
            with self.subTest(name):
                log = Log((10,))
                log.leaves[4] = leaf({**log.entries[4], name: value})
                self.assertFound(self.check_lines(log.lines()), "changed", leaf=4)

    def test_a_removed_entry(self):
        for index in (0, 255, 256, 998, 999):
            with self.subTest(index):
                log = Log()
                told = self.assertFound(
                    self.check_lines(log.lines(only=set(log.places) - {index})), "removed", leaf=index, last_leaf=index
                )
                self.assertEqual(told["fault_count"], 1)
                if index:
                    self.assertIn(f"after leaf {index - 1} (entry {4999 + index}", told["faults"][0]["sentence"])
                if index < 999:
                    self.assertIn(f"before leaf {index + 1} (entry {5001 + index}", told["faults"][0]["sentence"])

    def test_many_removed_entries_are_told_as_one_place(self):
        for first, last in ((0, 299), (200, 799), (256, 511), (300, 999), (0, 999)):
            with self.subTest(first):
                log = Log()
                only = set(log.places) - set(range(first, last + 1))
                told = self.assertFound(self.check_lines(log.lines(only=only)), "removed", leaf=first, last_leaf=last)
                self.assertEqual(told["fault_count"], 1)

    def test_what_a_rule_dropped_explains_no_more_than_that(self):
        log = Log()
        for dropped, first in (((10, 19), None), ((10, 18), 19), ((11, 19), 10), ((0, 9), 10)):
            with self.subTest(dropped):
                lines = log.lines(only=set(log.places) - set(range(10, 20)), dropped=[[dropped]])
                if first is None:
                    self.assertFine(self.check_lines(lines))
                else:
                    self.assertFound(self.check_lines(lines), "removed", leaf=first)

    def test_a_removed_entry_with_those_after_it_moved_up(self):
        log = Log()
        del log.leaves[300], log.places[-1]
        told = self.assertFound(self.check_lines(log.lines()), "removed", leaf=300)
        self.assertIn("that of leaf 300 was removed", told["faults"][0]["sentence"])
        self.assertEqual(told["fault_count"], 700)

    def test_an_inserted_entry_with_those_after_it_moved_down(self):
        for index in (300, 511):
            with self.subTest(index):
                log = Log()
                log.leaves.insert(index, leaf({**entry(7), "id": 1}))
                log.places.append(1000)
                told = self.assertFound(self.check_lines(log.lines()), "inserted", leaf=index)
                self.assertEqual(told["faults"][0]["entry"]["id"], 1)

    def test_an_entry_inserted_beside_another_or_in_no_leaf_or_after_the_last(self):
        forged = leaf({**entry(7), "id": 1})
        for index, at in ((300, 300), (None, None), (1000, 1000), (99_999, 99_999)):
            with self.subTest(index):
                lines = Log().lines()
                lines[-1:] = [logfile.entry_line(index, forged)]
                lines.append(logfile.end_line(1001))
                lines.sort(key=lambda line: stream_place(line) if is_stream(line) else (-1, 0))
                told = self.assertFound(self.check_lines(lines), "inserted", leaf=at)
                self.assertEqual(told["faults"][0]["entry"]["id"], 1)
                self.assertEqual(told["fault_count"], 1)

    def test_two_swapped_entries(self):
        for one, other in ((300, 301), (300, 400), (255, 256), (3, 900), (10, 300)):
            with self.subTest(one=one, other=other):
                log = Log()
                log.leaves[one], log.leaves[other] = log.leaves[other], log.leaves[one]
                told = self.assertFound(self.check_lines(log.lines()), "reordered", "reordered", leaf=one)
                self.assertIn(f"sealed as leaf {other}", told["faults"][0]["sentence"])
                self.assertEqual(told["fault_count"], 2)

    def test_lines_out_of_order(self):
        lines = Log().lines()
        places = [at for at, line in enumerate(lines) if line.startswith(b'{"type":"entry"')]
        lines[places[10]], lines[places[700]] = lines[places[700]], lines[places[10]]
        told = self.assertFound(self.check_lines(lines))
        self.assertIn("reordered", [fault["code"] for fault in told["faults"]])

    def test_an_entry_changed_with_its_tile(self):
        for index in (300, 511):
            log = Log()
            log.change(index, with_tile=True)
            self.assertFound(self.check_lines(log.lines()), "tile", leaf=256, last_leaf=511)

    def test_an_entry_changed_with_the_last_tile_that_none_stands_above(self):
        log = Log()
        log.change(800, with_tile=True)
        self.assertFound(self.check_lines(log.lines()), "root", leaf=700, last_leaf=999, checkpoint=7)

    def test_an_entry_changed_with_all_tiles_is_between_two_checkpoints(self):
        for index, first, last, number in ((0, 0, 99, 2), (299, 100, 299, 3), (400, 300, 511, 5), (999, 700, 999, 7)):
            with self.subTest(index):
                log = Log()
                log.change(index, upwards=True)
                told = self.assertFound(
                    self.check_lines(log.lines()), "root", leaf=first, last_leaf=last, checkpoint=number
                )
                self.assertEqual({fault["code"] for fault in told["faults"]}, {"root"})

    def test_a_tile_above_changed(self):
        log = Log()
        tile = log.tiles[1, 0]
        log.tiles[1, 0] = bytes([tile[0] ^ 1]) + tile[1:]
        self.assertFound(self.check_lines(log.lines()), "tile", leaf=0, last_leaf=255)

    def test_a_tile_of_level_1_changed_in_a_large_log(self):
        log = Log((70_000,))
        tile = log.tiles[1, 0]
        log.tiles[1, 0] = bytes([tile[0] ^ 1]) + tile[1:]
        self.assertFound(self.check_lines(log.lines()), "tile", leaf=0, last_leaf=65_535)

    def test_a_log_made_anew_with_another_key(self):
        log = Log()
        log.change(400, upwards=True)
        forged, last = [], None
        for signed in log.signed:
            found = parse(signed.body)
            root = merkle.root_at(found.size, log.tile)
            last = replace(found, root=root, key=key_id(PUBLIC[3]), next_key=None, previous=last and last.digest())
            forged.append(sign(KEYS[3], last))
        lines = log.lines(checkpoints=forged)
        lines.insert(1, logfile.key_line(PUBLIC[3]))
        self.assertFine(self.check_lines(lines, key=None))
        self.assertFine(self.check_lines(lines, key=OTHER))
        code, told = self.check_lines(lines)
        self.assertEqual(code, 2)
        self.assertIn("key", told["why"])
        kept = {"body": parse(log.signed[6].body).document(), "signature": KEY}
        known = self.save(json.dumps(kept).encode(), "known.json")
        self.assertFound(self.check_lines(lines, key=None, known=[known]), "signature", checkpoint=7)

    def test_a_file_that_does_not_claim_to_be_complete_says_so(self):
        log = Log()
        lines = log.lines(complete=False, only=set(log.places) - {300})
        told = self.assertFine(self.check_lines(lines))
        self.assertTrue(any("does not claim to be complete" in note for note in told["notes"]))
        self.assertFound(self.check_lines(lines, options=["--complete"]), "removed", leaf=300)

    def test_lines_cut_out_of_an_archive_are_counted(self):
        lines = Log().lines(complete=False)
        lines.remove(next(line for line in lines if b'"leaf":300,' in line))
        self.assertFound(self.check_lines(lines), "count")


class TestCheckpoints(Verified):
    def test_a_changed_signature(self):
        log = Log()
        log.signed[2] = replace(log.signed[2], signature=bytes(64))
        told = self.assertFound(self.check_lines(log.lines()), "signature", checkpoint=3)
        self.assertEqual(told["fault_count"], 1)

    def test_a_changed_body(self):
        log = Log()
        log.signed[2] = replace(log.signed[2], body=log.signed[2].body.replace(b'"size":300', b'"size":301'))
        self.assertFound(self.check_lines(log.lines()), "signature", checkpoint=3)

    def test_a_checkpoint_removed_in_the_middle_or_at_the_beginning(self):
        for at, number in ((0, 2), (1, 3), (5, 7)):
            with self.subTest(at):
                log = Log()
                del log.signed[at]
                self.assertFound(self.check_lines(log.lines()), "number", checkpoint=number)

    def test_a_checkpoint_removed_where_the_key_changed(self):
        log = Log()
        del log.signed[4]
        self.assertFound(self.check_lines(log.lines()), "key", "number", checkpoint=6)

    def test_two_checkpoints_swapped(self):
        log = Log()
        log.signed[1], log.signed[2] = log.signed[2], log.signed[1]
        self.assertFound(self.check_lines(log.lines()), "number", checkpoint=3)

    def test_a_checkpoint_signed_anew_by_the_key_itself(self):
        log = Log()
        log.signed[2] = sign(KEYS[0], replace(parse(log.signed[2].body), note="x"))
        self.assertFound(self.check_lines(log.lines()), "previous", checkpoint=4)

    def test_a_key_that_was_given_up_signs_no_more(self):
        log = Log()
        log.signed[6] = sign(KEYS[0], replace(parse(log.signed[6].body), key=key_id(PUBLIC[0])))
        self.assertFound(self.check_lines(log.lines()), "key", checkpoint=7)

    def test_a_clock_that_was_set_back_is_noted(self):
        log = Log()
        last = parse(log.signed[6].body)
        log.signed[6] = sign(KEYS[1], replace(last, time=last.time - timedelta(days=1)))
        told = self.assertFine(self.check_lines(log.lines()))
        self.assertTrue(any("clock was set back" in note for note in told["notes"]))

    def test_an_end_that_was_cut_off_is_told_by_a_checkpoint_that_somebody_kept(self):
        whole, cut = Log(), Log(SIZES[:-1])
        known = self.save(whole.lines()[9], "known.json")
        self.assertIn(b'"number":7', Path(known).read_bytes())
        self.assertFine(self.check_lines(whole.lines(), known=[known]))
        self.assertFine(self.check_lines(cut.lines()))
        found = self.check_lines(cut.lines(), known=[known])
        told = self.assertFound(found, "cut", leaf=700, last_leaf=999, checkpoint=7)
        self.assertIn("its end was cut off", told["faults"][0]["sentence"])

    def test_a_checkpoint_that_somebody_kept_shows_two_histories(self):
        log, other = Log(), Log(entries=[entry(number + (number > 800)) for number in range(1000)])
        known = self.save(b"".join(map(logfile.checkpoint_line, log.signed)), "known.jsonl")
        self.assertFine(self.check_lines(log.lines(), known=[known]))
        told = self.assertFound(self.check_lines(other.lines(), known=[known]), "fork", checkpoint=7)
        self.assertEqual(told["fault_count"], 1)


class TestDocuments(Verified):
    def receipt(self, index=300, size=1000, log=None):
        log = log or Log()
        proof = merkle.inclusion_proof(index, size, log.tile)
        signed = next(found for found in log.signed if parse(found.body).size == size)
        public = PUBLIC[0] if parse(signed.body).key == key_id(PUBLIC[0]) else PUBLIC[1]
        return json.loads(logfile.receipt(log.leaves[index], index, proof, signed, public))

    def check_document(self, what, document, key):
        return self.check(what, self.save(json.dumps(document).encode(), f"{what}.json"), key=key)

    def test_a_receipt_proves_its_entry(self):
        key = base64.b64encode(PUBLIC[1]).decode()
        told = self.assertFine(self.check_document("receipt", self.receipt(), key))
        self.assertEqual((told["leaf"], told["entry"]["request_id"], told["checkpoint"]), (300, "R300", 7))
        self.assertFine(self.check_document("receipt", self.receipt(), None))
        self.assertFine(self.check_document("receipt", self.receipt(99, 100), KEY))
        self.assertFound(self.check_document("receipt", self.receipt(), KEY), "key")

    def test_all_receipts_of_a_call_are_looked_at(self):
        several = {"format": "api_guard receipts", "v": 1, "receipts": [self.receipt(99, 100), self.receipt(7, 100)]}
        self.assertFine(self.check_document("receipt", several, KEY))
        several["receipts"][0]["index"] = 98
        self.assertFound(self.check_document("receipt", several, KEY), "proof")
        for receipts in ([], None, [7]):
            found = self.check_document("receipt", {**several, "receipts": receipts}, KEY)
            self.assertUnusable(found, "no receipt")

    def test_a_receipt_that_was_changed_proves_nothing(self):
        def changed(**values):
            return {**self.receipt(99, 100), **values}

        good = self.receipt(99, 100)
        body, proof = good["checkpoint"]["body"], good["proof"]
        larger = {"body": {**body, "size": 101}, "signature": KEY}
        other = {**good["entry"], "login": "x"}
        for document, code in (
            (changed(index=98), "proof"), (changed(index=100), "proof"), (changed(entry=other), "proof"),
            (changed(proof=proof[:-1]), "proof"), (changed(proof=[*proof, proof[0]]), "proof"),
            (changed(proof=[]), "proof"), (changed(proof=proof[::-1]), "proof"), (changed(entry=None), "proof"),
            (changed(checkpoint=larger), "signature"),
            (changed(checkpoint={**good["checkpoint"], "signature": KEY}), "signature"),
        ):  # fmt: skip
            with self.subTest(str(document)[:60]):
                self.assertFound(self.check_document("receipt", document, KEY), code)

    def test_consistency(self):
        log = Log()
        for old, new in ((0, 1), (1, 2), (1, 6), (2, 3), (4, 6), (6, 6), (0, 0)):
            sizes = SIZES[old], SIZES[new]
            with self.subTest(sizes):
                proof = merkle.consistency_proof(*sizes, log.tile)
                document = json.loads(logfile.consistency(log.signed[old], log.signed[new], proof, PUBLIC[:2]))
                self.assertFine(self.check_document("consistency", document, None))
                for wrong in ([*proof, proof[0] if proof else bytes(32)], proof[:-1], proof[::-1]):
                    if wrong != proof:
                        document["proof"] = [base64.b64encode(step).decode() for step in wrong]
                        self.assertFound(self.check_document("consistency", document, None), "proof")

    def test_consistency_of_another_history(self):
        log, other = Log(), Log(entries=[entry(number + 1) for number in range(1000)])
        proof = merkle.consistency_proof(100, 300, log.tile)
        document = json.loads(logfile.consistency(other.signed[1], log.signed[2], proof, PUBLIC[:2]))
        self.assertFound(self.check_document("consistency", document, KEY), "proof")
        document = json.loads(logfile.consistency(log.signed[2], log.signed[1], proof, PUBLIC[:2]))
        self.assertFound(self.check_document("consistency", document, KEY), "size")

    def test_all_proofs_of_small_trees(self):
        hashes = [merkle.leaf_hash(bytes([number])) for number in range(20)]
        tiles = merkle.append(0, None, hashes)

        def tile(*place):
            return tiles[place]

        for size in range(1, 21):
            root = merkle.root_at(size, tile)
            for index in range(size):
                proof = merkle.inclusion_proof(index, size, tile)
                self.assertEqual(verifier.root_from_path(hashes[index], index, size, proof), root)
                self.assertNotEqual(verifier.root_from_path(hashes[index], index, size, [*proof, root]), root)
                old = index + 1
                proof = merkle.consistency_proof(old, size, tile)
                roots = merkle.root_at(old, tile), root
                self.assertEqual(verifier.roots_from_proof(old, size, roots[0], proof), roots)


class TestHostile(Verified):
    def test_what_is_no_log_is_told(self):
        lines = Log((3,)).lines()
        for content, word in (
            (b"", "empty"), (b"\x1f\x8b", "damaged"), (b"hello\n", "not JSON"), ([b"{}\n"], "says nothing"),
            (gzip.compress(b"".join(lines))[:-9], "damaged"), (gzip.compress(b"".join(lines))[:200], "damaged"),
            ([logfile.key_line(PUBLIC[0])], "not a log"), (lines[:1], "without a checkpoint"),
            ([lines[0].replace(b'"v":1', b'"v":2'), *lines[1:]], "version"), ([*lines, b'{"type":"x"}\n'], "kind"),
            ([*lines, b"[" * 100_000 + b"\n"], "not JSON"), ([*lines, b'{"type":"key","type":"key"}\n'], "not JSON"),
            ([*lines, b'{"type":"tile","level":-1,"number":0,"hashes":""}\n'], "no place"),
            ([*lines, b'{"type":"tile","level":9,"number":0,"hashes":"' + KEY.encode() + b'"}\n'], "no tile"),
            ([*lines, b'{"type":"tile","level":1,"number":0,"hashes":"AAAA"}\n'], "no tile"),
            ([*lines, b'{"type":"tile","level":0,"number":0,"hashes":"AAAA"}\n'], "no tile"),
            ([*lines, b'{"type":"entry","leaf":1e3,"entry":{}}\n'], "no place"), ([*lines, b"\n"], "not JSON"),
            ([*lines, b'{"type":"dropped","ranges":[[1]]}\n'], "no range"),
            ([*lines, b'{"type":"dropped"}\n'], "no ranges"), ([*lines, b'{"type":"key","n":NaN}\n'], "not JSON"),
            ([*lines, b'{"type":"key","n":' + b"9" * 5000 + b"}\n"], "not JSON"),
        ):  # fmt: skip
            with self.subTest(ascii(content)[:60]):
                self.assertUnusable(self.check("log", self.save(content)), word)
        self.assertUnusable(self.check("log", str(self.folder / "absent")), "No such file")
        self.assertUnusable(self.check("log", str(self.folder)), "directory")
        self.assertUnusable(self.check_lines(lines, [line.replace(b"9f6c", b"a123") for line in lines]), "another log")

    def test_a_line_without_end_is_not_read_to_it(self):
        bomb = gzip.compress(b"".join(Log((3,)).lines()) + bytes(100 << 20), 1)
        self.assertLess(len(bomb), 1 << 20)
        self.assertUnusable(self.check("log", self.save(bomb)), "longer than 16 MB")

    def test_a_checkpoint_of_endless_size_takes_no_endless_time(self):
        huge = Checkpoint("9f6c", 1, 2**53 - 1, bytes(32), NOW, key_id(PUBLIC[0]))
        log = Log((3,))
        lines = log.lines(checkpoints=[sign(KEYS[0], huge)])
        code, told = self.check_lines(lines)
        self.assertEqual(code, 1)
        self.assertIn("unproven", [fault["code"] for fault in told["faults"]])

    def test_what_an_entry_says_gives_a_terminal_no_orders(self):
        log = Log((3,))
        log.leaves[1] = canonical({"id": 2, "request_id": "\x1b[2J\n\u202e" + "x" * 500, "v": 1})
        code, out, _err = self.run_it("log", self.save(log.lines()), "--key", KEY)
        self.assertEqual(code, 1)
        self.assertNotRegex(out, "[\x1b\u202e]")
        self.assertLess(max(map(len, out.split("\n"))), 400)

    @examples
    @given(st.integers(4, 310), st.integers(0), st.binary(min_size=1, max_size=1))
    def test_one_wrong_byte_is_found(self, at, place, byte):
        damaged = list(WHOLE)
        line = damaged[at]
        place %= len(line)
        damaged[at] = line[:place] + byte + line[place + 1 :]
        code, _told = self.check_lines(damaged)
        self.assertEqual(code == 0, byte == line[place : place + 1] or json_of(line) == json_of(damaged[at]))

    def test_each_line_that_is_taken_out_is_found(self):
        for at in range(len(WHOLE)):
            # the key was given, and what a tile says follows from its entries where all are there
            if not WHOLE[at].startswith((b'{"public"', b'{"type":"tile"')):
                with self.subTest(WHOLE[at][:60]):
                    found = self.check_lines(WHOLE[:at] + WHOLE[at + 1 :])
                    self.assertNotEqual(found[0], 0)

    @examples
    @given(values)
    def test_its_own_canonical_text_is_the_same(self, value):
        self.assertEqual(verifier.canonical(value).encode(), canonical(value))
