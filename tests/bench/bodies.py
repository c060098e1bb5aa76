"""Chat bodies: several messages of real English, of an exact size, and never the same text twice.

In: a seed, a size in bytes. Out: JSON bodies in which SERIAL stands in every message; whoever sends one puts a new number of the
same length there, so that nothing that remembers texts flatters us. A fifth of the messages is not plain ASCII.
Never: text that a detector should mind; test_bench.py runs every body through the pipeline.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pydoc_data.topics import topics
from random import Random

SERIAL = b"SERIALNO"
KIB = 1024
# Messages in a conversation of that many bytes: a question, a chat of some turns, a long session.
_MESSAGES = {1: 2, 10: 8, 100: 30}

_ASK = (
    "Could you suggest three options and say which one you prefer?",
    "Please summarise the main points in a few sentences.",
    "What would be a sensible first step for my team?",
    "How long does that usually take, and what does it cost?",
    "Please keep it short, a list is fine.",
)
_FOREIGN = (
    "La réunion a été déplacée à jeudi après-midi, salle n° 12.",
    "Das Angebot für die Küche läuft nächste Woche aus, schöne Grüße!",
    "She wrote: “It’s fine – we’ll see you at the café.”",
    "El tren de las 8:15 llegó con retraso, así que comimos más tarde.",
    "Температура утром была около нуля, но днём стало теплее.",
    "会議は来週の火曜日に変更されました。",
)
# What takes more than one byte in JSON.
_PLAIN = re.compile(r'["\\\n]')
# Prose only: no signs of code, and none of the sentences that tell Python to run something.
_SENTENCE = re.compile(r"\b[A-Z][a-z]+ [A-Za-z0-9 ,;:'()-]{30,250}[.!?](?= |$)")
_ORDER = re.compile(r"\b(?:exec|eval|run|shell|import|system|input|silent)", re.IGNORECASE)


@cache
def _book() -> tuple[str, ...]:
    """Return some thousand sentences of real English: Python's own help pages, which every installation has."""
    text = " ".join(" ".join(topics[name].split()) for name in sorted(topics))
    return tuple(sentence for sentence in _SENTENCE.findall(text) if not _ORDER.search(sentence))


def _sentences(random: Random, *, foreign: bool) -> Iterator[str]:
    """Yield sentences in an order that nobody has seen: automata that are built as they read find new ways each time."""
    book = _book()
    while True:
        yield random.choice(book)
        if foreign and random.random() < 0.3:
            yield random.choice(_FOREIGN)
        if random.random() < 0.1:
            yield random.choice(_ASK) + "\n\n"


def prose(random: Random, chars: int, *, foreign: bool = False) -> str:
    """Return exactly that many characters of prose; without foreign they are ASCII, one byte each in JSON."""
    parts: list[str] = []
    size = 0
    for sentence in _sentences(random, foreign=foreign):
        parts.append(sentence)
        size += len(sentence) + 1
        if size > chars:
            break
    text = " ".join(parts)[: max(0, chars)]
    return text if foreign else _PLAIN.sub(" ", text)


def _roles(count: int) -> list[str]:
    turns = cycle(("user", "assistant"))
    return ["system", *(next(turns) for _ in range(count - 2)), "user"]


def chat_body(random: Random, size: int, *, stream: bool = False) -> bytes:
    """Return one body of exactly that many bytes; the last message takes what the others leave."""
    roles = _roles(_MESSAGES.get(size // KIB, 4))
    share = (size - 256) // len(roles) - 60
    messages = [
        {"role": role, "content": f"Ticket {SERIAL.decode()}. " + prose(random, share, foreign=random.random() < 0.2)}
        for role in roles
    ]
    body = {"model": "gpt-4o", "stream": stream, "messages": messages, "temperature": 0.7, "max_tokens": 512}
    over = len(_encode(body)) - size
    last = messages[-1]
    if over > 0:  # foreign texts took more bytes than characters
        messages[-1] = last = {"role": "user", "content": f"Ticket {SERIAL.decode()}. "}
    last["content"] += prose(random, size - len(_encode(body)))
    return _encode(body)


def _encode(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def pool(size: int, count: int, *, stream: bool = False, seed: int = 1) -> list[bytes]:
    """Return that many different bodies, the same for the same seed."""
    random = Random(f"{seed}/{size}/{stream}")
    return [chat_body(random, size, stream=stream) for _ in range(count)]


def stamped(body: bytes, serial: int) -> bytes:
    """Return a body with its own number in every message; the size stays."""
    return body.replace(SERIAL, b"%08d" % (serial % 10**8))
