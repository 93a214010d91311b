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
import re
from collections import OrderedDict, defaultdict, deque
from functools import cached_property

from odoo.fields import Domain
from odoo.tools import SQL
from odoo.tools.safe_eval import safe_eval

from ..core.call import Operation
from ..core.data import domains_on, hides_by_name, is_given, masker_of, names_fully, shows
from .graph import COMPUTED, MASK, MESSAGE, RECORDS, RELATED, RULE, UNTRACEABLE, Graph

_logger = logging.getLogger(__name__)

MAX_CLOSURES = 128
_GRAPH, _CLOSURES, _VIEWS = "_api_guard_graph", "_api_guard_closures", "_api_guard_views"

_ATTACHMENT = "ir.attachment"
_WORDS = re.compile(r"\w+")


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
        if any(domains_on(self.policy, comodel, Operation.READ) for _name, comodel in self._graph.views[model_name]):
            return True
        return self.policy.companies is not None and model_name == "res.company"

    @cached_property
    def causes(self):
        """All fields that are closed to reading: (model, field) → why."""
        graph, causes = self._graph, {}
        for model_name, name in self._named_fields():
            if not shows(self.policy, model_name, name, written=False):
                causes[model_name, name] = MASK if masker_of(self.policy, model_name, name) else RULE
        self._spread(causes, [(place, COMPUTED) for place in self._filled_from(causes)])
        self._spread(causes, [(place, RELATED) for place in self._kept_beside(causes)])
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

    @property
    def _graph(self):
        return _kept(self._registry, _GRAPH, lambda: Graph(self._registry))

    def _filled_from(self, places):
        """The fields that are filled in from records with fields among `places`, as their names tell.

        Such a field depends on the reference alone, and on which fields of what it refers to nobody can tell. To hide
        all of them would hide an order's prices with a product's cost. A reference is hidden with one that a line
        names: where a line shows only some fields of contacts, an order still tells whose it is.
        """
        hidden = defaultdict(set)
        for model_name, name in places:
            hidden[model_name].add(name)
        for model_name, names in hidden.items():
            for place in self._graph.filled[model_name]:
                found = [name for name in names if f"_{name}_" in f"_{place[1]}_"]
                is_reference = self._registry[place[0]]._fields[place[1]].relational
                if (found and not is_reference) or any(hides_by_name(self.policy, model_name, name) for name in found):
                    yield place

    def _kept_beside(self, places):
        """The fields that hold the same values as these in another table.

        A relation is hidden from its other side where it is hidden by its name: a line that shows only some fields
        of contacts says nothing of who takes part in a meeting.
        """
        yield from self._sources_of(places, Operation.READ)
        for place in places:
            yield from self._graph.shared.get(place, ())
            if hides_by_name(self.policy, *place):
                yield from self._graph.sides.get(place, ())

    def _sources_of(self, places, operation):
        """The fields of parents that inherited ones among `places` are, where only patterns reach the parent."""
        for place in places:
            source = self._graph.sources.get(place)
            if source is not None and not names_fully(self.policy, source[0], operation):
                yield source

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
        closed = {place for place in self._named_fields() if not shows(self.policy, *place, written=True)}
        closed.update(self._sources_of(frozenset(closed), Operation.WRITE))
        queue = deque(closed)
        while queue:
            for place in self._graph.written_through[queue.popleft()] - closed:
                closed.add(place)
                queue.append(place)
        return closed

    @cached_property
    def _closed_files(self):
        """The fields whose values are attachments, and closed: {written: {model: names}}."""
        found = {False: defaultdict(set), True: defaultdict(set)}
        for written, places in ((False, self.causes), (True, self._unwritable | self._made_of(self._unwritable))):
            for model_name, name in places:
                if getattr(self._registry[model_name]._fields[name], "attachment", False):
                    found[written][model_name].add(name)
        return found

    def _made_of(self, places):
        """The fields of the same record that are made of these: an image in another size."""
        return {
            dependent
            for place in places
            for dependent, _kind in self._graph.dependents.get(place, ())
            if dependent[0] == place[0]
        }

    def domain(self, model, operation):
        """The records of `model` that the policy leaves to `operation`, as a Domain."""
        domains = [self._evaluated(model, text) for text in domains_on(self.policy, model._name, operation)]
        if self.policy.companies is not None:
            domains.append(_company_domain(model, sorted(self.policy.companies)))
        domains += [
            Domain(named_by, "!=", name) | Domain(field, "in", self._reached(model.env, name))
            for named_by, field in self._graph.references.get(model._name, ())
            for name in sorted(self._referred - {model._name})
        ]
        if model._name == _ATTACHMENT:
            domains += [
                Domain("res_model", "!=", name) | Domain("res_field", "not in", sorted(names))
                for name, names in sorted(self._closed_files[operation is not Operation.READ].items())
            ]
        if self._referred and (parts := self._graph.parts.get(model._name)):
            domains += [self._is_empty_or_in(model, name, self._messages(model.env)) for name in sorted(parts)]
        if not model._auto and not model._abstract:
            domains += self._view_domains(model)
        return Domain.AND(domains)

    def _is_empty_or_in(self, model, name, query):
        return Domain(name, "=", False) | Domain(name, "in", query)

    def _messages(self, env):
        model = env[MESSAGE].sudo().with_context(active_test=False)
        return model._search(self.domain(env[MESSAGE], Operation.READ))

    def _view_domains(self, model):
        """A query shows other models' records: those that a domain leaves, by its many2one; without one, none.

        A line that names the query itself has been thought about. What is hidden of a model that it leads to is
        hidden by its name (`Graph.views`); of one that it does not lead to, nobody can tell.
        """
        is_named = names_fully(self.policy, model._name, Operation.READ)
        used = frozenset() if is_named else _tables_used(model)
        for name in sorted(self._restricted_tables):
            fields = sorted(field for field, comodel in self._graph.views[model._name] if comodel == name)
            if not fields and self._registry[name]._table in used:
                yield Domain.FALSE
            elif domains_on(self.policy, name, Operation.READ):
                yield from (self._is_empty_or_in(model, field, self._reached(model.env, name)) for field in fields)

    @cached_property
    def _restricted_tables(self):
        """The models of which a line says something for reading."""
        lines = [line for line in self.policy.scopes or () if line.is_exact and line.restricts_data]
        named = {line.pattern for line in lines if line.pattern in self._registry}
        hiding = {model_name for (model_name, _name), cause in self.causes.items() if cause in (RULE, MASK)}
        return {name for name in named if name in hiding or domains_on(self.policy, name, Operation.READ)}

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


def _tables_used(model):
    """The words of the query that the model is, its tables among them."""
    kept = _kept(model.env.registry, _VIEWS, dict)
    if model._name not in kept:
        query = model.sudo()._table_query
        if query is None:
            model.env.cr.execute(SQL("SELECT pg_get_viewdef(to_regclass(%s))", model._table))
            query = model.env.cr.fetchone()[0]
        kept[model._name] = frozenset(_WORDS.findall(query.code if isinstance(query, SQL) else query or ""))
    return kept[model._name]


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
