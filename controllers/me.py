"""What applies to the key that asks? For the program that holds it, and whoever writes it."""

from datetime import datetime, timezone

from odoo import http
from odoo.http import request

from ..core.explain import restrictions
from ..core.lifetime import first_deadline
from ..core.limit import Sort
from ..seams.exchange import current


class Me(http.Controller):
    # a session may ask as well: then it is told what applies to its user's calls
    @http.route("/api_guard/v1/me", type="http", auth="bearer", methods=["GET"], save_session=False, readonly=True)
    def me(self):
        """The caller's credential and the restrictions that hold for it now, as JSON. No rights are needed."""
        identity, peer = current().identity, current().peer
        credential = identity.credential
        rows = restrictions(identity.policies)
        keys = request.env["api.credential"].sudo()
        return request.make_json_response(
            {
                "name": identity.name,
                "kind": credential.kind.value,
                "owner": {"id": identity.uid, "login": identity.login, "name": request.env.user.name},
                "database": request.db,
                "peer": peer and str(peer),
                "created": _text(credential.created),
                "expires": _text(credential.expires),
                "last_used": _text(credential.last_used),
                "rotate_by": _text(_rotate_by(identity)),
                "retires": _text(credential.retires),
                "server_time": _text(datetime.now(timezone.utc)),
                "policies": [
                    {"name": policy.name, "mode": "enforce" if policy.enforced else "monitor"}
                    for policy in identity.policies
                ],
                "limits": [_limit(counter, standing) for counter, standing in current().standings or ()],
                "restrictions": [
                    {"section": row.section, "values": row.values, "policy": row.policy, "enforced": row.enforced}
                    for row in rows
                ],
                "text": [_sentence(keys._restriction_row(row)) for row in rows],
            }
        )


def _limit(counter, standing):
    """One limit, as it stands with this call. `reset`: seconds until some of it is given back."""
    limit = counter.limit
    return {
        "name": limit.name,
        "unit": limit.unit.value,
        "period": None if limit.sort is Sort.LEASE else limit.period.value,
        "per": limit.per.value,
        "amount": limit.amount,
        "remaining": max(0, standing.remaining),
        "reset": None if limit.sort is Sort.LEASE else round(standing.wait, 3),
        "policy": counter.policy,
        "enforced": counter.enforced,
    }


def _rotate_by(identity):
    rotations = [policy.rotation for policy in identity.policies if policy.rotation]
    created = identity.credential.created
    return first_deadline(created, rotations, identity.credential.rotate_by) if created else None


def _text(moment):
    return moment and moment.isoformat(timespec="seconds")


def _sentence(row):
    values = ", ".join(map(str, row["values"]))
    return f"{row['label']}{': ' if values else ''}{values} ({row['policy']})"
