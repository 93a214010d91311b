"""What does a lock mean to whoever looks at it? Its state, its subject and its story, in words."""

from odoo import api, fields, models

from ..core.lockout import Kind


class ApiLockout(models.Model):
    _inherit = "api.lockout"

    status = fields.Selection(
        [("locked", "Locked"), ("over", "Over"), ("unlocked", "Unlocked")], compute="_compute_status"
    )
    subject = fields.Char("Who", compute="_compute_subject")
    story = fields.Text("What happened", compute="_compute_story")
    advice = fields.Text("What to do", compute="_compute_story")

    @api.depends("is_locked", "unlocked_at")
    def _compute_status(self):
        for lock in self:
            lock.status = "locked" if lock.is_locked else "unlocked" if lock.unlocked_at else "over"

    @api.depends("kind", "name", "user_id")
    def _compute_subject(self):
        texts = {
            Kind.PAIR.value: self.env._("Login “%(name)s”"),
            Kind.KEY.value: self.env._("Key beginning with “%(name)s”"),
            Kind.TOTP.value: self.env._("Codes of “%(name)s”"),
            Kind.NETWORK.value: self.env._("Everybody without a valid secret"),
            Kind.DEVICE.value: self.env._("A browser that has logged in before"),
            Kind.MASTER.value: self.env._("The master password"),
        }
        for lock in self:
            name = lock.user_id.sudo().login if lock.kind == Kind.TOTP.value else lock.name
            lock.subject = texts.get(lock.kind, "") % {"name": name or "?"}

    @api.depends("kind", "name", "network", "failures", "peer", "user_id")
    def _compute_story(self):
        for lock in self:
            told = {"failures": lock.failures, "subject": lock.subject, "network": lock.network}
            if lock.kind == Kind.NETWORK.value:
                lock.story = self.env._(
                    "%(failures)s wrong secrets came from %(network)s within an hour, with whatever logins.", **told
                )
            else:
                lock.story = self.env._(
                    "%(failures)s wrong secrets in a row came from %(network)s. %(subject)s: no secret from there is "
                    "looked at until the lock ends. From elsewhere nothing is locked.",
                    **told,
                )
            lock.advice = lock._advice()

    def _advice(self):
        if self.kind == Kind.NETWORK.value:
            return self.env._(
                "If this is your own network, look in the audit log for the program that sends wrong secrets, mend it, "
                "then unlock. If it is not, there is nothing to do: valid keys, and people whose password was right "
                "from there before, pass all the same."
            )
        if self.kind == Kind.MASTER.value:
            return self.env._(
                "Somebody guesses the password with which databases are made, copied and dropped. If it was a "
                "colleague, unlock; if not, see that /web/database and the service db cannot be reached from outside."
            )
        if self.kind == Kind.KEY.value:
            return self.env._(
                "A program has a mistyped or an old key. Give it the right one, then unlock: it need not wait."
            )
        return self.env._(
            "If it was this person, or a program of theirs with an old password, unlock: they need not wait. If nobody "
            "knows of it, somebody guesses; leave it locked."
        )
