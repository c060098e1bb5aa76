import pytest
from sqlalchemy import Engine

from analytics.store import database, leases
from analytics.store.leases import StaleFence

SECOND = 1_000_000


def acquire(engine: Engine, holder: str, now: int, ttl: int = 10) -> int | None:
    with database.writing(engine) as connection:
        return leases.acquire(connection, "x", holder, now * SECOND, (now + ttl) * SECOND)


def test_one_holder_at_a_time_and_each_has_a_higher_fence(engine: Engine) -> None:
    assert acquire(engine, "a", 0) == 1
    assert acquire(engine, "b", 9) is None
    with database.writing(engine) as connection:
        assert leases.renew(connection, "x", 1, 20 * SECOND)
    assert acquire(engine, "b", 19) is None
    assert acquire(engine, "b", 20) == 2
    with database.writing(engine) as connection:
        assert not leases.renew(connection, "x", 1, 99 * SECOND)
        leases.release(connection, "x", 1)  # too late: changes nothing
        assert leases.held_fence(connection, "x") == 2
    assert acquire(engine, "a", 21) is None
    with database.writing(engine) as connection:
        leases.release(connection, "x", 2)
        assert not leases.renew(connection, "x", 2, 99 * SECOND)
    assert acquire(engine, "a", 21) == 3
    assert acquire(engine, "a", 21) == 4  # a process that does not remember: its earlier self is refused


def test_a_late_leaders_write_is_refused_and_rolled_back(engine: Engine) -> None:
    acquire(engine, "a", 0)
    with database.writing(engine) as connection:
        leases.guard(connection, "x", 1)
    acquire(engine, "b", 50)
    with pytest.raises(StaleFence), database.writing(engine) as connection:  # noqa: PT012 - one transaction
        leases.register(connection, "y", "a", 7)
        leases.guard(connection, "x", 1)
    with engine.connect() as connection:
        assert (leases.held_fence(connection, "x"), leases.held_fence(connection, "y")) == (2, 0)


def test_fences_of_another_lock_are_made_known_once_and_never_go_back(engine: Engine) -> None:
    with database.writing(engine) as connection:
        assert [leases.register(connection, "x", "a", fence) for fence in (5, 5, 4, 6)] == [True, False, False, True]
        leases.guard(connection, "x", 6)
        with pytest.raises(StaleFence):
            leases.guard(connection, "x", 5)
        with pytest.raises(StaleFence):
            leases.guard(connection, "unknown", 1)
