"""What went out in an answer: which records, and which of their fields?

Read from the answer itself, whatever method gave it, and kept in few characters: ids as ranges
("3-17,20"), fields as names, those of other models behind dots. What does not fit is cut at a comma
and ends in "…". Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_IDS = 1000  # characters
MAX_FIELDS = 1000
MAX_NAMES = 200
MAX_DEPTH = 4
CUT = "…"

_PAIRS = frozenset({"name_search"})
_IDS = frozenset({"search"})
_SPECIFICATIONS = ("specification", "fields_spec", "unfold_read_specification")
_GROUPS = ("groupby", "aggregates")
_NO_FIELDS = frozenset({"id", "__extra_domain", "__domain", "__count", "__fold", "__records", "__groups", "__offset"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: `ids` and `fields` as an entry keeps them, None where there are none."""

    ids: str | None = None
    fields: str | None = None


NOTHING = Reading()


def reading_of(method: str, arguments: Mapping[str, object], result: object) -> Reading:
    """Which records and fields did the answer of `method` tell of? By what it looks like, and what was asked.

    >>> reading_of("read", {}, [{"id": 4, "name": "Ada"}, {"id": 3, "name": "Bob"}])
    Reading(ids='3-4', fields='name')
    >>> reading_of("name_search", {}, [[7, "Ada"]])
    Reading(ids='7', fields='display_name')
    >>> reading_of("write", {}, True)
    Reading(ids=None, fields=None)
    """
    if method == "export_data":
        named = arguments.get("fields_to_export")
        fields = (name.replace("/", ".") for name in named if isinstance(name, str)) if _is_list(named) else ()
        return _reading(_numbers(arguments.get("ids")), fields)
    if _is_list(result) and result:
        first = result[0]
        if method in _PAIRS and _is_list(first):
            return _reading([row[0] for row in result if _is_list(row) and row], ("display_name",))
        if method in _IDS and isinstance(first, int):
            return _reading(_numbers(result), ("id",))
    rows = _rows(result)
    if not rows:
        return NOTHING
    return _reading(_ids(rows), _fields(arguments, rows))


def _reading(ids: list[int], fields: Iterable[str]) -> Reading:
    return Reading(ranges(ids) or None, names(fields) or None)


def ranges(ids: Sequence[int], most: int = MAX_IDS) -> str:
    """These ids in order, each once, runs of them as their ends; at most `most` characters, "…" for the rest.

    >>> ranges([20, 3, 4, 5, 5]), ranges([1, 3, 5], most=4)
    ('3-5,20', '1,3…')
    """
    numbers = sorted(set(ids))
    if not numbers:
        return ""
    if numbers[-1] - numbers[0] + 1 == len(numbers):
        return _range(numbers[0], numbers[-1])
    parts, size, first, last = [], 0, numbers[0], numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            parts.append(_range(first, last))
            size += len(parts[-1]) + 1
            if size > most:
                return _joined([*parts, CUT * most], most)
            first = number
        last = number
    return _joined([*parts, _range(first, last)], most)


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _joined(parts: list[str], most: int) -> str:
    text = ",".join(parts)
    return text if len(text) <= most else text[: text.rindex(",", 0, most)] + CUT


def read_ranges(text: str) -> tuple[list[tuple[int, int]], bool]:
    """The ranges that `ranges` wrote, and whether that is all of them.

    >>> read_ranges("3-5,20…")
    ([(3, 5), (20, 20)], False)
    """
    found = []
    for part in text.rstrip(CUT).split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.append((int(first), int(last or first)))
    return found, not text.endswith(CUT)


def names(fields: Iterable[str], most: int = MAX_FIELDS) -> str:
    """These names, each once, separated by commas; at most `most` characters, "…" for the rest.

    >>> names(["name", "email", "name"])
    'name,email'
    """
    kept: dict[str, None] = {}
    for name in fields:
        if 0 < len(name) <= 200 and "," not in name:
            kept[name] = None
        if len(kept) >= MAX_NAMES:
            break
    if not kept:
        return ""
    return _joined([*kept, CUT] if len(kept) >= MAX_NAMES else list(kept), most)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _numbers(value: Any) -> list[int]:
    values = value if _is_list(value) else [value]
    return [number for number in values if type(number) is int and number > 0]


def _rows(result: Any) -> list[Any]:
    """The rows of an answer: a list of them, a page, what unfolded groups hold, or the one that it is."""
    if isinstance(result, Mapping):
        for name in ("records", "groups"):
            if _is_list(result.get(name)):
                return _unfolded(result[name])
        return [result] if type(result.get("id")) is int else []
    if not _is_list(result) or not result or not isinstance(result[0], Mapping):
        return []
    return _unfolded(result)


def _unfolded(rows: Sequence[Any]) -> list[Any]:
    first = rows[0] if rows else None
    if not isinstance(first, Mapping) or not ("__count" in first or "__records" in first or "__groups" in first):
        return list(rows)
    return [inner for row in rows if isinstance(row, Mapping) for inner in (row, *_within(row))]


def _within(row: Mapping[str, Any]) -> Iterator[Any]:
    for name in ("__records", "__groups"):
        held = row.get(name)
        held = held.get("groups") if isinstance(held, Mapping) else held
        if _is_list(held):
            yield from _unfolded(held)


def _ids(rows: list[Any]) -> list[int]:
    try:
        return [number for row in rows if type(number := row.get("id")) is int]
    except AttributeError:
        return [row["id"] for row in rows if isinstance(row, Mapping) and type(row.get("id")) is int]


def _fields(arguments: Mapping[str, object], rows: list[Any]) -> Iterator[str]:
    """What each row tells of is what the first one does; groups also tell of what they were made by."""
    for name in _GROUPS:
        asked = arguments.get(name)
        yield from (word for word in ([asked] if isinstance(asked, str) else asked or ()) if isinstance(word, str))
    specified = {name: inner for word in _SPECIFICATIONS for name, inner in _specification(arguments.get(word))}
    firsts = [rows[0]] if isinstance(rows[0], Mapping) and "id" in rows[0] else rows[:50]
    for row in firsts:
        for name in row if isinstance(row, Mapping) else ():
            if isinstance(name, str) and name not in _NO_FIELDS:
                yield from specified.get(name) or _shown(name, row[name])


def _shown(name: str, value: Any) -> Iterator[str]:
    """A field, and what is shown of the records behind it where they are shown as rows."""
    inner = value[0] if _is_list(value) and value else value
    if isinstance(inner, Mapping):
        yield from (f"{name}.{below}" for below in inner if isinstance(below, str) and below != "id")
    else:
        yield name


def _specification(value: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, inner in value.items() if isinstance(value, Mapping) else ():
        if isinstance(name, str):
            yield name, tuple(_dotted(name, inner, 1))


def _dotted(path: str, inner: Any, depth: int) -> Iterator[str]:
    """The path of a field and those below it, as a specification of `web_read` nests them."""
    below = inner.get("fields") if isinstance(inner, Mapping) else None
    if not isinstance(below, Mapping) or not below or depth >= MAX_DEPTH:
        yield path
        return
    for name, further in below.items():
        if isinstance(name, str):
            yield from _dotted(f"{path}.{name}", further, depth + 1)
