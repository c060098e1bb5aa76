"""Whether a notice still goes out, and which channels and silences concern which alerts."""

from dataclasses import replace
from typing import Any

import pytest

from analytics.alerts.wanted import Drop, Send, Wait, decide, silenced, wants
from analytics.types.alerts import Channel, Outgoing, Silence
from tests.analytics.alerts.sample import MOMENT_US, alert

NOW = MOMENT_US + 60_000_000
END = MOMENT_US + 3_600_000_000


def channel(**fields: Any) -> Channel:
    values: dict[str, Any] = {"channel_id": "slack", "name": "ops", "kind": "slack", "tenant": "", "least": "warning"}
    return Channel(**values | {"rules": (), "quiet": "", "after_s": 0} | fields)


def silence(**fields: Any) -> Silence:
    matchers = dict.fromkeys(("tenant", "rule", "user", "model", "level"), "")
    values: dict[str, Any] = {"silence_id": "s", "starts_unix_us": MOMENT_US, "ends_unix_us": END}
    return Silence(**values | matchers | {"created_by": "bob", "why": "planned work"} | fields)


def outgoing(kind: str = "opened") -> Outgoing:
    return Outgoing("d", "a", "default", "slack", kind, "pending", 0, MOMENT_US, MOMENT_US)


def test_an_ordinary_notice_goes_out() -> None:
    assert decide(outgoing(), alert(), channel(), (), NOW) == Send()


@pytest.mark.parametrize("gone", [None, channel(enabled=False)])
def test_without_its_channel_it_is_dropped(gone: Channel | None) -> None:
    assert decide(outgoing(), alert(), gone, (), NOW) == Drop("the channel is gone or switched off")


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, Send()),
        ({"acknowledged_unix_us": NOW, "acknowledged_by": "bob"}, Drop("the alert is acknowledged")),
        ({"resolved_unix_us": NOW, "resolved_by": "bob"}, Drop("the alert is resolved")),
    ],
)
def test_an_escalation_goes_out_only_while_nobody_answered(fields: dict[str, Any], verdict: Send | Drop) -> None:
    assert decide(outgoing("escalated"), alert(**fields), channel(after_s=900), (), NOW) == verdict


def test_a_notice_of_a_resolved_alert_still_goes_out() -> None:
    assert decide(outgoing(), alert(resolved_unix_us=NOW, resolved_by="bob"), channel(), (), NOW) == Send()


def test_a_silence_holds_everything_back_but_the_end() -> None:
    kinds = ("opened", "raised", "repeated", "escalated", "resolved")
    found = [decide(outgoing(kind), alert(), channel(), (silence(),), NOW) for kind in kinds]
    assert found == [Drop("the alert is silenced", silenced=True)] * 4 + [Send()]


def test_quiet_hours_wait_for_their_end_and_let_critical_through() -> None:
    quiet = channel(quiet="11:00-12:00")  # the moment is 11:06:40 UTC
    end = MOMENT_US - MOMENT_US % 3_600_000_000 + 3_600_000_000
    assert decide(outgoing(), alert(level="warning"), quiet, (), NOW) == Wait(end)
    assert decide(outgoing(), alert(level="warning"), quiet, (), end) == Send()
    assert decide(outgoing(), alert(), quiet, (), NOW) == Send()


@pytest.mark.parametrize(
    ("fields", "covers"),
    [
        ({}, True),
        ({"rule": "security"}, True),
        ({"rule": "leak"}, False),
        ({"user": "alice", "model": "gpt-4o", "tenant": "default"}, True),
        ({"user": "bob"}, False),
        ({"model": "gpt-4o-mini"}, False),
        ({"tenant": "other"}, False),
        ({"level": "critical"}, True),
        ({"level": "warning"}, False),
        ({"starts_unix_us": NOW + 1}, False),
        ({"ends_unix_us": NOW}, False),
    ],
)
def test_which_alerts_a_silence_covers(fields: dict[str, Any], covers: bool) -> None:
    one = silence(**fields)
    assert silenced(alert(), (one,), NOW) == (one if covers else None)


def test_of_several_silences_the_one_that_ends_last_counts() -> None:
    long = silence(silence_id="long", ends_unix_us=END + 1)
    assert silenced(alert(), (silence(), long, silence()), NOW) == long


@pytest.mark.parametrize(
    ("fields", "level", "wanted"),
    [
        ({}, "warning", True),
        ({}, "info", False),
        ({"least": "info"}, "info", True),
        ({"enabled": False}, "critical", False),
        ({"tenant": "default"}, "critical", True),
        ({"tenant": "other"}, "critical", False),
        ({"rules": ("leak", "security")}, "critical", True),
        ({"rules": ("leak",)}, "critical", False),
        ({"after_s": 900, "least": "info"}, "warning", False),
        ({"after_s": 900}, "critical", True),
    ],
)
def test_which_alerts_a_channel_is_told_of(fields: dict[str, Any], level: str, wanted: bool) -> None:
    assert wants(channel(**fields), replace(alert(), level=level)) is wanted
