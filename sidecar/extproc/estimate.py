"""The tokens of a streamed answer whose provider did not tell them: an estimate, marked as one.

In: what was asked and what was said. Out: Usage(estimated=True), or None where nothing was said.
Source: OpenAI's rule of thumb of four characters a token for English ("Tokens", help centre, read 2026-11), counted in bytes of
UTF-8, so that scripts whose characters are tokens of their own (three bytes each) are not counted at a quarter.
Images and tools' internal tokens are not in it.
"""

from collections.abc import Iterable

from sidecar.types import LlmMessage, LlmReply, Segment, Surface, Usage

BYTES_PER_TOKEN = 4


def estimated(message: LlmMessage, reply: LlmReply) -> Usage | None:
    """Return the estimated tokens of an exchange. Bounds: linear in its text."""
    completion = tokens(reply.segments)
    if not completion:
        return None
    prompt = tokens(message.segments)
    reasoning = tokens(segment for segment in reply.segments if segment.surface is Surface.REASONING)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        reasoning_tokens=reasoning or None,
        total_tokens=prompt + completion,
        estimated=True,
    )


def tokens(segments: Iterable[Segment]) -> int:
    """Return the estimated tokens of texts. Bounds: linear."""
    size = sum(len(segment.text.encode("utf-8", "surrogatepass")) for segment in segments)
    return -(-size // BYTES_PER_TOKEN)
