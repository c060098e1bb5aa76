"""What InvokeModel answers: each model's own shape, told apart by what it holds.

In: values out of JSON. Out: LlmReply, Deltas. Anthropic's and OpenAI's shapes are read by their own readers; Titan, Llama, Mistral
and Cohere say their text in one field or in a list of results; whatever else is read leaf by leaf.
Usage: Bedrock's own metrics stand in the last chunk of a stream, and end it.
Source: Bedrock user guide, "Inference request parameters and response fields", read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from sidecar.protocols import anthropic_messages, openai_chat
from sidecar.protocols.json_body import leaves
from sidecar.protocols.parts import read_error
from sidecar.protocols.values import number_of, object_of, objects_of, text_of
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import LlmReply, Segment, Surface, Usage

_METRICS = "amazon-bedrock-invocationMetrics"
_ANTHROPIC = ("message_", "content_block_", "ping", "error")
_LISTS = ("results", "outputs", "generations")  # Titan, Mistral, Cohere Command
_TEXTS = ("outputText", "generation", "text")  # Titan, Llama, Cohere
_FINISHES = ("completionReason", "stop_reason", "finish_reason")
# What says no text, while it is no object: it is read elsewhere, or nobody needs it.
_PLAIN = frozenset(
    (
        *_FINISHES,
        "inputTextTokenCount",
        "totalOutputTextTokenCount",
        "prompt_token_count",
        "generation_token_count",
        "generation_id",
        "response_id",
    )
)

_QUIET = frozenset(("output_tokens", "billed_units"))  # keys of Cohere's meta


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole."""
    if isinstance(body, dict) and isinstance(body.get("content"), list):
        return anthropic_messages.read_reply(body)
    if isinstance(body, dict) and isinstance(body.get("choices"), list):
        return openai_chat.read_reply(body)
    if not isinstance(body, dict) or not _said(body):
        return read_error(body)
    said = read_event(body)
    return LlmReply(
        segments=tuple(Segment(piece.text, piece.surface, 0) for piece in said.pieces),
        finish_reason=said.finish,
        usage=said.usage,
    )


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one chunk of a stream says."""
    metrics = event.get(_METRICS)
    kind = text_of(event.get("type"))
    if kind.startswith(_ANTHROPIC):
        return anthropic_messages.read_event({key: value for key, value in event.items() if key != _METRICS})
    if isinstance(event.get("choices"), list):
        said = openai_chat.read_event(event)
        return Delta(said.pieces, said.model, said.finish, _metrics(metrics) or said.usage, said.calls, said.refusal)
    said_ = _said(event)
    texts = [
        Piece(Surface.OUTPUT, text, ("text", n)) for n, (holder, name) in enumerate(said_) if (text := holder[name])
    ]
    read = {id(holder): name for holder, name in said_}
    rest = _rest({key: value for key, value in event.items() if key not in (_METRICS, *_LISTS)}, read.get(id(event)))
    others = [Piece(Surface.OUTPUT, text, ("beside", path, text)) for path, text in leaves(rest) if text not in _QUIET]
    others += [piece for name in _LISTS for piece in _beside(event.get(name), name, read)]
    return Delta(
        pieces=(*texts, *others),
        finish=next((finish for holder, _ in said_ for name in _FINISHES if (finish := text_of(holder.get(name)))), "")
        or next((finish for name in _FINISHES if (finish := text_of(event.get(name)))), ""),
        usage=_metrics(metrics) or _usage(event),
        done=isinstance(metrics, dict),
    )


def _said(event: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """Return the objects that say a text of the answer, with the name it stands under."""
    holders = [event, *(item for name in _LISTS for item in objects_of(event.get(name)))]
    named = ((holder, next((n for n in _TEXTS if isinstance(holder.get(n), str)), "")) for holder in holders)
    return [(holder, name) for holder, name in named if name]


def _beside(value: Any, name: str, read: Mapping[int, str]) -> list[Piece]:
    """Return what a list of results says beside the texts that were read."""
    items = value if isinstance(value, list) else [value]
    kept = [_rest(item, read.get(id(item))) if isinstance(item, dict) else item for item in items]
    return [Piece(Surface.OUTPUT, text, ("beside", name, path, text)) for path, text in leaves(kept)]


def _rest(item: Mapping[str, Any], said: str | None) -> dict[str, Any]:
    """Return what an object holds beside the text that was read, and beside plain values that are none."""
    plain = {
        key
        for key, value in item.items()
        if key in _PLAIN and not isinstance(value, dict | list) and not (isinstance(value, str) and " " in value)
    }
    return {key: value for key, value in item.items() if key != said and key not in plain}


def _metrics(metrics: Any) -> Usage | None:
    if not isinstance(metrics, dict):
        return None
    return Usage(number_of(metrics.get("inputTokenCount")), number_of(metrics.get("outputTokenCount")))


def _usage(event: Mapping[str, Any]) -> Usage | None:
    """Return the tokens that Titan and Llama count."""
    results = objects_of(event.get("results"))
    counts = [number_of(item.get("tokenCount")) for item in results]
    prompt = number_of(event.get("inputTextTokenCount"))
    completion = number_of(event.get("totalOutputTextTokenCount"))
    if completion is None and any(count is not None for count in counts):
        completion = sum(count or 0 for count in counts)
    prompt = number_of(event.get("prompt_token_count")) if prompt is None else prompt
    completion = number_of(event.get("generation_token_count")) if completion is None else completion
    billed = object_of(object_of(event.get("meta")).get("billed_units"))
    prompt = number_of(billed.get("input_tokens")) if prompt is None else prompt
    completion = number_of(billed.get("output_tokens")) if completion is None else completion
    return None if prompt is None and completion is None else Usage(prompt, completion)
