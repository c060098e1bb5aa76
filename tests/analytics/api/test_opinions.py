"""Verdicts and ratings as clients give them: what is held, who may, what the audit says."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.access.principal import Principal
from analytics.api import auth
from analytics.store import audit
from tests.analytics.books import fill, varied
from tests.analytics.traffic import BEGAN_UNIX_US

ROWS = varied(60)
FOUND = next(row for row in ROWS if len({threat.rule_id for threat in row.threats}) == 2)
CLEAN = next(row for row in ROWS if not row.threats)
AT = "2026-11-18T11:36:40Z"


@pytest.fixture(autouse=True)
def stored(sqlite_engine: Engine) -> None:
    fill(sqlite_engine, ROWS)


def act_as(application: FastAPI, principal: Principal) -> None:
    application.dependency_overrides[auth._principal] = lambda: principal


def judge(client: TestClient, decision_id: str, **body: Any) -> Any:
    return client.post(f"/api/decisions/{decision_id}/verdict", json=body)


def test_verdicts_are_a_history_and_the_last_is_the_decisions(client: TestClient, sqlite_engine: Engine) -> None:
    rules = list(dict.fromkeys(threat.rule_id for threat in FOUND.threats))
    first = judge(client, FOUND.decision_id, verdict="true_positive", note="seen \U0001f600")
    second = judge(client, FOUND.decision_id, verdict="false_positive", rules=[rules[1]])
    common = {"decision_id": FOUND.decision_id, "author": "local", "made_at": AT}
    told = [
        {"number": 1, "verdict": "true_positive", "rules": rules, "note": "seen \U0001f600"} | common,
        {"number": 2, "verdict": "false_positive", "rules": [rules[1]], "note": ""} | common,
    ]
    assert [(one.status_code, one.json()) for one in (first, second)] == [(201, told[0]), (201, told[1])]
    whole = client.get(f"/api/decisions/{FOUND.decision_id}").json()
    assert (whole["verdicts"], whole["verdict"]) == (told, "false_positive")
    page = client.get("/api/decisions", params={"limit": 1000}).json()["decisions"]
    assert {one["decision_id"]: one["verdict"] for one in page if one["verdict"]} == {
        FOUND.decision_id: "false_positive"
    }
    with sqlite_engine.connect() as connection:
        entries = [entry for _, entry in audit.page(connection, None, 10)]
    entries.sort(key=lambda one: str(one.before))  # of one moment: they have no order of their own
    assert [(one.actor, one.action, one.subject, one.tenant, one.before, one.after) for one in entries] == [
        (
            "local",
            "decision.verdict",
            FOUND.decision_id,
            FOUND.tenant,
            {"verdict": before},
            {"verdict": verdict, "rules": about, "note": note},
        )
        for before, verdict, about, note in [
            ("true_positive", "false_positive", [rules[1]], ""),
            (None, "true_positive", rules, "seen \U0001f600"),
        ]
    ]


@pytest.mark.parametrize(
    ("decision_id", "body", "status", "param"),
    [
        (FOUND.decision_id, {"verdict": "maybe"}, 422, "verdict"),
        (FOUND.decision_id, {"verdict": "unclear", "rules": ["no.such_rule"]}, 422, "rules"),
        (FOUND.decision_id, {"verdict": "unclear", "note": "\x00"}, 422, "note"),
        (FOUND.decision_id, {"verdict": "unclear", "note": "n" * 2_001}, 422, "note"),
        (FOUND.decision_id, {"verdict": "unclear", "colour": "blue"}, 422, "colour"),
        (CLEAN.decision_id, {"verdict": "false_positive"}, 409, None),
        ("0" * 32, {"verdict": "false_positive"}, 404, "decision_id"),
    ],
)
def test_what_cannot_be_judged(client: TestClient, decision_id: str, body: Any, status: int, param: str | None) -> None:
    answer = judge(client, decision_id, **body)
    assert (answer.status_code, answer.json()["error"].get("param")) == (status, param)


def test_judging_needs_an_analyst_of_the_tenant(application: FastAPI, client: TestClient) -> None:
    other = next(name for name in ("default", "shop") if name != FOUND.tenant)
    answers = {}
    for principal in (
        Principal("v", "viewer", FOUND.tenant),
        Principal("o", "admin", other),
        Principal("a", "analyst", FOUND.tenant),
    ):
        act_as(application, principal)
        answer = judge(client, FOUND.decision_id, verdict="unclear")
        answers[principal.name] = (answer.status_code, answer.json().get("author"))
    assert answers == {"v": (403, None), "o": (404, None), "a": (201, "a")}


def rate(client: TestClient, **body: Any) -> Any:
    return client.post("/api/feedback", json={"decision_id": CLEAN.decision_id} | body)


def test_a_rating_replaces_the_same_authors_last_one(client: TestClient, sqlite_engine: Engine) -> None:
    answers = [
        rate(client, rating=2),
        rate(client, rating=5),
        rate(client, rating=5),
        rate(client, thumb="up", author="équipe"),
    ]
    assert [(one.status_code, one.json()["replaced"]) for one in answers] == [
        (200, was) for was in (False, True, True, False)
    ]
    held = {"decision_id": CLEAN.decision_id, "comment": "", "made_at": AT}
    whole = client.get(f"/api/decisions/{CLEAN.decision_id}").json()
    assert whole["feedback"] == [
        {"author": "local", "rating": 5, "thumb": None} | held,
        {"author": "équipe", "rating": None, "thumb": "up"} | held,
    ]
    with sqlite_engine.connect() as connection:
        trail = [
            (one.subject, one.before and one.before["rating"], one.after) for _, one in audit.page(connection, None, 9)
        ]
    expected = [
        (CLEAN.decision_id, before, {"author": author, "rating": rating, "thumb": thumb, "comment": ""})
        for before, author, rating, thumb in [
            (None, "équipe", None, "up"),
            (2, "local", 5, None),
            (None, "local", 2, None),
        ]
    ]
    assert sorted(trail, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"rating": 3, "thumb": "up"}, 422),
        ({"rating": 0}, 422),
        ({"rating": 6}, 422),
        ({"rating": 10**400}, 422),
        ({"rating": 1, "decision_id": "f" * 32}, 404),
        ({"rating": 1, "author": ""}, 422),
    ],
)
def test_what_is_no_rating(client: TestClient, body: Any, status: int) -> None:
    assert rate(client, **body).status_code == status


def test_only_the_own_tenants_exchanges_are_rated(application: FastAPI, client: TestClient) -> None:
    for tenant, status in ((CLEAN.tenant, 200), ("nobody's", 404)):
        act_as(application, Principal("v", "viewer", tenant))
        assert rate(client, rating=1).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b'{"decision_id": "\\ud800", "rating": 1}',
        b'{"decision_id": "x", "rating": ' + b"9" * 5_000 + b"}",
        b'{"\\ud800": 1}',
        b'{"rating": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
        b"null",
    ],
)
def test_bodies_that_are_none_are_refused_in_the_one_shape(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/feedback", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, set(answer.json())) == (422, {"error"}), answer.text


def test_the_times_are_the_clocks() -> None:
    assert BEGAN_UNIX_US / 1e6 + 1_800 == 1_795_001_800
