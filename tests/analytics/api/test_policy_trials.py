"""Trying a policy over the records that are held."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from analytics.control.dry_run import NOT_TOLD
from analytics.store import database, records
from tests.analytics.api.steering import YAML, Api, api, error
from tests.analytics.control.steering import row


@pytest.fixture
def on(sqlite_engine: Engine) -> Iterator[Api]:
    rows = [row(1, 13.0), row(2), row(3, 20.0, tenant="red"), row(4, 13.0, user="bob", at_us=1_000)]
    with database.writing(sqlite_engine) as connection:
        records.store(connection, rows)
    with api(sqlite_engine) as one:
        yield one


def tried(on: Api, text: str = "", tenant: str = "default", **query: Any) -> dict[str, Any]:
    answer = on.client.post(f"/api/policies/{tenant}/dry-run", content=text, params={"days": 1} | query, headers=YAML)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_stricter_policy_would_have_denied_more(on: Api) -> None:
    found = tried(on, "deny_score: 12", examples=1)
    assert {name: value for name, value in found.items() if name not in ("window", "examples")} == {
        "records": 3,
        "truncated": False,
        "compared_with": None,
        "recorded": {"allow": 3},
        "before": {"allow": 3},
        "after": {"allow": 1, "deny": 2},
        "changes": [{"before": "allow", "after": "deny", "count": 2}],
        "not_told": list(NOT_TOLD),
    }
    assert found["examples"] == [
        {
            "decision_id": row(4, at_us=1_000).decision_id,
            "started_at": "2026-11-18T11:06:40.001000Z",
            "tenant": "default",
            "user": "bob",
            "model": row(4).model,
            "score": 13.0,
            "recorded": "allow",
            "before": "allow",
            "after": "deny",
            "before_reason": "score 13 is below deny_score 15",
            "after_reason": "score 13 reaches deny_score 12",
        }
    ]


def test_a_stored_version_is_compared_with_the_one_in_force(on: Api) -> None:
    on.put("deny_score: 12", activate=True)
    on.put("mode: observe")
    found = tried(on, version=2)
    assert (found["compared_with"], found["before"], found["after"]) == (1, {"deny": 2, "allow": 1}, {"allow": 3})


def test_the_policy_for_all_is_about_tenants_without_their_own(on: Api) -> None:
    on.put("{}", "default", activate=True)
    found = tried(on, "deny_score: 30", "*")
    assert (found["records"], found["before"], found["after"]) == (1, {"deny": 1}, {"allow": 1})


def test_only_so_many_records_are_judged_the_newest_first(on: Api) -> None:
    found = tried(on, "deny_score: 12", limit=2)
    assert (found["records"], found["truncated"]) == (2, True)
    assert tried(on, "deny_score: 12", limit=3)["truncated"] is False


def test_a_policy_or_a_version_is_tried(on: Api) -> None:
    path = "/api/policies/default/dry-run"
    neither = on.client.post(path)
    both = on.client.post(path, content="{}", params={"version": 1}, headers=YAML)
    missing = on.client.post(path, params={"version": 1})
    expected = (422, "give either a policy in the body, or version", "version")
    assert [error(neither), error(both)] == [expected, expected]
    assert error(missing) == (404, "there is no version 1 of this policy", "number")


def test_another_tenants_records_are_not_tried(on: Api) -> None:
    on.become("ada", "analyst", "red")
    assert tried(on, "deny_score: 30", "red")["records"] == 1
    assert tried(on, "deny_score: 30", "*")["records"] == 1
    assert on.client.post("/api/policies/default/dry-run", content="{}", headers=YAML).status_code == 404


def test_the_schema_is_shown(on: Api) -> None:
    assert on.client.get("/api/policy-schema").json()["title"] == "Douane policy"
