import pytest
from douane.v1 import decision_pb2 as pb
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from analytics import config
from analytics.config import ConfigError
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.tracing import tracer
from tests.analytics.tracing.backend import LANGFUSE, PLAIN, PUBLIC, SECRET, backend
from tests.analytics.traffic import record

KEYS = {"langfuse_public_key": PUBLIC, "langfuse_secret_key": SECRET}


@pytest.mark.server
def test_exchanges_that_ended_go_to_both_backends_while_one_is_away(engine: Engine) -> None:
    with backend() as langfuse, backend() as other:
        settings = config.load(langfuse_host=langfuse.url, otlp_endpoint=other.url, **KEYS)
        traced = tracer.build(settings, CollectorRegistry())
        traced.start()
        langfuse.answers = [503] * 2
        books = Books(engine, (), (traced,))
        books.store([decode(record(1, stage=pb.STAGE_VERDICT)), decode(record(2))])
        other.wait(spans=2)
        books.store([decode(record(1))])
        langfuse.wait(spans=4, scores=2)
        other.wait(spans=4)
        traced.stop(5)
    assert {path for path, _ in langfuse.spans} == {LANGFUSE}
    assert {path for path, _ in other.spans} == {PLAIN}
    assert {one["traceId"] for one in langfuse.scores} == {decode(record(number)).decision_id for number in (1, 2)}


def test_without_a_backend_nothing_runs(engine: Engine) -> None:
    traced = tracer.build(config.load(), CollectorRegistry())
    traced.start()
    Books(engine, (), (traced,)).store([decode(record(2))])
    traced.stop(0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (KEYS, "LANGFUSE_PUBLIC_KEY: it needs LANGFUSE_HOST"),
        ({"langfuse_host": "http://x", "langfuse_public_key": PUBLIC}, "needs both LANGFUSE_PUBLIC_KEY"),
        ({"tracing_environment": "langfuse-x"}, "DOUANE_ANALYTICS_TRACING_ENVIRONMENT: .*keeps names"),
        ({"otlp_endpoint": "http://x", "otlp_headers": "nothing"}, "OTEL_EXPORTER_OTLP_HEADERS: give name=value"),
    ],
)
def test_half_a_backend_stops_the_start(settings: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        tracer.build(config.load(**settings), CollectorRegistry())
