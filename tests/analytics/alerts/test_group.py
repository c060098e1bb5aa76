"""Grouping: what joins, what is told again, floods, escalation, the end."""

import itertools
from typing import Any

import pytest

from analytics import config
from analytics.alerts import group
from analytics.types.alerts import Alert, Held, Occurrence, Outgoing, Plan
from tests.analytics.alerts.sample import DECISION, MOMENT_US, alert
from tests.analytics.alerts.test_wanted import channel, silence

NOW = MOMENT_US + 1_000_000
HOUR_US = 3_600_000_000
SETTINGS = config.load()


def occurrence(**fields: Any) -> Occurrence:
    values: dict[str, Any] = {"rule": "security", "level": "critical", "tenant": "default", "moment_unix_us": MOMENT_US}
    values |= {"key": "security/alice/prompt_injection", "title": "a title", "text": "a text", "user": "alice"}
    return Occurrence(**values | {"decisions": (DECISION,), "score": 17.5} | fields)


def around(*channels: Any, now: int = NOW, silences: tuple[Any, ...] = ()) -> group.Around:
    numbers = itertools.count(1)
    return group.Around(SETTINGS, channels or (channel(),), silences, now, lambda: f"id{next(numbers)}")


def held(one: Alert, **fields: Any) -> Held:
    return Held(alerts={(one.tenant, one.key): one}, **fields)


def told(plan: Plan) -> list[tuple[str, str, int]]:
    return [(one.channel_id, one.kind, one.due_unix_us) for one in plan.notices]


def test_something_new_opens_an_alert_and_is_told() -> None:
    plan = group.plan([occurrence()], Held(), around())
    expected = Alert(
        alert_id="id1",
        tenant="default",
        rule="security",
        level="critical",
        key="security/alice/prompt_injection",
        title="a title",
        text="a text",
        count=1,
        first_unix_us=MOMENT_US,
        last_unix_us=MOMENT_US,
        opened_unix_us=NOW,
        touched_unix_us=NOW,
        user="alice",
        score=17.5,
        decisions=(DECISION,),
        notified_unix_us=NOW,
    )
    assert plan.alerts == (expected,)
    assert plan.notices == (Outgoing("id2", "id1", "default", "slack", "opened", "pending", 0, NOW, NOW),)


def test_what_joins_an_open_alert_counts_on_and_is_not_told() -> None:
    before = alert(notified_unix_us=NOW - 1_000_000, touched_unix_us=MOMENT_US)
    later = occurrence(moment_unix_us=MOMENT_US + 5, decisions=("b" * 32,), score=16.0)
    plan = group.plan([later], held(before), around())
    (after,) = plan.alerts
    assert (after.count, after.last_unix_us, after.touched_unix_us) == (2, MOMENT_US + 5, NOW)
    assert (after.title, after.score, after.decisions) == (before.title, 17.5, ("b" * 32, DECISION))
    assert plan.notices == ()


def test_a_batch_is_one_occurrence_a_key_with_the_worst_words() -> None:
    batch = [
        occurrence(score=16.0, title="mild", moment_unix_us=MOMENT_US + 9),
        occurrence(title="worst"),
        occurrence(score=1.0),
    ]
    (after,) = group.plan(batch, Held(), around()).alerts
    assert (after.count, after.title, after.score, after.last_unix_us) == (3, "worst", 17.5, MOMENT_US + 9)


def test_tenants_never_share_an_alert() -> None:
    plan = group.plan([occurrence(), occurrence(tenant="other")], Held(), around())
    assert [one.tenant for one in plan.alerts] == ["default", "other"]


def test_what_became_worse_is_told_at_once_and_its_acknowledgement_is_gone() -> None:
    before = alert(
        level="warning", score=6.0, notified_unix_us=NOW - 1, acknowledged_unix_us=NOW - 1, acknowledged_by="bob"
    )
    plan = group.plan([occurrence(title="now critical")], held(before), around())
    (after,) = plan.alerts
    assert (after.level, after.title, after.acknowledged_unix_us, after.state) == (
        "critical",
        "now critical",
        None,
        "open",
    )
    assert told(plan) == [("slack", "raised", NOW)]


@pytest.mark.parametrize(
    ("age_s", "fields", "kinds"),
    [
        (SETTINGS.alert_renotify_s - 1, {}, []),
        (SETTINGS.alert_renotify_s, {}, ["repeated"]),
        (SETTINGS.alert_renotify_s, {"acknowledged_unix_us": NOW, "acknowledged_by": "bob"}, []),
    ],
)
def test_what_goes_on_is_told_again_after_a_while(age_s: int, fields: dict[str, Any], kinds: list[str]) -> None:
    before = alert(notified_unix_us=NOW - age_s * 1_000_000, **fields)
    plan = group.plan([occurrence()], held(before), around())
    assert [one.kind for one in plan.notices] == kinds


def test_a_silenced_alert_is_kept_and_told_when_the_silence_is_over() -> None:
    plan = group.plan([occurrence()], Held(), around(silences=(silence(),)))
    (quiet,) = plan.alerts
    assert (quiet.notified_unix_us, plan.notices) == (None, ())
    assert told(group.plan([occurrence()], held(quiet), around())) == [("slack", "opened", NOW)]


def test_a_channel_whose_last_notice_waits_gets_no_second_one() -> None:
    before = alert(notified_unix_us=0)
    waiting = frozenset({(before.alert_id, "slack")})
    plan = group.plan([occurrence()], held(before, waiting=waiting), around(channel(), channel(channel_id="mail")))
    assert told(plan) == [("mail", "repeated", NOW)]


def test_critical_alerts_are_escalated_later_to_those_who_are_told_last() -> None:
    channels = (channel(), channel(channel_id="boss", after_s=900))
    opened = group.plan([occurrence()], Held(), around(*channels))
    assert told(opened) == [("slack", "opened", NOW), ("boss", "escalated", NOW + 900_000_000)]
    warning = group.plan([occurrence(level="warning")], Held(), around(*channels))
    assert told(warning) == [("slack", "opened", NOW)]
    waiting = frozenset({("id1", "boss")})
    again = group.plan(
        [occurrence()], held(opened.alerts[0], waiting=waiting), around(*channels, now=NOW + 5 * HOUR_US)
    )
    assert told(again) == [("slack", "repeated", NOW + 5 * HOUR_US)]


def test_slow_calls_are_info_until_there_are_many() -> None:
    slow = occurrence(rule="slow_call", key="slow_call/gpt-4o", level="info", score=6.0)
    (first,) = group.plan([slow] * (SETTINGS.alert_slow_calls - 1), Held(), around()).alerts
    assert first.level == "info"
    plan = group.plan([slow], held(first), around())
    assert plan.alerts[0].level == "warning"
    assert told(plan) == [("slack", "raised", NOW)]
    (many,) = group.plan([slow] * SETTINGS.alert_slow_calls, Held(), around()).alerts
    assert many.level == "warning"


def test_a_flood_of_users_makes_one_alert_more_and_one_message_more() -> None:
    flood = [occurrence(user=f"u{n}", key=f"security/u{n}") for n in range(1_000)]
    plan = group.plan(flood, Held(opened={("default", "security"): SETTINGS.alert_burst - 2}), around())
    assert [one.key for one in plan.alerts] == ["security/u0", "security/u1", "security/*"]
    gathered = plan.alerts[-1]
    assert (gathered.count, gathered.user, gathered.level) == (998, "", "critical")
    assert gathered.title == "many alerts of the rule security at once"
    assert len(plan.notices) == 3


def test_a_flood_joins_what_is_open_already() -> None:
    gathered = alert(key="security/*", notified_unix_us=NOW)
    opened = {("default", "security"): SETTINGS.alert_burst}
    plan = group.plan([occurrence(key="security/new"), occurrence()], held(gathered, opened=opened), around())
    assert [(one.key, one.count) for one in plan.alerts] == [("security/*", 3)]
    assert plan.notices == ()
    other = group.plan([occurrence(rule="leak", key="leak/x")], held(gathered, opened=opened), around())
    assert [one.key for one in other.alerts] == ["leak/x"]


def test_keys_are_those_of_the_batch_and_of_floods() -> None:
    found = group.keys([occurrence(), occurrence(), occurrence(tenant="other")])
    key = "security/alice/prompt_injection"
    assert found == [("default", key), ("default", "security/*"), ("other", key), ("other", "security/*")]


def test_the_end_is_told_to_whoever_was_told_and_still_exists() -> None:
    before = alert(notified_unix_us=NOW)
    known = Held(told={before.alert_id: frozenset({"slack", "gone"})})
    plan = group.over(before, "bob", known, around(channel(), channel(channel_id="mail")))
    assert (plan.alerts[0].resolved_unix_us, plan.alerts[0].resolved_by) == (NOW, "bob")
    assert told(plan) == [("slack", "resolved", NOW)]
    late = Held(told=known.told, waiting=frozenset({(before.alert_id, "slack")}))
    assert group.over(before, "bob", late, around()).notices == ()  # the one that waits will say that it is over
