"""The development texts: rows, and the folds that leave whole sources out.

In: the folder of gzipped JSON lines (its SOURCES.md describes them). Out: Rows.
Never: a row, or a part of one, written into the project.
"""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("DOUANE_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One text. file is where it comes from: attacks_core, attacks_extended, benign, contested ..."""

    id: str
    text: str
    attack: bool
    file: str
    category: str
    source: str
    lang: str
    surface: str
    trainable: bool


def load_rows(*names: str, folder: Path = FOLDER) -> tuple[Row, ...]:
    """Return the rows of files (without .jsonl.gz).

    Raises: SystemExit with the remedy when the folder is not there.
    """
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: set DOUANE_DATA to the folder of the development texts")
    return tuple(
        _row(name, json.loads(line)) for name in names for line in gzip.open(folder / f"{name}.jsonl.gz", "rt")
    )


def _row(file: str, raw: Mapping[str, object]) -> Row:
    words = {name: str(raw.get(name, "")) for name in ("id", "text", "category", "source", "lang", "surface")}
    return Row(**words, attack=raw["label"] == "attack", file=file, trainable=bool(raw.get("trainable")))


def folds(rows: Iterable[Row]) -> dict[str, int]:
    """Return the fold of every source: the largest are dealt first, so that folds are alike in size."""
    counts = Counter(row.source for row in rows)
    order = sorted(counts, key=lambda source: (-counts[source], source))
    return {source: place % FOLDS for place, source in enumerate(order)}
