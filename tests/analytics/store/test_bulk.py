"""Many rows at once, on both engines."""

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DataError, IntegrityError

from analytics.store import bulk, database
from analytics.store.tables import LABEL_ROLLUPS, SERIES

KEY = ("users", 3_600, 0, 1, "threat", "jailbreak")


def _held(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        rows = connection.execute(select(SERIES).order_by(SERIES.c.series_id))
        return [tuple(row) for row in rows]


def test_rows_come_back_as_they_went_in(engine: Engine) -> None:
    texts = ("tab\tand\\back\\slash", "quote \" and ' one", "line\nand\rreturn", "\\N", "naïve 🙂 \x01")
    with database.writing(engine) as connection:
        bulk.append(connection, SERIES, [(1, *texts), (2, *reversed(texts))])
        bulk.append(connection, SERIES, [])
    assert _held(engine) == [(1, *texts), (2, *reversed(texts))]


def test_a_key_that_is_held_is_an_integrity_error(engine: Engine) -> None:
    row = (1, "a", "b", "c", "d", "e")
    with database.writing(engine) as connection:
        bulk.append(connection, SERIES, [row])
    with pytest.raises(IntegrityError), database.writing(engine) as connection:
        bulk.append(connection, SERIES, [(2, *row[1:]), row])
    assert _held(engine) == [row]


def test_missing_rows_are_added_and_others_left(engine: Engine) -> None:
    first, second = (1, "a", "b", "c", "d", "e"), (2, "f", "g", "h", "i", "j")
    with database.writing(engine) as connection:
        bulk.add_missing(connection, SERIES, [first])
        bulk.add_missing(connection, SERIES, [(1, "x", "x", "x", "x", "x"), second])
    assert _held(engine) == [first, second]


def test_sums_grow_within_a_transaction_and_from_one_to_the_next(engine: Engine) -> None:
    for _ in range(2):
        with database.writing(engine) as connection:
            bulk.upsert(connection, LABEL_ROLLUPS, [(*KEY, "low", 5), (*KEY, "high", 1)], ("count",))
            bulk.upsert(connection, LABEL_ROLLUPS, [(*KEY, "low", -2)], ("count",))
    with engine.connect() as connection:
        found = {
            row.level: row.count for row in connection.execute(select(LABEL_ROLLUPS.c.level, LABEL_ROLLUPS.c["count"]))
        }
    assert found == {"low": 6, "high": 2}


@pytest.mark.server
def test_what_postgresql_refuses_is_a_data_error(postgres_engine: Engine) -> None:
    with database.writing(postgres_engine) as connection, pytest.raises(DataError):
        bulk.append(connection, SERIES, [(1, "nul \x00", "", "", "", "")])
