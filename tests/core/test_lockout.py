"""Who has to wait, and how long? The truth table of lockouts, without a store or a clock."""

from hypothesis import given
from hypothesis import strategies as st
from odoo.tests.common import BaseCase

from ...core.lockout import HOUR, Kind, Rule, State, Subject, attempt
from .common import examples

ONE = Rule(threshold=5)
NETWORK = Rule(threshold=50, window=HOUR)
RULES = {kind: NETWORK if kind is Kind.NETWORK else ONE for kind in Kind}
PAIR, NET = Subject(Kind.PAIR, "10.0.0.0/24", "admin"), Subject(Kind.NETWORK, "10.0.0.0/24")


def after(failures, rule=ONE, now=0.0, state=None):
    state = state or State()
    for _number in range(failures):
        state = state.failed(rule, now)
    return state


class TestState(BaseCase):
    def test_waits_begin_at_the_threshold_and_double_up_to_the_longest(self):
        waits = [after(number).wait(ONE, 0.0) for number in range(13)]
        self.assertEqual(waits, [0] * 5 + [60, 120, 240, 480, 960, 1920, 3600, 3600])

    def test_a_wait_passes_and_the_next_failure_doubles_it(self):
        locked = after(5)
        self.assertEqual([locked.wait(ONE, moment) for moment in (0, 59, 60, 61)], [60, 1, 0, 0])
        self.assertEqual(locked.failed(ONE, 61.0).wait(ONE, 61.0), 120)

    def test_all_is_forgotten_after_a_time(self):
        known = State(failures=9, level=5, last=0.0, known_until=1e9)
        for moment, failures in ((24 * HOUR, 10), (24 * HOUR + 1, 1)):
            with self.subTest(moment):
                again = known.failed(ONE, moment)
                self.assertEqual((again.failures, again.known_until), (failures, 1e9))

    def test_what_was_right_is_given_back(self):
        for number in range(1, 9):
            before = after(number - 1)
            with self.subTest(number):
                given = before.failed(ONE, 0.0).given_back(ONE)
                self.assertEqual((given.failures, given.level), (before.failures, before.level))
                self.assertEqual(given.wait(ONE, 0.0), 0.0)

    def test_a_clock_that_is_set_back_locks_nobody_for_longer_than_the_longest_wait(self):
        locked = after(5, now=1e9)
        self.assertEqual(locked.wait(ONE, 1e9 - 90 * 24 * HOUR), HOUR)
        window = after(50, NETWORK, now=1e9)
        self.assertEqual(window.wait(NETWORK, 1e9 - 90 * 24 * HOUR), 0)

    def test_a_threshold_of_zero_never_locks(self):
        for rule in (Rule(0), Rule(0, window=HOUR)):
            self.assertEqual(after(99, rule).wait(rule, 0.0), 0.0)

    def test_a_network_is_paced_and_then_full(self):
        for failures, wait in ((9, 0), (10, 4), (49, 4), (50, HOUR), (60, HOUR)):
            with self.subTest(failures):
                self.assertEqual(after(failures, NETWORK).wait(NETWORK, 0.0), wait)
        full = State()
        for moment in range(50):
            full = full.failed(NETWORK, moment * 10.0)
        self.assertEqual(full.wait(NETWORK, 490.0), HOUR - 490)
        self.assertEqual(full.wait(NETWORK, HOUR + 0.5), 0)
        self.assertEqual(full.failed(NETWORK, HOUR + 1.0).wait(NETWORK, HOUR + 1.0), 9)

    def test_a_state_is_read_as_it_was_written(self):
        for state in (State(), after(7), after(7, NETWORK, 3.5), State(known_until=1.5)):
            self.assertEqual(State.from_text(state.to_text()), state)

    @examples
    @given(st.lists(st.floats(0, 300), max_size=300))
    def test_no_window_holds_more_than_the_threshold(self, pauses):
        rule, state, now, taken = Rule(7, window=100.0), State(), 0.0, []
        for pause in pauses:
            now += pause
            if not state.wait(rule, now):
                state = state.failed(rule, now)
                taken.append(now)
        for start in taken:
            self.assertLessEqual(sum(start <= moment < start + 100 for moment in taken), 7)


class TestAttempt(BaseCase):
    def test_it_is_counted_beforehand_for_all_subjects(self):
        wait, states = attempt({PAIR: State(), NET: State()}, RULES, 5.0)
        self.assertEqual((wait, states[PAIR].failures, states[NET].failures), (0.0, 1, 1))

    def test_the_longest_wait_is_told_and_nothing_counted(self):
        locked = {PAIR: after(5), NET: after(50, NETWORK)}
        self.assertEqual(attempt(locked, RULES, 0.0), (HOUR, {}))
        self.assertEqual(attempt({PAIR: after(5), NET: State()}, RULES, 0.0), (60.0, {}))

    def test_a_known_pair_is_not_counted_and_waits_for_itself_alone(self):
        known = State(known_until=10.0)
        self.assertEqual(attempt({PAIR: known, NET: after(50, NETWORK)}, RULES, 5.0), (0.0, {}))
        self.assertEqual(attempt({PAIR: after(5, state=known), NET: State()}, RULES, 5.0), (55.0, {}))
        near = {PAIR: after(3, state=known), NET: State()}
        self.assertEqual(set(attempt(near, RULES, 5.0)[1]), {PAIR, NET})
        wait, states = attempt({PAIR: known, NET: State()}, RULES, 11.0)
        self.assertEqual((wait, set(states)), (0.0, {PAIR, NET}))
