"""A field, a parameter, a method in the words of OpenAPI 3.1.

Knows Odoo's notation on JSON-2 (false for "no value", `[id, name]` for a reference,
commands for lines), and no registry: fields come as Odoo's own `fields_get` describes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .policy import Policy

Schema = dict[str, Any]

DATE, DATETIME = r"^\d{4}-\d{2}-\d{2}$", r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$"
_GREATEST_ID = 2**31 - 1
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": _GREATEST_ID}
_IDS: Schema = {"type": "array", "items": _ID}
_TEXT: Schema = {"type": "string"}
_MOMENTS: dict[str, Schema] = {
    "date": {"type": "string", "pattern": DATE},
    "datetime": {"type": "string", "pattern": DATETIME, "description": "UTC"},
}
_NUMBERS: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": _GREATEST_ID},
    "float": {"type": "number"},
    "monetary": {"type": "number"},
}
_COMMAND: Schema = {
    "type": "array",
    "description": "[0, 0, values] creates, [1, id, values] writes, [2, id, 0] deletes, [3, id, 0] takes out, "
    "[4, id, 0] adds, [5, 0, 0] empties, [6, 0, ids] replaces",
    "minItems": 1,
    "maxItems": 3,
    "prefixItems": [{"type": "integer", "minimum": 0, "maximum": 6}, {"type": "integer", "minimum": 0}],
}
_DOMAIN: Schema = {
    "type": "array",
    "description": 'Odoo\'s search domain in prefix notation: ["|", ["name", "ilike", "ada"], ["active", "=", true]]',
    "items": {
        "oneOf": [
            {"enum": ["&", "|", "!"]},
            {"type": "array", "prefixItems": [_TEXT, _TEXT], "minItems": 3, "maxItems": 3},
        ]
    },
}


def _or_false(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"const": False}]}


def read_schema(field: Mapping[str, Any]) -> Schema:
    """What reading the field gives. `field`: `type`, and where they apply `selection` and `string`.

    >>> read_schema({"type": "many2one"})["oneOf"][0]["prefixItems"]
    [{'type': 'integer', 'minimum': 1, 'maximum': 2147483647}, {'type': 'string'}]
    """
    kind = field["type"]
    if kind in _NUMBERS:
        return _titled(field, {**_NUMBERS[kind]})
    if kind in ("one2many", "many2many"):
        return _titled(field, _IDS)
    if kind == "many2one":
        return _titled(
            field, _or_false({"type": "array", "prefixItems": [_ID, _TEXT], "minItems": 2, "maxItems": 2})
        )
    if kind == "many2one_reference":
        return _titled(field, _or_false(_ID))
    return _titled(field, _or_false(_plain(field)) if _plain(field) else {})


def write_schema(field: Mapping[str, Any]) -> Schema:
    """What the field takes.

    >>> write_schema({"type": "char"})
    {'oneOf': [{'type': 'string'}, {'const': False}]}
    """
    kind = field["type"]
    if kind in _NUMBERS:
        return _titled(field, {**_NUMBERS[kind]})
    if kind in ("one2many", "many2many"):
        return _titled(field, {"type": "array", "items": _COMMAND})
    if kind in ("many2one", "many2one_reference"):
        return _titled(field, _or_false(_ID))
    return _titled(field, _or_false(_plain(field)) if _plain(field) else {})


def _plain(field: Mapping[str, Any]) -> Schema:
    kind = field["type"]
    if kind == "selection":
        return {"enum": [value for value, _label in field.get("selection") or ()]} if field.get("selection") else _TEXT
    if kind in _MOMENTS:
        return _MOMENTS[kind]
    if kind == "binary":
        return {"type": "string", "contentEncoding": "base64"}
    if kind in ("char", "text", "html", "reference"):
        return {"type": "string"} | ({"maxLength": field["size"]} if field.get("size") else {})
    return {}  # json, properties: whatever they hold


def _titled(field: Mapping[str, Any], schema: Schema) -> Schema:
    return schema | ({"title": field["string"]} if field.get("string") else {})


def parameter_schema(name: str, record: Schema, written: Schema, fields: Sequence[str]) -> Schema:
    """What a parameter of the ORM's own methods takes; {} for any other, of which nobody can tell."""
    known: dict[str, Schema] = {
        "domain": _DOMAIN,
        "fields": {"type": "array", "items": {"enum": list(fields)}},
        "offset": {"type": "integer", "minimum": 0, "maximum": _GREATEST_ID},
        "limit": {"type": ["integer", "null"], "minimum": 0, "maximum": _GREATEST_ID},
        "order": {"type": ["string", "null"]},
        "vals": written,
        "vals_list": {"type": "array", "items": written},
        "groupby": {"type": "array", "items": _TEXT},
        "aggregates": {"type": "array", "items": _TEXT},
        "specification": {"type": "object", "propertyNames": {"enum": list(fields)}},
        "allfields": {"type": ["array", "null"], "items": {"enum": list(fields)}},
    }
    return known.get(name, {})


def answer_schema(method: str, record: Schema) -> Schema:
    """What a method answers, where it is known."""
    if method in ("search_read", "read"):
        return {"type": "array", "items": record}
    if method in ("search", "create"):
        return _IDS
    if method in ("search_count", "web_search_count"):
        return {"type": "integer", "minimum": 0}
    return {"type": "boolean"} if method in ("write", "unlink", "has_access") else {}


def body_schema(parameters: Schema, required: Sequence[str], takes_ids: bool, policies: Sequence[Policy]) -> Schema:
    """The body of a call: its parameters by name, `ids` where it is called on records, and how large it may be."""
    properties = ({"ids": dict(_IDS)} if takes_ids else {}) | parameters | {"context": {"type": "object"}}
    required = list(required)
    for policy in policies:
        if not policy.enforced:
            continue
        _bound(properties, "ids", "maxItems", policy.shape.ids)
        _bound(properties, "vals_list", "maxItems", policy.shape.values)
        if policy.shape.limit is not None and "limit" in properties:
            properties["limit"] = {**properties["limit"], "type": "integer", "minimum": 1}
            _bound(properties, "limit", "maximum", policy.shape.limit)
            required += [] if "limit" in required else ["limit"]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _bound(properties: Schema, name: str, keyword: str, greatest: int | None) -> None:
    if greatest is not None and name in properties:
        bound = min(properties[name].get(keyword, greatest), greatest)
        properties[name] = {**properties[name], keyword: bound}


def operation(model: str, method: str, summary: str, body: Schema, answer: Schema) -> Schema:
    """One method of one model, called by POST."""
    return {
        "post": {
            "operationId": f"{model}.{method}",
            "tags": [model],
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {"description": "Done", "content": {"application/json": {"schema": answer}}},
                "default": {"$ref": "#/components/responses/Refused"},
            },
        }
    }


def document(title: str, version: str, server: str, paths: Schema, schemas: Schema) -> Schema:
    """The whole document."""
    error = {
        "type": "object",
        "required": ["name", "message"],
        "properties": {
            "name": _TEXT,
            "message": _TEXT,
            "error": {"type": "string", "description": "The refusal's code"},
            "request_id": {"type": "string", "description": "Finds the call in the audit log"},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": server}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key of Odoo"}},
            "schemas": schemas | {"Error": error},
            "responses": {
                "Refused": {
                    "description": "Refused, or failed",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            },
        },
    }
