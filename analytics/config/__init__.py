"""Settings: everything an operator can set, read once at the start. One module a concern, all in one class.

In: environment variables DOUANE_ANALYTICS_<FIELD>, the mission's own names beside them, and the command line's options.
Out: one frozen Settings. Raises ConfigError, whose text names the variable, the value's shape and what is allowed.
Never: the content of a value in an error, since a database URL holds a password; reading the environment later.
"""

import os

from pydantic import AliasChoices, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from analytics.access.origin import is_loopback
from analytics.config import access
from analytics.config.access import AccessSettings, OidcSettings
from analytics.config.alerts import AlertSettings
from analytics.config.control import ControlSettings
from analytics.config.fields import PREFIX, ConfigError
from analytics.config.redis import RedisSettings
from analytics.config.servers import ServerSettings
from analytics.config.store import StoreSettings
from analytics.config.thresholds import ThresholdSettings
from analytics.config.tracing import TracingSettings

__all__ = ["ENGINES", "PREFIX", "ConfigError", "Settings", "load", "variable"]
ENGINES = ("sqlite", "postgresql+psycopg")


class Settings(
    StoreSettings,
    RedisSettings,
    ServerSettings,
    AccessSettings,
    OidcSettings,
    ThresholdSettings,
    ControlSettings,
    AlertSettings,
    TracingSettings,
):
    """The settings of the analytics service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, populate_by_name=True, extra="ignore"
    )

    @property
    def exposed(self) -> str:
        """The first setting that lets others than this machine's users in, empty when none does: then an account is needed."""
        for name in ("http_host", "grpc_host"):
            if not is_loopback(getattr(self, name)):
                return variable(name)
        return variable("authentication") if self.authentication == "required" else ""


def load(**options: object) -> Settings:
    """Return the settings of the environment, overruled by the options that are not None.

    Raises: ConfigError.
    """
    _check_removed()
    try:
        settings = Settings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type] # pydantic reads them
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(one) for one in error.errors())) from error
    _check_url(settings)
    access.check(settings, settings)
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


def _check_removed() -> None:
    if PREFIX + "ALLOW_REMOTE" in os.environ:
        raise ConfigError(
            f"{PREFIX}ALLOW_REMOTE: it was removed: beyond loopback everybody logs in now. Unset it, and make an administrator: "
            f"`douane-analytics accounts add alice --role admin`, or set {PREFIX}ADMIN_PASSWORD"
        )
