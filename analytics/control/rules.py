"""What the policies in force say to analytics itself: how users are judged, and which budgets there are.

In: the policies in force, read again when one changed. Out: the rule and the budgets of a tenant: its own policy's, else
those of the policy for every tenant, else the settings'.
Budgets of a sidecar's own file are not known here: they are counted by that sidecar alone.
Never: a statement per record; a policy that does not read here stops nothing (it was checked before it was stored).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlalchemy import Connection

from analytics.control import budgets
from analytics.control.budgets import Budget
from analytics.control.policies import Document
from analytics.store import policies
from analytics.types.control import EVERY_TENANT, RiskRule


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force for whom. Shape: both by tenant; `*` is for those without their own policy."""

    default: RiskRule
    risk: Mapping[str, RiskRule] = field(default_factory=lambda: MappingProxyType({}))
    budgets: Mapping[str, tuple[Budget, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def risk_of(self, tenant: str) -> RiskRule:
        """Return how a tenant's users are judged."""
        return self.risk.get(tenant) or self.risk.get(EVERY_TENANT) or self.default

    def budgets_of(self, tenant: str) -> tuple[Budget, ...]:
        """Return a tenant's budgets. A policy of its own without budgets has none: policies are not mixed."""
        own = self.budgets.get(tenant)
        return self.budgets.get(EVERY_TENANT, ()) if own is None else own


class RulesInForce:
    """Reads the rules, and again when a policy came into force or went. One for each thread that asks."""

    def __init__(self, default: RiskRule) -> None:
        self._rules = Rules(default)
        self._version = -1

    def of(self, connection: Connection) -> Rules:
        """Return what is in force. Bounds: one small read, unless a policy changed."""
        newest = policies.newest_change(connection)
        if newest != self._version:
            documents = {head.tenant: one.document for head, one in policies.active(connection) if one is not None}
            self._rules = Rules(
                default=self._rules.default,
                risk=MappingProxyType({t: risk_rule(dict(d), self._rules.default) for t, d in documents.items()}),
                budgets=MappingProxyType({t: budgets.read(dict(d)) for t, d in documents.items()}),
            )
            self._version = newest
        return self._rules


def risk_rule(document: Document, default: RiskRule) -> RiskRule:
    """Return how a policy has users judged; what it leaves out is as the settings say."""
    given = document.get("user_risk") or {}
    return RiskRule(**{name: float(given.get(name, getattr(default, name))) for name in RiskRule.__dataclass_fields__})
