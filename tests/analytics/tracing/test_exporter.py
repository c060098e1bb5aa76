import threading
from collections.abc import Sequence
from random import Random

from prometheus_client import CollectorRegistry

from analytics.ingest.decode import decode
from analytics.tracing.exporter import BATCH, Exporter, TracingMetrics
from analytics.tracing.sinks import Sent
from analytics.types import DecisionRow
from tests.analytics.traffic import record

ROWS = [decode(record(number)) for number in range(30)]


class Sink:
    """A backend that answers as told, and holds back while it is shut."""

    def __init__(self, *answers: Sent) -> None:
        self.answers = list(answers)
        self.got: list[str] = []
        self.tries = 0
        self.open = threading.Event()
        self.open.set()
        self.changed = threading.Condition()

    def __call__(self, rows: Sequence[DecisionRow]) -> Sent:
        self.open.wait(10)
        with self.changed:
            self.tries += 1
            answer = self.answers.pop(0) if self.answers else Sent("ok")
            if answer.result == "ok":
                self.got += [row.decision_id for row in rows]
            self.changed.notify_all()
        return answer

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, 10), len(self.got)


def made(sink: Sink, most: int = 1_000) -> tuple[Exporter, CollectorRegistry]:
    registry = CollectorRegistry()
    return Exporter("x", sink, most, TracingMetrics(registry), Random(1)), registry


def ids(rows: Sequence[DecisionRow]) -> list[str]:
    return [row.decision_id for row in rows]


def lost(registry: CollectorRegistry, reason: str) -> float | None:
    return registry.get_sample_value("douane_tracing_dropped_total", {"backend": "x", "reason": reason})


def test_everything_goes_once_in_order_also_over_an_outage() -> None:
    sink = Sink(Sent("retry", "503"), Sent("retry", "ConnectError"))
    exporter, registry = made(sink)
    exporter.start()
    exporter.put(ROWS[:20])
    exporter.put(ROWS[20:])
    sink.wait(30)
    exporter.stop(5)
    assert sink.got == ids(ROWS)
    assert registry.get_sample_value("douane_tracing_exported_total", {"backend": "x"}) == 30


def test_beyond_the_bound_the_oldest_are_left_out_and_counted() -> None:
    sink = Sink()
    exporter, registry = made(sink, most=10)
    exporter.put(ROWS)
    exporter.start()
    sink.wait(10)
    exporter.stop(5)
    assert (sink.got, lost(registry, "queue_full")) == (ids(ROWS[20:]), 20)


def test_what_is_refused_or_breaks_holds_nothing_up() -> None:
    class Broken(Sink):
        def __call__(self, rows: Sequence[DecisionRow]) -> Sent:
            if len(rows) == BATCH:
                raise ValueError("no")
            return super().__call__(rows)

    sink = Broken(Sent("refused", "400"))
    exporter, registry = made(sink)
    exporter.start()
    exporter.put(ROWS[:1])
    with sink.changed:
        assert sink.changed.wait_for(lambda: sink.tries == 1, 10)
    exporter.put([*ROWS, *ROWS, *ROWS, *ROWS][: BATCH + 1])
    sink.wait(1)
    exporter.stop(5)
    assert (lost(registry, "refused"), lost(registry, "error"), len(sink.got)) == (1, BATCH, 1)


def test_putting_never_waits_for_a_backend_and_the_end_does_not_either() -> None:
    sink = Sink()
    sink.open.clear()
    exporter, registry = made(sink)
    exporter.start()
    for _ in range(100):
        exporter.put(ROWS)
    exporter.stop(0.2)
    sink.open.set()
    assert (lost(registry, "ended") or 0) + (lost(registry, "queue_full") or 0) >= 3_000 - BATCH
