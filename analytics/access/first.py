"""The first administrator: made at the start where a setting says so, and asked for where others could reach us without one.

In: settings, the database. Out: nothing, or a refusal to start that names the command which mends it.
Never: a service that strangers reach and nobody administers.
"""

import logging

from sqlalchemy import Engine

from analytics.access import people
from analytics.access.people import NewAccount
from analytics.access.principal import Principal
from analytics.access.refusals import AccessError
from analytics.config import ConfigError, Settings, variable
from analytics.store import accounts, database

_LOG = logging.getLogger("analytics.access")
_START = Principal("start", "admin")


def ensure(settings: Settings, engine: Engine, now_s: float) -> None:
    """Make the administrator that the settings name while there is none.

    Raises: ConfigError when others than this machine's users can reach us, and nobody administers the installation.
    """
    with engine.connect() as connection:
        there = accounts.admins(connection) > 0
    secret = settings.admin_password
    if not there and secret is not None and secret.get_secret_value():
        _make(settings, engine, secret.get_secret_value(), now_s)
        return
    exposed = settings.exposed
    if exposed and not there and not _from_provider(settings):
        raise ConfigError(
            f"{exposed}: others than this machine's own users get in, and there is no administrator yet: make one with "
            f"`douane-analytics accounts add alice --role admin`, or set {variable('admin_password')}"
        )


def _make(settings: Settings, engine: Engine, password: str, now_s: float) -> None:
    name = settings.admin_name
    try:
        with database.writing(engine) as connection:
            if accounts.admins(connection):
                return  # another replica was faster
            if accounts.find(connection, name) is None:
                people.create(connection, _START, NewAccount(name, "admin", None, password), now_s)
            else:
                raise ConfigError(
                    f"{variable('admin_name')}: there is an account {name} that administers nothing: name another one, or "
                    f"`douane-analytics accounts change {name} --role admin`"
                )
    except AccessError as error:
        raise ConfigError(f"{variable('admin_password')}: {error.message}") from error
    _LOG.info("access.first_administrator", extra={"account": name})


def _from_provider(settings: Settings) -> bool:
    """Return whether the identity provider makes somebody administrator."""
    return bool(settings.oidc_issuer) and "admin" in settings.oidc_roles.values()
