"""What may a credential call on JSON-2, and what does it see? Asked by `openapi.json` and by Odoo's documentation.

Runs within the credential's own call and asks what the call itself would be asked:
`decide` for models and methods, the ORM's hooks for fields, Odoo's access rights.
"""

import inspect
from dataclasses import replace

from odoo import api, models
from odoo.exceptions import AccessError
from odoo.release import version
from odoo.service.model import get_public_method

from ..core import openapi
from ..core.call import Door, Operation
from ..core.decide import decide
from ..core.operation import OPERATIONS, operations_of
from ..core.verdict import Allow
from ..seams.exchange import working_for
from .target import target_of

_ACCESS = frozenset(
    operation.value for operation in (Operation.READ, Operation.WRITE, Operation.CREATE, Operation.UNLINK)
)
_NO_VALUES = frozenset({Operation.READ, Operation.UNLINK})
_DESCRIBED = ["type", "string", "selection", "size", "readonly"]


class ApiOpenapi(models.AbstractModel):
    _name = "api.openapi"
    _description = "API Guard: what a credential may call"

    @api.model
    def _document(self, wanted=None):
        """The OpenAPI document of the credential that asks. `wanted`: names of models; None: all that it may call."""
        paths, schemas = {}, {}
        names = sorted(self.env.registry) if wanted is None else [name for name in wanted if name in self.env]
        for name in names:
            model = self.env[name]
            if model._abstract:
                continue
            if methods := self._callable_methods(model):
                described, readable = self._described(model)
                schemas[f"{name}.read"] = _record(self._as_masked(model, described), readable, openapi.read_schema)
                written = self._written(model) if any(map(_may_write, methods)) else ()
                schemas[f"{name}.write"] = _record(described, written, openapi.write_schema)
                for method in methods:
                    paths[f"/json/2/{name}/{method}"] = self._operation(model, method, readable)
        server = self.env["ir.config_parameter"].sudo().get_param("web.base.url", "/")
        return openapi.document(f"Odoo: {self.env.cr.dbname}", version, server, paths, schemas)

    @api.model
    def _callable_methods(self, model):
        """The names of the public methods of `model` that the credential may call."""
        exchange = working_for(self.env.cr)
        return [name for name in self._candidates(exchange, model) if self._may_call(exchange, model, name)]

    @api.model
    def _candidates(self, exchange, model):
        scopes = [policy.scopes for policy in exchange.identity.policies if policy.scopes is not None]
        if not scopes:
            return [name for name in dir(type(model)) if not name.startswith("_")]
        named = (line.methods for lines in scopes for line in lines if line.names(model._name))
        return sorted(set(OPERATIONS).union(*named))

    @api.model
    def _may_call(self, exchange, model, method):
        function = public_method(model, method)
        if function is None:
            return False
        target = target_of(self.env.registry, model._name, method)
        call = replace(exchange.call, door=Door.JSON2, target=target, arguments=None)
        if not isinstance(decide(call, exchange.identity.policies), Allow):
            return False
        return all(self._has_right(model, operation.value) for operation in target.operations)

    @api.model
    def _has_right(self, model, operation):
        return operation not in _ACCESS or self.env["ir.model.access"].check(model._name, operation, False)

    @api.model
    def _shown_fields(self, model):
        """The names of the fields that the credential may read, masked ones among them."""
        with working_for(self.env.cr).showing():
            shown = {name for name, field in model._fields.items() if model._has_field_access(field, "read")}
            return shown | set(self.env["api.data"]._masked(model, model._fields))

    @api.model
    def _described(self, model):
        shown = sorted(self._shown_fields(model))
        return model.sudo().fields_get(attributes=_DESCRIBED), shown

    @api.model
    def _as_masked(self, model, described):
        """`described` as reading shows it: whatever is masked is a text."""
        with working_for(self.env.cr).showing():
            masked = self.env["api.data"]._masked(model, model._fields)
        return described | {name: {"type": "char", "string": described[name]["string"]} for name in masked}

    @api.model
    def _written(self, model):
        open_fields = (name for name, field in model._fields.items() if model._has_field_access(field, "write"))
        return sorted(name for name in open_fields if not model._fields[name].readonly)

    @api.model
    def _operation(self, model, method, readable):
        function = public_method(model, method)
        record = {"$ref": f"#/components/schemas/{model._name}.read"}
        written = {"$ref": f"#/components/schemas/{model._name}.write"}
        parameters, required = {}, []
        for parameter in _parameters(function):
            schema = openapi.parameter_schema(parameter.name, record, written, readable)
            if method not in OPERATIONS:
                schema = {}
            parameters[parameter.name] = schema
            if parameter.default is parameter.empty:
                required.append(parameter.name)
        takes_ids = not hasattr(function, "_api_model")
        policies = working_for(self.env.cr).identity.policies
        body = openapi.body_schema(parameters, required, takes_ids, policies)
        if _takes_anything(function):
            body["additionalProperties"] = True
        return openapi.operation(
            model._name, method, _summary(function), body, openapi.answer_schema(method, record)
        )

    @api.model
    def _narrowed(self, shown):
        """Odoo's own documentation, of all models or of one, without what the credential may not call or read."""
        if "models" in shown:
            return {**shown, "models": list(filter(None, map(self._narrowed_model, shown["models"])))}
        return self._narrowed_model(shown)

    @api.model
    def _narrowed_model(self, shown):
        model = self.env[shown["model"]]
        methods = set(self._callable_methods(model))
        if not methods:
            return None
        fields = self._shown_fields(model)
        listed = shown["methods"]
        kept = [name for name in listed if name in methods]
        return {
            **shown,
            "fields": {name: field for name, field in shown["fields"].items() if name in fields},
            "methods": {name: listed[name] for name in kept} if isinstance(listed, dict) else kept,
        }


def _may_write(method):
    return not operations_of(method) <= _NO_VALUES


def _record(described, names, schema):
    properties = {name: schema(described[name]) for name in names if name in described}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def public_method(model, name):
    """The method of that name that Odoo lets callers call, or None."""
    try:
        function = get_public_method(model, name)
    except (AttributeError, AccessError):
        return None
    return None if hasattr(function, "__deprecated__") or inspect.isclass(function) else function


def _parameters(function):
    """Its parameters that can be given by name, without `self`."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    return [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "context"]


def _takes_anything(function):
    try:
        return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return True


def _summary(function):
    return (inspect.getdoc(function) or "").strip().partition("\n")[0][:120]
