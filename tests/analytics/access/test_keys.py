"""Which tokens somebody may make, and whom a token speaks for."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine

from analytics.access import keys
from analytics.access.keys import NewToken
from analytics.access.principal import LOCAL, PERSONAL_SCOPES, TOKEN_SCOPES, Principal
from analytics.access.refusals import AccessError
from analytics.store import audit, database, tokens
from analytics.store.tokens import Token
from tests.analytics.access.people_here import NOW_S, tenant

ANNA = Principal("anna", "admin", "acme")


@pytest.fixture
def connection(sqlite_engine: Engine) -> Iterator[Connection]:
    with database.writing(sqlite_engine) as connection:
        tenant(connection, "acme")
        yield connection


def refused(call: object, *arguments: object) -> tuple[str, str | None]:
    with pytest.raises(AccessError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.kind, caught.value.param


def test_a_token_is_shown_once_and_noted_without_its_secret(connection: Connection) -> None:
    new = NewToken("web", "viewer", "acme", ("control", "ingest"), int(NOW_S) + 60)
    token, text = keys.create(connection, LOCAL, new, NOW_S)
    scopes = ("ingest", "control")
    assert token == Token(token.token_id, "web", "viewer", "acme", scopes, "local", int(NOW_S), int(NOW_S) + 60)
    found = tokens.find(connection, token.token_id)
    assert found is not None
    assert text.rpartition("_")[2] not in repr(found)
    entry = audit.page(connection, "acme", 1)[0][1]
    told = {"name": "web", "role": "viewer", "tenant": "acme", "expires_unix_s": int(NOW_S) + 60}
    assert (entry.actor, entry.action, entry.subject) == ("local", "token.create", token.token_id)
    assert (entry.before, entry.after) == (None, told | {"scopes": ["ingest", "control"]})


def test_a_token_speaks_for_itself_until_it_expires_or_is_revoked(connection: Connection) -> None:
    new = NewToken("web", "analyst", "acme", (), int(NOW_S) + 60)
    token, text = keys.create(connection, LOCAL, new, NOW_S)
    who = Principal("token:web", "analyst", "acme", TOKEN_SCOPES)
    assert keys.whose(connection, text, NOW_S) == (token, who)
    assert keys.whose(connection, text, NOW_S + 60) is None
    revoked = keys.revoke(connection, ANNA, token.token_id, NOW_S + 1)
    assert revoked == replace(token, revoked_unix_s=int(NOW_S) + 1)
    assert keys.whose(connection, text, NOW_S) is None
    assert keys.revoke(connection, ANNA, token.token_id, NOW_S + 9) == revoked
    assert [one.action for _, one in audit.page(connection, "acme", 9)] == ["token.revoke", "token.create"]


def test_a_token_of_the_right_id_and_another_secret_opens_nothing(connection: Connection) -> None:
    _, one = keys.create(connection, LOCAL, NewToken("one", "viewer"), NOW_S)
    _, other = keys.create(connection, LOCAL, NewToken("other", "viewer"), NOW_S)
    assert keys.whose(connection, one[:21] + other[21:], NOW_S) is None
    assert keys.whose(connection, "dou_nothing", NOW_S) is None


def test_an_administrator_of_a_tenant_makes_and_revokes_its_tokens_alone(connection: Connection) -> None:
    theirs, _ = keys.create(connection, LOCAL, NewToken("all", "viewer"), NOW_S)
    for of in (None, "zeta"):
        new = NewToken("x", "viewer", of)
        assert refused(keys.create, connection, ANNA, new, NOW_S) == ("forbidden", "tenant")
    for token_id in (theirs.token_id, "f" * 16):
        assert refused(keys.revoke, connection, ANNA, token_id, NOW_S) == ("missing", "token_id")
    assert keys.create(connection, ANNA, NewToken("mine", "admin", "acme", ("ingest",)), NOW_S)[0].tenant == "acme"


@pytest.mark.parametrize(
    ("mine", "wanted", "why"),
    [
        (PERSONAL_SCOPES, (), None),
        (PERSONAL_SCOPES, ("ingest", "control"), None),
        (PERSONAL_SCOPES, ("access",), None),
        ({"access"}, ("access",), None),
        ({"access"}, ("read",), ("forbidden", "scopes")),
        ({"access"}, (), ("forbidden", "scopes")),
        ({"access", "read"}, ("ingest",), ("forbidden", "scopes")),
        (PERSONAL_SCOPES, ("everything",), ("invalid", "scopes")),
    ],
)
def test_a_token_opens_no_more_than_whoever_made_it(
    connection: Connection, mine: set[str], wanted: tuple[str, ...], why: tuple[str, str] | None
) -> None:
    by, new = Principal("maker", "admin", None, frozenset(mine)), NewToken("x", "viewer", None, wanted)
    if why is None:
        assert keys.create(connection, by, new, NOW_S)[0].scopes == wanted
    else:
        assert refused(keys.create, connection, by, new, NOW_S) == why


def test_a_token_does_not_expire_before_it_is_made(connection: Connection) -> None:
    new = NewToken("x", "viewer", None, (), int(NOW_S))
    assert refused(keys.create, connection, LOCAL, new, NOW_S) == ("invalid", "expires_at")


def test_its_use_is_due_to_be_noted_once_a_minute(connection: Connection) -> None:
    token, _ = keys.create(connection, LOCAL, NewToken("x", "viewer"), NOW_S)
    assert keys.due(token, NOW_S)
    assert [keys.due(replace(token, last_used_unix_s=100), now_s) for now_s in (100, 159, 160)] == [False, False, True]
