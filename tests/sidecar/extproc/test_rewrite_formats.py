"""Rewriting in every streamed format and framing: what is spread over events is put back, leaks are taken out."""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.extproc.rewrite import Editor
from sidecar.leaks import Chain, Originals, PutBack, TakeOut
from sidecar.protocols import (
    anthropic_messages,
    bedrock,
    cohere,
    gemini,
    ollama,
    openai_chat,
    openai_completions,
    openai_responses,
)
from sidecar.protocols.aws_frames import event as aws
from sidecar.protocols.wire import WireFormat
from sidecar.types import Span, Surface
from tests.sidecar.extproc.test_rewrite import KNOWN, NAME, VALUE, Rewriting
from tests.sidecar.protocols.anything import reply, sse

Values = Sequence[dict[str, Any]]


def lines(*values: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def array(*values: dict[str, Any]) -> bytes:
    return json.dumps(values, indent=1).encode()


def named(*values: dict[str, Any]) -> bytes:
    return b"".join(aws(next(iter(value), "x"), json.dumps({**value, "p": "abcdef"}).encode()) for value in values)


def chunks(*values: dict[str, Any]) -> bytes:
    inner = (base64.b64encode(json.dumps(value).encode()).decode() for value in values)
    return b"".join(aws("chunk", json.dumps({"bytes": text, "p": "abc"}).encode()) for text in inner)


@dataclass(frozen=True)
class Streamed:
    """One text of one format: how an event says a piece of it, what comes between and after, and how events are framed."""

    wire: WireFormat
    frame: Callable[..., bytes]
    piece: Callable[[str], dict[str, Any]]
    between: Values = ()
    ending: Values = ()
    surface: Surface = Surface.OUTPUT


def _anthropic(kind: str, field: str, surface: Surface) -> Streamed:
    return Streamed(
        anthropic_messages,
        sse,
        lambda text: {"type": "content_block_delta", "index": 1, "delta": {"type": kind, field: text}},
        (
            {"type": "ping"},
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {"type": "citations_delta", "citation": {"cited_text": "x"}},
            },
        ),
        ({"type": "content_block_stop", "index": 1}, {"type": "message_stop"}),
        surface,
    )


def _gemini(frame: Callable[..., bytes], *, thought: bool = False, finish: bool = True) -> Streamed:
    def part(text: str) -> dict[str, Any]:
        about = {"thought": True} if thought else {}
        return {"candidates": [{"content": {"role": "model", "parts": [{"text": text, **about}]}}], "usageMetadata": {}}

    other = {"candidates": [{"content": {"parts": [{"text": "", **({} if thought else {"thought": True})}]}}]}
    ending = ({"candidates": [{"finishReason": "STOP"}]},) if finish else ()
    return Streamed(gemini, frame, part, (other,), ending, Surface.REASONING if thought else Surface.OUTPUT)


def _converse(delta: Callable[[str], dict[str, Any]], surface: Surface) -> Streamed:
    return Streamed(
        bedrock,
        named,
        lambda text: {"contentBlockIndex": 0, "delta": delta(text)},
        (),
        ({"contentBlockIndex": 0}, {"stopReason": "end_turn"}, {"usage": {"inputTokens": 1}}),
        surface,
    )


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}


def _cohere(field: Callable[[str], dict[str, Any]], surface: Surface, between: Values = ()) -> Streamed:
    return Streamed(
        cohere,
        sse,
        lambda text: {"type": "content-delta", "index": 0, "delta": {"message": field(text)}},
        between,
        ({"type": "content-end", "index": 0}, {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}),
        surface,
    )


def _choices(
    delta: Callable[[str], dict[str, Any]], surface: Surface = Surface.OUTPUT, between: Values = ()
) -> Streamed:
    """Chat completions; other choices and empty chunks come between."""

    def chunk(fields: dict[str, Any], number: int = 0, finish: str | None = None) -> dict[str, Any]:
        return {"id": "c", "choices": [{"index": number, "delta": fields, "finish_reason": finish}]}

    last = {"choices": [], "usage": {"prompt_tokens": 1}}
    return Streamed(
        openai_chat,
        sse,
        lambda text: chunk(delta(text)),
        (chunk({"content": "x"}, 1), chunk({}), chunk({}, 1, "stop"), *between),
        (chunk({}, 0, "stop"), last),
        surface,
    )


def _responses(kind: str, surface: Surface, place: str = "content_index") -> Streamed:
    """Responses; what other items do, and what is told of this one, comes between."""
    at = {"item_id": "i", "output_index": 1, place: 0}
    return Streamed(
        openai_responses,
        sse,
        lambda text: {"type": f"response.{kind}.delta", **at, "delta": text, "logprobs": []},
        (
            {"type": "response.web_search_call.searching", "output_index": 2},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "x"},
            {"type": "response.output_text.annotation.added", **at, "annotation": {"type": "file_citation"}},
            {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message"}},
        ),
        (
            {"type": "response.output_item.done", "output_index": 1, "item": {"type": "message"}},
            {"type": "response.completed", "response": {"status": "completed", "output": []}},
        ),
        surface,
    )


CITED = (
    {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {"text": "x", "sources": []}}}},
    {"type": "citation-end", "index": 0},
)
FORMATS = {
    "chat": _choices(lambda text: {"content": text}),
    "chat refusal": _choices(lambda text: {"refusal": text}),
    "chat transcript": _choices(lambda text: {"audio": {"id": "a", "transcript": text}}),
    "deepseek thoughts": _choices(lambda text: {"content": None, "reasoning_content": text}, Surface.REASONING),
    "openrouter thoughts": _choices(lambda text: {"reasoning": text}, Surface.REASONING),
    "openrouter summaries": _choices(
        lambda text: {"reasoning_details": [{"type": "reasoning.summary", "summary": text}]}, Surface.REASONING
    ),
    "mistral text": _choices(lambda text: {"content": [{"type": "text", "text": text}]}),
    "mistral thoughts": _choices(
        lambda text: {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]},
        Surface.REASONING,
    ),
    "completions": Streamed(
        openai_completions,
        sse,
        lambda text: {"choices": [{"index": 0, "text": text, "finish_reason": None}]},
        ({"choices": [{"index": 1, "text": "x", "finish_reason": "stop"}]},),
        ({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]},),
    ),
    "responses text": _responses("output_text", Surface.OUTPUT),
    "responses refusal": _responses("refusal", Surface.OUTPUT),
    "responses reasoning": _responses("reasoning_text", Surface.REASONING),
    "responses summary": _responses("reasoning_summary_text", Surface.REASONING, "summary_index"),
    "responses code": _responses("code_interpreter_call_code", Surface.TOOL_CALL),
    "responses custom tool": _responses("custom_tool_call_input", Surface.TOOL_CALL),
    "responses shell": _responses("shell_call_command", Surface.TOOL_CALL, "command_index"),
    "anthropic text": _anthropic("text_delta", "text", Surface.OUTPUT),
    "anthropic thinking": _anthropic("thinking_delta", "thinking", Surface.REASONING),
    "gemini events": _gemini(sse),
    "gemini array": _gemini(array),
    "gemini array, no finish": _gemini(array, finish=False),
    "gemini thoughts": _gemini(array, thought=True),
    "converse text": _converse(lambda text: {"text": text}, Surface.OUTPUT),
    "converse reasoning": _converse(lambda text: {"reasoningContent": {"text": text}}, Surface.REASONING),
    "invoke Anthropic": Streamed(
        bedrock,
        chunks,
        lambda text: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        (),
        ({"type": "content_block_stop", "index": 0}, {"type": "message_stop", **METRICS}),
    ),
    "invoke Titan": Streamed(bedrock, chunks, lambda text: {"outputText": text, "index": 0}, (), (METRICS,)),
    "invoke Llama": Streamed(bedrock, chunks, lambda text: {"generation": text}, (), (METRICS,)),
    "invoke Mistral": Streamed(bedrock, chunks, lambda text: {"outputs": [{"text": text}]}, (), (METRICS,)),
    "invoke Cohere": Streamed(
        bedrock, chunks, lambda text: {"text": text, "is_finished": False}, (), ({"is_finished": True, **METRICS},)
    ),
    "invoke Nova": Streamed(
        bedrock,
        chunks,
        lambda text: {"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": 0}},
        (),
        ({"contentBlockStop": {"contentBlockIndex": 0}}, {"metadata": {"usage": {"inputTokens": 1}}}),
    ),
    "cohere text": _cohere(lambda text: {"content": {"text": text}}, Surface.OUTPUT, CITED),
    "cohere thinking": _cohere(lambda text: {"content": {"thinking": text}}, Surface.REASONING),
    "cohere plan": _cohere(lambda text: {"tool_plan": text}, Surface.REASONING),
    "ollama chat": Streamed(
        ollama,
        lines,
        lambda text: {"message": {"role": "assistant", "content": text}, "done": False},
        (),
        ({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},),
    ),
    "ollama thinking": Streamed(
        ollama,
        lines,
        lambda text: {"message": {"role": "assistant", "content": "", "thinking": text}, "done": False},
        (),
        ({"message": {"role": "assistant", "content": ""}, "done": True},),
        Surface.REASONING,
    ),
    "ollama generate": Streamed(
        ollama, lines, lambda text: {"response": text, "done": False}, (), ({"response": "", "done": True},)
    ),
}
CALLS = {
    "chat call": _choices(
        lambda text: {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": text}}]},
        Surface.TOOL_CALL,
    ),
    "chat function_call": _choices(lambda text: {"function_call": {"name": "f", "arguments": text}}, Surface.TOOL_CALL),
    "responses call": _responses("function_call_arguments", Surface.TOOL_CALL),
    "responses MCP": _responses("mcp_call_arguments", Surface.TOOL_CALL),
    "anthropic call": _anthropic("input_json_delta", "partial_json", Surface.TOOL_CALL),
    "converse call": _converse(lambda text: {"toolUse": {"input": text}}, Surface.TOOL_CALL),
    "cohere call": _cohere(lambda text: {"tool_calls": {"function": {"arguments": text}}}, Surface.TOOL_CALL),
}


def stream(made: Streamed, *pieces: str) -> bytes:
    """Return a stream that says pieces, with what may come between them."""
    values = [made.piece(pieces[0])]
    for piece in pieces[1:]:
        values += [*made.between, made.piece(piece)]
    return made.frame(*values, *made.ending)


def rewritten(made: Streamed, make: Callable[[bool], Editor], data: bytes, size: int) -> str:
    """Return the text that a client reads, after a rewriter has seen the stream in chunks of a size."""
    rewriting = Rewriting(make, made.wire)
    new = b"".join(rewriting.feed(data[i : i + size], end=False) for i in range(0, len(data), size))
    new += rewriting.feed(b"", end=True)
    if made.frame is array:
        json.loads(new)
    found = reply(made.wire, new)
    assert found.unscanned == ()
    return "".join(s.text for s in found.segments if s.surface is made.surface and s.text.strip("x"))


def put_back(nested: bool) -> Editor:
    return PutBack(KNOWN, (lambda text: json.dumps(text)[1:-1]) if nested else str)


@pytest.mark.parametrize("made", FORMATS.values(), ids=FORMATS)
def test_pseudonyms_over_events_are_put_back(made: Streamed) -> None:
    text = f"a <{NAME} b <s"
    for cut in range(1, len(text)):
        for size in (1 << 20, 11) if cut % 5 == 0 else (1 << 20,):
            assert rewritten(made, put_back, stream(made, text[:cut], text[cut:]), size) == f"a <{VALUE} b <s"
    assert rewritten(made, put_back, stream(made, *text), 1 << 20) == f"a <{VALUE} b <s"


@pytest.mark.parametrize("made", CALLS.values(), ids=CALLS)
def test_pseudonyms_in_the_pieces_of_a_call_leave_json(made: Streamed) -> None:
    text = json.dumps({"to": NAME})
    for cut in range(1, len(text)):
        assert json.loads(rewritten(made, put_back, stream(made, text[:cut], text[cut:]), 1 << 20)) == {"to": VALUE}


@pytest.mark.parametrize("made", FORMATS.values(), ids=FORMATS)
def test_what_holds_nothing_passes_byte_for_byte(made: Streamed) -> None:
    data = stream(made, "nothing ", "to ", "change")
    rewriting = Rewriting(put_back, made.wire)
    assert b"".join(rewriting.feed(data[i : i + 1], end=False) for i in range(len(data))) == data
    assert rewriting.feed(b"", end=True) == b""


def _leaks(text: str) -> tuple[tuple[Span, str], ...]:
    return tuple((Span(*match.span()), "secret_leak") for match in re.finditer(r"key-[0-9]{8}", text))


@pytest.mark.parametrize("made", FORMATS.values(), ids=FORMATS)
def test_leaks_over_events_are_taken_out(made: Streamed) -> None:
    text = "it is key-12345678, yes"

    def make(nested: bool) -> Editor:
        taken: Counter[str] = Counter()
        return Chain(TakeOut(_leaks, taken), PutBack(Originals({}), str))

    for cut in range(1, len(text)):
        new = rewritten(made, make, stream(made, text[:cut], text[cut:]), 1 << 20)
        assert "12345678" not in new
        assert new.startswith("it is ")
        assert new.endswith(", yes")


def test_repeats_of_a_response_s_texts_are_rewritten_too() -> None:
    made = FORMATS["responses text"]
    item = {"type": "message", "content": [{"type": "output_text", "text": f"a {NAME}"}]}
    at = {"output_index": 1, "content_index": 0}
    repeats = (
        {"type": "response.output_text.done", **at, "text": f"a {NAME}"},
        {"type": "response.content_part.done", **at, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 1, "item": item},
        {"type": "response.completed", "response": {"status": "completed", "output": [{"type": "reasoning"}, item]}},
    )
    data = sse(made.piece("a " + NAME[:4]), made.piece(NAME[4:]), *repeats)
    assert rewritten(made, put_back, data, 1 << 20) == f"a {VALUE}"
    assert NAME.encode() not in Rewriting(put_back, made.wire).feed(data, end=True)


def test_parts_of_a_response_s_item_are_texts_of_their_own() -> None:
    def piece(place: int, text: str) -> dict[str, Any]:
        at = {"output_index": 0, "summary_index": place}
        return {"type": "response.reasoning_summary_text.delta", **at, "delta": text}

    data = sse(piece(0, NAME[:5]), piece(1, NAME[:9]), piece(0, NAME[5:]), piece(1, NAME[9:]))
    new = reply(openai_responses, Rewriting(put_back, openai_responses).feed(data, end=True))
    assert [s.text for s in new.segments] == [VALUE, VALUE]


@pytest.mark.parametrize("kind", ["tool_calls", "function_call"])
def test_what_is_held_of_a_call_does_not_name_it_twice(kind: str) -> None:
    made = CALLS["chat call" if kind == "tool_calls" else "chat function_call"]
    lines = Rewriting(put_back, made.wire).feed(stream(made, "<s"), end=True).split(b"\n\n")
    held = json.loads(lines[1].removeprefix(b"data: "))
    call = held["choices"][0]["delta"][kind]
    call = call[0] if isinstance(call, list) else call
    assert (held["id"], call.get("function", call)) == ("c", {"arguments": "<s"})


def test_thoughts_that_stand_twice_are_rewritten_twice() -> None:
    def piece(text: str) -> dict[str, Any]:
        delta = {"reasoning": text, "reasoning_details": [{"text": text, "index": 0}]}
        return {"choices": [{"index": 0, "delta": delta}]}

    new = Rewriting(put_back, openai_chat).feed(sse(piece(NAME[:5]), piece(NAME[5:] + " <s")), end=True)
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in new.splitlines() if line]
    assert "".join(delta.get("reasoning", "") for delta in deltas) == f"{VALUE} <s"
    details = (part["text"] for delta in deltas for part in delta.get("reasoning_details", ()))
    assert "".join(details) == f"{VALUE} <s"
