"""Searches against plain loops over the same records, on both engines, page by page."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from analytics.store import search
from analytics.store.search import Filter
from analytics.types import DecisionRow
from tests.analytics.books import fill, varied

ROWS = varied(400)
MIDDLE = ROWS[200].started_unix_us

CASES: list[tuple[Filter, Callable[[DecisionRow], bool]]] = [
    (Filter(), bool),
    (Filter(tenant="shop"), lambda row: row.tenant == "shop"),
    (Filter({"user": "équipe/データ"}, "bank"), lambda row: (row.user, row.tenant) == ("équipe/データ", "bank")),
    (Filter({"applied": "deny"}), lambda row: row.applied == "deny"),
    (Filter({"applied": "allow", "level": "critical"}), lambda row: row.applied == "allow" and row.level == "critical"),
    (
        Filter({"outcome": "denied", "model": "mystery-1"}),
        lambda row: row.outcome == "denied" and row.model == "mystery-1",
    ),
    (Filter(min_score=5.0), lambda row: row.score >= 5),
    (Filter(min_score=0.5), lambda row: row.score >= 0.5),
    (Filter({"level": "critical"}, rule_id="pii_leak.some_rule"), lambda _row: False),
    (Filter(rule_id="pii_leak.some_rule"), lambda row: any(one.rule_id == "pii_leak.some_rule" for one in row.threats)),
    (Filter(threat_type="jailbreak"), lambda row: any(one.type == "jailbreak" for one in row.threats)),
    (Filter(threat_type="jailbreak", tenant="shop"), lambda row: row.tenant == "shop" and bool(row.threats)),
    (Filter(from_unix_us=MIDDLE), lambda row: row.started_unix_us >= MIDDLE),
    (Filter(to_unix_us=MIDDLE), lambda row: row.started_unix_us < MIDDLE),
    (Filter(from_unix_us=-(2**62), to_unix_us=2**62), bool),
]


def walked(engine: Engine, asked: Filter, limit: int) -> list[str]:
    ids: list[str] = []
    before = None
    with engine.connect() as connection:
        while True:
            found = search.page(connection, asked, limit, before)
            assert len(found.rows) <= limit
            ids += [row.decision_id for row in found.rows]
            before = found.after
            if before is None:
                return ids


def test_pages_hold_what_passes_once_and_newest_first(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(engine, ROWS)
    newest = sorted(ROWS, key=lambda row: row.decision_id, reverse=True)
    for asked, wanted in CASES:
        expected = [row.decision_id for row in newest if wanted(row)]
        assert walked(engine, asked, 45) == expected, asked
    monkeypatch.setattr(search, "SCAN_ROWS", 30)  # a search over many pages, without twenty thousand rows
    for asked, wanted in CASES:
        expected = [row.decision_id for row in newest if wanted(row)]
        assert walked(engine, asked, 45) == walked(engine, asked, 7) == expected, asked


def test_a_page_looks_at_so_many_rows_and_no_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(engine, ROWS[:50])
    monkeypatch.setattr(search, "SCAN_ROWS", 20)
    with engine.connect() as connection:
        found = search.page(connection, Filter({"model": "nobody has it"}), 10)
    assert (found.rows, found.after) == ((), ROWS[30].decision_id)


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (Filter({"user": "bob"}), "records_user"),
        (Filter({"applied": "deny"}), "records_refused"),
        (Filter({"outcome": "denied"}), "records_unanswered"),
        (Filter({"level": "high"}), "records_risky"),
        (Filter(tenant="shop"), "records_tenant"),
        (Filter(threat_type="jailbreak"), "threats_type"),
        (Filter(threat_type="jailbreak", rule_id="x"), "threats_rule"),
    ],
)
def test_each_lead_goes_through_its_index(sqlite_engine: Engine, asked: Filter, index: str) -> None:
    statement: Any = search._candidates(asked, "f" * 32).limit(10)
    compiled = str(statement.compile(sqlite_engine, compile_kwargs={"literal_binds": True}))
    with sqlite_engine.connect() as connection:
        plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]
    assert len(plan) == 1, plan  # no sorting beside it
    assert f"INDEX {index} " in plan[0]
