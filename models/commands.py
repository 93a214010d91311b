"""What do the values of a call do to other models? The commands of its relational fields say it.

`{"child_ids": [(0, 0, {"name": "Ada"}), (2, 7)]}` creates and deletes contacts through another.
Fields that a model does not have, and plain texts with tags, are found on the same way.
"""

from typing import NamedTuple

from ..core.call import Operation

_CREATE, _UPDATE, _DELETE, _UNLINK, _LINK, _CLEAR, _SET = range(7)
_MAX_DEPTH = 30


class Contents(NamedTuple):
    """What the values of a call hold.

    operations: {(model, operation)} that their commands ask for; unknown: {(model, name)} of what are no fields;
    texts: [(model, name, text)] of plain texts in which a tag may be; named: {(model, name)} of fields that they
    name, or write by a command.
    """

    operations: set
    unknown: set
    texts: list
    named: set


def contents_of(registry, model, method, arguments):
    """What do the values among the arguments of this call hold?"""
    found = Contents(set(), set(), [], set())
    if model not in registry:
        return found
    if method == "load":
        for path in _listed(arguments.get("fields")):
            _imported(registry, model, path, found)
        _imported_texts(registry, model, arguments, found)
    elif method == "name_create":
        _text(model, registry[model]._fields.get(registry[model]._rec_name), arguments.get("name"), found)
    elif method == "update_field_translations":
        field = registry[model]._fields.get(str(arguments.get("field_name")))
        for text in _texts_in(arguments.get("translations")):
            _text(model, field, text, found)
    elif method in ("create", "write", "web_save", "web_save_multi", "copy"):
        for name in ("vals_list", "vals", "default"):
            for values in _listed(arguments.get(name)):
                _collect(registry, model, values, found, 0)
    return found


def _listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _imported(registry, model, path, found):
    for name in str(path).replace(".id", "id").split("/"):
        field = registry[model]._fields.get(name) if model in registry else None
        found.named.add((model, name))
        if field is None or not field.comodel_name:
            return
        model = field.comodel_name
        if field.type == "one2many":
            found.operations.update({(model, Operation.CREATE), (model, Operation.WRITE)})
            found.named.add((model, field.inverse_name))


def _imported_texts(registry, model, arguments, found):
    """The cells of an import, each in the field that the head of its column ends in."""
    rows = arguments.get("data")
    for place, path in enumerate(_listed(arguments.get("fields"))):
        owner, field = model, None
        for name in str(path).split("/"):
            owner = field.comodel_name if field is not None and field.comodel_name else owner
            field = registry[owner]._fields.get(name) if owner in registry else None
        for row in rows if isinstance(rows, (list, tuple)) else ():
            if isinstance(row, (list, tuple)) and place < len(row):
                _text(owner, field, row[place], found)


def _texts_in(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts_in(inner)
    else:
        yield value


def _text(model, field, value, found):
    if field is not None and field.type in ("char", "text") and isinstance(value, str) and "<" in value:
        found.texts.append((model, field.name, value))


def _collect(registry, model, values, found, depth):
    if not isinstance(values, dict) or model not in registry or depth > _MAX_DEPTH:
        return
    for name, commands in values.items():
        field = registry[model]._fields.get(name)
        found.named.add((model, str(name)))
        if field is None:
            found.unknown.add((model, str(name)))
        _text(model, field, commands, found)
        if field is None or field.type not in ("one2many", "many2many"):
            continue
        for command in commands if isinstance(commands, (list, tuple)) else ():
            if isinstance(command, (list, tuple)) and command:
                _command(registry, field, command, found, depth)


def _command(registry, field, command, found, depth):
    code, model = command[0], field.comodel_name
    if field.type == "one2many":
        found.named.add((model, field.inverse_name))
    if code == _CREATE:
        found.operations.add((model, Operation.CREATE))
    elif code == _UPDATE:
        found.operations.add((model, Operation.WRITE))
    elif code == _DELETE:
        found.operations.add((model, Operation.UNLINK))
    elif field.type == "one2many":  # taking a line from one record, or giving it to another, writes the line
        found.operations.add((model, Operation.WRITE))
    if code in (_CREATE, _UPDATE) and len(command) > 2:
        _collect(registry, model, command[2], found, depth + 1)
