"""A backend on this machine that takes OTLP/HTTP and Langfuse's scores, and checks what a real one checks."""

import base64
import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PUBLIC, SECRET = "pk-lf-test", "sk-lf-test"
AUTHORIZATION = "Basic " + base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
LANGFUSE, SCORES, PLAIN = "/api/public/otel/v1/traces", "/api/public/scores", "/v1/traces"


class Backend:
    """What came. answers are the statuses of the next requests, 200 when there are none left."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.spans: list[tuple[str, Span]] = []
        self.scores: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.requests = 0
        self.url = ""
        self.came = threading.Condition()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        with self.came:
            self.requests += 1
            self.headers.append(headers)
            status = self.answers.pop(0) if self.answers else self._read(path, headers, body)
            self.came.notify_all()
            return status

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        if path != PLAIN and headers.get("authorization") != AUTHORIZATION:
            return 401
        if path == SCORES:
            self.scores += json.loads(body)
            return 202
        if path not in (LANGFUSE, PLAIN):
            return 404
        if headers.get("content-type") != "application/x-protobuf" or headers.get("content-encoding") != "gzip":
            return 415
        request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
        found = [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
        if any(len(span.trace_id) != 16 or len(span.span_id) != 8 for span in found):
            return 400
        self.spans += [(path, span) for span in found]
        return 200

    def wait(self, spans: int = 0, scores: int = 0, requests: int = 0) -> None:
        """Wait until so much has come."""

        def enough() -> bool:
            return len(self.spans) >= spans and len(self.scores) >= scores and self.requests >= requests

        with self.came:
            assert self.came.wait_for(enough, 15), (len(self.spans), len(self.scores), self.requests)


@contextmanager
def backend() -> Iterator[Backend]:
    """Run a backend."""
    found = Backend()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = found.take(self.path, headers, body)
            answer = b'{"results": []}' if self.path == SCORES else b""
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(span: Span) -> dict[str, Any]:
    """Return a span's attributes as plain values."""
    return {one.key: _plain(one.value) for one in span.attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    return [_plain(one) for one in found.values] if kind == "array_value" else found
