"""One line of Envoy's pass-through log, read.

In: bytes of a line (envoyconf/passthrough_log.py says what is in it). Out: a Passage.
The names in it come from clients: they are lowered, cut, and what cannot stand in a host name becomes `?`.
Never: trusts a line to be whole. A killed Envoy leaves half a line that the next one continues: the whole line at its end is read.
"""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

_MAX_NAME = 253  # RFC 1035, 2.3.4: the longest host name in text
_NOT_IN_NAMES = re.compile(r"[^a-z0-9.:_-]")
_ADDRESS = re.compile(r"\[?([0-9a-zA-Z.:_-]+?)\]?:(\d{1,5})")
# Envoy's response flags that say the host was never reached: no host, no route, no cluster, overflow, connection failed, name not
# resolved, retries at an end. Source: Envoy 1.40, access log usage, RESPONSE_FLAGS.
_UNREACHED = frozenset({"UF", "UH", "NR", "NC", "UO", "DF", "URX", "OM"})
_ENDS = frozenset({"TcpConnectionEnd", "DownstreamEnd", "UpstreamEnd"})
MAX_BYTES = 2**62  # no connection carries more; a number beyond it is not one


@dataclass(frozen=True, slots=True)
class Passage:
    """What a line says about one connection that passed without inspection.

    Units: *_us microseconds since 1970 UTC. bytes_* are sums since the connection began; out is from the client to the host.
    host is the name the client gave, else the address; named says which. port is 0 when it is not known. also are further names it
    gave (a CONNECT to one host with the SNI of another): whoever asks what passed must look at all of them.
    """

    key: str
    door: str
    host: str
    port: int
    named: bool
    client: str
    started_us: int
    written_us: int
    bytes_out: int
    bytes_in: int
    ended: bool
    reached: bool
    also: tuple[tuple[str, int], ...] = ()


class _Line(msgspec.Struct):
    connection: int
    start: str
    written: str
    door: str
    bytes_out: int
    bytes_in: int
    stream: str | None = None
    kind: str | None = None
    sni: str | None = None
    connect: str | None = None
    authority: str | None = None
    upstream: str | None = None
    destination: str | None = None
    client: str | None = None
    via: str | None = None
    flags: str | None = None


_DECODER = msgspec.json.Decoder(_Line)


def read_line(line: bytes) -> Passage | None:
    """Return what a line says, None when nothing in it can be read.

    Bounds: at most two attempts; the second reads from the last opening brace, because lines are flat objects.
    """
    for begin in (0, line.rfind(b"{")):
        try:
            return _passage(_DECODER.decode(line[max(0, begin) :]))
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            continue
    return None


def is_whole(line: bytes) -> bool:
    """True when a line that could be read stood alone: False means that half a line was lost before it."""
    return line.count(b"{") <= 1 or _decodes(line)


def _decodes(line: bytes) -> bool:
    try:
        _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _passage(line: _Line) -> Passage:
    (host, port), *also = _names(line) or [_address(line)]
    reached = _reached(line)
    return Passage(
        key=f"{line.connection}/{line.start}/{(line.stream or '')[:64]}",
        door=clean(line.door)[:32],
        host=host,
        port=port,
        named=bool(_names(line)),
        client=_split(line.via)[0] or _split(line.client)[0],
        started_us=_microseconds(line.start),
        written_us=_microseconds(line.written),
        bytes_out=_bounded(line.bytes_out),
        bytes_in=_bounded(line.bytes_in) if reached else 0,  # what Envoy answered itself came from nowhere
        ended=line.kind in _ENDS,
        reached=reached,
        also=tuple(also),
    )


def _reached(line: _Line) -> bool:
    """A TCP connection that brought bytes reached its host whatever the flags of earlier attempts; HTTP may answer by itself."""
    brought = line.bytes_in > 0 and (line.kind or "").startswith("Tcp")
    return brought or not _UNREACHED.intersection((line.flags or "").split(","))


def _names(line: _Line) -> list[tuple[str, int]]:
    """Return the (host, port) that the client named: by SNI first, then by CONNECT, then as an HTTP authority."""
    port = _split(line.connect)[1] or _split(line.upstream)[1]
    found = [_split(text) for text in (line.sni, line.connect, line.authority)]
    return list(dict.fromkeys((name, own or port) for name, own in found if name))


def _address(line: _Line) -> tuple[str, int]:
    """Return where a connection without a name went."""
    found = (_split(line.upstream), _split(line.destination))
    return next((one for one in found if one[0]), ("_unknown", 0))


def _split(text: str | None) -> tuple[str, int]:
    """Return host and port of a name or an address; nothing of what is neither (Envoy's own internal addresses)."""
    if not text or text == "-" or text.startswith("envoy://"):
        return "", 0
    match = _ADDRESS.fullmatch(text)
    if match and (text.count(":") == 1 or text.startswith("[")):
        return clean(match[1]), int(match[2])
    return clean(text.strip("[]")), 0


def clean(name: Any) -> str:
    """Return a name as it may be stored and shown."""
    return _NOT_IN_NAMES.sub("?", str(name).lower().rstrip("."))[:_MAX_NAME]


def _microseconds(text: str) -> int:
    """Raises: ValueError for what is no time."""
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 1_000_000 + int(fraction or 0)


def _bounded(count: int) -> int:
    return min(max(count, 0), MAX_BYTES)
