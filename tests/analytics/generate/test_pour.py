from collections.abc import Sequence

from analytics.generate import Plan, generate, pour
from analytics.generate.pour import Watch
from analytics.types import DecisionRow


class Clock:
    """Goes on by a second each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def poured(records: int, stop_after: int | None = None) -> tuple[int, list[Sequence[DecisionRow]], list[str]]:
    lists: list[Sequence[DecisionRow]] = []
    told: list[str] = []
    watch = Watch(told.append, lambda: stop_after is not None and len(lists) >= stop_after, Clock())
    done = pour.pour(generate(Plan(records=records, seed=5)), records, lists.append, watch)
    return done, lists, told


def test_everything_is_poured_in_large_lists() -> None:
    done, lists, told = poured(70_000)
    assert done == sum(map(len, lists)) == 70_000
    assert [len(rows) >= pour.BATCH for rows in lists] == [True, True, False]
    assert told[-1] == "70,000 of 70,000 records (100 %), 17,500 a second, until 2026-11-18T11:09Z"


def test_a_stop_ends_between_two_lists_and_the_truth_is_of_what_is_there() -> None:
    lists: list[Sequence[DecisionRow]] = []
    traffic = generate(Plan(records=70_000, seed=5))
    watch = Watch(lambda _line: None, lambda: bool(lists), Clock())
    done = pour.pour(traffic, 70_000, lists.append, watch)
    assert done == len(lists[0]) == traffic.truth.totals.records
    assert pour.BATCH <= done < 70_000


def test_lists_are_joined_until_they_are_large_enough() -> None:
    rows = next(generate(Plan(records=10)))
    assert [len(one) for one in pour.batched([rows[:3], rows[:2], rows[:4], rows[:1]], 5)] == [5, 5]
