"""Who calls."""

from dataclasses import dataclass

import pytest

from sidecar.identity import Identifier, Workload
from sidecar.types import Head, Identity
from tests.sidecar.values import KEY

KEYED = {"authorization": "Bearer " + "s3cret"}
FINGERPRINT = Identifier(KEY).digest("Bearer s3cret", 8).hex()
FROM = "10.0.0.7:4711"


@pytest.mark.parametrize(
    ("headers", "body_user", "user", "source", "fingerprint"),
    [
        ({"x-user-id": "ada", **KEYED}, "bob", "ada", "header", FINGERPRINT),
        (KEYED, "bob", "bob", "body", FINGERPRINT),
        (KEYED, "", f"key:{FINGERPRINT}", "api_key", FINGERPRINT),
        ({"x-user-id": ""}, "", "ip:10.0.0.7", "address", ""),
    ],
)
def test_user_is_named_by_header_then_body_then_key_then_address(
    headers: dict[str, str], body_user: str, user: str, source: str, fingerprint: str
) -> None:
    assert Identifier(KEY).identify(Head(headers=headers, source_address=FROM), body_user) == Identity(
        user=user, user_source=source, source_address=FROM, key_fingerprint=fingerprint
    )


@pytest.mark.parametrize(
    ("address", "user"), [("[2001:db8::1]:443", "ip:[2001:db8::1]"), ("10.0.0.7:1", "ip:10.0.0.7"), ("", "ip:")]
)
def test_address_is_kept_without_its_port(address: str, user: str) -> None:
    assert Identifier(KEY).identify(Head(source_address=address)).user == user


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_every_provider_s_key_header_is_read(name: str) -> None:
    assert Identifier(KEY).identify(Head(headers={name: "Bearer s3cret"})).key_fingerprint == FINGERPRINT


def test_fingerprint_depends_on_the_installation_and_shows_no_key() -> None:
    other = Identifier(b"o" * 32).identify(Head(headers=KEYED))
    assert other.key_fingerprint != FINGERPRINT
    assert "s3cret" not in repr(other)


def test_tenant_session_and_workload() -> None:
    workload = Workload("pod-1", "team-a", "runner")
    identifier = Identifier(KEY, "x-u", "x-t", "x-s", workload)
    named = identifier.identify(Head(headers={"x-u": "u", "x-t": "acme", "x-s": "s-1", "x-user-id": "no"}))
    assert named == Identity("u", "header", "acme", "s-1", "pod-1", "team-a", "runner")
    assert identifier.identify(Head()).tenant == "team-a"
    assert Identifier(KEY).identify(Head()).tenant == "default"


def test_names_are_bounded() -> None:
    found = Identifier(KEY).identify(
        Head(headers={"x-user-id": "u" * 999, "x-tenant-id": "t" * 999, "x-session-id": "s" * 999})
    )
    assert (len(found.user), len(found.tenant), len(found.session)) == (128, 128, 128)


def test_digest_is_keyed_sized_and_takes_any_text() -> None:
    identifier = Identifier(KEY)
    assert len(identifier.digest("x")) == 16
    assert len(identifier.digest("x", 8)) == 8
    assert identifier.digest("\ud800") != identifier.digest("\udc00")


@dataclass(frozen=True)
class Named:
    """Headers that a policy names."""

    user: str = ""
    team: str = ""
    session: str = ""


def test_the_team_is_named_by_a_header() -> None:
    head = Head(headers={"x-team-id": "red" * 99, "x-t": "blue"})
    assert Identifier(KEY).identify(head).team == ("red" * 99)[:128]
    assert Identifier(KEY, team_header="x-t").identify(head).team == "blue"
    assert Identifier(KEY).identify(Head()).team == ""


def test_a_policy_s_own_headers_go_before_the_installation_s() -> None:
    head = Head(
        headers={"x-user-id": "ada", "x-employee": "eve", "x-team-id": "red", "x-chat": "c-1", "x-session-id": "s-1"}
    )
    found = Identifier(KEY).identify(head, "body", Named(user="x-employee", session="x-chat"))
    assert (found.user, found.team, found.session) == ("eve", "red", "c-1")


def test_the_tenant_is_known_before_any_policy_is() -> None:
    head = Head(headers={"x-tenant-id": "acme" * 99})
    assert Identifier(KEY).tenant(head) == Identifier(KEY).identify(head).tenant == ("acme" * 99)[:128]
    assert Identifier(KEY, workload=Workload(namespace="n")).tenant(Head()) == "n"
    assert Identifier(KEY).tenant(Head()) == "default"
