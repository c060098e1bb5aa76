import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from analytics.access.principal import ROLES, Principal, Role
from analytics.api import auth, errors


def _client(who: Principal) -> TestClient:
    application = FastAPI()
    errors.install(application)
    application.dependency_overrides[auth._principal] = lambda: who

    @application.get("/viewer")
    def viewer(who: auth.Viewer) -> str:
        return who.name

    @application.get("/analyst")
    def analyst(who: auth.Analyst) -> str:
        return who.name

    @application.get("/admin")
    def admin(who: auth.Admin) -> str:
        return who.name

    return TestClient(application)


@pytest.mark.parametrize("mine", ROLES)
def test_a_role_opens_what_it_should(mine: Role) -> None:
    client = _client(Principal("ann", mine))
    allowed = ROLES[: ROLES.index(mine) + 1]
    assert {role: client.get(f"/{role}").status_code for role in ROLES} == {
        role: 200 if role in allowed else 403 for role in ROLES
    }


def test_a_role_too_low_is_told_which_it_needs() -> None:
    answer = _client(Principal("ann", "viewer")).get("/admin")
    assert answer.json() == {"error": {"type": "forbidden", "message": "this needs the role admin; ann is viewer"}}
