"""What does a log of ten million entries cost? `make bench-scale [N=10000000]`.

A real database with N entries over half a year, and one with all of them in this month. What the screens
ask is asked as they do, by the ORM, in `odoo shell`; what the guard writes is written by its own
statement. The budgets and what was measured go to `.dev/bench-scale.json`.
"""

import argparse
import json

# ruff: noqa: S608  our own words
from .. import postgres, setup
from ..harness import copy_db, create_db, drop_db, psql, shell
from ..layout import DEV
from ..steps import say
from .progress import Progress

FULL, MONTH, EMPTY = "bench_scale", "bench_scale_month", "bench_scale_empty"
LOT = 250_000
SHARES = {"read": 0.75, "write": 0.15, "refused": 0.08, "failed": 0.02}
MONTHS = 6
BUDGETS = {
    "insert_ratio": 1.1, "default_list_ms": 300, "key_day_ms": 200, "month_count_ms": 500, "graph_30d_ms": 1000,
    "drop_month_ms": 1000, "seal_million_s": 60,
}

FACTS = """
import json
from odoo import Command
group = env.ref("base.group_user").id
users = env["res.users"].create([
    {"name": f"Program {n}", "login": f"program{n}", "group_ids": [Command.set([group])]} for n in range(20)])
keys = []
for n in range(40):
    user = users[n % 20]
    secret = env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", f"Key {n}", None)
    keys.append(env["api.credential"]._of_secret(secret, user).id)
env["ir.cron"].search([]).active = False
env.cr.commit()
"""

#: Rows as the guard writes them, 250,000 at a time; {n} counts from {first} to {last} of {count} in this table.
FILL = """
INSERT INTO {table} (
    kind, occurred_at, request_id, door, route, http_method, peer, user_agent, database, user_id, login,
    credential_kind, credential_id, key_id, credential_name, policies, policy_ids, model, method, operation,
    record_ids, record_count, row_count, byte_count, read_ids, read_fields, arguments, verdict, reason, outcome,
    committed, status, duration_ms, sql_count)
SELECT '{kind}', t.at, lpad(to_hex((extract(epoch FROM t.at) * 1000)::bigint), 11, '0') || left(md5(n::text), 9),
    (ARRAY['json2', 'xmlrpc', 'jsonrpc'])[1 + n % 3], '/json/2/' || m.model || '/search_read', 'POST',
    '203.0.113.' || n % 250, 'integration/2.3 (python-requests 2.32)', current_database(), c.user_id,
    'program' || n % 20, 'key', c.id, c.id, 'Key ' || n % 40, 'Reads contacts, Everybody', ',3,7,', m.model,
    CASE '{kind}' WHEN 'write' THEN 'write' ELSE 'search_read' END,
    CASE '{kind}' WHEN 'write' THEN 'write' ELSE 'read' END,
    CASE '{kind}' WHEN 'write' THEN (n % 5000)::text END, CASE '{kind}' WHEN 'write' THEN 1 END,
    20, 3000 + n % 4000, CASE '{kind}' WHEN 'read' THEN (n % 5000) || '-' || (n % 5000 + 19) END,
    CASE '{kind}' WHEN 'read' THEN 'email name phone' END, 'domain, fields, limit',
    CASE '{kind}' WHEN 'refused' THEN 'deny' ELSE 'allow' END,
    CASE '{kind}' WHEN 'refused' THEN 'scope.not_covered' END,
    CASE '{kind}' WHEN 'refused' THEN 'refused' WHEN 'failed' THEN 'failed' ELSE 'allowed' END,
    '{kind}' = 'write', CASE '{kind}' WHEN 'refused' THEN 403 WHEN 'failed' THEN 500 ELSE 200 END,
    3 + (n % 97) / 10.0, 4 + n % 9
FROM generate_series({first}::bigint, {last}) n
CROSS JOIN LATERAL (SELECT '{starts}'::timestamp + n * ('{ends}'::timestamp - '{starts}'::timestamp) / {count}) t (at)
CROSS JOIN LATERAL (SELECT (ARRAY['res.partner', 'sale.order', 'account.move', 'product.product'])[1 + n % 4]) m (model)
JOIN (SELECT id, user_id, row_number() OVER (ORDER BY id) - 1 AS place FROM api_credential) c
    ON c.place = n % (SELECT count(*) FROM api_credential)
"""

MEASURE = """
import json, statistics, time
from datetime import timedelta
from odoo import fields
from odoo.addons.api_guard.models.api_audit_entry import _INSERT, _NAMES
from odoo.addons.api_guard.seams.beside import Beside

facts = json.loads('''{facts}''')
me = env.ref("base.user_admin").id


def median(call, rounds=11, warm=2):
    times = []
    for n in range(rounds + warm):
        env.invalidate_all()
        env.cr.rollback()
        model = env(user=me)
        began = time.perf_counter()
        call(model)
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times[warm:]), 1)


def page(model_name, domain, model):
    entries = model[model_name]
    views = entries.get_views([(False, "list")])
    arch, known = views["views"]["list"]["arch"], views["models"][model_name]["fields"]
    names = [name for name in known if f'name="{{name}}"' in arch]
    plain = {{"display_name": {{}}}}
    asked = {{name: {{"fields": plain}} if known[name]["type"] == "many2one" else {{}} for name in names}}
    found = entries.web_search_read(domain, asked, limit=80, count_limit=10001)
    assert found["records"], domain


def insert_ratio(full, empty, rounds=2000):
    now = fields.Datetime.now()
    values = {{"kind": "read", "occurred_at": now, "request_id": "x" * 20, "door": "json2", "verdict": "allow",
               "outcome": "allowed", "user_id": 2, "credential_id": 7, "credential_kind": "key", "model": "res.partner",
               "method": "search_read", "arguments": "domain, fields", "policies": "Reads contacts", "status": 200,
               "peer": "203.0.113.7", "user_agent": "integration/2.3", "login": "program", "route": "/json/2"}}
    row = [values.get(name) for name in _NAMES]
    beside = [Beside(full), Beside(empty)]
    times = [[], []]
    for n in range(rounds + 200):
        for which in ((0, 1), (1, 0))[n % 2]:
            row[_NAMES.index("request_id")] = f"{{int(time.time() * 1000):011x}}{{n:09x}}"
            began = time.perf_counter()
            beside[which].execute(_INSERT, row)
            if n >= 200:
                times[which].append(time.perf_counter() - began)
    for cr in beside:
        cr.close()
    return round(statistics.median(times[0]) / statistics.median(times[1]), 3)


def told(**results):
    print("RESULT", json.dumps(results))

{code}
"""

SCREENS = """
day = fields.Datetime.from_string(facts["day"])
first, last = map(fields.Datetime.from_string, facts["month"])
month = [("occurred_at", ">=", first), ("occurred_at", "<", last)]
key = env["api.credential"].search([], limit=1, offset=3)
recent = [("occurred_at", ">=", fields.Datetime.now() - timedelta(days=30))]
counts = {
    "refused": [("outcome", "=", "refused")], "of a key": [("credential_id", "=", key.id)],
    "of a user": [("user_id", "=", key.user_id.id)], "all": [], "of a model": [("model", "=", "sale.order")],
}
told(
    default_list_ms=median(lambda model: page("api.audit.entry", [], model)),
    key_day_ms=median(lambda model: page("api.audit.entry", [
        ("credential_id", "=", key.id), ("occurred_at", ">=", day), ("occurred_at", "<", day + timedelta(days=1))],
        model)),
    counts={name: median(lambda model: model["api.audit.entry"].search_count(month + domain, limit=10001), 5)
            for name, domain in counts.items()},  # as the list does: beyond that it shows "10000+"
    all_counts={name: median(lambda model: model["api.audit.entry"].search_count(month + domain), 3, 1)
                for name, domain in counts.items()},
    graph_of_entries_ms=median(lambda model: model["api.audit.entry"].formatted_read_group(
        recent, ["occurred_at:day", "outcome"], ["__count"]), 3, 1),
    graph_30d_ms=median(lambda model: model["api.audit.rollup"].formatted_read_group(
        [("hour", ">=", fields.Datetime.now() - timedelta(days=30))], ["hour:day", "outcome"], ["calls:sum"]), 7),
)
"""

#: The sealer seals the first table; the hours of all others are counted in one go, as it would have one by one.
SEAL = """
began, count, behind = time.perf_counter(), 0, True
while behind and count < facts["seal"]:
    sealed, behind = env["api.audit.seal"]._seal()
    env.cr.commit()
    count += sealed
told(sealed=count, seconds=round(time.perf_counter() - began, 1))
"""
ROLLUP = """
INSERT INTO api_audit_rollup (hour, kind, door, credential_id, user_id, model, operation, outcome, reason, calls,
                              row_count, byte_count, duration_ms)
SELECT date_trunc('hour', occurred_at), kind, door, COALESCE(credential_id, 0), COALESCE(user_id, 0),
       COALESCE(model, ''), COALESCE(operation, ''), outcome, COALESCE(reason, ''), count(*),
       COALESCE(sum(row_count), 0), COALESCE(sum(byte_count), 0), COALESCE(sum(duration_ms), 0)
FROM api_audit_entry GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
DROP = """
drops = env["api.audit.drop"]
began = time.perf_counter()
portion = drops._survey("read", facts["table"])
surveyed = time.perf_counter()
assert drops._take_table(portion, "read: 90 days (month)")
told(entries=portion.count, survey_ms=round((surveyed - began) * 1000), drop_month_ms=round(
    (time.perf_counter() - surveyed) * 1000, 1))
"""


def run(*arguments):
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--keep", action="store_true", help="leave the databases")
    options = parser.parse_args(arguments)
    setup.ensure_for_tests()
    progress = Progress(2 * len(SHARES) * MONTHS + 8)
    try:
        results = _measure(options.entries, progress)
    finally:
        progress.end()
        if not options.keep:
            for name in (FULL, MONTH, EMPTY):
                drop_db(name)
        postgres.stop_unless_used()
    _tell(results)
    return 0


def _measure(count, progress):
    progress.part("databases")
    create_db(EMPTY, ("api_guard",))
    shell(EMPTY, FACTS)
    for name in (FULL, MONTH):
        copy_db(EMPTY, name)
    months = _months(FULL)
    for starts, ends in months:
        for kind, share in SHARES.items():
            _fill(FULL, kind, starts, ends, round(count * share / MONTHS), progress)
    for kind, share in SHARES.items():
        _fill(MONTH, kind, *months[-1], round(count * share), progress)
    for name in (FULL, MONTH, EMPTY):
        psql(name, "VACUUM ANALYZE")
        psql(name, "CHECKPOINT") if _may_checkpoint() else None
    size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('api_audit_entry')"
    results = {"entries": count, "bytes_per_entry": round(int(psql(FULL, size)) / count)}
    for name in (FULL, MONTH):
        progress.part(f"inserts into {name}")
        told = _run(EMPTY, f"told(ratio=insert_ratio('{name}', '{EMPTY}'))")
        say(f"  insert: {told['ratio']} × of an empty log ({name})")
        results["insert_ratio"] = max(results.get("insert_ratio", 0), told["ratio"])
    progress.part("seal")
    oldest = round(count * SHARES["read"] / MONTHS)
    sealed = _run(FULL, SEAL, seal=oldest)
    results["seal_million_s"] = round(sealed["seconds"] / sealed["sealed"] * 1e6, 1)
    psql(FULL, "DELETE FROM api_audit_rollup")
    psql(FULL, ROLLUP)
    psql(FULL, "VACUUM ANALYZE")
    progress.part("screens")
    first, last = months[-2]
    told = _run(FULL, SCREENS, month=[first, last], day=f"{months[-1][0][:8]}05 00:00:00")
    results |= {name: told[name] for name in ("default_list_ms", "key_day_ms", "graph_30d_ms")}
    results["month_count_ms"] = max(told["all_counts"].values())
    say(f"  counts of a month, as the list asks: {told['counts']} ms; without a limit: {told['all_counts']} ms;"
        f" graph of the entries themselves: {told['graph_of_entries_ms']} ms")
    progress.part("a hundred partitions")
    _add_partitions(FULL)
    crowded = _run(FULL, SCREENS, month=[first, last], day=f"{months[-1][0][:8]}05 00:00:00")
    say(f"  with {psql(FULL, 'SELECT count(*) FROM api_audit_partition')} partitions: list {crowded['default_list_ms']}"
        f" ms, key and day {crowded['key_day_ms']} ms")
    progress.part("drop")
    table = psql(FULL, "SELECT table_name FROM api_audit_partition WHERE kind = 'read'"
                       " AND pg_relation_size(table_name::regclass) > 0 ORDER BY starts LIMIT 1")
    told = _run(FULL, DROP, table=table)
    say(f"  a month of {told['entries']:,} entries: looked through in {told['survey_ms']} ms,"
        f" dropped in {told['drop_month_ms']} ms")
    results["drop_month_ms"] = told["drop_month_ms"]
    return results


def _months(database):
    """The last MONTHS months, this one until now: [(starts, ends)]."""
    rows = psql(database, "SELECT m, least(m + interval '1 month', date_trunc('second', now() AT TIME ZONE 'utc'))"
                          " FROM generate_series(date_trunc('month', now() AT TIME ZONE 'utc')"
                          f" - interval '{MONTHS - 1} months', now() AT TIME ZONE 'utc', interval '1 month') m")
    return [tuple(row.split("|")) for row in rows.splitlines()]


def _fill(database, kind, starts, ends, count, progress):
    """A partition, filled beside the log and attached with its indexes."""
    tick = progress.part(f"{database}: {kind} from {starts[:7]}", rounds=count)
    parent, table = f"api_audit_entry_{kind}", f"api_audit_entry_{kind}_{starts[:7].replace('-', '_')}"
    psql(database, f"DELETE FROM api_audit_partition WHERE table_name = '{table}'")
    psql(database, f"DROP TABLE IF EXISTS {table}")
    psql(database, f"CREATE TABLE {table} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    for first in range(0, count, LOT):
        tick(first)
        last = min(first + LOT, count) - 1
        lot = {"first": first, "last": last, "count": count}
        psql(database, FILL.format(table=table, kind=kind, starts=starts, ends=ends, **lot))
    tick(count)
    psql(database, f"SET maintenance_work_mem = '512MB'; SELECT api_guard_attach_partition('{kind}',"
                   f" date_trunc('month', timestamp '{starts}'),"
                   f" date_trunc('month', timestamp '{starts}') + interval '1 month', '{table}')")


def _add_partitions(database):
    psql(database, "SELECT api_guard_add_partition(kind, now() AT TIME ZONE 'utc' - n * interval '1 month')"
                   " FROM unnest(ARRAY['read', 'write', 'refused', 'failed']) kind, generate_series(6, 22) n")


def _run(database, code, **facts):
    printed = shell(database, MEASURE.format(facts=json.dumps(facts), code=code))
    lines = [line for line in printed.splitlines() if line.startswith("RESULT ")]
    return json.loads(lines[-1].removeprefix("RESULT "))


def _may_checkpoint():
    return psql("postgres", "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "t"


def _tell(results):
    path = DEV / "bench-scale.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    say(f"\n| {results['entries']:,} entries | measured | at most |\n|---|---|---|")
    for name, value in results.items():
        if name != "entries":
            over = name in BUDGETS and value > BUDGETS[name]
            say(f"| {name} | {value}{' ✘' if over else ''} | {BUDGETS.get(name, '–')} |")
    say(f"\nIn {path}.")
