"""The installation's version: one for each change, never back, the same for all."""

from sqlalchemy import Engine

from analytics.store import control_state, database
from analytics.types.control import ControlState


def test_an_installation_has_a_name_and_begins_at_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        state = control_state.read(connection)
    assert (len(state.installation), state.version, state.forgotten) == (32, 0, 0)


def test_every_change_has_a_version_of_its_own_and_what_is_rolled_back_has_none(engine: Engine) -> None:
    with database.writing(engine) as connection:
        versions = [control_state.advance(connection) for _ in range(3)]
    with engine.connect() as connection:
        control_state.advance(connection)
        connection.rollback()
        assert (versions, control_state.read(connection).version) == ([1, 2, 3], 3)


def test_what_was_forgotten_does_not_come_back(engine: Engine) -> None:
    with database.writing(engine) as connection:
        installation = control_state.read(connection).installation
        control_state.forget(connection, 5)
        control_state.forget(connection, 3)
        assert control_state.read(connection) == ControlState(installation, 0, 5)
