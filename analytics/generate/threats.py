"""What detectors find in the traffic: everyday noise, lone attacks, and what each kind of campaign sends.

In: which call is what. Out: places in FINDINGS, scores, ThreatRow values. Rule ids, types and weights are those of the
sidecar's packs (tests compare them); how often each is met is an assumption: in everyday traffic it is mostly personal
data, quoted commands and examples, which score low.
Units: scores in tenths here, on the mission's scale in rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from analytics.generate.chance import Chance, Integers
from analytics.types import ThreatRow


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule as it fires. tenths is its score; noise and attack are how often it is met, as weights."""

    type: str
    rule_id: str
    surface: str
    tenths: int
    noise: int = 0
    attack: int = 0

    @property
    def detector(self) -> str:
        """The detector that the rule belongs to."""
        return self.rule_id.partition(".")[0]


_INJECTION, _EXTRACTION, _CODE, _ODD = "prompt_injection", "data_extraction", "code_injection", "suspicious_pattern"
FINDINGS = (
    Finding("pii_leak", "pii.email", "user", 8, noise=40),
    Finding("pii_leak", "pii.phone", "user", 10, noise=12),
    Finding("pii_leak", "pii.iban", "document", 25, noise=4),
    Finding("pii_leak", "pii.payment_card", "user", 30, noise=2),
    Finding(_ODD, "suspicious.hypothetical_harm", "user", 20, noise=14, attack=6),
    Finding(_ODD, "suspicious.pretest_claim", "user", 40, noise=3, attack=6),
    Finding(_CODE, "code_injection.path_traversal", "tool_result", 50, noise=6, attack=3),
    Finding(_CODE, "code_injection.sql", "user", 60, noise=10, attack=4),
    Finding("indirect_injection", "indirect_injection.addressed_to_ai", "tool_result", 90, noise=2, attack=6),
    Finding("secret_leak", "secrets.github_token", "tool_result", 90, noise=2, attack=1),
    Finding("secret_leak", "secrets.aws_access_key", "user", 80, noise=2, attack=1),
    Finding("jailbreak", "jailbreak.refusal_suppression", "user", 80, attack=10),
    Finding("jailbreak", "jailbreak.never_refuse", "user", 100, attack=8),
    Finding("jailbreak", "jailbreak.no_safety_claim", "user", 120, attack=10),
    Finding("jailbreak", "jailbreak.dan", "user", 150, noise=1, attack=14),
    Finding(_INJECTION, "prompt_injection.override_prior", "user", 150, noise=1, attack=22),
    Finding(_INJECTION, "prompt_injection.new_instructions", "user", 70, attack=8),
    Finding(_EXTRACTION, "data_extraction.system_prompt", "user", 150, noise=1, attack=14),
    Finding(_EXTRACTION, "data_extraction.others_data", "user", 100, attack=6),
    Finding("exfiltration", "exfiltration.markdown_image", "output", 120, attack=3),
)
_PLACE = {finding.rule_id: place for place, finding in enumerate(FINDINGS)}
# What a slow attacker tries, one after the other.
LADDER = tuple(
    _PLACE[rule]
    for rule in (
        *("suspicious.hypothetical_harm", "suspicious.pretest_claim", "code_injection.path_traversal"),
        *("jailbreak.refusal_suppression", "jailbreak.never_refuse", "jailbreak.no_safety_claim", "jailbreak.dan"),
    )
)
_SHARED = ("prompt_injection.override_prior", "jailbreak.dan", "data_extraction.system_prompt")
LEAK, STOLEN = _PLACE["secrets.aws_access_key"], _PLACE["data_extraction.others_data"]

TENTHS: Integers = np.array(
    [*(one.tenths for one in FINDINGS), 0], dtype=np.int64
)  # the last stands for none: place -1
LEAKS = np.array([*(one.type in ("secret_leak", "pii_leak") for one in FINDINGS), False])
TYPES = tuple(finding.type for finding in FINDINGS)
_NOISE, _ATTACK = (tuple(getattr(one, name) for one in FINDINGS) for name in ("noise", "attack"))
_VIEWS = ("as_sent", "as_sent", "as_sent", "folded", "base64")


def findings(chance: Chance, noisy: Integers, attacking: Integers) -> Integers:
    """Return what is found in each call: a place in FINDINGS or -1. noisy and attacking are chances in a million."""
    count = len(noisy)
    found = np.full(count, -1, dtype=np.int64)
    noise, attack = chance.happens(noisy, count), chance.happens(attacking, count)
    found[noise] = chance.choose(_NOISE, int(noise.sum()))
    found[attack] = chance.choose(_ATTACK, int(attack.sum()))
    return found


def of_campaign(kind: str, number: int, progress_pct: int) -> int:
    """Return what a campaign's call sends, as a place in FINDINGS."""
    if kind == "escalation":
        return LADDER[min(progress_pct * len(LADDER) // 100, len(LADDER) - 1)]
    if kind == "shared_prompt":
        return _PLACE[_SHARED[number % len(_SHARED)]]
    return LEAK if kind == "leak" else STOLEN


def digest(*name: int) -> str:
    """Return what stands for a keyed digest of the matched text: the same for the same numbers."""
    return blake2b("/".join(map(str, name)).encode(), digest_size=16).hexdigest()


def rows(places: Sequence[int], confidence_pct: int, match_digest: str) -> tuple[ThreatRow, ...]:
    """Return the threats of a call. Shape: the first carries the digest, a second one its own."""
    return tuple(_row(position, place, confidence_pct, match_digest) for position, place in enumerate(places))


def _row(position: int, place: int, confidence_pct: int, match_digest: str) -> ThreatRow:
    finding, number = FINDINGS[place], int(match_digest[:8], 16)
    start, chars = number % 400, 12 + number % 60
    return ThreatRow(
        position=position,
        type=finding.type,
        detector=finding.detector,
        rule_id=finding.rule_id,
        surface=finding.surface,
        message_index=number % 7,
        path=f"/messages/{number % 7}/content",
        score=finding.tenths / 10,
        confidence=confidence_pct / 100,
        span_start=start,
        span_end=start + chars,
        match_chars=chars,
        match_digest=match_digest if position == 0 else match_digest[16:] + match_digest[:16],
        view=_VIEWS[number % len(_VIEWS)],
    )
