from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from analytics.ingest.decode import decode
from analytics.store import outbox
from analytics.types import DecisionRow
from tests.analytics.api.alarm import Alarm
from tests.analytics.traffic import record


@pytest.fixture
def alarm(engine: Engine, tmp_path: Path) -> Iterator[Alarm]:
    found = Alarm(engine, tmp_path, slack_webhook_url="https://hooks.slack.com/x")
    yield found
    found.close()


def critical(number: int, tenant: str = "default", user: str = "eve") -> DecisionRow:
    return replace(decode(record(number)), score=17.5, level="critical", tenant=tenant, user=user)


def listed(alarm: Alarm, **query: Any) -> list[tuple[str, str, str]]:
    answer = alarm.client.get("/api/alerts", params=query)
    assert answer.status_code == 200, answer.text
    return [(one["user"], one["level"], one["state"]) for one in answer.json()["alerts"]]


def test_an_alert_is_listed_shown_and_followed_to_its_decision(alarm: Alarm) -> None:
    alarm.store(critical(9))
    (one,) = alarm.client.get("/api/alerts").json()["alerts"]
    assert (one["rule"], one["level"], one["state"], one["user"], one["count"]) == (
        "security",
        "critical",
        "open",
        "eve",
        1,
    )
    whole = alarm.client.get(f"/api/alerts/{one['id']}").json()
    assert whole["decision_ids"] == [critical(9).decision_id]
    assert [(notice["channel_id"], notice["kind"], notice["state"]) for notice in whole["deliveries"]] == [
        ("slack", "opened", "pending")
    ]


def test_pages_and_filters(alarm: Alarm) -> None:
    for number, user in enumerate(("ann", "bob", "cem"), start=10):
        alarm.store(critical(number, user=user))
    page = alarm.client.get("/api/alerts", params={"limit": 2}).json()
    rest = alarm.client.get("/api/alerts", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    users = {one["user"] for one in (*page["alerts"], *rest["alerts"])}
    assert (users, rest["next_cursor"]) == ({"ann", "bob", "cem"}, None)
    assert listed(alarm, user="bob") == [("bob", "critical", "open")]
    assert listed(alarm, state="resolved") == []
    assert listed(alarm, level="info") == []
    assert listed(alarm, to="2020-01-01T00:00:00Z") == []


def test_somebody_looks_after_it_and_then_it_is_over(alarm: Alarm) -> None:
    alarm.store(critical(9))
    alarm.become("ann", "analyst")
    (one,) = alarm.client.get("/api/alerts").json()["alerts"]
    path = f"/api/alerts/{one['id']}"
    taken = alarm.client.post(f"{path}/ack", json={"note": "mine"}).json()
    assert (taken["state"], taken["acknowledged_by"], taken["note"]) == ("acknowledged", "ann", "mine")
    done = alarm.client.post(f"{path}/resolve").json()
    assert (done["state"], done["resolved_by"]) == ("resolved", "ann")
    again = alarm.client.post(f"{path}/ack")
    assert (again.status_code, again.json()["error"]["type"]) == (409, "conflict")
    assert alarm.audited() == [("ann", "alert.acknowledge"), ("ann", "alert.resolve")]


def test_a_viewer_changes_nothing(alarm: Alarm) -> None:
    alarm.store(critical(9))
    alarm.become("vic", "viewer")
    (one,) = alarm.client.get("/api/alerts").json()["alerts"]
    assert [alarm.client.post(f"/api/alerts/{one['id']}/{verb}").status_code for verb in ("ack", "resolve")] == [
        403
    ] * 2
    assert alarm.audited() == []


def test_a_tenant_sees_its_own(alarm: Alarm) -> None:
    alarm.store(critical(9), critical(19, tenant="acme", user="zoe"))
    other = next(one for one in alarm.client.get("/api/alerts").json()["alerts"] if one["tenant"] == "default")
    alarm.become("ann", "analyst", "acme")
    assert listed(alarm) == [("zoe", "critical", "open")]
    for method, path in (("GET", ""), ("POST", "/ack"), ("POST", "/resolve")):
        assert alarm.client.request(method, f"/api/alerts/{other['id']}{path}").status_code == 404
    notices = alarm.client.get("/api/alerts/deliveries").json()["deliveries"]
    assert other["id"] not in {one["alert_id"] for one in notices}


def test_a_notice_that_was_given_up_is_tried_again(alarm: Alarm) -> None:
    alarm.store(critical(9))
    (one,) = alarm.client.get("/api/alerts/deliveries").json()["deliveries"]
    path = f"/api/alerts/deliveries/{one['id']}/retry"
    assert alarm.client.post(path).status_code == 409
    with outbox.changing(alarm.engine) as connection:
        (held,) = outbox.page(connection, "pending", None, 9)
        outbox.claim(connection, held, "x", 2**60, 2**61)
        outbox.settle(connection, replace(held, state="failed", detail="404"), "x")
    assert [one["state"] for one in alarm.client.get("/api/alerts/deliveries?state=failed").json()["deliveries"]] == [
        "failed"
    ]
    assert (alarm.client.post(path).json()["state"], alarm.audited()) == ("pending", [("local", "delivery.retry")])


@pytest.mark.parametrize("path", ["/api/alerts/" + "0" * 32, "/api/alerts/deliveries/" + "0" * 32 + "/retry"])
def test_what_is_not_there_is_404(alarm: Alarm, path: str) -> None:
    method = "POST" if path.endswith("retry") else "GET"
    assert alarm.client.request(method, path).status_code == 404
