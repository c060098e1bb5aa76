"""Recommendations from statistics: what the rollups of a window advise, with the numbers each stands on.

In: a Usage and the operator's thresholds. Out: recommendations, most urgent first, and a summary that says what they
come from. They are statistics, not the judge's opinion, and must never read as if they were.
Source of the shares below: judgement, to be replaced by issue 5's tuned thresholds; each is in its evidence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from analytics.store import sketch
from analytics.types import Recommendation, Totals, Usage

PRIORITIES = ("critical", "high", "medium", "low")
DENIED_SHARE = 0.05  # of requests denied, from which the denials themselves need a look
ERROR_SHARE = 0.05  # of a model's requests in error
UNSCANNED_SHARE = 0.01  # of requests with bytes left unscanned
ABORTED_SHARE = 0.10  # of clients that left before the answer ended
TOKEN_SHARE = 0.60  # of all tokens on one model
MIN_REQUESTS = 20  # below which a share says nothing


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The operator's: latency in seconds, and whether critical exchanges should be blocked."""

    latency_s: float = 5.0
    block_critical: bool = True


def recommend(usage: Usage, thresholds: Thresholds) -> tuple[Recommendation, ...]:
    """Return what to do about a window, most urgent first; nothing for a window without requests."""
    if not usage.totals.requests:
        return ()
    found = [one for rule in _RULES for one in rule(usage, thresholds)]
    return tuple(sorted(found, key=lambda one: PRIORITIES.index(one.priority)))


def summarise(usage: Usage, recommendations: tuple[Recommendation, ...], days: int) -> str:
    """Return the summary: the numbers, what they advise most urgently, and where that comes from."""
    totals = usage.totals
    span = "day" if days == 1 else f"{days} days"
    if not totals.requests:
        return f"No request was recorded in the last {span}, so there is nothing to recommend."
    told = (
        f"{totals.requests} requests in the last {span}: {totals.outcome_answered} answered, "
        f"{totals.outcome_denied} blocked, {totals.errors} failed; {totals.threats} threats found."
    )
    urgent = sum(one.priority in ("critical", "high") for one in recommendations)
    advice = (
        f" {len(recommendations)} recommendations, {urgent} of them urgent."
        if recommendations
        else " Nothing to change."
    )
    return told + advice + f" This comes from statistics of these {totals.requests} requests, not from the AI judge."


def _unblocked(usage: Usage, thresholds: Thresholds) -> Iterator[Recommendation]:
    refused = usage.totals.action_deny + usage.totals.action_throttle
    let_through = max(0, usage.totals.would_refuse - refused)
    if let_through:
        yield Recommendation(
            "Enforce the policy: refused requests are getting through",
            "critical" if thresholds.block_critical else "medium",
            "security",
            f"{let_through} requests that the policy would refuse went on to the provider, because it only observes.",
            "Switch the policy from observe to enforce for these callers.",
            {"would_refuse": usage.totals.would_refuse, "refused": refused, "let_through": let_through},
        )


def _threats(usage: Usage, _thresholds: Thresholds) -> Iterator[Recommendation]:
    for threat in usage.threats[:3]:
        risky = usage.totals.risky
        yield Recommendation(
            f"Look into {threat.type.replace('_', ' ')} ({threat.count} found)",
            "high" if risky and threat is usage.threats[0] else "medium",
            "security",
            f"{threat.count} threats of type {threat.type} were found; most came from: {', '.join(map(_name, threat.users))}.",
            f"Review these decisions (/api/decisions?threat_type={threat.type}) and speak with, or limit, these users.",
            {
                "threat_type": threat.type,
                "count": threat.count,
                "top_users": list(threat.users),
                "risky_requests": risky,
            },
        )


def _denials(usage: Usage, _thresholds: Thresholds) -> Iterator[Recommendation]:
    share = usage.totals.outcome_denied / usage.totals.requests
    if usage.totals.requests >= MIN_REQUESTS and share >= DENIED_SHARE:
        yield Recommendation(
            f"{share:.0%} of requests are blocked",
            "high" if share >= 2 * DENIED_SHARE else "medium",
            "security",
            f"{usage.totals.outcome_denied} of {usage.totals.requests} requests were blocked; more than "
            f"{DENIED_SHARE:.0%} means an attack under way, or rules that hit ordinary work.",
            "Read a sample of the blocked requests (/api/decisions?outcome=denied) and tell attack from false alarm.",
            {"denied": usage.totals.outcome_denied, "requests": usage.totals.requests, "share": round(share, 4)},
        )


def _failures(usage: Usage, _thresholds: Thresholds) -> Iterator[Recommendation]:
    failures = usage.totals.inspection_failures
    if failures:
        yield Recommendation(
            "Inspection failed for some requests",
            "high",
            "security",
            f"{failures} requests could not be inspected as they should; the failure policy decided about them.",
            "Look at the kinds of failure (`failure` in /api/decisions) and raise limits or fix the clients.",
            {"inspection_failures": failures, "requests": usage.totals.requests},
        )


def _unscanned(usage: Usage, _thresholds: Thresholds) -> Iterator[Recommendation]:
    share = usage.totals.unscanned / usage.totals.requests
    if share >= UNSCANNED_SHARE:
        yield Recommendation(
            f"{share:.1%} of exchanges were not scanned in full",
            "medium",
            "security",
            f"{usage.totals.unscanned} exchanges carried bytes that no detector looked at (files, encodings, limits).",
            "Read the coverage of these decisions, and decide in the policy whether unscanned content may pass.",
            {"unscanned": usage.totals.unscanned, "requests": usage.totals.requests, "share": round(share, 4)},
        )


def _latency(usage: Usage, thresholds: Thresholds) -> Iterator[Recommendation]:
    for model, totals in usage.models:
        p95 = sketch.quantiles(totals.latency, [0.95])[0]
        if p95 is not None and p95 > thresholds.latency_s and totals.latency_count >= MIN_REQUESTS:
            yield Recommendation(
                f"{_name(model)} is slow",
                "high" if p95 > 2 * thresholds.latency_s else "medium",
                "performance",
                f"One answer in twenty takes longer than {p95:.1f} s; the threshold is {thresholds.latency_s:g} s.",
                "Stream the answers, shorten prompts, or move this work to a faster model.",
                {
                    "model": model,
                    "p95_s": round(p95, 3),
                    "threshold_s": thresholds.latency_s,
                    "answers": totals.latency_count,
                },
            )


def _errors(usage: Usage, _thresholds: Thresholds) -> Iterator[Recommendation]:
    for model, totals in usage.models:
        if totals.requests >= MIN_REQUESTS and totals.error_rate >= ERROR_SHARE:
            yield Recommendation(
                f"{totals.error_rate:.0%} of requests to {_name(model)} fail",
                "high" if totals.error_rate >= 2 * ERROR_SHARE else "medium",
                "quality",
                f"{totals.outcome_upstream_error} provider errors and {totals.outcome_failed} failed inspections "
                f"among {totals.requests} requests.",
                "Check quotas, keys and the provider's status; add retries or a second provider.",
                {
                    "model": model,
                    "upstream_errors": totals.outcome_upstream_error,
                    "failed": totals.outcome_failed,
                    "requests": totals.requests,
                    "error_rate": round(totals.error_rate, 4),
                },
            )


def _aborted(usage: Usage, _thresholds: Thresholds) -> Iterator[Recommendation]:
    share = usage.totals.outcome_client_aborted / usage.totals.requests
    if usage.totals.requests >= MIN_REQUESTS and share >= ABORTED_SHARE:
        yield Recommendation(
            f"{share:.0%} of clients leave before the answer ends",
            "medium",
            "usage",
            f"{usage.totals.outcome_client_aborted} of {usage.totals.requests} clients closed before the end: "
            "answers are too slow or too long for them, or a time-out of theirs is too short.",
            "Raise the clients' time-outs, stream, or limit the answers' length.",
            {
                "aborted": usage.totals.outcome_client_aborted,
                "requests": usage.totals.requests,
                "share": round(share, 4),
            },
        )


def _tokens(usage: Usage, _thresholds: Thresholds) -> Iterator[Recommendation]:
    everything = usage.totals.total_tokens
    if len(usage.models) < 2 or usage.totals.requests < MIN_REQUESTS or not everything:
        return
    model, totals = max(usage.models, key=_tokens_of)
    share = totals.total_tokens / everything
    if share >= TOKEN_SHARE:
        yield Recommendation(
            f"{_name(model)} uses {share:.0%} of all tokens",
            "low",
            "costs",
            f"{totals.total_tokens} of {everything} tokens went to {_name(model)}, "
            f"{totals.total_tokens // max(1, totals.requests)} a request.",
            "See whether part of this work can go to a smaller model, and whether its prompts can be shortened or cached.",
            {"model": model, "tokens": totals.total_tokens, "all_tokens": everything, "share": round(share, 4)},
        )


def _tokens_of(named: tuple[str, Totals]) -> int:
    return named[1].total_tokens


def _name(value: str) -> str:
    return value or "(unnamed)"


_RULES: tuple[Callable[[Usage, Thresholds], Iterator[Recommendation]], ...] = (
    *(_unblocked, _failures, _threats, _denials, _unscanned),
    *(_errors, _latency, _aborted, _tokens),
)
