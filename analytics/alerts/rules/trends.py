"""Rules over sums: drift, errors, spending, budgets, user risk, silence, sidecars.

In: Facts of one moment. Out: an Occurrence for each thing that is so now; what is no longer so is resolved by alerts/desk.
Source: thresholds are settings (config/alerts), each with where it comes from.
Never: I/O; a verdict from fewer calls than `alert_least_calls`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from analytics.alerts.rules.naming import keyed
from analytics.config import Settings
from analytics.store import sketch
from analytics.types import DAY_S
from analytics.types.alerts import Occurrence
from analytics.types.trends import Facts, SidecarState

_CRITICAL_RISK = 15.0  # the mission's scale: CRITICAL begins here
_LEAST_DAYS = 2  # days that must have had calls before their hours say what is usual
# What a sidecar's tally says was lost, and what passed uninspected; sidecar/coverage/counters.py names the kinds.
LOST = {
    "records_lost": "decision records that could not be written down: the spool is at its limit, or the disk is full",
    "log_shed": "times the pass-through log was emptied unread",
}
UNINSPECTED = {
    "failure_mode_allowed": "calls that Envoy let pass because the sidecar did not answer",
}


def latency_drift(facts: Facts, settings: Settings) -> Iterator[Occurrence]:
    """A model's p95 stands above the same hours of the last days, by a factor and by seconds that people notice."""
    for (tenant, model), recent in facts.recent.items():
        usual = facts.usual.get((tenant, model), {})
        if min(sum(recent.latency.values()), sum(usual.values())) < settings.alert_least_calls:
            continue
        (now_s,), (then_s,) = (sketch.quantiles(one, (0.95,)) for one in (recent.latency, usual))
        if now_s is None or then_s is None:
            continue
        if now_s >= then_s * settings.alert_drift_factor and now_s - then_s >= settings.alert_drift_least_s:
            yield _trend(
                facts.now_unix_s,
                "latency_drift",
                "warning",
                _Said(
                    (tenant, model),
                    title=f"{model or 'an unnamed model'} is slower than usual",
                    text=f"One answer in twenty takes {now_s:.1f} s or more; in the same hours before it was {then_s:.1f} s.",
                    facts=(("p95 now", f"{now_s:.2f} s"), ("p95 usually", f"{then_s:.2f} s")),
                    model=model,
                ),
            )


def error_rate(facts: Facts, settings: Settings) -> Iterator[Occurrence]:
    """A share of a model's calls failed, at the provider or with us."""
    for (tenant, model), recent in facts.recent.items():
        if recent.requests < settings.alert_least_calls:
            continue
        share = recent.errors / recent.requests
        if share >= settings.alert_error_rate:
            yield _trend(
                facts.now_unix_s,
                "error_rate",
                "critical" if share >= settings.alert_error_rate_critical else "warning",
                _Said(
                    (tenant, model),
                    title=f"{share:.0%} of the calls of {model or 'an unnamed model'} fail",
                    text=f"{recent.errors} of {recent.requests} calls of the last {settings.alert_window_s // 60} minutes failed.",
                    facts=(("Failed", f"{recent.errors} of {recent.requests}"),),
                    model=model,
                ),
            )


def cost_spike(facts: Facts, settings: Settings) -> Iterator[Occurrence]:
    """A tenant spends more in this hour than it usually does, by a factor, and more than a trifle."""
    for tenant, spent in facts.spending.items():
        usual = max(median(spent.same_hours) if spent.same_hours else 0.0, spent.mean_nanousd)
        now_usd, usual_usd = spent.nanousd / 1e9, usual / 1e9
        if not usual or now_usd < settings.alert_cost_least_usd:
            continue
        if now_usd >= usual_usd * settings.alert_cost_factor:
            yield _trend(
                facts.now_unix_s,
                "cost_spike",
                "warning",
                _Said(
                    (tenant,),
                    title=f"spending is {now_usd / usual_usd:.1f} times what is usual",
                    text=f"${now_usd:,.2f} in the hour under way; such an hour usually costs ${usual_usd:,.2f}.",
                    facts=(("This hour", f"${now_usd:,.2f}"), ("Usually", f"${usual_usd:,.2f}")),
                ),
            )


def budget(facts: Facts, settings: Settings) -> Iterator[Occurrence]:
    """A budget is nearly used up, or all of it is."""
    for one in facts.budgets:
        share = one.used / one.limit if one.limit else 0.0
        if share >= settings.alert_budget_share:
            yield _trend(
                facts.now_unix_s,
                "budget",
                "critical" if share >= 1 else "warning",
                _Said(
                    (one.tenant, one.key, one.unit),
                    title=f"{share:.0%} of the budget {one.key} is used",
                    text=f"{one.used:,.6g} of {one.limit:,.6g} {one.unit}.",
                    facts=(("Used", f"{one.used:,.6g}"), ("Limit", f"{one.limit:,.6g} {one.unit}")),
                ),
            )


def user_risk(facts: Facts, settings: Settings) -> Iterator[Occurrence]:
    """A user's decayed sum of scores, over all conversations, is high."""
    for one in facts.risks:
        if one.risk >= settings.alert_risk_jump:
            yield _trend(
                facts.now_unix_s,
                "user_risk",
                "critical" if one.risk >= 2 * max(settings.alert_risk_jump, _CRITICAL_RISK) else "warning",
                _Said(
                    (one.tenant, one.user),
                    title=f"the risk of {one.user or 'an unknown user'} is {one.risk:.1f}",
                    text=one.reason or "The scores of the last hours add up; a single call may look harmless.",
                    facts=(("Risk", f"{one.risk:.1f}"),),
                    user=one.user,
                ),
            )


def traffic_silence(facts: Facts, settings: Settings) -> Iterator[Occurrence]:
    """Nothing comes where calls are usual at this hour: the door is shut, or calls go around it."""
    for tenant, calls in facts.calls.items():
        usual = median(calls.usual) if calls.usual else 0.0
        known = sum(1 for one in calls.usual if one) >= _LEAST_DAYS
        if not calls.count and known and usual >= settings.alert_silence_calls:
            yield _trend(
                facts.now_unix_s,
                "traffic_silence",
                "warning",
                _Said(
                    (tenant,),
                    title="no calls where calls are usual",
                    text=f"Nothing came for {settings.alert_silence_s // 60} minutes, in which at this hour {usual:,.0f} calls "
                    "are usual. Either nothing is sent, or it goes around Douane.",
                    facts=(("Usually", f"{usual:,.0f} calls"),),
                ),
            )


def sidecar_silent(facts: Facts, settings: Settings) -> Iterator[Occurrence]:
    """A running sidecar is not heard of: it reports every 15 s while it watches its Envoy (sidecar/coverage/watch.py)."""
    for one in facts.sidecars:
        silent_s = facts.now_unix_s - one.last_seen_unix_s
        if one.running and settings.alert_sidecar_silent_s <= silent_s < DAY_S:
            yield _trend(
                facts.now_unix_s,
                "sidecar_silent",
                "warning",
                _Said(
                    ("", one.source),
                    title=f"the sidecar on {one.name} is silent",
                    text=f"It was last heard of {silent_s // 60} minutes ago and did not say that it would end. "
                    "It may be dead, or cut off; its records wait on its own disk.",
                    facts=(("Sidecar", one.name),),
                ),
            )


def records_lost(facts: Facts, settings: Settings) -> Iterator[Occurrence]:  # noqa: ARG001 - every rule is called alike
    """A sidecar lost records, or lines of what passed: the books have a hole."""
    for one in facts.sidecars:
        yield from _counted(facts, one, LOST, ("records_lost", "critical", "lost records"))


def uninspected(facts: Facts, settings: Settings) -> Iterator[Occurrence]:  # noqa: ARG001 - every rule is called alike
    """Envoy let calls pass that no sidecar saw; no record tells of them."""
    for one in facts.sidecars:
        yield from _counted(facts, one, UNINSPECTED, ("uninspected", "warning", "let calls pass that nobody inspected"))


def _counted(
    facts: Facts, sidecar: SidecarState, kinds: dict[str, str], rule: tuple[str, str, str]
) -> Iterator[Occurrence]:
    found = [(kind, sidecar.sights[kind]) for kind in kinds if sidecar.sights.get(kind)]
    if found:
        name, level, what = rule
        yield _trend(
            facts.now_unix_s,
            name,
            level,
            _Said(
                ("", sidecar.source),
                title=f"the sidecar on {sidecar.name} {what}",
                text="In this hour and the one before: "
                + "; ".join(f"{count} {kinds[kind]}" for kind, count in found)
                + ".",
                facts=(("Sidecar", sidecar.name), *((kind, str(count)) for kind, count in found)),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """What an occurrence is about (its tenant first), and how it is told."""

    about: tuple[str, ...]
    title: str
    text: str
    facts: tuple[tuple[str, str], ...]
    model: str = ""
    user: str = ""


def _trend(now_unix_s: int, rule: str, level: str, said: _Said) -> Occurrence:
    """Return an occurrence of now."""
    return Occurrence(
        rule=rule,
        level=level,
        tenant=said.about[0],
        key=keyed(rule, *said.about[1:]),
        title=said.title,
        text=said.text,
        moment_unix_us=now_unix_s * 1_000_000,
        user=said.user,
        model=said.model,
        facts=said.facts,
    )
