from analytics.dashboard.charts import HEIGHT, WIDTH, Bar, timeline
from analytics.types import Totals


def test_bars_fill_the_box_and_blocked_stands_within() -> None:
    chart = timeline([(0, Totals(requests=4, outcome_denied=1)), (3_600, Totals(requests=2, outcome_failed=2))], 3_600)
    assert chart.bars == (
        Bar(60.0, 360.0, 0.0, HEIGHT, 150.0, 50.0, "00:00 UTC: 4 requests, 1 blocked, 0 failed"),
        Bar(540.0, 360.0, 100.0, 100.0, HEIGHT, 0.0, "01:00 UTC: 2 requests, 0 blocked, 2 failed"),
    )
    assert (chart.top, chart.labels) == (4, ((0.0, "00:00"), (480.0, "01:00")))


def test_nothing_is_an_empty_box() -> None:
    assert timeline([], 60).bars == ()
    assert [bar.height for bar in timeline([(0, Totals())], 60).bars] == [0.0]


def test_days_are_labelled_by_date_and_labels_stay_few() -> None:
    chart = timeline([(day * 86_400, Totals(requests=1)) for day in range(367)], 86_400)
    assert chart.labels[0] == (0.0, "01 Jan")
    assert len(chart.labels) <= 9
    assert all(bar.x + bar.width <= WIDTH for bar in chart.bars)
