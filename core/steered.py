"""Which methods work on what one of their parameters names, and so on more than their model?

`mail.activity.get_activity_data(res_model, domain)` belongs to activities, and reads
whatever model it is told. No pattern of a scope reaches such a method: a line has to
name its model in full. What a method is steered by shows in its parameters' names,
so that of an addon which nobody here has seen is held too; the tables say of those
of Odoo's own apps which are, and which only look like it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .operation import OPERATIONS


class Steer(str, Enum):
    """What does a parameter of the method name?"""

    MODEL = "by_model"  # the model that it works on
    RECORDS = "by_domain"  # the records, by a domain that is searched by its user's rights
    CODE = "by_code"  # what the server runs, numbers or sets up


@dataclass(frozen=True, slots=True)
class Steered:
    """A method that is steered. `model` "*": on whichever model has it."""

    model: str
    method: str
    steer: Steer

    def names(self, model: str, method: str) -> bool:
        """Is it this one?

        >>> Steered("*", "message_route", Steer.MODEL).names("res.partner", "message_route")
        True
        """
        return method == self.method and self.model in ("*", model)


def _rows(steer: Steer, names: str) -> tuple[Steered, ...]:
    return tuple(Steered(*name.split(":"), steer) for name in names.split())


#: Source: the public methods of the twenty most used Community apps of Odoo 19.0, their extensions included.
#: The models that `core.protected` names are judged there.
STEERED: tuple[Steered, ...] = (
    *_rows(
        Steer.MODEL,
        "*:find_or_create_record *:from_html *:get_display_names_for_spreadsheet *:message_notify"
        " *:message_process *:message_route hr.employee:get_internal_resume_lines"
        " ir.fields.converter:db_id_for ir.fields.converter:for_model ir.fields.converter:to_field"
        " mail.activity:get_activity_data mail.message.subtype:default_subtypes pos.session:filter_local_data"
        " pos.session:load_data properties.base.definition:get_properties_base_definition",
    ),
    *_rows(
        Steer.RECORDS,
        "*:activity_search *:list_leaves *:rating_get_grades *:rating_get_stats hr.employee:get_overtime_data"
        " mail.message:mark_all_as_read mailing.trace:set_bounced mailing.trace:set_canceled mailing.trace:set_clicked"
        " mailing.trace:set_failed mailing.trace:set_opened mailing.trace:set_replied mailing.trace:set_sent"
        " pos.config:read_config_open_orders pos.order:read_pos_orders pos.order:search_paid_order_ids"
        " product.template:load_product_from_pos project.project:action_profitability_items project.task:stage_find"
        " res.partner:get_new_partner resource.calendar:get_work_duration_data resource.calendar:get_work_hours_count"
        " resource.calendar:plan_days resource.calendar:plan_hours",
    ),
    *_rows(Steer.CODE, "account.chart.template:try_loading ir.sequence:next_by_code"),
)

#: Methods whose parameters look like it, and name nothing that the server reaches; with the reason for each.
UNSTEERED: dict[tuple[str, str], str] = {
    ("account.tax", "compute_all"): "one of two ways of rounding",
    ("delivery.carrier", "log_xml"): "a word for the server's log",
    ("ir.http", "get_nearest_lang"): "the code of a language",
    ("link.tracker", "get_url_from_code"): "the code of one short link",
    ("link.tracker.click", "add_click"): "the code of one short link",
    ("mail.mail", "send"): "Python's own callers pass a function, and a program cannot",
    ("pos.session", "action_pos_session_close"): "amounts for each method of payment",
    ("pos.session", "action_pos_session_closing_control"): "amounts for each method of payment",
    ("pos.session", "action_pos_session_validate"): "amounts for each method of payment",
    ("pos.session", "close_session_from_ui"): "amounts for each method of payment",
    ("res.partner", "enrich_by_domain"): "the name of a web site, that a web service is asked",
    ("res.partner", "iap_partner_autocomplete_get_tag_ids"): "the codes of lines of business",
    ("res.partner.bank", "build_qr_code_base64"): "one of a few kinds of QR code",
    ("res.partner.bank", "build_qr_code_url"): "one of a few kinds of QR code",
    ("uom.uom", "round"): "one of three ways of rounding",
}

_WORDS = re.compile(
    r"(?:^|_)(?:models?|methods?|func|function|callback|domains?|codes?|expr|expression|sql|python|script)(?:_|$)"
)


def is_steered(model: str, method: str, parameters: Iterable[str]) -> bool:
    """Does a line have to name `model` in full before `method`, with these parameters, may be executed?

    >>> is_steered("mail.activity", "get_activity_data", ["res_model", "domain"])
    True
    >>> is_steered("sale.order", "action_confirm", [])
    False
    """
    if method in OPERATIONS or (model, method) in UNSTEERED:
        return False
    return any(map(_WORDS.search, parameters)) or any(row.names(model, method) for row in STEERED)
