"""A user's risk, where it comes from, and what may be done to a user."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from analytics.ingest.decode import decode
from analytics.types import DecisionRow
from tests.analytics.api.steering import Api, api, error
from tests.analytics.conftest import NOW_UNIX_S
from tests.analytics.control.steering import books, row
from tests.analytics.traffic import BEGAN_UNIX_US, record

HALF_HOUR_US = 1_800_000_000
LEFT = 0.5**0.5  # of what began half an hour before the clock of these tests


@pytest.fixture
def on(sqlite_engine: Engine) -> Iterator[Api]:
    rows = [
        row(1, 8.0),
        row(2, 4.0, at_us=HALF_HOUR_US),
        row(3, 9.0, user="both"),
        row(4, 9.0, user="both", tenant="red"),
    ]
    books(sqlite_engine, lambda: NOW_UNIX_S).store([*rows, decode(record(1))])
    with api(sqlite_engine) as one:
        yield one


def risk(on: Api, user: str = "alice", **query: Any) -> dict[str, Any]:
    answer = on.client.get(f"/api/security/users/{user}/risk", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def order(on: Api, what: str, user: str = "alice", **body: Any) -> dict[str, Any]:
    answer = on.client.post(f"/api/security/users/{user}/{what}", json={"reason": "seen it"} | body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def moved(by: DecisionRow, at: str, score: float, left: float) -> dict[str, Any]:
    return {"decision_id": by.decision_id, "at": at, "score": score, "left": left, "applied": "allow"}


def test_a_users_risk_and_where_it_comes_from(on: Api) -> None:
    assert risk(on) == {
        "tenant": "default",
        "user": "alice",
        "risk": round(8.0 * LEFT + 4.0, 3),
        "level": "low",
        "half_life_s": 3_600.0,
        "quarantined": False,
        "quarantined_until": None,
        "reason": "",
        "reset_at": None,
        "quarantine_at": None,
        "moved_by": [
            moved(row(2, at_us=HALF_HOUR_US), "2026-11-18T11:36:40Z", 4.0, 4.0),
            moved(row(1), "2026-11-18T11:06:40Z", 8.0, round(8.0 * LEFT, 3)),
        ],
        "events": [],
    }
    assert (risk(on, "user-1")["risk"], risk(on, "user-1")["moved_by"]) == (0.0, [])


def test_quarantine_release_and_reset_with_their_trail(on: Api) -> None:
    confined = order(on, "quarantine", minutes=10)
    released, cleared = order(on, "release"), order(on, "reset", reason="new start")
    assert (confined["quarantined"], confined["quarantined_until"], confined["reason"]) == (
        True,
        "2026-11-18T11:46:40Z",
        "seen it",
    )
    assert (released["quarantined"], released["reason"], released["risk"]) == (False, "", confined["risk"])
    assert (cleared["risk"], cleared["reset_at"], cleared["moved_by"]) == (
        0.0,
        "2026-11-18T11:36:40Z",
        [risk(on)["moved_by"][0]],
    )
    assert sorted((one["kind"], one["actor"], one["reason"], one["until"]) for one in cleared["events"]) == [
        ("quarantine", "local", "seen it", "2026-11-18T11:46:40Z"),
        ("release", "local", "seen it", None),
        ("reset", "local", "new start", None),
    ]
    assert [(action, tenant, after["reason"]) for _, action, tenant, _, after in on.audited()] == [
        ("user.quarantine", "default", "seen it"),
        ("user.release", "default", "seen it"),
        ("user.reset", "default", "new start"),
    ]
    assert len(on.steered) == 3


def test_an_unknown_user_can_be_confined_where_the_tenant_is_named(on: Api) -> None:
    path = "/api/security/users/stranger/quarantine"
    body = {"reason": "r", "minutes": 5}
    assert error(on.client.post(path, json=body)) == (404, "there is no such user", "user")
    answer = on.client.post(path, json=body, params={"tenant": "red"})
    assert (answer.status_code, answer.json()["tenant"], answer.json()["quarantined"]) == (200, "red", True)


def test_a_name_in_two_tenants_needs_its_tenant(on: Api) -> None:
    path = "/api/security/users/both/risk"
    assert error(on.client.get(path)) == (409, "the name stands in 2 tenants: say which", "tenant")
    assert risk(on, "both", tenant="red")["tenant"] == "red"


def test_names_with_slashes_are_names(on: Api) -> None:
    books(on.engine, lambda: NOW_UNIX_S).store([row(7, 3.0, user="team/ann")])
    assert risk(on, "team%2Fann")["user"] == "team/ann"


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"reason": "r"}, "minutes: give either minutes or until", "minutes"),
        (
            {"reason": "r", "minutes": 5, "until": "2026-11-19T00:00:00Z"},
            "minutes: give either minutes or until",
            "minutes",
        ),
        ({"reason": "r", "until": "2026-11-18T00:00:00Z"}, "until: it lies within the next 366 days", "until"),
        ({"reason": "r", "until": "2099-11-18T00:00:00Z"}, "until: it lies within the next 366 days", "until"),
        ({"reason": "", "minutes": 5}, "reason: String should have at least 1 character", "reason"),
    ],
)
def test_how_long_is_said_once_and_within_bounds(on: Api, body: dict[str, Any], message: str, param: str) -> None:
    assert error(on.client.post("/api/security/users/alice/quarantine", json=body)) == (422, message, param)


def test_a_tenant_sees_and_moves_its_own_users(on: Api) -> None:
    on.become("ruth", "analyst", "red")
    assert risk(on, "both")["tenant"] == "red"
    assert [
        on.client.get(f"/api/security/users/{path}").status_code for path in ("alice/risk", "both/risk?tenant=default")
    ] == [404, 404]
    assert order(on, "reset", "both")["risk"] == 0.0
    on.become("local", "viewer")
    assert on.client.post("/api/security/users/both/reset", json={"reason": "r"}).status_code == 403
    assert risk(on, "both", tenant="default")["risk"] == round(9.0 * LEFT, 3)
    assert BEGAN_UNIX_US / 1e6 + 1_800 == NOW_UNIX_S
