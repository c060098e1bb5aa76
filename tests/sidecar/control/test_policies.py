"""Which policy is in force for whom: pushed before the file, a tenant's own before the one for all, a broken one never."""

import pytest

from sidecar.control.policies import Policies
from sidecar.control.snapshot import Held, HeldPolicy
from sidecar.control.watch import InForce
from sidecar.policy import Compiled, Policy, policy_version


class Counted:
    """Counts readings."""

    def __init__(self) -> None:
        self.readings: list[bool] = []

    def __call__(self, *, good: bool) -> None:
        self.readings.append(good)


FILE = Compiled(Policy(version="of-the-file"))


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def policies(counted: Counted) -> Policies:
    return Policies(lambda _tenant: FILE, Policy(alert_score=3.0), counted)


def held(**texts: str) -> Held:
    named = {("*" if tenant == "every" else tenant): text for tenant, text in texts.items()}
    return Held(policies={tenant: HeldPolicy(policy_version(text), text) for tenant, text in named.items()})


def scores(policies: Policies, *tenants: str) -> list[tuple[float, float]]:
    return [(policies.of(one).policy.alert_score, policies.of(one).policy.deny_score) for one in tenants]


def test_without_a_pushed_policy_the_file_is_in_force(policies: Policies) -> None:
    policies.apply(Held())
    assert (policies.of("red"), policies.in_force()) == (FILE, (InForce("*", "of-the-file"),))


def test_pushed_policies_go_before_the_file_and_a_tenants_own_before_the_one_for_all(
    policies: Policies, counted: Counted
) -> None:
    policies.apply(held(every="deny_score: 10", red="deny_score: 20"))
    assert scores(policies, "red", "blue") == [(3.0, 20.0), (3.0, 10.0)]
    assert policies.in_force() == (
        InForce("*", policy_version("deny_score: 10")),
        InForce("red", policy_version("deny_score: 20")),
    )
    assert counted.readings == [True, True]


def test_what_did_not_change_is_not_read_again(policies: Policies, counted: Counted) -> None:
    policies.apply(held(red="deny_score: 20"))
    before = policies.of("red")
    policies.apply(held(red="deny_score: 20", blue="deny_score: 30"))
    assert (policies.of("red") is before, counted.readings) == (True, [True, True])


def test_a_policy_that_cannot_be_read_leaves_the_last_one_in_force_and_is_told(
    policies: Policies, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    policies.apply(held(red="deny_score: 20"))
    policies.apply(held(red="deny_score: much"))
    (state,) = (one for one in policies.in_force() if one.tenant == "red")
    assert scores(policies, "red") == [(3.0, 20.0)]
    assert (state.version, state.refused_version) == (
        policy_version("deny_score: 20"),
        policy_version("deny_score: much"),
    )
    assert "deny_score" in state.refusal
    assert (counted.readings, [one.message for one in caplog.records if one.levelname == "ERROR"]) == (
        [True, False],
        ["policy.refused"],
    )
    policies.apply(held(red="deny_score: 30"))
    assert policies.in_force()[1] == InForce("red", policy_version("deny_score: 30"))


def test_a_first_policy_that_cannot_be_read_leaves_the_one_for_all(policies: Policies) -> None:
    policies.apply(held(every="deny_score: 10", red="frob: 1"))
    assert scores(policies, "red") == [(3.0, 10.0)]
    assert policies.in_force()[1].version == policy_version("deny_score: 10")


def test_a_withdrawn_policy_leads_back_to_the_file(policies: Policies) -> None:
    policies.apply(held(every="deny_score: 10", red="frob: 1"))
    policies.apply(Held())
    assert (policies.of("red"), policies.in_force()) == (FILE, (InForce("*", "of-the-file"),))
