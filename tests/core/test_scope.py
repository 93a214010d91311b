"""What does a line of a scope grant?

What follows from it for a call is in `test_decide`.
"""

from odoo.tests.common import BaseCase

from ...core.call import Operation, Target
from ...core.protected import GUARD_MODELS, PROTECTED, Danger, is_protected
from ...core.scope import ScopeLine, covered

PROTECTED_MODELS = {row.name for row in PROTECTED if row.danger is not Danger.RENDERS}
RENDERING_MODELS = {row.name for row in PROTECTED if row.danger is Danger.RENDERS}
READ, WRITE, CREATE, EXECUTE = Operation.READ, Operation.WRITE, Operation.CREATE, Operation.EXECUTE

# fmt: off
NAMES = [
    ("res.partner", "res.partner", True),
    ("res.partner", "res.partner.bank", False),
    ("res.partner", "res.partne", False),
    ("res.partner", "Res.Partner", False),
    ("res.*", "res.partner", True),
    ("res.*", "res.partner.bank", True),
    ("res.*", "res.", True),
    ("res.*", "res", False),
    ("res.*", "resource.calendar", False),
    ("*", "res.partner", True),
    ("*", "", True),
    ("*", "/web", False),
    ("*.line", "sale.order.line", False),  # a star stands at the end, or for itself
    ("*.line", "*.line", True),
    ("/*", "/web", True),
    ("/*", "/", True),
    ("/*", "web", False),
    ("/web/*", "/web/x/y", True),
    ("/web/*", "/web", False),
    ("/web", "/web", True),
    ("/web", "/web/", False),
    ("", "", True),
    ("", "res.partner", False),
]
# fmt: on


class TestScope(BaseCase):
    def test_a_pattern_names(self):
        for pattern, model, expected in NAMES:
            with self.subTest(pattern=pattern, model=model):
                self.assertEqual(ScopeLine(pattern, frozenset()).names(model), expected)

    def test_only_what_ends_in_a_star_is_no_exact_name(self):
        for pattern, expected in (("res.partner", True), ("res.*", False), ("*", False), ("*.line", True), ("", True)):
            with self.subTest(pattern):
                self.assertEqual(ScopeLine(pattern, frozenset()).is_exact, expected)

    def test_a_line_grants_its_own_operations_alone(self):
        for granted in Operation:
            line = ScopeLine("res.partner", frozenset({granted}), frozenset({"run"}))
            for asked in Operation:
                with self.subTest(granted=granted, asked=asked):
                    target = Target("res.partner", "run", frozenset({asked}))
                    self.assertEqual(line.grants(asked, target), granted is asked)

    def test_a_method_has_to_be_named_on_a_model_and_not_on_a_route(self):
        for model, method, expected in (("x", "run", True), ("x", "ru", False), ("/x", "run", True), ("/x", "", True)):
            with self.subTest(model=model, method=method):
                line = ScopeLine(model, frozenset({EXECUTE}), frozenset({"run"}))
                self.assertEqual(line.grants(EXECUTE, Target(model, method, frozenset({EXECUTE}))), expected)

    def test_reading_is_protected_only_where_the_values_are_secrets(self):
        unreadable = {model for model in PROTECTED_MODELS | GUARD_MODELS if is_protected(model, READ)}
        self.assertEqual(
            unreadable - {"api.audit.entry", "mail.tracking.value"},
            {"fetchmail.server", "ir.config_parameter", "ir.mail_server", "res.config.settings"},
        )

    def test_models_that_render_templates_are_protected_even_from_being_read(self):
        for operation in set(Operation):
            for model in RENDERING_MODELS:
                with self.subTest(model=model, operation=operation):
                    self.assertTrue(is_protected(model, operation))
        everything = ScopeLine("*", frozenset({READ}))
        self.assertFalse(covered(Target("sms.template", "read", frozenset({READ})), [everything]))
        self.assertTrue(covered(Target("some.model", "read", frozenset({READ})), [everything]))
        self.assertFalse(covered(Target("some.model", "read", frozenset({READ}), needs_name=True), [everything]))
        named = ScopeLine("some.model", frozenset({READ}))
        self.assertTrue(covered(Target("some.model", "read", frozenset({READ}), needs_name=True), [named]))

    def test_every_action_is_protected(self):
        for model in ("ir.actions.act_window", "ir.actions.server", "ir.actions.report", "ir.actions.actions"):
            with self.subTest(model):
                self.assertTrue(is_protected(model, WRITE))
                self.assertFalse(is_protected(model, READ))

    def test_all_else_is_protected_on_protected_models_and_on_no_other(self):
        for operation in set(Operation) - {READ}:
            with self.subTest(operation):
                self.assertTrue(all(is_protected(model, operation) for model in PROTECTED_MODELS | GUARD_MODELS))
                self.assertFalse(is_protected("res.partner", operation))

    def test_every_operation_has_to_be_covered(self):
        read, write = (ScopeLine("x", frozenset({operation})) for operation in (READ, WRITE))
        both = Target("x", "m", frozenset({READ, WRITE}))
        for lines, expected in (([], False), ([read], False), ([write], False), ([read, write], True)):
            with self.subTest(len(lines)):
                self.assertEqual(covered(both, lines), expected)
                self.assertEqual(covered(both, iter(lines)), expected)

    def test_authenticating_needs_no_scope_and_lifts_none(self):
        for operations, expected in (({Operation.AUTHENTICATE}, True), ({Operation.AUTHENTICATE, READ}, False)):
            with self.subTest(expected):
                self.assertEqual(covered(Target("x", "m", frozenset(operations)), []), expected)

    def test_each_row_stands_once(self):
        names = [row.name for row in PROTECTED]
        self.assertEqual(len(names), len(set(names)))

    def test_a_family_is_protected_and_its_name_is_no_prefix_of_others(self):
        for model, expected in (("ir.cron.trigger", True), ("ir.cronx", False), ("auth.oauth.provider", True)):
            with self.subTest(model):
                self.assertEqual(is_protected(model, WRITE), expected)
                self.assertEqual(any(row.names(model) for row in PROTECTED), expected)

    def test_the_guard_and_what_runs_code_are_kept_apart(self):
        self.assertFalse(PROTECTED_MODELS & GUARD_MODELS)

    def test_models_through_which_rights_are_gained_are_protected(self):
        # Literal, so that taking one away is seen in review.
        self.assertLessEqual(
            {
                "base.automation", "change.password.own", "change.password.user", "change.password.wizard",
                "ir.asset", "ir.config_parameter", "ir.cron", "ir.default",
                "ir.model", "ir.model.access", "ir.model.fields", "ir.module.module", "ir.rule", "ir.ui.view",
                "res.config.settings", "res.groups", "res.users", "res.users.apikeys",
                "res.users.apikeys.description", "res.users.identitycheck",
            },
            PROTECTED_MODELS,
        )  # fmt: skip
        self.assertLessEqual(
            {"api.credential", "api.policy", "api.policy.network", "api.scope", "api.scope.line"}, GUARD_MODELS
        )
