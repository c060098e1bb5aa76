"""What the items and the stream events of OpenAI's Responses API say.

In: items out of a request's input or an answer's output, events. Out: surfaces; Deltas.
In the stream each text comes in deltas and several times whole (`…done`, content_part.done, output_item.done, response.completed).
The repeats belong to the deltas' channel, (item, text, part), so that they count only where they differ. An item is named by its
output_index, by its id only where that is missing: some hosts give an item another id in every event.
Source: OpenAI API reference, "Responses" and "Streaming events"; the types of openai-python 3.54; read 2026-11.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sidecar.protocols.json_body import leaves
from sidecar.protocols.values import binary, index_of, is_bytes, number_of, object_of, objects_of, text_of
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import Surface, Unscanned, Usage

# An event's type, without `response.` and its last word: the text's name in its channel, its surface, and where a `…done` event
# says it whole.
_TEXTS = {
    "output_text": ("text", Surface.OUTPUT, "text"),
    "refusal": ("refusal", Surface.OUTPUT, "refusal"),
    "function_call_arguments": ("arguments", Surface.TOOL_CALL, "arguments"),
    "mcp_call_arguments": ("arguments", Surface.TOOL_CALL, "arguments"),
    "mcp_call.arguments": ("arguments", Surface.TOOL_CALL, "arguments"),
    "custom_tool_call_input": ("input", Surface.TOOL_CALL, "input"),
    "code_interpreter_call_code": ("code", Surface.TOOL_CALL, "code"),
    "code_interpreter_call.code": ("code", Surface.TOOL_CALL, "code"),
    "shell_call_command": ("command", Surface.TOOL_CALL, "command"),
    "apply_patch_call_operation_diff": ("diff", Surface.TOOL_CALL, "diff"),
    "reasoning_text": ("reasoning", Surface.REASONING, "text"),
    "reasoning_summary_text": ("summary", Surface.REASONING, "text"),
    "audio.transcript": ("transcript", Surface.OUTPUT, "transcript"),
    "output_audio_transcript": ("transcript", Surface.OUTPUT, "transcript"),
}
ENDS = ("response.completed", "response.failed", "response.incomplete", "response.cancelled", "error")
# Which part of its item an event speaks of.
_PLACES = ("content_index", "summary_index", "command_index")

# Where bytes stand inside of content parts and items: generated or sent images, sounds, files. Under the second kind of names
# other things stand too: what is shorter than _LONG is looked at like any text.
_BYTES = ("file_data", "b64_json", "image_url", "partial_image_b64")
_MAYBE_BYTES = ("data", "result", "delta")
_LONG = 512

# What tells events and items apart, and is no text; and the API's own words among keys.
_QUIET = frozenset(("id", "type", "call_id", "item_id", "status", "encrypted_content", "obfuscation", "logprobs"))
_KEYS = frozenset(
    (
        "encrypted_content",
        "approval_request_id",
        "max_output_length",
        "output_format",
        "revised_prompt",
        "pending_safety_checks",
        "server_label",
        "acknowledged_safety_checks",
        "sequence_number",
        "content_index",
        "summary_index",
        "command_index",
        "annotation_index",
        "partial_image_index",
        "partial_image_b64",
    )
)
_RESULTS = ("output", "outputs", "results", "error")


def surface_of(item: Mapping[str, Any], path: str, otherwise: Surface) -> Surface:
    """Return where a text stands that is found at a path inside of an item."""
    kind = text_of(item.get("type"))
    if kind.endswith("_output"):
        return Surface.TOOL_RESULT
    if kind.endswith(("_call", "_approval_request")):
        return Surface.TOOL_RESULT if path[1:].partition("/")[0] in _RESULTS else Surface.TOOL_CALL
    if kind == "mcp_list_tools":
        return Surface.TOOL_DEFINITION
    return Surface.REASONING if kind == "reasoning" else otherwise


def holds_bytes(path: str, text: str) -> bool:
    """Tell whether a text at a path is bytes for eyes and ears."""
    name = path.rpartition("/")[2]
    return (name in _BYTES or (name in _MAYBE_BYTES and len(text) >= _LONG)) and is_bytes(text)


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


def read_response(response: Mapping[str, Any]) -> Delta:
    """Return what a response says, each text whole; what it repeats of the request is left out."""
    output = response.get("output")
    deltas = [read_item(item, place) for place, item in enumerate(output if isinstance(output, list) else ())]
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


def read_item(item: Any, key: Hashable) -> Delta:
    """Return what an item of the output says, each text whole. key is its place in the output."""
    item = item if isinstance(item, dict) else {"content": item}
    found = _found(item, "", dict(_named(item)), (key, item))
    refusal = any(part.get("type") == "refusal" for part in objects_of(item.get("content")))
    calls = (key,) if text_of(item.get("type")).endswith("_call") else ()
    return Delta(found.pieces, calls=calls, refusal=refusal, unscanned=found.unscanned)


# A text that comes in deltas as well: its path in the item, then name and place of its channel, its surface, the text.
_Named = tuple[str, tuple[tuple[str, int], Surface, str]]


def _named(item: Mapping[str, Any]) -> Iterator[_Named]:
    """Yield the texts of an item that come in deltas as well."""
    thinks = item.get("type") == "reasoning"
    for name in ("content", "summary"):
        listed = item.get(name)
        for place, part in enumerate(listed if isinstance(listed, list) else ()):
            yield from _named_in_part(object_of(part), name, place, thinks)
    for name in ("arguments", "input", "code"):
        yield f"/{name}", ((name, 0), Surface.TOOL_CALL, text_of(item.get(name)))
    commands = object_of(item.get("action")).get("commands")
    for place, command in enumerate(commands if isinstance(commands, list) else ()):
        yield f"/action/commands/{place}", (("command", place), Surface.TOOL_CALL, text_of(command))
    yield "/operation/diff", (("diff", 0), Surface.TOOL_CALL, text_of(object_of(item.get("operation")).get("diff")))


def _named_in_part(part: Mapping[str, Any], within: str, place: int, thinks: bool) -> Iterator[_Named]:
    thinks = thinks or within == "summary" or part.get("type") == "reasoning_text"
    surface = Surface.REASONING if thinks else Surface.OUTPUT
    names = {"text": "summary" if within == "summary" else "reasoning" if thinks else "text"}
    for field in ("text", "refusal", "transcript"):
        name = names.get(field, field)
        yield f"/{within}/{place}/{field}", ((name, place), surface, text_of(part.get(field)))


def _found(
    value: Mapping[str, Any],
    at: str,
    named: Mapping[str, tuple[tuple[str, int], Surface, str]],
    owner: tuple[Hashable, Any],
) -> Delta:
    """Return the texts of a value that stands at a path of an item; owner is that item's key and the item."""
    key, item = owner
    pieces = [Piece(surface, text, (key, *channel), whole=True) for channel, surface, text in named.values() if text]
    others, unscanned = _others(value, at, frozenset(named))
    pieces += [Piece(surface_of(item, path, Surface.OUTPUT), text, (key, path), whole=True) for path, text in others]
    return Delta(tuple(pieces), unscanned=unscanned)


def _others(
    value: Mapping[str, Any], at: str, known: frozenset[str]
) -> tuple[list[tuple[str, str]], tuple[Unscanned, ...]]:
    """Return the other texts of a value, and how much was bytes."""
    found: list[tuple[str, str]] = []
    sizes: list[int] = []
    for path, text in leaves(dict(value), at):
        if holds_bytes(path, text):
            sizes.append(len(text))
        elif not (path in known or text in _KEYS or path.rpartition("/")[2] in _QUIET or "/logprobs/" in path):
            found.append((path, text))
    return found, binary(sizes)


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one event says."""
    kind, key = text_of(event.get("type")), _key(event)
    name, _, last = kind.removeprefix("response.").rpartition(".")
    if last == "delta" or (name in _TEXTS and last in ("added", "done")):
        return _piece(event, name, whole=last != "delta")
    if isinstance(event.get("response"), dict):
        return _whole(event["response"], kind)
    if isinstance(event.get("item"), dict):
        return read_item(event["item"], key)
    if isinstance(event.get("part"), dict):
        within, place = "summary" if name.startswith("reasoning_summary") else "content", _place(event)
        named = dict(_named_in_part(event["part"], within, place, False))
        found = _found(event["part"], f"/{within}/{place}", named, (key, {}))
        return replace(found, refusal=event["part"].get("type") == "refusal")
    if told := object_of(event.get("annotation")):
        at = f"/content/{_place(event)}/annotations/{index_of(event, 'annotation_index', 0)}"
        return _found(told, at, {}, (key, {}))
    return replace(_found(event, "", {}, (key, {})), done=kind in ENDS)


def _key(event: Mapping[str, Any]) -> Hashable:
    told = event.get("output_index")
    return told if type(told) is int else text_of(event.get("item_id")) or 0


def _place(event: Mapping[str, Any]) -> int:
    return next((event[name] for name in _PLACES if type(event.get(name)) is int), 0)


def _whole(response: Mapping[str, Any], kind: str) -> Delta:
    """Return what a response says in the stream. Its bytes have been counted with its items."""
    found = replace(read_response(response), unscanned=())
    return replace(found, done=True) if kind in ENDS else replace(found, finish="", usage=None)


def _piece(event: Mapping[str, Any], name: str, *, whole: bool) -> Delta:
    """Return a stretch of a text, or the text once more."""
    called, surface, field = _TEXTS.get(name) or (name, _surface_of_event(name), "")
    key, place = _key(event), _place(event)
    pieces: list[Piece] = []
    sizes: list[int] = []
    for path, text in _stretches(event.get(field) if whole else event.get("delta")):
        if name.endswith("audio") and is_bytes(text):
            sizes.append(len(text))
        elif text:
            pieces.append(Piece(surface, text, (key, called + path, place), whole=whole))
    calls = (key,) if surface is Surface.TOOL_CALL else ()
    return Delta(tuple(pieces), calls=calls, refusal=name == "refusal" and bool(pieces), unscanned=binary(sizes))


def _surface_of_event(name: str) -> Surface:
    if "reasoning" in name:
        return Surface.REASONING
    if "_call_output" in name:
        return Surface.TOOL_RESULT
    return Surface.TOOL_CALL if "_call" in name else Surface.OUTPUT


def _stretches(said: Any) -> Iterator[tuple[str, str]]:
    """Yield the strings of a delta with their paths in it, however short those are that stand in no list."""
    if isinstance(said, str):
        yield "", said
    elif isinstance(said, dict):
        for name, inner in said.items():
            yield from [(f"/{name}", inner)] if isinstance(inner, str) else leaves(inner, f"/{name}")
    else:
        yield from leaves(said)
