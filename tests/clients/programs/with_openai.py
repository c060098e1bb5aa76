"""openai: chat completions, Responses, completions, embeddings; Azure's client; OpenRouter by base_url."""

import os
from collections.abc import Iterator

import openai
from rows import Row, print_rows, try_sdk

ROUTER = os.environ.get("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1")
AZURE = os.environ.get("AZURE_OPENAI_ENDPOINT", "https://corp.openai.azure.com")


def chat(client: openai.OpenAI, model: str, text: str) -> str:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


def chat_stream(client: openai.OpenAI, model: str, text: str) -> str:
    said = ""
    with client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], stream=True
    ) as stream:
        for chunk in stream:
            said += "".join(choice.delta.content or "" for choice in chunk.choices)
    return said


def response(client: openai.OpenAI, text: str) -> str:
    return client.responses.create(model="gpt-4o", input=text).output_text


def response_stream(client: openai.OpenAI, text: str) -> str:
    with client.responses.stream(model="gpt-4o", input=text) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        whole = stream.get_final_response().output_text
    return deltas if deltas == whole else f"{deltas} is not {whole}"


def completion(client: openai.OpenAI, text: str) -> str:
    return client.completions.create(model="gpt-3.5-turbo-instruct", prompt=text).choices[0].text


def completion_stream(client: openai.OpenAI, text: str) -> str:
    with client.completions.create(model="gpt-3.5-turbo-instruct", prompt=text, stream=True) as stream:
        return "".join(chunk.choices[0].text for chunk in stream if chunk.choices)


def embedding(client: openai.OpenAI, text: str) -> str:
    answer = client.embeddings.create(model="text-embedding-3-small", input=text)
    return str(answer.data[0].embedding)


def rows() -> Iterator[Row]:
    with openai.OpenAI(max_retries=0) as client:
        yield from try_sdk(
            "openai_chat", lambda t: chat(client, "gpt-4o", t), lambda t: chat_stream(client, "gpt-4o", t)
        )
        yield from try_sdk("openai_responses", lambda t: response(client, t), lambda t: response_stream(client, t))
        yield from try_sdk(
            "openai_completions", lambda t: completion(client, t), lambda t: completion_stream(client, t)
        )
        yield from try_sdk("openai_embeddings", lambda t: embedding(client, t))
    with openai.OpenAI(base_url=ROUTER, max_retries=0) as client:
        model = "meta-llama/llama-3.3-70b-instruct"
        yield from try_sdk("openrouter_chat", lambda t: chat(client, model, t), lambda t: chat_stream(client, model, t))
    with openai.AzureOpenAI(azure_endpoint=AZURE, api_key="key", api_version="2024-10-21", max_retries=0) as client:
        yield from try_sdk(
            "azure_chat", lambda t: chat(client, "gpt4o-eu", t), lambda t: chat_stream(client, "gpt4o-eu", t)
        )


print_rows(rows())
