"""What do the values of a call do to other models? The commands of its relational fields say it.

`{"child_ids": [(0, 0, {"name": "Ada"}), (2, 7)]}` creates and deletes contacts through another.
Fields that a model does not have, plain texts with tags, and the records that values refer to are
found on the same way. Read as the ORM reads it: a list of ids is a command as well, and so is False.
"""

import re
from typing import NamedTuple

from ..core.call import Operation
from ..core.protected import is_protected

_CREATE, _UPDATE, _DELETE, _UNLINK, _LINK, _CLEAR, _SET = range(7)
_WRITE = Operation.WRITE
_CREATING = frozenset({"create", "copy", "name_create", "web_save", "load"})
_DEFAULT = "default_"


class Contents(NamedTuple):
    """What the values of a call hold.

    operations: {(model, operation)} that their commands ask for; unknown: {(model, name)} of what are no fields;
    texts: [(model, name, text)] of plain texts in which a tag may be; references: {(model, id)} of the records that
    they name; documents: the models that are named by a value. Of models an id of `ir.model` may stand for the name.
    named: {(model, name)} of fields that they name, or write by a command.
    """

    operations: set
    unknown: set
    texts: list
    references: set
    documents: set
    named: set


def contents_of(registry, model, method, arguments):
    """What do the values among the arguments of this call hold?"""
    found = _nothing()
    if model in registry and method in _READERS:
        _READERS[method](registry, model, arguments, found)
    if model in registry and method in _CREATING:
        fields, defaults = registry[model]._fields, defaults_of(arguments.get("context"))
        _collect(registry, model, {name: value for name, value in defaults.items() if name in fields}, found, True)
    return found


def named(contents, names):
    """The contents with the names of models in place of ids of `ir.model`: {id: name}."""
    return contents._replace(
        operations={(names.get(model, model), operation) for model, operation in contents.operations},
        references={(names.get(model, model), number) for model, number in contents.references},
    )


def contents_of_defaults(registry, model, values, reads_only):
    """What do these values hold, which the context of a call gives to new records of `model`, saved or only shown?"""
    found = _nothing()
    if reads_only:
        _shown(registry, model, {"values": values}, found)
    else:
        _collect(registry, model, values, found, True)
    return found


def defaults_of(context):
    """The values that a context gives to new records, by the names of their fields."""
    if not isinstance(context, dict):
        return {}
    return {name[len(_DEFAULT) :]: value for name, value in context.items() if str(name).startswith(_DEFAULT)}


def _nothing():
    return Contents(set(), set(), [], set(), set(), set())


def _listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _created(registry, model, arguments, found):
    _written(registry, model, arguments, found, creating=True)


def _written(registry, model, arguments, found, creating=False):
    for name in ("vals_list", "vals", "default"):
        for values in _listed(arguments.get(name)):
            _collect(registry, model, values, found, creating)


def _shown(registry, model, arguments, found):
    """An onchange writes nothing, and tells of the records that its values name."""
    held, values = _nothing(), arguments.get("values")
    values = {**defaults_of(arguments.get("context")), **(values if isinstance(values, dict) else {})}
    _collect(registry, model, values, held, True)
    found.references.update(held.references)
    found.operations.update((name, Operation.READ) for name in held.documents)


def _made_by_name(registry, model, arguments, found):
    _text(model, registry[model]._fields.get(registry[model]._rec_name), arguments.get("name"), found)


def _translated(registry, model, arguments, found):
    field = registry[model]._fields.get(str(arguments.get("field_name")))
    for text in _texts_in(arguments.get("translations")):
        _text(model, field, text, found)


def _imported(registry, model, arguments, found):
    context = arguments.get("context")
    made_by_name = context.get("name_create_enabled_fields") if isinstance(context, dict) else None
    rows = arguments.get("data")
    for place, path in enumerate(_listed(arguments.get("fields"))):
        owner, field = model, None
        for name in _steps(str(path)):
            owner = field.comodel_name if field is not None and field.comodel_name else owner
            field = registry[owner]._fields.get(name) if owner in registry else None
            found.named.add((owner, name))
            _through(registry, field, found)
            if field is not None and field.type == "one2many":
                found.named.add((field.comodel_name, field.inverse_name))
                found.operations.update({(field.comodel_name, Operation.CREATE), (field.comodel_name, _WRITE)})
            elif field is not None and field.comodel_name and isinstance(made_by_name, dict) and name in made_by_name:
                found.operations.add((field.comodel_name, Operation.CREATE))
        for row in rows if isinstance(rows, (list, tuple)) else ():
            if isinstance(row, (list, tuple)) and place < len(row):
                _text(owner, field, row[place], found)


# rests on odoo/orm/models.py, fix_import_export_id_paths: "bank_ids.id" and "bank_ids:id" are paths too
def _steps(path):
    return re.sub(r"([^/])([.:])id", lambda found: f"{found[1]}/{'.' * (found[2] == '.')}id", path).split("/")


def _texts_in(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts_in(inner)
    else:
        yield value


def _text(model, field, value, found):
    if field is not None and field.type in ("char", "text") and isinstance(value, str) and "<" in value:
        found.texts.append((model, field.name, value))


def _collect(registry, model, values, found, creating):
    """Whatever `values` hold, however deep. `creating`: for a new record, which has no lines yet."""
    pending = [(model, values, creating)]
    while pending:
        model, values, creating = pending.pop()
        if not isinstance(values, dict) or model not in registry:
            continue
        for name, value in values.items():
            field = registry[model]._fields.get(name)
            found.named.add((model, str(name)))
            if field is None:
                found.unknown.add((model, str(name)))
                continue
            _text(model, field, value, found)
            _through(registry, field, found)
            _refer(registry, field, values, found)
            if field.type == "many2one" and isinstance(value, dict):  # an onchange may hold a whole record
                pending.append((field.comodel_name, value, creating))
            if field.type in ("one2many", "many2many"):
                for command in _commands(value):
                    pending += _command(registry, field, command, found, creating)


def _through(registry, field, found):
    """A field of a protected model that is written under another one's name, maybe with all rights."""
    if field is None:
        return
    source = field
    while source.related_field is not None:
        source = source.related_field
    owner = source.model_name if field.inherited or not field.readonly else field.model_name
    if field.name.startswith("alias_") and "alias_id" in registry[field.model_name]._fields:
        # rests on odoo/addons/mail/models/mail_alias_mixin_optional.py, write: under sudo, whatever its fields say
        owner = registry[field.model_name]._fields["alias_id"].comodel_name or owner
    if owner != field.model_name and is_protected(owner, _WRITE):
        found.operations.add((owner, _WRITE))


def _refer(registry, field, values, found):
    """The records that a field's value names, and the definition of properties that it changes."""
    value = values[field.name]
    if field.type == "many2one":
        _add_ids(found, field.comodel_name, _listed(value.get("id") if isinstance(value, dict) else value)[:1])
    elif field.type == "reference" and isinstance(value, str):
        name, _comma, number = value.partition(",")
        found.documents.add(name)
        _add_ids(found, name, [int(number)] if number.isdecimal() else [])
    elif field.type == "many2one_reference" and (name := _model_named(registry, field, values)):
        found.documents.add(name)
        _add_ids(found, name, [value])
    elif field.type in ("properties", "properties_definition") and isinstance(value, (list, tuple)):
        _properties(registry, field, [item for item in value if isinstance(item, dict)], found)


def _model_named(registry, field, values):
    """The name of the model that a record is of, or the id in `ir.model` of it, or None."""
    named = values.get(field.model_field)
    if isinstance(named, str):
        return named
    named_by = registry[field.model_name]._fields.get(field.model_field)
    return values.get((named_by.related or "").partition(".")[0]) if named_by is not None else None


def _properties(registry, field, items, found):
    """To change what properties there are writes the record that defines them, and reads the models they name."""
    changing = [item for item in items if item.get("definition_changed") or item.get("definition_deleted")]
    if field.type == "properties_definition":
        changing = items
    elif changing:
        container = registry[field.model_name]._fields[field.definition_record].comodel_name
        found.operations.add((container, _WRITE))
    found.operations.update((item["comodel"], Operation.READ) for item in changing if _is_name(item.get("comodel")))
    for item in items:
        if _is_name(item.get("comodel")):
            for value in _listed(item.get("value")):
                _add_ids(found, item["comodel"], _listed(value)[:1])


def _is_name(value):
    return isinstance(value, str) and bool(value)


def _add_ids(found, model, ids):
    if model:
        found.references.update((model, number) for number in ids if type(number) is int and number > 0)


# rests on odoo/orm/fields_relational.py, _RelationalMulti: write_batch, and convert_to_cache for an onchange
def _commands(value):
    if value is False or value is None:
        return [(_CLEAR,)]
    if not isinstance(value, (list, tuple)):
        return []
    commands = [item for item in value if isinstance(item, (list, tuple)) and item]
    commands += [(_CREATE, 0, item) for item in value if isinstance(item, dict)]
    ids = [item for item in value if type(item) is int]
    return [*commands, (_SET, 0, ids)] if ids else commands


def _command(registry, field, command, found, creating):
    """Note what a command asks for; the values that it holds, as [(model, values, creating)]."""
    code, model = command[0], field.comodel_name
    if field.type == "one2many":
        found.named.add((model, field.inverse_name))
    if code == _SET:
        _add_ids(found, model, _listed(command[2]) if len(command) > 2 else ())
    elif code != _CREATE:
        _add_ids(found, model, command[1:2])
    if code == _CREATE:
        found.operations.add((model, Operation.CREATE))
    elif code == _UPDATE:
        found.operations.add((model, _WRITE))
    elif code == _DELETE:
        found.operations.add((model, Operation.UNLINK))
    elif field.type == "one2many" and not (code == _CLEAR and creating):
        # taking a line from one record, or giving it to another, writes the line; one that cannot be without is deleted
        found.operations.add((model, _WRITE))
        if code != _LINK and not (code == _SET and creating) and _goes_with(registry, field):
            found.operations.add((model, Operation.UNLINK))
    if code in (_CREATE, _UPDATE) and len(command) > 2:
        return [(model, command[2], code == _CREATE)]
    return []


def _goes_with(registry, field):
    """Are the lines of a one2many deleted when they are taken from their record?"""
    inverse = registry[field.comodel_name]._fields.get(field.inverse_name or "")
    return getattr(inverse, "ondelete", None) == "cascade"


_READERS = {
    "copy": _created,
    "create": _created,
    "load": _imported,
    "name_create": _made_by_name,
    "onchange": _shown,
    "update_field_translations": _translated,
    "web_save": _written,
    "web_save_multi": _written,
    "write": _written,
}
