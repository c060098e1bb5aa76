"""The window of time that an endpoint is asked about: `days=`, or `from=` and `to=`.

In: query parameters. Out: a Span: a Window in whole buckets, and the same as the answer shows it.
Never: a window longer than a year; its buckets stay below 400.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from analytics.api.context import Use
from analytics.api.errors import ApiError
from analytics.store import usage
from analytics.types import DAY_S, Window

MAX_DAYS = 366
# What the store's integers and the calendar both hold: 2000-01-01 to 2100-01-01 UTC.
_EARLIEST_S, _LATEST_S = 946_684_800, 4_102_444_800


# pydantic takes numbers for seconds since 1970 too: `from=7` would be an hour of 1970 instead of an error.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]", re.ASCII)


def _written_out(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATE.match(value)):
        raise ValueError("give a date and time with its zone, as in 2026-11-18T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class WindowBody(BaseModel):
    """The window that an answer speaks of, widened to whole buckets."""

    start: datetime = Field(description="First moment in it.", examples=["2026-11-18T00:00:00Z"])
    end: datetime = Field(description="First moment no longer in it.", examples=["2026-11-25T12:00:00Z"])
    days: float = Field(description="Its length as asked for.", examples=[7])
    bucket_s: int = Field(description="Length of a bucket of its timelines, in seconds.", examples=[3_600])


@dataclass(frozen=True, slots=True)
class Span:
    """A window as an endpoint takes it. days is its length as asked for."""

    window: Window
    days: float

    @property
    def body(self) -> WindowBody:
        """The window as answers show it."""
        start, end = (datetime.fromtimestamp(one, UTC) for one in (self.window.start_unix_s, self.window.end_unix_s))
        return WindowBody(start=start, end=end, days=self.days, bucket_s=self.window.grain_s)


def _span(
    context: Use,
    days: Annotated[
        int | None,
        Query(ge=1, le=MAX_DAYS, description="The last so many days; 7 when nothing is given.", examples=[7]),
    ] = None,
    from_: Annotated[
        Moment | None,
        Query(
            alias="from",
            description="First moment, RFC 3339 with zone; widened to a whole bucket.",
            examples=["2026-11-18T00:00:00Z"],
        ),
    ] = None,
    to: Annotated[
        Moment | None,
        Query(description="First moment no longer asked for; now when left out.", examples=["2026-11-25T00:00:00Z"]),
    ] = None,
) -> Span:
    now_s = context.clock()
    if from_ is None and to is None:
        days = days or 7
        return Span(usage.last(days * DAY_S, now_s), days)
    if days is not None:
        raise ApiError(422, "days: give either days, or from and to", "days")
    return _between(from_, to, now_s)


def _between(from_: datetime | None, to: datetime | None, now_s: float) -> Span:
    if from_ is None:
        raise ApiError(422, "from: to needs from beside it", "from")
    start_s, end_s = from_.timestamp(), now_s if to is None else to.timestamp()
    if not _EARLIEST_S <= start_s <= _LATEST_S or end_s > _LATEST_S:
        raise ApiError(422, "from: the window lies outside of the years 2000 to 2099", "from")
    if start_s >= end_s:
        raise ApiError(422, "from: it must be before to", "from")
    if end_s - start_s > MAX_DAYS * DAY_S:
        raise ApiError(422, f"from: a window is at most {MAX_DAYS} days long", "from")
    return Span(usage.between(start_s, end_s), (end_s - start_s) / DAY_S)


Asked = Annotated[Span, Depends(_span)]
