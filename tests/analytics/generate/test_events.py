import numpy as np
import pytest

from analytics.generate import Plan
from analytics.generate.events import CAMPAIGNS, INCIDENTS, Events, happen, sidecar_name
from analytics.generate.models import PLACE
from analytics.generate.people import KINDS, Population, populate


def happened(**asked: int) -> tuple[Plan, Population, Events]:
    plan = Plan(**({"records": 40_000, "seed": 7} | asked))
    people = populate(plan)
    return plan, people, happen(plan, people)


@pytest.mark.parametrize("days", [1, 2, 7, 30, 90])
def test_everything_occurs_within_the_time_and_after_a_quiet_third(days: int) -> None:
    plan, _, events = happened(days=days)
    assert {one.kind for one in events.campaigns} == set(CAMPAIGNS)
    assert {one.kind for one in events.incidents} == set(INCIDENTS)
    quiet_s = plan.start_unix_s + (plan.end_unix_s - plan.start_unix_s) * 32 // 100
    for one in (*events.campaigns, *events.incidents):
        assert quiet_s <= one.start_unix_s < one.end_unix_s <= plan.end_unix_s


def test_incidents_name_what_they_hit() -> None:
    _, people, events = happened()
    for one in events.incidents:
        known = {
            "outage": ("openai", "anthropic", "gemini"),
            "latency_drift": PLACE,
            "cost_spike": people.names,
            "traffic_spike": people.tenants,
        }.get(one.kind, [sidecar_name(place) for place in set(people.sidecar.tolist())])
        assert one.subject in known


def test_campaigns_are_of_one_tenant_and_their_calls_of_their_users_and_time() -> None:
    _, people, events = happened()
    tenant_of = dict(zip(people.names, people.tenant.tolist(), strict=True))
    for number, one in enumerate(events.campaigns):
        mine = events.campaign == number
        assert {people.tenants[tenant_of[user]] for user in one.users} == {one.tenant}
        assert int(mine.sum()) == one.records
        assert {people.names[user] for user in events.user[mine].tolist()} == set(one.users)
        started_s = events.started_us[mine] // 1_000_000
        assert (one.start_unix_s <= started_s.min(), started_s.max() < one.end_unix_s) == (True, True)
    assert (np.diff(events.started_us) >= 0).all()


def test_each_kind_of_campaign_has_its_users() -> None:
    _, people, events = happened(records=600_000)
    kind_of = {name: KINDS[kind].name for name, kind in zip(people.names, people.kind, strict=True)}
    for one in events.campaigns:
        kinds = {kind_of[user] for user in one.users}
        if one.kind == "shared_prompt":
            assert 12 <= len(one.users) < 40
            assert kinds <= {"office_worker", "developer", "heavy_user"}
        elif one.kind == "leak":
            assert 1 <= len(one.users) < 5
            assert kinds <= {"developer", "service_account"}
        else:
            assert kinds == {"dormant" if one.kind == "takeover" else "office_worker"}
    assert len({one.match_digest for one in events.campaigns}) == len(events.campaigns)


def test_few_records_have_no_campaigns_and_many_are_not_taken_over_by_them() -> None:
    assert happened(records=499)[2].campaigns == ()
    for records in (500, 5_000, 40_000):
        assert len(happened(records=records)[2].started_us) <= records // 5
