"""Answers rewritten on their way, whatever pieces they come in."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.extproc.rewrite import MakeEditor, Rewriter
from sidecar.leaks import Originals, PutBack
from sidecar.protocols import openai_chat
from sidecar.protocols.reading import Reader
from sidecar.protocols.wire import WireFormat
from tests.sidecar.values import answer, stream

NAME, VALUE = "<secret-key-0123abcd>", 'new\n"value"'
KNOWN = Originals({NAME: VALUE})


class Rewriting:
    """A reader and a rewriter, as an answer has them."""

    def __init__(self, make: MakeEditor, wire: WireFormat = openai_chat) -> None:
        self.reader, self.rewriter = Reader(wire), Rewriter(make)

    def feed(self, chunk: bytes, *, end: bool) -> bytes:
        seen = self.reader.feed(chunk, end=end)
        return self.rewriter.feed((item.frame for item in seen), self.reader.framing, end=end)


def rewriter() -> Rewriting:
    return Rewriting(lambda nested: PutBack(KNOWN, (lambda text: json.dumps(text)[1:-1]) if nested else str))


def whole(*chunks: bytes) -> bytes:
    made = rewriter()
    return b"".join([*(made.feed(chunk, end=False) for chunk in chunks), made.feed(b"", end=True)])


def event(value: dict[str, Any], name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(number: int = 0, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": number, "delta": fields, "finish_reason": finish}
    return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})


def said(data: bytes, number: int = 0, field: str = "content") -> str:
    """Return what a client adds up."""
    values = [json.loads(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: {")]
    choices = [choice for value in values for choice in value.get("choices", []) if choice["index"] == number]
    return "".join(choice["delta"].get(field, "") for choice in choices)


@pytest.mark.parametrize(
    "data",
    [
        answer("nothing to change"),
        stream("nothing ", "to ", "change"),
        stream("a", done=False).rstrip(),
        b"\xef\xbb\xbf" + answer("bom"),
        b": comment\n\n" + stream("x"),
        b'{"broken": "no end \\',
        b"plain words < p",
        b"\x1f\x8b\x08binary\xff\xfe",
        b"",
        b"eve",
        b'{"a": 1}\n{"a": "\\u00e9\\\\"}\n',
        b"data: not json\n\ndata: [1]\n\ndata: two\ndata: lines\n\n",
        b'event: x\r\ndata: {"delta": "crlf"}\r\n\r\n',
    ],
)
def test_what_holds_no_pseudonym_passes_byte_for_byte(data: bytes) -> None:
    assert whole(data) == data
    assert whole(*(data[i : i + 1] for i in range(len(data)))) == data


def test_an_event_that_holds_no_beginning_of_a_pseudonym_is_not_delayed() -> None:
    made = rewriter()
    for part in (delta(content="Hello"), b": still here\n\n", delta(content=" a < b"), event({"type": "ping"})):
        assert made.feed(part, end=False) == part


def test_a_json_answer_gets_its_originals_back_and_keeps_every_other_byte() -> None:
    before, after = answer(f"is {NAME}."), answer(f"is {VALUE}.")
    assert json.loads(whole(before)) == json.loads(after)
    spaced = b'{ "a" : [1.0e0 ,"x ' + NAME.encode() + b'" ] , "b":"\\u0041"}'
    expected = b'{ "a" : [1.0e0 ,"x new\\n\\"value\\"" ] , "b":"\\u0041"}'
    assert whole(*(spaced[i : i + 1] for i in range(len(spaced)))) == expected


def test_a_pseudonym_is_known_however_json_writes_it() -> None:
    escaped = b'{"a":"' + NAME.replace("<", "\\u003c").replace(">", "\\u003E").encode() + b'"}'
    assert json.loads(whole(escaped)) == {"a": VALUE}


def test_a_text_that_is_json_itself_stays_json() -> None:
    arguments = json.dumps({"to": NAME})
    call = {"function": {"name": "send", "arguments": arguments}}
    new = json.loads(whole(json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).encode()))
    found = new["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(found) == {"to": VALUE}


@given(st.lists(st.integers(1, 20), max_size=8), st.lists(st.integers(0, 900), max_size=8))
def test_a_pseudonym_over_events_comes_back_wherever_events_and_bytes_are_split(
    sizes: list[int], cuts: list[int]
) -> None:
    text, pieces = f"a <{NAME} b{NAME}{NAME} <sec", []
    for size in [*sizes, 999]:
        pieces.append(text[:size])
        text = text[size:]
    data = b"".join([*(delta(content=piece) for piece in pieces), delta(finish="stop"), b"data: [DONE]\n\n"])
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    new = whole(*(data[a:b] for a, b in pairwise(edges)))
    assert said(new) == f"a <{VALUE} b{VALUE}{VALUE} <sec"
    assert new.endswith(delta(finish="stop") + b"data: [DONE]\n\n")


def test_what_is_held_comes_before_the_event_that_ends_its_text() -> None:
    made = rewriter()
    assert said(made.feed(delta(role="assistant", content="x <se"), end=False)) == "x "
    ending = made.feed(delta(finish="stop"), end=False)
    assert ending == event(
        {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "finish_reason": None,
         "delta": {"role": "assistant", "content": "<se"}}]}
    ).replace(b": ", b":").replace(b", ", b",").replace(b"data:", b"data: ") + delta(finish="stop")  # fmt: skip


def test_a_last_piece_in_the_finishing_event_waits_for_nothing() -> None:
    new = whole(delta(content=NAME[:5]), delta(content=NAME[5:] + " <s", finish="stop"))
    assert said(new) == VALUE + " <s"
    assert json.loads(new.split(b"\n\n")[1][6:])["choices"][0]["finish_reason"] == "stop"


def test_choices_and_fields_are_texts_of_their_own() -> None:
    data = [
        delta(0, content=NAME[:5], reasoning_content=NAME[:9]),
        delta(1, content=NAME[:7]),
        delta(0, content=NAME[5:], reasoning_content=NAME[9:]),
        delta(1, content=NAME[7:]),
    ]
    new = whole(*data)
    assert (said(new), said(new, 1), said(new, 0, "reasoning_content")) == (VALUE, VALUE, VALUE)


def test_the_end_of_one_choice_does_not_cut_another() -> None:
    data = [
        delta(0, content="x <"),
        delta(1, content=NAME[:7]),
        delta(0, finish="stop"),
        delta(1, content=NAME[7:] + " <"),
    ]
    new = whole(*data, event({"choices": [], "usage": {}}), b"data: [DONE]\n\n")
    assert (said(new), said(new, 1)) == ("x <", VALUE + " <")
    assert new.endswith(event({"choices": [], "usage": {}}) + b"data: [DONE]\n\n")


def test_gemini_s_last_piece_waits_for_nothing() -> None:
    made = rewriter()
    for text, reason in ((f"a {NAME[:5]}", None), (NAME[5:] + " <", "STOP")):
        candidate = {"content": {"parts": [{"text": text}]}, "finishReason": reason}
        new = made.feed(event({"candidates": [candidate]}), end=False)
    assert json.loads(new[6:])["candidates"][0]["content"]["parts"][0]["text"] == f"{VALUE} <"


def test_pieces_of_a_tool_call_stay_json_and_are_not_named_twice() -> None:
    pieces = [json.dumps({"to": NAME})[a:b] for a, b in ((0, 12), (12, 20), (20, 99))]
    first = {"index": 0, "id": "call", "type": "function", "function": {"name": "send", "arguments": pieces[0]}}
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in pieces[1:]]
    new = whole(*(delta(tool_calls=[call]) for call in (first, *rest)), delta(finish="tool_calls"))
    values = [json.loads(line[6:]) for line in new.split(b"\n") if line]
    calls = [c for v in values for choice in v["choices"] for c in choice["delta"].get("tool_calls", [])]
    assert json.loads("".join(c["function"]["arguments"] for c in calls)) == {"to": VALUE}
    held = whole(delta(tool_calls=[{**first, "function": {"name": "send", "arguments": "<s"}}]), delta(finish="stop"))
    calls = [json.loads(line[6:])["choices"][0]["delta"].get("tool_calls") for line in held.split(b"\n") if line]
    assert calls[1] == [{"index": 0, "function": {"arguments": "<s"}}]


def test_other_providers_deltas_are_read_too() -> None:
    def anthropic(text: str) -> bytes:
        value = {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": text}}
        return event(value, "content_block_delta")

    stop = event({"type": "content_block_stop", "index": 1}, "content_block_stop")
    new = whole(anthropic("a " + NAME[:4]), event({"type": "ping"}, "ping"), anthropic(NAME[4:]), anthropic("<"), stop)
    values = [json.loads(line[6:]) for line in new.split(b"\n") if line.startswith(b"data: ")]
    assert "".join(v["delta"]["text"] for v in values if "delta" in v) == f"a {VALUE}<"
    assert new.endswith(
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":1,'
        b'"delta":{"type":"text_delta","text":"<"}}\n\n' + stop
    )
    responses = [
        event({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": piece})
        for piece in ('{"a": "', NAME[:9], NAME[9:] + '"}')
    ]
    done = event({"type": "response.output_text.done", "text": f"p {NAME} <"})
    lines = [json.loads(line[6:]) for line in whole(*responses, done).split(b"\n") if line]
    assert json.loads("".join(v["delta"] for v in lines if "delta" in v)) == {"a": VALUE}
    assert lines[-1]["text"] == f"p {VALUE} <"


def test_other_text_gets_its_originals_back() -> None:
    text = f"é {NAME} <secret".encode()
    assert whole(*(text[i : i + 1] for i in range(len(text)))) == f"é {VALUE} <secret".encode()


def test_a_stream_cut_short_gives_what_was_held() -> None:
    made = rewriter()
    half = delta(content=NAME + "<")[:-20]
    assert made.feed(delta(content="x <"), end=False) != b""
    assert made.feed(half, end=False) == b""
    rest = made.feed(b"", end=True)
    assert half in rest
    assert b'"content":"<"' in rest


def test_an_event_of_several_data_lines_is_written_as_one() -> None:
    raw = b'event: m\ndata: {"delta":\ndata: "' + NAME.encode() + b'"}\nid: 7\n\n'
    assert whole(raw) == b'event: m\ndata: {"delta": "new\\n\\"value\\""}\nid: 7\n\n'
