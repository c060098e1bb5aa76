"""Calls that send texts and get no text back: embeddings and moderations, OpenAI's and those of all that follow it.

In: bodies of POST …/embeddings and …/moderations. Out: LlmMessage, LlmReply.
Source: OpenAI API reference, "Embeddings", "Moderations", read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from sidecar.protocols import opaque, openai_errors
from sidecar.protocols.json_body import leaves
from sidecar.protocols.openai_choices import read_usage
from sidecar.protocols.values import binary, is_bytes, model_of, named_user, object_of, objects_of, read_object, text_of
from sidecar.protocols.wire import Delta
from sidecar.types import Head, LlmMessage, LlmReply, Segment, Surface

NAME = "openai_inputs"
FRAMING = None
_BYTES_PER_NUMBER = 4


def matches(head: Head) -> bool:
    """Return True for embeddings and moderations, wherever a host keeps them."""
    return head.endpoint.endswith(("/embeddings", "/moderations"))


def read_request(data: bytes, head: Head) -> LlmMessage:
    """Return the inputs of a request, as what a user says; images are counted.

    Raises: MalformedBody when the body is no JSON object.
    """
    body = read_object(data)
    given = body.get("input")
    inputs = given if isinstance(given, list) else [given]
    segments: list[Segment] = []
    sizes: list[int] = []
    for number, item in enumerate(inputs):
        path = f"/input/{number}" if isinstance(given, list) else "/input"
        found = [(path, item)] if isinstance(item, str) and item else list(leaves(item, path))
        segments.extend(Segment(text, Surface.USER, number, at) for at, text in found if not _is_picture(at, text))
        sizes.extend(len(text) for at, text in found if _is_picture(at, text))
    sizes.append(_BYTES_PER_NUMBER * _numbers(inputs))
    for key, value in body.items():
        if key != "input" and not (key == "model" and isinstance(value, str)):
            segments.extend(Segment(text, Surface.USER, -1, path) for path, text in leaves({key: value}))
    return LlmMessage(NAME, tuple(segments), model_of(body, head), False, len(inputs), named_user(body), binary(sizes))


def _is_picture(path: str, text: str) -> bool:
    """Only where a picture may stand is a data URL one."""
    return path.endswith(("/url", "/image_url", "/image")) and text.startswith("data:") and is_bytes(text)


def _numbers(inputs: list[Any]) -> int:
    flat = (number for item in inputs for number in (item if isinstance(item, list) else (item,)))
    return sum(type(number) is int for number in flat)


def read_reply(body: Any) -> LlmReply:
    """Return the tokens that were counted; vectors asked for in base64 are bytes."""
    vectors = objects_of(object_of(body).get("data"))
    encoded = [len(text_of(item.get("embedding"))) for item in vectors]
    quiet = (
        "model",
        "usage",
        "results",
        *(("data",) if vectors else ()),
    )  # a moderation's results are names and numbers
    found = leaves({key: value for key, value in body.items() if key not in quiet} if isinstance(body, dict) else body)
    return LlmReply(
        segments=tuple(Segment(text, Surface.OUTPUT, -1, path) for path, text in found),
        model=text_of(object_of(body).get("model")),
        usage=read_usage(object_of(body).get("usage")),
        unscanned=binary(encoded),
    )


def read_event(event: Mapping[str, Any]) -> Delta:
    """These calls do not stream; what comes all the same is read as anything is."""
    return opaque.read_event(event)


refusal, stream_refusal = openai_errors.refusal, openai_errors.stream_refusal
