from collections import Counter

import pytest
from sqlalchemy import Engine

from analytics.store import database, feedback, usage
from analytics.store.cubes import Slice
from analytics.store.feedback import LABELS, Feedback, Satisfaction
from analytics.types import DAY_S
from tests.analytics.books import among, varied
from tests.analytics.traffic import BEGAN_UNIX_US

ROWS = varied(80)
NOW_S = BEGAN_UNIX_US // 1_000_000


def give(engine: Engine, place: int, label: str, author: str = "alice") -> Feedback | None:
    rating, thumb = (int(label), None) if label.isdigit() else (None, label)
    given = Feedback(ROWS[place].decision_id, author, rating, thumb, "", place)
    with database.writing(engine) as connection:
        return feedback.put(connection, ROWS[place], given)


@pytest.mark.parametrize("days", [1, 7, 40])
def test_counts_are_those_of_the_last_ratings(engine: Engine, days: int) -> None:
    last = {}
    for place in range(len(ROWS)):
        for label in (LABELS[place % 7], LABELS[place % 5]):
            give(engine, place, label)
            last[place, "alice"] = label
    give(engine, 3, "up", "bob")
    last[3, "bob"] = "up"
    window = usage.last(days * DAY_S, NOW_S)
    inside = {row.decision_id for row in among(ROWS, window.start_unix_s, window.end_unix_s)}
    expected = Counter(label for (place, _), label in last.items() if ROWS[place].decision_id in inside)
    with engine.connect() as connection:
        found = feedback.satisfaction(connection, Slice(window))
        by_model = feedback.satisfaction_by(connection, Slice(window), "model")
        shop = feedback.satisfaction(connection, Slice(window, "shop"))
    assert found == Satisfaction({label: expected.get(label, 0) for label in LABELS})
    assert sum(one.count for one in by_model.values()) == expected.total()
    in_shop = [1 for (place, _) in last if ROWS[place].decision_id in inside and ROWS[place].tenant == "shop"]
    assert shop.count == len(in_shop)


def test_the_same_rating_again_changes_nothing(engine: Engine) -> None:
    assert [give(engine, 0, "4") and 1, give(engine, 0, "4") and 1] == [None, 1]
    with engine.connect() as connection:
        held = feedback.of(connection, ROWS[0].decision_id)
        found = feedback.satisfaction(connection, Slice(usage.last(60 * DAY_S, NOW_S)))
    assert held == (Feedback(ROWS[0].decision_id, "alice", 4, None, "", 0),)
    assert (found.count, found.satisfied, found.share, found.mean_rating) == (1, 1, 1.0, 4.0)


def test_satisfaction_is_top_two_and_thumbs_up() -> None:
    found = Satisfaction(dict(zip(LABELS, (1, 2, 3, 4, 5, 6, 7), strict=True)))
    assert (found.count, found.satisfied, found.share) == (28, 15, 15 / 28)
    assert found.mean_rating == (1 + 4 + 9 + 16 + 25) / 15
    nothing = Satisfaction(dict.fromkeys(LABELS, 0))
    assert (nothing.share, nothing.mean_rating) == (None, None)
