"""Is the audit log what was sealed? One row for each time that somebody asked.

A verification goes through checkpoints, leaves and entries in parts, each committed with the place
that it reached: it goes on there after a cron that was stopped, holds little in memory, and shows
how far it is. A full one looks at everything; an incremental one at what was sealed since the last
that found nothing.
"""

from base64 import b64decode

from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..core.alert import Signal
from ..core.merkle import TILE
from . import log_check

CHECKPOINTS = 500  # in one part
TILES = 32
ENTRIES = 50_000
_FIRST = -(2**63)  # no id lies before
MAX_FAULTS = 100  # told of; all are counted
_FULL_EVERY = 7  # days
_GIVEN_UP = 24  # hours after which a command that left no end was killed
_PHASES = ("checkpoints", "leaves", "entries")


class ApiAuditVerify(models.Model):
    _name = "api.audit.verify"
    _inherit = ["api.guard.configuration"]
    _description = "Verification of the Audit Log"
    _log_access = False
    _order = "id desc"
    _rec_name = "started_at"

    is_full = fields.Boolean("Everything", readonly=True, help="Else what was sealed since the last good verification.")
    state = fields.Selection(
        [
            ("running", "Under way"),
            ("intact", "Intact"),
            ("broken", "Not what was sealed"),
            ("stopped", "Stopped"),
        ],
        required=True,
        readonly=True,
        default="running",
    )
    asked_by = fields.Selection(
        [("screen", "A person"), ("cron", "Every day"), ("command", "A command")], readonly=True, default="screen"
    )
    user_id = fields.Many2one("res.users", string="Asked by", readonly=True, ondelete="set null")
    started_at = fields.Datetime("Began", required=True, readonly=True, default=fields.Datetime.now)
    finished_at = fields.Datetime("Ended", readonly=True)
    phase = fields.Selection(
        [("checkpoints", "Checkpoints"), ("leaves", "Sealed entries"), ("entries", "Entries that are not sealed")],
        readonly=True,
        default="checkpoints",
    )
    place = fields.Json(readonly=True)
    pinned = fields.Char("Public keys that were given", readonly=True)
    entry_count = fields.Float("Entries compared", readonly=True, digits=(16, 0), aggregator=None)
    checkpoint_count = fields.Integer("Checkpoints", readonly=True, aggregator=None)
    fault_count = fields.Integer("Number of faults", readonly=True, aggregator=None)
    faults = fields.Json(readonly=True)
    remarks = fields.Json(readonly=True)
    progress = fields.Float("Done", readonly=True, digits=(5, 1), aggregator=None, help="In percent.")
    first_fault = fields.Text(compute="_compute_report")
    report = fields.Text(compute="_compute_report", help="The faults, the first ones if there are many.")
    advice = fields.Text(compute="_compute_report")

    # -------------------------------------------------------------------- ask

    @api.model
    def _begin(self, is_full, asked_by, pinned=None):
        """A new verification. An incremental one is full where no other went before.

        `pinned`: public keys that somebody has kept elsewhere, in base64; others are not believed.
        """
        start = None if is_full or pinned else self._start()
        values = {"is_full": not start, "asked_by": asked_by, "pinned": pinned, "user_id": self.env.uid}
        return self.create({**values, "place": start or {"head": None, "size": 0, "entry": _FIRST}})

    @api.model
    def _start(self):
        """From where an incremental one goes on; None: there is no such place."""
        last = self.search([("state", "=", "intact"), *self._not_ahead()], limit=1)
        return (last.place or {}).get("next")

    @api.model
    def _not_ahead(self):
        """A row that says it is of the future was written by somebody else, and stands for no verification."""
        return [("started_at", "<=", fields.Datetime.now())]

    def action_verify(self):
        """Verify what was sealed since the last time, in the background."""
        return self._ask(is_full=False)

    def action_verify_all(self):
        return self._ask(is_full=True)

    @api.model
    def _ask(self, is_full):
        if not self.env.su and not self.env.user.has_group("api_guard.group_auditor"):
            raise AccessError(self.env._("Only auditors and managers of API Guard verify the log."))
        self.env["api.guard"]._require_configuration_right(self.env)
        runs = self.sudo()
        same = [("is_full", "=", bool(is_full or not runs._start())), *self._not_ahead()]
        asked = runs._open_runs().filtered_domain(same)[:1] or runs._begin(is_full, "screen")
        self.env.ref("api_guard.cron_verify").sudo()._trigger()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Verification"),
            "res_model": self._name,
            "res_id": asked.id,
            "view_mode": "form",
            "views": [(False, "form")],
        }

    def action_refresh(self):
        """Look how far it is."""
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    @api.model
    def _cron_verify(self):
        """Go on with what was asked for; if nothing was, verify what came since yesterday, and once a week all."""
        self._give_up_killed()
        seconds, asked = float("inf"), self._next_run()
        while asked and seconds > 0:
            asked._step()
            left = self._open_runs()
            asked = left[:1]
            seconds = self.env["ir.cron"]._commit_progress(1, remaining=len(left))

    @api.model
    def _next_run(self):
        return self._open_runs()[:1] or self._due()

    @api.model
    def _open_runs(self):
        return self.search([("state", "=", "running"), ("asked_by", "!=", "command")], order="id")

    @api.model
    def _due(self):
        now = fields.Datetime.now()
        past = self._not_ahead()
        daily = [("asked_by", "=", "cron"), ("started_at", ">", fields.Datetime.subtract(now, hours=23)), *past]
        if self.search_count(daily, limit=1):
            return self.browse()
        weekly = [("is_full", "=", True), ("started_at", ">", fields.Datetime.subtract(now, days=_FULL_EVERY)), *past]
        return self._begin(not self.search_count(weekly, limit=1), "cron")

    @api.model
    def _give_up_killed(self):
        before = fields.Datetime.subtract(fields.Datetime.now(), hours=_GIVEN_UP)
        killed = [("state", "=", "running"), ("asked_by", "=", "command"), ("started_at", "<", before)]
        self.search(killed).write({"state": "stopped"})

    # ------------------------------------------------------------------- verify

    def _step(self):
        """Look at the next part, and move on."""
        getattr(self, f"_step_{self.phase}")()

    def _step_checkpoints(self):
        place, faults, remarks = dict(self.place), [], list(self.remarks or [])
        if not self.checkpoint_count and not self.faults:
            faults, unchecked = log_check.check_keys(self.env)
            remarks += [{"kind": "unchecked_key", "detail": name} for name in unchecked]
        head, behind = self._follow(place, faults, remarks)
        count = head.checkpoint.number if head else 0
        if not behind:
            if not any(fault["kind"] in ("checkpoint", "copy", "tile", "tiles") for fault in faults):
                faults += log_check.check_end(self.env, head)
                if unsigned := self._size() - (head.checkpoint.size if head else 0):
                    remarks.append({"kind": "unsigned", "count": unsigned})
            place |= {"head": log_check.head_to_json(head), "from": place["size"], "end": self._size()}
        else:
            place["head"] = log_check.head_to_json(head)
        self._note(faults, place, remarks=remarks, checkpoint_count=count, phase=None if behind else "leaves")

    def _follow(self, place, faults, remarks):
        """The head after the next checkpoints. What is wrong with them is added to `faults`."""
        head, keys = log_check.head_from_json(place["head"]), self._trusted()
        if place["head"] and not self._is_there(head):
            faults.append({"kind": "checkpoint", "checkpoint": head.checkpoint.number if head else 1, "detail": "gone"})
            return None, False
        found, head_after, behind = log_check.check_checkpoints(self.env, head, keys, CHECKPOINTS)
        faults += found
        remarks += log_check.remarks_on(self.env, head, head_after)
        return head_after, behind

    def _trusted(self):
        """The public keys that are believed: those that were given, and none that the database keeps; or all of it."""
        if self.pinned:
            return [b64decode(key) for key in self.pinned.split()]
        return [key._public() for key in self.env["api.audit.key"].sudo().search([], order="id")]

    def _is_there(self, head):
        """Is the checkpoint at which the last verification ended still the same?"""
        last = head and self.env["api.audit.checkpoint"].browse(head.checkpoint.number).exists()
        return bool(last) and last.body.encode() == head.checkpoint.body()

    def _step_leaves(self):
        place = dict(self.place)
        since, size = place["from"], place["end"]
        number = place.get("tile", since // TILE)
        faults, count = log_check.check_leaves(self.env, number, TILES, size, since)
        place["tile"] = number + TILES
        is_through = place["tile"] * TILE >= size
        done = min(place["tile"] * TILE, size) - since
        progress = 100.0 if is_through else 100.0 * done / max(size - since, 1)
        values = {"entry_count": self.entry_count + count, "progress": min(progress, 99.0)}
        self._note(faults, place, phase="entries" if is_through else None, **values)

    def _step_entries(self):
        place = dict(self.place)
        faults, at = log_check.check_entries(self.env, place["entry"], ENTRIES)
        if at is not None:
            self._note(faults, place | {"entry": at})
            return
        self._note(faults + log_check.check_drops(self.env), place)
        self._finish()

    def _size(self):
        self.env.cr.execute("SELECT size FROM api_audit_seal")
        return self.env.cr.fetchone()[0]

    def _note(self, faults, place, phase=None, **values):
        kept = [*(self.faults or []), *faults][:MAX_FAULTS]
        values |= {"faults": kept, "fault_count": self.fault_count + len(faults), "place": place}
        self.write({**values, "phase": phase or self.phase})

    def _finish(self):
        state = "broken" if self.fault_count else "intact"
        place = dict(self.place)
        if not self.fault_count:
            place["next"] = {"head": place["head"], "size": place["end"], "entry": self._first_open_id()}
        self.write({"state": state, "finished_at": fields.Datetime.now(), "progress": 100.0, "place": place})
        if self.fault_count:
            self.env["api.alert"]._raise(self.env.cr, Signal.LOG_BROKEN, detail=self.first_fault)

    def _first_open_id(self):
        """From which entry on the next incremental verification looks for what is in no leaf."""
        self.env.cr.execute("SELECT COALESCE(max(upper(span)) - 1, 0) FROM api_audit_leaf_block")
        return self.env.cr.fetchone()[0]

    def _run(self, told=None):
        """All of it, committed part by part. `told`: called with this record after each."""
        while self.state == "running":
            self._step()
            self.env.cr.commit()  # pylint: disable=invalid-commit
            if told:
                told(self)

    def _as_json(self):
        """The same for machines."""
        faults = sorted(self.faults or [], key=_rank)
        return {
            "result": self.state,
            "full": self.is_full,
            "entries": int(self.entry_count),
            "checkpoints": self.checkpoint_count,
            "fault_count": self.fault_count,
            "faults": [{**fault, "sentence": self._sentence(fault)} for fault in faults],
            "remarks": [{**remark, "sentence": self._remark(remark)} for remark in self.remarks or []],
        }

    # ----------------------------------------------------------------- screens

    @api.depends("faults", "remarks", "state")
    def _compute_report(self):
        for run in self:
            faults = sorted(run.faults or [], key=_rank)
            sentences = [run._sentence(fault) for fault in faults]
            remarks = [run._remark(remark) for remark in run.remarks or []]
            run.first_fault = sentences[0] if sentences else ""
            run.report = "\n".join([*sentences, *remarks])
            run.advice = run._advice(faults)

    def _advice(self, faults):
        if not faults:
            return ""
        return self.env._(
            "Somebody with access to the database did this: Odoo itself cannot. Keep a copy of the database as it is, "
            "compare the entry with an archive or a backup from before, and look who had access."
        )

    def _sentence(self, fault):
        """A fault in words."""
        told = dict.fromkeys(("leaf", "entry", "checkpoint", "number", "first", "last", "detail")) | fault
        if fault["kind"] == "checkpoint":
            return self._broken_chain(told["checkpoint"], told["detail"])
        return {
            "changed": self.env._("Entry %(entry)s was changed after it was sealed (leaf %(leaf)s).", **told),
            "removed": self.env._("Entry %(entry)s was removed after it was sealed (leaf %(leaf)s).", **told),
            "reordered": self.env._(
                "Entry %(entry)s does not stand where it was sealed (leaf %(leaf)s): entries were reordered.", **told
            ),
            "inserted": self.env._(
                "Entry %(entry)s was inserted: it claims to be older than entries that are sealed, and is not sealed.",
                **told,
            ),
            "block": self.env._("Which entries the leaves %(first)s to %(last)s belong to was removed.", **told),
            "tile": self.env._(
                "The hashes of the leaves %(first)s to %(last)s are not those that were sealed: one of these entries "
                "may have been changed together with its hash.",
                **told,
            ),
            "tiles": self.env._(
                "The tree is not the one that checkpoint %(checkpoint)s stands for: among the leaves %(first)s to "
                "%(last)s, something was changed together with all hashes above it.",
                **told,
            ),
            "drop": self.env._(
                "That a rule dropped entries (no. %(number)s) is told by no entry: somebody may have deleted them.",
                **told,
            ),
            "copy": self.env._("What checkpoint %(checkpoint)s shows is not what was signed.", **told),
            "cut": self.env._("%(last)s entries were sealed and signed, and only %(first)s are there.", **told),
            "key": self.env._("The signing key %(detail)s is not the one that was made here.", **told),
        }[fault["kind"]]

    def _broken_chain(self, number, code):
        """How a checkpoint does not follow from the one before, by its code (core.checkpoint.Break)."""
        texts = {
            "malformed": self.env._("The text of checkpoint %(number)s was changed: it cannot be read.", number=number),
            "signature": self.env._("Checkpoint %(number)s was changed: its signature does not fit.", number=number),
            "key": self.env._("Checkpoint %(number)s is signed with a key that nobody vouches for.", number=number),
            "origin": self.env._("Checkpoint %(number)s belongs to another log.", number=number),
            "number": self.env._("Checkpoint %(number)s was removed.", number=number),
            "gone": self.env._(
                "Checkpoint %(number)s is not the one that the verification before has seen.", number=number
            ),
        }
        return texts.get(code) or self.env._(
            "Checkpoint %(number)s does not follow from the one before: one of the two was replaced.", number=number
        )

    def _remark(self, remark):
        """What a reader should know, and is no fault."""
        number, detail = remark.get("checkpoint"), remark.get("detail")
        return {
            "unchecked_key": self.env._(
                "The signing key %(key)s cannot be opened with the vault's key of this server. That it is the one that "
                "was made here is not checked.",
                key=detail,
            ),
            "unsigned": self.env._("%(count)s sealed entries are not signed yet.", count=remark.get("count")),
            "restored": self.env._("From checkpoint %(number)s on, the log went on in a restored copy.", number=number),
            "key lost": self.env._(
                "From checkpoint %(number)s on, another key signs, and the one before did not say so: it was lost.",
                number=number,
            ),
        }.get(remark["kind"], self.env._("Checkpoint %(number)s notes: %(note)s", number=number, note=detail))


def _rank(fault):
    """What says most comes first; of entries, the first sealed."""
    return log_check.KINDS.index(fault["kind"]), fault.get("leaf") or 0, fault.get("entry") or 0
