"""Does every store count alike? One body of tests over the real servers, and the library's strategies over each."""

import contextlib
import threading
import time
import unittest

from limits import RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from odoo.tests.common import BaseCase, get_db_name, tagged

from ..core.limit import Sort
from ..seams.beside import Beside
from ..stores.local import LocalStore
from ..stores.postgres import PostgresStore
from ..stores.redis import RedisStore
from ..stores.store import TIMEOUT, Request, StoreDown, Swap, digest

try:
    from dev.redis import RedisServer
except ImportError:  # an installed addon comes without the repository's tools
    RedisServer = None

PERIOD = 1.0  # seconds of the windows that the tests wait for
CALLERS = 8


class StoreCase:
    """The body. `store` is made anew for each test class; keys are made anew for each test."""

    def key(self, name="k"):
        return f"{self.id()} {time.monotonic_ns()} {name}"

    def take(self, key, sort=Sort.MOVING, amount=3, seconds=60, **more):
        holder = more.pop("holder", "")
        return self.store.take([Request(key, sort, amount, seconds, **more)], holder)[0]

    def test_as_many_as_the_amount_are_admitted(self):
        for sort in (Sort.MOVING, Sort.SLIDING):
            with self.subTest(sort):
                key = self.key(sort)
                standings = [self.take(key, sort) for _number in range(5)]
                self.assertEqual([s.admitted for s in standings], [True] * 3 + [False] * 2)
                self.assertEqual([s.remaining for s in standings], [2, 1, 0, 0, 0])
                for standing in standings:
                    self.assertTrue(59 < standing.wait <= 61, standing)

    def test_a_look_takes_nothing(self):
        for sort in (Sort.MOVING, Sort.SLIDING, Sort.LEASE):
            key = self.key(sort)
            looks = [self.take(key, sort, amount=1, cost=0) for _number in range(3)]
            with self.subTest(sort):
                self.assertEqual([(s.admitted, s.remaining, s.wait) for s in looks], [(True, 1, 0.0)] * 3)
                self.assertTrue(self.take(key, sort, amount=1, holder="a").admitted)
                self.assertFalse(self.take(key, sort, amount=1, cost=0, holder="b").admitted)

    def test_of_several_all_are_taken_or_none(self):
        full, free, watched = self.key("full"), self.key("free"), self.key("watched")
        self.take(full, amount=1)
        requests = [
            Request(free, Sort.SLIDING, 5, 60),
            Request(full, Sort.MOVING, 1, 60),
            Request(watched, Sort.MOVING, 5, 60, strict=False),
        ]
        for _number in range(2):
            self.assertEqual([s.admitted for s in self.store.take(requests)], [True, False, True])
        self.assertEqual(self.take(free, Sort.SLIDING, 5, cost=0).remaining, 5)
        self.assertEqual(self.take(watched, amount=5, cost=0).remaining, 5)

    def test_one_that_is_not_strict_bars_nothing(self):
        full, free = self.key("full"), self.key("free")
        self.take(full, amount=1)
        requests = [Request(full, Sort.MOVING, 1, 60, strict=False), Request(free, Sort.MOVING, 2, 60)]
        self.assertEqual([s.admitted for s in self.store.take(requests)], [False, True])
        self.assertEqual(self.take(free, amount=2, cost=0).remaining, 1)

    def test_what_has_happened_is_charged_beyond_the_amount(self):
        key = self.key()
        self.assertTrue(self.take(key, Sort.SLIDING, 100, cost=0).admitted)
        self.take(key, Sort.SLIDING, 100, cost=250, forced=True)
        standing = self.take(key, Sort.SLIDING, 100, cost=0)
        self.assertEqual((standing.admitted, standing.remaining), (False, 0))
        self.assertTrue(59 < standing.wait <= 61)

    def test_what_is_forced_into_a_full_moving_window_puts_its_end_off(self):
        key = self.key()
        for _number in range(2):
            self.take(key, amount=2, seconds=PERIOD)
        time.sleep(PERIOD / 2)
        self.take(key, amount=2, seconds=PERIOD, forced=True)
        time.sleep(PERIOD * 0.6)
        self.assertEqual(self.take(key, amount=2, seconds=PERIOD, cost=0).remaining, 1)

    def test_room_becomes_free_when_the_window_has_passed(self):
        for sort in (Sort.MOVING, Sort.SLIDING):
            with self.subTest(sort):
                key = self.key(sort)
                for _number in range(3):
                    self.take(key, sort, 3, PERIOD)
                wait = self.take(key, sort, 3, PERIOD).wait
                self.assertTrue(0 < wait <= PERIOD * 1.02, wait)
                time.sleep(wait + 0.02)
                self.assertTrue(self.take(key, sort, 3, PERIOD).admitted)

    def test_slots_are_given_back_or_end_by_themselves(self):
        key = self.key()
        held = [self.take(key, Sort.LEASE, 2, PERIOD, holder=name) for name in ("a", "b", "c")]
        self.assertEqual([s.admitted for s in held], [True, True, False])
        self.assertEqual(sorted(self.store.holders(key)), ["a", "b"])
        self.store.release([key], "a")
        self.assertTrue(self.take(key, Sort.LEASE, 2, PERIOD, holder="c").admitted)
        self.assertFalse(self.take(key, Sort.LEASE, 2, PERIOD, holder="d").admitted)
        time.sleep(PERIOD + 0.05)
        self.assertTrue(self.take(key, Sort.LEASE, 2, PERIOD, holder="d").admitted)

    def test_the_same_holder_takes_one_slot(self):
        key = self.key()
        held = [self.take(key, Sort.LEASE, 1, 60, holder="a") for _number in range(2)]
        self.assertEqual([s.admitted for s in held], [True, True])

    def test_keys_of_whatever_text_are_apart(self):
        keys = [self.key(name) for name in ("é", "e", "\0", "'; DROP TABLE x", "{}", '"', "\\", "\ud800", "a" * 5000)]
        self.assertEqual([self.take(key, amount=1).admitted for key in keys], [True] * len(keys))

    def test_states_are_swapped_all_or_none(self):
        first, second = self.key("first"), self.key("second")
        now, states = self.store.load([first, second])
        self.assertEqual(states, {})
        self.assertTrue(self.store.swap([Swap(first, None, '[1,"\\\\{},"]', now + 60)]))
        self.assertFalse(self.store.swap([Swap(second, None, "x", now + 60), Swap(first, None, "y", now + 60)]))
        self.assertEqual(self.store.load([first, second])[1], {first: '[1,"\\\\{},"]'})
        self.assertTrue(
            self.store.swap([Swap(first, '[1,"\\\\{},"]', None, now), Swap(second, None, "NULL", now + 60)])
        )
        self.assertEqual(self.store.load([first, second])[1], {second: "NULL"})

    def test_of_many_that_swap_at_once_one_is_first(self):
        key = self.key()
        for round_number in range(5):
            known = self.store.load([key])[1].get(key)
            swaps = [Swap(key, known, f"{round_number} {n}", time.time() + 60) for n in range(CALLERS)]
            done = at_once(lambda swap: self.store.swap([swap]), swaps)
            self.assertEqual(sum(done), 1)

    def test_exactly_as_many_as_the_amount_pass_in_any_window(self):
        for sort, slack in ((Sort.MOVING, 0.0), (Sort.SLIDING, 0.0)):
            key, amount, moments, end = self.key(sort), 100, [], time.monotonic() + 3.5 * PERIOD

            def hammer(_number, key=key, sort=sort, amount=amount, moments=moments, end=end):
                while time.monotonic() < end:
                    before = time.monotonic()
                    if self.take(key, sort, amount, PERIOD).admitted:
                        moments.append((before, time.monotonic()))

            at_once(hammer, range(CALLERS))
            # taken somewhere between the two: a window holds for certain what lies in it by both
            begun = sorted(before for before, _after in moments)
            worst = max(sum(b >= start and a < start + PERIOD for b, a in moments) for start in begun)
            with self.subTest(sort, worst=worst):
                self.assertLessEqual(worst, amount + slack)
                # all of the amount is given out, in each of the windows that the test lasts for
                self.assertGreaterEqual(len(moments), 3 * amount)

    def test_the_strategies_of_the_library_run_over_it(self):
        strategies = (MovingWindowRateLimiter, SlidingWindowCounterRateLimiter, FixedWindowRateLimiter)
        for strategy in strategies:
            limiter, item, name = strategy(self.store), RateLimitItemPerSecond(3, 60), self.key()
            with self.subTest(strategy.__name__):
                self.assertEqual(limiter.get_window_stats(item, name).remaining, 3)
                self.assertEqual([limiter.hit(item, name) for _number in range(4)], [True] * 3 + [False])
                self.assertFalse(limiter.test(item, name))
                self.assertEqual(limiter.get_window_stats(item, name).remaining, 0)
                reset = limiter.get_window_stats(item, name).reset_time - time.time()
                self.assertTrue(-1 <= reset <= 61, reset)
                self.assertFalse(limiter.hit(item, name, cost=4))
                limiter.clear(item, name)
                self.assertTrue(limiter.hit(item, name, cost=3))
        self.assertTrue(self.store.check())


def at_once(function, values):
    """What `function` returns for each value, all called at the same time."""
    results, start = {}, threading.Barrier(len(values))

    def run(place, value):
        start.wait()
        results[place] = function(value)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(values)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[place] for place in range(len(values))]


@tagged("post_install", "-at_install")
class TestPostgresStore(StoreCase, BaseCase):
    """On connections of its own, as in a server: `beside` would give Odoo's test cursor here."""

    allow_inherited_tests_method = True

    def setUp(self):
        super().setUp()
        self.store = PostgresStore(lambda: contextlib.closing(Beside(get_db_name())))

    def ask(self, query, *parameters):
        with contextlib.closing(Beside(get_db_name())) as cr:
            cr.execute(query, parameters)
            return cr.fetchone() if cr._cursor.description else None

    def test_what_counts_no_longer_is_removed(self):
        keys = [self.key(number) for number in range(30)]
        for key in keys:
            self.take(key, seconds=0.2)
            self.take(key, Sort.LEASE, seconds=0.2, holder="x")
            self.store.swap([Swap(key, None, "x", time.time() + 0.2)])
        time.sleep(0.7)
        for _number in range(20):
            self.ask("SELECT api_guard_sweep(10000)")
        tables = ("api_guard_counter", "api_guard_moment", "api_guard_lease", "api_guard_lockout")
        count = "SELECT count(*) FROM {} WHERE id = ANY(%s::uuid[])"
        left = {table: self.ask(count.format(table), ids(keys)) for table in tables}
        self.assertEqual(set(left.values()), {(0,)}, left)

    def test_calls_by_themselves_keep_the_tables_small(self):
        """Of ten thousand peers that call once each, those stay that still count."""
        before = self.ask("SELECT count(*) FROM api_guard_counter")[0]
        for number in range(5_000):
            self.store.take([Request(self.key((number, n)), Sort.SLIDING, 5, 0.02) for n in range(2)])
        after = self.ask("SELECT count(*) FROM api_guard_counter")[0]
        self.assertLess(after - before, 5_000)

    def test_a_locked_counter_is_waited_for_no_longer_than_the_timeout(self):
        key = self.key()
        self.take(key)
        with contextlib.closing(Beside(get_db_name())) as blocker:
            blocker.execute("BEGIN")
            blocker.execute("LOCK TABLE api_guard_counter IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            with self.assertRaises(StoreDown):
                self.take(key)
            self.assertLess(time.monotonic() - began, TIMEOUT + 0.15)
            blocker.execute("ROLLBACK")
        self.assertTrue(self.take(key).admitted)

    def test_a_clock_that_was_set_back_bars_nobody(self):
        for sort in (Sort.MOVING, Sort.SLIDING):
            key = self.key(sort)
            for _number in range(3):
                self.take(key, sort)
            self.assertFalse(self.take(key, sort).admitted)
            # as if they had been taken an hour from now
            self.ask("UPDATE api_guard_moment SET at = at + 3600 WHERE id = ANY(%s::uuid[])", ids([key]))
            self.ask("UPDATE api_guard_counter SET head = head + 6000 WHERE id = ANY(%s::uuid[])", ids([key]))
            with self.subTest(sort):
                self.assertTrue(self.take(key, sort).admitted)

    def test_a_long_moving_window_finds_what_is_left_of_it(self):
        key, amount = self.key(), 1000
        self.take(key, amount=amount, seconds=PERIOD, cost=700)
        time.sleep(PERIOD / 2)
        self.take(key, amount=amount, seconds=PERIOD, cost=200)
        self.assertEqual(self.take(key, amount=amount, seconds=PERIOD, cost=0).remaining, 100)
        time.sleep(PERIOD * 0.6)
        self.assertEqual(self.take(key, amount=amount, seconds=PERIOD, cost=0).remaining, 800)
        self.take(key, amount=amount, seconds=PERIOD, cost=800)
        self.assertFalse(self.take(key, amount=amount, seconds=PERIOD).admitted)


def ids(keys):
    return [str(digest(key)) for key in keys]


@tagged("post_install", "-at_install")
@unittest.skipIf(RedisServer is None, "the tools of the repository start the server")
class TestRedisStore(StoreCase, BaseCase):
    allow_inherited_tests_method = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.enterClassContext(RedisServer())

    def setUp(self):
        super().setUp()
        self.store = RedisStore(self.server.url, "tests")

    def test_nothing_stays_that_counts_no_longer(self):
        with RedisServer() as server:
            store = RedisStore(server.url, "tests")
            for sort in Sort:
                store.take([Request(f"{sort}", sort, 5, 1)], "x")
            store.swap([Swap("s", None, "x", time.time() + 1)])
            self.assertEqual(store.storage.dbsize(), 4)
            time.sleep(2.1)
            self.assertEqual(store.storage.dbsize(), 0)

    def test_databases_are_apart(self):
        other = RedisStore(self.server.url, "other")
        key = self.key()
        self.take(key, amount=1)
        self.assertTrue(other.take([Request(key, Sort.MOVING, 1, 60)])[0].admitted)

    def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_the_timeout(self):
        with RedisServer() as server:
            store = RedisStore(server.url, "tests")
            store.take([Request("k", Sort.MOVING, 5, 60)])
            server.pause()
            began = time.monotonic()
            with self.assertRaises(StoreDown) as raised:
                store.take([Request("k", Sort.MOVING, 5, 60)])
            self.assertLess(time.monotonic() - began, TIMEOUT + 0.1)
            self.assertNotIn(server.url, str(raised.exception))
            server.resume()
            time.sleep(0.05)
            self.assertTrue(store.take([Request("k", Sort.MOVING, 5, 60)])[0].admitted)
            server.kill()
            with self.assertRaises(StoreDown):
                store.load(["k"])
            server.start()
            self.assertTrue(store.take([Request("k", Sort.MOVING, 5, 60)])[0].admitted)

    def test_a_secured_server_is_used_with_its_password_and_not_told_of(self):
        with RedisServer(password="s3cret") as server:
            self.assertTrue(RedisStore(server.url, "tests").take([Request("k", Sort.MOVING, 5, 60)])[0].admitted)
            wrong = server.url.replace("s3cret", "wr0ng")
            with self.assertRaises(StoreDown) as raised:
                RedisStore(wrong, "tests").take([Request("k", Sort.MOVING, 5, 60)])
            self.assertNotIn("wr0ng", repr(raised.exception))
            self.assertIsNone(raised.exception.__cause__)


@tagged("post_install", "-at_install")
class TestLocalStore(BaseCase):
    """An estimate: each process gives out its share."""

    def test_each_process_gives_out_its_share(self):
        store = LocalStore(share=4)
        for sort in (Sort.MOVING, Sort.SLIDING):
            admitted = [store.take([Request(f"{sort}", sort, 12, 60)])[0].admitted for _number in range(5)]
            self.assertEqual(admitted, [True] * 3 + [False] * 2)
        held = [store.take([Request("l", Sort.LEASE, 8, 60)], f"{n}")[0].admitted for n in range(3)]
        self.assertEqual(held, [True, True, False])
        store.release(["l"], "0")
        self.assertTrue(store.take([Request("l", Sort.LEASE, 8, 60)], "9")[0].admitted)

    def test_what_has_happened_uses_up_what_is_left(self):
        store = LocalStore()
        store.take([Request("k", Sort.SLIDING, 100, 60, cost=250, forced=True)])
        self.assertFalse(store.take([Request("k", Sort.SLIDING, 100, 60, cost=0)])[0].admitted)

    def test_states_are_swapped_all_or_none(self):
        store = LocalStore()
        self.assertTrue(store.swap([Swap("a", None, "1", 0)]))
        self.assertFalse(store.swap([Swap("b", None, "1", 0), Swap("a", None, "2", 0)]))
        self.assertEqual(store.load(["a", "b"])[1], {"a": "1"})
