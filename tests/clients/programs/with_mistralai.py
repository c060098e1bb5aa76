"""mistralai. It has no variable for its base URL: an application passes server_url."""

import os
from collections.abc import Iterator

from mistralai.client import Mistral
from rows import Row, print_rows, try_sdk

MODEL = "mistral-small-latest"


def chat(client: Mistral, text: str) -> str:
    answer = client.chat.complete(model=MODEL, messages=[{"role": "user", "content": text}])
    return str(answer.choices[0].message.content)


def chat_stream(client: Mistral, text: str) -> str:
    with client.chat.stream(model=MODEL, messages=[{"role": "user", "content": text}]) as stream:
        return "".join(str(event.data.choices[0].delta.content or "") for event in stream)


def rows() -> Iterator[Row]:
    with Mistral(api_key="key", server_url=os.environ.get("MISTRAL_SERVER_URL")) as client:
        yield from try_sdk("mistral_chat", lambda t: chat(client, t), lambda t: chat_stream(client, t))


print_rows(rows())
