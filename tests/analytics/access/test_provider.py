"""Who comes back from the identity provider; the whole way is walked in tests/analytics/api/test_oidc.py."""

from typing import Any

import httpx
import pytest

from analytics import config
from analytics.access.provider import Flow, Person, Provider, _person
from analytics.access.refusals import AccessError

SETTINGS = config.load(
    oidc_issuer="https://id.test",
    oidc_client_id="douane",
    oidc_roles="ops=admin,acme-ops=admin@acme,soc=analyst@acme,readers=viewer",
    public_url="https://douane.test",
)
FLOW = Flow("state", "nonce", "verifier")
CLAIMS = {"iss": "https://id.test", "sub": "42", "preferred_username": "Alice"}


@pytest.mark.parametrize(
    ("groups", "role", "tenant"),
    [
        (["readers"], "viewer", None),
        ("readers", "viewer", None),
        (["soc", "readers"], "analyst", "acme"),
        (["acme-ops", "ops"], "admin", None),
        (["acme-ops", "strangers", 7], "admin", "acme"),
    ],
)
def test_the_highest_role_counts(groups: Any, role: str, tenant: str | None) -> None:
    found = _person(CLAIMS | {"groups": groups}, SETTINGS)
    assert found == Person("https://id.test 42", "alice", role, tenant)  # type: ignore[arg-type] # a role


@pytest.mark.parametrize("more", [{}, {"groups": []}, {"groups": ["op", "OPS"]}, {"groups": "ops "}])
def test_who_has_no_role_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(AccessError) as caught:
        _person(CLAIMS | more, SETTINGS)
    assert caught.value.kind == "forbidden"


def answering(**paths: Any) -> Provider:
    def answer(request: httpx.Request) -> httpx.Response:
        body = paths.get(request.url.path.rpartition("/")[2].replace("-", "_"))
        return httpx.Response(404) if body is None else httpx.Response(200, json=body)

    return Provider(SETTINGS, httpx.MockTransport(answer))


DISCOVERED = {
    "issuer": "https://id.test",
    "authorization_endpoint": "https://id.test/authorize",
    "token_endpoint": "https://id.test/token",
    "jwks_uri": "https://id.test/keys",
}


@pytest.mark.parametrize(
    "provider",
    [
        answering(),
        answering(openid_configuration=DISCOVERED | {"issuer": "https://evil.test"}),
        answering(openid_configuration=DISCOVERED),
        answering(openid_configuration=DISCOVERED, token={}, keys={"keys": []}),
        answering(openid_configuration=DISCOVERED, token={"id_token": "x.y.z"}, keys={"keys": []}),
        # alg none, never good: {"alg":"none"}.{}
        answering(openid_configuration=DISCOVERED, token={"id_token": "eyJhbGciOiJub25lIn0.e30."}, keys={"keys": []}),
    ],
)
def test_an_answer_that_is_not_good_lets_nobody_in(provider: Provider) -> None:
    with pytest.raises(AccessError) as caught:
        provider.person("code", FLOW, 0.0)
    assert caught.value.kind == "unknown"
