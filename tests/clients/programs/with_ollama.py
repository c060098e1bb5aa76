"""ollama; OLLAMA_HOST says where it is, and it is plain HTTP."""

from collections.abc import Iterator

import ollama
from rows import Row, print_rows, try_sdk

MODEL = "llama3.2"


def chat(client: ollama.Client, text: str) -> str:
    return client.chat(model=MODEL, messages=[{"role": "user", "content": text}]).message.content or ""


def chat_stream(client: ollama.Client, text: str) -> str:
    chunks = client.chat(model=MODEL, messages=[{"role": "user", "content": text}], stream=True)
    return "".join(chunk.message.content or "" for chunk in chunks)


def generate(client: ollama.Client, text: str) -> str:
    return client.generate(model=MODEL, prompt=text).response


def generate_stream(client: ollama.Client, text: str) -> str:
    return "".join(chunk.response for chunk in client.generate(model=MODEL, prompt=text, stream=True))


def rows() -> Iterator[Row]:
    client = ollama.Client()
    yield from try_sdk("ollama_chat", lambda t: chat(client, t), lambda t: chat_stream(client, t))
    yield from try_sdk("ollama_generate", lambda t: generate(client, t), lambda t: generate_stream(client, t))


print_rows(rows())
