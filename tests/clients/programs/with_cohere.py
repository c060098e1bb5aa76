"""cohere, version 2 of its chat."""

from collections.abc import Iterator

import cohere
from cohere.core.request_options import RequestOptions
from rows import Row, print_rows, try_sdk

MODEL = "command-a-03-2025"
ONCE = RequestOptions(max_retries=0)


def chat(client: cohere.ClientV2, text: str) -> str:
    answer = client.chat(model=MODEL, messages=[cohere.UserChatMessageV2(content=text)], request_options=ONCE)
    return "".join(item.text for item in answer.message.content or () if item.type == "text")


def chat_stream(client: cohere.ClientV2, text: str) -> str:
    said = ""
    for event in client.chat_stream(
        model=MODEL, messages=[cohere.UserChatMessageV2(content=text)], request_options=ONCE
    ):
        if event.type == "content-delta":
            said += event.delta.message.content.text
        elif event.type == "message-end" and event.delta.finish_reason == "ERROR":
            raise RuntimeError(event.delta.error)  # the SDK leaves that to the application
    return said


def rows() -> Iterator[Row]:
    client = cohere.ClientV2()
    yield from try_sdk("cohere_chat", lambda t: chat(client, t), lambda t: chat_stream(client, t))


print_rows(rows())
