"""The one exception with which adapters turn a `Deny` into a refusal."""

from odoo.exceptions import AccessDenied, AccessError

from .core.verdict import Deny


class Refused(AccessDenied):
    """API Guard refused the call.

    An `AccessDenied`, because that is what Odoo strips of its traceback on every
    transport. The text begins as Odoo's own does, for clients that look for it, and
    holds the public sentence and the request id; `own_words`: and what of the caller's
    own words was wrong. How large its call was, it knows itself.
    """

    def __init__(self, deny: Deny, request_id: str, own_words: str = ""):
        if deny.excess is not None:
            own_words = f"({deny.excess.words})"
        self.sentence = f"{deny.sentence} {own_words}".strip()
        super().__init__(f"Access Denied: {self.sentence} (request {request_id})")
        self.deny = deny
        self.request_id = request_id
        self.http_status = deny.reason.status


class RefusedRecords(Refused, AccessError):
    """A call reaches records outside of a policy's. Code that forgives Odoo's `AccessError` forgives it, too."""
