"""An assessment weighed again, as if some of what was found were not there or counted less.

In: an Assessment, and which of its findings count how much. Out: an Assessment.
Nothing is looked at again: detectors have spoken, and what they said is kept (`ignored`), so that masking still knows of it.
Bounds: those of scoring.assess; nothing at all where nothing was found.
"""

from collections.abc import Callable, Set
from dataclasses import replace

from sidecar import scoring
from sidecar.types import Assessment, Finding, Surface, ThreatType


def without(assessment: Assessment, kinds: Set[ThreatType]) -> Assessment:
    """Return an assessment as if findings of these types were not there."""
    if not any(finding.type in kinds for _, finding in assessment.found):
        return assessment
    pairs = tuple((segment, finding) for segment, finding in assessment.found if finding.type not in kinds)
    return replace(scoring.assess(pairs), found=pairs)


def on(assessment: Assessment, surfaces: Set[Surface]) -> Assessment:
    """Return an assessment of what stands on these surfaces alone."""
    pairs = tuple((segment, finding) for segment, finding in assessment.found if segment.surface in surfaces)
    if len(pairs) == len(assessment.found):
        return assessment
    return replace(scoring.assess(pairs), found=pairs)


def lowered(assessment: Assessment, factor: Callable[[Finding], float]) -> Assessment:
    """Return an assessment in which each finding weighs a part of what it did; with 0 it is only kept as ignored."""
    factors = [factor(finding) for _, finding in assessment.found]
    if all(part == 1.0 for part in factors):
        return assessment
    weighed = list(zip(assessment.found, factors, strict=True))
    pairs = tuple((s, f if part == 1.0 else replace(f, weight=f.weight * part)) for (s, f), part in weighed if part > 0)
    ignored = tuple(pair for pair, part in weighed if part <= 0)
    return replace(scoring.assess(pairs), found=pairs, ignored=(*assessment.ignored, *ignored))
