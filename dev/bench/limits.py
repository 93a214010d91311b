"""What do limits cost, and what do ten million peers do to them? `make bench-limits [PEERS=10000000]`.

Keys with and without two limits, called in turn: counted in PostgreSQL, and in a copy of the
database that counts in Redis, on one server. Then peers by the million, straight at PostgreSQL.
"""

import argparse
import itertools
import json
import random
import statistics
import time

from .. import postgres, setup
from ..harness import Server, copy_db, create_db, drop_db, psql, shell
from ..redis import RedisServer
from ..steps import Stop, say, step
from . import cases
from .client import Client

DATABASE, COPY = "bench_limits", "bench_limits_redis"
FACTS = """
import json
from datetime import timedelta
from odoo import Command, fields
expiry = fields.Datetime.now() + timedelta(days=1)
user = env["res.users"].create({
    "name": "Bench", "login": "bench", "group_ids": [Command.set([env.ref("base.group_user").id])]})
env["res.partner"].create([{"name": f"P {n}", "ref": "bench", "email": f"p{n}@example.com"} for n in range(200)])
limits = [
    {"amount": 10_000, "unit": "calls", "period": "minute", "per": "key", "is_exact": True},
    {"amount": 10_000_000, "unit": "calls", "period": "day", "per": "user"},
]
lines = [Command.create(limit) for limit in limits]
units = [{"amount": 10**9, "unit": unit, "period": "hour", "per": "key"} for unit in ("rows", "bytes")]
charged = [Command.create(limit) for limit in units]
policies = {
    "none": {}, "two": {"limit_ids": lines}, "charged": {"limit_ids": charged}, "slots": {"max_at_once": 50},
}
facts = {"uid": user.id}
for name, values in policies.items():
    secret = env["res.users.apikeys"].with_user(user)._generate("rpc", name, expiry)
    policy = env["api.policy"].create({"name": name, **values})
    env["api.credential"]._of_secret(secret, user).policy_id = policy
    facts[name] = secret
env.cr.commit()
print("FACTS", json.dumps(facts))
"""
KEYS = ("none", "two", "charged", "slots")


class Variant:
    def __init__(self, database, facts):
        self.database, self.facts = database, facts


def run(*arguments):
    parser = argparse.ArgumentParser(prog="make bench-limits", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--peers", type=int, default=0)
    options = parser.parse_args(arguments)
    setup.ensure_for_tests()
    try:
        _measure(options)
    finally:
        for name in (DATABASE, COPY):
            drop_db(name)
        postgres.stop_unless_used()
    return 0


def _measure(options):
    with step("Databases"):
        create_db(DATABASE, ("api_guard", "contacts"))
        printed = shell(DATABASE, FACTS)
        copy_db(DATABASE, COPY)
        psql(COPY, "UPDATE api_credential SET database_uuid = p.value FROM ir_config_parameter p"
                   " WHERE p.key = 'database.uuid'")
    line = next(line for line in printed.splitlines() if line.startswith("FACTS "))
    facts = json.loads(line.removeprefix("FACTS "))
    with RedisServer() as redis:
        store = f"('api_guard.store_url', '{redis.url}')"
        psql(COPY, f"INSERT INTO ir_config_parameter (key, value) VALUES {store}")  # noqa: S608
        with Server(dbfilter="^bench_limits", workers=2, gevent=False) as server:
            _calls([Variant(DATABASE, facts), Variant(COPY, facts)], server.port, options.rounds)
    if options.peers:
        _peers(options.peers)


def _calls(variants, port, rounds):
    plan = list(itertools.product(variants, KEYS))
    times = {(variant.database, key): [] for variant, key in plan}
    client, draw = Client(port), random.Random(7)  # noqa: S311  the same order on every machine
    with step(f"{rounds} calls with each key"):
        for n in range(rounds + 30):
            draw.shuffle(plan)
            for variant, key in plan:
                arguments = {"domain": [["ref", "=", "bench"]], "fields": ["name", "email"], "limit": 10}
                answer = client.send(cases.json2(variant, variant.facts[key], "search_read", arguments))
                if answer.status != 200:
                    raise Stop(f"answered {answer.status}: {answer.body[:500]}")
                if n >= 30:  # every worker has loaded what it needs
                    times[variant.database, key].append(answer.ms)
    say("\n| JSON-2 search_read, p50 ms | " + " | ".join(KEYS) + " | two limits add |")
    say("|---|" + "---|" * (len(KEYS) + 1))
    for variant in variants:
        medians = [statistics.median(times[variant.database, key]) for key in KEYS]
        store = "Redis" if variant.database == COPY else "PostgreSQL"
        told = " | ".join(f"{median:.2f}" for median in medians)
        say(f"| {store} | {told} | {medians[1] - medians[0]:+.2f} |")


PEERS = """
DO $$
DECLARE
    first bigint := {first};
BEGIN
    FOR n IN 0..{count} - 1 LOOP
        PERFORM api_guard_take(ARRAY[md5((first + n)::text)::uuid], '{{sliding}}', '{{600}}', '{{{seconds}}}', '{{1}}',
                               '{{t}}', '{{f}}', '');
        IF n % 500 = 0 THEN COMMIT; END IF;
    END LOOP;
END $$
"""


def _peers(count, share=100_000, seconds=60):
    """One call of each of so many peers. Each lot is timed; the table is looked at on the way."""
    say(f"\n{count:,} peers, one call each, a limit of 600 a minute for each")
    began, lots, most = time.monotonic(), [], 0
    for first in range(0, count, share):
        started = time.monotonic()
        psql(DATABASE, PEERS.format(first=first, count=share, seconds=seconds))
        lots.append((time.monotonic() - started) / share * 1e6)
        rows = int(psql(DATABASE, "SELECT count(*) FROM api_guard_counter"))
        most = max(most, rows)
        if (first // share) % 5 == 4:
            size = psql(DATABASE, "SELECT pg_size_pretty(pg_total_relation_size('api_guard_counter'))")
            say(f"  {first + share:>12,} peers: {lots[-1]:.0f} µs a call, {rows:,} rows, {size},"
                f" {time.monotonic() - began:.0f} s")
    say(f"first lot {lots[0]:.0f} µs a call, last {lots[-1]:.0f}, median {statistics.median(lots):.0f};"
        f" at most {most:,} rows")
