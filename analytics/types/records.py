"""Records as they are stored, and what storing them did.

In: nothing of ours. Out: DecisionRow, ThreatRow, Stored. Words and units: analytics/types/__init__.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACTIONS = ("allow", "allow_unscanned", "redact", "throttle", "deny")
REFUSING = ("deny", "throttle")
LEVELS = ("low", "medium", "high", "critical")
OUTCOMES = ("answered", "denied", "failed", "upstream_error", "client_aborted", "unknown")

# A later stage replaces an earlier one. Both INCOMPLETE and COMPLETE are final; COMPLETE knows more.
STAGE_RANKS = {"verdict": 1, "incomplete": 2, "complete": 3}
FINAL_RANK = STAGE_RANKS["incomplete"]


@dataclass(frozen=True, slots=True)
class ThreatRow:
    """One finding of a record. position counts a record's threats from 0; match_digest is hex."""

    position: int
    type: str
    detector: str
    rule_id: str
    surface: str
    message_index: int
    path: str
    score: float
    confidence: float
    span_start: int
    span_end: int
    match_chars: int
    match_digest: str
    view: str


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One exchange as it is stored: a column a field, the rest in detail.

    Shape: detail holds JSON values only (reasons, coverage, content ...); threats are in their record's order.
    Units: cost_nanousd billionths of a US dollar, None without a price; attempt counts a client's retries from 0.
    """

    decision_id: str
    stage: str
    outcome: str
    applied: str
    would_be: str
    mode: str
    score: float
    level: str
    failure: str
    tenant: str
    user: str
    team: str
    session: str
    provider: str
    model: str
    endpoint: str
    protocol: str
    door: str
    stream: bool
    complete: bool
    refusal: bool
    http_status: int
    attempt: int
    finish_reason: str
    prompt_chars: int
    response_chars: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cost_nanousd: int | None
    started_unix_us: int
    verdict_us: int
    first_byte_us: int
    total_us: int
    detail: Mapping[str, Any]
    threats: tuple[ThreatRow, ...] = ()

    @property
    def final(self) -> bool:
        """True when the exchange has ended, so that it is counted."""
        return STAGE_RANKS[self.stage] >= FINAL_RANK

    @property
    def passed(self) -> bool:
        """True when the request went on to the provider."""
        return self.applied not in REFUSING and self.outcome not in ("denied", "failed")

    @property
    def fail_open(self) -> bool:
        """True when the request passed although its inspection failed."""
        return self.passed and self.failure != "unspecified" and self.outcome != "client_aborted"

    @property
    def latency_us(self) -> int | None:
        """Time to the end of the provider's answer; None when the provider gave none or its client left before."""
        return self.total_us if self.total_us and self.outcome in ("answered", "upstream_error") else None


@dataclass(frozen=True, slots=True)
class Change:
    """A record that is new or went on to a later stage. Of a new one, before_stage is empty and before_score 0."""

    row: DecisionRow
    before_stage: str
    before_score: float

    @property
    def new(self) -> bool:
        """True when nothing of this exchange was held before."""
        return not self.before_stage


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing one batch did.

    Shape: counted are the records that became final in it, for the first time; changes are all that are new or advanced, as
    they are held now, one a decision_id, in the order of the batch.
    """

    stored: int
    unchanged: int
    counted: tuple[DecisionRow, ...] = ()
    changes: tuple[Change, ...] = ()
