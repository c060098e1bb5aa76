"""AWS event streams split anywhere, broken anywhere; botocore reads what we write."""

import base64
import json
import struct
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols import aws_frames
from sidecar.protocols.aws_frames import AwsFrames, event, exception
from sidecar.protocols.frames import MAX_FRAME_BYTES, Frame

DELTA = b'{"contentBlockIndex":0,"delta":{"text":"Un \xc3\xa9t\xc3\xa9"},"p":"abcdef"}'
INNER = b'{"type":"ping"}'
CHUNK = json.dumps({"bytes": base64.b64encode(INNER).decode(), "p": "abc"}).encode()
MESSAGES = [
    event("contentBlockDelta", DELTA),
    event("chunk", CHUNK),
    event("empty", b""),
    exception("xException", b"{}"),
]


def frames(*chunks: bytes) -> list[Frame]:
    framing = AwsFrames()
    return [frame for chunk in chunks for frame in framing.feed(chunk)] + framing.finish()


def parsed(data: bytes) -> list[Any]:
    """Return what botocore reads. It is not locked: it asks for an older python-dateutil than Envoy's configuration does."""
    buffer = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


def test_messages_are_framed_split_at_every_byte() -> None:
    data = b"".join(MESSAGES)
    expected = [Frame(raw, inner) for raw, inner in zip(MESSAGES, (DELTA, INNER, None, b"{}"), strict=True)]
    for cut in range(len(data)):
        assert frames(data[:cut], data[cut:]) == expected
    assert frames(*(data[i : i + 1] for i in range(len(data)))) == expected


def test_botocore_reads_what_we_write() -> None:
    found = parsed(b"".join(MESSAGES))
    assert [(m.headers.get(":event-type"), m.payload) for m in found] == [
        ("contentBlockDelta", DELTA), ("chunk", CHUNK), ("empty", b""), (None, b"{}"),
    ]  # fmt: skip
    assert found[3].headers == {
        ":exception-type": "xException", ":content-type": "application/json", ":message-type": "exception"
    }  # fmt: skip


def test_other_data_brings_its_own_lengths_and_checksums() -> None:
    framing = AwsFrames()
    first, chunk, *_ = framing.feed(b"".join(MESSAGES))
    new = parsed(framing.with_data(first, b'{"a":1}') + framing.like(chunk, b'{"b":2}'))
    assert [(m.headers[":event-type"], m.payload) for m in new[:1]] == [("contentBlockDelta", b'{"a":1}')]
    around = json.loads(new[1].payload)
    assert (base64.b64decode(around["bytes"]), around["p"]) == (b'{"b":2}', "abc")


def test_a_stream_ends_with_an_exception() -> None:
    (found,) = parsed(AwsFrames().closing([("accessDeniedException", b'{"message":"no"}')], begun=True))
    assert found.to_response_dict() == {
        "status_code": 400,
        "headers": {
            ":exception-type": "accessDeniedException",
            ":content-type": "application/json",
            ":message-type": "exception",
        },
        "body": b'{"message":"no"}',
    }


def test_a_message_with_a_wrong_checksum_is_lost_and_the_next_is_read() -> None:
    broken = bytearray(MESSAGES[0])
    broken[-6] ^= 1
    data = bytes(broken) + MESSAGES[0]
    expected = [Frame(bytes(broken), lost=True), Frame(MESSAGES[0], DELTA)]
    for cut in range(len(data)):
        assert frames(data[:cut], data[cut:]) == expected


def prelude(size: int, headers: int) -> bytes:
    lengths = struct.pack(">II", size, headers)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


@pytest.mark.parametrize(
    "start",
    [b"\0\0\0\x20\0\0\0\0\0\0\0\0", prelude(12, 0), prelude(20, 8), prelude(0, 0), b"upstream connect error"],
    ids=["wrong checksum", "too short", "headers too long", "nothing", "text"],
)
def test_after_a_wrong_prelude_everything_is_lost(start: bytes) -> None:
    found = frames(MESSAGES[0] + start, MESSAGES[0])
    assert [frame.lost for frame in found] == [False, True, True]
    assert b"".join(frame.raw for frame in found) == MESSAGES[0] + start + MESSAGES[0]


def test_a_huge_message_is_let_go_and_the_next_is_read() -> None:
    size = MAX_FRAME_BYTES + 1
    huge = prelude(size, 0) + b"x" * (size - 12)
    framing = AwsFrames()
    held = framing.feed(huge[:1000])
    assert [(len(frame.raw), frame.lost) for frame in held] == [(1000, True)]
    found = framing.feed(huge[1000:] + MESSAGES[0])
    assert [frame.lost for frame in found] == [True, False]
    assert found[-1].data == DELTA


def test_a_message_cut_off_is_lost() -> None:
    assert frames(MESSAGES[0][:-1]) == [Frame(MESSAGES[0][:-1], lost=True)]


@pytest.mark.parametrize(
    "payload", [b"[]", b"{}", b'{"bytes":7}', b'{"bytes":"not base64!"}', b"no json", b'{"bytes":"a"}']
)
def test_a_chunk_that_holds_no_event_is_read_as_it_is(payload: bytes) -> None:
    framing = AwsFrames()
    (frame,) = framing.feed(event("chunk", payload))
    assert frame.data == payload
    assert parsed(framing.with_data(frame, b"{}"))[0].payload == b"{}"


def test_headers_of_every_type_are_stepped_over() -> None:
    data = b"".join(
        bytes((1, ord("a"), kind)) + value
        for kind, value in (
            (0, b""), (1, b""), (2, b"\1"), (3, b"\0\1"), (4, bytes(4)), (5, bytes(8)), (6, b"\0\2xy"), (8, bytes(8)),
            (9, bytes(16)),
        )
    )  # fmt: skip
    assert aws_frames.headers(data + b"\1b\7\0\3yes") == {"b": "yes"}
    assert aws_frames.headers(b"\1b\x0b" + b"\1b\7\0\3yes") == {}
    for cut in range(len(data)):
        assert aws_frames.headers(data[:cut]) == {}


@given(st.binary(max_size=300), st.lists(st.integers(0, 600), max_size=5), st.booleans())
def test_no_byte_is_dropped(garbage: bytes, cuts: list[int], sane: bool) -> None:
    data = (MESSAGES[0] if sane else b"") + garbage + MESSAGES[1]
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assert b"".join(frame.raw for frame in frames(*(data[a:b] for a, b in pairwise(edges)))) == data
