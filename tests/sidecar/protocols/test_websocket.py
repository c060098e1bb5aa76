"""A WebSocket is counted, not read."""

from sidecar.protocols import protocol_for, reader_for, websocket
from sidecar.types import Head, LlmMessage, LlmReply, Unscanned, UnscannedReason

HEAD = Head("GET", "/v1/chat/completions", headers={"upgrade": "websocket"})


def test_an_upgrade_is_one_whatever_its_path() -> None:
    assert protocol_for(HEAD) is websocket
    assert not websocket.matches(Head("GET", "/v1/realtime"))


def test_nothing_of_it_is_text() -> None:
    unread = (Unscanned(UnscannedReason.UPGRADE, 0),)
    assert websocket.read_request(b"", HEAD) == LlmMessage("websocket", (), stream=True, unscanned=unread)
    reader = reader_for(HEAD)
    assert [item.frame.raw for item in (*reader.feed(b"abc"), *reader.feed(b"de"))] == [b"abc", b"de"]
    assert (reader.complete, reader.finish()) == (False, LlmReply(unscanned=(Unscanned(UnscannedReason.UPGRADE, 5),)))
