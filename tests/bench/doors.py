"""What the doors cost beside each other: TLS opened or passed through, answers held or observed, many streams at once.

    python -m tests.bench.doors [--quick]

In: arguments. Out: tables on standard output, build/bench-doors.json.
* Handshakes: from the TCP connection to the end of TLS inside CONNECT. First: a host that was never asked for, so that a
  certificate is made for it; later: the same host again; passed: Envoy with the same doors and no inspection, to the same server.
* Requests: 1 KB prompts on 16 connections that are kept, one after the other on each.
* Streams: an event's way from the provider to here, observed and held (leak budget 256, the default, and 512: nothing held but what
  has not been looked at).
* Open streams: 2,000 at once through the gateway, begun within ten seconds, each of ten events to its end half a minute later.
The client is Python on the same cores: compare columns, not with other machines.
"""

import argparse
import asyncio
import json
import re
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trustme
import uvloop

from sidecar.envoyconf.doors import render_doors
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table
from tests.bench import streams
from tests.bench.bodies import KIB, pool, stamped
from tests.bench.contenders import PATH, Contender, start_envoy
from tests.bench.processes import Children, python
from tests.bench.sums import percentile
from tests.support.installation import Installation
from tests.support.ports import free_ports

_HOST = "api.openai.com"
_CONNECTIONS = 16
_OPEN_STREAMS = 2000


@dataclass(frozen=True)
class Way:
    """A way to the provider: the proxy's port, the host that CONNECT names, the certificates to trust."""

    proxy: int
    host: str
    port: int
    trust: ssl.SSLContext


@dataclass(frozen=True)
class Figures:
    """Units: milliseconds, requests a second, streams."""

    handshake_passed_ms: float
    handshake_first_ms: float
    handshake_later_ms: float
    passed_rps: float
    opened_rps: float
    gateway_rps: float
    observed_p50_ms: float
    observed_p99_ms: float
    held_p50_ms: float
    held_p99_ms: float
    unheld_p50_ms: float
    unheld_p99_ms: float
    held_characters: int
    open_streams: int
    broken_streams: int
    streams_first_p50_ms: float
    streams_first_p99_ms: float


async def _tunnel(way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, float]:
    """Return a connection through CONNECT and TLS, and how long that took in milliseconds."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", way.proxy)
    writer.write(f"CONNECT {way.host}:{way.port} HTTP/1.1\r\nhost: {way.host}:{way.port}\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in answer.split(b"\r\n")[0]:
        raise RuntimeError(f"CONNECT {way.host}: {answer!r}")
    await writer.start_tls(way.trust, server_hostname=way.host)
    return reader, writer, (time.perf_counter() - begun) * 1000


async def _handshakes(ways: list[Way]) -> float:
    """Return the median time of one handshake after the other, in milliseconds."""
    taken = []
    for way in ways:
        _, writer, took_ms = await _tunnel(way)
        taken.append(took_ms)
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
    return percentile(taken, 50)


def _request(body: bytes, host: str) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise RuntimeError(f"answered {head!r}")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if length is not None:
        await reader.readexactly(int(length[1]))
        return
    while size := int((await reader.readline()).strip() or b"0", 16):  # chunked
        await reader.readexactly(size + 2)
    await reader.readline()


async def _rate(opened: Callable[[], Any], host: str, seconds: float, serial: int) -> float:
    """Return requests a second on kept connections."""
    bodies = pool(1 * KIB, 400)
    until = time.perf_counter() + seconds
    done = 0

    async def client(number: int) -> None:
        nonlocal done
        reader, writer = await opened()
        turn = 0
        while time.perf_counter() < until:
            body = stamped(bodies[(number * 25 + turn) % len(bodies)], serial + number * 100_000 + turn)
            writer.write(_request(body, host))
            await _answer(reader)
            turn, done = turn + 1, done + 1
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(_CONNECTIONS)))
    return done / (time.perf_counter() - begun)


async def _first_two(way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer, _ = await _tunnel(way)
    return reader, writer


async def _hold_open(port: int, count: int) -> tuple[int, int, list[float]]:
    """Return how many streams ended well, how many did not, and the time to each first event in milliseconds."""
    body = stamped(pool(1 * KIB, 1, stream=True)[0], 7)
    request = _request(body, "bench").replace(b"content-type", b"accept: text/event-stream\r\ncontent-type", 1)
    request = request.replace(PATH.encode(), b"/groq" + PATH.encode(), 1)  # where the slow provider stands
    firsts: list[float] = []
    ended = broken = 0

    async def client(number: int) -> None:
        nonlocal ended, broken
        await asyncio.sleep(number / count * 10)
        begun = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            await reader.readuntil(b"data: ")
            firsts.append((time.perf_counter() - begun) * 1000)
            rest = await reader.readuntil(b"data: [DONE]")
            ended += rest.endswith(b"[DONE]")
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            broken += 1

    await asyncio.gather(*(client(number) for number in range(count)))
    return ended, broken, firsts


def _without_refusals(value: Any) -> Any:
    """Return a configuration without what keeps a proxy from this machine: the benchmark's server stands on it."""
    if isinstance(value, dict):
        return {key: _without_refusals(item) for key, item in value.items()}
    if isinstance(value, list):
        kept = (item for item in value if not (isinstance(item, dict) and _refuses(item)))
        return [_without_refusals(item) for item in kept]
    return value


def _refuses(item: dict[str, Any]) -> bool:
    name = str(item.get("name", ""))
    return "rbac" in name or name.endswith("/here")


def _passing_envoy(children: Children, folder: Path, port: int) -> int:
    """Start an Envoy with our doors that inspects nothing, and return its proxy's port."""
    (proxy,) = free_ports(1)
    spec = GatewaySpec(
        sockets=(), folder=str(folder / "passing"), proxy_port=proxy, connect_ports=(port,), passed_log="/dev/null"
    )
    Path(spec.folder).mkdir()
    for table in spec.tables[1:]:
        text = json.dumps(_without_refusals(json.loads(render_table(spec, table))))
        Path(spec.table_file(table)).write_text(text)
    Path(spec.doors_file).write_text(json.dumps(_without_refusals(json.loads(render_doors(spec)))))
    start_envoy(children, folder, "passing", spec, 2)
    return proxy


def _trust(path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(path))
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def _world(folder: Path, options: argparse.Namespace) -> Iterator[tuple[dict[str, Installation], Way, Way]]:
    """Start provider, Envoy and Douane; yield the installations, the way that is passed, the one that is opened."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "their.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    port, plain, slow = free_ports(3)
    with ExitStack() as stack:
        children = stack.enter_context(Children(folder))
        gaps = ("--chunks", str(options.chunks), "--gap-ms", str(options.gap_ms))
        tls = python("tests.bench.upstream", "--port", str(port), "--certificate", str(folder / "server.pem"), *gaps)
        children.start("upstream-tls", tls, lambda: _listens(port))
        children.start("upstream", python("tests.bench.upstream", "--port", str(plain), *gaps), lambda: _listens(plain))
        slowly = python("tests.bench.upstream", "--port", str(slow), "--chunks", "10", "--gap-ms", "3000")
        children.start("upstream-slow", slowly, lambda: _listens(slow))
        proxy = _passing_envoy(children, folder, port)
        secure = {
            "DOUANE_UPSTREAMS": f"openai=https://localhost:{port},azure=https://localhost:{port},groq=http://127.0.0.1:{slow}"
        }
        found = {}
        for name, policy in (
            ("observed", ""),
            ("held", "response: enforce\n"),
            ("unheld", "response: enforce\nleak_budget: 512\n"),
        ):
            where = (
                {**secure, "DOUANE_UPSTREAM_CA_FILE": str(folder / "their.pem")}
                if name == "observed"
                else {"DOUANE_UPSTREAMS": f"openai=http://127.0.0.1:{plain}"}
            )
            found[name] = Installation(folder / name, workers=2, policy=policy, **where)
            stack.callback(found[name].stop)
        for installation in found.values():
            installation.wait()
        ours = _trust(found["observed"].authority)
        passed = Way(proxy, "localhost", port, _trust(folder / "their.pem"))
        yield found, passed, Way(found["observed"].ports["proxy-port"], _HOST, 443, ours)


def _listens(port: int) -> bool:
    import socket

    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def measure(folder: Path, options: argparse.Namespace) -> Figures:
    """Return every figure, measured in one run."""
    with _world(folder, options) as (found, passed, opened):
        count = 20 if options.quick else 60
        new = [Way(opened.proxy, f"host{number}.openai.azure.com", 443, opened.trust) for number in range(count)]
        _say("handshakes …")
        uvloop.run(_handshakes([passed, opened] * 5))
        hands = [uvloop.run(_handshakes(ways)) for ways in ([passed] * count, new, new)]
        rates = []
        seconds = 2.0 if options.quick else 6.0
        gateway = found["observed"].ports["port"]
        ways: list[tuple[str, Callable[[], Any], str]] = [
            ("passed through", lambda: _first_two(passed), "localhost"),
            ("opened", lambda: _first_two(opened), _HOST),
            ("gateway", lambda: asyncio.open_connection("127.0.0.1", gateway), "bench"),
        ]
        for number, (name, way, host) in enumerate(ways):
            _say(f"requests, {name} …")
            rates.append(uvloop.run(_rate(way, host, seconds, 10**8 * (number + 1))))
        delays = []
        for name in ("observed", "held", "unheld"):
            _say(f"streams, {name} …")
            there = found[name]
            contender = Contender(name, name, there.ports["port"], {})
            sample = streams.run(contender, 20, options.chunks, 10**9 * (len(delays) + 1))
            delays += [sample.delay_p50_us / 1000, sample.delay_p99_us / 1000]
        _say(f"{options.open} streams at once …")
        ended, broken, firsts = uvloop.run(_hold_open(gateway, options.open))
    return Figures(
        *hands,
        *rates,
        *delays,
        held_characters=256,
        open_streams=ended,
        broken_streams=broken,
        streams_first_p50_ms=percentile(firsts, 50),
        streams_first_p99_ms=percentile(firsts, 99),
    )


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def table(found: Figures) -> str:
    """Return the figures as people read them."""
    added = found.handshake_passed_ms
    lines = [
        "handshake inside CONNECT (median)",
        f"  passed through                 {added:8.2f} ms",
        f"  opened, a host's first time    {found.handshake_first_ms:8.2f} ms   {found.handshake_first_ms - added:+.2f}",
        f"  opened, later                  {found.handshake_later_ms:8.2f} ms   {found.handshake_later_ms - added:+.2f}",
        "",
        f"1 KB prompts, {_CONNECTIONS} kept connections",
        f"  passed through                 {found.passed_rps:8,.0f} /s",
        f"  opened and inspected           {found.opened_rps:8,.0f} /s   {found.opened_rps / found.passed_rps:.2f} of passed",
        f"  gateway (plain HTTP inside)    {found.gateway_rps:8,.0f} /s   opened: {found.opened_rps / found.gateway_rps:.2f} of it",
        "",
        "an event's way through (p50, p99)",
        f"  observed                       {found.observed_p50_ms:8.2f} ms {found.observed_p99_ms:8.2f} ms",
        f"  held, leak budget 256          {found.held_p50_ms:8.2f} ms {found.held_p99_ms:8.2f} ms",
        f"  held, leak budget 512          {found.unheld_p50_ms:8.2f} ms {found.unheld_p99_ms:8.2f} ms",
        "",
        f"open streams: {found.open_streams} ended well, {found.broken_streams} did not; first event after "
        f"{found.streams_first_p50_ms:.0f} ms (p99 {found.streams_first_p99_ms:.0f})",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run and return an exit status: 0 measured, 1 something failed, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.doors",
        description=(__doc__ or "").partition("\n")[0],
        epilog=(__doc__ or "").partition("In:")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer handshakes, shorter load")
    parser.add_argument("--chunks", type=int, default=100, help="chunks per stream, six characters each (100)")
    parser.add_argument("--gap-ms", type=float, default=20, help="milliseconds between chunks (20: a quick model)")
    parser.add_argument("--open", type=int, default=_OPEN_STREAMS, help="streams at once (2000)")
    parser.add_argument("--output", type=Path, default=Path("build/bench-doors.json"), help="JSON file")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="douane-bench-") as folder:
            found = measure(Path(folder), options)
    except KeyboardInterrupt:
        _say("interrupted; everything is stopped")
        return 130
    except (RuntimeError, OSError, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(asdict(found), indent=1))
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
