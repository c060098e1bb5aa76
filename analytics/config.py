"""Settings: everything an operator can set, read once at the start.

In: environment variables DOUANE_ANALYTICS_<FIELD>, the mission's own names beside them, and the command line's options.
Out: one frozen Settings. Raises ConfigError, whose text names the variable, the value's shape and what is allowed.
Never: the content of a value in an error, since a database URL holds a password; reading the environment later.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

PREFIX = "DOUANE_ANALYTICS_"
ENGINES = ("sqlite", "postgresql+psycopg")


class ConfigError(Exception):
    """A setting that stops the start; its text is for the operator."""


def _mission(name: str) -> AliasChoices:
    return AliasChoices(PREFIX + name, name)


Port = Annotated[int, Field(ge=1, le=65_535)]


class Settings(BaseSettings):
    """The settings of the analytics service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, populate_by_name=True, extra="ignore"
    )

    data_dir: Path = Field(
        default=Path("~/.local/share/douane"), description="Folder of the embedded database; made when it is missing."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="sqlite:///FILE or postgresql+psycopg://USER@HOST/DB; unset: analytics.db in data_dir.",
    )
    http_host: str = Field(default="127.0.0.1", description="Address of the API, dashboard and /metrics.")
    http_port: Port = Field(default=8080, description="Port of the API, dashboard and /metrics.")
    grpc_host: str = Field(default="127.0.0.1", description="Address of the ingest server, for sidecars.")
    grpc_port: Port = Field(default=8081, description="Port of the ingest server, for sidecars.")
    allow_remote: bool = Field(
        default=False, description="Allow addresses that are not loopback, though nobody has to log in."
    )
    alert_security_threshold: float = Field(
        default=5.0,
        ge=0,
        validation_alias=_mission("ALERT_SECURITY_THRESHOLD"),
        description="Risk score from which an exchange deserves attention (mission's scale).",
    )
    alert_latency_threshold: float = Field(
        default=5.0,
        gt=0,
        validation_alias=_mission("ALERT_LATENCY_THRESHOLD"),
        description="Seconds from which an answer counts as slow.",
    )
    auto_block_critical_threats: bool = Field(
        default=True,
        validation_alias=_mission("AUTO_BLOCK_CRITICAL_THREATS"),
        description="Whether CRITICAL exchanges should be blocked; recommendations tell when they were not.",
    )
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

    @property
    def url(self) -> str:
        """The database URL in force."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.expanduser() / 'analytics.db'}"


def load(**options: object) -> Settings:
    """Return the settings of the environment, overruled by the options that are not None.

    Raises: ConfigError.
    """
    try:
        settings = Settings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type] # pydantic reads them
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(one) for one in error.errors())) from error
    _check_url(settings)
    for name in ("http_host", "grpc_host"):
        _check_address(name, getattr(settings, name), settings.allow_remote)
    return settings


def _explain(error: ErrorDetails) -> str:
    field = str(error["loc"][0]) if error["loc"] else "settings"
    return f"{variable(field)}: {_shape(error['input'])} is not allowed: {error['msg']}"


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    name = field.upper().removeprefix(PREFIX)
    mission = ("ALERT_SECURITY_THRESHOLD", "ALERT_LATENCY_THRESHOLD", "AUTO_BLOCK_CRITICAL_THREATS")
    return name if name in mission else PREFIX + name


def _shape(value: object) -> str:
    return f"a text of {len(value)} characters" if isinstance(value, str) else f"a value of type {type(value).__name__}"


def _check_url(settings: Settings) -> None:
    try:
        known = make_url(settings.url).drivername in ENGINES
    except ArgumentError:
        known = False
    if not known:
        allowed = " or ".join(f"{engine}://..." for engine in ENGINES)
        raise ConfigError(f"{variable('database_url')}: {_shape(settings.url)} is not allowed: give {allowed}")


def _check_address(field: str, host: str, allow_remote: bool) -> None:
    if allow_remote or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(
            f"{variable(field)}: {host} is not a loopback address, and nobody has to log in yet: "
            f"give 127.0.0.1, or set {PREFIX}ALLOW_REMOTE=true where the network itself keeps others out"
        )
