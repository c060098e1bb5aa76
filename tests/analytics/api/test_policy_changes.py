"""Changing policies: versions, turns, roll-backs; conflicts answer 409; every change is audited and told."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from analytics.control.policies import digest
from tests.analytics.api.steering import YAML, Api, api, error


@pytest.fixture
def on(sqlite_engine: Engine) -> Iterator[Api]:
    with api(sqlite_engine) as one:
        yield one


def texts(*numbers: int) -> list[str]:
    return [f"deny_score: {number + 10}\n" for number in numbers]


def turn(on: Api, what: str, **body: object) -> tuple[int, int | None]:
    answer = on.client.post(f"/api/policies/default/{what}", json=body)
    return answer.status_code, answer.json().get("active")


def test_a_version_is_stored_and_in_force_only_when_asked(on: Api) -> None:
    one, other = texts(1, 2)
    first, second = on.put(one, note="why"), on.put(other, activate=True)
    assert [(answer.status_code, answer.headers["etag"], answer.json()["active"]) for answer in (first, second)] == [
        (201, '"1-0"', None),
        (201, '"2-2"', 2),
    ]
    activation, *additions = on.audited()
    assert activation == ("local", "policy.activate", "default", {"active": None}, {"active": 2, "note": ""})
    assert sorted((after["version"], after["digest"], after["note"]) for *_, after in additions) == [
        (1, digest(one), "why"),
        (2, digest(other), ""),
    ]
    assert len(on.steered) == 2


def test_roll_back_goes_back_step_by_step(on: Api) -> None:
    for text in texts(1, 2, 3):
        on.put(text, activate=True)
    assert turn(on, "activate", version=1) == (200, 1)
    found = [on.client.post("/api/policies/default/rollback") for _ in range(4)]
    assert [(answer.status_code, answer.json().get("active")) for answer in found] == [
        (200, 3),
        (200, 2),
        (200, 1),
        (409, None),
    ]
    assert error(found[-1]) == (409, "nothing was in force before", None)


def test_a_withdrawn_policy_can_be_put_back(on: Api) -> None:
    on.put(texts(1)[0], activate=True)
    answer = on.client.delete("/api/policies/default", params={"note": "gone"})
    assert (answer.status_code, answer.json()["active"], answer.json()["version"]) == (200, None, None)
    assert turn(on, "rollback") == (200, 1)
    assert [(action, after.get("active")) for _, action, _, _, after in on.audited()] == [
        ("policy.activate", 1),
        ("policy.add", None),
        ("policy.rollback", 1),
        ("policy.withdraw", None),
    ]


def test_a_change_made_on_another_state_is_a_conflict(on: Api) -> None:
    assert on.put(texts(1)[0], expected_version=0).status_code == 201
    assert error(on.put(texts(2)[0], expected_version=0)) == (409, "the latest version is 1", "expected_version")
    put = on.client.put("/api/policies/default", content=texts(2)[0], headers=YAML | {"If-Match": '"0-0"'})
    assert error(put) == (409, 'it was changed meanwhile: it is "1-0" now', "If-Match")
    assert (
        on.client.put("/api/policies/default", content=texts(2)[0], headers=YAML | {"If-Match": '"1-0"'}).status_code
        == 201
    )
    on.client.post("/api/policies/default/activate", json={"version": 2})
    answer = on.client.post("/api/policies/default/activate", json={"version": 1, "expected_active": 0})
    assert error(answer) == (409, "version 2 is in force", "expected_active")
    assert turn(on, "activate", version=1, expected_active=2) == (200, 1)


@pytest.mark.parametrize("what", ["activate", "rollback"])
def test_what_there_is_not_cannot_be_put_in_force(on: Api, what: str) -> None:
    body = {"version": 7} if what == "activate" else {}
    assert turn(on, what, **body) == (404, None)
    on.put(texts(1)[0])
    assert turn(on, what, **body) == ((404, None) if what == "activate" else (409, None))


def test_who_may_not_change_does_not(on: Api) -> None:
    on.put(texts(1)[0])
    on.put(texts(1)[0], "*")
    on.become("vera", "analyst")
    assert on.put(texts(2)[0]).status_code == 403
    on.become("tom", "admin", "red")
    assert [on.put(texts(2)[0], tenant).status_code for tenant in ("red", "default", "*")] == [201, 404, 404]
    assert on.client.post("/api/policies/*/activate", json={"version": 1}).status_code == 404
    assert on.client.delete("/api/policies/default").status_code == 404
    assert on.client.get("/api/policies/red").json()["version"] is None


def test_two_writers_get_two_numbers(engine: Engine) -> None:
    with api(engine) as on:
        found = [on.put(text).json()["latest"] for text in texts(1, 2, 3)]
    assert found == [1, 2, 3]
