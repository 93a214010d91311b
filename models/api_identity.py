"""Who presented this secret, and which policies apply? Read from the database on every call.

One round trip finds the key, its companion row, its user, its ancestors and the
fingerprints of all policies that apply, so that a key which was revoked, re-scoped
or suspended a moment ago is judged by what holds now, in every worker. Only what
a fingerprint means is kept between calls.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timezone

from odoo import api, models
from odoo.addons.base.models.res_users import INDEX_SIZE, KEY_CRYPT_CONTEXT

from ..core.call import Credential, Kind, State
from ..core.policy import Policy, compile_policy, fingerprint
from ..core.secret import read_check
from ..core.verdict import Deny, Reason

SETTINGS = (
    "api_guard.baseline_policy_id",
    "api_guard.trusted_proxies",
    "api_guard.refuse_rpc_passwords",
    "api_guard.debug_errors",
    "api_guard.cooldown_failures",
    "api_guard.cooldown_seconds",
)

MAX_SECRET = 256  # characters; a key has 40, and Odoo hashes nothing beyond 4096
MAX_COMPILED = 512

_POLICIES = """
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(p.id, jsonb_build_array(p.fingerprint, p.name)) AS known
          FROM api_policy p
         WHERE p.id::text = s.settings->>'api_guard.baseline_policy_id'
            OR p.id = u.api_policy_id
            OR p.id = ANY(lineage.policy_ids)
    ) policies ON TRUE
"""
_SETTINGS = """
    (SELECT COALESCE(jsonb_object_agg(key, value), jsonb_build_object()) AS settings
       FROM ir_config_parameter WHERE key = ANY(%(settings)s)) s
"""
_LINEAGE_SQL = f"""
    SELECT s.settings, policies.known, u.id AS uid, u.active, u.login, u.api_policy_id,
           k.id AS key_id, k.name, k.key AS hash, k.scope, k.create_date, k.expiration_date,
           c.id AS credential_id, c.state, c.last_used_at, c.secret_check,
           lineage.policy_ids, lineage.inactive_ancestor
      FROM {_SETTINGS}
      LEFT JOIN (res_users_apikeys k
                 JOIN res_users u ON u.id = k.user_id
                 LEFT JOIN api_credential c ON c.apikey_id = k.id
                ) ON {{match}}
      LEFT JOIN LATERAL (
            WITH RECURSIVE line AS (
                SELECT c.id, c.parent_id, c.policy_id, FALSE AS inactive, 0 AS depth
                UNION ALL
                SELECT a.id, a.parent_id, a.policy_id,
                       a.state != 'active' OR a.apikey_id IS NULL OR ak.expiration_date < now() AT TIME ZONE 'utc',
                       line.depth + 1
                  FROM line
                  JOIN api_credential a ON a.id = line.parent_id
                  LEFT JOIN res_users_apikeys ak ON ak.id = a.apikey_id
                 WHERE line.depth < 32
            )
            SELECT array_agg(policy_id ORDER BY depth) FILTER (WHERE policy_id IS NOT NULL) AS policy_ids,
                   bool_or(inactive OR depth = 32) AS inactive_ancestor
              FROM line
      ) lineage ON TRUE
    {_POLICIES}
"""  # noqa: S608 - fixed fragments
_KEY_SQL = _LINEAGE_SQL.format(match="k.index = %(prefix)s")
_CREDENTIAL_SQL = _LINEAGE_SQL.format(match="c.id = %(credential)s")
_USER_SQL = f"""
    SELECT s.settings, policies.known, u.id AS uid, u.active, u.login, u.api_policy_id
      FROM {_SETTINGS}
      LEFT JOIN res_users u ON u.id = %(uid)s
      LEFT JOIN LATERAL (SELECT ARRAY[]::int[] AS policy_ids) lineage ON TRUE
    {_POLICIES}
"""  # noqa: S608 - fixed fragments
_TOMBSTONE_SQL = """
    SELECT id, name, user_id, login, secret_hash, secret_check, expired
      FROM api_credential WHERE key_index = %s AND apikey_id IS NULL ORDER BY id DESC LIMIT 3
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the database says of a presented secret. `refusal`: why it opens nothing, whatever the policies say."""

    credential: Credential
    settings: dict
    policies: tuple[Policy, ...] = ()
    uid: int | None = None
    login: str | None = None
    key_id: int | None = None
    credential_id: int | None = None
    name: str | None = None
    refusal: Deny | None = None
    unchecked_hash: str | None = None  # of a key that was made before the guard, and has no fast check yet


class ApiIdentity(models.AbstractModel):
    _name = "api.identity"
    _description = "API Guard: identification"

    # Content-addressed, and so never stale: a changed policy has another fingerprint.
    _compiled = OrderedDict()

    @api.model
    def _of_key(self, secret, scope="rpc"):
        """Whose key is `secret`? None: nobody's (it may be a password)."""
        prefix = _prefix(secret)
        rows = self._rows(_KEY_SQL, prefix=prefix)
        for row in rows:
            if row["key_id"] and _matches(secret, row["hash"], row["secret_check"]):
                return self._key_identity(row, scope)
        return self._of_tombstone(secret, prefix, rows[0]["settings"])

    @api.model
    def _of_user(self, uid, kind):
        """The identity of someone who is known by password or session. Never None."""
        [row] = self._rows(_USER_SQL, uid=uid)
        refusal = None if row["active"] else Deny(Reason.USER_INACTIVE if row["uid"] else Reason.UNKNOWN_CREDENTIAL)
        return Identity(
            credential=Credential(kind, State.ACTIVE if row["active"] else State.UNKNOWN),
            settings=row["settings"],
            policies=self._policies(row, ()),
            uid=row["uid"],
            login=row["login"],
            refusal=refusal,
        )

    @api.model
    def _of_credential(self, credential_id):
        """The identity of a key that nobody presents: what would apply to it? None for a key that is gone."""
        [row] = self._rows(_CREDENTIAL_SQL, credential=credential_id)
        return self._key_identity(row, row["scope"]) if row["key_id"] else None

    @api.model
    def _nobody(self, kind=Kind.NONE):
        """The identity of a secret that nobody has; it carries the settings, which name the trusted proxies."""
        settings = self._rows(_USER_SQL, uid=None)[0]["settings"]
        return Identity(Credential(kind, State.UNKNOWN), settings, refusal=Deny(Reason.UNKNOWN_CREDENTIAL))

    def _key_identity(self, row, scope):
        refusal = None
        if not row["active"]:
            refusal = Deny(Reason.USER_INACTIVE)
        elif row["scope"] is not None and row["scope"] != scope:
            refusal = Deny(Reason.DOOR_REFUSED)
        elif row["credential_id"] is None:
            refusal = Deny(Reason.POLICY_UNREADABLE)  # no companion row: nobody knows its policy
        elif row["inactive_ancestor"]:
            refusal = Deny(Reason.PARENT_INACTIVE)
        return Identity(
            credential=Credential(
                kind=Kind.KEY,
                state=State(row["state"] or "active"),
                created=_aware(row["create_date"]),
                expires=_aware(row["expiration_date"]),
                last_used=_aware(row["last_used_at"]),
            ),
            settings=row["settings"],
            policies=self._policies(row, row["policy_ids"] or ()),
            uid=row["uid"],
            login=row["login"],
            key_id=row["key_id"],
            credential_id=row["credential_id"],
            name=row["name"],
            refusal=refusal,
            unchecked_hash=None if row["secret_check"] else row["hash"],
        )

    def _of_tombstone(self, secret, prefix, settings):
        """A key that once was, for the log; to the caller it is as unknown as any other."""
        self.env.cr.execute(_TOMBSTONE_SQL, [prefix])
        for credential_id, name, uid, login, stored, check, expired in self.env.cr.fetchall():
            if stored and _matches(secret, stored, check):
                credential = Credential(Kind.KEY, State.EXPIRED if expired else State.REVOKED)
                return Identity(credential, settings, (), uid, login, None, credential_id, name)
        return None

    def _policies(self, row, lineage_ids):
        """The policies that apply, compiled: baseline, user's, key's, its ancestors'."""
        known = row["known"] or {}
        baseline = row["settings"].get("api_guard.baseline_policy_id")
        wanted = [str(policy_id) for policy_id in (baseline, row["api_policy_id"], *lineage_ids) if policy_id]
        policies = [self._policy(known.get(policy_id)) for policy_id in dict.fromkeys(wanted)]
        if row["settings"].get("api_guard.refuse_rpc_passwords") in ("True", "1", "true"):
            policies.append(Policy(self.env._("Settings"), refuses_passwords=True))
        return tuple(policies)

    def _policy(self, known):
        if known is None:  # the setting names a policy that is gone
            return Policy.unreadable(self.env._("(missing policy)"))
        mark, name = known
        policy = self._compiled.get(mark)
        if policy is None:
            policy = self._compile(mark, name)
            self._compiled[mark] = policy
            while len(self._compiled) > MAX_COMPILED:
                self._compiled.popitem(last=False)
        return policy

    def _compile(self, mark, name):
        cr = self.env.cr
        cr.execute("SELECT document FROM api_policy WHERE fingerprint = %s LIMIT 1", [mark])
        row = cr.fetchone()
        try:
            if not row or fingerprint(row[0]) != mark:
                raise ValueError("the document does not bear its fingerprint")
            return compile_policy(row[0])
        except ValueError:
            return Policy.unreadable(name)

    def _rows(self, query, **parameters):
        """Rows as dicts; at least one, which holds the settings."""
        self.env.cr.execute(query, {"settings": list(SETTINGS), **parameters})
        return self.env.cr.dictfetchall()


def _prefix(secret):
    """What a key is looked up by. Text that cannot be one finds nothing, and breaks nothing."""
    if not isinstance(secret, str) or len(secret) > MAX_SECRET:
        return ""
    prefix = secret[:INDEX_SIZE]
    return prefix if prefix.isascii() and prefix.isprintable() else ""


def _matches(secret, stored, check):
    """Is `secret` the one that Odoo stored the hash of? The slow hash is derived only where no check speaks."""
    if (known := read_check(secret, stored, check)) is not None:
        return known
    try:
        return KEY_CRYPT_CONTEXT.verify(secret, stored)
    except ValueError:  # a NUL inside
        return False


def _aware(moment):
    return moment and moment.replace(tzinfo=timezone.utc)
