"""The truth table of the product: which call is refused, and what is the reason?

Each row is a name, what is special about the call, the policies, and the answer:
`ALLOW`, the `Reason` of a refusal, or what a policy in monitor mode `would` refuse.
"""

import dataclasses

from odoo.tests.common import BaseCase

from ...core import decide as decide_module
from ...core.call import Credential, Door, Kind, Operation, State, Target
from ...core.decide import CHECKS, decide, decide_answer
from ...core.policy import Policy
from ...core.protected import GUARD_MODELS, PROTECTED
from ...core.verdict import Allow, Deny, Reason
from .common import DAY, NOW, SECOND, a_call, a_policy, route, scopes, to, utc

ALLOW = Allow()
EMPTY = a_policy()
READ, WRITE, EXECUTE = Operation.READ, Operation.WRITE, Operation.EXECUTE


def would(reason, policy="P"):
    return Allow(Deny(reason, policy))


# Rows: name, changes of the call, policies, verdict. One line each, that they can be read as tables.
# fmt: off

CREDENTIALS = [
    ("an active key without a policy", {}, [], ALLOW),
    ("an active key under an empty policy", {}, [EMPTY], ALLOW),
    ("an unknown secret", {"state": State.UNKNOWN}, [], Reason.UNKNOWN_CREDENTIAL),
    ("a revoked key", {"state": State.REVOKED}, [], Reason.KEY_REVOKED),
    ("a suspended key", {"state": State.SUSPENDED}, [], Reason.KEY_SUSPENDED),
    ("a key marked expired", {"state": State.EXPIRED}, [], Reason.KEY_EXPIRED),
    ("a key marked expired whose date is to come",
     {"state": State.EXPIRED, "expires": NOW + DAY}, [], Reason.KEY_EXPIRED),
    ("a key without expiration", {"expires": None}, [], ALLOW),
    ("a second before expiration", {"expires": NOW + SECOND}, [], ALLOW),
    ("at the second of expiration", {"expires": NOW}, [], Reason.KEY_EXPIRED),
    ("a second after expiration", {"expires": NOW - SECOND}, [], Reason.KEY_EXPIRED),
    ("a revoked key past its expiration", {"state": State.REVOKED, "expires": NOW - DAY}, [], Reason.KEY_REVOKED),
    ("a suspended key past its expiration", {"state": State.SUSPENDED, "expires": NOW - DAY}, [], Reason.KEY_SUSPENDED),
    ("a key that nobody has accepted yet", {"state": State.PENDING}, [], Reason.KEY_PENDING),
    ("a retired key", {"state": State.RETIRED}, [], Reason.KEY_RETIRED),
    ("a second before its successor alone is left", {"retires": NOW + SECOND}, [], ALLOW),
    ("at the second of its retirement", {"retires": NOW}, [], Reason.KEY_RETIRED),
    ("expired and retired", {"retires": NOW - DAY, "expires": NOW - DAY}, [], Reason.KEY_EXPIRED),
    ("a second before it has to be rotated", {"rotate_by": NOW + SECOND}, [], ALLOW),
    ("at the second when it has to be rotated", {"rotate_by": NOW}, [], Reason.ROTATION_OVERDUE),
    ("a session", {"kind": Kind.SESSION, "created": None}, [EMPTY], ALLOW),
    ("a suspended session", {"kind": Kind.SESSION, "state": State.SUSPENDED}, [], Reason.KEY_SUSPENDED),
    ("a password", {"kind": Kind.PASSWORD, "created": None}, [EMPTY], ALLOW),
    ("a wrong password", {"kind": Kind.PASSWORD, "state": State.UNKNOWN}, [], Reason.UNKNOWN_CREDENTIAL),
    ("no secret at all", {"kind": Kind.NONE, "state": State.UNKNOWN}, [], Reason.UNKNOWN_CREDENTIAL),
]

NO_PASSWORDS = a_policy(refuse_passwords=True)
PASSWORDS = [
    ("a password over xmlrpc", {"kind": Kind.PASSWORD, "door": Door.XMLRPC}, [NO_PASSWORDS], Reason.PASSWORD_REFUSED),
    ("a password over the old xmlrpc",
     {"kind": Kind.PASSWORD, "door": Door.XMLRPC_V1}, [NO_PASSWORDS], Reason.PASSWORD_REFUSED),
    ("a password over jsonrpc", {"kind": Kind.PASSWORD, "door": Door.JSONRPC}, [NO_PASSWORDS], Reason.PASSWORD_REFUSED),
    ("a password from Python", {"kind": Kind.PASSWORD, "door": Door.INTERNAL}, [NO_PASSWORDS], Reason.PASSWORD_REFUSED),
    ("a password over json2", {"kind": Kind.PASSWORD, "door": Door.JSON2}, [NO_PASSWORDS], ALLOW),
    ("a password on a bearer route", {"kind": Kind.PASSWORD, "door": Door.BEARER}, [NO_PASSWORDS], ALLOW),
    ("a password in the web client", {"kind": Kind.PASSWORD, "door": Door.WEB}, [NO_PASSWORDS], ALLOW),
    ("a key over xmlrpc", {"kind": Kind.KEY, "door": Door.XMLRPC}, [NO_PASSWORDS], ALLOW),
    ("a session over jsonrpc", {"kind": Kind.SESSION, "door": Door.JSONRPC}, [NO_PASSWORDS], ALLOW),
    ("a password where no policy minds", {"kind": Kind.PASSWORD, "door": Door.XMLRPC}, [EMPTY], ALLOW),
    (
        "a password whose target is not known yet",
        {"kind": Kind.PASSWORD, "door": Door.XMLRPC, "target": None}, [NO_PASSWORDS], Reason.PASSWORD_REFUSED,
    ),
]

ROTATED = a_policy(rotation={"days": 30})
REMINDED = a_policy(rotation={"days": 30, "refuses": False})
MONITORED_ROTATION = a_policy(mode="monitor", rotation={"days": 30})
ROTATIONS = [
    ("a second before the deadline", {"created": NOW - 30 * DAY + SECOND}, [ROTATED], ALLOW),
    ("at the second of the deadline", {"created": NOW - 30 * DAY}, [ROTATED], Reason.ROTATION_OVERDUE),
    ("late, and only noted", {"created": NOW - 31 * DAY}, [REMINDED], would(Reason.ROTATION_OVERDUE)),
    ("late, under a policy that monitors", {"created": NOW - 31 * DAY}, [MONITORED_ROTATION],
     would(Reason.ROTATION_OVERDUE)),
    ("late, noted by one and refused by another", {"created": NOW - 31 * DAY}, [REMINDED, ROTATED],
     Reason.ROTATION_OVERDUE),
    ("late, and only noted: what else is refused stays refused", {"created": NOW - 31 * DAY, "door": Door.JSON2},
     [a_policy(rotation={"days": 30, "refuses": False}, doors=["xmlrpc"])], Reason.DOOR_REFUSED),
    ("of unknown age", {"created": None}, [ROTATED], Reason.ROTATION_OVERDUE),
    ("a session has no deadline", {"kind": Kind.SESSION, "created": None}, [ROTATED], ALLOW),
    ("a password has no deadline", {"kind": Kind.PASSWORD, "created": None}, [ROTATED], ALLOW),
]

OFFICE = a_policy(networks=[["allow", "10.0.0.0/24"]])
NOT_GUESTS = a_policy(networks=[["deny", "10.0.0.128/25"]])
OFFICE_NOT_GUESTS = a_policy(networks=[["allow", "10.0.0.0/24"], ["deny", "10.0.0.128/25"]])
ALLOWED_AND_DENIED = a_policy(networks=[["allow", "10.0.0.5"], ["deny", "10.0.0.5"]])
MAPPED = a_policy(networks=[["allow", "::ffff:10.0.0.0/120"]])
SIXES = a_policy(networks=[["allow", "2001:db8::/32"]])
ANY_SIX = a_policy(networks=[["allow", "::/0"]])
NETWORKS = [
    ("any address without a rule", {"peer": "203.0.113.9"}, [EMPTY], ALLOW),
    ("no address without a rule", {"peer": None}, [EMPTY], ALLOW),
    ("the address before the allowed network", {"peer": "9.255.255.255"}, [OFFICE], Reason.NETWORK_REFUSED),
    ("the first allowed address", {"peer": "10.0.0.0"}, [OFFICE], ALLOW),
    ("the last allowed address", {"peer": "10.0.0.255"}, [OFFICE], ALLOW),
    ("the address after the allowed network", {"peer": "10.0.1.0"}, [OFFICE], Reason.NETWORK_REFUSED),
    ("no address under an allowlist", {"peer": None}, [OFFICE], Reason.PEER_UNKNOWN),
    ("no address under a denylist", {"peer": None}, [NOT_GUESTS], Reason.PEER_UNKNOWN),
    ("the address before the denied network", {"peer": "10.0.0.127"}, [NOT_GUESTS], ALLOW),
    ("the first denied address", {"peer": "10.0.0.128"}, [NOT_GUESTS], Reason.NETWORK_REFUSED),
    ("the last denied address", {"peer": "10.0.0.255"}, [NOT_GUESTS], Reason.NETWORK_REFUSED),
    ("the address after the denied network", {"peer": "10.0.1.0"}, [NOT_GUESTS], ALLOW),
    ("allowed and not denied", {"peer": "10.0.0.127"}, [OFFICE_NOT_GUESTS], ALLOW),
    ("allowed and denied", {"peer": "10.0.0.128"}, [OFFICE_NOT_GUESTS], Reason.NETWORK_REFUSED),
    ("neither allowed nor denied", {"peer": "10.0.1.0"}, [OFFICE_NOT_GUESTS], Reason.NETWORK_REFUSED),
    ("the very same address allowed and denied", {"peer": "10.0.0.5"}, [ALLOWED_AND_DENIED], Reason.NETWORK_REFUSED),
    ("an IPv4 address written as IPv6", {"peer": "::ffff:10.0.0.5"}, [OFFICE], ALLOW),
    ("a denied IPv4 address written as IPv6", {"peer": "::ffff:10.0.0.200"}, [NOT_GUESTS], Reason.NETWORK_REFUSED),
    ("an IPv4 network written as IPv6", {"peer": "10.0.0.5"}, [MAPPED], ALLOW),
    ("outside of an IPv4 network written as IPv6", {"peer": "10.0.1.0"}, [MAPPED], Reason.NETWORK_REFUSED),
    ("IPv6 under an IPv4 rule", {"peer": "2001:db8::1"}, [OFFICE], Reason.NETWORK_REFUSED),
    ("the last allowed IPv6 address", {"peer": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}, [SIXES], ALLOW),
    ("the IPv6 address after", {"peer": "2001:db9::"}, [SIXES], Reason.NETWORK_REFUSED),
    ("IPv4 where any IPv6 is allowed", {"peer": "10.0.0.5"}, [ANY_SIX], Reason.NETWORK_REFUSED),
    ("allowed by one policy and not by the next", {"peer": "10.0.0.5"}, [OFFICE, SIXES], Reason.NETWORK_REFUSED),
]

ONLY_JSON2 = a_policy(doors=["json2"])
NO_DOOR = a_policy(doors=[])
DOORS = [
    *((f"{door.value} without a rule", {"door": door}, [EMPTY], ALLOW) for door in Door),
    *(
        (f"{door.value} where json2 alone is allowed", {"door": door}, [ONLY_JSON2], Reason.DOOR_REFUSED)
        for door in Door if door is not Door.JSON2
    ),
    *((f"{door.value} where no door is allowed", {"door": door}, [NO_DOOR], Reason.DOOR_REFUSED) for door in Door),
    ("json2 where it is allowed", {"door": Door.JSON2}, [ONLY_JSON2], ALLOW),
    ("two policies without a door in common",
     {"door": Door.JSON2}, [ONLY_JSON2, a_policy(doors=["xmlrpc"])], Reason.DOOR_REFUSED),
    ("a door where the target is not known yet",
     {"door": Door.XMLRPC, "target": None}, [ONLY_JSON2], Reason.DOOR_REFUSED),
]

MONTH, IDLE_MONTH = a_policy(max_age_days=30), a_policy(max_idle_days=30)
LIFETIMES = [
    ("a second younger than allowed", {"created": NOW - 30 * DAY + SECOND}, [MONTH], ALLOW),
    ("exactly as old as allowed", {"created": NOW - 30 * DAY}, [MONTH], ALLOW),
    ("a second older than allowed", {"created": NOW - 30 * DAY - SECOND}, [MONTH], Reason.TOO_OLD),
    ("a key of unknown age", {"created": None}, [MONTH], Reason.TOO_OLD),
    ("a key of unknown age without a limit", {"created": None}, [EMPTY], ALLOW),
    ("an old key that is used each day", {"created": NOW - 31 * DAY, "last_used": NOW}, [MONTH], Reason.TOO_OLD),
    ("a password is of no age", {"kind": Kind.PASSWORD, "created": NOW - 99 * DAY}, [MONTH], ALLOW),
    ("a session is of no age", {"kind": Kind.SESSION, "created": None}, [MONTH], ALLOW),
    ("used a second before it is idle", {"last_used": NOW - 30 * DAY + SECOND}, [IDLE_MONTH], ALLOW),
    ("used exactly that long ago", {"last_used": NOW - 30 * DAY}, [IDLE_MONTH], ALLOW),
    ("unused for a second too long", {"last_used": NOW - 30 * DAY - SECOND}, [IDLE_MONTH], Reason.IDLE_TOO_LONG),
    ("old, and used lately", {"created": NOW - 99 * DAY, "last_used": NOW - DAY}, [IDLE_MONTH], ALLOW),
    ("never used and new", {"created": NOW - 30 * DAY, "last_used": None}, [IDLE_MONTH], ALLOW),
    ("never used and not new",
     {"created": NOW - 30 * DAY - SECOND, "last_used": None}, [IDLE_MONTH], Reason.IDLE_TOO_LONG),
    ("never used, of unknown age", {"created": None, "last_used": None}, [IDLE_MONTH], Reason.IDLE_TOO_LONG),
    ("a password is never idle", {"kind": Kind.PASSWORD, "created": None}, [IDLE_MONTH], ALLOW),
    ("a session is never idle", {"kind": Kind.SESSION, "created": None}, [IDLE_MONTH], ALLOW),
]


def hours(days, start, end, zone="UTC"):
    hour, minute = (divmod(int(text.replace(":", "")), 100) for text in (start, end))
    window = {"days": days, "start": hour[0] * 60 + hour[1], "end": minute[0] * 60 + minute[1], "zone": zone}
    return a_policy(window=window)


WEEKDAYS = [0, 1, 2, 3, 4]
WORK = hours(WEEKDAYS, "09:00", "17:00")
PARIS = hours(WEEKDAYS, "09:00", "17:00", "Europe/Paris")
FRIDAY_NIGHT = hours([4], "22:00", "06:00")
ALL_WEDNESDAY = hours([2], "00:00", "00:00")
ALL_WEDNESDAY_IN_TOKYO = hours([2], "08:00", "08:00", "Asia/Tokyo")
NEVER = hours([], "00:00", "00:00")
CLOCK = [
    ("a second before the window", "2026-03-04 08:59:59", WORK, False),
    ("as the window opens", "2026-03-04 09:00:00", WORK, True),
    ("the last second", "2026-03-04 16:59:59.999999", WORK, True),
    ("as the window closes", "2026-03-04 17:00:00", WORK, False),
    ("the window's hours on another day", "2026-03-07 12:00:00", WORK, False),
    ("a window over midnight: before", "2026-03-06 21:59:59", FRIDAY_NIGHT, False),
    ("a window over midnight: as it opens", "2026-03-06 22:00:00", FRIDAY_NIGHT, True),
    ("a window over midnight: at midnight", "2026-03-07 00:00:00", FRIDAY_NIGHT, True),
    ("a window over midnight: last second", "2026-03-07 05:59:59", FRIDAY_NIGHT, True),
    ("a window over midnight: as it closes", "2026-03-07 06:00:00", FRIDAY_NIGHT, False),
    ("a window over midnight: the morning of its own day", "2026-03-06 05:00:00", FRIDAY_NIGHT, False),
    ("a window over midnight: the next evening", "2026-03-07 22:00:00", FRIDAY_NIGHT, False),
    ("a whole day: the second before", "2026-03-03 23:59:59", ALL_WEDNESDAY, False),
    ("a whole day: first second", "2026-03-04 00:00:00", ALL_WEDNESDAY, True),
    ("a whole day: last second", "2026-03-04 23:59:59", ALL_WEDNESDAY, True),
    ("a whole day: the second after", "2026-03-05 00:00:00", ALL_WEDNESDAY, False),
    ("a whole day is the calendar's, in its zone: first", "2026-03-03 15:00:00", ALL_WEDNESDAY_IN_TOKYO, True),
    ("a whole day is the calendar's, in its zone: before", "2026-03-03 14:59:59", ALL_WEDNESDAY_IN_TOKYO, False),
    ("a whole day is the calendar's, in its zone: after", "2026-03-04 15:00:00", ALL_WEDNESDAY_IN_TOKYO, False),
    ("a window of no day", "2026-03-04 12:00:00", NEVER, False),
    ("Paris in winter, too early", "2026-03-27 07:59:59", PARIS, False),
    ("Paris in winter, 9:00", "2026-03-27 08:00:00", PARIS, True),
    ("Paris in summer, 9:00, an hour earlier for the world", "2026-03-30 07:00:00", PARIS, True),
    ("Paris in summer, too early", "2026-03-30 06:59:59", PARIS, False),
    ("Paris in summer, the last second", "2026-03-30 14:59:59", PARIS, True),
    ("Paris in summer, 17:00", "2026-03-30 15:00:00", PARIS, False),
]
HOURS = [
    (name, {"at": utc(at)}, [policy], ALLOW if inside else Reason.OUTSIDE_HOURS) for name, at, policy, inside in CLOCK
]

PARTNERS = a_policy(scopes=scopes(("res.partner", "read")))
ALL_SALES = a_policy(scopes=scopes(("sale.*", "read write", "action_confirm")))
EVERYTHING = a_policy(scopes=scopes(("*", "read write create unlink execute", "action_confirm run post")))
CONFIRM = a_policy(scopes=scopes(("sale.order", "execute", "action_confirm")))
NAMES_NO_METHOD = a_policy(scopes=scopes(("sale.order", "execute")))
METHOD_WITHOUT_EXECUTE = a_policy(scopes=scopes(("sale.order", "read write", "action_confirm")))
PLUGIN = a_policy(scopes=scopes(("/mail_plugin/*", "execute")))
ONE_ROUTE = a_policy(scopes=scopes(("/mail_plugin/auth", "execute")))
ROUTE_READ = a_policy(scopes=scopes(("/mail_plugin/*", "read write")))
NOTHING = a_policy(scopes=[])
TWO_LINES = a_policy(scopes=scopes(("res.*", "read"), ("res.partner", "create")))
WITHHELD = a_policy(scopes=scopes(("ir.*", "read write create unlink execute", "run")))
CRON = a_policy(scopes=scopes(("ir.cron", "read write execute", "run")))
PARAMETERS = a_policy(scopes=scopes(("ir.config_parameter", "read")))
SCOPES = [
    ("no scope set", {"target": to("res.partner", "unlink")}, [EMPTY], ALLOW),
    ("no target yet", {"target": None}, [NOTHING], ALLOW),
    ("authenticating, whatever the scope",
     {"target": Target("", "authenticate", frozenset({Operation.AUTHENTICATE}))}, [NOTHING], ALLOW),
    ("scopes that hold no line", {}, [NOTHING], Reason.OUT_OF_SCOPE),
    ("read, granted", {"target": to("res.partner", "search_read")}, [PARTNERS], ALLOW),
    ("write, not granted", {"target": to("res.partner", "write")}, [PARTNERS], Reason.OUT_OF_SCOPE),
    ("create, not granted", {"target": to("res.partner", "create")}, [PARTNERS], Reason.OUT_OF_SCOPE),
    ("unlink, not granted", {"target": to("res.partner", "unlink")}, [PARTNERS], Reason.OUT_OF_SCOPE),
    ("another model", {"target": to("res.company")}, [PARTNERS], Reason.OUT_OF_SCOPE),
    ("a model whose name continues the granted one",
     {"target": to("res.partner.bank")}, [PARTNERS], Reason.OUT_OF_SCOPE),
    ("a prefix", {"target": to("sale.order", "write")}, [ALL_SALES], ALLOW),
    ("a prefix, deeper", {"target": to("sale.order.line", "write")}, [ALL_SALES], ALLOW),
    ("a prefix without its dot", {"target": to("sales.team")}, [ALL_SALES], Reason.OUT_OF_SCOPE),
    ("what the prefix begins with", {"target": to("sale")}, [ALL_SALES], Reason.OUT_OF_SCOPE),
    ("every model", {"target": to("x.anything", "unlink")}, [EVERYTHING], ALLOW),
    ("a model of no name", {"target": to("", "write")}, [EVERYTHING], ALLOW),
    ("a method, named", {"target": to("sale.order", "action_confirm")}, [CONFIRM], ALLOW),
    ("a method, not named", {"target": to("sale.order", "action_cancel")}, [CONFIRM], Reason.OUT_OF_SCOPE),
    ("a method that a longer name contains", {"target": to("sale.order", "action")}, [CONFIRM], Reason.OUT_OF_SCOPE),
    ("execute without any name",
     {"target": to("sale.order", "action_confirm")}, [NAMES_NO_METHOD], Reason.OUT_OF_SCOPE),
    ("a name without execute",
     {"target": to("sale.order", "action_confirm")}, [METHOD_WITHOUT_EXECUTE], Reason.OUT_OF_SCOPE),
    ("execute does not mean read", {"target": to("sale.order")}, [CONFIRM], Reason.OUT_OF_SCOPE),
    ("a method on every model", {"target": to("x.anything", "action_confirm")}, [EVERYTHING], ALLOW),
    ("a method not named, on every model", {"target": to("x.anything", "action_x")}, [EVERYTHING], Reason.OUT_OF_SCOPE),
    ("copy needs create too", {"target": to("res.partner", "copy")}, [PARTNERS], Reason.OUT_OF_SCOPE),
    ("copy, each half from another line", {"target": to("res.partner", "copy")}, [TWO_LINES], ALLOW),
    ("copy where one line covers half", {"target": to("res.country", "copy")}, [TWO_LINES], Reason.OUT_OF_SCOPE),
    ("web_save needs write and create", {"target": to("res.partner", "web_save")}, [TWO_LINES], Reason.OUT_OF_SCOPE),
    ("a route below a pattern", {"target": route("/mail_plugin/partner/get")}, [PLUGIN], ALLOW),
    ("a route beside a pattern", {"target": route("/mail_plugins/x")}, [PLUGIN], Reason.OUT_OF_SCOPE),
    ("a route, exactly", {"target": route("/mail_plugin/auth")}, [ONE_ROUTE], ALLOW),
    ("a route, longer", {"target": route("/mail_plugin/auth/2")}, [ONE_ROUTE], Reason.OUT_OF_SCOPE),
    ("a route without execute", {"target": route("/mail_plugin/auth")}, [ROUTE_READ], Reason.OUT_OF_SCOPE),
    ("every model is no route", {"target": route("/mail_plugin/auth")}, [EVERYTHING], Reason.OUT_OF_SCOPE),
    ("every route is no model",
     {"target": to("res.partner", "run")}, [a_policy(scopes=scopes(("/*", "execute", "run")))], Reason.OUT_OF_SCOPE),
    ("every route", {"target": route("/any/where")}, [a_policy(scopes=scopes(("/*", "execute")))], ALLOW),
    ("two policies that both grant", {"target": to("res.partner")}, [PARTNERS, TWO_LINES], ALLOW),
    ("two policies of which one grants", {"target": to("res.country")}, [TWO_LINES, PARTNERS], Reason.OUT_OF_SCOPE),
    ("half from either policy is not enough",
     {"target": to("res.partner", "copy")}, [PARTNERS, TWO_LINES], Reason.OUT_OF_SCOPE),
    ("a parent's policy binds its child",
     {"target": to("res.partner", "write")}, [EMPTY, PARTNERS], Reason.OUT_OF_SCOPE),
    # models that run code or change rights
    ("a protected model without a scope", {"target": to("ir.cron", "write")}, [EMPTY], ALLOW),
    ("reading a protected model by pattern", {"target": to("ir.cron")}, [WITHHELD], ALLOW),
    ("writing a protected model by pattern", {"target": to("ir.cron", "write")}, [WITHHELD], Reason.PROTECTED_MODEL),
    ("writing a protected model by *", {"target": to("ir.cron", "write")}, [EVERYTHING], Reason.PROTECTED_MODEL),
    ("executing on a protected model by pattern",
     {"target": to("ir.actions.server", "run")}, [WITHHELD], Reason.PROTECTED_MODEL),
    ("writing a protected model by name", {"target": to("ir.cron", "write")}, [CRON], ALLOW),
    ("executing on a protected model by name", {"target": to("ir.cron", "run")}, [CRON], ALLOW),
    ("a protected model, its name not granted", {"target": to("ir.cron", "unlink")}, [CRON], Reason.PROTECTED_MODEL),
    ("a protected model that no line is near", {"target": to("res.users", "write")}, [CRON], Reason.PROTECTED_MODEL),
    ("a model beside a protected one", {"target": to("ir.sequence", "write")}, [WITHHELD], ALLOW),
    ("copying a protected model by pattern", {"target": to("ir.cron", "copy")}, [WITHHELD], Reason.PROTECTED_MODEL),
    ("reading parameters by *", {"target": to("ir.config_parameter")}, [EVERYTHING], Reason.PROTECTED_MODEL),
    ("reading parameters by name", {"target": to("ir.config_parameter")}, [PARAMETERS], ALLOW),
    ("writing parameters that may be read",
     {"target": to("ir.config_parameter", "write")}, [PARAMETERS], Reason.PROTECTED_MODEL),
    ("reading parameters without a scope", {"target": to("ir.config_parameter")}, [EMPTY], ALLOW),
]

POLICIES_BY_NAME = a_policy("Admin", scopes=scopes(("api.policy", "write create")))
POLICIES_BY_PATTERN = a_policy("Wide", scopes=scopes(("api.*", "read write create unlink")))
CONFIGURATION = [
    *((f"writing {model} without a policy",
     {"target": to(model, "write")}, [], Reason.GUARD_CONFIGURATION) for model in sorted(GUARD_MODELS)),
    *((f"reading {model} without a policy", {"target": to(model)}, [], ALLOW) for model in sorted(GUARD_MODELS)),
    ("writing without a scope", {"target": to("api.policy", "write")}, [EMPTY], Reason.GUARD_CONFIGURATION),
    ("executing without a scope",
     {"target": to("api.credential", "action_resume")}, [EMPTY], Reason.GUARD_CONFIGURATION),
    ("copying without a scope", {"target": to("api.policy", "copy")}, [EMPTY], Reason.GUARD_CONFIGURATION),
    ("reading without a scope", {"target": to("api.policy")}, [EMPTY], ALLOW),
    ("writing by *", {"target": to("api.policy", "write")}, [EVERYTHING], Reason.GUARD_CONFIGURATION),
    ("writing by a pattern", {"target": to("api.policy", "write")}, [POLICIES_BY_PATTERN], Reason.GUARD_CONFIGURATION),
    ("reading by a pattern", {"target": to("api.policy")}, [POLICIES_BY_PATTERN], ALLOW),
    ("writing by name", {"target": to("api.policy", "write")}, [POLICIES_BY_NAME], Reason.GUARD_CONFIGURATION),
    ("creating by name", {"target": to("api.policy", "create")}, [POLICIES_BY_NAME], Reason.GUARD_CONFIGURATION),
    ("deleting by name", {"target": to("api.policy", "unlink")}, [POLICIES_BY_NAME], Reason.GUARD_CONFIGURATION),
    ("another model of the guard",
     {"target": to("api.scope", "write")}, [POLICIES_BY_NAME], Reason.GUARD_CONFIGURATION),
    ("the audit log is no configuration", {"target": to("api.audit.entry", "write")}, [], ALLOW),
    ("the secret is still being checked", {"target": None}, [], ALLOW),
]

UNREADABLE = Policy.unreadable("Broken")
UNREADABLE_MONITOR = dataclasses.replace(UNREADABLE, enforced=False)
MONITOR_XMLRPC = a_policy("Trial", "monitor", doors=["xmlrpc"])
MONITOR_PARTNERS = a_policy("Look", "monitor", scopes=scopes(("res.country", "read")))
MODES = [
    ("monitor, nothing to tell", {"door": Door.XMLRPC}, [MONITOR_XMLRPC], ALLOW),
    ("monitor, a refusal told", {}, [MONITOR_XMLRPC], would(Reason.DOOR_REFUSED, "Trial")),
    ("monitor, then enforce that allows", {}, [MONITOR_XMLRPC, OFFICE], would(Reason.DOOR_REFUSED, "Trial")),
    ("monitor, then enforce that refuses", {}, [MONITOR_XMLRPC, SIXES], Deny(Reason.NETWORK_REFUSED, "P")),
    ("enforce that refuses, then monitor", {}, [SIXES, MONITOR_XMLRPC], Deny(Reason.NETWORK_REFUSED, "P")),
    ("enforce and monitor refuse alike: monitor first", {}, [MONITOR_XMLRPC, NO_DOOR], Deny(Reason.DOOR_REFUSED, "P")),
    ("two monitors: the earlier check is told",
     {}, [MONITOR_PARTNERS, MONITOR_XMLRPC], would(Reason.DOOR_REFUSED, "Trial")),
    (
        "two monitors, one check: the first policy is told",
        {}, [dataclasses.replace(MONITOR_XMLRPC, name="First"), MONITOR_XMLRPC], would(Reason.DOOR_REFUSED, "First"),
    ),
    ("monitor does not excuse a revoked key", {"state": State.REVOKED}, [MONITOR_XMLRPC], Deny(Reason.KEY_REVOKED)),
    ("monitor does not excuse an expired key", {"expires": NOW}, [MONITOR_XMLRPC], Deny(Reason.KEY_EXPIRED)),
    ("monitor does not open the configuration",
     {"target": to("api.policy", "write")}, [MONITOR_XMLRPC], Deny(Reason.GUARD_CONFIGURATION)),
    ("an unreadable policy", {}, [UNREADABLE], Deny(Reason.POLICY_UNREADABLE, "Broken")),
    ("an unreadable policy behind a good one", {}, [EMPTY, UNREADABLE], Deny(Reason.POLICY_UNREADABLE, "Broken")),
    ("an unreadable policy, whatever its mode", {}, [UNREADABLE_MONITOR], Deny(Reason.POLICY_UNREADABLE, "Broken")),
    ("an unreadable policy, no target yet", {"target": None}, [UNREADABLE], Deny(Reason.POLICY_UNREADABLE, "Broken")),
    ("the first of two unreadable ones is told",
     {}, [UNREADABLE, Policy.unreadable("Too")], Deny(Reason.POLICY_UNREADABLE, "Broken")),
    ("a revoked key under an unreadable policy", {"state": State.REVOKED}, [UNREADABLE], Deny(Reason.KEY_REVOKED)),
    ("a refusal names the policy",
     {}, [EMPTY, dataclasses.replace(NO_DOOR, name="Closed")], Deny(Reason.DOOR_REFUSED, "Closed")),
    ("a refusal by no policy names none", {"state": State.UNKNOWN}, [EMPTY], Deny(Reason.UNKNOWN_CREDENTIAL, "")),
    ("of two that refuse, the first is named",
     {}, [a_policy("A", doors=[]), a_policy("B", doors=[])], Deny(Reason.DOOR_REFUSED, "A")),
]

UNLINKS = a_policy(second_factor=scopes(("*", "unlink")))
POSTS = a_policy(second_factor=scopes(("account.*", "execute", "action_post"), ("/shop/*", "execute")))
PARTNERS = a_policy(second_factor=scopes(("res.partner", "read write create")))
SECOND_FACTOR = [
    ("nothing is demanded", {"target": to("res.partner", "unlink")}, [EMPTY], ALLOW),
    ("deleting where deleting is named", {"target": to("res.partner", "unlink")}, [UNLINKS], Reason.CODE_REQUIRED),
    ("deleting with a code", {"target": to("res.partner", "unlink"), "proven": True}, [UNLINKS], ALLOW),
    ("reading where deleting is named", {"target": to("res.partner")}, [UNLINKS], ALLOW),
    ("a pattern reaches protected models", {"target": to("res.users", "unlink")}, [UNLINKS], Reason.CODE_REQUIRED),
    ("executing where deleting is named", {"target": to("res.partner", "run")}, [UNLINKS], ALLOW),
    ("a method that is named", {"target": to("account.move", "action_post")}, [POSTS], Reason.CODE_REQUIRED),
    ("another method of its model", {"target": to("account.move", "action_cancel")}, [POSTS], ALLOW),
    ("a method of that name of another model", {"target": to("sale.order", "action_post")}, [POSTS], ALLOW),
    ("one of two operations is named", {"target": to("res.partner", "copy")}, [PARTNERS], Reason.CODE_REQUIRED),
    ("a model that is not named", {"target": to("res.partner.bank", "write")}, [PARTNERS], ALLOW),
    ("a route that is named", {"target": route("/shop/pay")}, [POSTS], Reason.CODE_REQUIRED),
    ("a route that is not", {"target": route("/web/pay")}, [POSTS, UNLINKS], ALLOW),
    ("nested: what a command deletes",
     {"target": Target("res.partner", "write", frozenset({Operation.UNLINK}))}, [UNLINKS], Reason.CODE_REQUIRED),
    ("checking a secret", {"target": Target("", "authenticate", frozenset({Operation.AUTHENTICATE}))},
     [a_policy(second_factor=scopes(("*", "read write create unlink execute", "authenticate")))], ALLOW),
    ("the target is not known yet", {"target": None}, [UNLINKS], ALLOW),
    ("only one of two policies demands", {"target": to("res.partner", "unlink")}, [EMPTY, UNLINKS],
     Reason.CODE_REQUIRED),
    ("a password", {"kind": Kind.PASSWORD, "target": to("res.partner", "unlink")}, [UNLINKS], Reason.CODE_REQUIRED),
    ("only monitored", {"target": to("res.partner", "unlink")},
     [a_policy(mode="monitor", second_factor=scopes(("*", "unlink")))], would(Reason.CODE_REQUIRED)),
    ("a code lifts nothing else", {"target": to("res.partner", "unlink"), "proven": True},
     [UNLINKS, a_policy(read_only=True)], Reason.READ_ONLY),
]

# fmt: on


class TestDecide(BaseCase):
    def _check(self, rows):
        self.assertEqual(len({name for name, *_rest in rows}), len(rows), "two rows of one name")
        for name, changes, policies, expected in rows:
            with self.subTest(name):
                verdict = decide(a_call(**changes), policies)
                told = verdict.reason if isinstance(expected, Reason) and isinstance(verdict, Deny) else verdict
                self.assertEqual(told, expected, name)

    def test_a_credential_opens_only_while_active(self):
        self._check(CREDENTIALS)

    def test_passwords_are_refused_where_a_policy_says_so(self):
        self._check(PASSWORDS)

    def test_rotation(self):
        self._check(ROTATIONS)

    def test_networks_refuse_what_lies_outside(self):
        self._check(NETWORKS)

    def test_doors_that_are_not_named_are_closed(self):
        self._check(DOORS)

    def test_keys_are_refused_beyond_age_and_idleness(self):
        self._check(LIFETIMES)

    def test_hours_are_those_of_the_policys_zone(self):
        self._check(HOURS)

    def test_scopes_cover_what_they_name(self):
        self._check(SCOPES)

    def test_the_guards_configuration_needs_its_name_in_a_scope(self):
        self._check(CONFIGURATION)

    def test_a_code_is_needed_for_what_is_named(self):
        self._check(SECOND_FACTOR)

    def test_monitoring_tells_and_enforcing_refuses(self):
        self._check(MODES)

    def test_every_protected_model_is_out_of_a_patterns_reach(self):
        for model in sorted(GUARD_MODELS | {row.name for row in PROTECTED}):
            for operation in (Operation.WRITE, Operation.CREATE, Operation.UNLINK, Operation.EXECUTE):
                with self.subTest(model, operation=operation):
                    call = a_call(target=Target(model, "run", frozenset({operation})))
                    self.assertIsInstance(decide(call, [EVERYTHING]), Deny)

    def test_every_protected_model_can_be_named(self):
        for model in sorted(row.name for row in PROTECTED if not row.name.endswith("*")):
            with self.subTest(model):
                named = a_policy(scopes=scopes((model, "write execute", "run")))
                self.assertEqual(decide(a_call(target=to(model, "write")), [named]), ALLOW)
                self.assertEqual(decide(a_call(target=to(model, "run")), [named]), ALLOW)

    def test_every_state_but_active_is_refused(self):
        for state in State:
            with self.subTest(state):
                verdict = decide(a_call(state=state), [])
                self.assertEqual(isinstance(verdict, Deny), state is not State.ACTIVE)


# One policy that every check refuses, with what to change in it for the check to be content.
ALL_WRONG = {
    "refuse_passwords": True,
    "networks": [["allow", "192.0.2.1"]],
    "doors": ["json2"],
    "max_age_days": 1,
    "max_idle_days": 1,
    "rotation": {"days": 1},
    "window": {"days": [6], "start": 0, "end": 0, "zone": "UTC"},
    "scopes": [],
    "read_only": True,
    "shape": {"ids": 1},
    "second_factor": [["res.*", ["write"], []]],
}
#: The order in which reasons are told, as it is shown to administrators: (reason, section that gives it).
ORDER = [
    (Reason.PASSWORD_REFUSED, "refuse_passwords"),
    (Reason.NETWORK_REFUSED, "networks"),
    (Reason.DOOR_REFUSED, "doors"),
    (Reason.TOO_OLD, "max_age_days"),
    (Reason.IDLE_TOO_LONG, "max_idle_days"),
    (Reason.ROTATION_OVERDUE, "rotation"),
    (Reason.OUTSIDE_HOURS, "window"),
    (Reason.OUT_OF_SCOPE, "scopes"),
    (Reason.READ_ONLY, "read_only"),
    (Reason.TOO_LARGE, "shape"),
    (Reason.CODE_REQUIRED, "second_factor"),
]
#: A call that meets every one of them.
WRONG_CALL = {"door": Door.XMLRPC, "target": to("res.partner", "write"), "arguments": {"ids": [1, 2]}}


class TestOrder(BaseCase):
    """Which of several reasons is told must not change from release to release: people search for it."""

    def _first(self, sections, mode="enforce", kind=Kind.KEY):
        call = a_call(kind=kind, **WRONG_CALL)
        return decide(call, [a_policy(mode=mode, **sections)])

    def test_checks_are_asked_in_this_order(self):
        order = "_password _network _door _age _idle _rotation _hours _scope _read_only _shape _second_factor"
        self.assertEqual([check.__name__ for check in CHECKS], order.split())

    def test_the_first_reason_is_told(self):
        sections = dict(ALL_WRONG)
        self.assertEqual(self._first(sections, kind=Kind.PASSWORD), Deny(Reason.PASSWORD_REFUSED, "P"))
        for reason, section in ORDER[1:]:
            with self.subTest(reason):
                self.assertEqual(self._first(sections), Deny(reason, "P"))
                self.assertEqual(self._first(sections, mode="monitor"), would(reason))
            del sections[section]
        self.assertEqual(self._first(sections), ALLOW)

    def test_checks_come_before_policies(self):
        policies = [a_policy(section, **{section: ALL_WRONG[section]}) for _reason, section in reversed(ORDER)]
        for reason, section in ORDER[1:]:
            with self.subTest(reason):
                self.assertEqual(decide(a_call(**WRONG_CALL), policies), Deny(reason, section))
            policies = [policy for policy in policies if policy.name != section]

    def test_what_no_policy_lifts_comes_first(self):
        broken, target = Policy.unreadable("Broken"), to("api.policy", "write")
        everything_wrong = [a_policy(**ALL_WRONG), broken]
        states = [
            (State.UNKNOWN, Reason.UNKNOWN_CREDENTIAL),
            (State.REVOKED, Reason.KEY_REVOKED),
            (State.SUSPENDED, Reason.KEY_SUSPENDED),
            (State.EXPIRED, Reason.KEY_EXPIRED),
        ]
        for state, reason in states:
            with self.subTest(state):
                call = a_call(state=state, expires=NOW - DAY, target=target)
                self.assertEqual(decide(call, everything_wrong), Deny(reason))
        expired = a_call(expires=NOW, target=target)
        self.assertEqual(decide(expired, everything_wrong), Deny(Reason.KEY_EXPIRED))
        self.assertEqual(decide(a_call(target=target), everything_wrong), Deny(Reason.POLICY_UNREADABLE, "Broken"))
        self.assertEqual(decide(a_call(target=target), everything_wrong[:1]), Deny(Reason.GUARD_CONFIGURATION))

    def test_every_section_of_a_policy_is_asked_by_a_check(self):
        # A section that no check reads would be a restriction in name only.
        asked = {section for _reason, section in ORDER} - {"refuse_passwords"} | {"refuses_passwords"}
        # held to in the ORM, on what a method does; `on_active` by `decide_active`, which is told of the texts;
        # `budget` by `decide_limits`, which is told how its counters stand
        no_restriction = {"name", "enforced", "readable", "mark", "companies", "on_active", "budget"}
        no_restriction |= {"detail", "hiding", "searchable"}  # what its entries keep
        self.assertEqual({field.name for field in dataclasses.fields(Policy)}, asked | no_restriction)

    def test_an_answer_that_is_too_long_is_refused_or_observed(self):
        limit = {"shape": {"rows": 2}}
        for rows, policies, expected in (
            (3, [a_policy()], ALLOW),
            (2, [a_policy(**limit)], ALLOW),
            (3, [a_policy(**limit)], Deny(Reason.TOO_LARGE, "P")),
            (3, [a_policy(mode="monitor", **limit)], would(Reason.TOO_LARGE)),
            (3, [a_policy("M", mode="monitor", **limit), a_policy(**limit)], Deny(Reason.TOO_LARGE, "P")),
        ):
            with self.subTest(rows=rows, policies=policies):
                self.assertEqual(decide_answer(policies, rows, ALLOW), expected)
        seen = would(Reason.TOO_OLD)
        self.assertEqual(decide_answer([a_policy(mode="monitor", **limit)], 3, seen), seen)

    def test_a_state_without_a_reason_cannot_be_added_unseen(self):
        self.assertEqual(set(decide_module._STATE_REASONS), set(State) - {State.ACTIVE})

    def test_a_call_cannot_be_changed_after_it_was_judged(self):
        call = a_call()
        for thing, name in ((call, "peer"), (call.credential, "state"), (call.target, "model"), (EMPTY, "enforced")):
            with self.subTest(name), self.assertRaises(dataclasses.FrozenInstanceError):
                setattr(thing, name, None)
        self.assertIsInstance(call.credential, Credential)
