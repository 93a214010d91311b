"""What each reason is called, and what an administrator can do about it.

`core.verdict.Reason` knows what callers are told; this is what people here are told,
in their language.
"""

import re

from odoo import api, models

from ..core.verdict import Reason
from .api_policy import SHAPE

_PLACE = re.compile(r"(?P<name>[^:]+)(?:: (?P<operation>[\w,]+))?")
_EXCESS = re.compile(r"(?P<kind>\w+): (?P<size>\w+), at most (?P<greatest>\d+)")
#: reasons that met something in the middle of a call, and noted where
_PLACED = frozenset({
    Reason.OUT_OF_SCOPE, Reason.PROTECTED_MODEL, Reason.FIELD_HIDDEN, Reason.RECORD_HIDDEN, Reason.TOO_LARGE,
    Reason.UNKNOWN_FIELD, Reason.ACTIVE_HTML,
})  # fmt: skip

class ApiReason(models.AbstractModel):
    _name = "api.reason"
    _description = "API Guard: reasons"

    @api.model
    def _texts(self):
        """For each reason what it is called, and what an administrator can do about it."""
        return {
            Reason.UNKNOWN_CREDENTIAL: (
                self.env._("Unknown credential"),
                self.env._(
                    "The secret belongs to nobody here. If the caller is yours, give it a key of this database."
                ),
            ),
            Reason.KEY_MISTYPED: (
                self.env._("Mistyped key"),
                self.env._(
                    "The secret begins like a key of API Guard, but its checksum is wrong: a character was lost or "
                    "changed on the way. Let the program have the key once more, as it was shown."
                ),
            ),
            Reason.WRONG_USER: (
                self.env._("Key of another user"),
                self.env._(
                    "The key is good, but the login or user ID sent with it is not its owner's. Correct it in "
                    "the client."
                ),
            ),
            Reason.LIMIT_EXCEEDED: (
                self.env._("Limit used up"),
                self.env._(
                    "The program has done as much as a limit of its policy allows in that time, and was told how long "
                    "to wait. If it is to do more, raise the limit; if not, let it wait as it is told (Retry-After)."
                ),
            ),
            Reason.TOO_MANY_AT_ONCE: (
                self.env._("Too many calls at once"),
                self.env._(
                    "The key has as many calls under way as its policy allows at the same time. Let the program make "
                    "fewer at once, or raise “Calls at the same time”."
                ),
            ),
            Reason.LIMITS_UNREADABLE: (
                self.env._("Limits not readable"),
                self.env._(
                    "The store that counts limits did not answer in time, and the policy refuses calls while it does "
                    "not. Look whether it runs and can be reached; the policy may let calls pass meanwhile."
                ),
            ),
            Reason.USER_INACTIVE: (
                self.env._("Archived user"),
                self.env._("The key's owner is archived. Give the client a key of an active user."),
            ),
            Reason.FIELD_HIDDEN: (
                self.env._("Field outside of the scope"),
                self.env._(
                    "The call reads or searches a field that the scope hides, or one that is made of such a field. If "
                    "the program needs it, show it in the scope's line for the model: by “Fields read”, or, where it "
                    "is hidden besides, by “Shown all the same”."
                ),
            ),
            Reason.RECORD_HIDDEN: (
                self.env._("Record outside of the scope"),
                self.env._(
                    "The call reaches a record that the scope's domain leaves out, or one of another company; or its "
                    "values would have put one there. Correct the program, the records of the scope's line for the "
                    "model, or the companies of the policy."
                ),
            ),
            Reason.READ_ONLY: (
                self.env._("Read only"),
                self.env._("The policy lets programs read and nothing else, and the call wanted to change something."),
            ),
            Reason.TOO_LARGE: (
                self.env._("Too large a call"),
                self.env._(
                    "The call exceeds a size that the policy sets under “Data & Sizes”. Let the program ask in smaller "
                    "parts, or raise the size."
                ),
            ),
            Reason.ACTIVE_HTML: (
                self.env._("Active HTML in a plain text"),
                self.env._(
                    "A name or another plain text holds a script, an event handler or the like. If the program means "
                    "no harm, let it send text; or let the policy take such texts."
                ),
            ),
            Reason.UNKNOWN_FIELD: (
                self.env._("Unknown field"),
                self.env._(
                    "The values name fields that the model does not have. Correct their names in the program, or "
                    "install the app that brings them."
                ),
            ),
            Reason.KEY_REVOKED: (
                self.env._("Revoked key"),
                self.env._(
                    "Somebody still uses a key that was revoked. Find the client by its address and give it a new key."
                ),
            ),
            Reason.KEY_SUSPENDED: (
                self.env._("Suspended key"),
                self.env._("Resume the key if its client is to work again."),
            ),
            Reason.KEY_EXPIRED: (
                self.env._("Expired key"),
                self.env._("The key is past its expiration date. Make a new one for the client."),
            ),
            Reason.KEY_PENDING: (
                self.env._("Key without approval"),
                self.env._("The key waits for approval. Open it and accept it, if its program shall work."),
            ),
            Reason.KEY_RETIRED: (
                self.env._("Retired key"),
                self.env._(
                    "The key was rotated, and its grace is over: a program was forgotten, or somebody kept the key. "
                    "Find the client by its address and give it the successor."
                ),
            ),
            Reason.DATABASE_COPIED: (
                self.env._("Key of another database"),
                self.env._(
                    "This database is a copy, or bears another name than the one in which the key was made. In a copy, "
                    "make new keys. If it is no copy, confirm its name in the settings of API Guard."
                ),
            ),
            Reason.ROTATION_OVERDUE: (
                self.env._("Rotation overdue"),
                self.env._(
                    "The key was to be replaced by now. Open it and rotate it, and give its program the successor."
                ),
            ),
            Reason.PARENT_INACTIVE: (
                self.env._("Parent key not active"),
                self.env._(
                    "This key was made with another key, which is suspended, expired or revoked. Make a new key "
                    "in the user's preferences."
                ),
            ),
            Reason.TOO_MANY_FAILURES: (
                self.env._("Too many failures"),
                self.env._(
                    "Many wrong secrets came from this address. Passwords from there are refused for a while; "
                    "keys still work."
                ),
            ),
            Reason.PASSWORD_REFUSED: (
                self.env._("Password over RPC"),
                self.env._(
                    "A policy or the user's second factor demands an API key. Give the client a key instead of "
                    "the password."
                ),
            ),
            Reason.DATABASE_HIDDEN: (
                self.env._("Database hidden by the filter"),
                self.env._(
                    "The server's database filter hides this database from the host name that was called. Call "
                    "the right host name."
                ),
            ),
            Reason.NETWORK_REFUSED: (
                self.env._("Network not allowed"),
                self.env._("The address is not in the policy's networks. Add it there if the caller is yours."),
            ),
            Reason.PEER_UNKNOWN: (
                self.env._("Unknown address"),
                self.env._(
                    "The caller's address could not be told, and the policy restricts networks. Check the "
                    "trusted proxies in Settings."
                ),
            ),
            Reason.DOOR_REFUSED: (
                self.env._("Door not allowed"),
                self.env._("The policy does not allow this door. Tick it in the policy, or use another protocol."),
            ),
            Reason.TOO_OLD: (
                self.env._("Key too old"),
                self.env._("The key is older than the policy allows. Replace it by a new key."),
            ),
            Reason.IDLE_TOO_LONG: (
                self.env._("Key unused for too long"),
                self.env._(
                    "The key was not used for longer than the policy allows. Replace it, or give it another policy."
                ),
            ),
            Reason.OUTSIDE_HOURS: (
                self.env._("Outside of hours"),
                self.env._("The call came outside of the hours that the policy allows."),
            ),
            Reason.OUT_OF_SCOPE: (
                self.env._("Not covered by the scope"),
                self.env._(
                    "Add a line with this model and operation to a scope of the policy; an executed method has "
                    "to be named."
                ),
            ),
            Reason.PROTECTED_MODEL: (
                self.env._("Protected model or method"),
                self.env._(
                    "This model runs code or changes rights, or this method works on what a parameter names. A scope "
                    "line has to name the model in full; a pattern does not reach it."
                ),
            ),
            Reason.GUARD_CONFIGURATION: (
                self.env._("API Guard's own configuration"),
                self.env._("Programs do not change the guard's configuration. Use the screens."),
            ),
            Reason.TOO_MANY_REPORTS: (
                self.env._("Too many reports"),
                self.env._(
                    "More leaked keys were reported from this address than are taken in an hour. Let the scanner "
                    "report up to twenty keys at once."
                ),
            ),
            Reason.CODE_REQUIRED: (
                self.env._("Second factor missing"),
                self.env._(
                    "The policy wants a code for this call, and none was sent. Set up the key's second factor on its "
                    "form, and let the program send the code in X-API-OTP, or after the key and a colon."
                ),
            ),
            Reason.CODE_WRONG: (
                self.env._("Wrong code"),
                self.env._(
                    "The code is not that of this moment. Compare the clock and the secret of the program. If the "
                    "program is not yours, somebody has its key: revoke it."
                ),
            ),
            Reason.CODE_REUSED: (
                self.env._("Used code"),
                self.env._(
                    "A code is good for one call. Let the program wait for the next one, which comes within 30 "
                    "seconds, or call once for many records."
                ),
            ),
            Reason.CODE_LOCKED: (
                self.env._("Second factor locked"),
                self.env._(
                    "Too many codes were wrong, and for a while none is taken. Unlock it on the key's form if the "
                    "program was yours; if not, revoke the key."
                ),
            ),
            Reason.CODE_NOT_ENROLLED: (
                self.env._("No second factor"),
                self.env._(
                    "A code was sent, but no second factor was set up, or it was no key that called. Set it up on the "
                    "key's form; passwords and sessions have none."
                ),
            ),
            Reason.VAULT_UNREADABLE: (
                self.env._("Vault unreadable"),
                self.env._(
                    "The secret that codes are checked with cannot be opened: the vault's key is missing, is another "
                    "one, or others may read its file. Settings say which."
                ),
            ),
            Reason.POLICY_UNREADABLE: (
                self.env._("Policy unreadable"),
                self.env._(
                    "A policy is missing or cannot be read, so nothing was allowed. Open the key, its user and "
                    "the baseline in Settings, and choose a policy again."
                ),
            ),
        }

    @api.model
    def _remedy(self, reason, place=""):
        """What an administrator can do about it; `place`: what the call met, as its entry has it."""
        if reason is Reason.FIELD_HIDDEN and place.endswith(": write"):
            return self.env._(
                "The call writes a field that the scope does not let it write. If the program needs to, add the field "
                "to “Fields written” of the scope's line for the model, or take it out of those that are not written."
            )
        return self._texts()[reason][1]

    @api.model
    def _finding(self, reason, place, model="", method="", operations=""):
        """What it was that was refused, for a reader: “res.country: Read”, “Records returned: 4, at most 3”.

        `place`: what the call met, in the log's notation; "" where it was the call itself.
        """
        if reason not in _PLACED:
            return ""
        if reason is Reason.TOO_LARGE:
            return self._excess_in_words(place)
        if not place and operations == "execute":
            return f"{model}: {method}"
        found = _PLACE.fullmatch(place or f"{model}: {operations}")
        if found is None or not found["operation"]:
            return place
        labels = self._operation_labels()
        operations = [labels.get(name, name) for name in found["operation"].split(",")]
        return f"{found['name']}: {', '.join(operations)}"

    @api.model
    def _operation_labels(self):
        return {
            "read": self.env._("Read"),
            "write": self.env._("Write"),
            "create": self.env._("Create"),
            "unlink": self.env._("Delete"),
            "execute": self.env._("Execute"),
            "moved": self.env._("Moved out by its values"),
        }

    @api.model
    def _excess_in_words(self, place):
        found = _EXCESS.fullmatch(place or "")
        if found is None:
            return place
        label, greatest = self._size_in_words(found["kind"], int(found["greatest"]))
        if not found["size"].isdigit():
            return self.env._("%(size)s: no limit given, at most %(greatest)s", size=label, greatest=greatest)
        _label, size = self._size_in_words(found["kind"], int(found["size"]))
        return self.env._("%(label)s: %(size)s, at most %(greatest)s", label=label, size=size, greatest=greatest)

    @api.model
    def _size_in_words(self, kind, size):
        """What the policy's form calls a kind of size, and the size in the unit that it is entered in."""
        name, unit = next((name, unit) for name, (found, unit) in SHAPE.items() if found == kind)
        label = self.env["api.policy"]._fields[name]._description_string(self.env)
        return label, f"{size / unit:.1f}".removesuffix(".0") if unit > 1 else str(size)
