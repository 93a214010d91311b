"""The doors as records, so that a policy can list them."""

from odoo import fields, models

from ..core.call import Door


class ApiDoor(models.Model):
    _name = "api.door"
    _description = "API Door"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    code = fields.Selection(
        [(door.value, door.value) for door in Door if door not in (Door.INTERNAL, Door.WEB)],
        required=True,
        readonly=True,
    )
    route = fields.Char(readonly=True, help="Where this door is on the server.")
    description = fields.Char(translate=True)
    sequence = fields.Integer(default=10)

    _code_unique = models.Constraint("UNIQUE (code)", "Each door exists once.")
