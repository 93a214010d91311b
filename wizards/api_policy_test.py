"""The tester: would this call be allowed? Answered by the function that decides the real ones."""

from datetime import datetime, timedelta, timezone

from odoo import api, fields, models

from ..core.call import Call, Credential, Door, Kind, State
from ..core.decide import decide
from ..core.network import parse_address, parse_network
from ..core.verdict import Allow
from ..models.api_openapi import public_method
from ..models.target import target_of


class ApiPolicyTest(models.TransientModel):
    _name = "api.policy.test"
    _description = "Test an API call"

    policy_id = fields.Many2one("api.policy", string="This policy alone")
    credential_id = fields.Many2one(
        "api.credential",
        string="Key",
        domain=[("apikey_id", "!=", False)],
        help="With a key, everything that applies to it is asked: baseline, its user's policy and its own.",
    )
    address = fields.Char("From address", default=lambda self: self._default_address(), help="Empty: nobody can tell.")
    door = fields.Selection(lambda self: self.env["api.audit.entry"]._selection_door(), default="json2", required=True)
    credential_kind = fields.Selection([("key", "API key"), ("password", "Password")], default="key", required=True)
    model = fields.Char(default="res.partner")
    method = fields.Char(default="search_read")
    at = fields.Datetime(default=fields.Datetime.now, required=True)
    result = fields.Selection(
        [("allow", "Allowed"), ("observe", "Allowed, and noted by a policy in monitor mode"), ("deny", "Refused")],
        compute="_compute_result",
    )
    reason = fields.Char(compute="_compute_result")
    remedy = fields.Char("What to do", compute="_compute_result")
    deciding_policy = fields.Char("Decided by", compute="_compute_result")
    operations = fields.Char(compute="_compute_result")
    notice = fields.Char(compute="_compute_notice")

    def _default_address(self):
        """An address that the networks of the policy or key allow, so that a test tells of the rest first."""
        policy = self.env["api.policy"].browse(self.env.context.get("default_policy_id"))
        credential = self.env["api.credential"].browse(self.env.context.get("default_credential_id"))
        lines = (policy or credential.policy_id).network_ids.filtered(lambda line: line.action == "allow")
        if not lines:
            return "203.0.113.7"
        network = parse_network(lines[0].network)
        return str(network[min(1, network.num_addresses - 1)])

    @api.onchange("address")
    def _onchange_address(self):
        if self.address and not parse_address(self.address):
            self.address = False
            message = self.env._("This is no address. Write one such as 203.0.113.7 or 2001:db8::1.")
            return {"warning": {"title": self.env._("From address"), "message": message}}
        return None

    @api.depends("policy_id", "credential_id", "address", "door", "credential_kind", "model", "method", "at")
    def _compute_result(self):
        texts = self.env["api.reason"]._texts()
        for test in self:
            verdict = test._verdict()
            deny = verdict.observed if isinstance(verdict, Allow) else verdict
            test.result = "deny" if deny is verdict else "observe" if deny else "allow"
            test.reason, test.remedy = texts[deny.reason] if deny else (False, False)
            test.deciding_policy = deny.policy if deny else False
            test.operations = ", ".join(sorted(operation.value for operation in test._target().operations))

    @api.depends("model", "method")
    def _compute_notice(self):
        """Is there anything to call at all?"""
        for test in self:
            name, method = (test.model or "").strip(), (test.method or "").strip()
            if name.startswith("/") or not name:
                test.notice = False
            elif name not in self.env:
                test.notice = self.env._(
                    "There is no model “%(model)s” here: the call fails, whatever the policy says.", model=name
                )
            elif method and public_method(self.env[name], method) is None:
                test.notice = self.env._(
                    "“%(model)s” has no public method “%(method)s”: the call fails, whatever the policy says.",
                    model=name,
                    method=method,
                )
            else:
                test.notice = False

    def _verdict(self):
        """The verdict on the call that the form describes, by `core.decide`."""
        credential, policies, refusal = self._who()
        call = Call(
            door=Door(self.door or "json2"),
            credential=credential,
            peer=parse_address(self.address),
            at=(self.at or fields.Datetime.now()).replace(tzinfo=timezone.utc),
            target=self._target(),
        )
        return refusal or decide(call, policies)

    def _who(self):
        if self.credential_id:
            identity = self.env["api.identity"]._of_credential(self.env.cr, self.credential_id.id)
            if identity:
                return identity.credential, identity.policies, identity.refusal
            return Credential(Kind.KEY, State.REVOKED), (), None
        now = datetime.now(timezone.utc)
        kind = Kind(self.credential_kind or "key")
        fresh = Credential(kind, State.ACTIVE, created=now - timedelta(minutes=1), last_used=now)
        policies = (self.policy_id.sudo()._compiled(),) if self.policy_id else ()
        return fresh, policies, None

    def _target(self):
        return target_of(self.env.registry, (self.model or "").strip(), (self.method or "").strip())
