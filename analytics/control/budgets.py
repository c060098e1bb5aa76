"""Budgets: what a record uses of which budget, in which window.

In: a policy document's budgets, records. Out: amounts by (tenant, budget, key, window, sidecar).
A request counts once, when its record is first stored, and only if it was passed on: a client that is told 429 and tries again must
not keep itself out. Tokens and cost count when the record is complete; no record says them earlier. The sidecar counts alike
(sidecar/risk), so its own count and analytics' meet.
Windows begin on the full minute, the full hour and at midnight UTC, and an exchange counts in the window in which it began.
Never: judges by a limit; the sidecar does, where the request is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from analytics.control import scopes
from analytics.control.policies import Document
from analytics.control.scopes import EVERYTHING, Scope, field_of
from analytics.store import budgets as store
from analytics.types import Change, DecisionRow
from analytics.types.control import UseKey

WINDOWS_S = {"minute": 60, "hour": 3_600, "day": 86_400}
NANO_USD = 1_000_000_000
# Windows that have ended are kept for people to look at, two of the longest.
KEPT_S = 2 * 86_400


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget of a policy. limit is in what is counted: requests, tokens, nano US dollars."""

    name: str
    unit: str
    per: str
    window: str
    limit: int
    scope: Scope = EVERYTHING

    @property
    def window_s(self) -> int:
        """How long it counts before it begins anew."""
        return WINDOWS_S[self.window]

    def covers(self, row: DecisionRow) -> bool:
        """Tell whether a record is one of those this budget is about."""
        return self.scope.covers(row)

    def key(self, row: DecisionRow) -> str:
        """Return whose count a record belongs to, empty where the whole tenant shares one."""
        return "" if self.per == "tenant" else field_of(row, self.per)


def read(document: Document) -> tuple[Budget, ...]:
    """Return the budgets of a document that has been checked."""
    return tuple(_budget(one) for one in document.get("budgets") or ())


def _budget(given: Mapping[str, Any]) -> Budget:
    limit = given["limit"] * (NANO_USD if given["unit"] == "usd" else 1)
    scope = scopes.read(given.get("match"))
    return Budget(given["name"], given["unit"], given.get("per", "tenant"), given["window"], round(limit), scope)


def used(changes: Iterable[Change], budgets: Mapping[str, tuple[Budget, ...]]) -> dict[UseKey, int]:
    """Return what a batch of changes adds, by budget, key, window and sidecar. budgets are those of each tenant."""
    added: dict[UseKey, int] = {}
    for change in changes:
        row = change.row
        for budget in budgets.get(row.tenant, ()):
            amount = _amount(change, budget.unit)
            if amount and budget.covers(row):
                began = row.started_unix_us // 1_000_000
                began -= began % budget.window_s
                key = UseKey(
                    row.tenant, budget.name, budget.key(row), budget.unit, budget.window_s, began, sidecar_of(row)
                )
                added[key] = added.get(key, 0) + amount
    return added


def sidecar_of(row: DecisionRow) -> str:
    """Return which sidecar wrote a record."""
    return str(row.detail.get("sidecar", ""))


def _amount(change: Change, unit: str) -> int:
    row = change.row
    if unit == "requests":
        return int(change.new and row.passed)
    if row.stage != "complete" or change.before_stage == "complete":
        return 0
    return (row.total_tokens if unit == "tokens" else row.cost_nanousd) or 0


def sweep(connection: Connection, now_unix_s: int) -> int:
    """Remove windows long past; return how many rows. For the scheduler, now and then."""
    return store.forget(connection, now_unix_s - KEPT_S)
