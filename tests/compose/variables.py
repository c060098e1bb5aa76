"""The environment variables that the two programs know, for tests of files that set them.

In: a settings class. Out: names.
"""

from pydantic import AliasChoices
from pydantic_settings import BaseSettings

import analytics.config
import sidecar.config


def of_sidecar() -> frozenset[str]:
    """Return the variables the sidecar reads."""
    return _names(sidecar.config.Settings, "DOUANE_")


def of_analytics() -> frozenset[str]:
    """Return the variables analytics reads."""
    return _names(analytics.config.Settings, analytics.config.PREFIX)


def _names(settings: type[BaseSettings], prefix: str) -> frozenset[str]:
    found: set[str] = set()
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            found |= {str(choice) for choice in alias.choices}
        else:
            found.add(alias if isinstance(alias, str) else prefix + name.upper())
    return frozenset(found)
