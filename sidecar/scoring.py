"""Weighs findings: from what detectors saw to one number on the mission's scale, with the reasons.

In: (Segment, Finding) pairs of one message. Out: an Assessment.
How: the findings of one rule in one segment merge to the strongest; context (quoted in a text that teaches security,
code block) lowers; findings that stand near each other form a place; in a place the rules of one type add with
diminishing returns and types add up; the message scores as its strongest place, and places elsewhere add only types
that the strongest lacks and only when they would alert by themselves, so that a long text does not collect crumbs.
Never: decides, looks at text beyond the surroundings of a finding, depends on the order of its input.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

from sidecar import context
from sidecar.types import Assessment, Finding, Segment, Surface, Threat, ThreatType

ALERT_FLOOR = 5.0
# The second rule of a type counts half, the third a quarter: measured on the development texts (2026-11), where more
# let long persona descriptions of role play reach CRITICAL and less lost attacks that spread over three weak phrases.
DIMINISH = 0.5
NEAR = 600  # code points: two findings further apart are two places
SCORE_MAX = 100.0
# Detectors that see something else than rules do: their findings add to those of rules without diminishing.
INDEPENDENT = frozenset({"learned", "structure"})
# Personal data is in prompts all day: below ALERT_FLOOR however much of it there is. An answer that lists it is a leak: there
# each doubling of the values of a kind adds the kind's weight once more (measured: 30 rows of name, e-mail, phone alert).
PII_REQUEST_MAX = 4.5


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A finding with what context left of its weight, and why."""

    segment: Segment
    finding: Finding
    score: float
    note: str


def assess(found: Iterable[tuple[Segment, Finding]]) -> Assessment:
    """Return the score of a message, its threats (strongest first) and how the number came to be.

    Shape: one threat per rule and segment; their scores add up to the message's (rounding apart).
    Units: scores on the mission's scale, one decimal, at most SCORE_MAX.
    Bounds: linear in the findings' number, plus a sort; context reads at most 20,000 code points per segment.
    """
    pairs = list(found)
    if not pairs:
        return Assessment()
    weighed = _merge(pairs)
    places = sorted((_place(cluster) for cluster in _clusters(weighed)), key=_strength)
    best = places[0]
    shares = dict(best)
    taken = {item.finding.type for item in best}
    for place in places[1:]:
        for kind, total in _by_type(place).items():
            if kind not in taken and total >= ALERT_FLOOR:
                taken.add(kind)
                shares.update({item: share for item, share in place.items() if item.finding.type == kind})
    score = round(min(SCORE_MAX, sum(shares.values())), 1)
    ordered = sorted(weighed, key=lambda item: (-shares.get(item, 0.0), *_order(item)))
    threats = tuple(Threat(item.finding, item.segment, round(shares.get(item, 0.0), 1)) for item in ordered)
    return Assessment(score, threats, tuple(_reasons(ordered, shares, len(places))))


def _order(item: _Weighed) -> tuple[int, str, int, str]:
    return item.segment.message_index, item.segment.path, item.finding.span.start, item.finding.rule_id


def _merge(pairs: Iterable[tuple[Segment, Finding]]) -> list[_Weighed]:
    """Return one weighed finding per rule and segment: the strongest, earliest in the text."""
    groups: dict[tuple[Segment, str], list[Finding]] = defaultdict(list)
    for segment, finding in pairs:
        groups[segment, finding.rule_id].append(finding)
    teaching = {segment: context.teaches(segment) for segment in {segment for segment, _ in groups}}
    weighed = []
    for (segment, _), findings in groups.items():
        items = [_weigh(segment, finding, teaching[segment]) for finding in findings]
        best = min(items, key=lambda item: (-item.score, item.finding.span.start, item.finding.view))
        weighed.append(_bulk(best, len({finding.span for finding in findings})))
    return sorted(weighed, key=_order)


def _bulk(item: _Weighed, values: int) -> _Weighed:
    """Return personal data of an answer weighed by how many values of its kind there are; all else as it is."""
    if item.finding.type is not ThreatType.PII_LEAK or item.segment.surface is not Surface.OUTPUT or values < 2:
        return item
    return _Weighed(item.segment, item.finding, item.score * (1 + log2(values)), f"{values} values")


def _weigh(segment: Segment, finding: Finding, teaching: bool) -> _Weighed:
    """Return a finding with its context applied."""
    if finding.type in (ThreatType.SECRET_LEAK, ThreatType.PII_LEAK):
        return _Weighed(segment, finding, finding.weight * finding.confidence, "")
    factor, notes = context.factor(segment, finding, teaching)
    return _Weighed(segment, finding, finding.weight * finding.confidence * factor, ", ".join(notes))


def _clusters(weighed: list[_Weighed]) -> list[list[_Weighed]]:
    """Return the findings grouped by place: one segment, no gap wider than NEAR."""
    clusters: list[list[_Weighed]] = []
    for item in weighed:
        last = clusters[-1][-1] if clusters else None
        if last and last.segment == item.segment and item.finding.span.start - last.finding.span.end <= NEAR:
            clusters[-1].append(item)
        else:
            clusters.append([item])
    return clusters


def _place(cluster: list[_Weighed]) -> dict[_Weighed, float]:
    """Return each finding's share in its place: of a kind the strongest whole, each further one DIMINISH of the last.

    A kind is a type found in one way: rules, form and the learned tier know nothing of each other, so that they add up.
    """
    shares: dict[_Weighed, float] = {}
    ranks: dict[tuple[ThreatType, str], int] = defaultdict(int)
    for item in sorted(cluster, key=lambda item: (-item.score, *_order(item))):
        kind = item.finding.type, item.finding.detector if item.finding.detector in INDEPENDENT else ""
        shares[item] = item.score * DIMINISH ** ranks[kind]
        ranks[kind] += 1
    return _limited(shares)


def _limited(shares: dict[_Weighed, float]) -> dict[_Weighed, float]:
    """Return the shares of a place with personal data of a request held to PII_REQUEST_MAX."""
    personal = [
        item
        for item in shares
        if item.finding.type is ThreatType.PII_LEAK and item.segment.surface is not Surface.OUTPUT
    ]
    total = sum(shares[item] for item in personal)
    if total > PII_REQUEST_MAX:
        shares |= {item: shares[item] * PII_REQUEST_MAX / total for item in personal}
    return shares


def _by_type(place: dict[_Weighed, float]) -> dict[ThreatType, float]:
    totals: dict[ThreatType, float] = defaultdict(float)
    for item, share in place.items():
        totals[item.finding.type] += share
    return totals


def _strength(place: dict[_Weighed, float]) -> tuple[float, tuple[int, str, int, str]]:
    """Return what sorts places: the strongest first, then as they stand in the message."""
    return -sum(place.values()), _order(next(iter(place)))


def _reasons(ordered: list[_Weighed], shares: dict[_Weighed, float], places: int) -> Iterable[str]:
    for item in ordered:
        finding, share = item.finding, shares.get(item, 0.0)
        note = f" ({item.note}: {finding.weight:g} counts {item.score:.1f})" if item.note else ""
        if share:
            yield f"{finding.rule_id} in {item.segment.surface} adds {share:.1f}{note}"
        else:
            yield f"{finding.rule_id} in {item.segment.surface} adds nothing: elsewhere in the message{note}"
    if places > 1:
        yield f"{places} places; the strongest counts"
