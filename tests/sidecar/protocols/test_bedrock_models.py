"""What models on Bedrock answer in their own shapes; their streams are replayed in test_bedrock.py."""

from typing import Any

import pytest
from hypothesis import given

from sidecar.protocols import bedrock_models
from sidecar.types import LlmReply, Segment, Surface, Usage
from tests.sidecar.protocols.anything import LONG, strings, values

SAID = (Segment("Bonjour.", Surface.OUTPUT, 0),)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "inputTextTokenCount": 4,
                "results": [{"tokenCount": 5, "outputText": "Bonjour.", "completionReason": "FINISH"}],
            },
            LlmReply(SAID, "", "FINISH", Usage(4, 5)),
        ),
        (
            {"generation": "Bonjour.", "prompt_token_count": 4, "generation_token_count": 5, "stop_reason": "stop"},
            LlmReply(SAID, "", "stop", Usage(4, 5)),
        ),
        ({"outputs": [{"text": "Bonjour.", "stop_reason": "stop"}]}, LlmReply(SAID, "", "stop")),
        (
            {
                "text": "Bonjour.",
                "finish_reason": "COMPLETE",
                "meta": {"billed_units": {"input_tokens": 4, "output_tokens": 5}},
            },
            LlmReply(SAID, "", "COMPLETE", Usage(4, 5)),
        ),
        ({"generations": [{"text": "Bonjour.", "finish_reason": "COMPLETE"}]}, LlmReply(SAID, "", "COMPLETE")),
        (
            {"type": "message", "content": [{"type": "text", "text": "Bonjour."}], "stop_reason": "end_turn"},
            LlmReply((Segment("Bonjour.", Surface.OUTPUT, 0, "/content/0/text"),), "", "end_turn"),
        ),
        (
            {"choices": [{"message": {"content": "Bonjour."}, "finish_reason": "stop"}]},
            LlmReply((Segment("Bonjour.", Surface.OUTPUT, 0, "/choices"),), "", "stop"),
        ),
        ({"message": LONG}, LlmReply((Segment(LONG, Surface.OUTPUT, -1, "/message"),))),
        ([LONG], LlmReply((Segment(LONG, Surface.OUTPUT, -1, "/0"),))),
    ],
    ids=["Titan", "Llama", "Mistral", "Cohere", "Cohere Command", "Anthropic", "OpenAI", "error", "list"],
)
def test_answers_are_told_apart_by_what_they_hold(body: Any, expected: LlmReply) -> None:
    assert bedrock_models.read_reply(body) == expected


def test_words_in_the_place_of_a_plain_value_are_read() -> None:
    pieces = bedrock_models.read_event({"outputText": "hi", "stop_reason": LONG, "generation_id": "0-1-2-3"}).pieces
    assert [piece.text for piece in pieces] == ["hi", LONG]


@given(
    values(("results", "outputs", "outputText", "text", "generation", "stop_reason", "meta", "billed_units"), ("stop",))
)
def test_no_long_text_of_an_unknown_shape_is_lost(value: Any) -> None:
    body = {"results": value, "x": value}
    found = [piece.text for piece in bedrock_models.read_event(body).pieces]
    assert len([t for t in found if t == LONG]) == len([t for t in strings(body) if t == LONG])
