"""`make fuzz`: texts made by chance through the whole pipeline until the time is over.

In: minutes and a seed. Out: progress on the terminal; exit status 1 with the seed when a text raised, came back without a verdict,
or cost more than SLOW times what ordinary text of its size costs.
A text is a few pieces (orders of the phrase banks, ordinary sentences, code points of any script, long runs, encodings of all of
these), joined, cut, repeated. Everything follows from the seed: a failure is repeated by `--seed N --only`.
"""

import argparse
import base64
import codecs
import html
import random
import sys
import time
import urllib.parse
from collections.abc import Callable

from sidecar.detectors.ruleset import DEFAULT
from sidecar.pipeline import Pipeline
from sidecar.types import Segment, Surface
from tests.bench.detect import text_of
from tests.train.generate import Sample, generate

FAR = 1 << 62
SIZE_MAX = 200_000
# The target is twice the time of ordinary text. One run on a busy machine is noisy: a slow text is run again under this bound.
SLOW, FLOOR_MS = 6.0, 20.0
ALPHABETS = (
    "abc .",
    "ignorepvuslt \n",
    "\u0301\u200b\u202e\ufeffa",
    "\ud800\udfff\U0010ffff",
    "忽略指令系统。",
    "تجاهلالتعليمات ",
    "निर्देशभूल ",
    "{}[]<>|\\/'\"`~^*=+;:@#$%&",
    "0123456789abcdefABCDEF=+/%\\xu&#;",
    "01 .-/|",
    "".join(map(chr, range(32))),
)


def _runs(chance: random.Random) -> str:
    alphabet = chance.choice(ALPHABETS)
    return "".join(chance.choices(alphabet, k=chance.randrange(1, 400)))


def _any_points(chance: random.Random) -> str:
    return "".join(
        chr(chance.choice((chance.randrange(0x110000), chance.randrange(0x3000)))) for _ in range(chance.randrange(60))
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


CHANGES: tuple[Callable[[str], str], ...] = (
    lambda text: base64.b64encode(_bytes(text)).decode(),
    lambda text: base64.b32encode(_bytes(text)).decode(),
    lambda text: _bytes(text).hex(),
    lambda text: urllib.parse.quote(_bytes(text)),
    lambda text: "".join(f"&#{ord(char)};" for char in text),
    lambda text: "".join(f"\\u{ord(char) & 0xFFFF:04x}" for char in text),
    lambda text: codecs.encode(text, "rot13"),
    lambda text: text[::-1],
    lambda text: html.escape(text).upper(),
    lambda text: " ".join(text),
    lambda text: "\u200b".join(text),
    lambda text: text.translate(str.maketrans("oieas", "01345")),
    lambda text: text * 50,
    lambda text: " ".join(f"{ord(char) & 0xFF:08b}" for char in text),
    lambda text: f"```\n{text}\n```\n> {text}\n<!-- {text} -->",
)


def made(seed: int, samples: list[Sample]) -> str:
    """Return the text of a seed."""
    chance = random.Random(seed)
    pieces = []
    for _ in range(chance.randrange(1, 6)):
        piece = chance.choice(
            (lambda: chance.choice(samples).text, lambda: _runs(chance), lambda: _any_points(chance))
        )()
        for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
            piece = chance.choice(CHANGES)(piece)[:SIZE_MAX]
        pieces.append(piece * chance.choice((1, 1, 1, 2, 40)))
    text = chance.choice(("", " ", "\n", "\n\n")).join(pieces)[:SIZE_MAX]
    start = chance.randrange(len(text) + 1) if chance.random() < 0.2 else 0
    return text[start:]


def _milliseconds(line: Pipeline, text: str, surface: Surface) -> float:
    begin = time.process_time()
    inspection = line.inspect_text(Segment(text, surface), FAR)
    if inspection.failure is not None:
        raise AssertionError(f"no verdict: {inspection.failure}")
    return (time.process_time() - begin) * 1e3


def main() -> int:
    """Run until the time is over; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="where to begin (the clock)")
    parser.add_argument("--only", action="store_true", help="run this seed alone")
    options = parser.parse_args()
    samples = [sample for number, sample in enumerate(generate(3)) if number % 20 == 0]
    line = Pipeline(lambda: 0, DEFAULT)
    ordinary = {
        size: min(_milliseconds(line, text_of(size, n), Surface.USER) for n in range(9))
        for size in (1_000, 10_000, 100_000)
    }
    print(f"beginning at seed {options.seed}; ordinary text costs {ordinary} ms", flush=True)
    end = time.monotonic() + (0 if options.only else options.minutes * 60)
    seed, slowest = options.seed, (0.0, 0)
    while True:
        slowest = max(slowest, (_slowness(line, seed, samples, ordinary), seed))
        if slowest[0] > SLOW:
            print(f"seed {slowest[1]}: {slowest[0]:.1f} times as slow as ordinary text")
            return 1
        seed += 1
        if time.monotonic() > end:
            break
        if seed % 2000 == 0:
            print(
                f"{seed - options.seed} texts; the slowest {slowest[0]:.1f} times ordinary (seed {slowest[1]})",
                flush=True,
            )
    print(f"{seed - options.seed} texts, none raised; the slowest {slowest[0]:.1f} times ordinary (seed {slowest[1]})")
    return 0


def _slowness(line: Pipeline, seed: int, samples: list[Sample], ordinary: dict[int, float]) -> float:
    """Return how many times longer a seed's text takes than ordinary text; a slow one is run again."""
    text = made(seed, samples)
    surface = random.Random(seed).choice(tuple(Surface))
    size = len(_bytes(text))
    below = max((known for known in ordinary if known <= size), default=1_000)
    usual = max(FLOOR_MS, ordinary[below] * max(1.0, size / below))
    ratio = _milliseconds(line, text, surface) / usual
    return ratio if ratio < SLOW / 2 else min(ratio, *(_milliseconds(line, text, surface) / usual for _ in range(2)))


if __name__ == "__main__":
    sys.exit(main())
