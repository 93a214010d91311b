"""What each reason is called, and what an administrator can do about it.

`core.verdict.Reason` knows what callers are told; this is what people here are told,
in their language.
"""

from odoo import api, models

from ..core.verdict import Reason


class ApiReason(models.AbstractModel):
    _name = "api.reason"
    _description = "API Guard: reasons"

    @api.model
    def _texts(self):
        """For each reason what it is called, and what an administrator can do about it."""
        _ = self.env._
        return {
            Reason.UNKNOWN_CREDENTIAL: (
                _("Unknown credential"),
                _("The secret belongs to nobody here. If the caller is yours, give it a key of this database."),
            ),
            Reason.WRONG_USER: (
                _("Key of another user"),
                _(
                    "The key is good, but the login or user ID sent with it is not its owner's. Correct it in "
                    "the client."
                ),
            ),
            Reason.USER_INACTIVE: (
                _("Archived user"),
                _("The key's owner is archived. Give the client a key of an active user."),
            ),
            Reason.KEY_REVOKED: (
                _("Revoked key"),
                _("Somebody still uses a key that was revoked. Find the client by its address and give it a new key."),
            ),
            Reason.KEY_SUSPENDED: (_("Suspended key"), _("Resume the key if its client is to work again.")),
            Reason.KEY_EXPIRED: (
                _("Expired key"),
                _("The key is past its expiration date. Make a new one for the client."),
            ),
            Reason.PARENT_INACTIVE: (
                _("Parent key not active"),
                _(
                    "This key was made with another key, which is suspended, expired or revoked. Make a new key "
                    "in the user's preferences."
                ),
            ),
            Reason.TOO_MANY_FAILURES: (
                _("Too many failures"),
                _(
                    "Many wrong secrets came from this address. Passwords from there are refused for a while; "
                    "keys still work."
                ),
            ),
            Reason.PASSWORD_REFUSED: (
                _("Password over RPC"),
                _(
                    "A policy or the user's second factor demands an API key. Give the client a key instead of "
                    "the password."
                ),
            ),
            Reason.DATABASE_HIDDEN: (
                _("Database hidden by the filter"),
                _(
                    "The server's database filter hides this database from the host name that was called. Call "
                    "the right host name."
                ),
            ),
            Reason.NETWORK_REFUSED: (
                _("Network not allowed"),
                _("The address is not in the policy's networks. Add it there if the caller is yours."),
            ),
            Reason.PEER_UNKNOWN: (
                _("Unknown address"),
                _(
                    "The caller's address could not be told, and the policy restricts networks. Check the "
                    "trusted proxies in Settings."
                ),
            ),
            Reason.DOOR_REFUSED: (
                _("Door not allowed"),
                _("The policy does not allow this door. Tick it in the policy, or use another protocol."),
            ),
            Reason.TOO_OLD: (_("Key too old"), _("The key is older than the policy allows. Replace it by a new key.")),
            Reason.IDLE_TOO_LONG: (
                _("Key unused for too long"),
                _("The key was not used for longer than the policy allows. Replace it, or give it another policy."),
            ),
            Reason.OUTSIDE_HOURS: (
                _("Outside of hours"),
                _("The call came outside of the hours that the policy allows."),
            ),
            Reason.OUT_OF_SCOPE: (
                _("Not covered by the scope"),
                _(
                    "Add a line with this model and operation to a scope of the policy; an executed method has "
                    "to be named."
                ),
            ),
            Reason.PROTECTED_MODEL: (
                _("Protected model"),
                _(
                    "This model runs code or changes rights. A scope line has to name it in full; a pattern "
                    "does not reach it."
                ),
            ),
            Reason.GUARD_CONFIGURATION: (
                _("API Guard's own configuration"),
                _("Programs do not change the guard's configuration. Use the screens, or name the model in a scope."),
            ),
            Reason.POLICY_UNREADABLE: (
                _("Policy unreadable"),
                _(
                    "A policy is missing or cannot be read, so nothing was allowed. Open the key, its user and "
                    "the baseline in Settings, and choose a policy again."
                ),
            ),
        }
