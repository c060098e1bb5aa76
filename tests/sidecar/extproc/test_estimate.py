"""Tokens that nobody told."""

from sidecar.extproc.estimate import estimated
from sidecar.types import LlmMessage, LlmReply, Segment, Surface, Usage


def test_four_bytes_are_a_token_and_the_estimate_is_marked() -> None:
    message = LlmMessage("x", (Segment("a" * 9, Surface.USER), Segment("b" * 4, Surface.SYSTEM)))
    reply = LlmReply((Segment("c" * 8, Surface.OUTPUT), Segment("語", Surface.REASONING)))
    assert estimated(message, reply) == Usage(4, 3, None, 1, 7, estimated=True)


def test_an_answer_that_said_nothing_has_no_estimate() -> None:
    assert estimated(LlmMessage("x", (Segment("a", Surface.USER),)), LlmReply()) is None
