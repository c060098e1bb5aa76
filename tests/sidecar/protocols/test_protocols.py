"""Which protocol reads which path."""

import pytest

from sidecar.protocols import PROTOCOLS, protocol_for
from sidecar.types import Head


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/generate", "generate"),
        ("/v1/chat/completions", "openai_chat"),
        ("/v1/chat/completions?api-version=1", "openai_chat"),
        ("/openai/deployments/x/chat/completions", "openai_chat"),
        ("/v1/embeddings", "openai_inputs"),
        ("/v1/moderations", "openai_inputs"),
        ("/v1/completions", "openai_completions"),
        ("/mistral/v1/fim/completions", "openai_completions"),
        ("/openai/deployments/x/completions", "openai_completions"),
        ("/v1/responses", "openai_responses"),
        ("/v1/responses/resp_1/input_items", "opaque"),
        ("/v1/files", "opaque"),
        ("/anthropic/v1/messages", "anthropic_messages"),
        ("/gemini/v1beta/models/m:streamGenerateContent?alt=sse&key=k", "gemini"),
        ("/bedrock/model/m/converse", "bedrock"),
        ("/cohere/v2/chat", "cohere"),
        ("/ollama/api/chat", "ollama"),
        ("/api/generate", "ollama"),
        ("/v2/rerank", "opaque"),
        ("/v1/x?y=/chat/completions", "opaque"),
        ("", "opaque"),
    ],
)
def test_first_protocol_that_matches_reads(path: str, name: str) -> None:
    assert name == protocol_for(Head("POST", path)).NAME


def test_names_are_used_once_and_opaque_stands_last() -> None:
    names = [protocol.NAME for protocol in PROTOCOLS]
    assert len(set(names)) == len(names)
    assert (names[:2], names[-1]) == (["websocket", "generate"], "opaque")
