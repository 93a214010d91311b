"""Every process-wide patch of Odoo, and nowhere else.

Odoo serves one process to many databases, and some doors never pass through a
database's own models. These patches carry what the models need to places where
Odoo hides it, and each begins by asking whether the guard is in *this* database:

| patched name                                  | why there                                                    |
|-----------------------------------------------|--------------------------------------------------------------|
| `odoo.http.Application.__call__`              | the only frame around every request: who calls, one answer   |
| `odoo.service.model.execute_cr`               | once per RPC call, looked up late: also in the lazy 1st call |
| `odoo.service.model.call_kw`                  | once per attempt under `retrying`: what the method returned  |
| `odoo.service.{model,common,db}.dispatch`     | which database a call means, before its registry is loaded   |
| `odoo.service.db.check_super`                 | the master password, over RPC and in the database manager    |
| `odoo.orm.registry.Registry.cursor`           | a method that commits on a cursor of its own                 |
| `odoo.orm.registry.Registry.check_signaling`  | asked twice in an RPC call; once is enough within a moment   |
| `odoo.tools.cache.ormcache.lookup`             | what is cached for all is not worked out within a scope      |
| `rpc.controllers.xmlrpc.xmlrpc_handle_…`      | the only place that words an XML-RPC fault                   |
| `rpc.controllers.xmlrpc.dumps`                | a result is rendered once, before it is committed            |
| `odoo.http.JsonRPCDispatcher.handle_error`    | the same for /jsonrpc, with or without a database            |

They may be installed late, in the middle of a worker's first call: every name
is one that Odoo looks up when it calls it.
"""

from . import cache, dispatch, errors, exchange, master


def install():
    """Put all patches in place, once per process."""
    exchange.install()
    dispatch.install()
    errors.install()
    master.install()
    cache.install()
