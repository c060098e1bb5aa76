"""Bodies that are no JSON."""

from sidecar.protocols.text_body import MAX_TEXT_BYTES, read_reply, read_text
from sidecar.types import LlmReply, Segment, Surface, Unscanned, UnscannedReason


def test_text_is_one_segment_and_nothing_is_none() -> None:
    assert read_text("un été".encode(), Surface.USER) == ((Segment("un été", Surface.USER),), ())
    assert read_text(b"", Surface.USER) == ((), ())


def test_bytes_that_are_no_text_are_counted() -> None:
    assert read_text(b"\xff\xfe", Surface.USER) == ((), (Unscanned(UnscannedReason.BINARY, 2),))


def test_text_is_not_hidden_by_a_few_wrong_bytes() -> None:
    text = "un été à Paris, et l'hiver à Nice"
    found = read_text(text.encode("latin-1"), Surface.USER)
    replaced = "".join(char if char.isascii() else "\ufffd" for char in text)
    assert found == ((Segment(replaced, Surface.USER),), (Unscanned(UnscannedReason.BINARY, 4),))
    assert read_text(bytes(range(256)), Surface.USER) == ((), (Unscanned(UnscannedReason.BINARY, 256),))


def test_a_character_may_be_cut_only_where_the_body_was() -> None:
    data = "é".encode()[:1]
    assert read_text(b"a" + data, Surface.USER)[0] == ()
    assert read_text(b"a" + data, Surface.USER, cut=True)[0] == (Segment("a", Surface.USER),)


def test_what_is_beyond_the_limit_is_counted() -> None:
    found = read_reply(b"x" * (MAX_TEXT_BYTES + 5), dropped=7)
    assert found == LlmReply(
        (Segment("x" * MAX_TEXT_BYTES, Surface.OUTPUT),), unscanned=(Unscanned(UnscannedReason.LIMIT, 12),)
    )
