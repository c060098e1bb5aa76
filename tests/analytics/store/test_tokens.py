"""Tokens as both engines hold them."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from analytics.store import database, tokens
from analytics.store.tokens import Token
from tests.analytics.access.people_here import tenant

GRAFANA = Token("0" * 16, "grafana", "viewer", None, (), "alice", 100)
SIDECAR = Token("1" * 16, "sidecar", "viewer", "acme", ("ingest", "control"), "bob", 101, expires_unix_s=1_000)


@pytest.fixture
def held(engine: Engine) -> Engine:
    with database.writing(engine) as connection:
        tenant(connection, "acme")
        tokens.add(connection, GRAFANA, "digest-g")
        tokens.add(connection, SIDECAR, "digest-s")
    return engine


def test_tokens_are_listed_newest_first_and_by_tenant(held: Engine) -> None:
    with held.connect() as connection:
        assert tokens.every(connection, None) == [SIDECAR, GRAFANA]
        assert tokens.every(connection, "acme") == [SIDECAR]
        assert tokens.every(connection, "default") == []
        assert tokens.find(connection, SIDECAR.token_id) == (SIDECAR, "digest-s")
        assert tokens.find(connection, "2" * 16) is None


def test_a_revoked_token_stays_in_the_list(held: Engine) -> None:
    with database.writing(held) as connection:
        tokens.revoke(connection, GRAFANA.token_id, 200)
        assert tokens.every(connection, None) == [SIDECAR, replace(GRAFANA, revoked_unix_s=200)]


def test_its_use_is_noted_once_in_a_while(held: Engine) -> None:
    noted = []
    with database.writing(held) as connection:
        for now_s in (200, 259, 260, 261):
            tokens.used(connection, GRAFANA.token_id, now_s, 60)
            found = tokens.find(connection, GRAFANA.token_id)
            noted.append(found and found[0].last_used_unix_s)
        other = tokens.find(connection, SIDECAR.token_id)
    assert noted == [200, 200, 260, 260]
    assert other == (SIDECAR, "digest-s")


def test_a_token_is_good_until_it_expires_or_is_revoked() -> None:
    assert [SIDECAR.good(now_s) for now_s in (0, 999, 1_000, 1_001)] == [True, True, False, False]
    assert GRAFANA.good(10**12)
    assert not replace(GRAFANA, revoked_unix_s=5).good(0)
