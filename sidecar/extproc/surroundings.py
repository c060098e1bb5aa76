"""What every exchange of a worker shares: made at its start, and again with another pipeline when the rules change.

In: nothing. Out: Surroundings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.identity import Identifier
from sidecar.pipeline import Pipeline
from sidecar.policy import Compiled
from sidecar.protocols import generate
from sidecar.risk.budgets import Budgets
from sidecar.risk.users import UserRisks
from sidecar.types import Verdict


class Policies(Protocol):
    """Says which policy holds for a tenant. An exchange asks once, when it begins, and keeps the answer."""

    def of(self, tenant: str) -> Compiled: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every exchange of a worker shares. wall_offset_us turns the monotonic clock into Unix time.

    users and budgets change with every exchange; they are the same objects when the rules change.
    """

    pipeline: Pipeline
    identifier: Identifier
    models: Mapping[str, generate.Target]
    keys: Mapping[str, str]
    paths: Mapping[str, str]
    wall_offset_us: int
    refusal: Callable[[Verdict], bytes]
    users: UserRisks = field(default_factory=UserRisks)
    budgets: Budgets = field(default_factory=Budgets)
