"""What the choices of an answer say: chat completions and completions, of OpenAI and of all that follow it.

In: answers that came whole, events. Out: LlmReply, Delta. A channel is (kind, choice, ...).
What hosts add, and clients show: reasoning_content (DeepSeek, vLLM), reasoning and reasoning_details (OpenRouter), thinking inside
of content, arguments as objects (Mistral), x_groq.usage (Groq), choices[].usage (Moonshot), a message beside the delta with all
that was said so far, citations and search_results beside choices (Perplexity), context (Azure on your data), images and annotations
(OpenRouter, OpenAI). A message's other strings are read as well, whatever their names are. Chances of tokens (logprobs) and what
filters say of themselves (content_filter_results) are no text.
Source: OpenAI API reference, "Chat", "Completions"; the references of the hosts named; read 2026-11.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import msgspec

from sidecar.protocols.json_body import leaves
from sidecar.protocols.values import binary, index_of, is_bytes, number_of, object_of, objects_of, text_of
from sidecar.protocols.wire import Delta, Piece
from sidecar.types import LlmReply, Segment, Surface, Unscanned, Usage

# Beside the choices, what clients show of an answer. It stands in every event again.
_BESIDE = ("citations", "search_results", "related_questions", "images", "context")
# What is read by name, and what of a message is no text.
_READ = frozenset(
    (
        "audio",
        "content",
        "refusal",
        "tool_calls",
        "function_call",
        "reasoning_details",
        "reasoning_content",
        "reasoning",
    )
)
_QUIET = frozenset(
    ("role", "id", "type", "tool_call_id", "name", "signature", "thought_signature", "encrypted_content", "index")
)
_KEYS = frozenset(("file_citation", "url_citation", "start_index", "provider_specific_fields", "thought_signature"))


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a `usage` object, None when it is none. Negative, fractional or huge counts are dropped."""
    if not isinstance(usage, dict):
        return None
    cached = number_of(object_of(usage.get("prompt_tokens_details")).get("cached_tokens"))
    reasoning = number_of(object_of(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    return Usage(
        prompt_tokens=number_of(usage.get("prompt_tokens")),
        completion_tokens=number_of(usage.get("completion_tokens")),
        cached_tokens=number_of(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,  # DeepSeek
        reasoning_tokens=number_of(usage.get("reasoning_tokens")) if reasoning is None else reasoning,  # Perplexity
        total_tokens=number_of(usage.get("total_tokens")),
    )


def read_event(event: Mapping[str, Any]) -> Delta:
    """Return what one chunk says; an error in the middle of a stream is read leaf by leaf."""
    choices = event.get("choices")
    found = [_choice(choice, place) for place, choice in enumerate(choices if isinstance(choices, list) else ())]
    usages = [event.get("usage"), object_of(event.get("x_groq")).get("usage")]
    usages += [object_of(choice).get("usage") for choice in (choices if isinstance(choices, list) else ())]
    return Delta(
        pieces=(*(piece for delta in found for piece in delta.pieces), *_beside(event)),
        model=text_of(event.get("model")),
        finish=next((delta.finish for delta in found if delta.finish), ""),
        usage=next((read_usage(usage) for usage in usages if isinstance(usage, dict)), None),
        calls=tuple(call for delta in found for call in delta.calls),
        refusal=any(delta.refusal for delta in found),
        unscanned=tuple(item for delta in found for item in delta.unscanned),
    )


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; an error object is read leaf by leaf."""
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))
    found = read_event(body)
    return LlmReply(
        segments=tuple(Segment(p.text, p.surface, _choice_of(p.channel), "/choices") for p in found.pieces),
        model=found.model,
        finish_reason=found.finish,
        usage=found.usage,
        tool_calls=len(found.calls),
        refusal=found.refusal,
        unscanned=found.unscanned,
    )


def _choice_of(channel: Hashable) -> int:
    place = channel[1] if isinstance(channel, tuple) else None
    return place if type(place) is int else -1


def _beside(event: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield what stands beside the choices; of an event without any, everything."""
    known = isinstance(event.get("choices"), list)
    for path, text in leaves(event["error"], "/error") if event.get("error") else ():
        yield Piece(Surface.OUTPUT, text, ("error", path))
    for key, value in event.items():
        if known and key in _BESIDE:
            yield from (Piece(Surface.OUTPUT, t, ("beside", path), whole=True) for path, t in leaves(value, f"/{key}"))
        elif not known and key != "error":
            yield from (Piece(Surface.OUTPUT, text, ("other", path)) for path, text in leaves({key: value}))


def _choice(choice: Any, number: int) -> Delta:
    """Return what a choice says: its delta, its message (all of it, or all so far), its text, its error."""
    if not isinstance(choice, dict):
        return Delta(tuple(Piece(Surface.OUTPUT, text, ("other", number, path)) for path, text in leaves(choice)))
    place = index_of(choice, otherwise=number)
    said = [_message(choice[name], place, whole=name == "message") for name in ("delta", "message") if name in choice]
    text = text_of(choice.get("text"))
    pieces = [Piece(Surface.OUTPUT, text, ("text", place))] if text else []
    if error := choice.get("error"):
        pieces += [Piece(Surface.OUTPUT, told, ("error", place, path)) for path, told in leaves(error)]
    return Delta(
        pieces=(*(piece for delta in said for piece in delta.pieces), *pieces),
        finish=text_of(choice.get("finish_reason")),
        calls=tuple(dict.fromkeys(call for delta in said for call in delta.calls)),
        refusal=any(delta.refusal for delta in said),
        unscanned=tuple(item for delta in said for item in delta.unscanned),
    )


def _message(message: Any, place: int, *, whole: bool) -> Delta:
    if not isinstance(message, dict):
        return Delta(tuple(Piece(Surface.OUTPUT, t, ("other", place, path)) for path, t in leaves(message)))
    pieces = [Piece(surface, text, (kind, place), whole) for kind, surface, text in _texts(message) if text]
    calls = []
    for key, call in _calls(message):
        calls.append((place, key))
        if arguments := _arguments(call):
            pieces.append(Piece(Surface.TOOL_CALL, arguments, ("call", place, key), whole))
    others, unscanned = _others(message)
    # What stands in a list (annotations, citations) comes whole; other strings go on in the next event, as content does.
    pieces += [Piece(Surface.OUTPUT, text, ("other", place, path), whole or listed) for path, text, listed in others]
    return Delta(tuple(pieces), calls=tuple(calls), refusal=bool(text_of(message.get("refusal"))), unscanned=unscanned)


def _calls(message: Mapping[str, Any]) -> Iterator[tuple[Hashable, Mapping[str, Any]]]:
    """Yield the calls of a message with what names them, the one of the API's old style too."""
    for at, call in enumerate(objects_of(message.get("tool_calls"))):
        yield index_of(call, otherwise=at), object_of(call.get("function")) or object_of(call.get("custom"))
    if isinstance(message.get("function_call"), dict):
        yield "function_call", message["function_call"]


def _arguments(call: Mapping[str, Any]) -> str:
    """Return a call's arguments: JSON as text, or an object (as Mistral and Ollama's compatible API have them)."""
    given = call.get("arguments", call.get("input"))
    return given if isinstance(given, str) else msgspec.json.encode(given).decode() if given else ""


def _texts(message: Mapping[str, Any]) -> Iterator[tuple[str, Surface, str]]:
    """Yield the texts of a message or a delta. Reasoning stands under several names, often the same under two of them."""
    content = message.get("content")
    yield "content", Surface.OUTPUT, _content(content)
    yield "refusal", Surface.OUTPUT, text_of(message.get("refusal"))
    yield "transcript", Surface.OUTPUT, text_of(object_of(message.get("audio")).get("transcript"))
    details = (
        text_of(part.get("text")) or text_of(part.get("summary"))
        for part in objects_of(message.get("reasoning_details"))
    )
    thoughts = (
        text_of(message.get("reasoning_content")),
        text_of(message.get("reasoning")),
        "".join(details),
        "".join(_content(part.get("thinking")) for part in objects_of(content)),
    )
    for number, thought in enumerate(dict.fromkeys(thought for thought in thoughts if thought)):
        yield f"reasoning{number or ''}", Surface.REASONING, thought


def _content(content: Any) -> str:
    """Return the text of a content: a string, or the text parts of a list (as Mistral answers)."""
    if not isinstance(content, list):
        return text_of(content)
    return "".join(text_of(part.get("text")) if isinstance(part, dict) else text_of(part) for part in content)


def _others(message: Mapping[str, Any]) -> tuple[list[tuple[str, str, bool]], tuple[Unscanned, ...]]:
    """Return a message's other strings (path, text, whether in a list), and how much was bytes for eyes and ears."""
    found: list[tuple[str, str, bool]] = []
    sizes: list[int] = []
    sound = text_of(object_of(message.get("audio")).get("data"))
    for path, text, listed in (*((("/audio/data", sound, False),) if sound else ()), *_unread(message)):
        if is_bytes(text) and (text.startswith("data:") or path == "/audio/data"):
            sizes.append(len(text))
        elif text:
            found.append((path, text, listed))
    return found, binary(sizes)


def _unread(message: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield the strings that are read by no name of theirs, and whether they stand inside of something."""
    for key, value in message.items():
        if key == "content" and isinstance(value, list):
            value = [_without_text(part) for part in value]
        elif key in _QUIET or (key in _READ and not (key == "content" and isinstance(value, dict))):
            continue
        elif isinstance(value, str):
            yield f"/{key}", value, False
            continue
        for path, text in leaves(value, f"/{key}") if value else ():
            if text not in _KEYS and path.rpartition("/")[2] not in _QUIET:
                yield path, text, key != "content"


def _without_text(part: Any) -> Any:
    """Return what is left of a content's part whose text and thought have been read."""
    if not isinstance(part, dict):
        return None if isinstance(part, str) else part
    read = {"text"} if isinstance(part.get("text"), str) else set()
    read |= {"thinking"} if _content(part.get("thinking")) else set()
    return {key: value for key, value in part.items() if key not in read}
