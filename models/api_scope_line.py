"""A line of a scope: what it grants, what it restricts, and what an administrator is told of it while typing."""

import re
from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools.safe_eval import safe_eval

from ..core.call import Operation
from ..core.operation import operations_of
from ..core.policy import DOCUMENT_VERSION, compile_policy, write_document
from ..core.scope import ScopeLine
from .api_openapi import public_method
from .closure import Closure
from .graph import COMPUTED, HISTORY, OPENS, RECORDS, RELATED, UNTRACEABLE

_PATTERN = re.compile(r"\*|[a-z_][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?|/[^\s*]*\*?", re.IGNORECASE)
_METHOD = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")

OPERATION_FIELDS = {
    "allow_read": Operation.READ,
    "allow_write": Operation.WRITE,
    "allow_create": Operation.CREATE,
    "allow_unlink": Operation.UNLINK,
    "allow_execute": Operation.EXECUTE,
}
_FIELD_MODES = [("all", "All"), ("only", "Only these"), ("except", "All but these")]
_FIELDS_HELP = "Technical names, separated by spaces or commas: name, email, phone."
DATA_FIELDS = (
    "read_mode", "read_fields", "write_mode", "write_fields", "given_fields", "domain",
    "mask_ids.name", "mask_ids.masker",
)  # fmt: skip
_TICKS = ("allow_read", "allow_write", "allow_create", "allow_unlink")


class ApiScopeLine(models.Model):
    _name = "api.scope.line"
    _inherit = ["api.guard.configuration"]
    _description = "API Scope Line"
    _rec_name = "model_pattern"
    _order = "scope_id, sequence, id"

    scope_id = fields.Many2one("api.scope", required=True, ondelete="cascade", index=True)
    sequence = fields.Integer(default=10)
    model_pattern = fields.Char(
        string="Model",
        required=True,
        help="A model's technical name (res.partner), all models below a name (sale.*), every model (*), "
        "or a route (/mail_plugin/*).",
    )
    allow_read = fields.Boolean("Read", default=True)
    allow_write = fields.Boolean("Write")
    allow_create = fields.Boolean("Create")
    allow_unlink = fields.Boolean("Delete")
    methods = fields.Char(
        string="Methods to execute",
        help="Public methods beyond reading and writing records, by name and separated by spaces or commas: "
        "action_confirm, message_post. Nothing is executed that is not named here.",
    )
    allow_execute = fields.Boolean(compute="_compute_allow_execute", store=True)
    read_mode = fields.Selection(_FIELD_MODES, string="Fields read", default="all", required=True)
    read_fields = fields.Char(
        "Fields to read", help=f"{_FIELDS_HELP} id and active are read besides, because each search asks for them."
    )
    write_mode = fields.Selection(_FIELD_MODES, string="Fields written", default="all", required=True)
    write_fields = fields.Char("Fields to write", help=_FIELDS_HELP)
    given_fields = fields.Char(
        "Shown all the same",
        help="Fields that are hidden because they are made of hidden ones, and that you want to show nevertheless: "
        "display_name, for example, which is made of the name and can be asked to show the e-mail address.",
    )
    domain = fields.Char(
        "Records", help="The records that are reached, to read or to change them. Empty: all that the user may."
    )
    mask_ids = fields.One2many("api.scope.mask", "line_id", string="Masked fields", copy=True)
    model_name = fields.Char(compute="_compute_model_name")
    restricted = fields.Char("Restricted to", compute="_compute_restricted")
    derived_fields = fields.Text("Hidden besides", compute="_compute_derived_fields")
    derived_elsewhere = fields.Text("Hidden in other models", compute="_compute_derived_fields")
    notice = fields.Text(compute="_compute_notice")

    @api.depends("methods", "model_pattern", "allow_write")
    def _compute_allow_execute(self):
        for line in self:
            is_route = (line.model_pattern or "").startswith("/")
            line.allow_execute = bool(line._method_names()) or is_route

    @api.depends("model_pattern", "methods", *_TICKS)
    def _compute_notice(self):
        """What an administrator probably did not mean. No error: the model's addon may be installed later."""
        for line in self:
            pattern = (line.model_pattern or "").strip()
            if not pattern or pattern.startswith("/"):
                line.notice = False
            elif not any(line[tick] for tick in _TICKS) and not line._method_names():
                line.notice = self.env._("Covers nothing: tick an operation or name a method.")
            elif not (models_here := list(filter(ScopeLine(pattern, frozenset()).names, self.env))):
                line.notice = self.env._("There is no such model here.")
            elif missing := line._methods_of_none(models_here):
                line.notice = self.env._("No such public method: %(methods)s", methods=", ".join(missing))
            elif pattern == "*":
                line.notice = self.env._("Every model that its user may reach, but for protected ones.")
            else:
                line.notice = False

    def _methods_of_none(self, models_here):
        """The methods of the line that none of these models has."""
        records = [self.env[model] for model in models_here]
        return [name for name in self._method_names() if not any(public_method(model, name) for model in records)]

    @api.constrains("model_pattern", "methods")
    def _check_notation(self):
        for line in self:
            if not _PATTERN.fullmatch(line.model_pattern):
                raise ValidationError(
                    self.env._(
                        "“%(pattern)s” names no model. Write a technical name (res.partner), all below a name "
                        "(sale.*), every model (*), or a route (/mail_plugin/*).",
                        pattern=line.model_pattern,
                    )
                )
            for method in line._method_names():
                line._check_method(method)

    def _check_method(self, method):
        if not _METHOD.fullmatch(method):
            raise ValidationError(self.env._("“%(method)s” is not the name of a public method.", method=method))
        if Operation.EXECUTE not in operations_of(method):
            raise ValidationError(
                self.env._(
                    "“%(method)s” is covered by the operations (%(operations)s): tick those instead of naming it.",
                    method=method,
                    operations=", ".join(sorted(operation.value for operation in operations_of(method))),
                )
            )

    @api.constrains("model_pattern", "read_mode", "read_fields", "write_fields", "given_fields", "domain", "mask_ids")
    def _check_data(self):
        for line in self:
            if not line._data():
                continue
            if line.model_pattern not in self.env:
                raise ValidationError(
                    self.env._(
                        "Fields and records can be restricted for one model, by its full name. “%(pattern)s” is none.",
                        pattern=line.model_pattern,
                    )
                )
            model = self.env[line.model_pattern].sudo()
            named = [name for text in ("read_fields", "write_fields", "given_fields") for name in line._listed(text)]
            for name in [*named, *line.mask_ids.mapped("name")]:
                if name not in model._fields:
                    raise ValidationError(
                        self.env._("%(model)s has no field “%(field)s”.", model=model._name, field=name)
                    )
            for mask in line.mask_ids:
                mask._check_kind(model)
            line._check_contradictions()
            line._check_domain(model)

    def _check_contradictions(self):
        """Refuse what would say two things of one field."""
        masked, given = self.mask_ids.mapped("name"), self._listed("given_fields")
        texts = [*map(self._contradiction_of_mask, masked), *map(self._contradiction_of_given, given)]
        texts += [
            self.env._("“%(field)s” is masked twice. Keep one of the masks.", field=name)
            for name in sorted({name for name in masked if masked.count(name) > 1})
        ]
        if any(texts):
            raise ValidationError("\n".join(dict.fromkeys(filter(None, texts))))

    def _contradiction_of_mask(self, name):
        is_named = name in self._listed("read_fields")
        if self.read_mode == "except" and is_named:
            return self.env._("“%(field)s” is hidden and masked. Choose one of them.", field=name)
        if self.read_mode == "only" and not is_named:
            return self.env._(
                "“%(field)s” is masked, and not among the fields that are read. Name it there, too.", field=name
            )
        return None

    def _contradiction_of_given(self, name):
        is_named = name in self._listed("read_fields")
        if self.read_mode == "except" and is_named:
            return self.env._("“%(field)s” is hidden and shown all the same. Choose one of them.", field=name)
        if name in self.mask_ids.mapped("name"):
            return self.env._("“%(field)s” is masked and shown all the same. Choose one of them.", field=name)
        if self.read_mode == "only" and not is_named:
            return self.env._(
                "“%(field)s” is shown all the same, and not among the fields that are read. Name it there instead.",
                field=name,
            )
        return None

    def _check_domain(self, model):
        try:
            domain = Domain(safe_eval(self.domain or "[]", self.env["ir.rule"]._eval_context()))
            domain.validate(model)
        except Exception as error:
            raise ValidationError(
                self.env._("The records of %(model)s cannot be chosen so: %(error)s", model=model._name, error=error)
            ) from error

    @api.depends("model_pattern")
    def _compute_model_name(self):
        for line in self:
            line.model_name = line.model_pattern if line.model_pattern in self.env else False

    @api.depends(*DATA_FIELDS)
    def _compute_restricted(self):
        for line in self:
            parts = []
            if line._rule("read"):
                parts.append(self.env._("fields read"))
            if line._rule("write"):
                parts.append(self.env._("fields written"))
            if line.mask_ids:
                parts.append(self.env._("masks"))
            if line._domain_text():
                parts.append(self.env._("records"))
            line.restricted = ", ".join(parts)

    @api.depends("model_pattern", *_TICKS, "methods", *DATA_FIELDS)
    def _compute_derived_fields(self):
        """What is hidden with what the line hides, and why."""
        for line in self:
            policy = line._as_policy() if line.model_name and line._data() else None
            own, others = line._derived(policy) if policy else ([], [])
            line.derived_fields, line.derived_elsewhere = "\n".join(own), "\n".join(others)

    def _derived(self, policy):
        """The fields that go with what the line hides: of its model, each with why; of others, model by model."""
        closure = Closure(self.env.registry, policy)
        texts, own, others = self._causes_in_words(), [], defaultdict(list)
        for (model, name), cause in sorted(closure.causes.items()):
            if cause not in texts:
                continue
            if model == self.model_pattern:
                own.append(f"{name}: {texts[cause]}{self._source_in_words(closure, model, name)}")
            elif not self.env[model]._abstract:
                others[model].append(name)
        return own, [f"{model}: {', '.join(names)}" for model, names in others.items()]

    @api.model
    def _source_in_words(self, closure, model, name):
        """“ (phone)”, “ (res.partner: phone)”: the field that another one is closed for."""
        source = closure.sources.get((model, name))
        if source is None:
            return ""
        return f" ({source[1]})" if source[0] == model else f" ({source[0]}: {source[1]})"

    @api.model
    def _causes_in_words(self):
        return {
            RELATED: self.env._("shows a hidden field"),
            COMPUTED: self.env._("is computed from a hidden field"),
            RECORDS: self.env._("shows records that may be hidden"),
            OPENS: self.env._("opens the record's own page to whoever has it"),
            HISTORY: self.env._("keeps former values"),
            UNTRACEABLE: self.env._("is computed with all rights, from what nobody can tell"),
        }

    def _as_policy(self):
        """An enforced policy that has these lines alone, or None where they are half typed."""
        lines = [line._document() for line in self]
        try:
            content = {"version": DOCUMENT_VERSION, "name": "-", "mode": "enforce", "scopes": lines}
            return compile_policy(write_document(content))
        except ValueError:
            return None

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._stripped(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._stripped(vals))

    @api.model
    def _stripped(self, vals):
        pattern = vals.get("model_pattern")
        return {**vals, "model_pattern": pattern.strip()} if isinstance(pattern, str) else vals

    def _method_names(self):
        return sorted(set((self.methods or "").replace(",", " ").split()))

    def _summary(self):
        """This line for a reader: “res.partner: Read, Write, action_confirm”."""
        if self.model_pattern.startswith("/"):
            return self.model_pattern
        labels = [self._fields[field]._description_string(self.env) for field in _TICKS if self[field]]
        return f"{self.model_pattern}: {', '.join(labels + self._method_names()) or '-'}"

    def _listed(self, field):
        return sorted(set((self[field] or "").replace(",", " ").split()))

    def _rule(self, kind):
        """[mode, names] of the fields that are read or written, or None where it leaves all of them."""
        mode, names = self[f"{kind}_mode"], self._listed(f"{kind}_fields")
        return None if mode == "all" or (mode == "except" and not names) else [mode, names]

    def _domain_text(self):
        text = (self.domain or "").strip()
        return "" if text == "[]" else text

    def _data(self):
        """What the line says of fields and records, as a policy's document has it; {} if nothing."""
        content = {
            "reads": self._rule("read"),
            "writes": self._rule("write"),
            "domain": self._domain_text(),
            "masks": sorted([mask.name, mask.masker] for mask in self.mask_ids if mask.name and mask.masker),
        }
        if any(content.values()) or self.given_fields:
            content["given"] = self._listed("given_fields")
        return {name: value for name, value in content.items() if value}

    def _document(self):
        """This line as a policy's document has it: [pattern, operations, methods], and its restrictions if any."""
        operations = sorted(operation.value for field, operation in OPERATION_FIELDS.items() if self[field])
        data = self._data()
        return [self.model_pattern, operations, self._method_names()] + ([data] if data else [])
