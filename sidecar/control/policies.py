"""The policies in force, tenant by tenant: pushed ones where analytics has one active, the file elsewhere.

In: each Held, and the policy file. Out: the Policy of a tenant; which ones are in force, and which were refused and why.
Why pushed before the file: an operator who activates a policy for a fleet means the fleet, and takes it back in the same place;
the file is what a sidecar without analytics, or a tenant without a policy there, goes by.
A pushed policy that cannot be read leaves the tenant's last one in force, logged and counted, and analytics is told.
Never: a policy that is half old and half new; a tenant without one.
"""

import logging
from collections.abc import Callable

from sidecar.control.snapshot import Held, HeldPolicy
from sidecar.control.watch import InForce
from sidecar.policy import Compiled, Policy, parse_policy

log = logging.getLogger("douane.policy")

# The tenant whose policy is for all that have none of their own, as analytics names it.
EVERY = "*"
_REFUSAL_CHARS = 500


class Policies:
    """Holds what is in force. file returns the policy that the file says for a tenant, as it is now."""

    def __init__(self, file: Callable[[str], Compiled], defaults: Policy, count: Callable[..., None]) -> None:
        self._file = file
        self._defaults = defaults
        self._count = count
        self._pushed: dict[str, Compiled] = {}
        self._tried: dict[str, HeldPolicy] = {}
        self._refusals: dict[str, tuple[str, str]] = {}

    def of(self, tenant: str) -> Compiled:
        """Return the policy in force for a tenant."""
        return self._pushed.get(tenant) or self._pushed.get(EVERY) or self._file(tenant)

    def _version(self, tenant: str) -> str:
        return self.of(tenant).policy.version

    def apply(self, held: Held) -> None:
        """Put in force what analytics has told last."""
        for tenant in [tenant for tenant in self._tried if tenant not in held.policies]:
            self._tried.pop(tenant)
            self._refusals.pop(tenant, None)
            if self._pushed.pop(tenant, None) is not None:
                log.info("policy.withdrawn", extra={"tenant": tenant, "version": self._version(tenant)})
        for tenant, given in held.policies.items():
            if self._tried.get(tenant) != given:
                self._tried[tenant] = given
                self._try(tenant, given)

    def _try(self, tenant: str, given: HeldPolicy) -> None:
        try:
            policy = parse_policy(given.text, self._defaults)
        except ValueError as error:
            self._refusals[tenant] = (given.version, str(error)[:_REFUSAL_CHARS])
            self._count(good=False)
            told = {"tenant": tenant, "reason": str(error), "kept": self._version(tenant)}
            log.error("policy.refused", extra=told)  # noqa: TRY400 - not ours
            return
        self._pushed[tenant] = Compiled(policy)
        self._refusals.pop(tenant, None)
        self._count(good=True)
        log.info("policy.changed", extra={"tenant": tenant, "version": policy.version, "mode": policy.mode.value})

    def in_force(self) -> tuple[InForce, ...]:
        """Return what is in force and what was refused, tenant by tenant; `*` is what every other tenant has."""
        tenants = sorted({EVERY, *self._tried})
        return tuple(InForce(one, self._version(one), *self._refusals.get(one, ())) for one in tenants)
