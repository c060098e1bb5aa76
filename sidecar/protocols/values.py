"""Small questions to parsed JSON that every protocol asks: is this a string, a count, a list of objects?

In: values of any type, as clients and providers send them. Out: what was wanted, or its empty form.
"""

import base64
import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sidecar.protocols.json_body import MalformedBody, leaves, load
from sidecar.types import Head, Segment, Surface, Unscanned, UnscannedReason

_LARGEST_COUNT = 2**53  # what JSON numbers carry exactly (RFC 8259, 6)
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=_\r\n-]")  # standard or for URLs (RFC 4648)
_HEAD = re.compile(r"data:([^,;]{0,100})[^,]{0,100};base64,|")
_SNIFFED = 88  # characters of base64, 66 bytes: every picture, sound, PDF or archive has shown a control byte by then
_DEPLOYMENT = re.compile(r"/deployments/([^/?]{1,200})/")


def text_of(value: Any) -> str:
    """Return a string, empty for anything else."""
    return value if isinstance(value, str) else ""


def number_of(value: Any) -> int | None:
    """Return a number of tokens; negative, fractional or huge ones are none."""
    return value if type(value) is int and 0 <= value < _LARGEST_COUNT else None


def added(*counts: int | None) -> int | None:
    """Return the sum of counts of which the first was told."""
    return None if counts[0] is None else sum(count or 0 for count in counts)


def object_of(value: Any) -> dict[str, Any]:
    """Return an object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list, none for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def index_of(item: Mapping[str, Any], name: str = "index", otherwise: int = 0) -> int:
    """Return where an item says it stands, else where it is found."""
    told = item.get(name)
    return told if type(told) is int else otherwise


def read_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object of a body.

    Raises: MalformedBody for anything else.
    """
    body = load(data)
    if not isinstance(body, dict):
        raise MalformedBody("the body is not a JSON object")
    return body


def named_user(body: Mapping[str, Any]) -> str:
    """Return who asks, as a body says (DESIGN 5)."""
    named = object_of(body.get("metadata")).get("user_id")
    return text_of(body.get("user")) or text_of(body.get("safety_identifier")) or text_of(named)


def segments_of(value: Any, surface: Surface, path: str, place: int = -1) -> Iterator[Segment]:
    """Yield a value's strings worth scanning as segments; a value that is a string itself counts however short it is."""
    if isinstance(value, str):
        if value:
            yield Segment(value, surface, place, path)
        return
    for at, found in leaves(value, path):
        yield Segment(found, surface, place, at)


def is_bytes(value: str) -> bool:
    """Tell whether a string is base64, bare or in a data URL, of bytes for eyes and ears.

    Words are none, and neither is base64 of text, unless its URL says that it is something else: both are to be scanned.
    Bounds: linear.
    """
    head = _HEAD.match(value)
    start = head.end() if head else 0
    if _NO_BASE64.search(value, start):
        return False
    kind = head[1] if head else None
    if kind and not kind.lower().startswith("text/"):
        return True
    return not _is_text(value[start : start + _SNIFFED])


def _is_text(encoded: str) -> bool:
    """Tell whether base64 begins with text."""
    plain = encoded.replace("-", "+").replace("_", "/").replace("\r", "").replace("\n", "").rstrip("=")
    data = base64.b64decode(plain[: len(plain) // 4 * 4])
    try:
        begun = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\r\n\t\ufeff" for char in begun)


def model_of(body: Mapping[str, Any], head: Head) -> str:
    """Return the model that a request names: in its body, or as the deployment in Azure's paths."""
    named = _DEPLOYMENT.search(head.endpoint)
    return text_of(body.get("model")) or (named[1] if named else "")


# Where a request says how many tokens its answer may have at most: the name itself, or the object it stands in first.
# Source: API references of OpenAI (chat, responses), Anthropic, Cohere, Gemini, Bedrock, Ollama; read 2026-11.
_MOST = (
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample", "max_gen_len", "maxTokens"),
    *("num_predict", "maxOutputTokens", "max_new_tokens", "maxTokenCount"),
)
_ANSWERS = ("n", "candidateCount", "candidate_count")
_MOST_IN = ("generationConfig", "generation_config", "inferenceConfig", "textGenerationConfig", "options")


def most_tokens(body: Mapping[str, Any]) -> int | None:
    """Return how many tokens an answer may have at most, as its request says; None where it does not.

    Shape: of several numbers the largest; where several answers are asked for each may have as many.
    """
    places = (body, *(object_of(body.get(name)) for name in _MOST_IN if name in body))
    told = [number for place in places for name in _MOST if (number := number_of(place.get(name))) is not None]
    answers = [number for place in places for name in _ANSWERS if (number := number_of(place.get(name)))]
    return max(told) * max(answers, default=1) if told else None


def binary(sizes: Iterable[int]) -> tuple[Unscanned, ...]:
    """Return bytes that are no text as what was not scanned."""
    return tuple(Unscanned(UnscannedReason.BINARY, size) for size in sizes if size)
