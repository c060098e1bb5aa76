"""One text through the pipeline, and what came of it, as JSON says it.

In: texts. Out: Results.
Never: a way of its own to look at texts: the pipeline's is the only one; a deadline, for nobody waits behind Envoy here.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.detectors.ruleset import load_ruleset
from sidecar.pipeline import Pipeline
from sidecar.types import Assessment, RiskLevel, Segment, Surface

TEXT_BYTES_MAX = 16 << 20  # as DOUANE_MAX_BODY_BYTES by default: what a worker would take
_NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one text. failure says why it could not be inspected; unscanned why bytes of it were not looked at.

    Shape: name is the file or the caller's id; text is what was looked at.
    """

    name: Any
    text: str = ""
    surface: Surface = Surface.USER
    assessment: Assessment = field(default_factory=Assessment)
    scanned_bytes: int = 0
    unscanned_bytes: int = 0
    unscanned: str = ""
    failure: str = ""
    micros: int = 0

    @property
    def level(self) -> RiskLevel:
        """The mission's level."""
        return self.assessment.level


class Scanner:
    """Looks at texts one after the other."""

    def __init__(self, packs: Path | None = None) -> None:
        """Raises: PackError or OSError when the packs cannot be used."""
        self._pipeline = Pipeline(lambda: 0, load_ruleset(packs))

    def scan(self, name: Any, text: str, surface: Surface, more_bytes: int = 0) -> Result:
        """Return what came of a text; of one longer than TEXT_BYTES_MAX its head. more_bytes were left out before."""
        begin = time.perf_counter_ns()
        text, left = _head(text)
        found = self._pipeline.inspect_text(Segment(text, surface), _NEVER)
        failure = f"{found.failure.kind.value}: {found.failure.detail}" if found.failure else ""
        left += more_bytes
        return Result(
            name,
            text,
            surface,
            found.assessment,
            found.coverage.scanned_bytes,
            found.coverage.body_bytes - found.coverage.scanned_bytes + left,
            "failure" if failure else "limit" if left else "",
            failure,
            (time.perf_counter_ns() - begin) // 1000,
        )


def _head(text: str) -> tuple[str, int]:
    """Return what is looked at of a text, and how many bytes are not."""
    if len(text) * 4 <= TEXT_BYTES_MAX:
        return text, 0
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= TEXT_BYTES_MAX:
        return text, 0
    head = data[:TEXT_BYTES_MAX].decode("utf-8", "ignore")
    return head, len(data) - len(head.encode())


def as_json(result: Result) -> dict[str, Any]:
    """Return a result as a JSON object.

    Units: span is [start, end) in code points of the text; bytes are those of its UTF-8.
    """
    found: dict[str, Any] = {
        "id": result.name,
        "score": result.assessment.score,
        "level": result.level.value.upper(),
        "threats": [
            {
                "type": threat.finding.type.value,
                "detector": threat.finding.detector,
                "rule_id": threat.finding.rule_id,
                "score": threat.score,
                "span": [threat.finding.span.start, threat.finding.span.end],
                "surface": threat.segment.surface.value,
            }
            for threat in result.assessment.threats
        ],
        "scanned_bytes": result.scanned_bytes,
        "unscanned_bytes": result.unscanned_bytes,
        "micros": result.micros,
    }
    if result.unscanned:
        found["unscanned"] = result.unscanned
    if result.failure:
        found["error"] = result.failure
    return found
