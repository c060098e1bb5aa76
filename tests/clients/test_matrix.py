"""Every client at every door in every format it speaks: an ordinary call, a streamed one, and an attack that must be refused."""

import base64
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.clients import CLIENTS, Client, Seen, run
from tests.clients.doors import DOORS, Door, direct, gateway, proxy, upstreams
from tests.clients.requests_made import CANARY, PROVIDER_OF, calls, file_of
from tests.support.installation import Installation
from tests.support.llm_host import LlmHost
from tests.support.llm_host.script import GREETING

pytestmark = pytest.mark.server

_POLICY = f"response: enforce\ncanaries: [{CANARY}]\ndeny_score: 10\n"
_AT_ONCE = 3  # on two cores; a client waits half of its time
_DECISION = re.compile(r"decision ([0-9a-f-]{32,36})")
_SAID = {"openai_embeddings": "[0.25, -0.5, 0.125]"}
CELLS = [(client, door, name) for client in CLIENTS for door in DOORS for name in client.refusals]


@dataclass
class World:
    """One provider, one Douane, and the clients that were started; each runs once a door, for all its formats."""

    douane: Installation
    doors: dict[str, Door]
    folder: Path
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE))
    started: dict[tuple[str, str], "Future[dict[tuple[str, str], Seen]]"] = field(default_factory=dict)

    def start(self, client: Client, door: str) -> None:
        if (client.name, door) not in self.started and not client.missing():
            future = self.pool.submit(run, client, self.doors[door], self.folder / f"{door}.calls")
            self.started[client.name, door] = future

    def saw(self, client: Client, door: str, format_name: str, step: str) -> Seen:
        return self.started[client.name, door].result()[format_name, step]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """Start Douane, then the clients of every test that was asked for."""
    folder = Path(tmp_path_factory.mktemp("m"))
    host = LlmHost(folder)
    douane = Installation(
        folder / "data", policy=_POLICY, DOUANE_UPSTREAMS=upstreams(host), DOUANE_UPSTREAM_CA_FILE=str(host.authority)
    ).wait()
    doors = {door.name: door for door in (direct(host, folder), gateway(douane), proxy(douane))}
    for door in doors.values():
        (folder / f"{door.name}.calls").write_text(file_of(calls(door.bases)))
    world = World(douane, doors, folder)
    for client, door in _asked_for(request.session.items):
        world.start(client, door)
    yield world
    world.pool.shutdown(cancel_futures=True)
    assert douane.stop() == 0
    host.close()


def _asked_for(items: list[pytest.Item]) -> Iterator[tuple[Client, str]]:
    for item in items:
        parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        if {"client", "door"} <= parameters.keys():
            yield parameters["client"], parameters["door"]


@pytest.mark.parametrize(("client", "door", "format_name"), CELLS, ids=lambda value: getattr(value, "name", value))
def test_a_client_is_answered_and_its_attack_refused(
    world: World, client: Client, door: str, format_name: str, record_property: Callable[[str, object], None]
) -> None:
    missing = client.missing()
    if missing:
        assert not os.environ.get("CI"), f"{client.name}: {missing} is not installed; make test installs it"
        pytest.skip(f"{client.name}: {missing} is not installed")
    if (door, format_name) in client.shut:
        record_property("cell", "shut")
        shut = client.shut[door, format_name]
        assert [world.saw(client, door, format_name, step).outcome for step in ("plain", "stream", "attack")] == [
            shut
        ] * 3
        return
    for step, expected in _expected(world.doors[door], client, format_name):
        seen = world.saw(client, door, format_name, step)
        assert seen.outcome == expected.outcome, f"{step}: {_readable(client, seen)}"
        assert seen.text == expected.text, step
    attack = world.saw(client, door, format_name, "attack")
    if door == "direct":
        assert attack.outcome in ("ok", "200")
    else:
        assert attack.outcome == client.refusals[format_name], _readable(client, attack)
        _assert_recorded(world, _readable(client, attack), door, format_name)
        _assert_cut(world, client, door, format_name)


def _assert_cut(world: World, client: Client, door: str, format_name: str) -> None:
    """Check that a forbidden answer ended with the provider's own error, at which SDKs raise."""
    if (format_name, "cut") not in world.started[client.name, door].result():
        return  # this format does not stream
    cut = world.saw(client, door, format_name, "cut")
    words = _readable(client, cut)
    assert CANARY not in words
    assert (cut.outcome == "200") == client.plain_http, words
    assert cut.outcome != "ok", words
    assert _DECISION.search(words), f"{cut.outcome} {words}"


def _assert_recorded(world: World, words: str, door: str, format_name: str) -> None:
    """Check that a refusal names its decision, and that the books know it."""
    found = _DECISION.search(words)
    assert found, words
    record = world.douane.record(found[1])
    assert (record["door"], record["provider"]) == (door, PROVIDER_OF[format_name])
    assert (record["applied"], record["outcome"], record["http_status"]) == ("deny", "denied", 403)


def _readable(client: Client, seen: Seen) -> str:
    return base64.b64decode(seen.text).decode(errors="replace") if client.plain_http else seen.text


def _expected(door: Door, client: Client, format_name: str) -> Iterator[tuple[str, Seen]]:
    """Yield what a client sees of its ordinary and its streamed call: plain HTTP clients the very bytes of the provider."""
    for call in calls(door.bases):
        if call.format == format_name and call.step in ("plain", "stream"):
            if client.plain_http:
                yield call.step, Seen("200", base64.b64encode(call.expected).decode())
            else:
                yield call.step, Seen("ok", _SAID.get(format_name, "".join(GREETING)))


@pytest.mark.parametrize("door", ["direct", "proxy"])
@pytest.mark.parametrize(
    ("client", "version"), [(CLIENTS[0], "1.1"), (CLIENTS[1], "2")], ids=lambda value: getattr(value, "name", value)
)
def test_curl_speaks_the_version_it_was_told(world: World, client: Client, version: str, door: str) -> None:
    assert world.saw(client, door, "", "version").outcome == version
