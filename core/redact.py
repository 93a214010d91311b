"""What of a call's arguments and results may an entry keep?

Used when an entry is written. Secrets, numbers of cards and accounts, and binary never come
through, nor what an administrator hides; long values are cut, and the whole stays below a bound,
as does the time that it takes, whatever was sent. Knows nothing of models but what it is told of
their fields by whoever asks.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from math import isfinite
from typing import Any

from .hiding import NOTHING_MORE, Hiding, masks_pattern, names_pattern
from .policy import Detail
from .sensitive import (
    LONGEST,
    REDACTED,
    blank,
    is_email_name,
    is_phone_name,
    is_secret_key,
    is_secret_name,
    without_emails,
    without_numbers,
    without_phones,
    without_secrets,
)

MAX_TEXT = 256  # characters of one value
MAX_ITEMS = 40  # items of one container
MAX_DEPTH = 6
MAX_TOTAL = 4000  # characters of the whole
MAX_VALUES = 2000  # values looked at
MAX_LOOK = 1024  # characters of one value that are looked at
MAX_LOOKS = 16_384  # of all of them
MAX_NESTED = 20_000  # characters of a text that is JSON itself
MAX_HASHED = 4 * 2**20  # bytes of all binary values of which a digest is made

CUT = "…"

#: How a field of a model is called to mind: (model, name) → (its type, the model that it leads to or "").
FieldOf = Callable[[str, str], "tuple[str, str] | None"]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\n\r\f\v"
_DATA_URI = re.compile(r"data:[^,\s]{0,100};base64,")
_DOTTED = re.compile(r"[./:]")
_DEFAULT = re.compile(r"^(?:search_)?default_")


def redact(
    value: object,
    detail: Detail,
    secrets: Sequence[str] = (),
    hiding: Hiding = NOTHING_MORE,
    model: str = "",
    field_of: FieldOf | None = None,
) -> str | None:
    """The JSON text of `value` that may be kept, at most `MAX_TOTAL` characters; None for no detail.

    `secrets` are blanked wherever they stand, also inside longer texts. `model`: whose fields the
    names in `value` are, so that types and names of models can be hidden; `field_of` knows them.

    >>> redact({"vals": {"name": "Ada", "password": "x"}}, Detail.VALUES)
    '{"vals": {"name": "Ada", "password": "[redacted]"}}'
    >>> redact({"vals": {"name": "Ada", "age": 36}}, Detail.NAMES)
    '{"vals": {"name": "text", "age": "number"}}'
    """
    if detail is Detail.NONE:
        return None
    walk = _Walk(secrets, hiding, field_of)
    clean = walk.names(value) if detail is Detail.NAMES else walk.values(value, model)
    # texts are clean already, before JSON spells them in another way; this is for numbers
    text = blank(json.dumps(clean, ensure_ascii=False), secrets)
    return text if len(text) <= MAX_TOTAL else text[: MAX_TOTAL - 1] + CUT


def redact_text(text: str, secrets: Sequence[str] = (), hiding: Hiding = NOTHING_MORE) -> str:
    """`text`, such as an error's, as far as it may be kept: what is hidden by its name alone may stand in it.

    >>> redact_text("no partner with e-mail ada@example.com", hiding=Hiding(email=True))
    'no partner with e-mail [e-mail]'
    """
    return _Walk(secrets, hiding, None).text(text, cut=500)


class _Walk:
    """One walk over a value: what is hidden, and how much has been looked at."""

    __slots__ = (
        "_field_of",
        "_hashed",
        "_hiding",
        "_known",
        "_looks",
        "_margin",
        "_masks",
        "_names",
        "_secrets",
        "_values",
    )

    def __init__(self, secrets: Sequence[str], hiding: Hiding, field_of: FieldOf | None) -> None:
        self._secrets, self._hiding, self._field_of = secrets, hiding, field_of
        self._names, self._masks = names_pattern(hiding.names), masks_pattern(hiding.masks)
        self._known: dict[tuple[str, str], bool] = {}
        self._values, self._looks, self._hashed = MAX_VALUES, MAX_LOOKS, MAX_HASHED
        self._margin = max([LONGEST, *map(len, secrets)])

    # ---------------------------------------------------------------- values

    def values(self, value: object, model: str = "", depth: int = 0) -> Any:
        """`value` as plain data, with nothing in it that may not be kept."""
        self._values -= 1
        if self._values < 0:
            return CUT
        if isinstance(value, Mapping):
            return _container(self._pairs(value, model, depth), len(value), depth, dict)
        if isinstance(value, (list, tuple, set, frozenset)):
            return _container(self._items(value, model, depth), len(value), depth, list)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return self._number(value)
        if isinstance(value, (str, date, Decimal)):
            return self.text(str(value), depth)
        return self._binary(value)

    def _pairs(self, value: Mapping[object, object], model: str, depth: int) -> Iterator[tuple[str, Any]]:
        # {"key": "database.secret", "value": …}: the name of a secret may itself be a value
        some = _first(value.items())
        names_secret = any(self._is_hidden(model, item) for _name, item in some)
        for name, item in some:
            hidden = item and (
                is_secret_key(name)
                or self._is_hidden(model, name)
                or (names_secret and name in ("value", "default_value"))
            )
            inner = self._leads_to(model, name) if self._field_of else model
            yield self._key(name), REDACTED if hidden else self.values(item, inner, depth + 1)

    def _items(self, value: Sequence[object], model: str, depth: int) -> Iterator[Any]:
        # ["password", "=", "x"] and ("database.secret", "x"): what follows the name of a secret is hidden
        items = _first(value)
        leaf = len(items) == 3 and isinstance(items[0], str) and isinstance(items[1], str)
        hides_all = leaf and self._is_hidden(model, items[0])
        led = self._leads_to(model, items[0]) if leaf and self._field_of else model
        hiding = False
        for place, item in enumerate(items):
            hidden = item and place == 2 and hides_all and not isinstance(item, bool)
            if hidden or (hiding and _may_be_secret(item)):
                yield REDACTED
            else:
                yield self.values(item, led if place == 2 else model, depth + 1)
            hiding = hiding or is_secret_name(item)

    def _is_hidden(self, model: str, name: object) -> bool:
        """Is what stands under this name, or at the end of this path, left out?"""
        if not isinstance(name, str) or len(name) > MAX_TEXT:
            return False
        found = self._known.get((model, name))
        if found is None:
            found = self._known[model, name] = is_secret_name(name) or (
                self._hiding != NOTHING_MORE and self._hides(model, name)
            )
        return found

    def _hides(self, model: str, path: str) -> bool:
        hiding = self._hiding
        for part in _DOTTED.split(_DEFAULT.sub("", path))[:8]:
            kind, leads_to = (self._field_of and self._field_of(model, part)) or ("", "")
            if (
                kind in hiding.types
                or (hiding.email and is_email_name(part))
                or (hiding.phone and is_phone_name(part))
                or (self._names and (self._names.fullmatch(part) or self._names.fullmatch(f"{model}.{part}")))
            ):
                return True
            model = leads_to or model
        return False

    def _leads_to(self, model: str, name: object) -> str:
        """The model whose fields are named in the value of this one; the same where it is no field that leads on."""
        if not isinstance(name, str) or len(name) > MAX_TEXT:
            return model
        for part in _DOTTED.split(_DEFAULT.sub("", name))[:8]:
            model = (self._field_of(model, part) or ("", ""))[1] or model
        return model

    def _number(self, value: float) -> float | str:
        if isinstance(value, int) and value.bit_length() > 64:
            # Python refuses to write down a number of thousands of digits
            return f"[number, {value.bit_length()} bits]"
        if isinstance(value, float) and not isfinite(value):
            return str(value)
        written = str(value)
        if len(written) < 13 and not self._masks:
            return value
        kept = self._without(written)
        return value if kept == written else kept

    def _key(self, value: object) -> str:
        return str(self.values(value, depth=MAX_DEPTH))

    # ----------------------------------------------------------------- texts

    def text(self, value: str, depth: int = 0, cut: int = MAX_TEXT) -> str:
        """A text without what may not be kept, cut. Only its beginning is looked at, and a part of that is kept."""
        if len(value) >= 200 and (found := self._encoded(value)):
            return found
        if self._looks <= 0:
            return CUT
        if len(value) <= MAX_NESTED and value.lstrip()[:1] in ("{", "[") and (nested := self._nested(value, depth)):
            value = nested
            return value if len(value) <= cut else value[:cut] + CUT
        look = value[: MAX_LOOK + self._margin]
        self._looks -= len(look)
        kept = self._without(look)
        if len(look) < len(value):
            kept = kept[: max(0, len(kept) - self._margin)]  # what was cut in two there is not known for what it is
        return kept if len(kept) <= cut and len(look) == len(value) else kept[:cut] + CUT

    def _without(self, text: str) -> str:
        """`text` with all marked that may not be kept, what the caller presented first."""
        text = blank(text, self._secrets)
        if len(text) < 5:
            return text
        text = without_secrets(text)
        if len(text) > 12:
            text = without_numbers(text)
        if self._masks:
            text = self._masks.sub(REDACTED, text)
        if self._hiding.email:
            text = without_emails(text)
        return without_phones(text) if self._hiding.phone else text

    def _nested(self, value: str, depth: int) -> str | None:
        """What is kept of a text that is JSON; None: it is not."""
        self._looks -= len(value) // 8  # quicker to read than what is searched
        try:
            content = json.loads(value)
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, (dict, list)):
            return None
        clean = json.dumps(self.values(content, depth=depth + 1), ensure_ascii=False)
        return blank(clean, self._secrets)

    # ---------------------------------------------------------------- binary

    def _encoded(self, value: str) -> str | None:
        """What is told of a text that is binary in base64; None: it is not."""
        uri = _DATA_URI.match(value[:120])
        start = uri.end() if uri else 0
        if not _is_base64(value[start : start + MAX_LOOK]):
            return None
        piece = value[start : start + max(MAX_LOOK, (self._hashed // 3 + 1) * 4)]
        is_whole = len(piece) == len(value) - start
        if not _is_base64(piece, is_whole):
            return None
        try:
            content = a2b_base64(piece)
        except ValueError:
            return f"[binary, {len(value)} characters]"
        return self._digested(
            content, len(content) if is_whole else (len(value) - start) * 3 // 4 - value[-2:].count("=")
        )

    def _binary(self, value: object) -> str:
        # an XML-RPC Binary is known by what it holds
        content = value if isinstance(value, (bytes, bytearray, memoryview)) else getattr(value, "data", None)
        if not isinstance(content, (bytes, bytearray, memoryview)):
            return f"[{type(value).__name__}]"  # its text may be anything
        return self._digested(memoryview(content).cast("B") if content else b"", memoryview(content).nbytes)

    def _digested(self, content: bytes | memoryview, size: int) -> str:
        piece = content[: self._hashed]
        self._hashed -= len(piece)
        if len(piece) == size:
            return f"[binary, {size} bytes, sha256 {sha256(piece).hexdigest()}]"
        if not piece:
            return f"[binary, {size} bytes]"
        return f"[binary, {size} bytes, sha256 of the first {len(piece)} {sha256(piece).hexdigest()}]"

    # ----------------------------------------------------------------- names

    def names(self, value: object, depth: int = 0) -> Any:
        """The names in `value`, and of which kind their values are."""
        self._values -= 1
        if self._values < 0:
            return CUT
        if isinstance(value, Mapping):
            pairs = ((self._key(name), self.names(item, depth + 1)) for name, item in _first(value.items()))
            return _container(pairs, len(value), depth, dict)
        if isinstance(value, (list, tuple, set, frozenset)):
            if all(isinstance(item, Mapping) for item in _first(value)):
                return _container((self.names(item, depth + 1) for item in _first(value)[:3]), len(value), depth, list)
            return f"list of {len(value)}"
        return _KIND_NAMES.get(type(value), "text")


_KIND_NAMES: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "nothing",
    bytes: "binary",
}


def _is_base64(text: str, is_whole: bool = True) -> bool:
    if not text.isascii() or text.encode().translate(None, _ALPHABET):
        return False
    padding = text.count("=")
    return padding == 0 or (padding < 3 and is_whole and text.rstrip().endswith("=" * padding))


def _first(items: Any) -> list[Any]:
    """The first of them: of a million, no more are looked at than may be kept."""
    return list(islice(items, MAX_ITEMS))


def _container(items: Any, size: int, depth: int, kind: type) -> Any:
    if depth >= MAX_DEPTH:
        return CUT
    kept = kind(items)
    if size > MAX_ITEMS:
        more = f"{CUT} {size - MAX_ITEMS} more"
        kept.update({CUT: more}) if kind is dict else kept.append(more)
    return kept


def _may_be_secret(value: object) -> bool:
    # not an operator, and not a number; a list as in ["password", "in", ["x"]]
    if isinstance(value, (list, tuple, set, frozenset)):
        return bool(value)
    return isinstance(value, (str, bytes)) and len(value) > 3


_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"|=\([^)]*\)")


def without_values(text: str) -> str:
    """The first line of an error's text, without what it quotes: that came with the call.

    >>> without_values("invalid input syntax for type integer: 'x'\\nLINE 1: SELECT …")
    'invalid input syntax for type integer: …'
    """
    return _LITERAL.sub(CUT, text.partition("\n")[0])
