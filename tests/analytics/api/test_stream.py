"""The stream as a client reads it: through ASGI without a socket, and through a real server where sockets matter."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from analytics.access.principal import Principal
from analytics.api import auth, stream
from analytics.live.feed import Feed, LiveEvent


class Reader:
    """A client of one stream: its status, its headers, its events as they come."""

    def __init__(self, application: FastAPI, query: str = "", headers: dict[str, str] | None = None) -> None:
        self._application = application
        sent = {"host": "127.0.0.1"} | (headers or {})
        given = [(name.encode(), value.encode()) for name, value in sent.items()]
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/stream",
            "raw_path": b"/api/stream",
            "query_string": query.encode(),
            "root_path": "",
            "headers": given,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.sent.put(message)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator["Reader"]:
        """Connect; leave at the end."""
        task = asyncio.create_task(self._application(self._scope, self._receive, self._send))
        start = await self.sent.get()
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        try:
            yield self
        finally:
            self.gone.set()
            await asyncio.wait_for(task, 5)

    async def chunk(self) -> str:
        """Return the next piece; empty at the end."""
        message = await asyncio.wait_for(self.sent.get(), 5)
        return bytes(message["body"]).decode()

    async def event(self) -> dict[str, Any]:
        """Return the next event by its fields, data read as JSON."""
        lines = [line.partition(": ") for line in (await self.chunk()).splitlines() if line]
        fields: dict[str, Any] = {name: value for name, _, value in lines}
        return fields | ({"data": json.loads(fields["data"])} if "data" in fields else {})


def feed_of(application: FastAPI) -> Feed:
    feed: Feed = application.state.context.feed
    return feed


def decision(number: int, tenant: str = "default", **data: Any) -> LiveEvent:
    return LiveEvent("decision", tenant, {"number": number, "applied": "allow", "level": "low", "user": "u"} | data)


async def test_events_come_with_their_ids_and_kinds(application: FastAPI) -> None:
    async with Reader(application).reading() as reader:
        assert (reader.status, reader.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert reader.headers["cache-control"] == "no-store, no-transform"
        assert reader.headers["x-content-type-options"] == "nosniff"
        assert await reader.event() == {"retry": "2000"}
        feed_of(application).publish(decision(1, user="a\nb\r\n\u2028data: x"), LiveEvent("alert", "", {"title": "é"}))
        first, second = await reader.event(), await reader.event()
    assert (first["event"], first["data"]["number"]) == ("decision", 1)
    assert first["data"]["user"] == "a\nb\r\n\u2028data: x"
    assert (second["event"], second["data"]) == ("alert", {"title": "é"})
    assert first["id"] < second["id"]
    assert feed_of(application).watched == 0


async def read_numbers(application: FastAPI, query: str, events: list[LiveEvent]) -> list[Any]:
    async with Reader(application, query).reading() as reader:
        await reader.event()
        feed_of(application).publish(*events, LiveEvent("alert", "", {"number": "end"}))
        found = []
        while not found or found[-1] != "end":
            found.append((await reader.event())["data"]["number"])
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, "end"]),
        ("action=deny", [2, "end"]),
        ("min_level=high", [2, 3, "end"]),
        ("user=bob&min_level=low", [3, "end"]),
        ("model=none", ["end"]),
        ("kind=alert", ["end"]),
        ("kind=alert&kind=decision&action=deny", [2, "end"]),
    ],
)
async def test_filters(application: FastAPI, query: str, expected: list[Any]) -> None:
    events = [
        decision(1),
        decision(2, applied="deny", level="critical"),
        decision(3, user="bob", level="high"),
    ]
    assert await read_numbers(application, query, events) == expected


async def test_a_tenant_sees_its_own_events_and_everybodys(application: FastAPI) -> None:
    application.dependency_overrides[auth._principal] = lambda: Principal("v", "viewer", "shop")
    assert await read_numbers(application, "", [decision(1), decision(2, "shop"), decision(3, "bank")]) == [2, "end"]


@pytest.mark.parametrize("way", ["header", "query"])
async def test_who_comes_back_goes_on_where_it_was(application: FastAPI, way: str) -> None:
    async with Reader(application).reading() as reader:
        await reader.event()
        feed_of(application).publish(decision(1), decision(2), decision(3))
        seen = (await reader.event())["id"]
    query, headers = (f"last_event_id={seen}", {}) if way == "query" else ("", {"last-event-id": seen})
    async with Reader(application, query, headers).reading() as again:
        await again.event()
        assert [(await again.event())["data"]["number"] for _ in range(2)] == [2, 3]


async def test_events_that_are_no_longer_kept_are_a_gap(application: FastAPI) -> None:
    feed_of(application).publish(*(decision(number) for number in range(2_000)))
    async with Reader(application, "last_event_id=1-0").reading() as reader:
        await reader.event()
        gap = await reader.event()
        assert (gap["event"], gap["data"]) == ("gap", {"reason": "events were missed: read what is shown again"})
        assert "id" not in gap
        following = await reader.event()
    assert following["event"] == "decision"


async def test_a_slow_reader_is_told_and_let_go(application: FastAPI) -> None:
    """The events come faster than the loop hands them on: the queue is full before its reader has looked."""
    async with Reader(application).reading() as reader:
        await reader.event()
        feed_of(application).publish(*(decision(number) for number in range(700)))
        numbers = []
        while (event := await reader.event())["event"] == "decision":
            numbers.append(event["data"]["number"])
        assert numbers == list(range(500))
        assert (event["event"], event["data"]["reason"]) == (
            "dropped",
            "read too slowly: connect again with the last id to go on",
        )
        assert await reader.chunk() == ""
        assert feed_of(application).watched == 0


async def test_the_end_of_the_service_is_an_event(application: FastAPI) -> None:
    async with Reader(application).reading() as reader:
        await reader.event()
        feed_of(application).close()
        assert (await reader.event())["event"] == "closed"
        assert await reader.chunk() == ""


async def test_silence_is_filled_with_the_id_of_what_was_passed_over(
    application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.01)
    async with Reader(application, "kind=alert").reading() as reader:
        await reader.event()
        assert await reader.chunk() == ": ping\n\n"
        feed_of(application).publish(decision(1))
        while (beat := await reader.chunk()) == ": ping\n\n":
            pass
    assert beat.startswith(": ping\nid: 1795001800000-")


@pytest.mark.parametrize(
    ("query", "headers", "param"),
    [
        ("last_event_id=x", {}, "last_event_id"),
        ("", {"last-event-id": "9" * 30 + "-0"}, "last-event-id"),
        ("min_level=enormous", {}, "min_level"),
        ("colour=blue", {}, "colour"),
        ("&".join(["kind=a"] * 17), {}, "kind"),
    ],
)
def test_a_wrong_query_is_refused_before_anything_is_sent(
    client: TestClient, query: str, headers: dict[str, str], param: str
) -> None:
    answer = client.get(f"/api/stream?{query}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


@pytest.fixture
def server(application: FastAPI) -> Iterator[tuple[str, int]]:
    """Serve the application on a free port, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None, ws="none"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        feed_of(application).close()
        running.should_exit = True
        thread.join(10)


@pytest.mark.server
def test_a_client_that_reads_nothing_is_cut_off(
    application: FastAPI, server: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection takes no more, so that a write waits: after STALL_S its place in the feed is free again."""
    monkeypatch.setattr(stream, "STALL_S", 0.2)
    feed = feed_of(application)
    with socket.create_connection(server) as connection:
        connection.sendall(b"GET /api/stream HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.recv(1)
        for number in range(400):
            feed.publish(decision(number, text="x" * 30_000))
        for _ in range(100):
            if feed.watched == 0:
                break
            threading.Event().wait(0.05)
    assert feed.watched == 0
