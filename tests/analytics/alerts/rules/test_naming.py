"""Keys: readable, bounded, never shared."""

from analytics.alerts.rules.naming import KEY_CHARS, keyed


def test_a_key_is_readable() -> None:
    assert keyed("security", "alice", "jailbreak") == "security/alice/jailbreak"


def test_no_two_lists_of_parts_share_a_key() -> None:
    parts = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", "b", "c"), ("a", ""), ("a",), ("*",)]
    assert len({keyed("rule", *one) for one in parts}) == len(parts)


def test_a_long_key_is_cut_and_still_its_own() -> None:
    one, other = (keyed("rule", "x" * 1_000 + end) for end in "ab")
    assert len(one) == len(other) == KEY_CHARS
    assert one != other
