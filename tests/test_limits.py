"""What an administrator writes down of limits, how it is said, and what the gauge of a key shows of it."""

from unittest.mock import patch

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import Form
from odoo.tests.common import TransactionCase, new_test_user, tagged

from ..core.limit import MAX_MOVING, Per, Period, Standing, StoreDown, Unit
from ..core.policy import GREATEST_AMOUNT, fingerprint
from ..models.api_policy_limit import USUAL_LIMITS
from ..stores.store import StoreDown as Unreachable

CALLS = {"amount": 600, "unit": "calls", "period": "minute", "per": "key"}


@tagged("post_install", "-at_install")
class TestPolicyLimit(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy = cls.env["api.policy"].create({"name": "Web shop", "limit_ids": [Command.create(CALLS)]})
        cls.limit = cls.policy.limit_ids

    def test_what_makes_no_limit_is_told(self):
        for values, words in (
            ({"amount": 0}, "whole number of at least 1"),
            ({"amount": -1}, "whole number of at least 1"),
            ({"amount": 0.5}, "whole number of at least 1"),
            ({"amount": 1.5}, "whole number of at least 1"),
            ({"amount": float("nan")}, "whole number of at least 1"),
            ({"amount": GREATEST_AMOUNT + 1}, "leave the limit out"),
            ({"amount": 1e300}, "leave the limit out"),
            ({"is_exact": True, "amount": MAX_MOVING + 1}, "at most 10,000 moments"),
            ({"is_exact": True, "unit": "bytes"}, "Only calls"),
            ({"is_exact": True, "unit": "rows", "amount": 1}, "Only calls"),
        ):
            with self.subTest(**values), self.assertRaisesRegex(ValidationError, words), self.env.cr.savepoint():
                self.limit.write(values)
        for number in (-1, 10_001):
            with self.subTest(number), self.assertRaises(ValidationError), self.env.cr.savepoint():
                self.policy.max_at_once = number

    def test_what_makes_a_limit_is_taken_as_it_is(self):
        for values in (
            {"amount": 1},
            {"amount": MAX_MOVING, "is_exact": True},
            {"amount": GREATEST_AMOUNT, "unit": "bytes", "period": "month", "per": "policy"},
        ):
            limit = self.policy.copy({"limit_ids": [Command.create({**CALLS, **values})]})._compiled().budget.limits[0]
            with self.subTest(**values):
                self.assertEqual(limit.amount, values["amount"])
                self.assertEqual(limit.moving, values.get("is_exact", False))

    def test_every_change_gives_another_fingerprint(self):
        for name, values in (
            ("amount", {"limit_ids": [Command.update(self.limit.id, {"amount": 601})]}),
            ("exact", {"limit_ids": [Command.update(self.limit.id, {"is_exact": True})]}),
            ("period", {"limit_ids": [Command.update(self.limit.id, {"period": "hour"})]}),
            ("per", {"limit_ids": [Command.update(self.limit.id, {"per": "peer"})]}),
            ("unit", {"limit_ids": [Command.update(self.limit.id, {"unit": "rows", "is_exact": False})]}),
            ("added", {"limit_ids": [Command.create(CALLS)]}),
            ("concurrency", {"max_at_once": 4}),
            ("refused calls", {"counts_refused": True}),
            ("store down: local", {"on_store_down": "local"}),
            ("store down: open", {"on_store_down": "open"}),
            ("gone", {"limit_ids": [Command.clear()]}),
            ("no concurrency", {"max_at_once": 0}),
        ):
            with self.subTest(name):
                before = self.policy.fingerprint
                self.policy.write(values)
                self.assertNotEqual(self.policy.fingerprint, before)
                self.assertEqual(self.policy.fingerprint, fingerprint(self.policy.document))
                self.policy._compiled()
        self.assertFalse(self.policy._compiled().budget)

    def test_a_copy_has_the_limits_and_counts_apart(self):
        self.policy.write({"max_at_once": 4, "counts_refused": True, "on_store_down": "open"})
        mine, copied = self.policy._compiled().budget, self.policy.copy()._compiled().budget
        self.assertEqual([limit.name for limit in copied.limits], [limit.name for limit in mine.limits])
        self.assertEqual((copied.counts_refused, copied.on_store_down), (True, StoreDown.OPEN))
        self.assertEqual(copied.concurrency[1], 4)
        self.assertFalse({limit.number for limit in copied.limits} & {limit.number for limit in mine.limits})
        self.assertNotEqual(copied.concurrency[0], mine.concurrency[0])

    def test_the_usual_limits_are_for_a_policy_without_any(self):
        empty = self.env["api.policy"].create({"name": "New"})
        manager = new_test_user(self.env, "mia", groups="api_guard.group_manager")
        auditor = new_test_user(self.env, "ann", groups="api_guard.group_auditor")
        with self.assertRaises(AccessError):
            empty.with_user(auditor).action_add_usual_limits()
        (empty + self.policy).with_user(manager).action_add_usual_limits()
        self.assertEqual(len(empty.limit_ids), len(USUAL_LIMITS))
        self.assertEqual(self.policy.limit_ids, self.limit)
        self.assertEqual(empty.limit_ids[0].summary, "At most 600 calls in a minute, counted for each key")

    def test_a_form_offers_an_exact_window_for_calls_alone(self):
        with Form(self.policy) as form, form.limit_ids.edit(0) as line:
            line.is_exact = True
            line.unit = "rows"
            self.assertFalse(line.is_exact)
            self.assertEqual(line.summary, "At most 600 records returned in a minute, counted for each key")

    # ------------------------------------------------------------------- words

    def test_a_limit_is_said_in_plain_words(self):
        for values, words in (
            ((1, "calls", "second", "user"), "At most 1 call in a second, counted for each user"),
            ((100_000, "rows", "hour", "key"), "At most 100,000 records returned in an hour, counted for each key"),
            ((1, "written", "day", "network"), "At most 1 record written in a day, counted for each network"),
            ((1_500_000, "bytes", "month", "peer"), "At most 1.5 MB of answers in 30 days, counted for each address"),
            ((1_234_567, "bytes", "day", "key"), "At most 1,234,567 bytes of answers in a day, counted for each key"),
            ((60_000, "ms", "hour", "policy"),
             "At most 60 s of the server's time in an hour, counted for the policy as a whole"),
            ((15, "ms", "hour", "key"), "At most 15 ms of the server's time in an hour, counted for each key"),
            ((600, "calls", False, False), "At most 600 calls"),
        ):  # fmt: skip
            with self.subTest(values):
                self.assertEqual(self.env["api.policy.limit"]._in_words(*values), words)

    def test_there_are_words_for_everything(self):
        words = self.env["api.policy.limit"]
        for unit in Unit:
            self.assertIn("7", words._quantity(7, unit.value))
        self.assertEqual(set(words._period_phrases()), {period.value for period in Period})
        self.assertEqual(set(words._last_phrases()), {period.value for period in Period})
        self.assertEqual(set(words._per_phrases()), {per.value for per in Per})

    def test_what_is_left_is_said_with_the_wait(self):
        words = self.env["api.policy.limit"]
        for values, told in (
            ((188, 412, 600, "calls", 11.2), "188 left, more in 12 seconds"),
            ((0, 600, 600, "calls", 0.1), "None left, room again in 1 second"),
            ((600, 0, 600, "calls", 0), "600 left"),
            ((1, 3, 4, "calls", None), "1 left"),
            ((1_492_710, 7290, 1_500_000, "bytes", 86_400), "1.49 MB left, more in 24 hours"),
            ((58_800, 1200, 60_000, "ms", 100), "58.8 s left, more in 100 seconds"),
        ):
            with self.subTest(values):
                self.assertEqual(words._left_in_words(*values), told)
        self.assertEqual(words._used_in_words(7290, 1_500_000, "bytes", "day"),
                         "7.29 kB of 1.5 MB of answers in the last 24 hours")  # fmt: skip


@tagged("post_install", "-at_install")
class TestLimitGauge(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = new_test_user(cls.env, "ada", groups="base.group_user")
        cls.other = new_test_user(cls.env, "bob", groups="base.group_user")
        cls.auditor = new_test_user(cls.env, "ann", groups="api_guard.group_auditor")
        cls.policy = cls.env["api.policy"].create(
            {"name": "Web shop", "max_at_once": 4, "limit_ids": [Command.create(CALLS)]}
        )
        secret = cls.env["res.users.apikeys"].with_user(cls.owner).sudo()._generate("rpc", "Shop", None)
        cls.key = cls.env["api.credential"]._of_secret(secret, cls.owner)
        cls.key.policy_id = cls.policy

    def _gauge(self, key=None):
        self.env.flush_all()  # who calls is looked up in the database alone
        return (key or self.key).limit_gauge()

    def _stand(self, **standings):
        """Let the store answer with a Standing by the name of the limit."""

        def take(store, requests, holder=""):
            self.assertTrue(all(request.cost == 0 for request in requests), "looking takes nothing")
            return [standings[request.key.split("/")[2].replace("-", "_")] for request in requests]

        return patch("odoo.addons.api_guard.stores.postgres.PostgresStore.take", take)

    def test_owner_and_auditor_see_it_and_nobody_else(self):
        for user in (self.owner, self.auditor):
            gauge = self._gauge(self.key.with_user(user))
            with self.subTest(user.login):
                self.assertEqual([line["policy"] for line in gauge["limits"]], ["Web shop", "Web shop"])
        with self.assertRaises(AccessError):
            self._gauge(self.key.with_user(self.other))

    def test_a_line_says_what_is_used_and_left(self):
        with self._stand(concurrency=Standing(True, 1, 99), calls_minute_key=Standing(True, 188, 11.2)):
            at_once, calls = self._gauge(self.key.with_user(self.owner))["limits"]
        self.assertEqual((at_once["used"], at_once["left"]), ("3 of 4 calls under way", "1 left"))
        self.assertEqual((at_once["limit"], at_once["level"]), ("Calls at the same time", "ok"))
        self.assertEqual(calls["used"], "412 of 600 calls in the last minute")
        self.assertEqual(calls["left"], "188 left, more in 12 seconds")
        self.assertEqual(calls["limit"], "At most 600 calls in a minute, counted for each key")
        self.assertEqual((calls["value"], calls["greatest"], calls["level"]), (412, 600, "ok"))
        self.assertEqual((calls["mode"], calls["is_enforced"]), ("Enforce", True))

    def test_the_colour_tells_how_near_it_is(self):
        for remaining, level in ((600, "ok"), (121, "ok"), (120, "near"), (1, "near"), (0, "full")):
            standing = Standing(bool(remaining), remaining, 1)
            with self.subTest(remaining), self._stand(concurrency=Standing(True, 4, 0), calls_minute_key=standing):
                self.assertEqual(self._gauge()["limits"][1]["level"], level)

    def test_a_policy_in_monitor_mode_is_told_apart(self):
        self.policy.mode = "monitor"
        line = self._gauge()["limits"][0]
        self.assertEqual((line["mode"], line["is_enforced"]), ("Monitor", False))

    def test_the_labels_are_in_the_language_of_the_reader(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env["ir.module.module"].search([("name", "=", "api_guard")])._update_translations(["fr_FR"])
        line = self._gauge(self.key.with_context(lang="fr_FR"))["limits"][1]
        self.assertNotEqual(line["limit"], "At most 600 calls in a minute, counted for each key")

    def test_a_key_without_limits_and_one_that_is_gone_have_none(self):
        empty = {"is_readable": True, "note": "", "limits": []}
        self.key.policy_id = False
        self.assertEqual(self._gauge(), empty)
        self.key.policy_id = self.policy
        self.key._revoke()
        self.assertEqual(self._gauge(), empty)

    def test_counters_that_cannot_be_read_are_no_error(self):
        with patch.object(type(self.env["api.limiter"]), "_look", side_effect=Unreachable("gone")):
            self.assertEqual(self._gauge(), {"is_readable": False, "note": "", "limits": []})

    def test_what_is_counted_by_address_is_shown_for_the_last_one(self):
        self.policy.write({"max_at_once": 0, "limit_ids": [Command.update(self.policy.limit_ids.id, {"per": "peer"})]})
        gauge = self._gauge()
        self.assertFalse(gauge["limits"])
        self.assertIn("once a program has used this key", gauge["note"])
        self.key._set_raw(last_used_peer="203.0.113.7")
        gauge = self._gauge()
        self.assertEqual(len(gauge["limits"]), 1)
        self.assertIn("203.0.113.7", gauge["note"])
