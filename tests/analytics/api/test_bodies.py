from datetime import UTC, datetime

from analytics.api import bodies
from analytics.types import Totals


def test_what_is_not_known_is_null_and_counted_apart() -> None:
    nothing = bodies.Counts(**bodies.counts(Totals()))
    assert (nothing.cost_usd, nothing.avg_latency, nothing.error_rate, nothing.unpriced_requests) == (
        None,
        None,
        0.0,
        0,
    )
    some = Totals(
        requests=10, outcome_denied=2, outcome_failed=1, outcome_upstream_error=1, priced=4, cost_nanousd=2_500_000_000
    )
    counted = bodies.Counts(**bodies.counts(some))
    assert (counted.cost_usd, counted.unpriced_requests, counted.failed_requests, counted.error_rate) == (
        2.5,
        3,
        2,
        0.2,
    )
    assert bodies.unpriced(Totals(requests=1, outcome_denied=1, priced=1)) == 0  # paid for, then held back


def test_a_bucket_knows_its_quantile() -> None:
    bucket = bodies.bucket(1_795_000_000, Totals(requests=1, latency={691: 1}))
    assert (bucket.start, bucket.total_requests) == (datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC), 1)
    assert bodies.quantiles(Totals(latency={691: 1})) == dict.fromkeys(
        ("p50_latency", "p95_latency", "p99_latency"), bucket.p95_latency
    )
