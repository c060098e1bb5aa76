from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event

from analytics.generate import Plan, generate
from analytics.ingest.commit import Books
from analytics.store import export
from analytics.store.search import Filter
from analytics.types import DecisionRow

PLAN = Plan(records=300, seed=7, days=12, tenants=2)
ROWS = [row for rows in generate(PLAN) for row in rows]
IDS = sorted(row.decision_id for row in ROWS)


@pytest.fixture
def filled(engine: Engine) -> Engine:
    Books(engine).store(ROWS)
    return engine


EVERYTHING = Filter()


def read(
    engine: Engine, narrowed: Filter = EVERYTHING, tenant: str | None = None, rows: int = 100
) -> list[DecisionRow]:
    return [row for rows in export.batches(engine, replace(narrowed, tenant=tenant), rows) for row in rows]


def test_everything_comes_once_in_order_and_whole(filled: Engine) -> None:
    found = read(filled)
    assert [row.decision_id for row in found] == IDS
    by_id = {row.decision_id: row for row in ROWS}
    assert all(row == by_id[row.decision_id] for row in found)


def test_lists_have_at_most_so_many_rows_and_are_never_empty(filled: Engine) -> None:
    for rows in (1, 7, 299, 300, 301):
        sizes = [len(one) for one in export.batches(filled, Filter(), rows)]
        assert sum(sizes) == 300
        assert 0 < min(sizes) <= max(sizes) <= rows


def test_a_tenant_gets_its_own_rows_whatever_it_asks_for(filled: Engine) -> None:
    mine = [row.decision_id for row in ROWS if row.tenant == "tenant-2"]
    assert [row.decision_id for row in read(filled, tenant="tenant-2")] == sorted(mine) != []
    assert read(filled, Filter(equal={"tenant": "default"}), "tenant-2") == []


def test_filters_are_those_of_pages(filled: Engine) -> None:
    kind = next(row.threats[0].type for row in ROWS if row.threats)
    user = ROWS[0].user
    for narrowed, passes in (
        (Filter(equal={"user": user}), lambda row: row.user == user),
        (Filter(equal={"applied": "deny"}, min_score=10.0), lambda row: row.applied == "deny" and row.score >= 10),
        (Filter(threat_type=kind), lambda row: kind in [one.type for one in row.threats]),
    ):
        assert [row.decision_id for row in read(filled, narrowed)] == sorted(
            row.decision_id for row in ROWS if passes(row)
        )


def test_a_window_is_half_open(filled: Engine) -> None:
    ordered = sorted(ROWS, key=lambda row: row.started_unix_us)
    first, last = ordered[100].started_unix_us, ordered[200].started_unix_us
    found = read(filled, Filter(from_unix_us=first, to_unix_us=last))
    assert sorted(row.started_unix_us for row in found) == [row.started_unix_us for row in ordered[100:200]]


def test_nothing_held_or_nothing_in_the_window_is_nothing(engine: Engine) -> None:
    assert read(engine) == []
    Books(engine).store(ROWS[:5])
    assert read(engine, Filter(from_unix_us=PLAN.end_unix_s * 1_000_000 + 10**13)) == []
    assert read(engine, Filter(to_unix_us=0)) == []


def test_what_comes_after_the_beginning_is_left_out(filled: Engine) -> None:
    batches = export.batches(filled, Filter(), 100)
    found = next(batches)
    late = replace(ROWS[-1], decision_id="ffff" + ROWS[-1].decision_id[4:])
    Books(filled).store([late])
    found += [row for rows in batches for row in rows]
    assert [row.decision_id for row in found] == IDS
    assert read(filled)[-1] == late


def test_long_texts_make_shorter_lists(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHARS", 100_000)
    long = {"content": {"capture": "full", "prompt": "x" * 30_000, "response": "y" * 10_000}}
    Books(engine).store([replace(row, detail=row.detail | long) for row in ROWS[:40]])
    sizes = [len(rows) for rows in export.batches(engine, Filter(), 10)]
    assert (sum(sizes), max(sizes[1:])) == (40, 2)


@pytest.fixture
def statements(filled: Engine) -> Iterator[list[str]]:
    """Collect the statements that are executed."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(filled, "before_cursor_execute", note)
    yield seen
    event.remove(filled, "before_cursor_execute", note)


def test_who_stops_asking_has_stopped_the_query(filled: Engine, statements: list[str]) -> None:
    batches = export.batches(filled, Filter(), 10)
    next(batches)
    asked = len(statements)
    assert asked < 8
    assert filled.pool.checkedout() == 0  # type: ignore[attr-defined] # between two lists nothing is held
    batches.close()  # type: ignore[attr-defined] # a generator
    assert len(statements) == asked
