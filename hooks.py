"""What happens when the addon is loaded into a process, and when it leaves a database."""

from . import seams
from .stores import postgres


def post_load():
    seams.install()


def uninstall_hook(env):
    """Drop what Odoo does not know of: triggers on its own tables would outlive their functions."""
    postgres.drop(env.cr)
    env["api.identity"]._drop_functions()
    env["api.credential"]._drop_triggers()
    env["api.audit.seal"]._drop_tables()
    env["api.audit.rollup"]._drop_table()
    env["api.audit.drop"]._drop_table()
    env["api.audit.entry"]._drop_table()
    env["api.digest"]._drop_table()
