"""Security as the API tells it, against counts over the records themselves."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.store import database, usage, verdicts
from analytics.types import DAY_S, DecisionRow
from tests.analytics.books import among, fill, varied
from tests.analytics.conftest import NOW_UNIX_S, build_application, local_client

ROWS = varied(300)


@pytest.fixture(autouse=True)
def stored(sqlite_engine: Engine) -> None:
    fill(sqlite_engine, ROWS)


def inside(days: int, **equal: str) -> list[DecisionRow]:
    window = usage.last(days * DAY_S, NOW_UNIX_S)
    return among(
        ROWS,
        window.start_unix_s,
        window.end_unix_s,
        lambda row: all(getattr(row, name) == value for name, value in equal.items()),
    )


def found(rows: list[DecisionRow], name: str) -> list[dict[str, Any]]:
    levels: dict[str, Counter[str]] = {}
    for row in rows:
        for threat in row.threats:
            levels.setdefault(getattr(threat, name), Counter())[row.level] += 1
    listed = [{"name": one, "count": each.total(), "by_level": dict(each)} for one, each in levels.items()]
    return sorted(listed, key=lambda one: (-one["count"], one["name"]))


def levels(rows: list[DecisionRow]) -> dict[str, int]:
    return {name: sum(row.level == name for row in rows) for name in ("low", "medium", "high", "critical")}


@pytest.mark.parametrize("days", [1, 7, 30])
@pytest.mark.parametrize("tenant", [None, "shop"])
def test_summary(client: TestClient, days: int, tenant: str | None) -> None:
    rows = inside(days, **({} if tenant is None else {"tenant": tenant}))
    answer = client.get("/api/security/summary", params={"days": days} | ({"tenant": tenant} if tenant else {})).json()
    answer.pop("window")
    mean = answer.pop("mean_score")
    assert mean == (pytest.approx(sum(row.score for row in rows) / len(rows)) if rows else None)
    assert answer == {
        "total_requests": len(rows),
        "blocked_requests": sum(row.outcome == "denied" for row in rows),
        "risky_requests": sum(row.level in ("high", "critical") for row in rows),
        "threats": sum(len(row.threats) for row in rows),
        "would_refuse": sum(row.would_be == "deny" for row in rows),
        "inspection_failures": 0,
        "fail_open": 0,
        "unscanned": sum(not row.complete for row in rows),
        "by_level": levels(rows),
        "by_action": {
            name: sum(row.applied == name for row in rows)
            for name in ("allow", "allow_unscanned", "redact", "throttle", "deny")
        },
        "by_type": found(rows, "type"),
        "by_rule": found(rows, "rule_id"),
        "by_surface": found(rows, "surface"),
        "judged_decisions": [],
        "precision": None,
    }


def test_the_summary_tells_the_precision_of_rules(client: TestClient, sqlite_engine: Engine) -> None:
    judged = [row for row in inside(30) if row.threats][:3]
    with database.writing(sqlite_engine) as connection:
        for row, word in zip(judged, ("true_positive", "true_positive", "false_positive"), strict=True):
            verdicts.add(connection, row, verdicts.Opinion(word, ("some.rule",), "", "nadia", 1))
    answer = client.get("/api/security/summary?days=30").json()
    told = {"rule": "some.rule", "true_positives": 2, "false_positives": 1, "unclear": 0, "precision": 2 / 3}
    assert (answer["judged_decisions"], answer["precision"]) == ([told], 2 / 3)


@pytest.mark.parametrize(("by", "name"), [("type", "type"), ("rule", "rule_id"), ("surface", "surface")])
@pytest.mark.parametrize("equal", [{}, {"model": "gpt-4o"}, {"user": "équipe/データ"}])
def test_threats(client: TestClient, by: str, name: str, equal: dict[str, str]) -> None:
    expected = found(inside(30, **equal), name)
    answer = client.get("/api/security/threats", params={"days": 30, "by": by, "limit": 1} | equal).json()
    answer.pop("window")
    assert answer == {
        "by": by,
        "total": sum(one["count"] for one in expected),
        "threats": expected[:1],
        "left_out": len(expected) - 1,
    }


@pytest.mark.parametrize("equal", [{}, {"user": "bob"}])
def test_timeline(client: TestClient, equal: dict[str, str]) -> None:
    rows = inside(30, **equal)
    buckets = client.get("/api/security/timeline", params={"days": 30} | equal).json()["timeline"]
    assert len(buckets) == 31
    types: Counter[str] = Counter()
    for one in buckets:
        types.update(one["by_type"])
    assert types == Counter(threat.type for row in rows for threat in row.threats)
    assert {name: sum(one["by_level"][name] for one in buckets) for name in levels([])} == levels(rows)
    for name, count in (
        ("total_requests", len(rows)),
        ("threats", types.total()),
        ("blocked_requests", sum(row.outcome == "denied" for row in rows)),
    ):
        assert sum(one[name] for one in buckets) == count


def test_what_is_narrowed_to_nothing_is_empty(client: TestClient) -> None:
    answer = client.get("/api/security/threats", params={"user": "x' OR 1=1 --\x00"})
    assert (answer.status_code, answer.json()["threats"]) == (200, [])


def test_an_empty_store_has_no_mean(tmp_path: Any) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'none.db'}")
    database.migrate(engine)
    with local_client(build_application(engine)) as client:
        answer = client.get("/api/security/summary").json()
    engine.dispose()
    assert (answer["total_requests"], answer["mean_score"], answer["precision"]) == (0, None, None)
