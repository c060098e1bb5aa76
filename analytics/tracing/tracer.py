"""The tracer: a listener of the books that gives final records to every backend that the settings name.

In: settings, Stored. Out: exporters to start and to stop. Raises ConfigError where a backend lacks what it needs.
Never: a backend that waits for another; each has a queue and a thread of its own.
"""

from random import Random

import httpx
from prometheus_client import CollectorRegistry

from analytics.config import ConfigError, Settings, variable
from analytics.tracing import sinks
from analytics.tracing.exporter import Exporter, TracingMetrics
from analytics.types import Stored


class Tracer:
    """Every backend's exporter; none where the settings name no backend."""

    def __init__(self, exporters: tuple[Exporter, ...], client: httpx.Client) -> None:
        self._exporters = exporters
        self._client = client

    def __call__(self, stored: Stored) -> None:
        """Let the exchanges that ended in a batch be sent."""
        if self._exporters and (rows := [change.row for change in stored.changes if change.row.final]):
            for exporter in self._exporters:
                exporter.put(rows)

    def start(self) -> None:
        """Begin to send."""
        for exporter in self._exporters:
            exporter.start()

    def stop(self, within_s: float) -> None:
        """Send what waits, then end."""
        for exporter in self._exporters:
            exporter.stop(within_s)
        self._client.close()


def build(settings: Settings, registry: CollectorRegistry) -> Tracer:
    """Return the tracer of the settings. Raises: ConfigError."""
    client = httpx.Client(timeout=sinks.TIMEOUT_S, follow_redirects=False)
    found = _backends(settings, client)
    if not found:
        return Tracer((), client)
    metrics = TracingMetrics(registry)
    made = [Exporter(name, sink, settings.tracing_queue, metrics, Random()) for name, sink in found.items()]
    return Tracer(tuple(made), client)


def _backends(settings: Settings, client: httpx.Client) -> dict[str, sinks.Sink]:
    found: dict[str, sinks.Sink] = {}
    environment = settings.tracing_environment
    if settings.langfuse_public_key and settings.langfuse_secret_key:
        host, keys = (
            settings.langfuse_host,
            (settings.langfuse_public_key, settings.langfuse_secret_key.get_secret_value()),
        )
        if not host:
            raise ConfigError(f"{variable('langfuse_public_key')}: it needs {variable('langfuse_host')} beside it")
        found["langfuse"] = sinks.langfuse(client, host, keys, environment)
    elif settings.langfuse_host and (settings.langfuse_public_key or settings.langfuse_secret_key):
        raise ConfigError(f"{variable('langfuse_host')}: it needs both LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")
    if settings.otlp_endpoint:
        url = settings.otlp_endpoint.rstrip("/")
        url += "" if url.endswith("/v1/traces") else "/v1/traces"
        found["otlp"] = sinks.collector(client, url, environment, _headers(settings))
    return found


def _headers(settings: Settings) -> dict[str, str]:
    """Return the headers of a text of name=value pairs, as OpenTelemetry writes them."""
    text = settings.otlp_headers.get_secret_value() if settings.otlp_headers else ""
    pairs = [one.partition("=") for one in text.split(",") if one.strip()]
    if any(not name.strip() or not equals for name, equals, _ in pairs):
        raise ConfigError(f"{variable('otlp_headers')}: give name=value,name=value")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
