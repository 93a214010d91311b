"""What Odoo caches for everybody is worked out without the restrictions of whoever asks first.

`ormcache` keeps the results of methods for all callers of a process. A method that
searches with its user's rights would search within the scope of a restricted key,
and every other key of that user would be given the result.
"""

from odoo.tools.cache import ormcache

from .exchange import working_for
from .patch import patch


def _lookup(original):
    def lookup(self, *args, **kwargs):
        # the database manager renders its pages with a cursor that is none
        if getattr(args[0].env.cr, "_api_guard_exchange", None) is None:
            return original(self, *args, **kwargs)
        exchange = working_for(args[0].env.cr)
        if exchange is None or exchange.suspended:
            return original(self, *args, **kwargs)
        with exchange.suspending():
            return original(self, *args, **kwargs)

    return lookup


def install():
    patch(ormcache, "lookup", _lookup)
