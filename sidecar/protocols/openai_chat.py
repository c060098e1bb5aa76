"""OpenAI chat completions, and every host that speaks them.

In: request and response bodies, whole or streamed. Out: LlmMessage, LlmReply.
Source: OpenAI API reference, "Chat" (chat completion object, chunk object), read 2026-11.
"""

import codecs
from typing import Any

from sidecar.protocols import opaque
from sidecar.protocols.json_body import MalformedBody, leaves, load
from sidecar.protocols.sse import EventReader
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface, Unscanned, UnscannedReason, Usage

NAME = "openai_chat"

# The fields of an event stream, comments included. Whatever begins otherwise came whole: JSON, or a proxy's error page.
_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")

_SURFACES = {
    "system": Surface.SYSTEM,
    "developer": Surface.SYSTEM,
    "user": Surface.USER,
    "assistant": Surface.ASSISTANT,
    "tool": Surface.TOOL_RESULT,
    "function": Surface.TOOL_RESULT,
}


def matches(head: Head) -> bool:
    """Return True for chat completions, wherever a host keeps them."""
    return head.endpoint.endswith("/chat/completions")


def read_request(data: bytes, head: Head) -> LlmMessage:  # noqa: ARG001 - the shape of every protocol's read_request
    """Return the conversation of a request.

    Raises: MalformedBody when the body is not JSON, or has no list of messages.
    """
    body = load(data)
    if not isinstance(body, dict):
        raise MalformedBody("the body is not a JSON object")
    return read_conversation(body, NAME)


def read_conversation(body: dict[str, Any], protocol: str) -> LlmMessage:
    """Return the conversation of a body with `messages` in OpenAI's shape; every other string is scanned too.

    Raises: MalformedBody when `messages` is not a list of objects.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MalformedBody("'messages' is not a list of objects")
    segments: list[Segment] = []
    unscanned: list[Unscanned] = []
    for index, message in enumerate(messages):
        _read_message(message, index, segments, unscanned)
    for key, value in body.items():
        if key != "messages" and not (key == "model" and isinstance(value, str)):
            surface = Surface.TOOL_DEFINITION if key in ("tools", "functions", "response_format") else Surface.USER
            segments.extend(Segment(text, surface, -1, path) for path, text in leaves({key: value}))
    return LlmMessage(
        protocol=protocol,
        segments=tuple(segments),
        model=_text(body.get("model")),
        stream=body.get("stream") is True,
        messages=len(messages),
        user=_user(body),
        unscanned=tuple(unscanned),
    )


def _user(body: dict[str, Any]) -> str:
    """Return who asks, as the body says (DESIGN 5)."""
    metadata = body.get("metadata")
    named = metadata.get("user_id") if isinstance(metadata, dict) else ""
    return _text(body.get("user")) or _text(body.get("safety_identifier")) or _text(named)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _read_message(message: dict[str, Any], index: int, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    role = message.get("role")
    surface = _SURFACES.get(role, Surface.USER) if isinstance(role, str) else Surface.USER
    at = f"/messages/{index}"
    for key, value in message.items():
        if key == "content" and isinstance(value, str):
            if value:
                segments.append(Segment(value, surface, index, f"{at}/content"))
        elif key == "content" and isinstance(value, list):
            for number, part in enumerate(value):
                _read_part(part, Segment("", surface, index, f"{at}/content/{number}"), segments, unscanned)
        else:
            kind = Surface.TOOL_CALL if key in ("tool_calls", "function_call") else surface
            segments.extend(Segment(text, kind, index, at + path) for path, text in leaves({key: value}))


def _read_part(part: Any, at: Segment, segments: list[Segment], unscanned: list[Unscanned]) -> None:
    said = _text(part.get("text")) if isinstance(part, dict) else _text(part)
    if said:  # however short: it is the conversation, not an identifier
        path = "/text" if isinstance(part, dict) else ""
        segments.append(Segment(said, at.surface, at.message_index, at.path + path))
        part = {key: value for key, value in part.items() if key != "text"} if isinstance(part, dict) else None
    for path, text in leaves(part):
        if _is_media(path, text):
            unscanned.append(Unscanned(UnscannedReason.BINARY, len(text)))
        else:
            segments.append(Segment(text, at.surface, at.message_index, at.path + path))


def _is_media(path: str, text: str) -> bool:
    """An image, a sound or a file inside the body: bytes for the model's eyes and ears, not text."""
    if path in ("/input_audio/data", "/file/file_data"):
        return True
    return text.startswith("data:") and path in ("/image_url/url", "/image_url") and ";base64," in text[:100]


def read_usage(usage: Any) -> Usage | None:
    """Return the tokens of a `usage` object, None when it is none. Negative, fractional or huge counts are dropped."""
    if not isinstance(usage, dict):
        return None
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(_detail(usage, "prompt_tokens_details", "cached_tokens")),
        reasoning_tokens=_count(_detail(usage, "completion_tokens_details", "reasoning_tokens")),
        total_tokens=_count(usage.get("total_tokens")),
    )


def _detail(usage: dict[str, Any], group: str, name: str) -> Any:
    details = usage.get(group)
    return details.get(name) if isinstance(details, dict) else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


class Reader:
    """Reads one answer, JSON or SSE by its first bytes, split anywhere.

    complete turns True with the bytes that end the answer: a whole JSON value, or `[DONE]`.
    """

    MAX_CHARS = 256 * 1024  # of text kept for scanning, per answer
    MAX_JSON_BYTES = 8 * 1024 * 1024
    __slots__ = ("_body", "_dropped", "_events", "_parsed", "_state", "_tries", "_whole", "complete")

    def __init__(self) -> None:
        self._events: EventReader | None = None
        self._body = bytearray()
        self._whole = False
        self._dropped = 0
        self._tries = 0
        self._parsed: LlmReply | None = None
        self._state = _Stream()
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the answer."""
        if self._events is None and not self._whole:
            chunk = self._begun(chunk)
        if self._events is not None:
            self._take(self._events.feed(chunk))
        elif chunk:
            self._grow(chunk)

    def _begun(self, chunk: bytes) -> bytes:
        """Return what to read once the first bytes tell events from a body that comes whole; hold them back until then."""
        self._body += chunk
        start = bytes(self._body).removeprefix(codecs.BOM_UTF8).lstrip()
        if start.startswith(_EVENT_FIELDS):
            self._events = EventReader()
        elif start and not any(field.startswith(start) for field in (*_EVENT_FIELDS, codecs.BOM_UTF8)):
            self._whole = True
        if start and not self._whole and self._events is None:
            return b""
        self._body.clear()
        return start

    def finish(self) -> LlmReply:
        """Return what was read, whether or not the answer came to its end."""
        if self._parsed is not None:
            return self._parsed
        if self._events is not None:
            self._take(self._events.finish())
            return self._state.reply(self._events.overflowed)
        self._parse()
        return self._parsed or opaque.read_response(bytes(self._body), self._dropped)

    def _grow(self, chunk: bytes) -> None:
        room = self.MAX_JSON_BYTES - len(self._body)
        self._body += chunk[:room]
        self._dropped += max(0, len(chunk) - room)
        # A whole JSON value ends the answer even when the end of stream comes in a message of its own: the record must be
        # written before these bytes are released. A few tries keep a body cut at unlucky places linear.
        if chunk.rstrip()[-1:] == b"}" and self._tries < 4 and not self._dropped:
            self._tries += 1
            self._parse()

    def _parse(self) -> None:
        try:
            body = load(bytes(self._body))
        except MalformedBody:
            return
        self._parsed = read_reply(body)
        self.complete = True

    def _take(self, events: list[bytes]) -> None:
        for data in events:
            if data.strip() == b"[DONE]":
                self.complete = True
            else:
                self._state.take(data, self.MAX_CHARS)


class _Stream:
    """What the chunks of a streamed answer add up to."""

    __slots__ = ("calls", "chars", "dropped", "finish", "model", "refusal", "texts", "unread", "usage")

    def __init__(self) -> None:
        self.texts: dict[Surface, list[str]] = {}
        self.chars = 0
        self.dropped = 0
        self.unread = 0
        self.model = ""
        self.finish = ""
        self.usage: Usage | None = None
        self.calls: set[tuple[int, int]] = set()
        self.refusal = False

    def take(self, data: bytes, max_chars: int) -> None:
        """Add one chunk."""
        try:
            chunk = load(data)
        except MalformedBody:
            self.unread += len(data)
            return
        if not isinstance(chunk, dict):
            self.unread += len(data)
            return
        self.model = self.model or _text(chunk.get("model"))
        self.usage = read_usage(chunk.get("usage")) or self.usage
        choices = chunk.get("choices")
        if not isinstance(choices, list):  # an error in the middle of a stream
            self._add([(Surface.OUTPUT, text) for _, text in leaves(chunk)], max_chars)
            return
        for number, choice in enumerate(choices):
            if isinstance(choice, dict):
                self._choice(choice, number, max_chars)

    def _choice(self, choice: dict[str, Any], number: int, max_chars: int) -> None:
        self.finish = _text(choice.get("finish_reason")) or self.finish
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        self._add(_texts(delta), max_chars)
        self.refusal = self.refusal or bool(_text(delta.get("refusal")))
        for call in _calls(delta):
            index = call.get("index")
            self.calls.add((number, index if type(index) is int else 0))

    def _add(self, texts: list[tuple[Surface, str]], max_chars: int) -> None:
        for surface, text in texts:
            room = max_chars - self.chars
            self.dropped += max(0, len(text) - room)
            self.texts.setdefault(surface, []).append(text[: max(0, room)])
            self.chars += min(len(text), max(0, room))

    def reply(self, overflowed: int) -> LlmReply:
        """Return the answer as one reply."""
        unscanned = []
        if self.dropped or overflowed:
            unscanned.append(Unscanned(UnscannedReason.LIMIT, self.dropped + overflowed))
        if self.unread:
            unscanned.append(Unscanned(UnscannedReason.FAILURE, self.unread))
        return LlmReply(
            segments=tuple(Segment("".join(parts), surface) for surface, parts in self.texts.items()),
            model=self.model,
            finish_reason=self.finish,
            usage=self.usage,
            tool_calls=len(self.calls),
            refusal=self.refusal,
            unscanned=tuple(unscanned),
        )


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _texts(message: dict[str, Any]) -> list[tuple[Surface, str]]:
    """Return the texts of a message or a delta: content, refusal, reasoning (as DeepSeek and OpenRouter name it), calls."""
    found = [
        (Surface.OUTPUT, _said(message.get("content"))),
        (Surface.OUTPUT, _text(message.get("refusal"))),
        (Surface.REASONING, _text(message.get("reasoning_content")) or _text(message.get("reasoning"))),
    ]
    for call in _calls(message):
        function = call.get("function")
        if isinstance(function, dict):
            found.append((Surface.TOOL_CALL, _text(function.get("arguments"))))
    return [(surface, text) for surface, text in found if text]


def _said(content: Any) -> str:
    """Return the text of a content: a string, or the text parts of a list (as Mistral answers)."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) if isinstance(part, dict) else _text(part) for part in content)
    return _text(content)


def read_reply(body: Any) -> LlmReply:
    """Return the reply in the value of an answer that came whole; an error object is read leaf by leaf."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list):
        return LlmReply(segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in leaves(body)))
    segments: list[Segment] = []
    finish, calls, refusal = "", 0, False
    for number, choice in enumerate(choices):
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            continue
        finish = finish or _text(choice.get("finish_reason"))
        calls += len(_calls(message))
        refusal = refusal or bool(_text(message.get("refusal")))
        segments.extend(Segment(text, surface, number, "/choices") for surface, text in _texts(message))
    return LlmReply(
        segments=tuple(segments),
        model=_text(body.get("model")),
        finish_reason=finish,
        usage=read_usage(body.get("usage")),
        tool_calls=calls,
        refusal=refusal,
    )


def reader() -> Reader:
    """Return a reader for one answer."""
    return Reader()
