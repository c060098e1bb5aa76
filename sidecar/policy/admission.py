"""What a policy refuses whatever a request says: who asks, for which model, at which host, how much, and users in quarantine.

In: what is known of a request beside its words; what of a policy holds for it. Out: refusals; a Decision with them in it.
Never: lets pass what another station refused.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sidecar.policy.decide import PLAIN, Bar, applied
from sidecar.policy.match import Bits, Facts
from sidecar.policy.settings import Lists, Names, Policy
from sidecar.types import Action, Decision

_ALLOWED, _DENIED = 1, 2
_REFUSING = (Action.DENY, Action.THROTTLE)
_SHOWN = 64


class Admission:
    """The lists of a policy, compiled."""

    __slots__ = ("_lists",)

    def __init__(self, lists: Lists) -> None:
        named = (("user", lists.users), ("model", lists.models), ("host", lists.hosts))
        self._lists = [(what, names, _bits(names)) for what, names in named if names.allow or names.deny]

    def complaint(self, facts: Facts, *, bare: bool = False) -> str:
        """Return why a request is not admitted, empty when it is. bare: it has no body, and need not name a model."""
        for what, names, bits in self._lists:
            value: str = getattr(facts, what)
            if bare and not value and what == "model":
                continue
            found = bits[value]
            if found & _DENIED:
                return f"{what} {_shown(value)} is on the policy's deny list"
            if names.allow and not found & _ALLOWED:
                return f"{what} {_shown(value)} is not on the policy's allow list"
        return ""


def _bits(names: Names) -> Bits:
    return Bits((names.allow, names.deny))


def _shown(value: str) -> str:
    return ascii(value[:_SHOWN]) if value else "(none named)"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request may not be made. wait_s: after so many seconds it may be; 0: not by waiting."""

    status: int
    message: str
    wait_s: int = 0
    action: Action = Action.DENY
    by_risk: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request beside its words. max_tokens is what it asks for at most, None where it does not say."""

    facts: Facts
    body_bytes: int
    max_tokens: int | None = None
    bare: bool = False


def refusals(asked: Asked, policy: Policy, admission: Admission) -> Iterable[Refusal]:
    """Yield why a policy refuses a request."""
    if complaint := admission.complaint(asked.facts, bare=asked.bare):
        yield Refusal(403, f"request refused: {complaint}")
    if 0 < policy.max_body_bytes < asked.body_bytes:
        yield Refusal(413, f"request refused: {asked.body_bytes} bytes, and the policy takes {policy.max_body_bytes}")
    if policy.max_tokens and asked.max_tokens is not None and asked.max_tokens > policy.max_tokens:
        yield Refusal(
            403, f"request refused: asks for {asked.max_tokens} tokens, and the policy allows {policy.max_tokens}"
        )


def quarantine(until_unix_us: int, why: str, now_unix_us: int) -> Refusal | None:
    """Return the refusal of a user in quarantine, None for one that is in none. It is no 429: trying again does not help."""
    if until_unix_us <= now_unix_us:
        return None
    wait_s = -(-(until_unix_us - now_unix_us) // 1_000_000)
    told = f"user in quarantine until {_moment(until_unix_us)}" + (f": {why}" if why else "")
    return Refusal(403, f"request refused: {told}", wait_s, by_risk=True)


def _moment(unix_us: int) -> str:
    try:
        return dt.datetime.fromtimestamp(unix_us // 1_000_000, dt.UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):  # an end that no calendar has
        return "further notice"


def stricter(decision: Decision, refusal: Refusal) -> Decision:
    """Return a decision that also refuses. What is refused already keeps its words, with one reason more."""
    reasons = (*decision.reasons, refusal.message.removeprefix("request refused: "))
    by_risk = decision.by_risk or refusal.by_risk
    if decision.would_be in _REFUSING:
        return replace(decision, reasons=reasons, by_risk=by_risk)
    refused = Decision(
        refusal.action,
        refusal.action,
        decision.mode,
        refusal.status,
        refusal.message,
        reasons,
        wait_s=refusal.wait_s,
        by_risk=by_risk,
    )
    return applied(refused, decision.applied)


def bar_of(risk: float, policy: Policy) -> Bar:
    """Return how far a user's risk lowers the thresholds.

    Shape: not at all up to tighten_from, down to min_deny_score from tighten_to on, evenly between; the thresholds of surfaces
    in the same proportion. Never raises one: a min_deny_score above deny_score lowers nothing.
    """
    settings = policy.user_risk
    if risk <= settings.tighten_from or settings.min_deny_score >= policy.deny_score:
        return PLAIN
    part = min(1.0, (risk - settings.tighten_from) / (settings.tighten_to - settings.tighten_from))
    lowered = policy.deny_score - part * (policy.deny_score - settings.min_deny_score)
    why = f"user risk {risk:.1f} lowers deny_score {policy.deny_score:g} to {lowered:.3g}"
    return Bar(lowered / policy.deny_score, why)
