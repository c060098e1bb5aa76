"""What every endpoint works with: settings, engine, clock, live feed; put on the application once, read through `Depends`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from analytics.config import Settings
from analytics.live.feed import Feed


@dataclass(frozen=True, slots=True)
class Context:
    """The service as an endpoint sees it. clock returns seconds since 1970 UTC; steered says that sidecars are to be told."""

    settings: Settings
    engine: Engine
    clock: Callable[[], float]
    feed: Feed
    steered: Callable[[], None] = lambda: None


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Use = Annotated[Context, Depends(_context)]
