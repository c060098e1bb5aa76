"""What differs between two policies, setting by setting and as text."""

from analytics.control.differences import Difference, differences, unified


def test_settings_that_came_went_and_changed() -> None:
    before = {"mode": "observe", "deny_score": 15, "leaks": {"pii_leak": "report"}, "block_critical": True}
    after = {
        "mode": "enforce",
        "deny_score": 15.0,
        "leaks": {"pii_leak": "report", "secret_leak": "deny"},
        "alert_score": 4,
    }
    assert differences(before, after) == (
        Difference("alert_score", "added", None, 4),
        Difference("block_critical", "removed", True, None),
        Difference("leaks.secret_leak", "added", None, "deny"),
        Difference("mode", "changed", "observe", "enforce"),
    )


def test_named_entries_are_compared_with_their_namesakes() -> None:
    a, b, c = ({"name": name, "limit": 1} for name in "abc")
    assert differences({"budgets": [a, b]}, {"budgets": [c, a | {"limit": 2}]}) == (
        Difference("budgets.a.limit", "changed", 1, 2),
        Difference("budgets.b", "removed", b, None),
        Difference("budgets.c", "added", None, c),
    )


def test_lists_of_values_tell_what_came_and_went() -> None:
    assert differences({"canaries": ["one", "two"]}, {"canaries": ["two", "three"]}) == (
        Difference("canaries", "removed", "one", None),
        Difference("canaries", "added", None, "three"),
    )


def test_entries_that_share_a_name_are_compared_by_place() -> None:
    before, after = [{"rule": "x", "until": "1"}, {"rule": "x", "until": "2"}], [{"rule": "x", "until": "1"}]
    assert differences({"exceptions": before}, {"exceptions": after}) == (
        Difference("exceptions.001", "removed", before[1], None),
    )


def test_true_is_not_one() -> None:
    assert differences({"a": 1}, {"a": True}) == (Difference("a", "changed", 1, True),)


def test_the_text_is_a_unified_diff() -> None:
    text = unified("mode: observe\na: 1\n", "mode: enforce\na: 1\n", ("default@1", "default@2"))
    assert text == "--- default@1\n+++ default@2\n@@ -1,2 +1,2 @@\n-mode: observe\n+mode: enforce\n a: 1\n"
    assert unified("a", "a", ("x", "y")) == ""
