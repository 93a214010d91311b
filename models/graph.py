"""What depends on what in a registry: which field is made of which, and which shows which records?

Worked out once for each registry, for all policies. Used by the closures of policies, which follow it;
knows nothing of what a policy hides.
"""

from collections import defaultdict

from odoo.models import MAGIC_COLUMNS

RULE, MASK, RELATED, COMPUTED, RECORDS, UNTRACEABLE, OPENS, HISTORY = (
    "rule", "mask", "related", "computed", "records", "untraceable", "opens", "history",
)  # fmt: skip

MESSAGE = "mail.message"
_TOKEN, _HTML_HISTORY = "access_token", "html_field_history"
_UNTRACED = (("ir.model", "count"),)  # counts all records of a model, by SQL
_OWN = {"display_name", *MAGIC_COLUMNS}  # each record's own, whatever another one has under that name


class Graph:
    """What depends on what in a registry. Fields are named by (model, field)."""

    def __init__(self, registry):
        self.dependents = defaultdict(set)  # field → {(field that gives it away, why)}
        self.written_through = defaultdict(set)  # field → related fields that write it
        self.reading_of = defaultdict(set)  # model → fields that show its records' values whoever asks
        self.references = defaultdict(set)  # model → {(field that holds a model's name, field that holds an id of it)}
        self.untraceable = {place for place in _UNTRACED if place[0] in registry}
        self.sources = {}  # inherited field → the field of the parent (`_inherits`) that it is
        self.filled = defaultdict(set)  # model → fields that are filled in, with all rights, from one of its records
        self.views = defaultdict(set)  # model that is a query → {(its many2one, model that it leads to)}
        self.shared = defaultdict(set)  # field → those of that name in queries that lead to its model
        self.sides = defaultdict(set)  # many2many → the same relation from its other side
        self.parts = defaultdict(set)  # model → many2one fields to the message that its records are part of
        pairs = defaultdict(set)  # table of a many2many → its fields
        for model_name, model in registry.items():
            for field in model._fields.values():
                self._add(registry, model_name, field)
                self._add_by_name(model_name, model._fields, field)
                self._add_beside(registry, model, field)
                if field.type == "many2many" and field.store and field.relation:
                    pairs[field.relation].add((model_name, field.name))
        for pair in pairs.values():
            for place in pair:
                self.sides[place] |= pair - {place}
                self.written_through[place] |= pair - {place}

    def _add_beside(self, registry, model, field):
        """The same values in another table: of a parent, of a query over tables, of what is part of a message."""
        here = (model._name, field.name)
        if field.inherited:
            self.sources[here] = (field.related_field.model_name, field.related_field.name)
        if field.type != "many2one" or not field.store or field.comodel_name not in registry:
            return
        if field.comodel_name == MESSAGE and model._name != MESSAGE and model._auto:
            self.parts[model._name].add(field.name)
        if not model._auto and not model._abstract:
            self.views[model._name].add((field.name, field.comodel_name))
            for name in model._fields.keys() & registry[field.comodel_name]._fields.keys() - _OWN:
                self.shared[field.comodel_name, name].add((model._name, name))

    def _add(self, registry, model_name, field):
        here = (model_name, field.name)
        for path in registry.field_depends.get(field) or ([field.related] if field.related else ()):
            self._follow(registry, model_name, field, here, path)
        is_virtual = not field.store and not field.related
        if is_virtual and ((field.compute and field.compute_sudo) or (not field.compute and field.search)):
            self.untraceable.add(here)

    def _add_by_name(self, model_name, fields, field):
        """What no dependency tells."""
        if _TOKEN in fields and field.name not in ("id", _TOKEN):
            self.dependents[model_name, field.name].add(((model_name, _TOKEN), OPENS))
        if _HTML_HISTORY in fields and field.type == "html":
            self.dependents[model_name, field.name].add(((model_name, _HTML_HISTORY), HISTORY))
        if field.type == "many2one_reference" and field.store:
            named_by = fields.get(field.model_field)
            if named_by is not None and named_by.store and named_by.type in ("char", "selection"):
                self.references[model_name].add((named_by.name, field.name))

    def _follow(self, registry, model_name, field, here, path):
        kind = RELATED if field.related else COMPUTED
        for name in path.split("."):
            step = registry[model_name]._fields.get(name)
            if step is None:
                return
            if (model_name, name) != here:
                self.dependents[model_name, name].add((here, kind))
                if field.related and not field.readonly:
                    self.written_through[model_name, name].add(here)
            if not step.comodel_name or step.comodel_name not in registry:
                return
            model_name = step.comodel_name
            # an inherited field is a field of the very record, whose parent the rules of Odoo look at as well
            if (field.related or field.compute_sudo) and not field.inherited:
                self.reading_of[model_name].add(here)
        if field.compute_sudo and not field.related and step.comodel_name:
            self.filled[model_name].add(here)
