"""The readers of providers' wire formats.

In: bodies. Out: LlmMessage, LlmReply, and what each event of a streamed answer says; the words of a refusal.
wire.WireFormat is what a module offers; reading.Reader reads an answer by it. A new protocol is a new file and a line in PROTOCOLS.
"""

from sidecar.protocols import (
    anthropic_messages,
    bedrock,
    cohere,
    gemini,
    generate,
    ollama,
    opaque,
    openai_chat,
    openai_completions,
    openai_inputs,
    openai_responses,
    websocket,
)
from sidecar.protocols.reading import AnswerReader, Reader
from sidecar.protocols.wire import WireFormat
from sidecar.types import Head

# First match wins: an Upgrade whatever its path, opaque whatever is left.
PROTOCOLS: tuple[WireFormat, ...] = (
    websocket,
    generate,
    openai_chat,
    openai_responses,
    openai_completions,
    openai_inputs,
    anthropic_messages,
    gemini,
    bedrock,
    cohere,
    ollama,
    opaque,
)


def protocol_for(head: Head) -> WireFormat:
    """Return the first protocol that reads calls to this path."""
    return next(protocol for protocol in PROTOCOLS if protocol.matches(head))


def reader_for(head: Head) -> AnswerReader:
    """Return what reads the answer to a request."""
    return websocket.Counter() if websocket.matches(head) else Reader(protocol_for(head))
