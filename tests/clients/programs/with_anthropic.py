"""anthropic."""

from collections.abc import Iterator

import anthropic
from rows import Row, print_rows, try_sdk

MODEL = "claude-local"


def message(client: anthropic.Anthropic, text: str) -> str:
    answer = client.messages.create(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": text}])
    return "".join(block.text for block in answer.content if block.type == "text")


def message_stream(client: anthropic.Anthropic, text: str) -> str:
    with client.messages.stream(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": text}]) as stream:
        return "".join(stream.text_stream)


def rows() -> Iterator[Row]:
    with anthropic.Anthropic(max_retries=0) as client:
        yield from try_sdk("anthropic_messages", lambda t: message(client, t), lambda t: message_stream(client, t))


print_rows(rows())
