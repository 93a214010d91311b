"""Scopes in the ORM: what a method reaches on its way is what the credential reaches.

Odoo's public methods lead to each other: a domain, a path to export, a nested
specification, a command in a relational field reach models and fields that the
call does not name. All of them ask here. What business code does under sudo does
not: Odoo trusts it, and so the methods that a scope lets a program execute are
named one by one.

Everything that Odoo does comes by here, and most of it is no call of a program: then
no exchange is tied to the cursor, and each hook ends with its first look. That look is
written out in each, because in a page of the web client it is taken five hundred times.
"""

from functools import partial

from odoo import api, models
from odoo.fields import Domain

from ..core.call import BY_VALUES, Door, Operation
from ..core.protected import is_protected
from ..seams.exchange import working_for
from .api_data import barring, closures_of

# JSON-1 and the documentation show what a screen shows, and have to look up which screen that is
_SHOWING_SCREENS = frozenset({Door.JSON1, Door.DOCS})
_SCREENS = ("ir.actions.", "ir.ui.", "ir.embedded.actions", "ir.module.module")


class Base(models.AbstractModel):
    _inherit = "base"

    # rests on odoo/orm/models.py, _check_access: asked for each record met with the caller's rights, x2many commands
    # and the models of search domains included
    def _check_access(self, operation):
        if self.env.cr._api_guard_exchange is None:
            return super()._check_access(operation)
        exchange = working_for(self.env.cr)
        if exchange is not None and (deny := self._denied_access(exchange, operation)):
            guard = self.env["api.guard"]
            return self, partial(guard._refused_inside, exchange, deny, f"{self._name}: {operation}")
        return super()._check_access(operation)

    def _denied_access(self, exchange, operation):
        """The refusal of what a call does to this model on its way, or None: by its scopes, or for want of a code."""
        guard, deny = self.env["api.guard"], None
        if _is_judged(exchange, self._name, operation):
            deny = guard._judge_nested(exchange, self._name, Operation(operation))
        if deny is None and exchange.asks_codes and operation != "read" and not self.env.su:
            deny = guard._judge_factor(exchange, self._name, Operation(operation))
        return deny

    # rests on odoo/orm/models.py, _has_field_access: asked for reading, domains, order, grouping, export, fields_get
    @api.model
    def _has_field_access(self, field, operation):
        exchange = self.env.cr._api_guard_exchange
        if exchange is None:
            return super()._has_field_access(field, operation)
        # asked for each value of each record: what may be read is remembered for the call
        if operation == "read" and exchange.running and exchange.readable.get(id(field)) == self.env.uid:
            return True
        allowed = super()._has_field_access(field, operation)
        if not allowed or not exchange.running:
            return allowed
        if exchange.closures and barring(self.env, field, operation == "write"):
            return False
        if operation != "read":
            return True
        if field.type in ("one2many", "many2many"):  # the lines of what is not covered are no part of what is
            return not self._denied_lines(field)
        # not what business code may read, nor what is read with all rights: the caller may not be shown it later
        if not self.env.su and (not exchange.closures or (exchange.is_strict and not exchange.suspended)):
            exchange.readable[id(field)] = self.env.uid
        return True

    def _denied_lines(self, field):
        """The refusal of the records that a call would read by this field, or None."""
        exchange = working_for(self.env.cr)
        if exchange is None or self.env.su or not _is_judged(exchange, field.comodel_name, "read"):
            return None
        return self.env["api.guard"]._judge_nested(exchange, field.comodel_name, Operation.READ)

    # rests on odoo/orm/models.py, _check_field_access
    @api.model
    def _check_field_access(self, field, operation):
        if self.env.cr._api_guard_exchange is None:
            return super()._check_field_access(field, operation)
        exchange = working_for(self.env.cr)
        if exchange is None:
            return super()._check_field_access(field, operation)
        if closure := barring(self.env, field, operation == "write"):
            raise self.env["api.data"]._hidden_field(closure, field, written=operation == "write")
        if field.type in ("one2many", "many2many") and operation == "read" and (deny := self._denied_lines(field)):
            raise self.env["api.guard"]._refused_inside(exchange, deny, f"{field.comodel_name}: read")
        return super()._check_field_access(field, operation)

    # rests on odoo/orm/models.py, create: asks for the fields of the values, which the overrides of the model have
    # completed. What Odoo fills in by itself (a default, a definition of properties) is not the caller's
    @api.model_create_multi
    def create(self, vals_list):
        exchange = self.env.cr._api_guard_exchange
        if exchange is None:
            return super().create(vals_list)
        _count_written(exchange, self, len(vals_list))
        if not closures_of(self.env, written=True):
            return super().create(vals_list)
        exchange.filled = frozenset(self._api_guard_filled(exchange, vals_list))
        try:
            return super().create(vals_list)
        finally:
            exchange.filled = frozenset()

    # rests on odoo/orm/models.py, create: the fields have been asked for; what is written from here on is not exempt
    def _prepare_create_values(self, vals_list):
        if (exchange := self.env.cr._api_guard_exchange) is not None:
            exchange.filled = frozenset()
        return super()._prepare_create_values(vals_list)

    def _api_guard_filled(self, exchange, vals_list):
        """Which fields of the values did the caller not name, though the policy may close them?"""
        for field in map(self._fields.get, {name for values in vals_list for name in values}):
            if field is not None and (_has_no_effect(field) or self._is_unnamed(exchange, field)):
                yield field.model_name, field.name

    def _is_unnamed(self, exchange, field):
        if exchange.named is None or field.type in ("one2many", "many2many"):
            return False
        return (self._name, field.name) not in exchange.named and f"default_{field.name}" not in self.env.context

    # rests on odoo/orm/models.py, write: record rules are asked before a record is written, and not after. Methods
    # that are executed may move a record on its way; values that a caller gives may not move it out of its scope
    def write(self, vals):
        done = super().write(vals)
        if self.env.cr._api_guard_exchange is None:
            return done
        exchange = working_for(self.env.cr)
        if exchange is not None:
            _count_written(exchange, self, len(self))
        if exchange is not None and exchange.closures and exchange.call.target.operations & BY_VALUES:
            self.env["api.data"]._check_still_within(self)
        return done

    # rests on odoo/orm/models.py, unlink: counted, nothing else
    def unlink(self):
        if (exchange := self.env.cr._api_guard_exchange) is not None:
            _count_written(exchange, self, len(self))
        return super().unlink()

    # rests on odoo/orm/models.py, default_get: the context of a call gives values to each record that is made
    @api.model
    def default_get(self, fields):
        if self.env.cr._api_guard_exchange is None:
            return super().default_get(fields)
        exchange = working_for(self.env.cr)
        if exchange is not None and exchange.defaults:
            self.env["api.guard"]._check_defaults(exchange, self, fields)
        return super().default_get(fields)

    # rests on odoo/orm/models.py, _field_to_sql: a related field is looked through with all rights
    def _field_to_sql(self, alias, field_expr, query=None):
        if self.env.cr._api_guard_exchange is None:
            return super()._field_to_sql(alias, field_expr, query)
        if closures_of(self.env) and (field := self._fields.get(field_expr.partition(".")[0])):
            self._check_field_access(field, "read")
        return super()._field_to_sql(alias, field_expr, query)

    # rests on odoo/orm/models.py, _search: some relational fields are searched through without their model's rules
    def _search(self, domain, *args, **kwargs):
        exchange = working_for(self.env.cr)
        is_held = exchange is not None and (exchange.scoped or exchange.closures)
        if is_held and not self.env.su and exchange.is_strict and not exchange.suspended:
            self.env["api.data"]._check_bypassed(self, domain)
            # a field with a search method of its own is asked while the domain is simplified, which looks at no access:
            # no record found, nothing left to refuse. A name is searched in the fields that may be (below)
            if exchange.closures:
                self.env["api.data"]._check_asked(self, domain, spared=("display_name",))
        return super()._search(domain, *args, **kwargs)

    # rests on odoo/orm/models.py, _determine_fields_to_fetch: masked fields are read apart, so that whatever else
    # asks for them (a domain, an order) finds them closed
    def _determine_fields_to_fetch(self, field_names=None, ignore_when_in_cache=False):
        if field_names is not None and closures_of(self.env):
            masked = self.env["api.data"]._masked(self, field_names)
            field_names = [name for name in field_names if name not in masked]
        return super()._determine_fields_to_fetch(field_names, ignore_when_in_cache)

    # rests on odoo/orm/models.py, _read_format: read, search_read and web_read end here
    def _read_format(self, fnames, load="_classic_read"):
        if self.env.cr._api_guard_exchange is None:
            return super()._read_format(fnames, load)
        masked = self.env["api.data"]._masked(self, fnames) if closures_of(self.env) else {}
        rows = super()._read_format([name for name in fnames if name not in masked] if masked else fnames, load)
        for name in fnames:
            if name in self._fields and self._fields[name].type == "properties":
                self.env["api.data"]._unname_properties([row.get(name) for row in rows])
        return self.env["api.data"]._with_masked(self, rows, masked, load) if masked else rows

    # rests on odoo/orm/models.py, copy_data: the lines of a record are copied as far as its copier may read them
    def copy_data(self, default=None):
        if self.env.cr._api_guard_exchange is None:
            return super().copy_data(default)
        exchange = working_for(self.env.cr)
        if exchange is not None and exchange.closures and exchange.call.target.method == "copy" and not self.env.su:
            self.env["api.data"]._read_lines(self)
        return super().copy_data(default)

    # rests on odoo/orm/models.py, _load_records: what an import has gathered is written while it looks up a name
    def _load_records(self, data_list, update=False):
        exchange = working_for(self.env.cr)
        if exchange is None:
            return super()._load_records(data_list, update)
        with exchange.showing(False):
            return super()._load_records(data_list, update)

    # rests on odoo/orm/models.py, __ensure_xml_id: reads the external ids of whatever an export comes by, and makes
    # those that are missing
    def _BaseModel__ensure_xml_id(self, skip=False):
        exchange = working_for(self.env.cr)
        if exchange is None or skip or not self:
            return super()._BaseModel__ensure_xml_id(skip)
        named = self.env["api.data"]._with_external_ids(self)
        found = {record.id: name for record, name in super(Base, named)._BaseModel__ensure_xml_id(skip)}
        return ((record, found.get(record.id, "")) for record in self)

    # rests on odoo/orm/models.py, fields_get
    @api.model
    def fields_get(self, allfields=None, attributes=None):
        described = super().fields_get(allfields, attributes)
        if closures_of(self.env):
            masked = self.env["api.data"]._masked(self, allfields or self._fields)
            for name, field in self.sudo().fields_get(list(masked), attributes).items() if masked else ():
                closed = {"searchable": False, "sortable": False, "groupable": False, "readonly": True}
                described[name] = field | {key: value for key, value in closed.items() if key in field}
        return described

    # rests on odoo/orm/models.py, _search_display_name: a name is searched in the fields that may be searched
    @api.model
    def _search_display_name(self, operator, value):
        if not closures_of(self.env) or not self._rec_names_search:
            return super()._search_display_name(operator, value)
        names = list(self._rec_names_search)
        open_names = [name for name in names if self._is_path_open(name)]
        if open_names == names:
            return super()._search_display_name(operator, value)
        return self._api_guard_search_names(open_names, operator, value)

    def _is_path_open(self, path):
        model = self
        for name in path.split("."):
            field = model._fields.get(name)
            if field is None or barring(model.env, field, False):
                return False
            if field.comodel_name:
                model = self.env[field.comodel_name]
        return True

    def _api_guard_search_names(self, names, operator, value):
        aggregate = Domain.AND if operator in Domain.NEGATIVE_OPERATORS else Domain.OR
        if not names:
            return Domain.FALSE
        return aggregate(Domain(name, operator, value) for name in names)

    # rests on odoo/orm/models.py, _compute_field_value: the name of a record is told under sudo to whoever may read
    # what refers to it, so it is blanked where it is made
    def _compute_field_value(self, field):
        exchange = working_for(self.env.cr)
        if exchange is None:
            return super()._compute_field_value(field)
        with exchange.computing():
            if field.name != "display_name" or not _blanks_names(exchange):
                return super()._compute_field_value(field)
            plain = self.with_context(_plain(self.env.context))  # pylint: disable=context-overridden
            if plain.env is self.env:
                super()._compute_field_value(field)
            names = {record: record.display_name for record in plain}
        unnamed = self.env["api.data"]._unnamed(self)
        for record, name in zip(self, names.values(), strict=True):
            field._update_cache(record, f"{record._name},{record.id}" if record in unnamed else name)
        return None

    # rests on odoo/addons/web/models/models.py, web_read: what web_save shows of what it has saved
    def web_read(self, specification):
        exchange = working_for(self.env.cr)
        if exchange is None or exchange.is_strict:
            return super().web_read(specification)
        with exchange.showing():
            return super().web_read(specification)

    # rests on odoo/orm/models.py, _order_to_sql: what nobody asked for is left out, not refused
    def _order_to_sql(self, order, query, alias=None, reverse=False):
        if closures_of(self.env) and (not order or order == self._order):
            order = ", ".join(term for term in self._order.split(",") if self._is_path_open(term.split()[0])) or "id"
        return super()._order_to_sql(order, query, alias, reverse)

    # rests on odoo/orm/models.py, _order_field_to_sql: by a many2one is by its comodel's own order, which tells
    # whose name comes first
    def _order_field_to_sql(self, alias, field_name, direction, nulls, query):
        if self.env.cr._api_guard_exchange is None:
            return super()._order_field_to_sql(alias, field_name, direction, nulls, query)
        name = field_name.partition(".")[0]
        if working_for(self.env.cr) is not None and self._is_order_closed(self._fields.get(name)):
            field_name = f"{name}.id"
        return super()._order_field_to_sql(alias, field_name, direction, nulls, query)

    def _is_order_closed(self, field):
        if field is None or field.type != "many2one":
            return False
        if any(field.comodel_name in closure.restricted_models for closure in closures_of(self.env)):
            return True
        return self._denied_lines(field) is not None


def _count_written(exchange, model, number):
    """What business code does under sudo, and what is kept for a moment only, is not what the caller writes."""
    if exchange.running and not model.env.su and not model._transient:
        exchange.written += number


def _has_no_effect(field):
    """Does it come to nothing to write the field? It is computed, and nothing is done with what is written."""
    return field.compute is not None and not (field.store or field.related or field.inverse)


def _blanks_names(exchange):
    return exchange.closures and exchange.is_strict and not exchange.suspended


def _plain(context):
    """What of a caller's context may change a record's name: no key that makes it show an address or e-mail too."""
    return {key: value for key, value in context.items() if key in ("lang", "tz", "allowed_company_ids", "active_test")}


def _is_judged(exchange, model, operation):
    """Is this model asked for by the caller, rather than by the business code of a method?

    A method that only reads does nothing on its own account, apart from computing
    fields. What others read is theirs; what they change is the caller's doing where
    it changes who may do what.
    """
    if operation == "read":
        if exchange.door in _SHOWING_SCREENS and model.startswith(_SCREENS):
            return False
        return exchange.scoped and exchange.is_strict and not exchange.suspended and not exchange.depth
    return is_protected(model, Operation(operation))
