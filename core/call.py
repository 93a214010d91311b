"""What is being asked, by whom, through which door?

The vocabulary that everything else speaks: `decide` judges a `Call`, the
adapters build one. Knows nothing of Odoo, HTTP or the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address


class Door(str, Enum):
    """A surface on which a secret reaches a model."""

    XMLRPC = "xmlrpc"
    XMLRPC_V1 = "xmlrpc_v1"
    JSONRPC = "jsonrpc"
    JSON2 = "json2"
    JSON1 = "json1"
    DOCS = "docs"
    MAIL_PLUGIN = "mail_plugin"
    BEARER = "bearer"
    #: the web client's login: failures are counted and recorded, policies do not reach it
    WEB = "web"
    #: Python called the services without an HTTP request around it
    INTERNAL = "internal"


#: The doors that carry login and secret in the call itself, and so take passwords.
RPC_DOORS = frozenset({Door.XMLRPC, Door.XMLRPC_V1, Door.JSONRPC, Door.INTERNAL})


class Kind(str, Enum):
    """What sort of secret was presented."""

    KEY = "key"
    PASSWORD = "password"  # noqa: S105 - the kind of a secret, not one
    SESSION = "session"
    NONE = "none"


class State(str, Enum):
    """Where a credential is in its life. Only an active one opens anything."""

    PENDING = "pending"  # asked for; nobody has accepted it yet
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"  # its successor has taken over
    REVOKED = "revoked"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Operation(str, Enum):
    """What a method does to records, as a scope line grants it."""

    READ = "read"
    WRITE = "write"
    CREATE = "create"
    UNLINK = "unlink"
    EXECUTE = "execute"
    #: checking a secret and nothing else (`common.authenticate`): no scope covers or bars it
    AUTHENTICATE = "authenticate"


#: What a method does that is given values: its consequences are its caller's doing.
BY_VALUES = frozenset({Operation.WRITE, Operation.CREATE})


@dataclass(frozen=True, slots=True)
class Credential:
    """The secret that was presented, as the database knows it now. Times are aware, UTC.

    `retires`: when its successor alone is left. `rotate_by`: a deadline that somebody set for
    this key, besides those of its policies.
    """

    kind: Kind
    state: State
    created: datetime | None = None
    expires: datetime | None = None
    last_used: datetime | None = None
    retires: datetime | None = None
    rotate_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What the call reaches: a method of a model, or a route of a controller.

    `model` is an Odoo model name, or a path (it begins with "/") for a route
    that names no model. `operations` holds everything that the method may do.
    `needs_name`: no pattern reaches it, as the registry alone can tell. The model evaluates
    templates, which makes even reading it running code, or the method is steered.
    """

    model: str
    method: str
    operations: frozenset[Operation]
    needs_name: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call, judged as a whole.

    `peer` None: nobody can tell where the call comes from. `target` None: the
    target is not known yet (the secret is being checked); scopes wait for it.
    `arguments` by name, and `body`, the request's length in bytes: how large it is.
    `proven`: it brought a code of its key's second factor, which was right and is used up.
    """

    door: Door
    credential: Credential
    peer: Address | None
    at: datetime
    target: Target | None = None
    arguments: Mapping[str, object] | None = field(default=None, compare=False)
    body: float = 0
    proven: bool = False
