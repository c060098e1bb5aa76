"""User risk: how a user's exchanges add up, when that is worth telling, and when it means quarantine.

In: what is held of a user, the score of an exchange and its time. Out: what is held then.
Risk is the sum of an exchange's scores, each halved once per half-life. The formula is linear, so the order in which records come
does not matter: a late one is added with what is left of it, a replaced one adds the difference (test_risk tries orders at random).
Never: counts the part of a score that itself comes from user risk (it would feed itself), a text twice because its
conversation went on, a time that lies ahead of our clock (one sidecar with a wrong clock would outlive all others), or
anything from before a reset.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

from sqlalchemy import Connection

from analytics.store import control_state
from analytics.store import risk as store
from analytics.types import Change, DecisionRow, ThreatRow
from analytics.types.control import RiskEvent, RiskRule, UserRisk

# A move of half a point on the mission's scale, or of a twentieth for those far up, changes no decision: it is told with
# the next one.
NOTICEABLE, NOTICEABLE_SHARE = 0.5, 0.05
# After ten half-lives a thousandth is left of any score: users of whom nothing was heard for so long are forgotten, here as in
# sidecars (sidecar/control/snapshot).
KEPT_HALF_LIVES = 10.0
# What was found in a user's conversations lately, 8 bytes each: more within a half-life is no false positive (as in the sidecar).
MARKS_MAX = 64
_MARK_BYTES = 8
_HALVINGS_MAX = 64.0  # beyond, a double holds nothing of it; also keeps the power from underflowing slowly


def decayed(risk: float, from_unix_us: int, to_unix_us: int, half_life_s: float) -> float:
    """Return what is left of a risk at a later moment; an earlier moment changes nothing."""
    halvings = max(0, to_unix_us - from_unix_us) / (half_life_s * 1e6)
    return 0.0 if halvings > _HALVINGS_MAX else risk * 0.5**halvings


def level(risk: float, rule: RiskRule) -> str:
    """Return the level of a risk: high from where the policy begins to tighten thresholds, critical where they are tightest."""
    steps = ((rule.tighten_to, "critical"), (rule.tighten_from, "high"), (rule.tighten_from / 3, "medium"))
    return next((name for least, name in steps if risk >= least), "low")


def moved(held: UserRisk, score: float, at_unix_us: int, half_life_s: float) -> UserRisk:
    """Return what is held after an exchange of this score (or this difference of scores) at a time."""
    if at_unix_us < held.reset_unix_us or score == 0.0:
        return held
    late = decayed(score, at_unix_us, held.as_of_unix_us, half_life_s)
    now = at(held, at_unix_us, half_life_s)
    return replace(now, risk=max(0.0, now.risk + late))


def at(held: UserRisk, unix_us: int, half_life_s: float) -> UserRisk:
    """Return the same at a later moment; an earlier moment changes nothing."""
    if unix_us <= held.as_of_unix_us:
        return held
    left = decayed(1.0, held.as_of_unix_us, unix_us, half_life_s)
    return replace(
        held,
        risk=held.risk * left,
        forgiven=held.forgiven * left,
        told=held.told * left,
        as_of_unix_us=unix_us,
    )


def counted(held: UserRisk, change: Change, half_life_s: float, now_unix_us: int) -> UserRisk:
    """Return what is held of a user after a record of theirs.

    A new record counts what in it is new, a fuller one its difference to the one it replaces.
    """
    at_unix_us = min(change.row.started_unix_us, now_unix_us)
    if at_unix_us < held.reset_unix_us:
        return held
    if not change.new:
        return moved(held, change.row.score - change.before_score, at_unix_us, half_life_s)
    added, marks = _news(change.row, held.marks, at_unix_us, half_life_s)
    return replace(moved(held, added, at_unix_us, half_life_s), marks=marks)


def _news(
    row: DecisionRow, marks: Mapping[str, int], at_unix_us: int, half_life_s: float
) -> tuple[float, Mapping[str, int]]:
    """Return the score of what is new in a record, and the marks of all that was found in it.

    Chat clients resend the conversation with every turn: what stands in an earlier message counts once within a half-life, by
    its rule and the digest of its match, or one doubtful sentence in a long chat would add up to an attacker. What stands in
    the last message, in the answer, or outside of messages counts each time: it is said anew. A client's own retry says nothing.
    """
    after, fresh = dict(marks), 0.0
    for threat in row.threats:
        if threat.type == "user_risk":
            continue
        name = _mark(threat)
        known = name in marks and abs(at_unix_us - marks[name]) < half_life_s * 1e6
        if known and (row.attempt > 0 or 0 <= threat.message_index < row.detail.get("messages", 0) - 1):
            continue
        fresh += threat.score
        after.pop(name, None)
        after[name] = at_unix_us
    kept = list(after.items())[-MARKS_MAX:]
    return min(fresh, row.score), dict(kept)


def _mark(threat: ThreatRow) -> str:
    found = f"{threat.rule_id}\x00{threat.match_digest or threat.path}"
    return blake2b(found.encode(), digest_size=_MARK_BYTES).hexdigest()


def noticeable(held: UserRisk) -> bool:
    """Tell whether what is held differs from what sidecars were told last by enough to tell them."""
    return abs(held.risk - held.told) >= max(NOTICEABLE, NOTICEABLE_SHARE * held.risk)


def judged(held: UserRisk, rule: RiskRule, now_unix_us: int) -> UserRisk:
    """Return what is held with the quarantine that a rule calls for now.

    What led to a quarantine, or was forgiven by a release, does not count again; one under way is left as it is.
    """
    if not rule.quarantine_at or held.quarantined_until_unix_us > now_unix_us:
        return held
    counted = decayed(held.risk - held.forgiven, held.as_of_unix_us, now_unix_us, rule.half_life_s)
    if counted < rule.quarantine_at:
        return held
    until = now_unix_us + round(rule.quarantine_s * 1e6)
    reason = f"user risk {counted:.1f} reached {rule.quarantine_at:g}"
    return replace(held, quarantined_until_unix_us=until, reason=reason, forgiven=held.risk)


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants done to a user. until_unix_us is for quarantine only."""

    kind: Literal["quarantine", "release", "reset"]
    actor: str
    reason: str
    until_unix_us: int = 0


def carry_out(connection: Connection, key: tuple[str, str], order: Order, rule: RiskRule, now_unix_us: int) -> UserRisk:
    """Do to a user what somebody ordered; return what is held then. Sidecars are told.

    A release forgives: what was counted until now does not bring the user back, what is added from now on may.
    A reset also takes the risk itself away; records from before it that come late count nothing.
    """
    held = at(store.read(connection, [key]).get(key) or UserRisk(*key), now_unix_us, rule.half_life_s)
    version = control_state.advance(connection)
    if order.kind == "quarantine":
        held = replace(held, quarantined_until_unix_us=order.until_unix_us, reason=order.reason)
    elif order.kind == "release":
        held = replace(held, quarantined_until_unix_us=0, reason="", forgiven=held.risk)
    else:
        held = UserRisk(*key, as_of_unix_us=now_unix_us, reset_unix_us=now_unix_us)
    held = replace(held, told=held.risk, changed_version=version)
    store.write(connection, [held])
    event = RiskEvent(*key, now_unix_us, order.kind, order.actor, order.reason, held.risk, order.until_unix_us)
    store.add_events(connection, [event])
    return held


def sweep(connection: Connection, longest_half_life_s: float, now_unix_us: int) -> int:
    """Remove users of whom nothing is left; return how many. For the scheduler, now and then."""
    return store.forget(connection, now_unix_us - round(KEPT_HALF_LIVES * longest_half_life_s * 1e6))
