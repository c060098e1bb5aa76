"""Who a request comes from: tokens, sessions, this machine's own user, nobody; and requests of strangers' pages."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine

from analytics.access import log_in
from analytics.access.identify import LOG_IN, NO_ACCOUNT, Known, Rules, Shown, identify
from analytics.access.log_in import Lifetime
from analytics.access.origin import Asked
from analytics.access.principal import LOCAL, TOKEN_SCOPES, Principal
from analytics.access.refusals import AccessError
from analytics.store import accounts, database
from tests.analytics.access.people_here import NOW_S, person, session, token

RULES = Rules(demanded=False, lifetime=Lifetime(600, 3_600))
HERE = Asked("GET", host="localhost:8080", peer="127.0.0.1")
AWAY = Asked("GET", host="douane.test", peer="203.0.113.9")
REBOUND = replace(HERE, host="evil.test:8080")
PROXIED = replace(HERE, forwarded=("203.0.113.9",))


@pytest.fixture
def connection(sqlite_engine: Engine) -> Iterator[Connection]:
    with database.writing(sqlite_engine) as connection:
        yield connection


def who(connection: Connection, shown: Shown, rules: Rules = RULES) -> Principal | str | None:
    known = identify(connection, shown, rules, NOW_S)
    return known.why if known.who is None else known.who


def test_without_accounts_the_local_user_administers(connection: Connection) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert who(connection, Shown(replace(HERE, method=method))) == LOCAL


@pytest.mark.parametrize("asked", [AWAY, REBOUND, PROXIED, replace(HERE, peer="203.0.113.9"), replace(HERE, host="")])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_else_does(connection: Connection, asked: Asked, method: str) -> None:
    assert who(connection, Shown(replace(asked, method=method))) == NO_ACCOUNT


def test_once_there_is_an_account_everybody_logs_in(connection: Connection) -> None:
    person(connection, "alice", "viewer")
    assert who(connection, Shown(HERE)) == LOG_IN
    accounts.remove(connection, "alice")
    assert who(connection, Shown(HERE)) == LOCAL
    assert who(connection, Shown(HERE), replace(RULES, demanded=True)) == LOG_IN


@pytest.mark.parametrize(
    "strange",
    [
        {"origin": "http://evil.test", "site": "cross-site"},
        {"origin": "http://localhost:3000", "site": "same-site"},
        {"origin": "null"},
        {"site": "cross-site"},
    ],
)
def test_a_stranger_s_page_changes_nothing_here(connection: Connection, strange: dict[str, str]) -> None:
    for secret in ("", "whatever"):
        with pytest.raises(AccessError, match="a page of another origin made this request") as caught:
            who(connection, Shown(replace(HERE, method="POST", **strange), secret=secret))
        assert caught.value.kind == "forbidden"


def test_a_token_speaks_for_itself_wherever_it_comes_from(connection: Connection) -> None:
    text = token(connection, "analyst", "acme")
    person(connection, "alice", "viewer")
    expected = Principal("token:analyst-acme", "analyst", "acme", TOKEN_SCOPES)
    strange = replace(AWAY, method="POST", origin="https://grafana.test", site="cross-site")
    for asked in (HERE, AWAY, strange):
        assert who(connection, Shown(asked, f"Bearer {text}")) == expected


@pytest.mark.parametrize("header", ["Bearer dou_x", "Bearer ", "bearer x y"])
def test_a_wrong_token_is_never_replaced_by_something_weaker(connection: Connection, header: str) -> None:
    assert who(connection, Shown(HERE, header)) == "this token is not known, has expired, or was revoked"


def test_other_schemes_are_none_of_ours(connection: Connection) -> None:
    assert who(connection, Shown(HERE, "Basic YTpi")) == LOCAL


def test_a_session_reads_with_its_cookie_and_changes_with_its_token_beside(connection: Connection) -> None:
    person(connection, "alice", "analyst", "acme")
    secret = session(connection, "alice", NOW_S)
    alice = Principal("alice", "analyst", "acme")
    assert who(connection, Shown(AWAY, secret=secret)) == alice
    post = replace(AWAY, method="POST")
    assert who(connection, Shown(post, secret=secret, csrf=log_in.csrf_token(secret))) == alice
    for csrf in ("", "0" * 64, log_in.csrf_token("another")):
        with pytest.raises(AccessError, match="x-csrf-token"):
            who(connection, Shown(post, secret=secret, csrf=csrf))
    strange = replace(post, origin="http://evil.test")
    with pytest.raises(AccessError, match="another origin"):
        who(connection, Shown(strange, secret=secret, csrf=log_in.csrf_token(secret)))


def test_the_public_address_is_an_origin_of_ours(connection: Connection) -> None:
    person(connection, "alice", "analyst")
    secret = session(connection, "alice", NOW_S)
    asked = Asked("POST", host="analytics:8080", peer="10.0.0.2", origin="https://douane.test", site="same-origin")
    shown = Shown(asked, secret=secret, csrf=log_in.csrf_token(secret))
    rules = replace(RULES, origins=("https://douane.test",))
    assert who(connection, shown, rules) == Principal("alice", "analyst")
    with pytest.raises(AccessError):
        who(connection, shown)


def test_a_session_that_ended_is_nobody(connection: Connection) -> None:
    person(connection, "alice", "analyst")
    secret = session(connection, "alice", NOW_S - 600)
    assert who(connection, Shown(HERE, secret=secret)) == LOG_IN
    accounts.remove(connection, "alice")
    assert who(connection, Shown(HERE, secret=secret)) == LOCAL


def test_what_is_known_does_not_show_secrets(connection: Connection) -> None:
    assert "sesame" not in repr(Known(secret="sesame"))
    assert "sesame" not in repr(Shown(HERE, "sesame", "sesame", "sesame"))
