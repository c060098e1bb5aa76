"""Which sidecars there are, and what they told of themselves."""

from dataclasses import replace

from sqlalchemy import Engine

from analytics.store import database, sidecars
from analytics.types.control import SidecarState

STATE = {"tenant": "default", "version": "aa", "refused_version": "", "refusal": ""}
ONE = SidecarState("a", "", 1, 100, (STATE,))
OTHER = SidecarState("b", "red", 2, 200, ())


def test_the_last_word_counts_and_life_signs_move_the_time(engine: Engine) -> None:
    with database.writing(engine) as connection:
        sidecars.tell(connection, [replace(ONE, policies=()), OTHER])
        sidecars.tell(connection, [ONE])
        sidecars.touch(connection, [("b", 5), ("unknown", 6)], 300)
        sidecars.touch(connection, [], 400)
        assert sidecars.read(connection, None, 0, 10) == [ONE, replace(OTHER, version=5, seen_unix_us=300)]


def test_sidecars_are_read_by_tenant_and_time_and_forgotten(engine: Engine) -> None:
    with database.writing(engine) as connection:
        sidecars.tell(connection, [ONE, OTHER])
        assert sidecars.read(connection, "red", 0, 10) == [ONE, OTHER]
        assert sidecars.read(connection, "blue", 0, 10) == [ONE]
        assert sidecars.read(connection, None, 100, 10) == [OTHER]
        assert sidecars.read(connection, None, 0, 1) == [ONE]
        assert [sidecars.forget(connection, 150), sidecars.forget(connection, 150)] == [1, 0]
