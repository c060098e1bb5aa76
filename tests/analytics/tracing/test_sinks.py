from collections.abc import Iterator

import httpx
import pytest

from analytics.ingest.decode import decode
from analytics.tracing import sinks
from analytics.tracing.sinks import Sent
from tests.analytics.tracing.backend import LANGFUSE, PLAIN, PUBLIC, SECRET, attributes, backend
from tests.analytics.traffic import record

pytestmark = pytest.mark.server
ROWS = [decode(record(number)) for number in (3, 9)]


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=2) as one:
        yield one


def test_langfuse_gets_spans_and_scores(client: httpx.Client) -> None:
    with backend() as found:
        assert sinks.langfuse(client, found.url, (PUBLIC, SECRET), "test")(ROWS) == Sent("ok")
    assert [(path, span.name) for path, span in found.spans] == [
        (LANGFUSE, name) for name in ("chat gpt-4o", "douane verdict") * 2
    ]
    assert attributes(found.spans[2][1])["langfuse.trace.tags"][0] == "verdict:deny"
    assert [(one["traceId"], one["name"], one["value"], one["id"]) for one in found.scores] == [
        (row.decision_id, "risk", row.score, f"{row.decision_id}-risk") for row in ROWS
    ]
    assert found.headers[0]["x-langfuse-ingestion-version"] == "4"


def test_a_collector_gets_spans(client: httpx.Client) -> None:
    with backend() as found:
        sink = sinks.collector(client, found.url + PLAIN, "test", {"x-team": "red"})
        assert sink(ROWS) == Sent("ok")
    assert (len(found.spans), found.scores, found.headers[0]["x-team"]) == (4, [], "red")


@pytest.mark.parametrize(("status", "result"), [(429, "retry"), (503, "retry"), (400, "refused"), (307, "refused")])
def test_a_status_says_whether_to_try_again(client: httpx.Client, status: int, result: str) -> None:
    with backend() as found:
        found.answers = [status]
        assert sinks.langfuse(client, found.url, (PUBLIC, SECRET), "test")(ROWS) == Sent(result, str(status))  # type: ignore[arg-type] # a literal
        found.answers = [200, status]  # the spans go, the scores do not
        assert sinks.langfuse(client, found.url, (PUBLIC, SECRET), "test")(ROWS) == Sent(result, str(status))  # type: ignore[arg-type] # a literal


def test_a_wrong_key_is_refused(client: httpx.Client) -> None:
    with backend() as found:
        assert sinks.langfuse(client, found.url, (PUBLIC, "wrong"), "test")(ROWS) == Sent("refused", "401")


def test_nobody_there_is_tried_again(client: httpx.Client) -> None:
    with backend() as found:
        gone = found.url
    assert sinks.collector(client, gone + PLAIN, "test", {})(ROWS) == Sent("retry", "ConnectError")
