"""Rotation: a key is replaced by its successor without a moment in which neither works.

The successor has its predecessor's name, owner, policies and lineage. Both work until the
successor is used for the first time; from then on the predecessor has a grace, and retires by
itself. Whoever asks again before that first use is told the same secret, so that two workers of a
client, or one whose answer was lost, end up with one successor: the secret is derived from the
predecessor's own and from a nonce that is kept no longer than this takes.
"""

import os
from datetime import timedelta

from odoo import api, fields, models
from odoo.addons.base.models.res_users import check_identity
from odoo.exceptions import UserError
from odoo.tools import SQL, format_datetime

from ..core.alert import Signal
from ..core.lifetime import first_deadline
from ..core.secret import derive_secret
from .api_credential import TODO

DEFAULT_GRACE_HOURS = 24.0
_NONCE_BYTES = 32
_MAX_FAMILY = 200  # relatives that the tree shows
_COLORS = {"active": "success", "pending": "warning", "suspended": "warning", "revoked": "danger"} | dict.fromkeys(
    ("retired", "expired"), "secondary"
)


class ApiCredential(models.Model):
    _inherit = "api.credential"

    lineage_id = fields.Integer("First of its line", readonly=True, index=True, help="Empty: this key itself.")
    predecessor_id = fields.Many2one(
        "api.credential", string="Replaces", readonly=True, index=True, ondelete="restrict"
    )
    successor_id = fields.Many2one("api.credential", string="Replaced by", readonly=True, ondelete="restrict")
    succeeded_at = fields.Datetime("Successor first used", readonly=True)
    made_by_key = fields.Boolean("Made by its predecessor itself", readonly=True)
    retires_at = fields.Datetime("Retires", readonly=True, help="From then on its successor alone is accepted.")
    grace_seconds = fields.Integer(readonly=True)
    rotate_by = fields.Datetime(
        "Rotate by", readonly=True, tracking=True, help="A deadline for this key alone, besides its policies'."
    )
    rotation_deadline = fields.Datetime(compute="_compute_rotation_deadline")
    can_rotate = fields.Boolean(compute="_compute_can_rotate")
    can_revoke = fields.Boolean(compute="_compute_can_rotate")
    family = fields.Html(compute="_compute_family", sanitize=False)

    @api.depends("rotate_by", "policy_id.document", "key_created_at", "successor_id")
    def _compute_rotation_deadline(self):
        for credential in self:
            credential.rotation_deadline = credential._deadline() if credential._may_be_rotated() else False

    @api.depends_context("uid")
    @api.depends("status", "successor_id")
    def _compute_can_rotate(self):
        is_manager = self.env.user.has_group("api_guard.group_manager")
        for credential in self:
            is_theirs = self._is_theirs(credential)
            credential.can_rotate = is_theirs and credential.status == "active" and not credential._heir()
            credential.can_revoke = bool(credential.apikey_id) and (is_theirs or is_manager)

    @api.depends("parent_id", "child_ids", "successor_id", "status")
    def _compute_family(self):
        for credential in self:
            rows = list(credential._family_rows())
            credential.family = len(rows) > 1 and self.env["ir.qweb"]._render("api_guard.family", {"rows": rows})

    def _family_rows(self):
        """All relatives of this key that the reader may see, as a tree: each with how deep it stands, and why."""
        statuses = dict(self._fields["status"]._description_selection(self.env))
        for key, depth, relation in self._line_head()._descend(0, ""):
            yield {
                "id": key.id,
                "name": key.name,
                "depth": depth,
                "relation": {"next": self.env._("replaced it on"), "child": self.env._("made with it on")}.get(
                    relation, self.env._("made on")
                ),
                "icon": {"next": "fa-refresh", "child": "fa-code-fork"}.get(relation, "fa-key"),
                "created": key.key_created_at and format_datetime(self.env, key.key_created_at, dt_format="short"),
                "status": statuses[key.status],
                "color": _COLORS[key.status],
                "is_self": key == self._origin or key == self,
            }

    def _line_head(self):
        """The first key of this key's family: up through parents and predecessors."""
        head, seen = self, set()
        while (above := head.predecessor_id or head.parent_id) and above.id not in seen:
            seen.add(above.id)
            head = above
        return head

    def _descend(self, depth, relation, most=_MAX_FAMILY):
        """This key and all below it: (key, depth, how it came to be)."""
        stack, found = [(self, depth, relation)], 0
        while stack and found < most:
            key, depth, relation = stack.pop()
            yield key, depth, relation
            found += 1
            children = key.child_ids.filtered(lambda child: not child.predecessor_id).sorted("id", reverse=True)
            stack += [(child, depth + 1, "child") for child in children]
            stack += [(heir, depth, "next") for heir in self.search([("predecessor_id", "=", key.id)], order="id desc")]

    def _may_be_rotated(self):
        """Is this a key that works, and that nothing has replaced yet?"""
        return bool(self.apikey_id) and self.status in ("active", "pending", "suspended") and not self._heir()

    def _deadline(self):
        """The first of all moments by which this key has to be replaced; naive UTC, as Odoo's are, or None."""
        rotations = [policy.rotation for policy in self._policies() if policy.rotation]
        return first_deadline(self.key_created_at or fields.Datetime.now(), rotations, self.rotate_by or None)

    def _heir(self):
        """The successor, as long as it is there: a revoked one makes room for another."""
        return self.successor_id.filtered(lambda successor: successor.state != "revoked")

    # ------------------------------------------------------------------ rotate

    def _rotate(self, presented=None, retires_at=None):
        """Make the successor of this key. Returns (secret, successor); the secret is None where it was told before.

        `presented`: the key's own secret, if it was the key that asked. `retires_at`: a moment of
        retirement that was chosen, whether the successor is used by then or not.
        """
        self.ensure_one()
        self._lock_for_rotation()
        if heir := self._heir():
            return self._told_again(presented), heir
        if self.status != "active":
            raise UserError(
                self.env._(
                    "“%(key)s” is not active: nothing is left of it that a rotation could hand on.", key=self.name
                )
            )
        if presented and self.succeeded_at:
            raise UserError(
                self.env._(
                    "“%(key)s” was replaced, and its successor was revoked: only a person can replace it once more.",
                    key=self.name,
                )
            )
        nonce = os.urandom(_NONCE_BYTES)
        secret, successor = self._make_successor(derive_secret(presented, nonce) if presented else None)
        former = self.successor_id
        self._set_raw(
            successor_id=successor.id,
            rotation_nonce=nonce if presented else None,
            grace_seconds=round(self._grace_hours() * 3600),
            retires_at=min(filter(None, (self.retires_at, retires_at)), default=None),  # what was settled stays
        )
        if former.child_ids:  # what a revoked successor had taken over
            former.child_ids._set_raw(parent_id=successor.id)
        self._after_rotation(successor)
        return secret, successor

    def _lock_for_rotation(self):
        """Two who rotate at once are one after the other: the second finds the successor, or is repeated by Odoo."""
        self.env.cr.execute(SQL("SELECT FROM api_credential WHERE id = %s FOR UPDATE", self.id))
        self.invalidate_recordset()

    def _told_again(self, presented):
        """The successor's secret once more, for the key that asked for it, until the successor is in use."""
        self.env.cr.execute(SQL("SELECT rotation_nonce FROM api_credential WHERE id = %s", self.id))
        [nonce] = self.env.cr.fetchone()
        if not presented or nonce is None or self.succeeded_at:
            return None
        return derive_secret(presented, bytes(nonce))

    def _make_successor(self, secret):
        keys = self.env["res.users.apikeys"].with_user(self.user_id).sudo()
        told, successor = keys._make(
            self.key_scope or None,
            self.name,
            self._successor_expiration(by_key=secret is not None),
            secret,
            policy_id=self.policy_id.id,
            bound_policy_id=self.bound_policy_id.id,
            parent_id=self.parent_id.id,
            provisioned_by_id=self.provisioned_by_id.id,
            predecessor_id=self.id,
            made_by_key=secret is not None,
            lineage_id=self.lineage_id or self.id,
        )
        return told, successor.with_env(self.env)

    def _successor_expiration(self, by_key):
        """When the successor expires: after as long a life as its predecessor's.

        A key that rotates itself would so outlive the date that a person has set for it, or the age that
        a policy allows, if no policy asks for rotations: then those stay.
        """
        policies = self._policies()
        if by_key and not any(policy.rotation for policy in policies):
            ages = [self.key_created_at + timedelta(days=p.max_age_days) for p in policies if p.max_age_days]
            return min([*ages, *filter(None, [self.expires_at])], default=None)
        return self.expires_at and fields.Datetime.now() + (self.expires_at - self.key_created_at)

    def _grace_hours(self):
        """The shortest grace that the policies of this key allow."""
        graces = self._governing().filtered("rotation_days").mapped("grace_hours")
        return min(graces, default=DEFAULT_GRACE_HOURS)

    def _after_rotation(self, successor):
        """What a rotation has settled, nobody has to be reminded of; the history of both keys tells of it."""
        key = self.sudo()
        key._message_log(body=self.env._("Replaced by a successor."))
        successor.sudo()._message_log(body=self.env._("Made to replace “%(key)s”.", key=key.name))
        self.sudo().activity_unlink([TODO])

    # -------------------------------------------------------------- first use

    @classmethod
    def _write_succession(cls, cr, predecessor_id):
        """The successor of this key was used for the first time: the grace begins, and children change hands."""
        cr.execute(
            """WITH retiring AS (
                   UPDATE api_credential
                      SET succeeded_at = date_trunc('second', now() AT TIME ZONE 'utc'),
                          retires_at = COALESCE(retires_at, date_trunc('second', now() AT TIME ZONE 'utc')
                                                            + make_interval(secs => grace_seconds)),
                          rotation_nonce = NULL
                    WHERE id = %s AND succeeded_at IS NULL
                RETURNING id, successor_id)
               UPDATE api_credential child SET parent_id = retiring.successor_id
                 FROM retiring WHERE child.parent_id = retiring.id""",
            [predecessor_id],
        )

    @classmethod
    def _react_to_retired(cls, cr, exchange):
        """A key was used that its successor has replaced: somebody kept it. Tell, and suspend its line if so wished."""
        identity = exchange.identity
        cr.execute(
            "SELECT 1 FROM api_policy"
            " WHERE id::text = ANY(%s) AND on_retired_use = 'suspend' AND mode = 'enforce' LIMIT 1",
            [list(identity.policy_ids)],
        )
        suspends = cr.fetchone() is not None
        if suspends:
            cls._suspend_line(cr, identity.lineage_id, "family")
        exchange.registry["api.alert"]._raise(
            cr,
            Signal.KEY_RETIRED_USED,
            credential_id=identity.credential_id,
            user_id=identity.uid,
            peer=exchange.peer and str(exchange.peer),
            request_id=exchange.request_id,
        )

    @classmethod
    def _suspend_line(cls, cr, lineage_id, cause):
        """Suspend all active keys of a line at once. Keys that were made with them end with them."""
        cr.execute(
            "UPDATE api_credential SET state = 'suspended', suspension = %s"
            " WHERE COALESCE(lineage_id, id) = %s AND state = 'active' AND apikey_id IS NOT NULL",
            [cause, lineage_id],
        )

    # ----------------------------------------------------------------- screens

    @check_identity
    def action_rotate(self):
        """Open the wizard that makes the successor and shows its secret once."""
        self.ensure_one()
        self._check_may_hold_secret()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Rotate Key"),
            "res_model": "api.key.rotate",
            "view_mode": "form",
            "target": "new",
            "context": {"default_credential_id": self.id},
        }
