"""Settings of tracing: where exchanges go as spans. The mission's and OpenTelemetry's own names count too."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from analytics.config.fields import also


class TracingSettings(BaseSettings):
    """Where exchanges go as traces."""

    langfuse_host: str = Field(
        default="",
        validation_alias=also("LANGFUSE_HOST", "LANGFUSE_BASE_URL"),
        description="Langfuse server, http://localhost:3001; empty: none. It needs both keys.",
    )
    langfuse_public_key: str = Field(
        default="", validation_alias=also("LANGFUSE_PUBLIC_KEY"), description="Public key of the Langfuse project."
    )
    langfuse_secret_key: SecretStr | None = Field(
        default=None, validation_alias=also("LANGFUSE_SECRET_KEY"), description="Secret key of the Langfuse project."
    )
    otlp_endpoint: str = Field(
        default="",
        validation_alias=also("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="OTLP/HTTP collector, http://localhost:4318; spans go to /v1/traces below it. Empty: none.",
    )
    otlp_headers: SecretStr | None = Field(
        default=None,
        validation_alias=also("OTEL_EXPORTER_OTLP_HEADERS"),
        description="Headers for the collector, name=value,name=value.",
    )
    tracing_environment: str = Field(
        default="default",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$",
        description="Environment that traces are filed under.",
    )
    tracing_queue: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Exchanges that wait for a backend that is away; beyond, the oldest are left out, counted.",
    )

    @field_validator("tracing_environment")
    @classmethod
    def _free(cls, value: str) -> str:
        if value.startswith("langfuse"):
            raise ValueError("Langfuse keeps names that begin with langfuse for itself")
        return value
