"""Settings: everything an operator can set, read once at the start. One module a concern, all in one class.

In: environment variables DOUANE_ANALYTICS_<FIELD>, the mission's own names beside them, and the command line's options.
Out: one frozen Settings. Raises ConfigError, whose text names the variable, the value's shape and what is allowed.
Never: the content of a value in an error, since a database URL holds a password; reading the environment later.
"""

import ipaddress

from pydantic import AliasChoices, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from analytics.config.fields import PREFIX, ConfigError
from analytics.config.servers import ServerSettings
from analytics.config.store import StoreSettings
from analytics.config.thresholds import ThresholdSettings

__all__ = ["ENGINES", "PREFIX", "ConfigError", "Settings", "load", "variable"]
ENGINES = ("sqlite", "postgresql+psycopg")


class Settings(StoreSettings, ServerSettings, ThresholdSettings):
    """The settings of the analytics service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, populate_by_name=True, extra="ignore"
    )


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
    """Return the environment variable that documents a field: its shortest name. A variable's name may be given too."""
    name = field.upper().removeprefix(PREFIX)
    held = Settings.model_fields.get(name.lower())
    also = held.validation_alias.choices if held and isinstance(held.validation_alias, AliasChoices) else ()
    return next((one for one in map(str, also) if not one.startswith(PREFIX)), PREFIX + name)


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
