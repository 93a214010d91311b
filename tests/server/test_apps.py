"""Is everything judged that the most used apps of Odoo bring along?

A scope is a list of models and methods, and many a method works on a model, on records or on code
that one of its parameters names. Every such method of these apps stands in a table of `core`, with
its reason, or this fails: what an app adds is looked at by a person.
"""

import json

import pytest
import world as worlds

from dev.harness import create_db, drop_db, shell

APPS = (
    "account", "calendar", "crm", "event", "hr", "hr_attendance", "hr_expense", "hr_holidays", "hr_recruitment",
    "hr_timesheet", "mass_mailing", "mrp", "point_of_sale", "project", "purchase", "sale_management", "stock",
    "survey", "website", "website_sale",
)  # fmt: skip

_LOOK = """
import json
from odoo.addons.api_guard.core.call import Operation
from odoo.addons.api_guard.core.operation import OPERATIONS
from odoo.addons.api_guard.core.protected import GUARD_MODELS, is_protected
from odoo.addons.api_guard.core.steered import STEERED, UNSTEERED, is_steered
from odoo.addons.api_guard.models.target import renders, steers, target_of
from odoo.service.model import get_public_method

found = {"public": 0, "steered": [], "unjudged": [], "unheld": [], "unused": [], "wizards": []}
used = set()
for name, cls in sorted(env.registry.items()):
    judged = is_protected(name, Operation.EXECUTE) or name in GUARD_MODELS or renders(env.registry, name)
    for method in dir(cls):
        if method.startswith("_") or not callable(getattr(cls, method, None)):
            continue
        try:
            get_public_method(env[name], method)
        except Exception:
            continue
        found["public"] += 1
        if (name, method) in UNSTEERED:
            used.add((name, method))
        if method in OPERATIONS or judged or not steers(env.registry, name, method):
            continue
        rows = [row for row in STEERED if row.names(name, method)]
        used.update((row.model, row.method) for row in rows)
        found["steered"].append([name, method])
        if not rows:
            found["unjudged"].append([name, method])
        if not target_of(env.registry, name, method).needs_name:
            found["unheld"].append([name, method])
    names_a_model = [
        field.name for field in cls._fields.values()
        if field.name in ("res_model", "model", "model_name", "parent_res_model", "target_model")
        or field.type == "reference" or field.comodel_name == "ir.model"
    ]
    if cls._transient and names_a_model and not judged:
        found["wizards"].append([name, names_a_model])
everything = {(row.model, row.method) for row in STEERED} | set(UNSTEERED)
found["unused"] = sorted(everything - used)
print("FOUND", json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    name = f"{worlds.PREFIX}_apps"
    create_db(name, ["api_guard", *APPS])
    try:
        printed = shell(name, _LOOK)
    finally:
        drop_db(name)
    return json.loads(next(line for line in printed.splitlines() if line.startswith("FOUND ")).removeprefix("FOUND "))


def test_the_apps_are_looked_at(found):
    assert found["public"] > 40_000  # 44,435 on Odoo 19.0
    assert len(found["steered"]) > 100


def test_every_method_that_a_parameter_steers_is_judged(found):
    assert not found["unjudged"], f"judge these in core/steered.py: steered, or why not: {found['unjudged']}"


def test_every_steered_method_needs_a_line_with_the_full_name(found):
    assert not found["unheld"], found["unheld"]


def test_every_wizard_that_names_a_model_is_protected(found):
    assert not found["wizards"], f"judge these in core/protected.py: {found['wizards']}"


def test_the_tables_name_nothing_that_is_not_there(found):
    assert found["unused"] in ([], [["*", "get_display_names_for_spreadsheet"]])
