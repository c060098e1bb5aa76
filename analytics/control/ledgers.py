"""The ledgers of Books that sidecars are told of: user risk and budgets, moved in the transaction that stores the records.

In: what storing a batch did. Out: users moved, quarantines that a rule calls for, amounts used; the version that tells sidecars.
Never: a record counted twice (a replaced one adds its difference, a repeated one is no change); work for records that move nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from sqlalchemy import Connection

from analytics.control import budgets, risk
from analytics.control.rules import RulesInForce
from analytics.store import budgets as budget_store
from analytics.store import control_state
from analytics.store import risk as risk_store
from analytics.types import Change, Stored
from analytics.types.control import RiskEvent, RiskRule, UserRisk


class RiskLedger:
    """The ledger of user risk in Books: every batch moves the users it speaks of, in its own transaction."""

    def __init__(self, rules: RulesInForce, clock: Callable[[], float]) -> None:
        """clock returns seconds since 1970 UTC."""
        self._rules = rules
        self._clock = clock

    def __call__(self, connection: Connection, stored: Stored) -> None:
        """Count a batch. Bounds: a read and a write of the users with a score in it; nothing without one."""
        moves = _moves(stored.changes)
        if not moves:
            return
        now_unix_us = round(self._clock() * 1e6)
        rules = self._rules.of(connection)
        held = risk_store.read(connection, moves)
        after = [
            _after(held.get(key) or UserRisk(*key), changes, rules.risk_of(key[0]), now_unix_us)
            for key, changes in moves.items()
        ]
        told = [one for one in after if risk.noticeable(one) or _quarantined(one, held.get((one.tenant, one.user)))]
        if told:
            version = control_state.advance(connection)
            fresh = {(one.tenant, one.user): replace(one, told=one.risk, changed_version=version) for one in told}
            after = [fresh.get((one.tenant, one.user), one) for one in after]
        risk_store.write(connection, after)
        new = [one for one in told if _quarantined(one, held.get((one.tenant, one.user)))]
        risk_store.add_events(connection, [_by_rule(one, now_unix_us) for one in new])


def _moves(changes: Iterable[Change]) -> dict[tuple[str, str], list[Change]]:
    """Return what may move each user; a record without a user moves nobody."""
    moves: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        if change.row.score != change.before_score and change.row.user:
            moves.setdefault((change.row.tenant, change.row.user), []).append(change)
    return moves


def _after(held: UserRisk, changes: list[Change], rule: RiskRule, now_unix_us: int) -> UserRisk:
    for change in changes:
        held = risk.counted(held, change, rule.half_life_s, now_unix_us)
    return risk.judged(held, rule, now_unix_us)


def _quarantined(after: UserRisk, before: UserRisk | None) -> bool:
    return after.quarantined_until_unix_us != (before.quarantined_until_unix_us if before else 0)


def _by_rule(held: UserRisk, now_unix_us: int) -> RiskEvent:
    until = held.quarantined_until_unix_us
    return RiskEvent(held.tenant, held.user, now_unix_us, "quarantine", "rule", held.reason, held.risk, until)


class BudgetLedger:
    """The ledger of budgets in Books: every batch adds what it used, in its own transaction."""

    def __init__(self, rules: RulesInForce) -> None:
        self._rules = rules

    def __call__(self, connection: Connection, stored: Stored) -> None:
        """Count a batch. Bounds: one small read without budgets."""
        if not stored.changes:
            return
        rules = self._rules.of(connection)
        if not rules.budgets:
            return
        tenants = dict.fromkeys(change.row.tenant for change in stored.changes)
        budget_store.add(
            connection, budgets.used(stored.changes, {tenant: rules.budgets_of(tenant) for tenant in tenants})
        )
