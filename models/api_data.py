"""What the policies of a call say of records and fields, as the ORM asks for it.

A call that reads is held to what its scope shows, wherever it gets. A call that
writes or executes does more than its caller asked for: it runs business code, which
goes by the user's rights, and is held to the scope in what it was given (records,
values, commands), in all that it changes, and in what it is asked to show.

The ORM asks all the time, so the answer for everything that is no restricted API
call is one look at an attribute of the cursor (`working_for`).
"""

from collections import defaultdict
from collections.abc import Iterable

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..core.call import Operation
from ..core.data import restricting
from ..core.mask import mask
from ..core.operation import OWN
from ..core.verdict import Deny, Reason
from ..seams.exchange import working_for
from .closure import closures

_BASE = "odoo.addons.api_guard.models.base"
_ON_RECORDS = frozenset({Operation.READ, Operation.WRITE, Operation.UNLINK})


def closures_of(env, written=False):
    """What restricts the data of the call that `env` works for; () for everything else, and under sudo."""
    exchange = env.cr._api_guard_exchange
    if exchange is None or not exchange.closures or not exchange.running:
        return ()
    if env.su or exchange.suspended or not (written or exchange.is_strict):
        return ()
    return exchange.closures


def barring(env, field, written):
    """The first closure that closes the field, or None. Asked for each value that is read: kept for the call."""
    if not (found := closures_of(env, written)):
        return None
    exchange = working_for(env.cr)
    if written and (field.model_name, field.name) in exchange.filled:
        return None
    known = exchange.barred[written]
    if id(field) not in known:
        known[id(field)] = field, next((closure for closure in found if closure.bars(field, written)), None)
    return known[id(field)][1]


def _bypassed(model, domain):
    """The fields with `bypass_search_access` through which `domain` looks at other records."""
    for condition in domain.iter_conditions():
        place = model
        for name in condition.field_expr.split("."):
            field = place._fields.get(name)
            if field is None or not field.comodel_name:
                break
            if field.bypass_search_access:
                yield field
            place = place.env[field.comodel_name]
        else:
            if condition.operator in ("any", "not any", "any!", "not any!") and not hasattr(condition.value, "select"):
                yield from _bypassed(place, Domain(condition.value))


def _asked_fields(model, domain):
    """The fields that `domain` asks for, each with the model that it is asked of."""
    for condition in domain.iter_conditions():
        place = model
        if condition.operator in ("child_of", "parent_of"):
            yield from _hierarchy(model, condition.field_expr)
        for name in condition.field_expr.split("."):
            field = place._fields.get(name)
            if field is None:  # a property, a part of a date, or an error that Odoo words itself
                break
            yield place, field
            if not field.comodel_name:
                break
            place = place.env[field.comodel_name]
        else:
            if condition.operator in ("any", "not any") and not hasattr(condition.value, "select"):
                yield from _asked_fields(place, Domain(condition.value))


def _hierarchy(model, path):
    """The field by which what is asked for is above or below another record, with its model."""
    for name in path.split("."):
        field = model._fields.get(name)
        if field is not None and field.comodel_name:
            model = model.env[field.comodel_name]
    if parent := model._fields.get(model._parent_name):
        yield model, parent


def _searching(cls):
    """`_search` of a model that has one of its own: what is asked for is judged before it goes on under sudo."""

    def _search(self, domain, offset=0, limit=None, order=None, **options):
        if closures_of(self.env):
            self.env["api.data"]._check_asked(self, domain, order)
        return super(cls, self)._search(domain, offset, limit, order, **options)

    _search._api_guard = True
    return _search


def _companies_named(value):
    """All that contexts within `value`, however deep, name as companies to act in."""
    if isinstance(value, dict):
        if "allowed_company_ids" in value:
            yield value["allowed_company_ids"]
        value = value.values()
    if not isinstance(value, (str, bytes)) and isinstance(value, Iterable):
        for inner in value:
            yield from _companies_named(inner)


def _unnamed_value(value, model):
    """The value of a property, (id, name) or a list of them, without names."""
    if isinstance(value, (list, tuple)) and value and type(value[0]) is int:
        return [value[0], f"{model},{value[0]}"]
    return [_unnamed_value(inner, model) for inner in value] if isinstance(value, (list, tuple)) else value


def _is_among(companies, left):
    """Are these companies, at least one, all of them among `left`? What is no list of ids is not."""
    if not isinstance(companies, (list, tuple)) or not companies:
        return False
    return all(type(company_id) is int and company_id in left for company_id in companies)


class ApiData(models.AbstractModel):
    _name = "api.data"
    _description = "API Guard: data"

    # rests on odoo/orm/registry.py, setup_models: attachments and messages search under sudo, and drop afterwards what
    # may not be read; what a domain asks of hidden fields would be answered. As no `_inherit` comes before whatever
    # addon does so, the class that the registry itself makes is patched, as base_automation patches it
    def _register_hook(self):
        super()._register_hook()
        for cls in self.env.registry.values():
            base = next(owner for owner in cls.__mro__ if owner.__module__ == _BASE and "_search" in vars(owner))
            ahead = cls.__mro__[: cls.__mro__.index(base)]
            if any("_search" in vars(owner) for owner in ahead) and not hasattr(vars(cls).get("_search"), "_api_guard"):
                cls._search = _searching(cls)

    @api.model
    def _check_asked(self, model, domain, order="", spared=()):
        """Refuse a search that asks for what is hidden, in its domain or its order; fields named `spared` may be."""
        with_domain = {(place._name, field): place for place, field in _asked_fields(model, Domain(domain))}
        for (_name, field), place in with_domain.items():
            if field.name not in spared:
                place._check_field_access(field, "read")
        if order and order != model._order:
            for term in order.split(","):
                name = term.strip().split(" ")[0].partition(".")[0].partition(":")[0]
                if name in model._fields:
                    model._check_field_access(model._fields[name], "read")

    @classmethod
    def _restrict(cls, exchange):
        """Prepare an admitted call: what the ORM does for it is restricted from now on."""
        policies = exchange.identity.policies
        restrict = restricting(policies)
        exchange.scoped = any(policy.scopes is not None and policy.enforced for policy in policies)
        exchange.closures = closures(exchange.registry, restrict) if restrict else ()
        exchange.barred, exchange.readable = ({}, {}), {}
        exchange.asks_codes = any(policy.second_factor for policy in policies)
        reads_only = any(policy.read_only and policy.enforced for policy in policies)
        exchange.read_only = reads_only and exchange.call.target.operations != OWN
        sets = [policy.companies for policy in restrict if policy.companies is not None]
        exchange.companies = frozenset.intersection(*sets) if sets else None

    @classmethod
    def _confined(cls, exchange, env, arguments):
        """The context of a call that acts in some of its user's companies, or None: it may not act in those it names.

        Odoo itself compares what a caller names with the user's companies, but as late as something asks for
        them, which may be in the middle of what is cached for everybody. So it is compared before anything runs.
        Where the caller names none, it acts in all that are left.
        """
        user = env["res.users"].browse(exchange.identity.uid)
        left = [company_id for company_id in user._get_company_ids() if company_id in exchange.companies]
        context = arguments.get("context") if isinstance(arguments.get("context"), dict) else {}
        if not context.get("allowed_company_ids"):
            main = user.sudo().company_id.id
            left.sort(key=lambda company_id: company_id != main)
            context = {**context, "allowed_company_ids": left}
        # a specification has contexts of its own; an empty list would be the user's main company
        named = [*_companies_named([value for name, value in arguments.items() if name != "context"])]
        asked = [context["allowed_company_ids"], *named]
        return context if all(_is_among(companies, left) for companies in asked) else None

    @api.model
    def _hidden_field(self, closure, field, written=False):
        """The exception for a field that is closed."""
        exchange, place = working_for(self.env.cr), f"{field.model_name}.{field.name}{': write' if written else ''}"
        deny = Deny(Reason.FIELD_HIDDEN, closure.policy.name)
        return self.env["api.guard"]._refused_inside(exchange, deny, place)

    @api.model
    def _check_bypassed(self, model, domain):
        """Refuse a search that looks at records past their own rules, where those say something here."""
        exchange, guard = working_for(self.env.cr), self.env["api.guard"]
        for field in _bypassed(model, Domain(domain)):
            comodel = field.comodel_name
            if not exchange.depth and (deny := guard._judge_nested(exchange, comodel, Operation.READ)):
                raise guard._refused_inside(exchange, deny, f"{comodel}: read")
            if field.name in model._inherits.values():
                continue  # the rules of Odoo look at the parent as well
            for closure in exchange.closures:
                if comodel in closure.restricted_models:
                    raise self._hidden_field(closure, field)

    @api.model
    def _masked(self, records, names):
        """The masked ones among `names`: {name: masker}."""
        found = {}
        for closure in closures_of(records.env):
            for name in names:
                field = records._fields.get(name)
                if field is not None and name not in found and (masker := closure.masker(field)):
                    found[name] = masker
        # another policy may hide what this one masks
        return {
            name: masker
            for name, masker in found.items()
            if all(
                closure.masker(records._fields[name]) or not closure.bars(records._fields[name], False)
                for closure in closures_of(records.env)
            )
        }

    @api.model
    def _mask_key(self):
        """Of the HMAC of masked values: one for each database, and nowhere else."""
        return (self.env["ir.config_parameter"].sudo().get_param("database.secret") + ":api_guard.mask").encode()

    @api.model
    def _with_masked(self, records, rows, masked, load):
        """`rows`, read from `records`, and the masked fields besides."""
        key = self._mask_key()
        plain = {row["id"]: row for row in records.sudo()._read_format(list(masked), load)}
        for row in rows:
            row.update({name: mask(masker, plain[row["id"]][name], key) for name, masker in masked.items()})
        return rows

    @api.model
    def _check_given(self, records, operations):
        """Refuse a call that was given records outside of what its policies leave to it."""
        exchange = working_for(self.env.cr)
        for closure in exchange.closures:
            for operation in operations & _ON_RECORDS or {Operation.WRITE}:
                if len(self._within(records, closure, operation)) < len(records):
                    deny, place = Deny(Reason.RECORD_HIDDEN, closure.policy.name), records._name
                    raise self.env["api.guard"]._refused_inside(exchange, deny, place)

    @api.model
    def _check_references(self, references):
        """Refuse values that name records outside of what the policies show: a link to one would tell of it."""
        exchange, ids_of = working_for(self.env.cr), defaultdict(set)
        for model, record_id in references:
            ids_of[model].add(record_id)
        for model, ids in ids_of.items():
            for closure in exchange.closures if model in self.env else ():
                if model in closure.restricted_models:
                    records = self.env[model].browse(ids)
                    if len(self._within(records, closure)) < len(records):
                        deny = Deny(Reason.RECORD_HIDDEN, closure.policy.name)
                        raise self.env["api.guard"]._refused_inside(exchange, deny, model)

    @api.model
    def _check_still_within(self, records):
        """Refuse a call whose values have moved records out of what its policies leave to it."""
        exchange = working_for(self.env.cr)
        for closure in closures_of(records.env, written=True):
            if len(self._within(records, closure, Operation.WRITE)) < len(records.filtered("id")):
                deny, place = Deny(Reason.RECORD_HIDDEN, closure.policy.name), f"{records._name}: moved"
                raise self.env["api.guard"]._refused_inside(exchange, deny, place)

    @api.model
    def _read_lines(self, records):
        """Read the lines of records into the cache, where not all are shown: whatever copies them finds these."""
        exchange = working_for(self.env.cr)
        restricted = set().union(*(closure.restricted_models for closure in exchange.closures))
        lines = [name for name, field in records._fields.items()
                 if field.type == "one2many" and field.store and field.comodel_name in restricted]  # fmt: skip
        records.invalidate_recordset(lines)
        with exchange.showing():
            for name in lines:
                records.mapped(name)

    @api.model
    def _with_external_ids(self, records):
        """Those of `records` whose external ids an export tells. Raises Refused where it would have to make some."""
        exchange, guard = working_for(self.env.cr), self.env["api.guard"]
        for closure in exchange.closures:
            records = self._within(records, closure)
        if records and exchange.scoped and (deny := guard._judge_nested(exchange, "ir.model.data", Operation.CREATE)):
            condition = SQL("model = %s AND res_id IN %s", records._name, records._ids)
            found = self.env.execute_query(SQL("SELECT res_id FROM ir_model_data WHERE %s", condition))
            if {*records._ids} - {row_id for (row_id,) in found}:
                raise guard._refused_inside(exchange, deny, "ir.model.data: create")
        return records

    @api.model
    def _unname_properties(self, values):
        """Blank the names of records in values of properties, whose models are named by nothing that a scope covers."""
        exchange = working_for(self.env.cr)
        if exchange is None or not exchange.scoped or not exchange.is_strict or self.env.su:
            return
        for item in (item for value in values if isinstance(value, list) for item in value):
            model = item.get("comodel")
            if model and self.env["api.guard"]._judge_nested(exchange, model, Operation.READ):
                item["value"] = _unnamed_value(item.get("value"), model)

    @api.model
    def _renamed(self, model, answer):
        """The answer of a `name_create`, (id, name), with the name that the call may learn."""
        if not answer or model not in self.env:
            return answer
        record = self.env[model].browse(answer[0])
        record.invalidate_recordset(["display_name"])
        with working_for(self.env.cr).showing():
            return [record.id, record.sudo().display_name]

    @api.model
    def _unnamed(self, records):
        """Those of `records` whose name the call may not learn."""
        exchange = working_for(self.env.cr)
        found = records.browse()
        for closure in exchange.closures:
            if closure.bars(records._fields["display_name"], False):
                return records
            if records._name in closure.restricted_models:
                found |= records - self._within(records, closure)
        return found

    @api.model
    def _within(self, records, closure, operation=Operation.READ):
        """Those of `records` that exist and are in the closure's domain."""
        domain = closure.domain(records.with_user(self.env.uid), operation)
        stored = records.filtered("id")
        if not stored or domain.is_true():
            return stored
        query = stored.sudo().with_context(active_test=False)._search(Domain("id", "in", stored.ids) & domain)
        ids = {row_id for (row_id,) in self.env.execute_query(SQL("%s", query.select()))}
        return stored.filtered(lambda record: record.id in ids)
