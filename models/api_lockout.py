"""Lockouts: who has to wait after wrong secrets, on every door that takes one.

`core.lockout` decides; the store of the counters remembers, for all workers and hosts. What
people see and lift is a row here for each lock: written when one begins, never asked at a call.
"""

import logging
from datetime import datetime, timedelta, timezone
from secrets import token_hex

from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..core.lockout import HOUR, Kind, Rule, State, Subject, attempt
from ..core.network import contains, readable_networks
from ..core.verdict import Deny, Reason
from ..seams.beside import beside
from ..stores.local import LocalStore
from ..stores.store import StoreDown, Swap
from .api_limiter import network_of

#: one line for each secret that was refused, in words that stay: fail2ban reads it (docs/lockouts.md). Nothing in
#: it is the caller's own text, and the address comes first.
_failures = logging.getLogger("odoo.addons.api_guard.authentication")

KNOWN_SECONDS = 30 * 24 * HOUR
_TRIES = 20
_MAX_LOGIN = 200
_DEFAULTS = {"lockout_failures": 5, "lockout_network_failures": 50, "lockout_minutes": 60, "lockout_hours": 24}
_UNKNOWN = "unknown"


def rules(settings):
    """{Kind: Rule} of the settings; a setting that makes no sense counts as its default."""
    given = {name: _number(settings.get(f"api_guard.{name}"), default) for name, default in _DEFAULTS.items()}
    longest, forget = given["lockout_minutes"] * 60.0, given["lockout_hours"] * HOUR
    one = Rule(given["lockout_failures"], 60.0, max(60.0, longest), max(60.0, forget))
    network = Rule(given["lockout_network_failures"], window=HOUR)
    return {kind: network if kind is Kind.NETWORK else one for kind in Kind}


def _number(text, default):
    try:
        number = int(text)
    except (TypeError, ValueError):
        return default
    return number if number >= 0 else default


class ApiLockout(models.Model):
    _name = "api.lockout"
    _inherit = ["api.guard.configuration"]
    _description = "API Lockout"
    _log_access = False
    _order = "locked_at desc, id desc"

    kind = fields.Selection(selection="_selection_kind", string="What is locked", required=True, readonly=True)
    network = fields.Char("From", required=True, readonly=True)
    name = fields.Char("Login or key", readonly=True)
    peer = fields.Char("Address", readonly=True, help="Of the last attempt that led to it.")
    door = fields.Selection(selection="_selection_door", readonly=True)
    failures = fields.Integer("Wrong secrets", readonly=True, aggregator="max")
    locks = fields.Integer("Locks in a row", readonly=True, aggregator="sum")
    locked_at = fields.Datetime("Locked", required=True, readonly=True)
    locked_until = fields.Datetime("Until", required=True, readonly=True)
    unlocked_at = fields.Datetime("Unlocked", readonly=True)
    unlocked_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
    request_id = fields.Char("Request ID", readonly=True)
    is_locked = fields.Boolean("Locked now", compute="_compute_is_locked", search="_search_is_locked")
    user_id = fields.Many2one("res.users", compute="_compute_user_id")

    _subject_unique = models.UniqueIndex("(kind, network, name)")

    # ----------------------------------------------------------------- at a call

    @classmethod
    def _begin(cls, registry, settings, subjects, peer):
        """Count an attempt of `subjects` before its secret is looked at: an `Attempt`, whose `deny` may end it."""
        found = Attempt(registry, settings, subjects, peer)
        found.begin()
        return found

    @classmethod
    def _begin_master(cls, registry, exchange):
        """The same for the master password, which belongs to no database: this one keeps the server's counters."""
        with beside(registry) as cr:
            identity = registry["api.identity"]._nobody(cr)
        peer = exchange.locate(registry["api.guard"]._trusted(identity))
        return cls._begin(registry, identity.settings, [cls._subject(Kind.MASTER, peer)], peer)

    @classmethod
    def _subject(cls, kind, peer, name=""):
        network = network_of(peer)
        text = str(name)[:_MAX_LOGIN].encode("utf-8", "replace").decode().replace("\0", "")
        return Subject(kind, str(network) if network else _UNKNOWN, text.strip().casefold())

    @classmethod
    def _tell_failure(cls, exchange, reason, peer):
        """The line that fail2ban reads."""
        door = exchange.door.value if exchange else "-"
        request_id = exchange.request_id if exchange else "-"
        _failures.warning(
            "API Guard: authentication failed from %s (reason=%s door=%s request=%s)",
            peer or _UNKNOWN, reason.value, door, request_id,
        )  # fmt: skip

    @classmethod
    def _note(cls, registry, subject, state, wait, exchange, peer):
        """A lock has begun: a row for people, and an entry."""
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        door = exchange.door.value if exchange else None
        request_id = exchange.request_id if exchange else None
        with beside(registry) as cr:
            cr.execute(
                """INSERT INTO api_lockout AS known
                          (kind, network, name, peer, door, failures, locks, locked_at, locked_until, request_id)
                   VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                       ON CONFLICT (kind, network, name) DO UPDATE
                      SET peer = EXCLUDED.peer, door = EXCLUDED.door, failures = EXCLUDED.failures,
                          locks = GREATEST(EXCLUDED.locks, 1), locked_at = EXCLUDED.locked_at,
                          locked_until = EXCLUDED.locked_until, request_id = EXCLUDED.request_id,
                          unlocked_at = NULL, unlocked_by = NULL""",
                [
                    subject.kind.value, subject.network, subject.name, peer and str(peer), door, state.failures,
                    max(1, state.level), now, now + timedelta(seconds=wait), request_id,
                ],
            )  # fmt: skip
            cls._enter(registry, cr.execute, "lock", subject, exchange, peer)

    @classmethod
    def _enter(cls, registry, execute, method, subject, exchange=None, peer=None, uid=None, login=None):
        """A lock, or its end, is an entry of its own beside that of the call."""
        registry["api.audit.entry"]._append_event(
            execute,
            "api.lockout",
            method,
            request_id=(exchange and exchange.request_id) or token_hex(10),
            door=exchange.door.value if exchange else None,
            peer=peer and str(peer),
            user_id=uid,
            login=login or (subject.name if subject.kind is Kind.PAIR else None),
            arguments=f"{subject.kind.value}: {subject.network} {subject.name}".strip(),
        )

    # --------------------------------------------------------------------- lift

    def action_unlock(self):
        """Hold nothing against these any more."""
        if not self.env.su and not self.env.user.has_group("api_guard.group_manager"):
            raise AccessError(self.env._("Only API Guard managers unlock."))
        self._unlock()

    def _unlock(self):
        self.env["api.guard"]._require_configuration_right(self.env)
        registry, settings = self.env.registry, self.env["api.identity"]._nobody(self.env.cr).settings
        for lock in self.sudo():
            subject = Subject(Kind(lock.kind), lock.network, lock.name or "")
            Attempt(registry, settings, [subject], None).clear()
            self._enter(
                registry, self.env.cr.execute, "unlock", subject, uid=self.env.uid, login=self.env.user.sudo().login
            )
        self.sudo().filtered("is_locked").write({"unlocked_at": fields.Datetime.now(), "unlocked_by": self.env.uid})

    # ------------------------------------------------------------------ screens

    @api.model
    def _selection_kind(self):
        return [
            (Kind.PAIR.value, self.env._("A login, from one network")),
            (Kind.NETWORK.value, self.env._("A network")),
            (Kind.KEY.value, self.env._("A key, from one network")),
            (Kind.TOTP.value, self.env._("Codes of a user, from one network")),
            (Kind.DEVICE.value, self.env._("A browser")),
            (Kind.MASTER.value, self.env._("The master password, from one network")),
        ]

    @api.model
    def _selection_door(self):
        return self.env["api.audit.entry"]._selection_door()

    @api.depends("locked_until", "unlocked_at")
    def _compute_is_locked(self):
        now = fields.Datetime.now()
        for lock in self:
            lock.is_locked = bool(lock.locked_until and lock.locked_until > now and not lock.unlocked_at)

    def _search_is_locked(self, operator, value):
        if operator not in ("=", "!=", "in", "not in"):
            return NotImplemented
        values = set(value) if operator in ("in", "not in") else {value}
        wanted = (True in values) == (operator in ("=", "in"))
        now = [("locked_until", ">", fields.Datetime.now()), ("unlocked_at", "=", False)]
        return now if wanted else ["!", "&", *now]

    @api.depends("kind", "name")
    def _compute_user_id(self):
        """Whose login it is. Matched as it is counted: without regard to case."""
        for lock in self:
            users = self.env["res.users"].sudo().with_context(active_test=False)
            if lock.kind == Kind.PAIR.value and lock.name:
                lock.user_id = users.search([("login", "=ilike", _plain(lock.name))], limit=1)
            elif lock.kind == Kind.TOTP.value and (lock.name or "").isdigit():
                lock.user_id = users.browse(int(lock.name)).exists()
            else:
                lock.user_id = False

    @api.depends("kind", "network", "name")
    def _compute_display_name(self):
        for lock in self:
            lock.display_name = " · ".join(filter(None, (lock.name, lock.network)))

    def action_open_entries(self):
        """All that was refused from there."""
        domain = [("peer", "=", self.peer)]
        if self.name and self.kind == Kind.PAIR.value:
            domain = ["|", ("login", "=ilike", _plain(self.name)), *domain]
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("api_guard.action_api_audit_entry"),
            "domain": domain,
            "context": {},
        }

    @api.autovacuum
    def _gc_old(self):
        """Locks of long ago are in the audit log."""
        old = fields.Datetime.now() - timedelta(days=90)
        self.sudo().search([("locked_until", "<", old)]).unlink()


def _plain(text):
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


class Attempt:
    """One attempt, from before its secret is looked at until it is known whether it was right.

    `deny`: it has to wait, and its secret is not to be looked at.
    """

    def __init__(self, registry, settings, subjects, peer):
        self.registry, self.settings, self.peer = registry, settings, peer
        self.rules = rules(settings)
        # where nobody is locked out, nothing is counted
        trusted = readable_networks(settings.get("api_guard.lockout_trusted"))
        free = peer is not None and contains(trusted, peer)
        self.subjects = [] if free else [subject for subject in subjects if self.rules[subject.kind].threshold]
        self.counted = False  # beforehand, and to be given back
        self.deny = None
        self.now = 0.0
        self.states = {}

    def begin(self):
        """Count it, or find out that it has to wait."""
        if not self.subjects:
            return

        def change(states, now):
            wait, counted = attempt(states, self.rules, now)
            if wait:
                self.deny = Deny(Reason.TOO_MANY_FAILURES, wait=wait)
            self.counted = bool(counted)
            return counted

        if not self._change(change):
            self.deny = Deny(Reason.TOO_MANY_FAILURES, wait=1.0)

    def fail(self, exchange, reason=Reason.UNKNOWN_CREDENTIAL):
        """Its secret was wrong."""
        self.registry["api.lockout"]._tell_failure(exchange, reason, self.peer)
        if not self.subjects:
            return
        if not self.counted:
            self._change(
                lambda states, now: {s: state.failed(self.rules[s.kind], now) for s, state in states.items()}
            )
        for subject, state in self.states.items():
            rule = self.rules[subject.kind]
            wait = state.wait(rule, self.now)
            if wait and state.failures >= rule.threshold:  # and not for the pace of a network alone
                self.registry["api.lockout"]._note(self.registry, subject, state, wait, exchange, self.peer)

    def succeed(self):
        """Its secret was right: that clears the pair and the like, and what was counted of the network."""
        if self._cleared(self.states, self.now):  # most have nothing to write
            self._change(self._cleared)

    def _cleared(self, states, now):
        changed = {}
        for subject, state in states.items():
            if subject.kind is not Kind.NETWORK:
                known = now + KNOWN_SECONDS if subject.kind is Kind.PAIR else 0.0
                # once a day is enough to stay known
                if state.failures or state.known_until < known - 24 * HOUR:
                    changed[subject] = State(known_until=known)
            elif self.counted:
                changed[subject] = state.given_back(self.rules[subject.kind])
        return changed

    def clear(self):
        """Forget all that is held against them."""
        self._change(lambda states, _now: dict.fromkeys(states, State()))

    def _change(self, change):
        """Put what `change(states, now)` gives in place of the states. False: others kept coming first."""
        try:
            return self._change_in(self._store(), change)
        except StoreDown:
            # nobody may be kept out because a counter is: each process counts alone until the store is back
            return self._change_in(self.registry["api.limiter"]._local_store(self.registry), change)

    def _change_in(self, store, change):
        names = {subject.key: subject for subject in self.subjects}
        for _number in range(_TRIES):
            now, texts = self._asked(store, "load", list(names))
            known = {subject: State.from_text(texts.get(key)) for key, subject in names.items()}
            changed = change(known, now)
            self.now, self.states = now, {**known, **changed}
            swaps = [
                Swap(subject.key, texts.get(subject.key), _written(state), state.ends(self.rules[subject.kind]), now)
                for subject, state in changed.items()
            ]
            if not swaps or self._asked(store, "swap", swaps):
                return True
        return False

    def _asked(self, store, method, *arguments):
        if isinstance(store, LocalStore):
            return getattr(store, method)(*arguments)
        return self.registry["api.limiter"]._asked(self.registry, store, method, *arguments)

    def _store(self):
        return self.registry["api.limiter"]._store(self.registry, self.settings)


def _written(state):
    """None: there is nothing to remember."""
    return None if state == State() else state.to_text()
