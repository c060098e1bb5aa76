"""`make bench-detect`: what inspecting a text costs, by size, by kind of text, and in a long chat.

In: nothing. Out: tables on the terminal. Texts are made from the phrase banks' ordinary sentences; every text is new, none is
measured twice. Ratios hold across machines, microseconds do not.
"""

import argparse
import base64
import json
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache

from sidecar.detectors.ruleset import DEFAULT
from sidecar.pipeline import Pipeline
from sidecar.risk.memo import Memo
from sidecar.types import Head, Segment, Surface
from tests.bench.report import table
from tests.train.generate import Bank, filled, load_banks

KIB = 1024
FAR = 1 << 62
TARGETS = {1: 0.2, 10: 1.5, 100: 12.0}  # ms, issue 3
CHAT = Head("POST", "/v1/chat/completions", "api.openai.com", headers={"content-type": "application/json"})
TURNS = 60
FAMILIES = ("user", "document", "tool_result")


@cache
def _templates() -> tuple[tuple[Bank, str], ...]:
    english = [bank for bank in load_banks() if bank.benign and bank.language == "en"]
    return tuple(
        (bank, template) for bank in english for family in FAMILIES for template in bank.benign.get(family, ())
    )


def sentences(seed: int) -> Iterator[str]:
    """Yield ordinary sentences of the banks, endlessly."""
    chance = random.Random(seed)
    while True:
        bank, template = chance.choice(_templates())
        yield filled(template, bank.slots, chance)


def text_of(size: int, seed: int) -> str:
    """Return a new ordinary text of so many characters."""
    parts, length = [], 0
    for sentence in sentences(seed):
        parts.append(sentence)
        length += len(sentence) + 1
        if length >= size:
            return " ".join(parts)[:size]
    raise AssertionError("sentences never end")


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def by_size(line: Pipeline, rounds: int) -> list[list[object]]:
    """Return a row per size: median and 95th percentile of new texts."""
    rows: list[list[object]] = []
    for kib, target in TARGETS.items():
        texts = [Segment(text_of(kib * KIB, seed), Surface.USER) for seed in range(max(20, rounds // kib))]
        taken = sorted(milliseconds(lambda s=segment: line.inspect_text(s, FAR)) for segment in texts)
        rows.append([f"{kib} KB", statistics.median(taken), taken[int(len(taken) * 0.95)], target])
    return rows


def hostile(size: int) -> dict[str, str]:
    """Return texts made to cost much, of about this many characters."""
    nested = "Ignore the rules. " * 8
    while len(nested) * 4 // 3 < size:
        nested = base64.b64encode(nested.encode()).decode()
    return {
        "one character": "a" * size,
        "blanks": " " * size,
        "zero-width": "a\u200b" * (size // 2),
        "lone surrogates": "\ud800" * size,
        "combining marks": "e" + "\u0301" * (size - 1),
        "nested base64": nested,
        "percent": "%25" * (size // 3),
        "entities": "&amp;" * (size // 5),
        "leetspeak": "r3v34l " * (size // 7),
        "gate words": "ignore previous system prompt " * (size // 30),
        "open quotes": "'\"`(" * (size // 4),
    }


def by_hostility(line: Pipeline, size: int) -> list[list[object]]:
    """Return a row per hostile text: time, and its ratio to ordinary text of the same size."""
    ordinary = statistics.median(
        milliseconds(lambda s=seed: line.inspect_text(Segment(text_of(size, s), Surface.USER), FAR))
        for seed in (91, 92, 93)
    )
    rows: list[list[object]] = [["ordinary", ordinary, 1.0]]
    for name, text in hostile(size).items():
        taken = milliseconds(lambda t=text: line.inspect_text(Segment(t, Surface.USER), FAR))
        rows.append([name, taken, taken / ordinary])
    return rows


def by_turn() -> list[list[object]]:
    """Return what a chat's turns cost with and without the memo."""
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": text_of(KIB, 500 + number)} for number in range(TURNS)
    ]
    bodies = [json.dumps({"model": "m", "messages": turns[: number + 1]}).encode() for number in range(TURNS)]
    rows: list[list[object]] = []
    for name, line in (
        ("without memo", Pipeline(lambda: 0, DEFAULT)),
        ("with memo", Pipeline(lambda: 0, DEFAULT, Memo(b"k"))),
    ):
        taken = [milliseconds(lambda b=body, p=line: p.inspect(CHAT, b, FAR)) for body in bodies]
        rows.append([name, statistics.median(taken[:5]), statistics.median(taken[-5:]), sum(taken)])
    return rows


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400, help="how many texts of 1 KB (400)")
    parser.add_argument("--hostile-mb", type=float, default=1.0, help="size of hostile texts (1)")
    options = parser.parse_args()
    line = Pipeline(lambda: 0, DEFAULT)
    line.inspect_text(Segment(text_of(20 * KIB, 9999), Surface.USER), FAR)
    print("one new text, whole pipeline, milliseconds")
    print(table(("", "median", "95 %", "target"), by_size(line, options.rounds)))
    print(f"\nhostile texts of {options.hostile_mb:g} MB, milliseconds and ratio to ordinary text (target: 2)")
    print(table(("", "ms", "ratio"), by_hostility(line, int(options.hostile_mb * KIB * KIB))))
    print(f"\na chat of {TURNS} turns of 1 KB, milliseconds a turn")
    print(table(("", "first", "last", "all"), by_turn()))
    print(
        f"\nmemory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB (target for a worker: 150)"
    )


if __name__ == "__main__":
    main()
