"""A body nobody reads: every string in it is scanned, and what is not is counted."""

import pytest

from sidecar.protocols import opaque
from sidecar.protocols.json_body import MalformedBody
from sidecar.protocols.reading import Reader
from sidecar.protocols.text_body import MAX_TEXT_BYTES
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason

LONG = "a text that is long enough"


def read(data: bytes, content_type: str = "") -> LlmMessage:
    return opaque.read_request(
        data, Head("POST", "/v1/x", headers={"content-type": content_type} if content_type else {})
    )


def said(*segments: tuple[str, str], unscanned: tuple[Unscanned, ...] = ()) -> LlmMessage:
    found = tuple(Segment(text, Surface.USER, -1, path) for path, text in segments)
    return LlmMessage("opaque", found, unscanned=unscanned)


def test_everything_matches() -> None:
    assert opaque.matches(Head())


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json", "text/plain"]
)
def test_json_is_read_leaf_by_leaf_whatever_it_is_called(content_type: str) -> None:
    """In a body read as text an attack could hide behind escapes; many providers ignore the content type."""
    assert read(b'{"input": "\\u0061 text that is long enough"}', content_type) == said(("/input", LONG))


def test_byte_order_mark_does_not_hide_json() -> None:
    assert read(b'\xef\xbb\xbf{"input": "\\u0061 text that is long enough"}', "text/plain") == said(("/input", LONG))


@pytest.mark.parametrize("content_type", ["", "application/json", "APPLICATION/JSON"])
def test_broken_json_is_malformed(content_type: str) -> None:
    with pytest.raises(MalformedBody):
        read(b'{"input": ', content_type)


def test_json_declared_and_not_sent_is_malformed() -> None:
    with pytest.raises(MalformedBody):
        read(b"a=b", "application/json")


@pytest.mark.parametrize("data", [b"{braces} are also text", b"q=a+form&x=1", "un été".encode()])
def test_other_text_is_one_segment(data: bytes) -> None:
    assert read(data, "text/plain") == said(("", data.decode()))


def test_bytes_that_are_no_text_are_counted() -> None:
    assert read(b"\x89PNG\xff", "image/png") == said(unscanned=(Unscanned(UnscannedReason.BINARY, 5),))


def test_empty_body_has_nothing_to_scan() -> None:
    assert read(b"", "application/json") == said()


def reply(*chunks: bytes) -> LlmReply:
    reader = Reader(opaque)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


def test_answer_is_read_however_it_is_split() -> None:
    data = b'{"data": ["' + LONG.encode() + b'"]}'
    expected = LlmReply((Segment(LONG, Surface.OUTPUT, -1, "/data/0"),))
    assert all(reply(data[:cut], data[cut:]) == expected for cut in range(len(data)))


def test_answer_in_text_or_nothing_is_read_as_text() -> None:
    assert reply(b"<html>oops</html>") == LlmReply((Segment("<html>oops</html>", Surface.OUTPUT),))
    assert reply() == LlmReply()
    assert reply(b"\xff\xfe") == LlmReply(unscanned=(Unscanned(UnscannedReason.BINARY, 2),))


@pytest.mark.parametrize("letter", ["x", "é", "語"])
def test_answer_beyond_the_limit_is_read_up_to_it_and_counted(letter: str) -> None:
    """The limit may fall into the middle of a character."""
    data = b"x" + letter.encode() * 300_000
    limit = MAX_TEXT_BYTES
    found = reply(data[:1000], data[1000:])
    assert found.unscanned == (Unscanned(UnscannedReason.LIMIT, len(data) - limit),)
    assert [s.text for s in found.segments] == [data[:limit].decode("utf-8", "ignore")]


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
def test_json_lines_are_read_line_by_line(content_type: str) -> None:
    found = read(b'{"a": "\\u0061 text that is long enough"}\n\n["another text, just as long"]\n', content_type)
    assert found == LlmMessage(
        "opaque",
        (
            Segment(LONG, Surface.USER, 0, "/a"),
            Segment("another text, just as long", Surface.USER, 1, "/0"),
        ),
    )
    with pytest.raises(MalformedBody):
        read(b'{"a": 1}\n{"a"', content_type)
