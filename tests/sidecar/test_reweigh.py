"""An assessment weighed again."""

from sidecar import reweigh, scoring
from sidecar.types import Assessment, Finding, Segment, Span, Surface, ThreatType

USER, TOOL = Segment("u" * 50, Surface.USER), Segment("t" * 50, Surface.TOOL_RESULT)


def finding(kind: ThreatType, weight: float) -> Finding:
    return Finding(kind, "d", f"{kind}.x", Span(0, 5), weight)


PAIRS = ((USER, finding(ThreatType.JAILBREAK, 6.0)), (TOOL, finding(ThreatType.EXFILTRATION, 8.0)))
MADE = scoring.assess(PAIRS)
BOTH = Assessment(MADE.score, MADE.threats, MADE.reasons, PAIRS)


def test_types_can_be_left_out() -> None:
    found = reweigh.without(BOTH, {ThreatType.EXFILTRATION})
    assert (found.score, found.found) == (6.0, PAIRS[:1])
    assert reweigh.without(BOTH, {ThreatType.PII_LEAK}) is BOTH


def test_surfaces_can_be_weighed_alone() -> None:
    found = reweigh.on(BOTH, {Surface.TOOL_RESULT})
    assert (found.score, found.found) == (8.0, PAIRS[1:])
    assert reweigh.on(BOTH, {Surface.USER, Surface.TOOL_RESULT}) is BOTH
    assert reweigh.on(BOTH, {Surface.SYSTEM}).score == 0.0


def test_findings_can_count_in_part_or_not_at_all() -> None:
    parts = {"jailbreak.x": 0.5, "exfiltration.x": 0.0}
    found = reweigh.lowered(BOTH, lambda item: parts[item.rule_id])
    assert (found.score, [item.weight for _, item in found.found], found.ignored) == (3.0, [3.0], PAIRS[1:])
    assert reweigh.lowered(BOTH, lambda _: 1.0) is BOTH
