"""The hold window over every wire format: an attack in a streamed answer, split over its events at every place."""

import json
from urllib.parse import urlsplit

import pytest

from sidecar.extproc.gate import Gate
from sidecar.policy import Policy, refuses_answer
from sidecar.protocols import protocol_for
from sidecar.protocols.reading import Reader
from sidecar.protocols.wire import Refused
from sidecar.types import Head, Segment
from tests.clients.requests_made import FORMATS, Format
from tests.sidecar.extproc.test_gate import look
from tests.sidecar.values import ATTACK
from tests.support.llm_host.application import answer_to

STREAMS = [known for known in FORMATS if known.stream is not None]
SEA = "a calm sea lies under a wide grey sky, " * 20
TOLD = Refused(403, "permission_denied", "douane_denied", "Douane: no", {"decision_id": "d-1", "threats": []})


def stream(known: Format, text: str) -> tuple[Head, tuple[bytes, ...]]:
    """Return the request's head and the events of a provider that says a text, three characters an event."""
    body = json.dumps({**known.body, **(known.stream or {})}).replace('"TEXT"', json.dumps(f"please-echo {text}"))
    path = known.stream_path or known.path
    parts = urlsplit(path)
    return Head("POST", path), answer_to("POST", parts.path, parts.query, body.encode()).parts


def said(head: Head, data: bytes) -> str:
    """Return the text of an answer as its own reader adds it up, without a refusal's words."""
    reader = Reader(protocol_for(head))
    reader.feed(data)
    segments: tuple[Segment, ...] = reader.finish().segments
    return "".join(segment.text for segment in segments if "douane" not in segment.text.lower())


def left(head: Head, chunks: tuple[bytes, ...], budget: int) -> tuple[bytes, Gate, Reader]:
    """Return what leaves of an answer, its end included."""
    reader, gate = Reader(protocol_for(head)), Gate(look, budget, lambda seen: refuses_answer(seen, Policy()))
    out = b""
    for number, chunk in enumerate(chunks):
        seen = reader.feed(chunk, end=number == len(chunks) - 1)
        over = reader.complete or number == len(chunks) - 1
        out += b"".join(frame.raw for frame in gate.take(seen, over=over))
    return out, gate, reader


@pytest.mark.parametrize("known", STREAMS, ids=lambda known: known.name)
def test_a_harmless_stream_leaves_byte_for_byte(known: Format) -> None:
    head, parts = stream(known, SEA)
    whole = b"".join(parts)
    for chunks in (parts, (whole,), tuple(whole[i : i + 97] for i in range(0, len(whole), 97))):
        out, gate, _ = left(head, chunks, 256)
        assert (out, gate.hit) == (whole, None)


@pytest.mark.parametrize("budget", [0, 256, 512])
@pytest.mark.parametrize("known", STREAMS, ids=lambda known: known.name)
def test_an_attack_never_leaks_more_than_the_budget(known: Format, budget: int) -> None:
    for shift in ("", "x", "xy"):
        text = f"{SEA}{shift} {ATTACK} and {SEA}"
        head, parts = stream(known, text)
        whole = b"".join(parts)
        for chunks in (parts, (whole,), tuple(whole[i : i + 97] for i in range(0, len(whole), 97))):
            out, gate, _ = left(head, chunks, budget)
            assert gate.hit is not None
            assert gate.hit.leaked <= budget
            assert ATTACK not in said(head, out)
            assert len(said(head, out)) - text.index(ATTACK) <= budget


@pytest.mark.parametrize("known", STREAMS, ids=lambda known: known.name)
def test_a_cut_stream_ends_in_the_provider_s_own_words(known: Format) -> None:
    head, parts = stream(known, f"{SEA} {ATTACK} and {SEA}")
    out, gate, reader = left(head, parts, 256)
    assert reader.framing is not None
    events = [(event.name, event.data) for event in protocol_for(head).stream_refusal(TOLD)]
    ended = out + reader.framing.closing(events, begun=gate.begun)
    again = Reader(protocol_for(head))
    seen = again.feed(ended, end=True)
    assert b"".join(item.frame.raw for item in seen) == ended
    assert not any(item.frame.lost for item in seen)
    assert b"Douane: no" in ended[len(out) :]
    if known.name == "gemini_array":
        assert json.loads(ended)[-1]["error"]["message"] == "Douane: no"
