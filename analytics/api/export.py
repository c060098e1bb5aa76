"""GET /api/export: every decision that passes the filters of /api/decisions, as a file, oldest first.

In: a format, filters, a window. Out: a stream of bytes with a file name. It begins once the first rows are there, so that a
database which cannot answer is told as 503; what goes wrong later ends the stream without its end, which every client
notices. A client that leaves is noticed at the next piece: nothing is asked of the database after that.
Bounds: a thousand rows at a time (Parquet: a row group of 16,384), whatever the size of the answer.
Never: another tenant's rows; a cell of CSV that a spreadsheet would run (analytics/formats/delimited.py).
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.types import Receive, Scope, Send

from analytics.api.auth import Analyst
from analytics.api.context import Use
from analytics.api.decisions import Filters
from analytics.api.errors import ApiError, responses
from analytics.api.parameters import scope
from analytics.formats import FORMATS
from analytics.store import export
from analytics.store.search import Filter
from analytics.types import DAY_S, DecisionRow

router = APIRouter(tags=["export"])
_LOG = logging.getLogger("analytics.export")
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            one.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for one in FORMATS.values()
        },
    }
}


class Exporting(Filters):
    """The query of an export."""

    format: Literal["csv", "jsonl", "parquet"] = Field(default="csv", examples=["parquet"])
    days: Annotated[int | None, Field(ge=1, le=366, description="The last so many days.", examples=[7])] = None

    def narrowed(self, now_s: float, tenant: str | None) -> Filter:
        """Return the store's words for it. Raises: ApiError when days and from or to are given together."""
        if self.days is None:
            return self.filter(tenant)
        if self.from_ is not None or self.to is not None:
            raise ApiError(422, "days: give either days, or from and to", "days")
        return replace(self.filter(tenant), from_unix_us=round((now_s - self.days * DAY_S) * 1e6))


@router.get("/api/export", response_class=StreamingResponse, responses=_CONTENT | responses(422, 503))
def exported(context: Use, who: Analyst, query: Annotated[Exporting, Query()]) -> StreamingResponse:
    """Return decisions as a file: CSV (cells harmless to spreadsheets), JSON lines or Parquet, oldest first."""
    now_s = context.clock()
    batches = export.batches(context.engine, query.narrowed(now_s, scope(who, query.tenant)))
    first = next(batches, None)
    chosen = FORMATS[query.format]
    _LOG.info("export.started", extra={"format": query.format, "who": who.name})
    return _Closing(
        _sent(chosen.encode(_again(first, batches))),
        media_type=chosen.media_type,
        headers={
            "content-disposition": f'attachment; filename="{_file_name(now_s, query.format)}"',
            "cache-control": "no-store",
        },
    )


class _Closing(StreamingResponse):
    """A stream that ends its source when the client leaves; Starlette leaves that to the garbage collector."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                await self.body_iterator.aclose()


def _again(first: list[DecisionRow] | None, rest: Iterator[list[DecisionRow]]) -> Iterator[Sequence[DecisionRow]]:
    """Return the batches, the one read already in front."""
    return chain([first], rest) if first is not None else iter(())


async def _sent(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces, each made in a thread; none is made once the client has left."""
    sent = 0
    try:
        while (piece := await run_in_threadpool(next, pieces, None)) is not None:
            sent += len(piece)
            if piece:
                yield piece
    finally:
        if isinstance(pieces, Generator):
            pieces.close()
        _LOG.info("export.ended", extra={"bytes": sent})


def _file_name(now_s: float, ending: str) -> str:
    return f"douane-decisions-{datetime.fromtimestamp(now_s, UTC):%Y%m%dT%H%M%SZ}.{ending}"
