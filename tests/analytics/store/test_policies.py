"""Policies as they are held: versions never change, what is in force does, and its history is kept."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from analytics.store import control_state, database, policies
from analytics.types.control import Activation, PolicyHead, PolicyVersion

FIRST = PolicyVersion("default", 1, "aa", "mode: observe", {"mode": "observe"}, "why", "ada", 100)
SECOND = replace(FIRST, number=2, digest="bb", text="mode: enforce", document={"mode": "enforce"}, created_unix_us=200)


def turn(number: int | None, at: int, kind: str = "activate") -> Activation:
    return Activation("default", 0, kind, number, "ada", "now", at)


def test_a_version_is_held_as_it_was_and_not_in_force_by_that(engine: Engine) -> None:
    with database.writing(engine) as connection:
        policies.add(connection, FIRST)
        policies.add(connection, SECOND)
        assert policies.head(connection, "default") == PolicyHead("default", None, 2, 0, 100, "ada")
        assert policies.versions(connection, "default", 10) == [SECOND, FIRST]
        assert policies.versions(connection, "default", 10, before=2) == [FIRST]
        assert [policies.version(connection, "default", number) for number in (1, 3)] == [FIRST, None]
        assert policies.active(connection) == []
        assert (policies.newest_change(connection), control_state.read(connection).version) == (0, 0)


def test_a_number_is_given_once(engine: Engine) -> None:
    with database.writing(engine) as connection:
        policies.add(connection, FIRST)
    with pytest.raises(IntegrityError), database.writing(engine) as connection:
        policies.add(connection, replace(SECOND, number=1))


def test_turns_are_told_and_kept(engine: Engine) -> None:
    with database.writing(engine) as connection:
        policies.add(connection, FIRST)
        policies.add(connection, replace(FIRST, tenant="other"))
        told = [policies.activate(connection, one) for one in (turn(1, 300), turn(None, 400, "withdraw"))]
        policies.activate(connection, Activation("other", 0, "activate", 1, "bob", "", 500))
        other = PolicyHead("other", 1, 1, 3, 500, "bob")
        assert told == [1, 2]
        assert policies.heads(connection) == [PolicyHead("default", None, 1, 2, 400, "ada"), other]
        assert policies.heads(connection, "other") == [other]
        assert policies.active(connection, since=2) == [(other, replace(FIRST, tenant="other"))]
        assert [one for _, one in policies.active(connection)] == [None, replace(FIRST, tenant="other")]
        assert policies.activations(connection, "default", 10) == [
            replace(turn(None, 400, "withdraw"), sequence=2),
            replace(turn(1, 300), sequence=1),
        ]
        assert policies.newest_change(connection) == 3
