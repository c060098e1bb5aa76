"""Who asks: a person, a program or a sidecar, with a role, the tenant it is bound to, and what it may be used for.

In: nothing of ours. Out: Principal. Never: a password, a token; those are looked at before a Principal exists.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["viewer", "analyst", "admin"]
# Ascending: who may do what an analyst may, may read what a viewer may.
ROLES: tuple[Role, ...] = ("viewer", "analyst", "admin")

# What a principal may be used for, beside what its role allows. A token has those it was made for.
# read: look; change: everything that changes something, as far as the role goes; export: /api/export; feedback: /api/feedback;
# metrics: /metrics; access: accounts and tokens; ingest: records of sidecars; control: policy and budgets to sidecars.
SCOPES = ("read", "change", "export", "feedback", "metrics", "access", "ingest", "control")
# People, and whoever is at this machine.
PERSONAL_SCOPES = frozenset({"read", "change", "export", "feedback", "metrics", "access"})
# A token that was made for nothing in particular. Not `access`: a leaked token must not make itself a successor.
TOKEN_SCOPES = PERSONAL_SCOPES - {"access"}
SIDECAR_SCOPES = frozenset({"ingest", "control"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. tenant None: the whole installation, else that tenant's rows alone."""

    name: str
    role: Role
    tenant: str | None = None
    scopes: frozenset[str] = PERSONAL_SCOPES

    def may(self, role: Role) -> bool:
        """Return True when this role or a higher one is held."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, tenant: str) -> bool:
        """Return True when rows of the tenant may be shown."""
        return self.tenant is None or self.tenant == tenant


# Whoever reaches an embedded install on loopback: who can do that can read its database as well.
LOCAL = Principal("local", "admin")
# A sidecar on this machine, where sidecars need no token.
LOCAL_SIDECAR = Principal("local sidecar", "viewer", None, SIDECAR_SCOPES)
