"""What a program may do with the key that it calls with: replace it.

`api.key` is open to every key, whatever its scopes say: it reaches nothing but the key itself.
"""

from odoo import api, models
from odoo.exceptions import UserError

from ..core.call import Kind
from ..seams.exchange import of_cursor


class ApiKey(models.AbstractModel):
    _name = "api.key"
    _description = "The API key that is calling"

    @api.model
    def rotate(self):
        """Make the successor of the calling key, or tell of the one that there is.

        Returns {"secret", "id", "name", "expires", "predecessor": {"id", "retires", "grace_seconds"}}; times in
        ISO 8601, UTC; what is not there is False, for XML-RPC knows no None. `secret` is told until the successor
        is used for the first time, and not where a person made the successor on the screens. Raises UserError where
        no key is calling.
        """
        exchange = of_cursor(self.env.cr)
        identity = exchange and exchange.identity
        if identity is None or identity.credential.kind is not Kind.KEY or not exchange.secrets:
            raise UserError(self.env._("Only an API key can rotate itself: call with the key that is to be replaced."))
        predecessor = self.env["api.credential"].sudo().browse(identity.credential_id)
        secret, successor = predecessor._rotate(presented=exchange.secrets[0])
        return {
            "secret": secret or False,
            "id": successor.id,
            "name": successor.name,
            "expires": _text(successor.expires_at),
            "predecessor": {
                "id": predecessor.id,
                "retires": _text(predecessor.retires_at),
                "grace_seconds": predecessor.grace_seconds,
            },
        }


def _text(moment):
    return moment.isoformat(timespec="seconds") + "+00:00" if moment else False
