"""Which models does no pattern of a scope reach, and why?

Through these a caller runs code, changes who may do what, or works past its own
rights. A line has to name them in full. The table is what `is_protected` asks, and
what administrators read in *API Guard → Protected Models*.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .call import Operation


class Danger(str, Enum):
    """Why is a model protected?"""

    CODE = "code"  # holds code or expressions that the server runs
    RIGHTS = "rights"  # settles who may do what
    LOGIN = "login"  # settles how people and programs log in
    SETTINGS = "settings"  # changes how Odoo behaves for everybody
    SCHEMA = "schema"  # changes models, fields or installed apps
    SCREENS = "screens"  # changes what everybody's screens and pages show and run
    MAIL = "mail"  # settles where mail goes, and what it does when it comes in
    MERGE = "merge"  # changes or deletes records past its caller's rights
    HISTORY = "history"  # keeps present and former values of whatever model
    STEERED = "steered"  # works on the model that one of its fields names
    RENDERS = "renders"  # renders templates or writes under sudo while it is merely read or filled in


@dataclass(frozen=True, slots=True)
class Protected:
    """A model, or a family ("ir.actions.*"). `reading`: not even read by a pattern, for it holds secrets or renders."""

    name: str
    danger: Danger
    reading: bool = False

    def names(self, model: str) -> bool:
        """Is `model` this one, or one of this family?

        >>> Protected("ir.cron.*", Danger.CODE).names("ir.cron.trigger")
        True
        """
        return model.startswith(self.name[:-1]) if self.name.endswith("*") else model == self.name


def _rows(danger: Danger, names: str, reading: bool = False) -> tuple[Protected, ...]:
    return tuple(Protected(name, danger, reading) for name in names.split())


#: Reading them stays within patterns, but for those marked `reading`. Adapters mark
#: models that render beside these (`Target.needs_name`): addons bring along more of them.
PROTECTED: tuple[Protected, ...] = (
    *_rows(
        Danger.CODE,
        "base.automation gamification.goal.definition ir.actions.* ir.cron ir.cron.* ir.embedded.actions ir.filters",
    ),
    *_rows(Danger.RIGHTS, "ir.model.access ir.rule res.groups res.groups.privilege"),
    *_rows(
        Danger.LOGIN,
        "auth.* auth_totp.* change.password.own change.password.user change.password.wizard res.company.ldap"
        " res.users res.users.* res.users.apikeys res.users.apikeys.description res.users.identitycheck",
    ),
    *_rows(Danger.SETTINGS, "ir.default res.company res.config"),
    *_rows(Danger.SETTINGS, "ir.config_parameter res.config.settings", reading=True),
    *_rows(
        Danger.SCHEMA,
        "base.import.module base.language.import base.module.uninstall base.module.update base.module.upgrade"
        " ir.model ir.model.* ir.model.data ir.model.fields ir.module.module",
    ),
    *_rows(
        Danger.SCREENS,
        "ir.asset ir.ui.menu ir.ui.view theme.* website website.controller.page website.page website.page.properties.*"
        " website.rewrite website.snippet.filter",
    ),
    *_rows(Danger.MAIL, "mail.alias"),
    *_rows(Danger.MAIL, "fetchmail.server ir.mail_server", reading=True),
    *_rows(
        Danger.MERGE,
        "account.merge.wizard account.merge.wizard.line base.partner.merge.automatic.wizard base.partner.merge.line"
        " crm.merge.opportunity data_recycle.* mailing.list.merge",
    ),
    *_rows(Danger.HISTORY, "api.audit.entry mail.tracking.value", reading=True),
    *_rows(
        Danger.STEERED,
        "account.move.send.wizard base.language.export base_import.* mail.activity.schedule mail.followers.edit"
        " mail.scheduled.message payment.link.wizard portal.share project.share.wizard task.share.wizard",
    ),
    *_rows(
        Danger.RENDERS,
        "digest.digest digest.tip mail.compose.message mail.template mail.template.preview mailing.mailing"
        " privacy.lookup.wizard privacy.lookup.wizard.line slide.channel.invite sms.composer sms.template"
        " sms.template.preview survey.invite",
        reading=True,
    ),
)

#: What API Guard itself is configured by: `decide` bars these to every program,
#: whatever its policies say, except for reading.
GUARD_MODELS = frozenset(
    {
        "api.alert",
        "api.audit.archive",
        "api.audit.checkpoint",
        "api.audit.consistency",
        "api.audit.drop",
        "api.audit.hold",
        "api.audit.key",
        "api.audit.partition",
        "api.audit.retention",
        "api.audit.rollup",
        "api.audit.verify",
        "api.audit.witness",
        "api.audit.witnessed",
        "api.breach.report",
        "api.credential",
        "api.door",
        "api.key.bulk",
        "api.key.provision",
        "api.key.rotate",
        "api.leak",
        "api.leak.report",
        "api.leak.scan",
        "api.lockout",
        "api.policy",
        "api.policy.limit",
        "api.policy.network",
        "api.policy.test",
        "api.scope",
        "api.scope.line",
        "api.scope.mask",
        "api.scope.preview",
        "api.second.factor",
        "api.second.factor.codes",
        "api.second.factor.enroll",
    }
)

_UNREADABLE = frozenset(row.name for row in PROTECTED if row.reading)
_MODELS = GUARD_MODELS | {row.name for row in PROTECTED if not row.name.endswith("*")}
_FAMILIES = tuple(row.name[:-1] for row in PROTECTED if row.name.endswith("*"))


def is_screen(model: str) -> bool:
    """Does it change what everybody's screens and pages show? Its files are part of that.

    >>> is_screen("ir.ui.view"), is_screen("ir.cron")
    (True, False)
    """
    return any(row.danger is Danger.SCREENS and row.names(model) for row in PROTECTED)


def is_protected(model: str, operation: Operation) -> bool:
    """Must a line name `model` in full before it grants `operation` on it?

    >>> is_protected("ir.cron", Operation.READ), is_protected("ir.cron", Operation.WRITE)
    (False, True)
    """
    if operation is Operation.READ:
        return model in _UNREADABLE
    return model in _MODELS or model.startswith(_FAMILIES)
