"""What becomes of a call whose counters stand so, and what is it told?"""

from dataclasses import replace

from odoo.tests.common import BaseCase

from ...core.decide import decide_limits, decide_without_store
from ...core.limit import (
    Budget,
    Concurrency,
    Counter,
    Limit,
    Per,
    Period,
    Standing,
    StoreDown,
    Unit,
    counters,
    exhausted,
    rate_limit_fields,
    x_rate_limit_fields,
)
from ...core.verdict import Allow, Deny, Reason

CALLS = Limit(1, 100, Unit.CALLS, Period.MINUTE, Per.KEY)
ROWS = Limit(2, 5000, Unit.ROWS, Period.HOUR, Per.USER)
SLOTS = Concurrency(9, 4, 135)
SUBJECTS = {Per.KEY: "k1", Per.USER: "u2", Per.PEER: "10.0.0.1/32", Per.NETWORK: "10.0.0.0/24", Per.POLICY: ""}
SOME, FULL, LONG = Standing(True, 40, 12.2), Standing(False, 0, 3.0), Standing(False, 0, 90.0)


def of(limit=CALLS, policy="P", enforced=True, **more):
    return Counter(limit, "k1", policy, enforced, **more)


class TestCounters(BaseCase):
    def test_each_limit_is_counted_for_its_subject(self):
        limits = tuple(Limit(n, 5, Unit.CALLS, Period.DAY, per) for n, per in enumerate(Per))
        found = counters([("P", True, Budget(limits))], SUBJECTS, 60)
        self.assertEqual([counter.subject for counter in found], [SUBJECTS[per] for per in Per])
        self.assertEqual(len({counter.key for counter in found}), len(limits))

    def test_what_shows_later_takes_nothing_beforehand(self):
        costs = {unit: counters([("P", True, Budget((Limit(1, 5, unit, Period.DAY, Per.KEY),)))], SUBJECTS, 60)[0].taken
                 for unit in Unit}  # fmt: skip
        self.assertEqual(costs, {unit: int(unit is Unit.CALLS) for unit in Unit})

    def test_a_changed_limit_is_another_counter(self):
        one = of()
        changes = {"number": 3, "amount": 101, "unit": Unit.BYTES, "period": Period.HOUR, "per": Per.USER}
        changes["moving"] = True
        others = [of(replace(CALLS, **{name: value})) for name, value in changes.items()] + [of(SLOTS)]
        self.assertEqual(len({counter.key for counter in (one, *others)}), 1 + len(others))
        self.assertEqual(one.key, of(policy="Renamed").key)

    def test_slots_and_limits_of_all_policies_are_asked(self):
        budgets = [("A", True, Budget((CALLS,), (9, 4))), ("B", False, Budget((ROWS,), on_store_down=StoreDown.OPEN))]
        found = counters(budgets, SUBJECTS, 135)
        told = [(counter.limit, counter.policy, counter.enforced, counter.on_store_down) for counter in found]
        closed, opened = StoreDown.CLOSED, StoreDown.OPEN
        self.assertEqual(
            told, [(SLOTS, "A", True, closed), (CALLS, "A", True, closed), (ROWS, "B", False, opened)]
        )


class TestVerdict(BaseCase):
    def test_one_that_is_full_is_enough(self):
        table = [
            ([], Allow()),
            ([(of(), SOME)], Allow()),
            ([(of(), SOME), (of(ROWS, "Q"), FULL)], Deny(Reason.LIMIT_EXCEEDED, "Q")),
            ([(of(SLOTS), FULL)], Deny(Reason.TOO_MANY_AT_ONCE, "P")),
            ([(of(enforced=False), FULL)], Allow(Deny(Reason.LIMIT_EXCEEDED, "P"))),
            ([(of(policy="M", enforced=False), LONG), (of(), FULL)], Deny(Reason.LIMIT_EXCEEDED, "P")),
        ]
        for standings, expected in table:
            with self.subTest(standings=standings):
                self.assertEqual(decide_limits(standings, Allow()), expected)

    def test_the_longest_wait_is_told(self):
        deny = decide_limits([(of(), FULL), (of(ROWS), LONG)], Allow())
        self.assertEqual((deny.wait, deny.seconds), (90.0, 90))
        self.assertEqual(deny.sentence, "The limit of this credential is used up. Try again in 90 seconds.")
        self.assertIsNone(exhausted([(of(), SOME)]))

    def test_what_was_observed_before_stays(self):
        before = Allow(Deny(Reason.OUT_OF_SCOPE, "M"))
        self.assertEqual(decide_limits([(of(enforced=False), FULL)], before), before)

    def test_without_a_store_the_strictest_policy_that_is_enforced_decides(self):
        closed, local, opened = (of(policy=choice.value, on_store_down=choice) for choice in StoreDown)
        watched = of(policy="M", enforced=False)
        self.assertEqual(decide_without_store([opened, local, watched], Allow()), Allow())
        self.assertEqual(decide_without_store([opened, closed], Allow()), Deny(Reason.LIMITS_UNREADABLE, "closed"))


class TestFields(BaseCase):
    def test_the_fields_tell_policy_and_remainder(self):
        told = dict(rate_limit_fields([(of(), SOME), (of(ROWS), LONG), (of(SLOTS), Standing(True, 3, 0.0))]))
        self.assertEqual(
            told["RateLimit-Policy"],
            '"calls-minute-key";q=100;w=60, "rows-hour-user";q=5000;qu="records";w=3600, '
            '"concurrency";q=4;qu="concurrent-requests"',
        )
        left = '"calls-minute-key";r=40;t=13, "rows-hour-user";r=0;t=90, "concurrency";r=3'
        self.assertEqual(told["RateLimit"], left)

    def test_of_one_name_the_tightest_is_told_and_of_monitored_ones_nothing(self):
        tight = of(Limit(5, 10, Unit.CALLS, Period.MINUTE, Per.KEY))
        told = dict(rate_limit_fields([(of(), SOME), (tight, Standing(True, 2, 1.0))]))
        self.assertEqual(told["RateLimit"], '"calls-minute-key";r=2;t=1')
        self.assertEqual(rate_limit_fields([(of(enforced=False), SOME)]), [])
        self.assertEqual(x_rate_limit_fields([(of(enforced=False), SOME), (of(SLOTS), SOME)]), [])

    def test_older_fields_tell_the_one_with_the_least_share_left(self):
        told = x_rate_limit_fields([(of(), SOME), (of(ROWS), Standing(True, 600, 30.5))])
        self.assertEqual([value for _name, value in told], ["5000", "600", "31"])
