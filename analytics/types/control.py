"""What analytics tells sidecars, and what they tell of themselves: policies, user risk, budgets, prices.

Units: as in analytics/types; risk is on the mission's scale of scores; amounts are requests, tokens or nano US dollars.
changed_version is the installation's version (store/control_state) at which a row was last worth telling, 0 for never.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# The tenant whose policy is for all tenants without one of their own.
EVERY_TENANT = "*"


@dataclass(frozen=True, slots=True)
class ControlState:
    """How far the installation is. forgotten: changes up to this version may be gone, so what resumes before it begins anew."""

    installation: str
    version: int
    forgotten: int


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a tenant's policy, never changed. digest is what records carry as policy_version."""

    tenant: str
    number: int
    digest: str
    text: str
    document: Mapping[str, Any]
    note: str
    author: str
    created_unix_us: int


@dataclass(frozen=True, slots=True)
class PolicyHead:
    """Where a tenant's policy stands: the version in force, None when its sidecars go by their file, and the newest one."""

    tenant: str
    active: int | None
    latest: int
    changed_version: int
    changed_unix_us: int
    changed_by: str


@dataclass(frozen=True, slots=True)
class Activation:
    """One turn in a policy's history: from then on this version was in force, None for none.

    kind: activate, withdraw, or rollback, which takes the turn before it back.
    """

    tenant: str
    sequence: int
    kind: str
    number: int | None
    actor: str
    note: str
    at_unix_us: int


@dataclass(frozen=True, slots=True)
class RiskRule:
    """How a tenant's users are judged. quarantine_at 0: nobody is put in quarantine but by hand."""

    half_life_s: float = 3_600.0
    quarantine_at: float = 0.0
    quarantine_s: float = 900.0
    tighten_from: float = 30.0
    tighten_to: float = 120.0


@dataclass(frozen=True, slots=True)
class UserRisk:
    """What is held of one user: sums as they were at as_of.

    forgiven is what a release took out of the sum that quarantine is judged by, told what sidecars know; both fade as risk
    does. marks: when what was found in the user's conversations lately counted last.
    """

    tenant: str
    user: str
    risk: float = 0.0
    as_of_unix_us: int = 0
    forgiven: float = 0.0
    told: float = 0.0
    quarantined_until_unix_us: int = 0
    reset_unix_us: int = 0
    reason: str = ""
    changed_version: int = 0
    marks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RiskEvent:
    """Something that was done to a user, by a rule (actor `rule`) or by hand. risk is what it was then."""

    tenant: str
    user: str
    at_unix_us: int
    kind: str
    actor: str
    reason: str
    risk: float
    until_unix_us: int = 0


class UseKey(NamedTuple):
    """Whose use of which budget in which window, by which sidecar. key is empty where the tenant shares one count."""

    tenant: str
    budget: str
    key: str
    unit: str
    window_s: int
    window_unix_s: int
    sidecar: str


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """What one sidecar used of a budget in one window."""

    key: UseKey
    used: int
    changed_version: int = 0


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """Nano US dollars for one token."""

    prompt_nanousd: float
    completion_nanousd: float
    cached_nanousd: float


@dataclass(frozen=True, slots=True)
class SidecarState:
    """What a sidecar told of itself last. version is the snapshot it holds.

    Shape: policies are {tenant, version, refused_version, refusal}, one a tenant that it knows a policy for.
    """

    sidecar: str
    tenant: str
    version: int
    seen_unix_us: int
    policies: tuple[Mapping[str, str], ...]
