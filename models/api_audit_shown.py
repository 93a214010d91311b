"""Who sees what of an entry, and who finds it by a value? Whoever may read the model it speaks of.

What an entry holds of a model's values is taken out where the database reads the log: a list, an
export, a group, a sum, an order and a condition all meet nothing there, so that none of them gives
away what the form does not show. Names of models, methods and fields are shown to all who may read
the entry: they tell nothing of anybody.
"""

from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ..core.digest import digest, questions
from ..seams.beside import beside
from ..seams.exchange import current

#: what holds values, or tells of which records
HIDDEN = ("arguments", "results", "read_ids")
_EQUAL = ("=", "in")
MAX_QUESTIONS = 20


class ApiAuditEntry(models.Model):
    _inherit = "api.audit.entry"

    exact_value = fields.Char(
        "Exact value",
        compute="_compute_exact_value",
        search="_search_exact_value",
        help="Finds the calls that were given this very value, or read it; where a policy says that values can be "
        "searched for, and of models that you may read. Each search is an entry.",
    )
    is_hidden = fields.Boolean(
        compute="_compute_is_hidden", help="You may not read the model that this call was made on."
    )

    @api.model
    def _shown_columns(self):
        """The columns of the log as the current user may see them: {name: SQL}."""
        condition = self._shown_condition()
        if condition is None:
            return {}
        hidden = {name: SQL("CASE WHEN %s THEN %s END", condition, SQL.identifier("entry", name)) for name in HIDDEN}
        hidden["error_message"] = SQL(  # of a refusal, it is what it met; of a failure, it may quote values
            "CASE WHEN entry.outcome <> 'failed' OR %s THEN entry.error_message END", condition
        )
        return hidden

    @api.model
    def _shown_condition(self):
        """Of which entries the current user may see values; None: of all. What names no model, administrators see."""
        if self.env.su:
            return None
        readable = self.env["api.audit.entry"]._shown_models()
        if self.env.user.has_group("base.group_system"):
            return SQL("COALESCE(entry.model, '') <> ALL(%s)", sorted(set(self.env.registry) - readable))
        return SQL("entry.model = ANY(%s)", sorted(readable))

    @api.model
    def _shown_models(self):
        """The models of which the current user may see values: those they may read; auditors, also of API Guard's."""
        readable = set(self.env["ir.model.access"]._get_allowed_models("read")) & set(self.env.registry)
        if self.env.user.has_group("api_guard.group_auditor"):
            own = (name for name, cls in self.env.registry.items() if cls._original_module == "api_guard")
            readable.update(own)
        return readable

    @api.depends("model")
    @api.depends_context("uid")
    def _compute_is_hidden(self):
        if self.env.su:
            self.is_hidden = False
            return
        readable, known = self._shown_models(), set(self.env.registry)
        is_system = self.env.user.has_group("base.group_system")
        for entry in self:
            entry.is_hidden = entry.model not in readable and not (is_system and entry.model not in known)

    # -------------------------------------------------------------- exact value

    def _compute_exact_value(self):
        self.exact_value = False  # the log does not hold it

    @api.model
    def _search_exact_value(self, operator, value):
        """Entries with the digest of `value`; "name=value": also in this field alone."""
        if operator not in _EQUAL:
            raise UserError(self.env._("An exact value is looked for by itself: choose “is equal to”."))
        values = [value] if isinstance(value, (str, int, float)) else value or ()
        texts = [str(text) for text in values if text]
        if len(texts) > MAX_QUESTIONS:
            raise UserError(self.env._("At most %(count)s values are looked for at once.", count=MAX_QUESTIONS))
        key = self.env["api.digest"]._require_key()
        asked = [mark for text in texts for mark in questions(key, text)]
        for text in texts:
            self._enter_search(key, text)
        if not asked:
            return Domain.FALSE
        shown = self._shown_condition() or SQL("TRUE")
        found = SQL(
            "SELECT entry.id FROM api_audit_entry entry WHERE entry.digests && %s::varchar[] AND %s", asked, shown
        )
        return Domain.custom(to_sql=lambda model, alias, query: SQL("%s IN (%s)", SQL.identifier(alias, "id"), found))

    @api.model
    def _enter_search(self, key, text):
        """Whoever may ask can test guesses, so that each question is an entry: of its digest, once in a transaction."""
        mark = digest(key, text.strip())
        noted = self.env.cr.cache.setdefault("api_guard_searches", set())
        if mark in noted:
            return
        noted.add(mark)
        exchange = current()
        with beside(self.env.registry) as cr:
            self._append_event(
                cr.execute,
                "api.audit.entry",
                "search_exact_value",
                kind="read",
                operation="read",
                request_id=(exchange and exchange.request_id) or token_hex(10),
                user_id=self.env.uid,
                login=self.env.user.sudo().login,
                arguments=f'{{"digest": "{mark}"}}',
            )
