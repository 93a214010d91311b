"""Which fields give away what a policy hides?

Half of Odoo's fields are made of others: related ones, inherited ones, computed
ones, stored or not, most of them read under sudo. To hide `phone` and show
`phone_sanitized` hides nothing. So what a policy hides is followed along the
dependencies that the ORM itself recomputes by, and what cannot be followed is
hidden too, unless somebody allowed it by hand.

A `Closure` belongs to one registry and one policy, whose content never changes:
it is worked out once and kept with the registry.
"""

import ast
import logging
from collections import OrderedDict, defaultdict, deque
from functools import cached_property

from odoo.fields import Domain
from odoo.tools.safe_eval import safe_eval

from ..core.call import Operation
from ..core.data import domains_on, is_given, masker_of, shows

_logger = logging.getLogger(__name__)

MAX_CLOSURES = 128
_GRAPH, _CLOSURES = "_api_guard_graph", "_api_guard_closures"

RULE, MASK, RELATED, COMPUTED, RECORDS, UNTRACEABLE, OPENS, HISTORY = (
    "rule", "mask", "related", "computed", "records", "untraceable", "opens", "history",
)  # fmt: skip

_TOKEN, _HTML_HISTORY = "access_token", "html_field_history"


class Graph:
    """What depends on what in a registry. Fields are named by (model, field)."""

    def __init__(self, registry):
        self.dependents = defaultdict(set)  # field → {(field that gives it away, why)}
        self.written_through = defaultdict(set)  # field → related fields that write it
        self.reading_of = defaultdict(set)  # model → fields that show its records' values whoever asks
        self.references = defaultdict(set)  # model → {(field that holds a model's name, field that holds an id of it)}
        self.untraceable = set()
        for model_name, model in registry.items():
            for field in model._fields.values():
                self._add(registry, model_name, field)
                self._add_by_name(model_name, model._fields, field)

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


class Closure:
    """What one policy leaves of the fields and records of one registry."""

    def __init__(self, registry, policy):
        self.policy = policy
        self._registry = registry
        self.sources = {}  # (model, field) → the field that it is closed for, where it is not for itself
        self._constants = {}  # (model, text) → Domain, where nothing in it depends on who asks

    def bars(self, field, written):
        """Is the field closed to reading, or to writing?"""
        return (field.model_name, field.name) in (self._unwritable if written else self.causes)

    def masker(self, field):
        """How a field is masked, or None."""
        if self.causes.get((field.model_name, field.name)) is not MASK:
            return None
        return masker_of(self.policy, field.model_name, field.name)

    @cached_property
    def restricted_models(self):
        """The models not all of whose records may be read."""
        return {name for name in self._registry if self._has_domain(name)}

    def _has_domain(self, model_name):
        if domains_on(self.policy, model_name, Operation.READ):
            return True
        return self.policy.companies is not None and model_name == "res.company"

    @cached_property
    def causes(self):
        """All fields that are closed to reading: (model, field) → why."""
        graph = _kept(self._registry, _GRAPH, lambda: Graph(self._registry))
        causes = {}
        for model_name, name in self._named_fields():
            if not shows(self.policy, model_name, name, written=False):
                causes[model_name, name] = MASK if masker_of(self.policy, model_name, name) else RULE
        shown_elsewhere = (
            (place, RECORDS) for model_name in self.restricted_models for place in graph.reading_of[model_name]
        )
        self._spread(causes, shown_elsewhere)
        if self.policy.restricts_reading:
            self._spread(causes, ((place, UNTRACEABLE) for place in graph.untraceable))
        queue = deque(causes)
        while queue:
            source = queue.popleft()
            for place, kind in graph.dependents[source]:
                if place not in causes and not self._is_given(*place):
                    causes[place], self.sources[place] = kind, source
                    queue.append(place)
        return causes

    def _is_given(self, model_name, name):
        """Did somebody allow the field by hand: itself, or the name of the records that it is the stored part of?"""
        if is_given(self.policy, model_name, name):
            return True
        model, field = self._registry[model_name], self._registry[model_name]._fields[name]
        searched = model._rec_names_search  # of some models a property, which a class does not tell
        if not field.store or not isinstance(searched, (list, tuple)) or name not in searched:
            return False
        is_part = name in self._registry.field_depends.get(model._fields["display_name"], ())
        return is_part and is_given(self.policy, model_name, "display_name")

    def _named_fields(self):
        """The fields of the models of which the policy says something."""
        lines = [line for line in self.policy.scopes or () if line.restricts_data]
        for model_name, model in self._registry.items():
            if any(line.names(model_name) for line in lines):
                yield from ((model_name, name) for name in model._fields)

    def _spread(self, causes, found):
        for place, kind in found:
            if place not in causes and not self._is_given(*place):
                causes[place] = kind

    @cached_property
    def _unwritable(self):
        graph = _kept(self._registry, _GRAPH, lambda: Graph(self._registry))
        closed = {place for place in self._named_fields() if not shows(self.policy, *place, written=True)}
        queue = deque(closed)
        while queue:
            for place in graph.written_through[queue.popleft()] - closed:
                closed.add(place)
                queue.append(place)
        return closed

    def domain(self, model, operation):
        """The records of `model` that the policy leaves to `operation`, as a Domain."""
        domains = [self._evaluated(model, text) for text in domains_on(self.policy, model._name, operation)]
        if self.policy.companies is not None:
            domains.append(_company_domain(model, sorted(self.policy.companies)))
        graph = _kept(self._registry, _GRAPH, lambda: Graph(self._registry))
        domains += [
            Domain(named_by, "!=", name) | Domain(field, "in", self._reached(model.env, name))
            for named_by, field in graph.references.get(model._name, ())
            for name in sorted(self._referred - {model._name})
        ]
        return Domain.AND(domains)

    @cached_property
    def _referred(self):
        """The models with records that attachments, messages and the like belong to, and go with."""
        return {name for name in self.restricted_models if self._registry[name]._auto}

    def _reached(self, env, name):
        """The query of the records of a model that the policy leaves."""
        model = env[name].sudo().with_context(active_test=False)
        texts = domains_on(self.policy, name, Operation.READ)
        return model._search(Domain.AND([self._evaluated(env[name], text) for text in texts]))

    def _evaluated(self, model, text):
        if (constant := self._constants.get((model._name, text))) is not None:
            return constant
        literal = _literal(text)
        try:
            domain = Domain(literal or safe_eval(text, model.env["ir.rule"]._eval_context()))
            domain.validate(model)
            if literal:
                self._constants[model._name, text] = domain
        except Exception:  # whatever is wrong with it: a field that is gone, an addon that was removed
            _logger.exception("policy %r: the domain on %s cannot be read; no record passes", self.policy.name, model)
            return Domain.FALSE
        return domain


def _company_domain(model, company_ids):
    if model._name == "res.company":
        return Domain("id", "in", company_ids)
    field = model._fields.get("company_id")
    if field is None or field.comodel_name != "res.company" or not field._description_searchable:
        return Domain.TRUE
    return Domain("company_id", "in", [*company_ids, False])


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def closures(registry, policies):
    """The closures of `policies` in `registry`, kept with it."""
    return tuple(_closure(registry, policy) for policy in policies)


def _closure(registry, policy):
    kept = _kept(registry, _CLOSURES, OrderedDict)
    closure = kept.get(policy.mark)
    if closure is None:
        closure = kept[policy.mark] = Closure(registry, policy)
        while len(kept) > MAX_CLOSURES:
            kept.popitem(last=False)
    return closure


def _kept(registry, name, make):
    """An attribute of the registry, which is another object whenever a model changes."""
    value = vars(registry).get(name)
    if value is None:
        value = make()
        setattr(registry, name, value)
    return value
