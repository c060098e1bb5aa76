"""What of a policy holds for one request."""

import pytest

from sidecar.policy import Compiled, Facts, Policy, PolicySet, parse_policy
from sidecar.types import Mode

TEXT = """
deny_score: 14
content_capture: full
overrides:
- {name: red, match: {team: red}, set: {deny_score: 12, mode: observe}}
- {name: gpt, match: {model: gpt-*}, set: {deny_score: 10}}
- {name: slow, match: {tenant: acme}, set: {deadline_ms: 500}}
exceptions:
- {rule: "a.*", until: 2099-12-31, reason: w, who: w, match: {user: ada}}
budgets:
- {name: all, limit: 5, unit: requests, window: day}
- {name: gpts, limit: 5, unit: requests, window: day, match: {model: gpt-*}}
"""
POLICY = parse_policy(TEXT, Policy())


def held(**facts: str) -> tuple[float, Mode, tuple[str, ...], str, bool, list[str]]:
    found = Compiled(POLICY).of(Facts(**facts))
    suffix = found.policy.version.removeprefix(POLICY.version)
    return (
        found.policy.deny_score, found.policy.mode, found.overrides, suffix, bool(found.waivers),
        [budget.name for budget in found.budgets],
    )  # fmt: skip


def test_nothing_that_matches_leaves_the_base() -> None:
    assert held(team="blue") == (14.0, Mode.ENFORCE, (), "", False, ["all"])


def test_all_that_match_apply_and_the_last_counts() -> None:
    assert held(team="red", model="gpt-4o", user="ada") == (
        10.0, Mode.OBSERVE, ("red", "gpt"), "/red+gpt", True, ["all", "gpts"],
    )  # fmt: skip
    assert held(team="red") == (12.0, Mode.OBSERVE, ("red",), "/red", False, ["all"])


def test_the_record_says_which_applied() -> None:
    compiled = Compiled(POLICY)
    assert compiled.of(Facts(team="red", model="gpt-4o")).reasons == ("policy overrides: red, gpt",)
    assert compiled.of(Facts()).reasons == ()


def test_only_what_is_needed_early_is_looked_at_before_the_body() -> None:
    compiled = Compiled(POLICY)
    assert compiled.has_early
    assert compiled.early(Facts(tenant="acme", team="red")).deadline_ms == 500
    assert compiled.early(Facts(tenant="acme", team="red")).mode is Mode.ENFORCE
    assert compiled.early(Facts(tenant="other")).deadline_ms == 250
    plain = Compiled(Policy(deadline_ms=100))
    assert (plain.has_early, plain.early(Facts()).deadline_ms) == (False, 100)


def test_the_same_combination_is_merged_once_and_combinations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.policy.compiled._COMBINATIONS", 2)
    compiled = Compiled(POLICY)
    first = compiled.of(Facts(team="red"))
    assert compiled.of(Facts(team="red", endpoint="/x")) is first
    for facts in (Facts(), Facts(model="gpt-4"), Facts(user="ada"), Facts(team="red")):
        compiled.of(facts)
    again = compiled.of(Facts(team="red"))
    assert again is not first
    assert again.policy == first.policy


def test_each_tenant_has_its_policy_or_that_of_all() -> None:
    mine, all_others = Compiled(Policy(deny_score=9.0)), Compiled(Policy())
    policies = PolicySet(all_others, {"acme": mine})
    assert (policies.of("acme"), policies.of("other"), policies.of("")) == (mine, all_others, all_others)
    assert PolicySet.one(POLICY).of("acme").policy is POLICY
