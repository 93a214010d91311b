"""How is a limit said, and how far it is used? Sentences for screens, in the reader's language."""

from math import ceil

import babel.dates
from odoo import api, models
from odoo.tools import babel_locale_parse
from odoo.tools.misc import get_lang

from ..core.limit import Per, Period, Unit


class ApiPolicyLimit(models.Model):
    _inherit = "api.policy.limit"

    @api.model
    def _in_words(self, amount, unit, period, per):
        """“At most 600 calls in a minute, counted for each key”. What is not chosen yet is left out."""
        quantity = self._quantity(int(amount or 0), unit or Unit.CALLS.value)
        told = {"quantity": quantity, "period": self._period_phrases().get(period), "per": self._per_phrases().get(per)}
        if not told["period"] or not told["per"]:
            return self.env._("At most %(quantity)s", quantity=quantity)
        return self.env._("At most %(quantity)s %(period)s, %(per)s", **told)

    @api.model
    def _used_in_words(self, used, amount, unit, period):
        """“412 of 600 calls in the last minute”."""
        return self.env._(
            "%(used)s of %(quantity)s %(period)s",
            used=self._part(used, amount, unit),
            quantity=self._quantity(amount, unit),
            period=self._last_phrases()[period],
        )

    @api.model
    def _under_way_in_words(self, used, amount):
        """“3 of 4 calls under way”."""
        numbers = {"used": self._number(used), "amount": self._number(amount)}
        if amount == 1:
            return self.env._("%(used)s of %(amount)s call under way", **numbers)
        return self.env._("%(used)s of %(amount)s calls under way", **numbers)

    @api.model
    def _left_in_words(self, remaining, used, amount, unit, wait=None):
        """“188 left, more in 12 seconds”. `wait`: seconds, or None where nobody knows."""
        left = self._part(max(0, remaining), amount, unit)
        if wait is None or not used:
            return self.env._("%(left)s left", left=left)
        soon = self._duration(wait)
        if remaining > 0:
            return self.env._("%(left)s left, more in %(duration)s", left=left, duration=soon)
        return self.env._("None left, room again in %(duration)s", duration=soon)

    # ------------------------------------------------------------------ phrases

    @api.model
    def _quantity(self, amount, unit):
        """“600 calls”, “1.5 GB of answers”."""
        part = self._part(amount, amount, unit)
        if unit in (Unit.BYTES.value, Unit.MILLISECONDS.value):
            of = {
                Unit.BYTES.value: self.env._("%(size)s of answers"),
                Unit.MILLISECONDS.value: self.env._("%(size)s of the server's time"),
            }
            return of[unit] % {"size": part}
        one, many = {
            Unit.CALLS.value: (self.env._("%(number)s call"), self.env._("%(number)s calls")),
            Unit.ROWS.value: (self.env._("%(number)s record returned"), self.env._("%(number)s records returned")),
            Unit.WRITTEN.value: (self.env._("%(number)s record written"), self.env._("%(number)s records written")),
        }[unit]
        return (one if amount == 1 else many) % {"number": part}

    def _part(self, part, whole, unit):
        """A part of a limit: “412”, “0.25 s”; of bytes in the measure that fits: “900 kB”."""
        if unit == Unit.BYTES.value:
            return self._size(part, exactly=part == whole)
        if unit == Unit.MILLISECONDS.value:
            if whole >= 1000 and whole % 10 == 0:
                return self.env._("%(number)s s", number=self._number(part / 1000, 2))
            return self.env._("%(number)s ms", number=self._number(part))
        return self._number(part)

    def _size(self, size, exactly):
        """Bytes in the greatest measure that they fill. `exactly`: without losing anything in rounding."""
        texts = {
            10**9: self.env._("%(number)s GB"),
            10**6: self.env._("%(number)s MB"),
            10**3: self.env._("%(number)s kB"),
            1: self.env._("%(number)s bytes"),
        }
        fits = (m for m in texts if size >= m and (m == 1 or not exactly or size % (m // 100) == 0))
        measure = next(fits, 1)
        return texts[measure] % {"number": self._number(size / measure, 2)}

    @api.model
    def _period_phrases(self):
        return {
            Period.SECOND.value: self.env._("in a second"),
            Period.MINUTE.value: self.env._("in a minute"),
            Period.HOUR.value: self.env._("in an hour"),
            Period.DAY.value: self.env._("in a day"),
            Period.MONTH.value: self.env._("in 30 days"),
        }

    @api.model
    def _last_phrases(self):
        return {
            Period.SECOND.value: self.env._("in the last second"),
            Period.MINUTE.value: self.env._("in the last minute"),
            Period.HOUR.value: self.env._("in the last hour"),
            Period.DAY.value: self.env._("in the last 24 hours"),
            Period.MONTH.value: self.env._("in the last 30 days"),
        }

    @api.model
    def _per_phrases(self):
        return {
            Per.KEY.value: self.env._("counted for each key"),
            Per.USER.value: self.env._("counted for each user"),
            Per.PEER.value: self.env._("counted for each address"),
            Per.NETWORK.value: self.env._("counted for each network"),
            Per.POLICY.value: self.env._("counted for the policy as a whole"),
        }

    # ------------------------------------------------------------------ numbers

    @api.model
    def _number(self, number, round_to=0):
        """A number as the reader's language writes it, with at most so many digits and no zeros at its end."""
        number = round(number, round_to)
        digits = next((n for n in range(round_to) if round(number, n) == number), round_to)
        language = self.env["res.lang"].browse(get_lang(self.env).id)
        return language.format(f"%.{digits}f", number, grouping=True)

    @api.model
    def _duration(self, seconds):
        """“12 seconds”, “3 hours”. Never less than a second: nobody should come back too early."""
        locale = babel_locale_parse(get_lang(self.env).code)
        return babel.dates.format_timedelta(max(1, ceil(seconds)), threshold=2, locale=locale)
