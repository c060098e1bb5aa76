"""GET /api/stream: what happens now, as Server-Sent Events: decisions, alerts, whatever else the live feed carries.

An event has the feed's id, so that a browser that comes back (Last-Event-ID) goes on where it was, on any replica; a `gap`
says that events between were no longer kept. A comment every HEARTBEAT_S keeps proxies from closing a silent stream. Who
reads too slowly gets `dropped` as its last event and is let go; who does not read at all is cut off after STALL_S: nobody
ever holds up the feed. `closed` is the last event when the service stops; `retry` tells browsers when to come back.
Source: WHATWG HTML, section 9.2 (Server-sent events).
Never: an event of another tenant; a line of an event that text of a record could end (data is one line of JSON).
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from analytics.api.auth import Viewer
from analytics.api.context import Use
from analytics.api.decisions import Action, Level
from analytics.api.errors import responses
from analytics.api.parameters import Name, PathName
from analytics.live.feed import CLOSED, DROPPED, GAP, LAST_KINDS, Feed, LiveEvent
from analytics.types import LEVELS

router = APIRouter(tags=["live"])
_LOG = logging.getLogger("analytics.api")

# The WHATWG text advises "every 15 seconds or so" against proxies that drop silent connections.
HEARTBEAT_S = 15.0
# Longest that one write may take: a client that reads nothing for two heartbeats is not there.
STALL_S = 2 * HEARTBEAT_S
# When a browser comes back: at once enough to miss little, not so soon that a restart is met by everybody in one instant.
RETRY_MS = 2_000
# Ids are `<milliseconds>-<count>`: two integers of at most 63 bits.
MAX_ID_CHARS = 40

_WORDS = {
    DROPPED: "read too slowly: connect again with the last id to go on",
    CLOSED: "the service stops: connect again",
    GAP: "events were missed: read what is shown again",
}
EventId = Annotated[str, StringConstraints(max_length=MAX_ID_CHARS, pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")]
_EXAMPLE_ID = "1795000000000-0"


class Wanted(BaseModel):
    """What a stream is narrowed to. The filters from `action` on are asked of decisions; other kinds pass them."""

    model_config = ConfigDict(extra="forbid")

    kind: list[Name] = Field(
        default=[], max_length=16, description="Kinds of events wanted; none: all.", examples=[["decision", "alert"]]
    )
    action: Action | None = Field(default=None, description="What happened to the request.", examples=["deny"])
    min_level: Level | None = Field(default=None, description="Least risk level.", examples=["high"])
    user: Name | None = Field(default=None, description="One user.", examples=["alice"])
    model: Name | None = Field(default=None, description="One model.", examples=["gpt-4o"])
    endpoint: PathName | None = Field(default=None, description="One endpoint.", examples=["/v1/messages"])
    last_event_id: EventId | None = Field(
        default=None,
        description="The last event seen, for clients that cannot set the header Last-Event-ID.",
        examples=[_EXAMPLE_ID],
    )

    def admits(self, event: LiveEvent) -> bool:
        """Return True when the event is wanted; what the feed itself has to say always is."""
        if event.kind in _WORDS:
            return True
        if self.kind and event.kind not in self.kind:
            return False
        return event.kind != "decision" or self._narrowed(event.data)

    def _narrowed(self, data: Mapping[str, Any]) -> bool:
        asked = {"applied": self.action, "user": self.user, "model": self.model, "endpoint": self.endpoint}
        if any(wanted is not None and data.get(name) != wanted for name, wanted in asked.items()):
            return False
        level = data.get("level")
        return self.min_level is None or (level in LEVELS and LEVELS.index(level) >= LEVELS.index(self.min_level))


class _Stream(StreamingResponse):
    """A stream whose every write has stall_s, so that a client that reads nothing does not stay for ever."""

    def __init__(self, content: AsyncGenerator[bytes, None], stall_s: float) -> None:
        # no-transform and X-Accel-Buffering: proxies must hand events on as they come.
        headers = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._content = content
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the content ends, its client leaves, or a write takes too long."""

        async def timed(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        try:
            await super().__call__(scope, receive, timed)
        except (TimeoutError, ClientDisconnect):
            _LOG.info("stream.cut_off")
        finally:
            await self._content.aclose()


_EXAMPLE = """retry: 2000

id: 1795000000000-0
event: decision
data: {"decision_id":"0199d1c2a4b07c3e8f2a6b1d4e5f6071","applied":"deny","level":"critical","user":"alice"}

: ping
"""
_ANSWER: dict[str, Any] = {
    "description": "The events, until the client leaves; `event` is the kind, `data` one JSON object, `id` resumes.",
    "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
}


@router.get(
    "/api/stream",
    summary="Follow what happens now",
    response_class=StreamingResponse,
    responses={200: _ANSWER, **responses(401, 403, 422, 503)},
)
async def stream(
    context: Use,
    who: Viewer,
    wanted: Annotated[Wanted, Query()],
    last_event_id: Annotated[
        EventId | None,
        Header(description="The last event seen; browsers send it when they come back.", examples=[_EXAMPLE_ID]),
    ] = None,
) -> StreamingResponse:
    """Send decisions and alerts as they happen, as Server-Sent Events."""
    after = last_event_id or wanted.last_event_id
    return _Stream(_events(context.feed, who.tenant, wanted, after), STALL_S)


async def _events(feed: Feed, tenant: str | None, wanted: Wanted, after: str | None) -> AsyncGenerator[bytes, None]:
    yield format_sse_event(retry=RETRY_MS)
    seen = after
    async with feed.subscribe(tenant, after) as queue:
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
            except TimeoutError:
                # The id goes with the heartbeat, so that events that were filtered out are not asked for again.
                yield format_sse_event(comment="ping", id=seen)
                continue
            seen = event.id or seen
            if wanted.admits(event):
                yield _written(event)
            if event.kind in LAST_KINDS:
                return


def _written(event: LiveEvent) -> bytes:
    data = {"reason": _WORDS[event.kind]} if event.kind in _WORDS else event.data
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))  # one line whatever a record's text holds
    return format_sse_event(event=event.kind, data_str=text, id=event.id or None)
