"""A policy ready to be asked: for one request what holds of it, and for one tenant which policy it is.

In: Policy values, when they change; then the facts of requests. Out: InForce, a value that an exchange keeps to its end.
Overrides are merged in their order (of a setting the last that matches counts), once for each set of them that occurs together.
Never: a lock, I/O, or a part of a policy that changes under an exchange.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.policy.admission import Admission
from sidecar.policy.document import EARLY, merged
from sidecar.policy.exceptions import Waivers
from sidecar.policy.match import Facts, Matcher
from sidecar.policy.scoped import Budget, Override, RuleException
from sidecar.policy.settings import Policy

# Sets of overrides that occur together: far fewer in practice, but a stranger may choose user and model.
_COMBINATIONS = 1024


@dataclass(frozen=True, slots=True)
class InForce:
    """What of a policy holds for one request. policy has no scoped parts; its version names the overrides that matched."""

    policy: Policy
    admission: Admission
    waivers: Waivers
    budgets: tuple[Budget, ...] = ()
    overrides: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """What a record says of it."""
        return (f"policy overrides: {', '.join(self.overrides)}",) if self.overrides else ()


class Compiled:
    """One policy document, compiled. of tells what of it holds for a request, early what before its body is read."""

    __slots__ = ("_early_bits", "_known", "_matcher", "_scoped", "base", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._scoped: tuple[Override | RuleException | Budget, ...] = (
            *policy.overrides,
            *policy.exceptions,
            *policy.budgets,
        )
        self._matcher = Matcher([item.match for item in self._scoped])
        self._known: dict[int, InForce] = {}
        self.base = self._made(0)
        early = [place for place, item in enumerate(policy.overrides) if EARLY & item.set.keys()]
        self._early_bits = sum(1 << place for place in early)

    def of(self, facts: Facts) -> InForce:
        """Return what holds for a request.

        Bounds: a look-up for each field that scopes name, and one; what occurs for the first time is merged, some 100 us.
        """
        if not self._scoped:
            return self.base
        return self._for(self._matcher.bits(facts))

    @property
    def has_early(self) -> bool:
        """True when an override sets what is needed before the body is read."""
        return bool(self._early_bits)

    def early(self, facts: Facts) -> Policy:
        """Return the policy as far as it is needed before the body is read: deadline_ms and canaries."""
        if not self._early_bits:
            return self.base.policy
        return self._for(self._matcher.bits(facts) & self._early_bits).policy

    def _for(self, bits: int) -> InForce:
        found = self._known.get(bits)
        if found is None:
            if len(self._known) >= _COMBINATIONS:
                self._known.clear()
            found = self._known[bits] = self._made(bits)
        return found

    def _made(self, bits: int) -> InForce:
        chosen = [item for place, item in enumerate(self._scoped) if bits >> place & 1]
        overrides = tuple(item for item in chosen if isinstance(item, Override))
        names = tuple(item.name for item in overrides)
        version = f"{self.policy.version}/{'+'.join(names)}" if names else self.policy.version
        policy = merged(self.policy, overrides, version)
        return InForce(
            policy,
            Admission(policy.lists),
            Waivers([item for item in chosen if isinstance(item, RuleException)]),
            tuple(item for item in chosen if isinstance(item, Budget)),
            names,
        )


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policies in force: one for each tenant that has its own, and the one for everybody else."""

    default: Compiled
    tenants: Mapping[str, Compiled] = field(default_factory=dict)

    @classmethod
    def one(cls, policy: Policy) -> "PolicySet":
        """Return a set in which one policy holds for all."""
        return cls(Compiled(policy))

    def of(self, tenant: str) -> Compiled:
        """Return a tenant's policy."""
        return self.tenants.get(tenant, self.default)
