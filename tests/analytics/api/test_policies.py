"""Reading policies: what is in force and where, versions in pages, history, differences; a tenant sees its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from analytics.control import policies as documents
from analytics.store import database, sidecars
from analytics.types.control import SidecarState
from tests.analytics.api.steering import Api, api, error
from tests.analytics.conftest import NOW_UNIX_S

FIRST, SECOND = "mode: observe\ndeny_score: 12\n", "mode: enforce\ndeny_score: 12\nbudgets: []\n"
NOW = "2026-11-18T11:36:40Z"


@pytest.fixture
def on(sqlite_engine: Engine) -> Iterator[Api]:
    with api(sqlite_engine) as one:
        one.put(FIRST, note="first", activate=True)
        one.put(SECOND, note="second")
        yield one


def sidecar(name: str, tenant: str = "", seen_s: float = NOW_UNIX_S, **state: str) -> SidecarState:
    told = {"tenant": "default", "version": "", "refused_version": "", "refusal": ""} | state
    return SidecarState(name, tenant, 1, round(seen_s * 1e6), (told,))


def test_what_is_in_force_and_in_which_sidecars(on: Api) -> None:
    digest, refused = documents.digest(FIRST), documents.digest(SECOND)
    with database.writing(on.engine) as connection:
        sidecars.tell(
            connection,
            [
                sidecar("a", version=digest),
                sidecar("b", version=digest, refused_version=refused, refusal="too new"),
                sidecar("c", tenant="*", version="built-in"),
                sidecar("gone", seen_s=NOW_UNIX_S - 61, version=digest),
            ],
        )
    answer = on.client.get("/api/policies/default")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2-1"')
    assert answer.json() == {
        "tenant": "default",
        "active": 1,
        "digest": digest,
        "latest": 2,
        "changed_at": NOW,
        "changed_by": "local",
        "version": {
            "number": 1,
            "digest": digest,
            "author": "local",
            "note": "first",
            "created_at": NOW,
            "text": FIRST,
            "document": {"mode": "observe", "deny_score": 12},
        },
        "rollout": {
            "sidecars": 2,
            "versions": {digest: 2},
            "refusals": [{"sidecar": "b", "version": digest, "refused": refused, "reason": "too new"}],
        },
    }


def test_every_tenants_policy_is_listed(on: Api) -> None:
    on.put("{}", "other")
    found = on.client.get("/api/policies").json()["policies"]
    assert [(one["tenant"], one["active"], one["latest"]) for one in found] == [("default", 1, 2), ("other", None, 1)]


def test_versions_come_in_pages_and_whole(on: Api) -> None:
    page = on.client.get("/api/policies/default/versions", params={"limit": 1}).json()
    rest = on.client.get("/api/policies/default/versions", params={"cursor": page["next_cursor"]}).json()
    assert [(one["number"], one["note"]) for one in page["versions"]] == [(2, "second")]
    assert ([one["number"] for one in rest["versions"]], rest["next_cursor"]) == ([1], None)
    whole = on.client.get("/api/policies/default/versions/2").json()
    assert (whole["text"], whole["document"]) == (SECOND, {"mode": "enforce", "deny_score": 12, "budgets": []})


def test_history_tells_what_was_in_force_when(on: Api) -> None:
    on.client.post("/api/policies/default/activate", json={"version": 2, "note": "go"})
    assert on.client.get("/api/policies/default/history").json() == {
        "turns": [
            {"kind": "activate", "number": 2, "actor": "local", "note": "go", "at": NOW},
            {"kind": "activate", "number": 1, "actor": "local", "note": "first", "at": NOW},
        ]
    }


def test_differences_setting_by_setting_and_as_text(on: Api) -> None:
    assert on.client.get("/api/policies/default/diff", params={"from": 1, "to": 2}).json() == {
        "from_number": 1,
        "to_number": 2,
        "changes": [
            {"path": "budgets", "kind": "added", "before": None, "after": []},
            {"path": "mode", "kind": "changed", "before": "observe", "after": "enforce"},
        ],
        "unified": "--- default@1\n+++ default@2\n@@ -1,2 +1,3 @@\n-mode: observe\n+mode: enforce\n deny_score: 12\n+budgets: []\n",
    }


@pytest.mark.parametrize(
    ("path", "message", "param"),
    [
        ("/api/policies/nobody", "there is no such policy", "tenant"),
        ("/api/policies/nobody/versions", "there is no such policy", "tenant"),
        ("/api/policies/nobody/history", "there is no such policy", "tenant"),
        ("/api/policies/default/versions/9", "there is no version 9 of this policy", "number"),
        ("/api/policies/default/diff?from=1&to=9", "there is no version 9 of this policy", "number"),
    ],
)
def test_what_there_is_not_is_not_found(on: Api, path: str, message: str, param: str) -> None:
    assert error(on.client.get(path)) == (404, message, param)


def test_a_tenant_sees_its_own_policy_and_the_one_for_all(on: Api) -> None:
    on.put("{}", "*")
    on.put("{}", "red")
    on.become("ruth", "viewer", "red")
    assert [one["tenant"] for one in on.client.get("/api/policies").json()["policies"]] == ["*", "red"]
    paths = ("/api/policies/*", "/api/policies/red", "/api/policies/default", "/api/policies/default/versions")
    assert [on.client.get(path).status_code for path in paths] == [200, 200, 404, 404]
