"""Where spans go: an OTLP/HTTP collector, and Langfuse, which takes the same and scores beside it.

In: final records. Out: what became of a batch: ok, retry (with how long to wait at least), refused.
Spans go as OTLP/HTTP, protobuf, gzip. Langfuse's SDK sends scores through its API client; its span processor is not used: it
stamps its own times, and drops in silence what its queue of 2,048 does not hold.
Never: a redirect followed; a key in a log.
Source: OTLP 1.9, "OTLP/HTTP": 429, 502, 503, 504 are tried again, other failures are not; Langfuse's OTLP endpoint.
"""

import base64
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import httpx
from langfuse.api import LangfuseAPI
from langfuse.api.core.api_error import ApiError
from langfuse.api.scores.types.create_score_request import CreateScoreRequest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from analytics.tracing.spans import spans
from analytics.types import DecisionRow

RETRIED = frozenset({429, 502, 503, 504})
TIMEOUT_S = 10.0
_LANGFUSE_PATH = "/api/public/otel/v1/traces"
_INGESTION_VERSION = "4"  # the version of Langfuse's OTLP mapping that its SDK 5 asks for


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch. why is a status or an error's name."""

    result: Literal["ok", "retry", "refused"]
    why: str = ""


Sink = Callable[[Sequence[DecisionRow]], Sent]


def collector(client: httpx.Client, url: str, environment: str, headers: dict[str, str]) -> Sink:
    """Return what sends spans to the traces endpoint of a collector."""

    def send(rows: Sequence[DecisionRow]) -> Sent:
        body = encode_spans([span for row in rows for span in spans(row, environment)]).SerializeToString()
        given = {"content-type": "application/x-protobuf", "content-encoding": "gzip", **headers}
        try:
            answer = client.post(url, content=gzip.compress(body, 5), headers=given)
        except httpx.TransportError as error:
            return Sent("retry", type(error).__name__)
        return _judged(answer.status_code)

    return send


def langfuse(client: httpx.Client, host: str, keys: tuple[str, str], environment: str) -> Sink:
    """Return what sends spans and then scores to Langfuse. keys are the public and the secret one."""
    host = host.rstrip("/")
    public, secret = keys
    credentials = base64.b64encode(f"{public}:{secret}".encode()).decode()  # RFC 7617
    headers = {"authorization": f"Basic {credentials}", "x-langfuse-ingestion-version": _INGESTION_VERSION}
    send_spans = collector(client, host + _LANGFUSE_PATH, environment, headers)
    api = LangfuseAPI(base_url=host, username=public, password=secret, httpx_client=client)

    def send(rows: Sequence[DecisionRow]) -> Sent:
        sent = send_spans(rows)
        if sent.result != "ok":
            return sent
        try:
            api.scores.create(request=[_score(row, environment) for row in rows], request_options={"max_retries": 0})
        except ApiError as error:
            return _judged(error.status_code or 0)
        except httpx.TransportError as error:
            return Sent("retry", type(error).__name__)
        return sent

    return send


def _score(row: DecisionRow, environment: str) -> CreateScoreRequest:
    """Return the risk of an exchange; its id is made of the decision's, so that sent twice it is one."""
    return CreateScoreRequest(
        id=f"{row.decision_id}-risk",
        trace_id=row.decision_id,  # what spans.py makes the trace's id of
        name="risk",
        value=row.score,
        environment=environment,
    )


def _judged(status: int) -> Sent:
    if 200 <= status < 300:
        return Sent("ok")
    return Sent("retry" if status in RETRIED or status == 0 else "refused", str(status))
