"""The entries of the version before become a class of their own; see pre-migrate."""

from odoo.api import SUPERUSER_ID, Environment


def migrate(cr, version):
    env = Environment(cr, SUPERUSER_ID, {})
    env["api.audit.partition"]._attach_before()
    env["api.audit.retention"]._add_before()
