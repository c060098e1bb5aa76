"""Weighs findings: from what detectors saw to one number on the mission's scale, with the reasons.

In: (Segment, Finding) pairs of one message. Out: an Assessment.
How: the findings of one rule in one segment merge to the strongest; context (quoted in a text that teaches security,
code block) lowers; findings that stand near each other form a place; in a place the rules of one type add with
diminishing returns and types add up; the message scores as its strongest place, and places elsewhere add only types
that the strongest lacks and only when they would alert by themselves, so that a long text does not collect crumbs.
Never: decides, looks at text beyond the surroundings of a finding, depends on the order of its input.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

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
_AROUND = 160
_MENTION_REACH = 90
_FENCE_REACH = 4000

# Factors of context. Never below a half for text of users: whoever writes "for example" must not walk through.
FACTOR_TEACHING = {Surface.DOCUMENT: 0.4, Surface.TOOL_RESULT: 0.6, Surface.SYSTEM: 0.5}
FACTOR_TEACHING_USER = 0.6
FACTOR_QUOTED = 0.8
# Documents about prompting show prompts in code blocks; beyond a document this says nothing.
FACTOR_FENCED = 0.4
# A text that asks about a phrase: one strong rule then alerts and does not deny; two still deny.
FACTOR_MENTIONED = 0.5
# The learned tier takes in the words about the phrase too, and cannot tell them apart.
FACTOR_MENTIONED_LEARNED = 0.3
# Who encodes an order knows that it would be refused in plain words.
FACTOR_HIDDEN = 1.5
HIDDEN_VIEWS = frozenset({"base64", "hex", "rot13", "reversed"})
_MENTION = re.compile(
    r"(?:\b(?:what (?:is|are|does|do|would|should|makes|if)|why (?:is|are|do|does|would|did|can'?t|you can'?t)|is this|was this"
    r"|is it (?:a |an )?(?:attack|safe|ok)|explain|interpret|classify|phrases?|sentences?|typed|wrote|said|says|saying"
    r"|called|titled"
    r"|(?:someone|somebody|people|users?|attackers?|hackers?|child|son|daughter|student)s? (?:\w+ ){0,3}"
    r"|make of|contains?|containing|means?|meaning|example|detect|prevent|block|recogni[sz]e|(?:against|about|of)"
    r"|how (?:to|do|does|can) (?:\w+ ){0,2}(?:prevent|detect|block|protect|defend|explain|avoid)"
    r"|pourquoi|que (?:signifie|veut dire)|explique|phrase|utilisateurs?|warum|bedeutet|que significa"
    r"|cosa significa|o que significa)"
    r"\b[^\n.!?]{0,50}[: \"'`“‘«(\[]{1,4}|\[)$",
    re.IGNORECASE,
)
_SPEAKS_OF = re.compile(
    r"\W{0,4}(?:(?:can|could|would) you |please )?(?:what|why|how|is|are|was|does|do|who|explain|interpret|classify|describe|detail"
    r"|discuss|define|my (?:child|son|daughter|student|colleague|friend)|i(?:'m| am| was)? (?:read|saw|teach|stud|research|writ)\w*"
    r"|pourquoi|qu'|que |comment|warum|was |wie |por qu|qué|come |perch|o que)[^\n]{0,80}[:\"`“‘«„]|\W{0,4}(?:is|are|what|why) '",
    re.IGNORECASE,
)
_TEACHING = re.compile(
    r"prompt[ -]injection|injection de prompt|prompt[ -]?leak|jailbreak(?:ing|s)?\b|adversarial prompt|red[ -]team"
    r"|owasp|attack vector|threat model|mitigat|vulnerab|attaquant|attackers?\b|malicious|exploit|defen[cs]e"
    r"|提示注入|越狱|攻击|промпт-инъекц|инъекци|angriff|ataque|attacco|プロンプト",
    re.IGNORECASE,
)
_SAMPLE = 20_000
_QUOTES = "\"'`“”«»„‘’「」『』"
_DISCUSSED = re.compile(
    r"(?:for example|e\.g\.|such as|like this|phrases? like|an? attack|attackers?|inject|payload|means?\b|says?\b"
    r"|par exemple|comme\b|exemple|zum beispiel|por ejemplo|ad esempio|por exemplo|detect|filter|block)[^\n]{0,80}$",
    re.IGNORECASE,
)


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
    teaching = {segment: _teaches(segment) for segment in {segment for segment, _ in groups}}
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
    factor, notes = finding.confidence, list[str]()
    if finding.type in (ThreatType.SECRET_LEAK, ThreatType.PII_LEAK):
        return _Weighed(segment, finding, finding.weight * factor, "")
    if finding.view in HIDDEN_VIEWS:
        factor *= FACTOR_HIDDEN
        notes.append(f"hidden as {finding.view}")
    elif _mentioned(segment.text, finding) or (finding.detector == "learned" and _speaks_of(segment.text, finding)):
        factor *= FACTOR_MENTIONED
        notes.append("mentioned, not said")
    if segment.surface is Surface.DOCUMENT and _fenced(segment.text, finding):
        factor *= FACTOR_FENCED
        notes.append("in a code block of a document")
    if teaching:
        factor *= FACTOR_TEACHING.get(segment.surface, FACTOR_TEACHING_USER)
        notes.append("text about security")
    if teaching and _quoted(segment.text, finding):
        factor *= FACTOR_QUOTED
        notes.append("quoted")
    return _Weighed(segment, finding, finding.weight * factor, ", ".join(notes))


def _teaches(segment: Segment) -> bool:
    """Tell whether a text is about attacks: at least three mentions of the trade's words, two of them different."""
    words = [match[0].lower() for match in _TEACHING.finditer(segment.text[:_SAMPLE])]
    return len(words) >= 3 and len(set(words)) >= 2 and len(segment.text) > 400


def _mentioned(text: str, finding: Finding) -> bool:
    """Tell whether the words before a finding speak about it instead of saying it."""
    return bool(_MENTION.search(text[max(0, finding.span.start - _MENTION_REACH) : finding.span.start]))


def _speaks_of(text: str, finding: Finding) -> bool:
    """Tell whether a window of sentences begins as a question about words that it quotes."""
    return _SPEAKS_OF.match(text, finding.span.start, finding.span.end) is not None


def _fenced(text: str, finding: Finding) -> bool:
    """Tell whether a finding stands in a Markdown code block that is closed again."""
    start = finding.span.start
    return (
        text.count("```", max(0, start - _FENCE_REACH), start) % 2 == 1 and "```" in text[start : start + _FENCE_REACH]
    )


def _quoted(text: str, finding: Finding) -> bool:
    """Tell whether a finding stands in quotes, in code marks, or behind words that announce an example."""
    before = text[max(0, finding.span.start - _AROUND) : finding.span.start]
    after = text[finding.span.end : finding.span.end + _AROUND]
    in_quotes = any(q in before.rsplit("\n", 1)[-1] for q in _QUOTES) and any(
        q in after.split("\n", 1)[0] for q in _QUOTES
    )
    return in_quotes or bool(_DISCUSSED.search(before))


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
