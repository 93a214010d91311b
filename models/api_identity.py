"""Who presented this secret, and which policies apply? Read from the database on every call.

One round trip finds the key, its companion row, its user, its ancestors and the
fingerprints of all policies that apply, so that a key which was revoked, re-scoped
or suspended a moment ago is judged by what holds now, in every worker. Only what
a fingerprint means is kept between calls.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import timezone

from odoo import api, models
from odoo.addons.base.models.res_users import INDEX_SIZE, KEY_CRYPT_CONTEXT
from odoo.tools import file_open

from ..core.call import Credential, Kind, State
from ..core.policy import Policy, compile_policy, fingerprint
from ..core.secret import has_prefix, is_well_formed, read_check
from ..core.verdict import Deny, Reason

MAX_SECRET = 256  # characters; a key has 39 or 40, and Odoo hashes nothing beyond 4096
MAX_COMPILED = 512
_GREATEST_ID = 2**31 - 1

_FUNCTIONS = "api_guard/models/sql/identify.sql"
_DROP = """
    DROP FUNCTION IF EXISTS api_guard_identify(text, text);
    DROP FUNCTION IF EXISTS api_guard_fingerprints(jsonb, integer, integer[]);
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the database says of a presented secret. `refusal`: why it opens nothing, whatever the policies say."""

    credential: Credential
    settings: dict
    policies: tuple[Policy, ...] = ()
    policy_ids: tuple[str, ...] = ()
    uid: int | None = None
    login: str | None = None
    key_id: int | None = None
    credential_id: int | None = None
    name: str | None = None
    refusal: Deny | None = None
    unchecked_hash: str | None = None  # of a key that was made before the guard, and has no fast check yet
    lineage_id: int | None = None  # the first credential of the chain that rotations make
    predecessor_id: int | None = None  # the key that the first use of this one retires
    prefix: str | None = None  # of a wrong secret that begins as somebody's key does


class ApiIdentity(models.AbstractModel):
    _name = "api.identity"
    _description = "API Guard: identification"

    # Content-addressed, and so never stale: a changed policy has another fingerprint.
    _compiled = OrderedDict()

    def init(self):
        """The SQL function that identifies; idempotent, runs at install and update."""
        self._drop_functions()
        with file_open(_FUNCTIONS) as source:
            self.env.cr.execute(source.read())

    @api.model
    def _drop_functions(self):
        self.env.cr.execute(_DROP)

    @classmethod
    def _of_key(cls, cr, secret, scope="rpc", derive=None):
        """Whose key is `secret`, or was it? Always an identity; kind NONE: nobody's, perhaps a password.

        `derive(settings, verify)`: whether it is right where only the slow hash, `verify()`, can tell, or the Deny
        of one that is not to be looked at.
        """
        if reason_of_form(secret) is Reason.KEY_MISTYPED:
            return replace(cls._nobody(cr), refusal=Deny(Reason.KEY_MISTYPED))
        rows = cls._rows(cr, "prefix", _prefix(secret))
        for row in rows:
            found = row["hash"] and _matches(secret, row["hash"], row["secret_check"], row["settings"], derive)
            if isinstance(found, Deny):
                return replace(cls._nobody_identity(row, Kind.NONE), refusal=found)
            if found:
                return cls._key_identity(cr, row, scope) if row["key_id"] else cls._tombstone_identity(row)
        prefix = _prefix(secret) if any(row["hash"] for row in rows) else None
        return replace(cls._nobody_identity(rows[-1], Kind.NONE), prefix=prefix)

    @classmethod
    def _of_user(cls, cr, uid, kind):
        """The identity of someone who is known by password or session."""
        [row] = cls._rows(cr, "user", uid if isinstance(uid, int) and 0 < uid <= _GREATEST_ID else None)
        if not row["active"]:
            reason = Reason.USER_INACTIVE if row["uid"] else Reason.UNKNOWN_CREDENTIAL
            return replace(cls._nobody_identity(row, kind), uid=row["uid"], login=row["login"], refusal=Deny(reason))
        return Identity(
            credential=Credential(kind, State.ACTIVE),
            settings=row["settings"],
            **cls._policies(cr, row, ()),
            uid=row["uid"],
            login=row["login"],
        )

    @classmethod
    def _of_credential(cls, cr, credential_id):
        """The identity of a key that nobody presents: what would apply to it? None for a key that is gone."""
        row = cls._rows(cr, "credential", credential_id)[0]
        return cls._key_identity(cr, row, row["scope"]) if row["key_id"] else None

    @classmethod
    def _nobody(cls, cr, kind=Kind.NONE):
        """The identity of a secret that nobody has; it carries the settings, which name the trusted proxies."""
        return cls._nobody_identity(cls._rows(cr, "user", None)[0], kind)

    @classmethod
    def _nobody_identity(cls, row, kind):
        return Identity(Credential(kind, State.UNKNOWN), row["settings"], refusal=Deny(Reason.UNKNOWN_CREDENTIAL))

    @classmethod
    def _tombstone_identity(cls, row):
        """A key that once was, for the log; to the caller it is as unknown as any other."""
        return Identity(
            credential=Credential(Kind.KEY, State.EXPIRED if row["expired"] else State.REVOKED),
            settings=row["settings"],
            uid=row["uid"],
            login=row["login"],
            credential_id=row["credential_id"],
            name=row["name"],
        )

    @classmethod
    def _key_identity(cls, cr, row, scope):
        refusal = None
        if not row["active"]:
            refusal = Deny(Reason.USER_INACTIVE)
        elif row["scope"] is not None and row["scope"] != scope:
            refusal = Deny(Reason.DOOR_REFUSED)
        elif row["credential_id"] is None:
            refusal = Deny(Reason.POLICY_UNREADABLE)  # no companion row: nobody knows its policy
        elif row["copied"]:
            refusal = Deny(Reason.DATABASE_COPIED)
        elif row["inactive_ancestor"]:
            refusal = Deny(Reason.PARENT_INACTIVE)
        return Identity(
            credential=Credential(
                kind=Kind.KEY,
                state=State(row["state"] or "active"),
                created=_aware(row["create_date"]),
                expires=_aware(row["expiration_date"]),
                last_used=_aware(row["last_used_at"]),
                retires=_aware(row["retires_at"]),
                rotate_by=_aware(row["rotate_by"]),
            ),
            settings=row["settings"],
            **cls._policies(cr, row, row["policy_ids"] or ()),
            uid=row["uid"],
            login=row["login"],
            key_id=row["key_id"],
            credential_id=row["credential_id"],
            name=row["name"],
            refusal=refusal,
            unchecked_hash=None if row["secret_check"] else row["hash"],
            lineage_id=row["lineage_id"],
            predecessor_id=row["predecessor_id"],
        )

    @classmethod
    def _policies(cls, cr, row, lineage_ids):
        """The policies that apply, ids and compiled: baseline, user's, key's, its ancestors'."""
        known = row["known"] or {}
        baseline = row["settings"].get("api_guard.baseline_policy_id")
        wanted = (str(policy_id) for policy_id in (baseline, row["user_policy_id"], *lineage_ids) if policy_id)
        policy_ids = tuple(dict.fromkeys(wanted))
        policies = [cls._policy(cr, known.get(policy_id)) for policy_id in policy_ids]
        if row["settings"].get("api_guard.refuse_rpc_passwords") in ("True", "1", "true"):
            policies.append(Policy("Settings", refuses_passwords=True))
        return {"policies": tuple(policies), "policy_ids": policy_ids}

    @classmethod
    def _policy(cls, cr, known):
        if known is None:  # the setting names a policy that is gone
            return Policy.unreadable("(missing policy)")
        mark, name = known
        policy = cls._compiled.get(mark)
        if policy is None:
            policy = cls._compile(cr, mark, name)
            cls._compiled[mark] = policy
            while len(cls._compiled) > MAX_COMPILED:
                cls._compiled.popitem(last=False)
        return policy

    @classmethod
    def _compile(cls, cr, mark, name):
        cr.execute("SELECT document FROM api_policy WHERE fingerprint = %s LIMIT 1", [mark])
        row = cr.fetchone()
        try:
            if not row or fingerprint(row[0]) != mark:
                raise ValueError("the document does not bear its fingerprint")
            return compile_policy(row[0])
        except ValueError:
            return Policy.unreadable(name)

    @classmethod
    def _rows(cls, cr, by, wanted):
        """Rows of `api_guard_identify` as dicts; the last one holds at least the settings."""
        wanted = None if wanted is None else str(wanted)
        cr.execute("SELECT * FROM api_guard_identify(%s, %s)", [by, wanted])
        return cr.dictfetchall()


def reason_of_form(secret):
    """Why nobody has this secret, as far as it shows by itself."""
    is_mistyped = has_prefix(secret) and not is_well_formed(secret)
    return Reason.KEY_MISTYPED if is_mistyped else Reason.UNKNOWN_CREDENTIAL


def _prefix(secret):
    """What a key is looked up by. Text that cannot be one finds nothing, and breaks nothing."""
    if not isinstance(secret, str) or len(secret) > MAX_SECRET:
        return ""
    prefix = secret[:INDEX_SIZE]
    return prefix if prefix.isascii() and prefix.isprintable() else ""


def _matches(secret, stored, check, settings, derive):
    """Is `secret` the one that Odoo stored the hash of? The slow hash is derived only where no check speaks."""
    if (known := read_check(secret, stored, check)) is not None:
        return known

    def verify():
        try:
            return KEY_CRYPT_CONTEXT.verify(secret, stored)
        except ValueError:  # a NUL inside
            return False

    return derive(settings, verify) if derive else verify()


def _aware(moment):
    return moment and moment.replace(tzinfo=timezone.utc)
