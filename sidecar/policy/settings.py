"""The settings of a policy: what each may be, and what it is when nothing is said.

In: plain values. Out: a Policy, frozen, each setting within its bounds.
Never: reads a file (control/policy_file.py does), or decides (decide.py does).
Source of the defaults: the mission (alert at 5, block critical threats at 15), DESIGN 4.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from sidecar.policy.scoped import Budget, MaybeText, Override, RuleException, check_unique
from sidecar.types import Action, ContentCapture, Mode, Surface, ThreatType

# A look at a streamed answer sees this many characters (extproc/gate.WINDOW): with so much of a budget nothing is held for it.
LEAK_BUDGET_MAX = 512
# A shorter text stands in answers by chance; each canary costs a search of every text.
CANARY_MIN, CANARY_MAX = 8, 200
# Each is a bit of an integer in match.py; a policy that needs more is several tenants' policies.
SCOPED_MAX = 200
_BODY_MAX = 128 * 1024 * 1024  # what the gateway may be told to take at most (DOUANE_MAX_BODY_BYTES)
_TOKENS_MAX = 100_000_000  # no context window comes near
_MONTH_S = 30 * 86400
_RISK_MAX = 1_000_000  # 10,000 requests with the highest score

Score = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Canary = Annotated[str, msgspec.Meta(min_length=CANARY_MIN, max_length=CANARY_MAX)]
Patterns = Annotated[tuple[MaybeText, ...], msgspec.Meta(max_length=10_000)]
# A header's name as HTTP/2 writes it (RFC 9113, 8.2.1), of letters that need no quoting in Envoy's configuration.
Header = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9_-]{0,63})?$")]


class SpoolFull(StrEnum):
    """What to do with a request whose verdict cannot be written down."""

    REFUSE = "refuse"
    LOSE = "lose"


class OnThreat(StrEnum):
    """What to do with a kind of threat in a request that its score lets pass.

    pseudonymise also puts the original back in the answer; allow leaves it out of the score that decides.
    """

    REPORT = "report"
    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"
    DENY = "deny"
    ALLOW = "allow"


class OnLeak(StrEnum):
    """What to do with a secret or personal data in a request: OnThreat without allow."""

    REPORT = "report"
    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"
    DENY = "deny"


class OnOutputLeak(StrEnum):
    """What to do with a secret or personal data in an answer."""

    REPORT = "report"
    REDACT = "redact"


class OnResponse(StrEnum):
    """observe: answers are looked at for their record, no byte waits. enforce: they are held until they have been judged."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class OnFailure(StrEnum):
    """What to do with a request that could not be inspected. by_mode: enforce refuses it, observe lets it pass."""

    BY_MODE = "by_mode"
    OPEN = "open"
    CLOSED = "closed"


class UnknownHosts(StrEnum):
    """What happens at the proxy and transparent doors to hosts that are no LLM host."""

    PASS = "pass"  # noqa: S105 - no password
    DENY = "deny"


class StreamUsage(StrEnum):
    """ask: a streamed call that does not ask for its usage is made to, and the extra chunk is kept from the client."""

    AS_SENT = "as_sent"
    ASK = "ask"


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A setting that has settings of its own."""


class Leaks(_Group, frozen=True):
    """What to do with each kind of leak in a request."""

    secret_leak: OnLeak = OnLeak.REPORT
    pii_leak: OnLeak = OnLeak.REPORT


class OutputLeaks(_Group, frozen=True):
    """What to do with each kind of leak in an answer."""

    secret_leak: OnOutputLeak = OnOutputLeak.REPORT
    pii_leak: OnOutputLeak = OnOutputLeak.REPORT

    @property
    def redacted(self) -> frozenset[ThreatType]:
        """The types that are taken out of answers."""
        pairs = ((ThreatType.SECRET_LEAK, self.secret_leak), (ThreatType.PII_LEAK, self.pii_leak))
        return frozenset(kind for kind, action in pairs if action is OnOutputLeak.REDACT)


class Threshold(_Group, frozen=True):
    """From which score a surface alerts and is denied, judged by itself; None: no such threshold."""

    alert: Score | None = None
    deny: Score | None = None


class Names(_Group, frozen=True):
    """Patterns of names. deny is refused; where allow is given, what it does not name is refused too. deny wins."""

    allow: Patterns = ()
    deny: Patterns = ()


class Lists(_Group, frozen=True):
    """Who may ask, which models, at which hosts."""

    users: Names = Names()
    models: Names = Names()
    hosts: Names = Names()


class IdentityHeaders(_Group, frozen=True):
    """Request headers that name who calls; empty: the one of the installation's settings."""

    user: Header = ""
    team: Header = ""
    session: Header = ""


class RiskSettings(_Group, frozen=True):
    """What a user's risk does. It is the sum of the scores of their requests, each halved every half_life_s seconds.

    Units: tighten_from, tighten_to and quarantine_at are risks; quarantine_at 0: this sidecar puts nobody in quarantine.
    """

    half_life_s: Annotated[float, msgspec.Meta(ge=60, le=_MONTH_S)] = 3600.0
    tighten_from: Annotated[float, msgspec.Meta(gt=0, le=_RISK_MAX)] = 30.0
    tighten_to: Annotated[float, msgspec.Meta(gt=0, le=_RISK_MAX)] = 120.0
    min_deny_score: Annotated[float, msgspec.Meta(ge=1, le=100)] = 10.0
    quarantine_at: Annotated[float, msgspec.Meta(ge=0, le=_RISK_MAX)] = 0.0
    quarantine_s: Annotated[float, msgspec.Meta(ge=1, le=_MONTH_S)] = 900.0

    def __post_init__(self) -> None:
        if not self.tighten_from < self.tighten_to:
            raise ValueError("user_risk.tighten_from is below tighten_to")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """One version of a policy. Scores are on the mission's scale, deadline_ms in milliseconds.

    Shape: exceptions, budgets and overrides are scoped by their own `match`; a policy that was resolved for one request has
    none of them, and its version names the overrides that made it.
    """

    mode: Mode = Mode.ENFORCE
    alert_score: Score = 5.0
    deny_score: Score = 15.0
    block_critical: bool = True
    thresholds: dict[Surface, Threshold] = msgspec.field(default_factory=dict)
    actions: dict[ThreatType, OnThreat] = msgspec.field(default_factory=dict)
    unscanned: Action = Action.ALLOW_UNSCANNED
    on_failure: OnFailure = OnFailure.BY_MODE
    spool_full: SpoolFull = SpoolFull.REFUSE
    content_capture: ContentCapture = ContentCapture.NONE
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=600)] = 250
    max_body_bytes: Annotated[int, msgspec.Meta(ge=0, le=_BODY_MAX)] = 0
    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=_TOKENS_MAX)] = 0
    leaks: Leaks = Leaks()
    output_leaks: OutputLeaks = OutputLeaks()
    canaries: Annotated[tuple[Canary, ...], msgspec.Meta(max_length=100)] = ()
    lists: Lists = Lists()
    response: OnResponse = OnResponse.OBSERVE
    leak_budget: Annotated[int, msgspec.Meta(ge=0, le=LEAK_BUDGET_MAX)] = 256
    stream_usage: StreamUsage = StreamUsage.AS_SENT
    unknown_hosts: UnknownHosts = UnknownHosts.PASS
    websocket: Action = Action.DENY
    user_risk: RiskSettings = RiskSettings()
    identity: IdentityHeaders = IdentityHeaders()
    exceptions: Annotated[tuple[RuleException, ...], msgspec.Meta(max_length=SCOPED_MAX)] = ()
    budgets: Annotated[tuple[Budget, ...], msgspec.Meta(max_length=SCOPED_MAX)] = ()
    overrides: Annotated[tuple[Override, ...], msgspec.Meta(max_length=SCOPED_MAX)] = ()
    version: str = "built-in"

    def __post_init__(self) -> None:
        _check_choices(self)
        if not 0 < self.alert_score <= self.deny_score:
            raise ValueError("alert_score is above 0 and at most deny_score")
        check_unique("exceptions", [item.name for item in self.exceptions if item.name])
        check_unique("budgets", [item.name for item in self.budgets])
        check_unique("overrides", [item.name for item in self.overrides])

    @property
    def holds_answers(self) -> bool:
        """True when answers are held until they have been judged."""
        return self.mode is Mode.ENFORCE and self.response is OnResponse.ENFORCE

    @property
    def fails_open(self) -> bool:
        """True when what could not be inspected passes."""
        return self.on_failure is OnFailure.OPEN or (self.on_failure is OnFailure.BY_MODE and self.mode is Mode.OBSERVE)

    @property
    def may_hold_answers(self) -> bool:
        """True when some request's answer may be held: Envoy has to show the heads of all."""
        modes, responses = self._ever("mode", self.mode), self._ever("response", self.response)
        return Mode.ENFORCE in modes and OnResponse.ENFORCE in responses

    @property
    def always_fails_open(self) -> bool:
        """True when every request passes that could not be inspected: then Envoy lets them by where no sidecar answers."""
        modes, failures = self._ever("mode", self.mode), self._ever("on_failure", self.on_failure)
        if OnFailure.CLOSED in failures:
            return False
        return OnFailure.BY_MODE not in failures or Mode.ENFORCE not in modes

    def _ever(self, name: str, base: str) -> set[Any]:
        """Return what a setting may be for some request."""
        return {base, *(item.set[name] for item in self.overrides if name in item.set)}

    def treatment(self, kind: ThreatType) -> OnThreat:
        """Return what to do with a kind of threat; what `actions` says goes before `leaks`."""
        if (action := self.actions.get(kind)) is not None:
            return action
        leak = {ThreatType.SECRET_LEAK: self.leaks.secret_leak, ThreatType.PII_LEAK: self.leaks.pii_leak}.get(kind)
        return OnThreat.REPORT if leak is None else OnThreat(leak.value)


_LEAKS = (ThreatType.SECRET_LEAK, ThreatType.PII_LEAK)
# Answers have one threshold, deny_score: a held stream is judged text by text.
REQUEST_SURFACES = tuple(surface for surface in Surface if surface not in (Surface.OUTPUT, Surface.REASONING))


def _check_choices(policy: Policy) -> None:
    if policy.unscanned not in (Action.ALLOW_UNSCANNED, Action.DENY):
        raise ValueError("unscanned is allow_unscanned or deny")
    if policy.websocket not in (Action.ALLOW_UNSCANNED, Action.DENY):
        raise ValueError("websocket is deny or allow_unscanned")
    if ThreatType.USER_RISK in policy.actions:
        raise ValueError("actions: user_risk has settings of its own (user_risk)")
    wrong = [k for k, action in policy.actions.items() if action is OnThreat.PSEUDONYMISE and k not in _LEAKS]
    if wrong:
        raise ValueError(
            f"actions.{wrong[0]}: pseudonymise is for secret_leak and pii_leak; report, redact, deny or allow"
        )
    answers = [surface for surface in policy.thresholds if surface not in REQUEST_SURFACES]
    if answers:
        raise ValueError(f"thresholds.{answers[0]}: answers are judged by deny_score; thresholds are for requests")


def plain(policy: Policy) -> Mapping[str, Any]:
    """Return a policy's settings as plain values, its version apart."""
    return {name: value for name, value in msgspec.to_builtins(policy).items() if name != "version"}
