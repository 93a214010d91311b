"""In which words is each refusal told? The whole catalogue, so that a change shows in review."""

from odoo.tests.common import BaseCase

from ...core.verdict import Allow, Deny, Reason

# fmt: off
CATALOGUE = {
    "credential.unknown":           (401, "invalid_token"),
    "credential.mistyped":          (401, "invalid_token"),
    "credential.wrong_user":        (401, "invalid_token"),
    "credential.user_inactive":     (401, "invalid_token"),
    "credential.revoked":           (401, "invalid_token"),
    "credential.suspended":         (401, "invalid_token"),
    "credential.expired":           (401, "invalid_token"),
    "credential.pending":           (401, "invalid_token"),
    "credential.retired":           (401, "invalid_token"),
    "credential.database_copied":   (401, "invalid_token"),
    "credential.parent_inactive":   (401, "invalid_token"),
    "credential.too_many_failures": (429, "too_many_failures"),
    "credential.password_refused":  (401, "invalid_token"),
    "database.hidden":              (401, "invalid_token"),
    "network.refused":              (403, "not_allowed"),
    "network.peer_unknown":         (403, "not_allowed"),
    "door.refused":                 (403, "not_allowed"),
    "lifetime.too_old":             (403, "not_allowed"),
    "lifetime.idle_too_long":       (403, "not_allowed"),
    "lifetime.rotation_overdue":    (403, "not_allowed"),
    "lifetime.outside_hours":       (403, "not_allowed"),
    "scope.not_covered":            (403, "insufficient_scope"),
    "scope.protected":              (403, "insufficient_scope"),
    "scope.field_hidden":           (403, "insufficient_scope"),
    "scope.record_hidden":          (403, "insufficient_scope"),
    "scope.read_only":              (403, "insufficient_scope"),
    "shape.too_large":              (422, "too_large"),
    "values.active_html":           (422, "active_html"),
    "values.unknown_field":         (422, "unknown_field"),
    "scope.guard_configuration":    (403, "insufficient_scope"),
    "limit.exceeded":               (429, "rate_limited"),
    "limit.concurrency":            (429, "too_many_at_once"),
    "limit.store_down":             (503, "unavailable"),
    "report.too_many":              (429, "too_many_reports"),
    "second_factor.required":       (401, "insufficient_user_authentication"),
    "second_factor.wrong":          (401, "insufficient_user_authentication"),
    "second_factor.reused":         (401, "insufficient_user_authentication"),
    "second_factor.locked":         (401, "insufficient_user_authentication"),
    "second_factor.not_enrolled":   (401, "insufficient_user_authentication"),
    "guard.policy_unreadable":      (503, "unavailable"),
    "guard.vault_unreadable":       (503, "unavailable"),
}
SENTENCES = {
    "invalid_token":      "The credential was not accepted.",
    "not_allowed":        "The policy of this credential does not allow this call.",
    "insufficient_scope": "The scope of this credential does not cover this call.",
    "active_html":        "A plain text of the call holds active HTML.",
    "unknown_field":      "The values name a field that the model does not have.",
    "too_large":          "The call is larger than its policy allows.",
    "too_many_failures":  "Too many failed attempts. Try again later.",
    "rate_limited":       "The limit of this credential is used up. Try again later.",
    "too_many_at_once":   "Too many calls of this credential are under way. Try again later.",
    "too_many_reports":   "Too many reports. Try again later.",
    "insufficient_user_authentication": "This call needs a second factor.",
    "unavailable":        "The call cannot be judged at the moment and was refused.",
}
# fmt: on
#: What a caller may know: its own call's size, its own failures.
OPEN = {"credential.too_many_failures", "guard.policy_unreadable", "scope.not_covered", "shape.too_large",
        "report.too_many", "values.unknown_field", "values.active_html"}


class TestVerdict(BaseCase):
    def test_every_reason_is_in_the_catalogue(self):
        self.assertEqual({reason.value: (reason.status, reason.public_code) for reason in Reason}, CATALOGUE)

    def test_one_public_code_has_one_sentence(self):
        self.assertEqual({(reason.public_code, reason.sentence) for reason in Reason}, set(SENTENCES.items()))

    def test_a_caller_cannot_tell_why_a_secret_is_not_accepted(self):
        identity = [
            Reason.UNKNOWN_CREDENTIAL, Reason.KEY_MISTYPED, Reason.WRONG_USER, Reason.USER_INACTIVE,
            Reason.KEY_REVOKED, Reason.KEY_SUSPENDED, Reason.KEY_EXPIRED, Reason.PARENT_INACTIVE,
            Reason.PASSWORD_REFUSED, Reason.DATABASE_HIDDEN,
        ]  # fmt: skip
        told = {(reason.status, reason.public_code, reason.sentence) for reason in identity}
        self.assertEqual(told, {(401, "invalid_token", "The credential was not accepted.")})

    def test_a_sentence_does_not_tell_a_reason(self):
        for reason in Reason:
            for word in reason.value.partition(".")[2].split("_"):
                with self.subTest(reason.value, word=word):
                    self.assertTrue(word not in reason.sentence.lower() or reason.value in OPEN)

    def test_a_reason_is_its_code(self):
        self.assertIs(Reason("credential.expired"), Reason.KEY_EXPIRED)
        self.assertEqual(Reason.KEY_EXPIRED, "credential.expired")
        for reason in Reason:
            with self.subTest(reason.value):
                self.assertRegex(reason.value, r"\A[a-z_]+\.[a-z_]+\Z")

    def test_a_verdict_cannot_be_taken_for_another(self):
        self.assertNotEqual(Allow(), Deny(Reason.KEY_EXPIRED))
        self.assertEqual(Deny(Reason.KEY_EXPIRED).policy, "")
        self.assertIsNone(Allow().observed)
