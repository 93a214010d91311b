"""Setting up a second factor: a secret to scan or copy, its first code, and the recovery codes.

The drawn secret is kept sealed, in a row that goes when it is confirmed. The recovery
codes travel in the action that shows them, and are stored nowhere.
"""

import base64
import io

import pyotp
import qrcode
from odoo import api, fields, models
from odoo.addons.base.models.res_users import check_identity

from ..models.api_second_factor import PURPOSE


class ApiSecondFactorEnroll(models.TransientModel):
    _name = "api.second.factor.enroll"
    _description = "Set up a second factor"

    credential_id = fields.Many2one("api.credential", required=True, readonly=True, ondelete="cascade")
    sealed = fields.Char(required=True, readonly=True, groups=fields.NO_ACCESS)
    secret = fields.Char(compute="_compute_secret")
    address = fields.Char(compute="_compute_secret")
    picture = fields.Binary("QR code", compute="_compute_secret")
    replaces = fields.Boolean(compute="_compute_replaces")
    code = fields.Char(size=6, store=False)

    @api.depends("credential_id", "sealed")
    def _compute_secret(self):
        # a program with a key of the same user is not to learn it
        self.env["api.guard"]._require_configuration_right(self.env)
        for wizard in self:
            wizard.credential_id._check_may_set_up()
            wizard.secret = self.env["api.vault"]._open(PURPOSE, str(wizard._lineage_id()), wizard.sudo().sealed)
            wizard.address = wizard._address()
            wizard.picture = _picture(wizard.address)

    @api.depends("credential_id")
    def _compute_replaces(self):
        for wizard in self:
            wizard.replaces = bool(wizard.credential_id.second_factor_set_up_at)

    def _lineage_id(self):
        return self.env["api.credential"]._lineage_of(self.credential_id.sudo())

    def _address(self):
        key = self.credential_id.sudo()
        issuer = key.user_id.company_id.name or self.env.cr.dbname
        return pyotp.TOTP(self.secret).provisioning_uri(name=f"{key.name} ({key.login})", issuer_name=issuer)

    @check_identity
    def confirm(self):
        return self._confirm(self.env.context.get("code"))

    def _confirm(self, code):
        self.credential_id._check_may_set_up()
        codes = self.env["api.second.factor"]._confirm(self._lineage_id(), self.sudo().sealed, code)
        self.credential_id.invalidate_recordset()
        self.sudo().unlink()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Recovery codes"),
            "res_model": "api.second.factor.codes",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_codes": "\n".join(codes)},
        }


class ApiSecondFactorCodes(models.AbstractModel):
    _name = "api.second.factor.codes"
    _description = "Recovery codes, shown once"

    # rests on odoo/addons/base/models/res_users.py, ResUsersApikeysShow: an abstract model that is shown needs an id
    id = fields.Id()
    codes = fields.Text(readonly=True)


def _picture(address):
    content = io.BytesIO()
    qrcode.make(address, box_size=4).save(content, format="PNG")
    return base64.b64encode(content.getvalue())
