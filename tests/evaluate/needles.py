"""Short attacks inside long documents: are they found as well as alone?

In: rows and the models that have not seen their sources. Out: Needle results.
The hay is 100 KB of the benign documents of one source, another for every attack; hay that alerts by itself is counted apart.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sidecar.detectors.learned import LearnedDetector
from tests.evaluate.judge import judge
from tests.train.corpus import Row

HAY_CHARS = 100 * 1024
SHORT, LONG = 60, 140  # an attack "of 100 characters"
NEEDLES, SOURCE_MIN = 150, 15


@dataclass(frozen=True, slots=True)
class Needle:
    """One attack: its score alone, its score in the hay, the hay's own."""

    alone: float
    within: float
    hay: float


def find(rows: Sequence[Row], fold_of: Mapping[str, int], models: Sequence[LearnedDetector]) -> list[Needle]:
    """Return what became of NEEDLES attacks, the same ones for the same rows."""
    chance = random.Random(1)
    attacks = [
        row for row in rows if row.file == "attacks_core" and SHORT <= len(row.text) <= LONG and "\n" not in row.text
    ]
    documents: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.file == "benign" and row.surface == "document":
            documents[row.source].append(row.text)
    sources = sorted(source for source, texts in documents.items() if len(texts) >= SOURCE_MIN)
    found = []
    for row in chance.sample(attacks, min(NEEDLES, len(attacks))):
        hay = _hay(documents[chance.choice(sources)], chance)
        cut = hay.find("\n", chance.randrange(len(hay) // 2)) + 1
        learned = models[fold_of[row.source]]
        in_document = replace(row, surface="document")
        texts = (row.text, f"{hay[:cut]}{row.text}\n{hay[cut:]}", hay)
        found.append(Needle(*(judge(replace(in_document, text=text), learned).score for text in texts)))
    return found


def _hay(documents: Sequence[str], chance: random.Random) -> str:
    parts: list[str] = []
    while sum(map(len, parts)) < HAY_CHARS:
        parts.append(chance.choice(documents))
    return "\n\n".join(parts)[:HAY_CHARS]
