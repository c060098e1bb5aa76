from collections import Counter

from sqlalchemy import Engine

from analytics.store import database, feedback, quality, usage
from analytics.store.cubes import Slice
from analytics.store.feedback import LABELS, Feedback, Satisfaction
from analytics.types import DAY_S
from tests.analytics.books import among, fill, varied
from tests.analytics.traffic import BEGAN_UNIX_US

ROWS = varied(200)
WINDOW = usage.last(30 * DAY_S, BEGAN_UNIX_US // 1_000_000)


def test_quality_of_a_window_and_by_model(engine: Engine) -> None:
    fill(engine, ROWS)
    rows = among(ROWS, WINDOW.start_unix_s, WINDOW.end_unix_s)
    with database.writing(engine) as connection:
        feedback.put(connection, rows[0], Feedback(rows[0].decision_id, "a", 4, None, "", 1))
    with engine.connect() as connection:
        whole = quality.whole(connection, Slice(WINDOW))
        by = quality.by(connection, Slice(WINDOW), "model", 10)
    totals = whole.totals
    assert (totals.refusals, totals.retries, totals.prompt_chars) == (
        sum(row.refusal for row in rows),
        sum(row.attempt > 0 for row in rows),
        sum(row.prompt_chars for row in rows),
    )
    assert dict(whole.finishes) == dict(Counter(row.finish_reason for row in rows if row.finish_reason))
    once = Satisfaction(dict.fromkeys(LABELS, 0) | {"4": 1})
    assert whole.satisfaction == once
    assert {name: rated for name, _, rated in by} == {
        name: once if name == rows[0].model else None for name in {row.model for row in rows}
    }
