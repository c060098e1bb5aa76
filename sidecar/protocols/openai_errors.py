"""OpenAI's error format, which every OpenAI-compatible SDK turns into its exception.

In: a Refused. Out: the JSON body, and the events that end a stream: SDKs raise APIError when a chunk holds `error`.
Source: OpenAI API reference, "Error codes"; openai-python's Stream, which looks for `error` in each chunk; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from sidecar.protocols.wire import Refused, StreamEvent


def refusal(refused: Refused) -> Mapping[str, Any]:
    """Return the body a refused client reads."""
    said = {"message": refused.message, "type": refused.kind, "param": None, "code": refused.code}
    return {"error": {**said, **refused.details}}


def stream_refusal(refused: Refused) -> tuple[StreamEvent, ...]:
    """Return an error chunk and the usual end of a stream."""
    return StreamEvent(msgspec.json.encode(refusal(refused))), StreamEvent(b"[DONE]")
