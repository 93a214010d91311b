"""What does an entry keep of this call? Asks the core, with what the registry knows of fields.

Used by the guard before a method runs, and by the recorder when it has returned.
"""

import json

from odoo import models
from odoo.http import Response

from ..core.call import Door
from ..core.digest import MAX_DIGESTS
from ..core.policy import Detail, Keeping, keeping
from ..core.protected import GUARD_MODELS
from ..core.reading import reading_of
from ..core.redact import redact

_MAX_PAGE = 4 * 2**20  # bytes of a page of JSON-1 that is read again for what it tells of


def keeping_of(exchange):
    """What the policies of the exchange let its entry keep."""
    if exchange.keeping is None:
        exchange.keeping = keeping(exchange.identity.policies) if exchange.identity else Keeping()
    return exchange.keeping


def keep_arguments(exchange, target, arguments):
    """Note of the arguments what may be kept, before the method changes any."""
    exchange.keeping = None
    keeping = keeping_of(exchange)
    exchange.arguments, exchange.digests = None, ((), ())
    if not arguments:
        return
    exchange.arguments = _redacted(exchange, target, _detail(target, keeping), arguments)
    if keeping.searchable and target.method != "load":
        exchange.digests = (exchange.registry["api.digest"]._of(arguments, exchange.secrets), ())


def keep_result(exchange, method, result):
    """Note what was read, and of the result what may be kept."""
    target = exchange.call and exchange.call.target
    if target is None:
        return
    if isinstance(result, Response):
        result = _page_of(exchange, result)
        if result is None:
            return
    arguments = exchange.call.arguments or {}
    exchange.reading = reading_of(method, arguments, result)
    keeping = keeping_of(exchange)
    if keeping.detail is not Detail.RESULTS or target.model in GUARD_MODELS:  # of the log, they would be its values
        return
    told = _with_names(method, arguments, result)
    exchange.results = _redacted(exchange, target, _detail(target, keeping), told)
    if keeping.searchable and target.method != "load":
        exchange.digests = (exchange.digests[0], exchange.registry["api.digest"]._of(told, exchange.secrets))


def digests_of(exchange):
    """The digests of an entry, those of the arguments first."""
    asked, told = exchange.digests
    return list(dict.fromkeys((*asked, *told)))[:MAX_DIGESTS] if asked or told else None


def _detail(target, keeping):
    # the columns of an import stand apart from their names: no secret could be told
    is_import = target.method == "load" and keeping.detail in (Detail.VALUES, Detail.RESULTS)
    return Detail.NAMES if is_import else keeping.detail


def _redacted(exchange, target, detail, value):
    hiding = exchange.keeping.hiding
    needs_fields = hiding.types or any("." in name for name in hiding.names)
    field_of = _field_of(exchange.registry) if needs_fields else None
    return redact(value, detail, exchange.secrets, hiding, target.model, field_of)


def _field_of(registry):
    """How the core asks what a model's field is: (its type, the model that it leads to)."""

    def field_of(model, name):
        field = registry[model]._fields.get(name) if model in registry else None
        return field and (field.type, field.comodel_name or "")

    return field_of


def _page_of(exchange, response):
    """What a page of JSON-1 shows; None for other pages."""
    if exchange.door is not Door.JSON1 or response.mimetype != "application/json":
        return None
    if response.is_streamed or (response.content_length or 0) > _MAX_PAGE:
        return None
    try:
        return json.loads(response.get_data())
    except ValueError:
        return None


def _with_names(method, arguments, result):
    """The rows of an export by their fields: what stands apart from its name could be a secret that nobody knows."""
    if isinstance(result, models.BaseModel):
        return result.ids
    names, rows = arguments.get("fields_to_export"), result.get("datas") if isinstance(result, dict) else None
    if method != "export_data" or not isinstance(names, (list, tuple)) or not isinstance(rows, (list, tuple)):
        return result
    return [dict(zip(map(str, names), row, strict=False)) for row in rows[:50] if isinstance(row, (list, tuple))]
