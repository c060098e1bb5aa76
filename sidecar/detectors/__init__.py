"""The detectors: what looks at every reading of every text.

In: Segments or Views. Out: Findings. Detectors report; weighing is scoring's business, acting policy's.
A detector has `name`, `RULES` (each with an id) and `detect(view)`; it holds no state and may run in several threads.
A new one is a file here and a line in DETECTORS. What users add to these is in ruleset.py.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Protocol

from sidecar.decode import readings
from sidecar.detectors.concepts import Lexicon
from sidecar.detectors.learned import LearnedDetector, load
from sidecar.detectors.pack import Rule, load_pack, load_words
from sidecar.detectors.patterns import PatternDetector
from sidecar.detectors.pii import PiiDetector
from sidecar.detectors.secrets import SecretDetector
from sidecar.detectors.structure import StructureDetector
from sidecar.types import Finding, Segment, View

# Raised whenever code changes what is found without a pack changing: memoised results must not outlive it.
CODE_VERSION = "8"
# Languages that bring a pack of rules and, as concepts_<language>.yaml, stems for the lexicon.
LANGUAGES = ("ar", "bn", "cs", "el", "es", "hi", "hu", "id", "it", "ja", "ko", "pt", "ro", "sv", "th", "uk", "vi", "zh")
PACKS = (
    "prompt_injection",
    "jailbreak",
    "data_extraction",
    "indirect_injection",
    "exfiltration",
    "code_injection",
    "suspicious",
    "de",
    "nl",
    "pl",
    "ru",
    "tr",
    *LANGUAGES,
)
# The lexicon: what the concepts are, then one file a language with more of their stems.
CONCEPTS = ("concepts", *(f"concepts_{language}" for language in LANGUAGES))


class Detector(Protocol):
    """What every detector answers."""

    name: str

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return what it sees in a view."""


def _bytes(file: str) -> bytes:
    return (files(__name__) / "packs" / file).read_bytes()


def _text(name: str) -> str:
    return _bytes(f"{name}.yaml").decode()


@cache
def shipped_words() -> Mapping[str, str]:
    """Return the word lists we ship, by name."""
    return load_words(_text("words"))


def load_rules() -> tuple[Rule, ...]:
    """Return the rules of all packs we ship, in the order of PACKS.

    Raises: PackError for a pack that cannot be used.
    """
    words = shipped_words()
    return tuple(rule for name in PACKS for rule in load_pack(_text(name), words, f"{name}.yaml"))


LEXICON = Lexicon(*map(_text, CONCEPTS))
DETECTORS: tuple[Detector, ...] = (
    PatternDetector("patterns", load_rules(), tested=True),
    SecretDetector("secrets"),
    PiiDetector("pii"),
    StructureDetector("structure", LEXICON),
    LearnedDetector("learned", LEXICON, load(_bytes("learned.npz"))),
)

if len({detector.name for detector in DETECTORS}) != len(DETECTORS):
    raise ValueError("DETECTORS: two detectors have one name")


def scan_segment(segment: Segment) -> tuple[Finding, ...]:
    """Return what all detectors see in all readings of a segment.

    Shape: in the order of readings, then of DETECTORS; one place may be found in several views.
    Bounds: linear in len(segment.text).
    Raises: nothing of its own; a detector that raises is the caller's InspectionFailed.
    """
    return tuple(f for view in readings(segment) for detector in DETECTORS for f in detector.detect(view))


def ruleset_version() -> str:
    """Return the version of what is looked for: a digest over the packs and the code version, 12 hex digits."""
    return _VERSION


def _version() -> str:
    digest = hashlib.sha256(CODE_VERSION.encode())
    for name in ("words", *PACKS, *CONCEPTS):
        digest.update(_text(name).encode())
    digest.update(_bytes("learned.npz"))
    return digest.hexdigest()[:12]


_VERSION = _version()
