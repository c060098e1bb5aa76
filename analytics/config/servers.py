"""Settings of the servers: addresses, ports, what they log and count."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from analytics.config.fields import Port


class ServerSettings(BaseSettings):
    """Where the service listens, and what it says about itself."""

    http_host: str = Field(default="127.0.0.1", description="Address of the API, dashboard and /metrics.")
    http_port: Port = Field(default=8080, description="Port of the API, dashboard and /metrics.")
    grpc_host: str = Field(default="127.0.0.1", description="Address of the ingest server, for sidecars.")
    grpc_port: Port = Field(default=8081, description="Port of the ingest server, for sidecars.")
    metrics_label_cap: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Values kept of each of model, user, endpoint in /metrics, then _other.",
    )
    metrics_series_cap: int = Field(
        default=2_000, ge=1, le=100_000, description="Combinations of model, user, endpoint in /metrics, then _other."
    )
    shutdown_grace_s: float = Field(
        default=10.0, gt=0, le=600, description="Seconds that requests in hand may take after SIGTERM."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged: debug, info, warning or error."
    )
