"""Who asks: a person, a program or a sidecar, with a role and the tenant it is bound to.

In: nothing of ours. Out: Principal. Never: a password, a token; those are looked at before a Principal exists.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["viewer", "analyst", "admin"]
# Ascending: who may do what an analyst may, may read what a viewer may.
ROLES: tuple[Role, ...] = ("viewer", "analyst", "admin")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. tenant None: the whole installation, else that tenant's rows alone."""

    name: str
    role: Role
    tenant: str | None = None

    def may(self, role: Role) -> bool:
        """Return True when this role or a higher one is held."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, tenant: str) -> bool:
        """Return True when rows of the tenant may be shown."""
        return self.tenant is None or self.tenant == tenant


# Whoever reaches an embedded install on loopback: who can do that can read its database as well.
LOCAL = Principal("local", "admin")
