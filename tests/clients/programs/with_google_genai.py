"""google-genai."""

from collections.abc import Iterator

from google import genai
from rows import Row, print_rows, try_sdk

MODEL = "gemini-2.5-flash"


def generate(client: genai.Client, text: str) -> str:
    return client.models.generate_content(model=MODEL, contents=text).text or ""


def generate_stream(client: genai.Client, text: str) -> str:
    chunks = client.models.generate_content_stream(model=MODEL, contents=text)
    return "".join(chunk.text or "" for chunk in chunks)


def rows() -> Iterator[Row]:
    with genai.Client() as client:
        yield from try_sdk("gemini_generate", lambda t: generate(client, t), lambda t: generate_stream(client, t))


print_rows(rows())
