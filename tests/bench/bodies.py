"""Chat bodies: several messages of ordinary prose, of an exact size, and never the same text twice.

In: a seed, a size in bytes. Out: JSON bodies in which SERIAL stands in every message; whoever sends one puts a new number of the
same length there, so that nothing that remembers texts flatters us. A fifth of the messages is not plain ASCII.
Never: text that a detector should mind; test_bench.py runs every body through the pipeline.
"""

import json
from collections.abc import Iterator
from itertools import cycle
from random import Random

SERIAL = b"SERIALNO"
KIB = 1024
# Messages in a conversation of that many bytes: a question, a chat of some turns, a long session.
_MESSAGES = {1: 2, 10: 8, 100: 30}

_WHO = (
    "my team|our supplier|the northern office|a neighbour|the project group|my sister|the new colleague|our accountant"
)
_DOES = "would like to plan|has started|wants to compare|is preparing|has almost finished|keeps postponing|asked me about|likes"
_WHAT = (
    "the summer timetable|a short trip to the coast|the quarterly figures|a garden with herbs"
    "|the migration of the old database|a course on watercolours|a sorting function in Python"
    "|the translation of two letters|a budget for the kitchen"
)
_WHY = (
    "because the deadline is in three weeks|so that everybody can read it on the train|although the weather may change"
    "|since last year it took much longer than expected|and the costs should stay below 450 euros|before the guests arrive"
    "|which is why a clear table would be welcome|while keeping the tone friendly"
)
_ASK = (
    "Could you suggest three options and say which one you prefer?|Please summarise the main points in a few sentences."
    "|What would be a sensible first step?|How long does that usually take?|Please keep it short, a list is fine."
)
_FOREIGN = (
    "La réunion a été déplacée à jeudi après-midi, salle n° 12.|Das Angebot für die Küche läuft nächste Woche aus, schöne Grüße!"
    "|She wrote: “It’s fine – we’ll see you at the café.”|El tren de las 8:15 llegó con retraso, así que comimos más tarde."
    "|Температура утром была около нуля, но днём стало теплее.|会議は来週の火曜日に変更されました。"
)


def _pick(random: Random, choices: str) -> str:
    return random.choice(choices.split("|"))


def _sentences(random: Random, *, foreign: bool) -> Iterator[str]:
    while True:
        who = _pick(random, _WHO)
        yield f"{who[0].upper()}{who[1:]} {_pick(random, _DOES)} {_pick(random, _WHAT)}, {_pick(random, _WHY)}."
        if foreign and random.random() < 0.3:
            yield _pick(random, _FOREIGN)
        if random.random() < 0.25:
            yield _pick(random, _ASK) + "\n\n"


def prose(random: Random, chars: int, *, foreign: bool = False) -> str:
    """Return exactly that many characters of prose; without foreign they are ASCII, one byte each in JSON."""
    text = ""
    for sentence in _sentences(random, foreign=foreign):
        text += sentence if text.endswith("\n") or not text else " " + sentence
        if len(text) >= chars:
            break
    return (text if foreign else text.replace("\n\n", "  "))[:chars]


def _roles(count: int) -> list[str]:
    turns = cycle(("user", "assistant"))
    return ["system", *(next(turns) for _ in range(count - 2)), "user"]


def chat_body(random: Random, size: int, *, stream: bool = False) -> bytes:
    """Return one body of exactly that many bytes; the last message takes what the others leave."""
    roles = _roles(_MESSAGES.get(size // KIB, 4))
    share = (size - 256) // len(roles) - 60
    messages = [
        {"role": role, "content": f"Note {SERIAL.decode()}. " + prose(random, share, foreign=random.random() < 0.2)}
        for role in roles
    ]
    body = {"model": "gpt-4o", "stream": stream, "messages": messages, "temperature": 0.7, "max_tokens": 512}
    over = len(_encode(body)) - size
    last = messages[-1]
    if over > 0:  # foreign texts took more bytes than characters
        messages[-1] = last = {"role": "user", "content": f"Note {SERIAL.decode()}. "}
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
