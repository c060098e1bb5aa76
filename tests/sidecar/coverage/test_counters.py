import json

import msgspec
import pytest

from analytics.insight import coverage as insight
from sidecar.coverage.counters import MEANINGS, SEEN, Count, Growth, read_counters
from sidecar.envoyconf.passthrough_log import pass_through_stat


def stats(**values: int) -> bytes:
    return json.dumps({"stats": [{"name": name, "value": value} for name, value in values.items()]}).encode()


def test_the_counters_of_each_door_are_read() -> None:
    body = stats(
        **{
            "http.gateway.ext_proc.douane.failure_mode_allowed": 2,
            "http.gateway.ext_proc.douane.stream_msgs_sent": 900,
            "http.proxy.ext_proc.douane.streams_failed": 1,
            "http.proxy_opened.ext_proc.message_timeouts": 3,
            "filesystem.write_failed": 4,
            f"tcp.{pass_through_stat('proxy')}.downstream_cx_total": 5,
            "tcp.other.downstream_cx_total": 6,
            "cluster.sidecar.upstream_rq_total": 7,
        }
    )
    assert read_counters(body) == (
        Count("", "log_write_failed", 4),
        Count("gateway", "failure_mode_allowed", 2),
        Count("proxy", "message_timeouts", 3),
        Count("proxy", "pass_through_connections", 5),
        Count("proxy", "streams_failed", 1),
    )


def test_two_filters_of_one_door_are_one_count() -> None:
    body = stats(
        **{"http.proxy.ext_proc.a.streams_failed": 1, "http.proxy.ext_proc.b.streams_failed": 2},
    )
    assert read_counters(body) == (Count("proxy", "streams_failed", 3),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"stats": 1}'])
def test_what_is_no_answer_raises(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_counters(body)


def test_every_kind_has_a_meaning_here_and_in_analytics() -> None:
    assert set(MEANINGS) >= SEEN
    assert (set(MEANINGS), SEEN) == (set(insight.MEANINGS), insight.SEEN)


def failed(value: int) -> list[Count]:
    return [Count("gateway", "streams_failed", value)]


def test_growth_counts_a_new_process_from_nothing() -> None:
    growth = Growth()
    assert growth.since(1, failed(3)) == (Count("gateway", "streams_failed", 3),)
    assert growth.since(1, failed(3)) == ()
    assert growth.since(1, failed(5)) == (Count("gateway", "streams_failed", 2),)
    assert growth.since(2, failed(9)) == (Count("gateway", "streams_failed", 9), Count("", "envoy_restarts", 1))
    assert growth.since(2, failed(9)) == ()


def test_a_counter_that_was_reset_counts_from_nothing() -> None:
    growth = Growth()
    growth.since(1, failed(5))
    assert growth.since(1, failed(2)) == (Count("gateway", "streams_failed", 2),)
