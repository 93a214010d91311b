"""What went out through a key, a user or a network, in a time: for the notice of a breach.

GDPR, Article 33: within 72 hours, the nature of the breach, the categories and approximate number
of persons and of records. The log answers what was read; what it cannot know, the report says. It is
made with the rights of whoever makes it: values of models that they may not read are left out.
"""

import json
from collections import Counter
from datetime import timedelta
from ipaddress import ip_address
from itertools import islice
from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import split_every

from ..core.breach import PEOPLE, add_up, personal_fields, written
from ..core.hiding import check_name
from ..core.network import contains, parse_network
from ..seams.beside import beside
from .breach_files import write_pdf, write_xlsx

NOTICE = timedelta(hours=72)
MAX_ENTRIES = 200_000  # that are read for one report
MAX_CALLS = 20_000  # that are listed
MAX_IDS = 5_000  # of one model that are looked up for persons
MAX_PERSONS = 5_000
MAX_SHOWN = 200  # lines of a list on the screen
_PAGE = 5_000
_QUESTION = {"subject", "credential_id", "user_id", "network", "date_from", "date_to", "more_fields"}
_LISTED = ("occurred_at", "request_id", "model", "method", "operation", "kind", "read_ids", "read_fields", "row_count",
           "record_count", "peer")  # fmt: skip


class ApiBreachReport(models.TransientModel):
    _name = "api.breach.report"
    _inherit = ["api.guard.written"]
    _description = "Breach Report"

    subject = fields.Selection(
        [("key", "A key"), ("user", "A user"), ("network", "A network")], "Calls of", default="key", required=True
    )
    credential_id = fields.Many2one("api.credential", string="Key", ondelete="cascade")
    user_id = fields.Many2one("res.users", ondelete="cascade")
    network = fields.Char(help="An address, or a network in CIDR notation: 203.0.113.7, 10.0.0.0/8, 2001:db8::/32.")
    date_from = fields.Datetime("From", required=True, default=lambda self: fields.Datetime.now() - NOTICE)
    date_to = fields.Datetime("Until", required=True, default=fields.Datetime.now)
    more_fields = fields.Char(
        "Also personal",
        help="Names of fields that tell of persons in your database, with spaces between them: x_diet x_*_note. "
        "Those of names, addresses, phones and the like are known.",
    )
    noticed_at = fields.Datetime(
        "Became aware", default=fields.Datetime.now, help="The 72 hours of the GDPR's Article 33 begin then."
    )
    due_at = fields.Datetime("Notice due", compute="_compute_due_at")
    nature = fields.Text("Nature of the breach", help="What happened, as far as it is known.")
    consequences = fields.Text("Likely consequences")
    measures = fields.Text("Measures taken or proposed")
    contact = fields.Text(help="The data protection officer, or whoever can tell more.")

    content = fields.Text(readonly=True)
    summary = fields.Html(compute="_compute_summary")
    xlsx = fields.Binary(compute="_compute_xlsx")
    pdf = fields.Binary(compute="_compute_pdf")

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_written(vals)
        return super().create(vals_list)

    def write(self, vals):
        self._check_written(vals)
        result = super().write(vals)
        if _QUESTION.intersection(vals):
            self.sudo().content = False  # it answers another question
        return result

    @api.depends("noticed_at")
    def _compute_due_at(self):
        for report in self:
            report.due_at = report.noticed_at and report.noticed_at + NOTICE

    @api.depends("content")
    @api.depends_context("lang", "tz")
    def _compute_summary(self):
        for report in self:
            values = report.content and report._told()
            report.summary = values and self.env["ir.qweb"]._render(
                "api_guard.breach_report", {**values, "most": MAX_SHOWN}
            )

    @api.depends("content")
    def _compute_xlsx(self):
        for report in self:
            report.xlsx = report.content and write_xlsx(report._told(), report._words())

    @api.depends("content")
    def _compute_pdf(self):
        for report in self:
            report.pdf = report.content and write_pdf(report._told(), report._words())

    @api.constrains("date_from", "date_to", "network", "more_fields")
    def _check_question(self):
        for report in self:
            if report.date_from > report.date_to:
                raise ValidationError(self.env._("A time ends after it began."))
            if report.network:
                report._network()
            for name in (report.more_fields or "").split():
                try:
                    check_name(name)
                except ValueError:
                    raise ValidationError(self.env._("“%(name)s” stands for no name of a field.", name=name)) from None

    def _network(self):
        try:
            return parse_network(self.network or "")
        except ValueError:
            raise ValidationError(
                self.env._(
                    "“%(network)s” is no network. Write an address or CIDR, such as 203.0.113.7 or 10.0.0.0/8.",
                    network=self.network or "",
                )
            ) from None

    # ------------------------------------------------------------------ making

    def action_make(self):
        """Read the log, and keep what it tells for the screen and the files. Making a report is an entry."""
        self.ensure_one()
        if not self.env.su and not self.env.user.has_group("api_guard.group_auditor"):
            raise AccessError(self.env._("Only auditors of API Guard make reports."))
        self._enter()
        found = json.dumps(self._found(), ensure_ascii=False)
        self.sudo().content = found
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Breach Report"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "current",
        }

    @api.depends("subject")
    def _compute_display_name(self):
        self.display_name = self.env._("Breach Report")

    def action_xlsx(self):
        return self._download("xlsx")

    def action_pdf(self):
        return self._download("pdf")

    def action_open_entries(self):
        """The calls of the report in the log."""
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_audit_entry"),
            "domain": list(self._domain()),
            "context": {},
        }

    def _download(self, kind):
        self.ensure_one()
        if not self.content:
            raise UserError(self.env._("Make the report first."))
        name = f"breach-report-{fields.Datetime.now():%Y-%m-%d-%H%M}.{kind}"
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{self._name}/{self.id}/{kind}/{name}?download=true",
            "target": "download",
        }

    def _enter(self):
        asked = {"of": self.subject, "from": str(self.date_from), "until": str(self.date_to)}
        asked |= {"key": self.credential_id.id, "user": self.user_id.id, "network": self.network}
        with beside(self.env.registry) as cr:
            self.env["api.audit.entry"]._append_event(
                cr.execute,
                self._name,
                "make",
                kind="read",
                operation="read",
                request_id=token_hex(10),
                user_id=self.env.uid,
                login=self.env.user.sudo().login,
                arguments=json.dumps({name: value for name, value in asked.items() if value}),
            )

    def _domain(self):
        """The entries that are asked for, refused and failed calls among them."""
        time = Domain("occurred_at", ">=", self.date_from) & Domain("occurred_at", "<=", self.date_to)
        if self.subject == "key":
            if not self.credential_id:
                raise UserError(self.env._("Choose a key."))
            return time & Domain("credential_id", "=", self.credential_id.id)
        if self.subject == "user":
            if not self.user_id:
                raise UserError(self.env._("Choose a user."))
            return time & Domain("user_id", "=", self.user_id.id)
        network = self._network()
        peers = self.env["api.audit.entry"]._read_group(time & Domain("peer", "!=", False), ["peer"])
        return time & Domain("peer", "in", [peer for (peer,) in peers if contains([network], ip_address(peer))])

    def _found(self):
        entries = self.env["api.audit.entry"]
        domain = self._domain()
        allowed = domain & Domain("outcome", "=", "allowed") & Domain("door", "!=", "internal")
        ids = entries.search(allowed, limit=MAX_ENTRIES + 1).ids
        calls, told, changed, untold = [], [], {}, Counter()
        for row in self._rows(ids[:MAX_ENTRIES]):
            if row["kind"] == "write" and row["record_count"]:
                change = changed.setdefault(row["model"] or "", [0, 0])
                change[0] += 1
                change[1] += row["record_count"]
            if not (row["read_ids"] or row["read_fields"] or (row["row_count"] and row["kind"] == "read")):
                if "execute" in (row["operation"] or ""):
                    untold[f"{row['model']}: {row['method']}"] += 1
                continue
            told.append((row["model"] or "", row["read_ids"], row["read_fields"], row["row_count"] or 0))
            if len(calls) < MAX_CALLS:
                calls.append(self._line(row))
        exposures = add_up(told)
        persons, gone, unnamed = self._persons(exposures)
        return {
            "entries": min(len(ids), MAX_ENTRIES),
            "is_cut": len(ids) > MAX_ENTRIES,
            "refused": entries.search_count(domain & Domain("outcome", "!=", "allowed")),
            "told": len(told),
            "records": sum(exposure.records for exposure in exposures),
            "models": [self._model_row(exposure) for exposure in exposures],
            "persons": persons,
            "gone": gone,
            "unnamed": unnamed,
            "changed": [[model, *counts] for model, counts in sorted(changed.items())],
            "untold": untold.most_common(50),
            "calls": calls,
            "dropped": self._dropped(),
            "first": self._first_entry(),
        }

    def _rows(self, ids):
        for page in split_every(_PAGE, ids):
            entries = self.env["api.audit.entry"].browse(page)
            entries.fetch(_LISTED)
            for entry in entries:
                yield {name: entry[name] for name in _LISTED}
            entries.invalidate_recordset()

    @api.model
    def _line(self, row):
        return [
            str(row["occurred_at"]), row["request_id"], row["model"] or "", row["method"] or "", row["read_ids"] or "",
            row["read_fields"] or "", row["row_count"] or 0, row["peer"] or "",
        ]  # fmt: skip

    def _model_row(self, exposure):
        named = (self.more_fields or "").split()
        is_shown = exposure.model in self.env["api.audit.entry"]._shown_models()
        known = self.env["ir.model"].sudo()._get(exposure.model) if exposure.model in self.env else None
        return {
            "model": exposure.model,
            "label": (known and known.name) or exposure.model,
            "calls": exposure.calls,
            "rows": exposure.rows,
            "records": exposure.records,
            "is_whole": exposure.is_whole and not exposure.untold,
            "untold": exposure.untold,
            "is_shown": is_shown,
            "ids": written(islice(exposure.ranges, 2000)),
            "fields": list(exposure.fields) + ([] if exposure.has_all_fields else ["…"]),
            "personal": personal_fields(exposure.model, exposure.fields, named),
        }

    def _persons(self, exposures):
        """Whose data went out: (names by model, how many records are gone, how many persons have no place here)."""
        persons, gone, named = {}, 0, (self.more_fields or "").split()
        for exposure in exposures:
            if not exposure.ranges or not personal_fields(exposure.model, exposure.fields, named):
                continue
            if exposure.model not in self.env or self.env[exposure.model]._abstract:
                continue
            if not self.env[exposure.model].has_access("read"):
                continue
            ids = exposure.ids(MAX_IDS)
            records = self.env[exposure.model].with_context(active_test=False).search([("id", "in", ids)])
            gone += len(ids) - len(records)
            for person in self._persons_of(records):
                persons.setdefault((person._name, person.id), person)
        found = [[model, number, person.display_name] for (model, number), person in persons.items()]
        return sorted(found, key=lambda row: row[2] or "")[:MAX_PERSONS], gone, max(0, len(found) - MAX_PERSONS)

    @api.model
    def _persons_of(self, records):
        """The persons of whom these records tell: contacts where there are any, or the records themselves."""
        if records._name == "res.partner":
            return records
        for name in ("partner_id", "work_contact_id"):
            field = records._fields.get(name)
            if field and field.comodel_name == "res.partner" and records._has_field_access(field, "read"):
                partners = records[name]._filtered_access("read")
                if partners:
                    return partners
        return records if records._name in PEOPLE else records.browse()

    def _dropped(self):
        """How many entries of that time retention has taken. 0 also where nothing is ever taken."""
        if "api.audit.drop" not in self.env:
            return 0
        overlapping = [("starts", "<=", self.date_to), ("ends", ">=", self.date_from)]
        [(count,)] = self.env["api.audit.drop"].sudo()._read_group(overlapping, [], ["entry_count:sum"])
        return int(count or 0)

    def _first_entry(self):
        """Since when there are entries, if that is later than what is asked for."""
        first = self.env["api.audit.entry"].search([], order="occurred_at, id", limit=1).occurred_at
        return str(first) if first and first > self.date_from else None

    # ------------------------------------------------------------------- telling

    def _told(self):
        """What the screen and the files show."""
        content = json.loads(self.content)
        return {
            **content,
            "of": self._subject_in_words(),
            "from": self._time(self.date_from),
            "until": self._time(self.date_to),
            "noticed": self.noticed_at and self._time(self.noticed_at),
            "due": self.due_at and self._time(self.due_at),
            "made": self._time(fields.Datetime.now()),
            "by": self.env.user.name,
            "nature": self.nature or "",
            "consequences": self.consequences or "",
            "measures": self.measures or "",
            "contact": self.contact or "",
            "categories": self._categories(content),
            "caveats": self._caveats(content),
        }

    def _time(self, value):
        local = fields.Datetime.context_timestamp(self, value)
        return f"{local:%Y-%m-%d %H:%M} {local.tzname()}"

    def _subject_in_words(self):
        if self.subject == "key":
            key = self.credential_id
            return self.env._(
                "the key “%(key)s” of %(user)s", key=key.display_name, user=key.sudo().user_id.name or "?"
            )
        if self.subject == "user":
            return self.env._("the user %(user)s", user=self.user_id.display_name)
        return self.env._("the network %(network)s", network=self.network)

    def _categories(self, content):
        """The kinds of records that tell of persons, with the fields that do."""
        return [
            f"{row['label']} ({row['model']}): {', '.join(row['personal'])}"
            for row in content["models"]
            if row["personal"]
        ]

    def _caveats(self, content):
        """What the log cannot tell, so that nobody takes a number for more than it is."""
        told = []
        if any(not row["is_whole"] for row in content["models"]):
            told.append(
                self.env._(
                    "Numbers of records are at least so many where a call read more records than its entry lists, or "
                    "told of records without naming them, as sums and groups do."
                )
            )
        if hidden := [row["label"] for row in content["models"] if not row["is_shown"]]:
            told.append(
                self.env._(
                    "You may not read these models, so that their records are counted by answers only and nobody is "
                    "named: %(models)s. Somebody who may read them gets the whole report.",
                    models=", ".join(hidden),
                )
            )
        if content["untold"]:
            told.append(
                self.env._(
                    "%(count)s calls ran methods whose answers the log does not understand: %(methods)s.",
                    count=sum(count for _name, count in content["untold"]),
                    methods=", ".join(f"{name} ({count})" for name, count in content["untold"][:10]),
                )
            )
        if content["gone"]:
            told.append(
                self.env._(
                    "%(count)s records that were read are deleted, or not yours to read: their persons are not named.",
                    count=content["gone"],
                )
            )
        if content["unnamed"]:
            told.append(self.env._("%(count)s more persons have no place in this list.", count=content["unnamed"]))
        if content["dropped"]:
            told.append(
                self.env._(
                    "Retention has taken %(count)s entries of this time, of whatever key: what they told is not here.",
                    count=content["dropped"],
                )
            )
        if content["first"]:
            told.append(self.env._("The log holds nothing from before %(time)s (UTC).", time=content["first"]))
        if content["is_cut"]:
            told.append(
                self.env._("Only the last %(count)s calls were looked at: choose a shorter time.", count=MAX_ENTRIES)
            )
        return [
            *told,
            self.env._(
                "Persons are those that records belong to today. Which fields are personal is told by their names: "
                "look through the list of fields."
            ),
            self.env._("The log tells of programs' calls, not of what somebody saw in the web client."),
        ]

    @api.model
    def _words(self):
        """The words of the files."""
        return {
            "title": self.env._("Breach Report"),
            "question": self.env._("Calls of %(of)s, from %(from)s until %(until)s"),
            "made": self.env._("Made on %(made)s by %(by)s"),
            "noticed": self.env._("Became aware: %(noticed)s. Notice due (72 hours): %(due)s."),
            "nature": self.env._("1. Nature of the breach"),
            "persons": self.env._("2. Persons concerned"),
            "records": self.env._("3. Records concerned"),
            "consequences": self.env._("4. Likely consequences"),
            "measures": self.env._("5. Measures taken or proposed"),
            "contact": self.env._("6. Contact"),
            "caveats": self.env._("7. What the log cannot tell"),
            "calls": self.env._("8. The calls"),
            "person_count": self.env._("About %(count)s persons are known by name."),
            "record_count": self.env._("%(calls)s calls told of data, of at least %(records)s different records."),
            "refused": self.env._("%(refused)s more calls were refused or failed, and told of nothing."),
            "categories": self.env._("Categories of personal data:"),
            "changed": self.env._("Changed through these calls"),
            "to_fill": self.env._("(to be filled in)"),
            "summary": self.env._("Summary"),
            "model_columns": [
                self.env._("Model"), self.env._("Name"), self.env._("Calls"), self.env._("Rows in answers"),
                self.env._("Different records"), self.env._("Is that all?"), self.env._("Personal fields"),
                self.env._("All fields"), self.env._("IDs"),
            ],
            "person_columns": [self.env._("Name"), self.env._("Model"), self.env._("ID")],
            "call_columns": [
                self.env._("Time (UTC)"), self.env._("Request ID"), self.env._("Model"), self.env._("Method"),
                self.env._("IDs"), self.env._("Fields"), self.env._("Rows"), self.env._("From"),
            ],
            "changed_columns": [self.env._("Model"), self.env._("Calls"), self.env._("Records")],
            "sheets": [
                self.env._("Summary"), self.env._("Models"), self.env._("Persons"), self.env._("Calls"),
                self.env._("Changes"),
            ],
            "yes": self.env._("yes"),
            "at_least": self.env._("at least"),
            "more": self.env._("… and %(count)s more: see the spreadsheet."),
        }  # fmt: skip
