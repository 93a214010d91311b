"""What does a public method do to records?

One readable table. What it does not know is `execute`, and a scope has to name
it. A method that can do several things asks for all of them: `web_save`
creates when it gets no id, `copy` reads what it creates from.

Source: the public methods of `odoo/orm/models.py` and of the `base` model as
the `web`, `mail` and `base_import` addons of Odoo 19.0 extend it.
"""

from __future__ import annotations

from .call import Operation

_TABLE: dict[tuple[Operation, ...], str] = {
    (Operation.READ,): """
        search search_read search_count search_fetch read read_group web_read_group
        formatted_read_group formatted_read_grouping_sets read_progress_bar
        web_read web_search_read web_name_search name_search
        search_panel_select_range search_panel_select_multi_range
        fields_get default_get onchange get_metadata get_external_id export_data
        has_access exists get_view get_views get_formview_id
        get_formview_action get_field_translations
        get_property_definition hierarchy_read get_import_templates
        get_empty_list_help get_base_url
    """,
    (Operation.WRITE,): """
        write action_archive action_unarchive toggle_active
        update_field_translations web_override_translations web_resequence
        web_save_multi
    """,
    (Operation.CREATE,): "create name_create",
    (Operation.UNLINK,): "unlink",
    (Operation.READ, Operation.CREATE): "copy",
    (Operation.WRITE, Operation.CREATE): "web_save load",
}

OPERATIONS: dict[str, frozenset[Operation]] = {
    method: frozenset(operations) for operations, methods in _TABLE.items() for method in methods.split()
}

#: Methods that take a `limit`, and without one return all there is.
LIMITED = frozenset("search search_read search_fetch web_search_read formatted_read_group web_read_group".split())

#: What a credential may ask of itself: no scope covers or bars it.
OWN = frozenset({Operation.AUTHENTICATE})
#: Methods that reach the calling key and nothing else: (model, method).
OWN_METHODS = frozenset({("api.key", "rotate")})
#: Methods that read of the records they are given what no rule of Odoo is asked for.
UNASKED = frozenset({"get_external_id", "get_metadata"})

_EXECUTE = frozenset({Operation.EXECUTE})


def operations_of(method: str) -> frozenset[Operation]:
    """Which operations must be granted before `method` may run?

    >>> sorted(operations_of("web_save")), sorted(operations_of("action_confirm"))
    ([<Operation.CREATE: 'create'>, <Operation.WRITE: 'write'>], [<Operation.EXECUTE: 'execute'>])
    """
    return OPERATIONS.get(method, _EXECUTE)
