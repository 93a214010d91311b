"""How far are the limits of a key used at this moment? For the gauge on its form."""

from ipaddress import ip_address

from odoo import api, models

from ..core.limit import Concurrency, Per
from ..stores.store import StoreDown

_NEAR = 0.8  # of a limit: worth a look


class ApiCredential(models.Model):
    _inherit = "api.credential"

    @api.readonly
    def limit_gauge(self):
        """What is used of each limit that applies to this key, for its owner and for auditors. Takes nothing.

        {"is_readable": whether the counters could be read, "note": about what is not shown or "", "limits": [
            {"key", "policy", "mode", "is_enforced", "limit", "used", "left": sentences,
             "value", "greatest": numbers, "level": "ok", "near" or "full"}]}
        """
        self.ensure_one()
        self.check_access("read")
        key = self.sudo()  # whoever may read a key is told what restricts it, as by effective_rule
        identity = key._identity()
        if identity is None:
            return {"is_readable": True, "note": "", "limits": []}
        peer = _address(key.last_used_peer)
        try:
            found = self.env["api.limiter"]._look(self.env.registry, identity, peer)
        except StoreDown:
            return {"is_readable": False, "note": "", "limits": []}
        limits = [key._gauge_line(*one) for one in found]
        return {"is_readable": True, "note": key._gauge_note(identity, peer), "limits": limits}

    def _gauge_line(self, counter, standing):
        limit, words = counter.limit, self.env["api.policy.limit"]
        modes = dict(self.env["api.policy"]._fields["mode"]._description_selection(self.env))
        used = max(0, limit.amount - standing.remaining)
        if isinstance(limit, Concurrency):
            told, title = words._under_way_in_words(used, limit.amount), self.env._("Calls at the same time")
            wait = None  # a slot is free when its call is over, and nobody knows when that is
        else:
            unit, period = limit.unit.value, limit.period.value
            told = words._used_in_words(used, limit.amount, unit, period)
            title, wait = words._in_words(limit.amount, unit, period, limit.per.value), standing.wait
        return {
            "key": f"{limit.number}/{limit.name}",
            "policy": counter.policy,
            "mode": modes["enforce" if counter.enforced else "monitor"],
            "is_enforced": counter.enforced,
            "limit": title,
            "used": told,
            "left": words._left_in_words(standing.remaining, used, limit.amount, limit.unit.value, wait),
            "value": used,
            "greatest": limit.amount,
            "level": "full" if not standing.remaining else "near" if used >= _NEAR * limit.amount else "ok",
        }

    def _gauge_note(self, identity, peer):
        """What is to be known of limits that are counted by where a call comes from."""
        pers = {limit.per for policy in identity.policies for limit in policy.budget.limits}
        if not pers & {Per.PEER, Per.NETWORK}:
            return ""
        if peer is None:
            return self.env._(
                "Limits that are counted for each address or network show here once a program has used this key."
            )
        return self.env._(
            "What is counted for each address or network is shown for %(address)s, which used this key last.",
            address=peer,
        )


def _address(text):
    try:
        return ip_address(text or "")
    except ValueError:
        return None
