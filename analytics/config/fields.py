"""What the settings of every concern are made of: the prefix of their variables, and other names beside it.

In: nothing of ours. Out: `also`, which gives a field further names; types that several fields share.
"""

from typing import Annotated

from pydantic import AliasChoices, Field

PREFIX = "DOUANE_ANALYTICS_"

Port = Annotated[int, Field(ge=1, le=65_535)]


class ConfigError(Exception):
    """A setting that stops the start; its text is for the operator."""


def also(*names: str) -> AliasChoices:
    """Return the names of a field that has others beside the prefixed one: the mission's, or what every tool calls it."""
    return AliasChoices(*(PREFIX + name for name in names), *names)
