#!/usr/bin/env python3
"""Is this log whole, and unchanged since it was sealed? Tells without Odoo, from files and a public key.

    verify_log.py log EXPORT.jsonl.gz [ARCHIVE.jsonl.gz ...] --key PUBLIC [--checkpoint KNOWN.json]
    verify_log.py receipt RECEIPT.json --key PUBLIC
    verify_log.py consistency PROOF.json --key PUBLIC

PUBLIC is the log's public key in base64 or hexadecimal, or the sixteen digits of its id, as somebody
noted it who is not the one that made the file; several may be given. A checkpoint that a witness kept
(--checkpoint) shows whether the end of a log was cut off, or all of it written anew.

Exit codes: 0 nothing is wrong, 1 something is, 2 the files cannot be used. --json tells it to machines.

One file for Python 3.10 and later with the package `cryptography`. It shares no code with the addon
that writes logs, for a fault they share would be seen by neither.
"""

import argparse
import base64
import binascii
import gzip
import hashlib
import heapq
import io
import json
import re
import sys
import time
import zlib
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FINE, FAULTS, UNUSABLE = 0, 1, 2
TILE, HASH = 256, 32
EXACT = 2**53 - 1  # the largest integer that every reader of JSON reads alike

# What a hostile file may make this one hold.
MAX_LINE = 16 << 20  # bytes
MAX_TILES = 1 << 16  # above level 0: 16 million tiles of level 0, 4 thousand million entries
MAX_CHECKPOINTS = 5_000_000
MAX_RANGES = 4_000_000
MAX_GROUP = 256 << 20  # bytes of the entries of one tile
MAX_AT_A_PLACE = 16  # entries that say they are the same leaf
MAX_KEYS = 10_000
KEPT_FAULTS = 100  # all are counted
SHOWN_FAULTS = 10

ENTRY = re.compile(rb'\{"type":"entry","leaf":(0|[1-9][0-9]{0,15}),"entry":(\{.*\})\}', re.DOTALL)
# What the first of two readings leaves to the second, known by how we write it; others are read twice.
LEFT_TO_WALK = (b'{"type":"entry",', b'{"type":"tile","level":0,')


class Unusable(Exception):
    """The input is no log, receipt or proof, or is damaged: nothing can be said of it."""


# --- What was found -------------------------------------------------------------------------------------------


class Report:
    """Faults in the order of the log, notes, and what was looked at."""

    def __init__(self, progress=None):
        self.faults, self.notes, self.facts, self.counts = [], [], {}, Counter()
        self.codes, self.progress = Counter(), progress or Progress(0)

    def fault(self, code, sentence, **where):
        """Something is wrong. `where`: first and last leaf, entry, checkpoint."""
        self.codes[code] += 1
        if len(self.faults) < KEPT_FAULTS:
            self.faults.append({"code": code, "sentence": sentence, **where})

    def note(self, sentence):
        """Nothing is wrong, and the reader should know."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def code(self):
        return FAULTS if self.codes else FINE


class Progress:
    """A line on a terminal after two seconds: how much was read."""

    def __init__(self, total, stream=None):
        self.total, self.stream, self.done, self.base = total, stream, 0, 0
        self.next = time.monotonic() + 2
        self.shown = False

    def at(self, position):
        """So far into the file that is being read."""
        self.done = self.base + position
        if self.stream is None or time.monotonic() < self.next:
            return
        self.next, self.shown = time.monotonic() + 0.5, True
        self.stream.write(f"\r  {min(100, 100 * self.done // max(self.total, 1))} % read ")
        self.stream.flush()

    def clear(self):
        """Leave the terminal as it was."""
        if self.shown:
            self.stream.write("\r" + " " * 20 + "\r")


def describe(entry):
    """By what somebody finds an entry again: id, request and time, as far as it has them."""
    if not isinstance(entry, dict):
        return {}
    found = {name: entry.get(name) for name in ("id", "request_id", "occurred_at")}
    return {name: value[:80] if isinstance(value, str) else value for name, value in found.items() if is_plain(value)}


def is_plain(value):
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def words(entry):
    """The same for a sentence: " (entry 7, request R, at T)"."""
    named = [("entry", "id"), ("request", "request_id"), ("at", "occurred_at")]
    told = [f"{word} {printable(entry[name])}" for word, name in named if name in entry]
    return f" ({', '.join(told)})" if told else ""


def printable(value):
    """Without what a terminal would take for an order."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(value))


def span(first, last):
    return f"leaf {first}" if first == last else f"leaves {first} to {last}"


# --- Canonical bytes (RFC 8785), hashes (RFC 9162, section 2.1), signatures ------------------------------------


def canonical(value):
    """The one text of a value; what Python writes otherwise is written here."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value) if -EXACT <= value <= EXACT else number(float(value))
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"


def number(value):
    """A double as ECMAScript writes it."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("not finite")
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(text)
    text = text.lstrip("0")
    point = len(text) + exponent  # where the decimal point stands, counted from the first digit
    if not text:
        return "0"
    if 0 < point <= 21:
        text = text + "0" * exponent if exponent >= 0 else f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + text
    else:
        tail = "." + text[1:] if len(text) > 1 else ""
        text = f"{text[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return "-" + text if sign else text


def read_json(text):
    """The value of a JSON text that can be read in one way alone."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refused, parse_int=_integer)
    except (ValueError, RecursionError):
        raise Unusable("not JSON that all readers read alike") from None


def _once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refused(word):
    raise ValueError(word)


def _integer(text):
    if len(text) > 400:
        raise ValueError("a number without end")
    return int(text)


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def rehashed(entry):
    """The leaf hash of an entry that was read; None: nothing like it can have been sealed."""
    try:
        return leaf_hash(canonical(entry).encode()) if isinstance(entry, dict) else None
    except (ValueError, RecursionError, OverflowError):
        return None


def root_of(hashes):
    """The root over a list of hashes, by the RFC's own recursion."""
    if len(hashes) == 1:
        return hashes[0]
    middle = split(len(hashes))
    return node(root_of(hashes[:middle]), root_of(hashes[middle:]))


def split(count):
    """The largest power of two below `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def root_from_path(leaf, index, size, path):
    """The root that an inclusion proof leads to; None: it is too long or too short. Section 2.1.3.1, backwards."""
    if size == 1:
        return leaf if not path else None
    if not path:
        return None
    middle = split(size)
    if index < middle:
        below = root_from_path(leaf, index, middle, path[:-1])
        return below and node(below, path[-1])
    below = root_from_path(leaf, index - middle, size - middle, path[:-1])
    return below and node(path[-1], below)


def roots_from_proof(old, new, old_root, path, whole=True):
    """The old and the new root that a consistency proof leads to; None as above. Section 2.1.4.1, backwards."""
    if old == new:
        if whole:
            return (old_root, old_root) if not path else None
        return (path[0], path[0]) if len(path) == 1 else None
    if not path:
        return None
    middle, last = split(new), path[-1]
    if old <= middle:
        below = roots_from_proof(old, middle, old_root, path[:-1], whole)
        return below and (below[0], node(below[1], last))
    below = roots_from_proof(old - middle, new - middle, old_root, path[:-1], False)
    return below and (node(last, below[0]), node(last, below[1]))


def decode(text, size=None):
    """Bytes out of base64; None: it is not that, or not that long."""
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        return None
    return found if size in (None, len(found)) else None


def decode_all(texts):
    found = [decode(text, HASH) for text in texts] if isinstance(texts, list) and len(texts) < 200 else [None]
    if None in found:
        raise Unusable("the proof is no list of hashes")
    return found


def id_of(public):
    return hashlib.sha256(public).hexdigest()[:16]


# --- Checkpoints ----------------------------------------------------------------------------------------------


class Checkpoint:
    """A checkpoint as somebody wrote it down: what it says, and the bytes that were signed."""

    def __init__(self, document):
        body = document.get("body") if isinstance(document, dict) else None
        if not isinstance(body, dict) or body.get("v") != 1 or isinstance(body["v"], bool):
            raise Unusable("a checkpoint of a version that is not known here, or none")
        try:
            self.bytes = canonical(body).encode()
        except (ValueError, RecursionError, OverflowError):
            raise Unusable("a checkpoint that cannot be read") from None
        self.signature = decode(document.get("signature")) or b""
        self.digest = hashlib.sha256(self.bytes).digest()
        self.number, self.size = body.get("number"), body.get("size")
        self.origin, self.key, self.time = body.get("origin"), body.get("key"), body.get("time")
        self.root = decode(body.get("root"), HASH)
        self.previous = decode(body.get("previous"), HASH) if "previous" in body else None
        self.next_key = decode(body.get("next_key"), HASH) if "next_key" in body else None
        texts = (self.origin, self.key, self.time)
        numbers = (self.number, self.size)
        is_whole = all(type(text) is str for text in texts) and all(type(found) is int for found in numbers)
        if not is_whole or self.root is None or not (1 <= self.number <= EXACT and 0 <= self.size <= EXACT):
            raise Unusable("a checkpoint that lacks something")

    def is_signed_with(self, public):
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(self.signature, self.bytes)
        except (InvalidSignature, ValueError):
            return False
        return True

    def told(self):
        return f"checkpoint {self.number} ({printable(self.time)[:40]}, {self.size} leaves)"


class Trust:
    """Which public keys stand for the log: those that were given, or else whatever the file names."""

    def __init__(self, given):
        self.given = [given_key(text) for text in given]
        self.named = {}  # by id: the file's own
        self.vouched = {}  # by id: those that a trusted key signed as its successor

    def add(self, public):
        if public is not None and len(self.named) < MAX_KEYS:
            self.named[id_of(public)] = public

    def key(self, name):
        """The public key of that id, if it is to be trusted of itself."""
        for known in self.given:
            if isinstance(known, bytes) and id_of(known) == name:
                return known
        if name in self.vouched:
            return self.vouched[name]
        return self.named.get(name) if not self.given or name in self.given else None


def given_key(text):
    """Raw bytes of a key, or the id of one."""
    text = text.strip()
    if re.fullmatch(r"[0-9a-fA-F]{16}", text):
        return text.lower()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    public = decode(text, HASH)
    if public is None:
        raise Unusable("--key takes 32 bytes in base64 or hexadecimal, or the sixteen digits of a key's id")
    return public


class Chain:
    """The checkpoints of one file, each followed from the one before."""

    def __init__(self, report, trust, complete, name):
        self.report, self.trust, self.complete, self.name = report, trust, complete, name
        self.last, self.key, self.spent, self.signers = None, None, set(), []

    def add(self, found):
        """Take the next one. Whether it counts: what is not signed by the log says nothing."""
        is_signed = self._is_signed(found)
        if self.last is None:
            self._first(found)
        else:
            self._next(found)
        if is_signed:
            self._turn(found)
        self.last = found
        return is_signed

    def _fault(self, code, found, sentence):
        self.report.fault(code, f"{sentence} ({self.name})", checkpoint=found.number)

    def _is_signed(self, found):
        public = self.key if self.key and id_of(self.key) == found.key else None
        if public is None and found.key not in self.spent:
            public = self.trust.key(found.key) if self.last is None or self.trust.given or not self.complete else None
        if public is None:
            named = printable(found.key)[:20]
            self._fault("key", found, f"{found.told()} is signed with the key {named}, {self._why(found)}.")
            return False
        if not found.is_signed_with(public):
            self._fault("signature", found, f"The signature of {found.told()} is not that of its key {id_of(public)}.")
            return False
        if self.key and id_of(self.key) != found.key:
            self.spent.add(id_of(self.key))
        self.key = public
        return True

    def _why(self, found):
        if found.key in self.spent:
            return "which was given up before"
        if self.last is None and self.trust.given:
            return "which is none of the keys that were given"
        return "which no key before it vouches for" if self.last else "whose key line does not stand before it"

    def _turn(self, found):
        if found.key not in self.signers:
            self.signers.append(found.key)
        if found.next_key is not None and found.next_key != self.key:
            self.spent.add(id_of(self.key))
            self.key = self.trust.vouched[id_of(found.next_key)] = found.next_key

    def _first(self, found):
        if self.complete and found.number != 1:
            self._fault("number", found, f"The first checkpoint is number {found.number}: those before it are missing.")
        if (found.number == 1) != (found.previous is None):
            self._fault("previous", found, f"{found.told()} says it is the first and is not, or the other way round.")

    def _next(self, found):
        last = self.last
        if found.origin != last.origin:
            self._fault("origin", found, f"{found.told()} is of another log.")
        if found.number <= last.number or (self.complete and found.number != last.number + 1):
            sentence = f"After checkpoint {last.number} comes {found.number}: one is missing or stands twice."
            self._fault("number", found, sentence)
        elif found.number == last.number + 1 and found.previous != last.digest:
            sentence = f"{found.told()} follows another checkpoint {last.number} than the one here."
            self._fault("previous", found, sentence)
        if found.size < last.size:
            self._fault("size", found, f"{found.told()} seals fewer leaves than the one before, {last.size}.")
        if moment(found.time) < moment(last.time):
            self.report.note(f"The clock was set back before {found.told()}; the order is held by the numbers.")


def moment(text):
    """A time that can be compared; one that cannot be read is older than all."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return float("-inf")


# --- Reading a file by its lines -------------------------------------------------------------------------------


def lines(path, progress):
    """The lines of a file, gzip or not, with their numbers; each of bounded length."""
    with open_input(path) as raw:
        stream, at = raw, 0
        if raw.peek(2)[:2] == b"\x1f\x8b":
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 20)
        try:
            while line := stream.readline(MAX_LINE + 1):
                at += 1
                if len(line) > MAX_LINE:
                    raise Unusable(f"{path}, line {at}: longer than {MAX_LINE >> 20} MB")
                if at % 1024 == 0:
                    progress.at(raw.tell())
                yield at, line.rstrip(b"\r\n")
        except (EOFError, OSError, zlib.error):
            raise Unusable(f"{path}: damaged, or its end is cut off, after line {at}") from None
        progress.at(raw.tell())
        progress.base = progress.done


def open_input(path):
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None


def parsed(path, at, line):
    """The thing that a line holds."""
    try:
        found = read_json(line)
    except Unusable as error:
        raise Unusable(f"{path}, line {at}: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise Unusable(f"{path}, line {at}: says nothing of what it is")
    return found


def place_in(path, at, thing, *names):
    """The whole numbers of these names, for places."""
    found = [thing.get(name) for name in names]
    if not all(type(value) is int and 0 <= value <= EXACT for value in found):
        raise Unusable(f"{path}, line {at}: no place")
    return found


class Survey:
    """First reading: header, keys, checkpoints, and the tiles above level 0, of all files."""

    def __init__(self, report, trust, is_complete):
        self.report, self.trust, self.is_complete = report, trust, is_complete
        self.tiles, self.sealed, self.origin = {}, {}, None
        self.size, self.last, self.complete_size = 0, None, 0

    def read(self, path):
        progress, chain, ended = self.report.progress, None, None
        for at, line in lines(path, progress):
            if chain is None:
                chain = self._header(path, at, parsed(path, at, line))
                continue
            if line.startswith(LEFT_TO_WALK):
                continue
            thing = parsed(path, at, line)
            ended = self._take(path, at, thing, chain) if thing["type"] != "end" else thing
        if chain is None:
            raise Unusable(f"{path}: empty")
        self._finish(path, chain, ended)

    def _header(self, path, at, thing):
        if thing["type"] != "header" or thing.get("format") != "api_guard log":
            raise Unusable(f"{path}: not a log of api_guard")
        if thing.get("v") != 1:
            raise Unusable(f"{path}: of a version that is not known here")
        origin = thing.get("origin")
        if self.origin not in (None, origin):
            raise Unusable(f"{path}: of another log than the file before")
        self.origin = origin
        return Chain(self.report, self.trust, self.is_complete or thing.get("complete") is True, path)

    def _take(self, path, at, thing, chain):
        kind = thing["type"]
        if kind == "checkpoint":
            self._checkpoint(path, at, thing, chain)
        elif kind == "key":
            self.trust.add(decode(thing.get("public"), HASH))
        elif kind == "tile":
            self._tile(path, at, thing)
        elif kind not in ("entry", "dropped"):
            raise Unusable(f"{path}, line {at}: of a kind that is not known here")

    def _tile(self, path, at, thing):
        level, number = place_in(path, at, thing, "level", "number")
        if not level:
            return
        hashes = decode(thing.get("hashes"))
        if level > 6 or not hashes or len(hashes) % HASH or len(hashes) > TILE * HASH:
            raise Unusable(f"{path}, line {at}: no tile")
        held = self.tiles.get((level, number), b"")
        shared = min(len(held), len(hashes))
        if held[:shared] != hashes[:shared]:
            self.report.fault("tile", f"Two files have different tiles {number} of level {level}.")
        if len(hashes) > len(held):
            self.tiles[level, number] = hashes
        if len(self.tiles) > MAX_TILES:
            raise Unusable("more tiles than a log can have")

    def _checkpoint(self, path, at, thing, chain):
        try:
            found = Checkpoint(thing)
        except Unusable as error:
            self.report.fault("malformed", f"{path}, line {at}: {error}.")
            return
        if found.origin != self.origin and chain.last is None:
            sentence = f"{found.told()} is of another log than its file says."
            self.report.fault("origin", sentence, checkpoint=found.number)
        if not chain.add(found):
            return
        held = self.sealed.setdefault(found.number, (found.size, found.root, found.digest, found.time))
        if held[2] != found.digest:
            self.report.fault("fork", f"Two files have different checkpoints {found.number}.", checkpoint=found.number)
        if len(self.sealed) > MAX_CHECKPOINTS:
            raise Unusable("more checkpoints than a log can have")
        if self.last is None or found.number > self.last.number:
            self.last, self.size = found, found.size
        if chain.complete:
            self.complete_size = max(self.complete_size, found.size)

    def _finish(self, path, chain, ended):
        if chain.last is None:
            raise Unusable(f"{path}: without a checkpoint, so nothing vouches for it")
        if not chain.complete:
            self.report.note(f"{path} does not claim to be complete: that entries are not in it is no fault of it.")
        if ended is None and chain.complete:
            self.report.fault("cut", f"{path} does not say where it ends: its end was cut off.")
        elif ended is None:
            self.report.note(f"{path} does not say where it ends.")
        elif type(ended.get("entries")) is not int:
            raise Unusable(f"{path}: its end says nothing")
        self.report.facts.setdefault("files", []).append({"name": str(path), "complete": chain.complete})
        self.report.facts.setdefault("signed_by", []).extend(
            name for name in chain.signers if name not in self.report.facts["signed_by"]
        )


# --- Walking along the leaves ----------------------------------------------------------------------------------


class Dropped:
    """Leaves whose entries retention took, by the file's word. Asked in the order of the leaves."""

    def __init__(self):
        self.ranges, self.taken = [], Counter()

    def add(self, path, at, thing):
        ranges = thing.get("ranges")
        if not isinstance(ranges, list):
            raise Unusable(f"{path}, line {at}: no ranges")
        for pair in ranges:
            if not isinstance(pair, list) or len(pair) != 2 or not all(type(end) is int and end >= 0 for end in pair):
                raise Unusable(f"{path}, line {at}: no range")
            if pair[0] <= pair[1]:
                heapq.heappush(self.ranges, (pair[0], pair[1] + 1))
        if len(self.ranges) > MAX_RANGES:
            raise Unusable("more dropped ranges at a time than a log can have")
        count = sum(pair[1] - pair[0] + 1 for pair in ranges)
        why = tuple(printable(thing.get(name))[:80] for name in ("kind", "rule", "until"))
        if len(self.taken) < 1000 or why in self.taken:
            self.taken[why] += count
        return count

    def uncovered(self, start, end):
        """The parts of start..end that no range explains."""
        while self.ranges and self.ranges[0][0] < end and start < end:
            first, after = heapq.heappop(self.ranges)
            if after <= start:
                continue
            if first > start:
                yield start, first
            start = max(start, after)
            if after > end:
                heapq.heappush(self.ranges, (end, after))
        if start < end:
            yield start, end


class Group:
    """What the files hold of one tile of level 0: its hashes, and the entries of its leaves."""

    def __init__(self, number):
        self.number, self.start = number, number * TILE
        self.tile, self.entries, self.good, self.bad, self.weight = None, {}, {}, {}, 0

    def expected(self, index):
        at = (index - self.start) * HASH
        found = self.tile[at : at + HASH] if self.tile and at >= 0 else b""
        return found if len(found) == HASH else None

    def place_of(self, digest):
        """Where the tile has this hash; None: nowhere."""
        at = (self.tile or b"").find(digest)
        while at % HASH and at != -1:
            at = self.tile.find(digest, at + 1)
        return None if at == -1 else self.start + at // HASH

    def settle(self):
        """Sort the entries by whether they are what the tile says."""
        for index, texts in self.entries.items():
            expected = self.expected(index)
            for text in texts:
                digest = leaf_hash(text)
                if digest != expected and expected is not None:
                    digest = rehashed(entry_of(text)) or digest  # somebody else may have written the line
                is_good = expected is None or digest == expected
                (self.good if is_good else self.bad).setdefault(index, []).append((digest, text))

    def hashes(self, count):
        """The first `count` leaf hashes: the tile's, or the entries' where it is not there. None: neither is."""
        if self.tile and len(self.tile) >= count * HASH:
            return [self.tile[at : at + HASH] for at in range(0, count * HASH, HASH)]
        found = [self.good.get(self.start + at) for at in range(count)]
        return [entries[0][0] for entries in found] if all(found) else None


def entry_of(text):
    try:
        return read_json(text)
    except Unusable:
        return None


class Walk:
    """Second reading: entries and tiles of level 0, in the order of the leaves, all files beside each other."""

    def __init__(self, report, survey, paths):
        self.report, self.survey, self.paths = report, survey, paths
        self.dropped, self.spine = Dropped(), Spine(report, survey)
        self.missing, self.before, self.next = None, None, 0
        self.loose = Counter()  # by file: entries that stand in no leaf

    def run(self):
        self.spine.check_upper()
        groups = self._groups()
        group = next(groups, None)
        while group is not None:
            following = next(groups, None)
            self._visit(group, following)
            group = following
        self._gap(self.next, self.survey.complete_size)
        self._tell_missing(None)
        self.spine.finish()
        self._tell_places()

    def _groups(self):
        group = None
        for number, kind, index, content in heapq.merge(*map(self._items, self.paths), key=lambda item: item[0]):
            if group is None or number != group.number:
                if group is not None:
                    group.settle()
                    yield group
                group = Group(number)
            if kind == "tile":
                self._add_tile(group, content)
            else:
                self._add_entry(group, index, content)
        if group is not None:
            group.settle()
            yield group

    def _add_tile(self, group, content):
        held = group.tile or b""
        shared = min(len(held), len(content))
        if held[:shared] != content[:shared]:
            first, last = group.start, group.start + TILE - 1
            sentence = f"Two files have different tiles of {span(first, last)}."
            self.report.fault("tile", sentence, leaf=first, last_leaf=last)
        group.tile = max(held, content, key=len)

    def _add_entry(self, group, index, content):
        texts = group.entries.setdefault(index, [])
        if content not in texts and len(texts) < MAX_AT_A_PLACE:
            texts.append(content)
            group.weight += len(content)
        if group.weight > MAX_GROUP:
            raise Unusable(f"more than {MAX_GROUP >> 20} MB in the entries of one tile")

    def _items(self, path):
        """Tiles and entries of a file as (tile number, kind, leaf, content), never going back."""
        last, counted, ended = 0, 0, None
        for at, line in lines(path, self.report.progress):
            found = ENTRY.fullmatch(line)
            if found:
                index, content = int(found[1]), found[2]
                item = (index // TILE, "entry", index, content)
            else:
                item = self._thing(path, at, line)
                ended = item[1] if item and item[0] is None else ended
            if item is None or item[0] is None:
                continue
            counted += item[1] == "entry"
            if item[0] >= last:
                last = item[0]
                yield item
            else:
                self._out_of_order(path, at, item, last)
        counted += self.loose[path]
        self.report.counts["entries"] += counted
        if ended not in (None, counted):
            self.report.fault("count", f"{path} says that it holds {ended} entries, and holds {counted}.")

    def _thing(self, path, at, line):
        if at == 1 or line.startswith((b'{"type":"checkpoint"', b'{"type":"key"')):
            return None
        thing = parsed(path, at, line)
        if thing["type"] == "dropped":
            self.report.counts["dropped"] += self.dropped.add(path, at, thing)
        elif thing["type"] == "end":
            return None, thing.get("entries")
        elif thing["type"] == "entry":
            return self._entry(path, at, thing)
        elif thing["type"] == "tile" and thing.get("level") == 0:
            (number,) = place_in(path, at, thing, "number")
            hashes = decode(thing.get("hashes"))
            if not hashes or len(hashes) % HASH or len(hashes) > TILE * HASH:
                raise Unusable(f"{path}, line {at}: no tile")
            return number, "tile", 0, hashes
        return None

    def _entry(self, path, at, thing):
        entry = thing.get("entry")
        if thing.get("leaf") is None:
            who, self.loose[path] = describe(entry), self.loose[path] + 1
            self.report.fault("inserted", f"An entry{words(who)} stands in no leaf: it was inserted.", entry=who)
            return None
        (index,) = place_in(path, at, thing, "leaf")
        try:
            content = canonical(entry).encode()
        except (ValueError, RecursionError, OverflowError):
            raise Unusable(f"{path}, line {at}: an entry that cannot be read") from None
        return index // TILE, "entry", index, content

    def _out_of_order(self, path, at, item, last):
        _number, kind, index, content = item
        who = describe(entry_of(content)) if kind == "entry" else {}
        what = f"Leaf {index}{words(who)}" if kind == "entry" else f"The tile of leaf {item[0] * TILE}"
        sentence = f"{what} stands after leaf {last * TILE} in {path}, line {at}: it was moved."
        self.report.fault("reordered", sentence, leaf=index, entry=who)

    def _visit(self, group, following):
        size = self.survey.size
        self._gap(self.next, min(group.start, self.survey.complete_size))
        end = min(group.start + TILE, size)
        self.spine.pass_by(group.start)
        if group.start < size:
            hashes = group.hashes(end - group.start)
            if hashes is None and group.entries:
                self._unproven(group)
            self.spine.take(group, hashes, end)
        self._presence(group, end)
        for index in sorted(group.bad):
            for digest, text in group.bad[index]:
                self._wrong(group, following, index, digest, text)
        self._beyond(group, size)

    def _presence(self, group, end):
        """Which leaves of the group have no entry, though a file is to have all?"""
        at, end = group.start, min(end, self.survey.complete_size)
        self.next = max(self.next, group.start + TILE)
        is_full = self.missing is None and len(group.entries) == end - at and max(group.entries) < end
        for index in () if is_full else sorted(group.entries):
            self._gap(at, min(index, end))
            self._tell_missing((index, group.entries[index][0]))
            at, self.before = index + 1, (index, group.entries[index][0])
        if not is_full:
            self._gap(at, end)
        else:
            self.before = end - 1, group.entries[end - 1][0]

    def _gap(self, start, end):
        for first, after in self.dropped.uncovered(start, end) if start < end else ():
            if self.missing and self.missing[1] == first:
                self.missing[1] = after
            else:
                self._tell_missing(None)
                self.missing = [first, after, self.before]

    def _tell_missing(self, following):
        if not self.missing:
            return
        (first, after, before), self.missing = self.missing, None
        what = "The entry" if after - first == 1 else f"The {after - first} entries"
        beside = [
            f"{word} leaf {found[0]}{words(describe(entry_of(found[1])))}"
            for word, found in (("after", before), ("before", following))
            if found
        ]
        told = f" ({' and '.join(beside)})" if beside else ""
        sentence = f"{what} of {span(first, after - 1)}{told}: removed. Sealed, not here, and dropped by no rule."
        self.report.fault("removed", sentence, leaf=first, last_leaf=after - 1)

    def _unproven(self, group):
        index = min(group.entries)
        sentence = f"From leaf {index} on, entries have no tile that they could be compared with."
        self.report.fault("unproven", sentence, leaf=index)

    def _wrong(self, group, following, index, digest, text):
        if index >= self.survey.size:
            return  # told by _beyond
        entry = entry_of(text)
        who = describe(entry)
        code, why = self._judged(group, following, index, digest)
        fault = f"Leaf {index}{words(who)} {why}"
        self.report.fault(code, fault, leaf=index, entry=who, **({"hash": digest.hex()} if code == "changed" else {}))

    def _judged(self, group, following, index, digest):
        near = [group, following] if following and following.number == group.number + 1 else [group]
        sorted_out = [pairs for one in near for kind in (one.good, one.bad) for pairs in kind.values()]
        present = {found for pairs in sorted_out for found, _text in pairs}
        belongs = next((place for place in (one.place_of(digest) for one in near) if place is not None), None)
        expected = group.expected(index)
        if index in group.good:
            return "inserted", "stands there twice: this one was inserted."
        if belongs is None and any(found == expected for one in near for found, _ in one.bad.get(index + 1, ())):
            return "inserted", "was inserted: the entry that was sealed there is the one after it."
        if belongs == index + 1 and expected not in present:
            return "removed", f"is the entry of leaf {belongs}: that of leaf {index} was removed, and others moved up."
        if belongs is not None:
            return "reordered", f"is the entry that was sealed as leaf {belongs}: they were reordered."
        return "changed", "was changed: it is not what was sealed."

    def _beyond(self, group, size):
        for index in sorted(group.entries):
            if index >= size:
                who = describe(entry_of(group.entries[index][0]))
                sentence = f"Leaf {index}{words(who)} stands after the last sealed one, {size - 1}: it was inserted."
                self.report.fault("inserted", sentence, leaf=index, entry=who)

    def _tell_places(self):
        """Do some that seem changed stand elsewhere in the log? Looked for in a reading of their own."""
        seeking = {fault["hash"]: fault for fault in self.report.faults[:SHOWN_FAULTS] if "hash" in fault}
        for path in self.paths if seeking else ():
            for at, line in lines(path, self.report.progress):
                if not line.startswith(LEFT_TO_WALK[1]):
                    continue
                thing = parsed(path, at, line)
                group = Group(thing.get("number"))
                group.tile = decode(thing.get("hashes"))
                for digest, fault in seeking.items():
                    place = group.place_of(bytes.fromhex(digest))
                    if place is not None:
                        told = fault["sentence"].partition(" was changed")[0]
                        fault["code"] = "reordered"
                        fault["sentence"] = f"{told} is the entry that was sealed as leaf {place}: they were reordered."


class Spine:
    """The tree as it grows: perfect subtrees from the left, and the roots that checkpoints sealed."""

    def __init__(self, report, survey):
        self.report, self.tiles, self.size = report, survey.tiles, survey.size
        self.last_number = survey.last.number
        ordered = sorted((size, number, root, at) for number, (size, root, _digest, at) in survey.sealed.items())
        self.checkpoints, self.next = ordered, 0
        self.stack, self.at, self.is_broken = [], 0, False
        self.sealed_before = None  # the last checkpoint whose root was found
        self.checked = self.unchecked = 0
        self._roots(copy=[])

    def check_upper(self):
        """Do the tiles above level 0 agree with each other?"""
        for (level, number), hashes in sorted(self.tiles.items()):
            above = self._upper(level + 1, number)
            if above is None or len(hashes) < TILE * HASH:
                continue
            if root_of([hashes[at : at + HASH] for at in range(0, len(hashes), HASH)]) != above:
                width = TILE ** (level + 1)
                first, last = number * width, (number + 1) * width - 1
                sentence = f"The tile over {span(first, last)} is not what the tile above it says: one was changed."
                self.report.fault("tile", sentence, leaf=first, last_leaf=last)

    def _upper(self, level, index):
        """Hash `index` of a level: the root of a full tile below. None: it is not in the files."""
        at = index % TILE * HASH
        return self.tiles.get((level, index // TILE), b"")[at : at + HASH] or None

    def pass_by(self, start):
        """Go on to leaf `start` by what the tiles above say of leaves that are not in the files."""
        start = min(start, self.size - self.size % TILE)
        while self.at < start and not self.is_broken:
            level = next((level for level in range(6, 0, -1) if self._fits(level, start)), None)
            if level is None:
                self.is_broken = True
                return
            found = self._upper(level, self.at // TILE**level)
            self._push(found, 8 * level)

    def _fits(self, level, start):
        width = TILE**level
        return self.at % width == 0 and self.at + width <= start and self._upper(level, self.at // width) is not None

    def take(self, group, hashes, end):
        """The leaves of a group; its tile is compared with the one above it."""
        if self.at != group.start:
            return
        above = self._upper(1, group.number) if end == group.start + TILE else None
        if hashes is None:
            self.is_broken |= above is None
        else:
            found = root_of(hashes)
            if above is not None and found != above:
                first, last = group.start, end - 1
                sentence = f"The tile of {span(first, last)} is not what the one above it says: an entry was changed."
                self.report.fault("tile", sentence, leaf=first, last_leaf=last)
            self._within(hashes, end)
            above = above or found
        if self.is_broken:
            return
        if end == group.start + TILE:
            self._push(above, 8)
        else:
            self.at = end

    def _within(self, hashes, end):
        """Checkpoints that end within a tile, by a copy of the tree that grows by single leaves."""
        start, copy, taken = self.at, [*self.stack], 0
        while self.next < len(self.checkpoints):
            count = self.checkpoints[self.next][0] - start
            if not 0 < count < min(TILE, end - start + 1):
                break
            for digest in hashes[taken:count]:
                merge(copy, digest, 0)
            taken = count
            self._roots(copy, start + count)

    def _push(self, digest, height):
        merge(self.stack, digest, height)
        self.at += 1 << height
        while self.next < len(self.checkpoints) and self.checkpoints[self.next][0] < self.at:
            self.unchecked += 1
            self.next += 1
        self._roots(self.stack, self.at)

    def _roots(self, copy, size=0):
        """Compare the root with that of each checkpoint over so many leaves."""
        found = None
        while self.next < len(self.checkpoints) and self.checkpoints[self.next][0] == size:
            _size, number, root, at = self.checkpoints[self.next]
            found = found or folded(copy)
            self.next += 1
            if found == root:
                self.checked += 1
                self.sealed_before = (size, number, at)
            else:
                self._differs(size, number, at)

    def _differs(self, size, number, at):
        if "root" in self.report.codes:
            self.report.codes["root"] += 1  # the first one tells the place; what follows cannot but differ
            return
        before = self.sealed_before
        first = before[0] if before else 0
        since = f"checkpoint {before[1]} ({printable(before[2])[:40]})" if before else "the beginning"
        sentence = (
            f"The root of checkpoint {number} ({printable(at)[:40]}) is not that of its leaves: between {since} and it,"
            f" in {span(first, max(first, size - 1))}, something was changed together with its tiles."
        )
        self.report.fault("root", sentence, leaf=first, last_leaf=max(first, size - 1), checkpoint=number)

    def finish(self):
        """The last checkpoint vouches for all before it: can its root be found at all?"""
        self.pass_by(self.size)
        self.unchecked += len(self.checkpoints) - self.next
        is_last_checked = self.next == len(self.checkpoints) and not self.is_broken
        if not is_last_checked:
            sentence = f"Tiles are missing from leaf {self.at} on: what follows cannot be compared with a checkpoint."
            self.report.fault("unproven", sentence, leaf=self.at)
        elif self.unchecked:
            told = f"{self.unchecked} checkpoints end among leaves that are not in the files"
            self.report.note(f"{told}: what they sealed is compared with later ones.")
        self.report.counts["checkpoints"] = len(self.checkpoints)
        self.report.counts["roots"] = self.checked


def merge(stack, digest, height):
    """Put a perfect subtree at the right of the tree."""
    while stack and stack[-1][1] == height:
        digest, height = node(stack.pop()[0], digest), height + 1
    stack.append((digest, height))


def folded(stack):
    """The root over what stands there."""
    found = stack[-1][0] if stack else hashlib.sha256(b"").digest()
    for digest, _height in stack[-2::-1]:
        found = node(digest, found)
    return found


# --- The three questions ---------------------------------------------------------------------------------------


def verify_log(report, trust, paths, known=(), is_complete=False):
    """Is the log of these files whole?"""
    survey = Survey(report, trust, is_complete)
    for path in sorted(paths, key=is_archive):  # an export has the chain of keys that vouches for an archive's
        survey.read(path)
    if survey.last is None:
        why = "; ".join(fault["sentence"] for fault in report.faults[:2])
        raise Unusable(f"no checkpoint is signed by the log's key: {why}")
    walk = Walk(report, survey, paths)
    walk.run()
    for path in known:
        compare_known(report, trust, survey, path)
    last = survey.last
    report.facts |= {"origin": survey.origin, "size": last.size, "checkpoint": last.number, "time": last.time}
    report.facts["dropped"] = [
        {"kind": kind, "rule": rule, "until": until, "count": count}
        for (kind, rule, until), count in walk.dropped.taken.items()
    ]


def is_archive(path):
    for at, line in lines(path, Progress(0)):
        return parsed(path, at, line).get("complete") is not True
    return True


def compare_known(report, trust, survey, path):
    """Is the checkpoint that somebody kept one of this log, or was its end cut off?"""
    for at, line in documents(path):
        thing = parsed_document(path, at, line)
        found = Checkpoint(thing)
        if found.origin != survey.origin:
            raise Unusable(f"{path}: a checkpoint of another log")
        public = trust.key(found.key)
        if public is None or not found.is_signed_with(public):
            sentence = f"{found.told()} in {path} is not signed by a key of this log."
            report.fault("signature", sentence, checkpoint=found.number)
            continue
        held, last = survey.sealed.get(found.number), survey.last
        if held is not None and held[2] != found.digest:
            sentence = f"{found.told()} in {path} is not the one of this log: there are two histories."
            report.fault("fork", sentence, checkpoint=found.number)
        elif held is None and found.number > last.number:
            cut = f": {span(last.size, found.size - 1)} are missing" if found.size > last.size else ""
            sentence = f"The log ends with {last.told()}, and there was {found.told()}: its end was cut off{cut}."
            where = {"leaf": last.size, "last_leaf": max(last.size, found.size - 1)}
            report.fault("cut", sentence, checkpoint=found.number, **where)
        elif held is None:
            report.note(f"{found.told()} in {path} is not among those of these files: it was not compared.")


def documents(path):
    """One document over many lines, or a document in each line."""
    with open_input(path) as stream:
        content = stream.read(MAX_LINE + 1)
    if len(content) > MAX_LINE:
        raise Unusable(f"{path}: too large")
    try:
        read_json(content)
    except Unusable:
        return [(at, line) for at, line in enumerate(content.splitlines(), start=1) if line.strip()]
    return [(1, content)]


def parsed_document(path, at, content):
    try:
        found = read_json(content)
    except Unusable as error:
        raise Unusable(f"{path}, line {at}: {error}") from None
    if not isinstance(found, dict):
        raise Unusable(f"{path}, line {at}: says nothing")
    return found


def single_document(path):
    [(at, content), *others] = documents(path) or [(0, b"")]
    if others:
        raise Unusable(f"{path}: not one JSON document")
    return parsed_document(path, at, content)


def verify_receipt(report, trust, path):
    """Was the entry of this receipt sealed? A request may have several: all of them are looked at."""
    thing = single_document(path)
    several = thing.get("receipts") if thing.get("format") == "api_guard receipts" else [thing]
    if not isinstance(several, list) or not several or not all(isinstance(one, dict) for one in several):
        raise Unusable(f"{path}: holds no receipt")
    for one in several:
        verify_one_receipt(report, trust, path, one)


def verify_one_receipt(report, trust, path, thing):
    if thing.get("format") != "api_guard receipt" or thing.get("v") != 1:
        raise Unusable(f"{path}: not a receipt of a version that is known here")
    trust.add(decode(thing.get("public_key"), HASH))
    found, entry = Checkpoint(thing.get("checkpoint")), thing.get("entry")
    (index,) = place_in(path, 1, thing, "index")
    digest, who = rehashed(entry), describe(entry)
    check_signature(report, trust, found)
    path_of_hashes = decode_all(thing.get("proof"))
    is_there = index < found.size and digest is not None
    if not is_there or root_from_path(digest, index, found.size, path_of_hashes) != found.root:
        told = f"The entry{words(who)} is not leaf {index} of {found.told()}"
        sentence = f"{told}: it, its place or its proof was changed."
        report.fault("proof", sentence, leaf=index, entry=who)
    report.facts |= {"origin": found.origin, "size": found.size, "checkpoint": found.number, "time": found.time}
    report.facts |= {"leaf": index, "entry": who, "signed_by": [found.key]}


def verify_consistency(report, trust, path):
    """Does the later of two checkpoints seal all that the earlier one does, unchanged?"""
    thing = single_document(path)
    for text in thing.get("public_keys") or ():
        trust.add(decode(text, HASH))
    old, new = Checkpoint(thing.get("from")), Checkpoint(thing.get("to"))
    for found in (old, new):
        check_signature(report, trust, found)
    if old.origin != new.origin:
        report.fault("origin", f"{old.told()} and {new.told()} are of different logs.")
    if old.number > new.number or old.size > new.size:
        report.fault("size", f"{new.told()} does not come after {old.told()}.", checkpoint=new.number)
    elif not is_grown(old, new, decode_all(thing.get("proof"))):
        sentence = f"{new.told()} does not begin with the leaves of {old.told()}: history was changed, or the proof."
        report.fault("proof", sentence, checkpoint=new.number)
    report.facts |= {"origin": new.origin, "from": old.number, "to": new.number, "size": new.size}
    report.facts["signed_by"] = sorted({old.key, new.key})


def is_grown(old, new, path):
    if not old.size:
        return not path and old.root == hashlib.sha256(b"").digest()
    return roots_from_proof(old.size, new.size, old.root, path) == (old.root, new.root)


def check_signature(report, trust, found):
    public = trust.key(found.key)
    if public is None:
        why = "none of those that were given" if trust.given else "not in the file"
        sentence = f"{found.told()} is signed with the key {printable(found.key)[:20]}, which is {why}."
        report.fault("key", sentence, checkpoint=found.number)
    elif not found.is_signed_with(public):
        report.fault("signature", f"The signature of {found.told()} is not that of its key.", checkpoint=found.number)


# --- Telling it ------------------------------------------------------------------------------------------------


def told(report, trust, what):
    """The report in sentences, a line each."""
    facts, counts = report.facts, report.counts
    yield f"Log {printable(facts.get('origin'))[:80]}"
    if what == "log":
        yield (
            f"  {counts['entries']} entries here of {facts['size']} that were sealed up to checkpoint"
            f" {facts['checkpoint']} ({printable(facts['time'])[:40]}); {counts['checkpoints']} checkpoints,"
            f" {counts['roots']} of them compared with the leaves."
        )
        for taken in facts["dropped"]:
            why = f"kind {taken['kind']}, rule {taken['rule']}, until {taken['until']}"
            yield f"  {taken['count']} entries were dropped, by the file's word: {why}."
    elif what == "receipt":
        sealed = f"checkpoint {facts['checkpoint']} ({printable(facts['time'])[:40]})"
        yield f"  Leaf {facts['leaf']}{words(facts['entry'])}, sealed by {sealed}."
    else:
        yield f"  From checkpoint {facts['from']} to checkpoint {facts['to']}, {facts['size']} leaves."
    yield from (f"  Note: {sentence}" for sentence in report.notes)
    signers = ", ".join(printable(name)[:20] for name in facts.get("signed_by", ())) or "nobody"
    if not trust.given:
        yield "  No key was given: only inner agreement was checked, for whoever made the files may have made the key."
        yield f"  They are signed by the key {signers}. Is that the log's?"
    shown = report.faults[:SHOWN_FAULTS]
    yield from (f"{'First fault' if at == 0 else 'Fault'}: {fault['sentence']}" for at, fault in enumerate(shown))
    total = sum(report.codes.values())
    if total > len(shown):
        yield f"And {total - len(shown)} more."
    yield verdict(report, trust, signers)


def verdict(report, trust, signers):
    if report.codes:
        return f"✘ {sum(report.codes.values())} faults."
    return "✔ Nothing is wrong" + (f", and it is signed by {signers}." if trust.given else " in itself.")


def as_json(report, trust):
    """The same for a machine."""
    verdicts = {FINE: "fine", FAULTS: "faults"}
    return {
        "verdict": verdicts[report.code],
        "key_given": bool(trust.given),
        "fault_count": sum(report.codes.values()),
        "faults": report.faults,
        "notes": report.notes,
        "counts": dict(report.counts),
        **report.facts,
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for name, words_of_help in (
        ("log", "an export or archives of a log"),
        ("receipt", "a client's receipt"),
        ("consistency", "a proof between two checkpoints"),
    ):
        command = commands.add_parser(name, help=words_of_help)
        command.add_argument("file", nargs="+" if name == "log" else 1)
        command.add_argument("--key", action="append", default=[], help="a public key, or the id of one")
        command.add_argument("--json", action="store_true", help="one JSON document instead of sentences")
        if name == "log":
            command.add_argument("--complete", action="store_true", help="an entry that is not there is a fault")
            command.add_argument("--checkpoint", action="append", default=[], help="a checkpoint that a witness kept")
    return parser


def main(argv=None, out=sys.stdout, err=sys.stderr):
    """Run a command; returns the exit code."""
    options = arguments().parse_args(argv)
    report = Report(progress_of(options, err))
    try:
        trust = Trust(options.key)
        if options.what == "log":
            verify_log(report, trust, options.file, options.checkpoint, options.complete)
        else:
            check = verify_receipt if options.what == "receipt" else verify_consistency
            check(report, trust, options.file[0])
    except Unusable as error:
        report.progress.clear()
        if options.json:
            out.write(json.dumps({"verdict": "unusable", "why": str(error), "faults": report.faults}) + "\n")
        else:
            err.write(f"Unusable: {printable(error)}\n")
        return UNUSABLE
    report.progress.clear()
    if options.json:
        out.write(json.dumps(as_json(report, trust), ensure_ascii=True) + "\n")
    else:
        out.writelines(f"{line}\n" for line in told(report, trust, options.what))
    return report.code


def progress_of(options, err):
    sizes = [Path(path).stat().st_size for path in options.file if Path(path).is_file()]
    return Progress(2 * sum(sizes), err if err.isatty() else None)


if __name__ == "__main__":
    sys.exit(main())
