"""The stand-in provider: OpenAI chat completions from a script, JSON and SSE, with usage. Deterministic.

In: HTTP on a loopback port. Out: answers in OpenAI's format (API reference, "Chat", read 2026-11).
Never: leaves the machine, or pretends to be a model: the answer says that it comes from the stand-in.
"""

import json
import socketserver
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_TOKEN_DELAY_S = 0.01
_MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo")


def answer_text(messages: list[dict[str, Any]]) -> str:
    """Return what the stand-in says to a conversation."""
    last = next((_text(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")
    words = len(last.split())
    return (
        f"This is Douane's stand-in provider, not a model. It read {len(messages)} message(s); "
        f"the last one from the user has {words} word(s). Set OPENAI_API_KEY to talk to a real one."
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(part.get("text", "") for part in parts if isinstance(part, dict))


def _tokens(text: str) -> int:
    """A stand-in's tokens: four characters each, the usual rule of thumb for English."""
    return max(1, len(text) // 4)


def usage_of(messages: list[dict[str, Any]], answer: str) -> dict[str, Any]:
    """Return the usage object of an exchange."""
    prompt = sum(_tokens(_text(m.get("content"))) for m in messages)
    completion = _tokens(answer)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """Return a whole chat completion."""
    messages = body["messages"]
    text = answer_text(messages)
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        **_head(body, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": usage_of(messages, text),
    }


def _head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    seed = json.dumps(body, sort_keys=True).encode()
    name = blake2b(seed, digest_size=12).hexdigest()
    return {"id": f"chatcmpl-{name}", "object": kind, "created": 1_700_000_000, "model": body.get("model", "stand-in")}


def chunks(body: dict[str, Any]) -> Iterator[str]:
    """Yield the SSE events of a streamed chat completion, a word each."""
    head = _head(body, "chat.completion.chunk")
    text = answer_text(body["messages"])
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in text.replace(" ", " \0").split("\0")]
    for delta in deltas:
        yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        yield _event({**head, "choices": [], "usage": usage_of(body["messages"], text)})
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def error(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """Return an error in OpenAI's format."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: Nagle and a delayed acknowledgement would cost 40 ms
    sleep: Callable[[float], None] = staticmethod(time.sleep)

    def do_GET(self) -> None:
        """List the models, or say that there is nothing else."""
        if self.path.endswith("/models"):
            self._json(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in _MODELS]})
        else:
            self._json(404, error(f"the stand-in provider has no {self.path}"))

    def do_POST(self) -> None:
        """Answer a chat completion."""
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if not self.path.endswith("/chat/completions"):
            self._json(404, error(f"the stand-in provider has no {self.path}"))
            return
        try:
            body = json.loads(data)
            answer = completion(body)  # of a stream too: what it cannot read is a 400, not half an answer
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            self._json(400, error("the stand-in provider could not read this body"))
            return
        if body.get("stream"):
            self._stream(body)
        else:
            self._json(200, answer)

    def _json(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in chunks(body):
            data = event.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
            self.sleep(_TOKEN_DELAY_S)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_arguments: Any) -> None:
        """Stay quiet: Douane's own log tells of every call."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle of a stream is normal."""
        del request, client_address


def build_provider(port: int) -> socketserver.TCPServer:
    """Return the stand-in provider's server on a loopback port, 0 for any, not yet serving.

    Raises: OSError when the port is taken.
    """
    return _Server(("127.0.0.1", port), _Handler)
