"""OpenAI's Responses API, whole and as its own event stream.

In: bodies of POST …/responses. Out: LlmMessage, LlmReply, Deltas.
Surfaces: instructions and system or developer messages are system; function_call and other calls tool_call; their outputs
tool_result; reasoning reasoning; tools and text formats tool_definition. Images, sounds and files inside are counted as unscanned.
Earlier turns that a previous_response_id or a conversation stands for are at the provider: they were inspected when they were sent.
In the stream each text comes in deltas and once more whole (`…done`, output_item.done, response.completed): the repeats belong to
the deltas' channel, (item, kind, part), so that they count only where they differ.
Source: OpenAI API reference, "Responses" and "Streaming events", read 2026-11.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sidecar.protocols import openai_errors
from sidecar.protocols.json_body import MalformedBody, leaves
from sidecar.protocols.values import (
    binary,
    index_of,
    is_data_url,
    named_user,
    number_of,
    object_of,
    objects_of,
    read_object,
    text_of,
)
from sidecar.protocols.wire import Delta, Piece, Refused, StreamEvent
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, Usage

NAME = "openai_responses"
FRAMING = None

_ROLES = {
    "system": Surface.SYSTEM,
    "developer": Surface.SYSTEM,
    "user": Surface.USER,
    "assistant": Surface.ASSISTANT,
    "tool": Surface.TOOL_RESULT,
}
_DEFINITIONS = ("tools", "text", "tool_choice")
# Where bytes stand inside of content parts and items: generated or sent images, sounds, files.
_BYTES = ("file_data", "data", "b64_json", "result", "image_url", "partial_image_b64")
_LONG = 512  # base64 shorter than this is looked at like any other text

# An event's type, without `response.` and `.delta`, and what its text is.
_DELTAS = {
    "output_text": ("text", Surface.OUTPUT),
    "refusal": ("refusal", Surface.OUTPUT),
    "function_call_arguments": ("arguments", Surface.TOOL_CALL),
    "mcp_call_arguments": ("arguments", Surface.TOOL_CALL),
    "mcp_call.arguments": ("arguments", Surface.TOOL_CALL),
    "custom_tool_call_input": ("input", Surface.TOOL_CALL),
    "code_interpreter_call_code": ("code", Surface.TOOL_CALL),
    "code_interpreter_call.code": ("code", Surface.TOOL_CALL),
    "reasoning_text": ("reasoning", Surface.REASONING),
    "reasoning_summary_text": ("summary", Surface.REASONING),
    "audio.transcript": ("transcript", Surface.OUTPUT),
    "output_audio_transcript": ("transcript", Surface.OUTPUT),
}
_ENDS = ("response.completed", "response.failed", "response.incomplete", "response.cancelled", "error")


def matches(head: Head) -> bool:
    """Return True for a new response, wherever a host keeps them."""
    return head.endpoint.endswith("/responses") and head.method in ("POST", "")


def read_request(data: bytes, head: Head) -> LlmMessage:  # noqa: ARG001 - the shape of every protocol's read_request
    """Return the conversation of a request.

    Raises: MalformedBody when the body is no JSON object, or its input is neither text nor a list.
    """
    body = read_object(data)
    given = body.get("input")
    if given is not None and not isinstance(given, str | list):
        raise MalformedBody("'input' is neither a string nor a list")
    segments: list[Segment] = []
    unscanned: list[Unscanned] = []
    items = given if isinstance(given, list) else []
    if isinstance(given, str) and given:
        segments.append(Segment(given, Surface.USER, 0, "/input"))
    for number, item in enumerate(items):
        _read_item(item, number, segments, unscanned)
    for key, value in body.items():
        if key == "input" or (key == "model" and isinstance(value, str)):
            continue
        surface = Surface.SYSTEM if key in ("instructions", "prompt") else Surface.USER
        surface = Surface.TOOL_DEFINITION if key in _DEFINITIONS else surface
        segments.extend(Segment(text, surface, -1, path) for path, text in leaves({key: value}))
    return LlmMessage(
        protocol=NAME,
        segments=tuple(segments),
        model=text_of(body.get("model")),
        stream=body.get("stream") is True,
        messages=len(items) or int(bool(given)),  # protobuf takes no bool for a number
        user=named_user(body),
        unscanned=tuple(unscanned),
    )


def _read_item(item: Any, number: int, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    surface = _surface(item)
    at = f"/input/{number}"
    if isinstance(item, str):
        segments.append(Segment(item, Surface.USER, number, at))
        return
    for path, text in _said(item, at):
        if _is_bytes(path, text):
            unscanned.extend(binary([len(text)]))
        else:
            segments.append(Segment(text, surface, number, path))


def _surface(item: Any) -> Surface:
    kind, role = text_of(object_of(item).get("type")), text_of(object_of(item).get("role"))
    if kind.endswith("_output"):
        return Surface.TOOL_RESULT
    if kind.endswith(("_call", "_approval_request")):
        return Surface.TOOL_CALL
    return Surface.REASONING if kind == "reasoning" else _ROLES.get(role, Surface.USER)


def _said(item: Any, at: str) -> Iterator[tuple[str, str]]:
    """Yield an item's texts; content that is text counts however short it is."""
    content = object_of(item).get("content")
    if isinstance(content, str) and content:
        yield f"{at}/content", content
    for number, part in enumerate(content if isinstance(content, list) else ()):
        said = text_of(object_of(part).get("text"))
        if said:
            yield f"{at}/content/{number}/text", said
        rest = (
            {key: value for key, value in part.items() if key != "text" or not said} if isinstance(part, dict) else part
        )
        yield from leaves(rest, f"{at}/content/{number}")
    others = {
        key: value for key, value in object_of(item).items() if key != "content" or not isinstance(value, str | list)
    }
    yield from leaves(others if isinstance(item, dict) else item, at)


def _is_bytes(path: str, text: str) -> bool:
    name = path.rpartition("/")[2]
    return name in _BYTES and (
        is_data_url(text) or (len(text) >= _LONG and name != "image_url" and " " not in text[:_LONG])
    )


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a response's `usage`, None when it is none."""
    if not isinstance(usage, dict):
        return None
    return Usage(
        prompt_tokens=number_of(usage.get("input_tokens")),
        completion_tokens=number_of(usage.get("output_tokens")),
        cached_tokens=number_of(object_of(usage.get("input_tokens_details")).get("cached_tokens")),
        reasoning_tokens=number_of(object_of(usage.get("output_tokens_details")).get("reasoning_tokens")),
        total_tokens=number_of(usage.get("total_tokens")),
    )


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; an error object is read leaf by leaf."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), list):
        return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))
    delta = _response(body)
    return LlmReply(
        segments=tuple(Segment(piece.text, piece.surface, -1, "/output") for piece in delta.pieces),
        model=delta.model,
        finish_reason=delta.finish,
        usage=delta.usage,
        tool_calls=len(delta.calls),
        refusal=delta.refusal,
        unscanned=delta.unscanned,
    )


def _response(response: Mapping[str, Any]) -> Delta:
    """Return what a whole response says."""
    deltas = [_item(item, number) for number, item in enumerate(objects_of(response.get("output")))]
    error = [Piece(Surface.OUTPUT, text, ("error", path), whole=True) for path, text in leaves(response.get("error"))]
    reason = text_of(object_of(response.get("incomplete_details")).get("reason"))
    return Delta(
        pieces=(*(piece for delta in deltas for piece in delta.pieces), *error),
        model=text_of(response.get("model")),
        finish=reason or text_of(response.get("status")),
        usage=read_usage(response.get("usage")),
        calls=tuple(call for delta in deltas for call in delta.calls),
        refusal=any(delta.refusal for delta in deltas),
        unscanned=tuple(item for delta in deltas for item in delta.unscanned),
    )


def _item(item: Mapping[str, Any], number: int) -> Delta:
    """Return what an item of the output says, each text whole."""
    kind, key = text_of(item.get("type")), text_of(item.get("id")) or str(number)
    parts = list(_item_texts(item))
    pieces = [Piece(surface, text, (key, name, place), whole=True) for surface, name, place, text in parts if text]
    known = {text for *_, text in parts}
    sizes: list[int] = []
    surface = Surface.TOOL_CALL if kind.endswith("_call") else Surface.OUTPUT
    for path, text in leaves(dict(item)):
        if _is_bytes(path, text):
            sizes.append(len(text))
        elif text not in known and path.rpartition("/")[2] not in (
            "id",
            "type",
            "call_id",
            "status",
            "encrypted_content",
        ):
            pieces.append(Piece(surface, text, (key, path, 0), whole=True))
    refusal = any(part.get("type") == "refusal" for part in objects_of(item.get("content")))
    calls = (key,) if kind.endswith("_call") else ()
    return Delta(tuple(pieces), calls=calls, refusal=refusal, unscanned=binary(sizes))


def _item_texts(item: Mapping[str, Any]) -> Iterator[tuple[Surface, str, int, str]]:
    """Yield the texts of an item that come in deltas as well: surface, name, place, text."""
    thinks = item.get("type") == "reasoning"
    for place, part in enumerate(objects_of(item.get("content"))):
        said = Surface.REASONING if thinks else Surface.OUTPUT
        yield said, "reasoning" if thinks else "text", place, text_of(part.get("text"))
        yield Surface.OUTPUT, "refusal", place, text_of(part.get("refusal"))
        yield Surface.OUTPUT, "transcript", place, text_of(part.get("transcript"))
    for place, part in enumerate(objects_of(item.get("summary"))):
        yield Surface.REASONING, "summary", place, text_of(part.get("text"))
    for name in ("arguments", "input", "code"):
        yield Surface.TOOL_CALL, name, 0, text_of(item.get(name))


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one event says."""
    kind = text_of(event.get("type"))
    if isinstance(event.get("response"), dict):
        return _ended(event["response"], kind)
    if isinstance(event.get("item"), dict):
        return _item(event["item"], index_of(event, "output_index")) if kind.endswith(".done") else Delta()
    name, _, last = kind.removeprefix("response.").rpartition(".")
    if name in _DELTAS:
        return _piece(event, *_DELTAS[name], whole=last == "done")
    if "partial_image_b64" in event:
        return Delta(unscanned=binary([len(text_of(event.get("partial_image_b64")))]))
    known = kind.startswith("response.") and (kind.endswith((".added", ".in_progress", ".done")) or "_call." in kind)
    if known or "audio" in kind:
        return Delta()
    pieces = tuple(Piece(Surface.OUTPUT, text, ("other", path)) for path, text in leaves(dict(event)))
    return Delta(pieces, done=kind in _ENDS)


def _ended(response: Mapping[str, Any], kind: str) -> Delta:
    done = kind in _ENDS
    found = _response(response)
    if done:
        return Delta(found.pieces, found.model, found.finish, found.usage, found.calls, found.refusal, done=True)
    return Delta(model=found.model)


def _piece(event: Mapping[str, Any], name: str, surface: Surface, *, whole: bool) -> Delta:
    key = text_of(event.get("item_id")) or str(index_of(event, "output_index"))
    place = index_of(event, "content_index", index_of(event, "summary_index"))
    said = event.get(_WHOLE.get(name, name)) if whole else event.get("delta")
    text = text_of(said)
    pieces = (Piece(surface, text, (key, name, place), whole=whole),) if text else ()
    calls = (key,) if surface is Surface.TOOL_CALL else ()
    return Delta(pieces, calls=calls, refusal=name == "refusal" and bool(text))


# Under which name a `…done` event says its text whole.
_WHOLE = {"reasoning": "text", "summary": "text"}


refusal = openai_errors.refusal


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return the API's own error event; its `error` member makes OpenAI's SDKs raise."""
    told = openai_errors.refusal(refused)["error"]
    event = {"type": "error", "code": refused.code, "message": refused.message, "param": None, "error": told}
    return (StreamEvent(msgspec.json.encode(event), "error"),)
