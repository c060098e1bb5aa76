"""Who calls: user, team, tenant, workload, and the keyed digests that stand for what must not be stored.

In: a Head, the body's own idea of its user, the installation's key. Out: Identity.
Never: keeps an API key, or a plain hash of one (a plain hash of a short secret can be guessed).
Source: DESIGN 5.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from sidecar.types import Head, Identity

# The headers providers take their API keys in, first found wins. Source: the providers' API references, read 2026-11.
_KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_MAX_NAME = 128


class HeaderNames(Protocol):
    """Headers that a policy reads names from; an empty one is the Identifier's own."""

    @property
    def user(self) -> str: ...
    @property
    def team(self) -> str: ...
    @property
    def session(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Workload:
    """Where this sidecar runs, as its environment says."""

    pod: str = ""
    namespace: str = ""
    service_account: str = ""


@dataclass(frozen=True, slots=True)
class Identifier:
    """Says who calls. key is this installation's secret of 16 to 64 bytes."""

    key: bytes
    user_header: str = "x-user-id"
    tenant_header: str = "x-tenant-id"
    session_header: str = "x-session-id"
    workload: Workload = Workload()
    team_header: str = "x-team-id"

    def digest(self, text: str, size: int = 16) -> bytes:
        """Return the keyed BLAKE2b digest of a text, size bytes long. Lone surrogates are kept apart, not refused."""
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size, key=self.key).digest()

    def tenant(self, head: Head) -> str:
        """Return whose policy holds. Its header is the installation's own: it is read before any policy is known."""
        return head.headers.get(self.tenant_header, "")[:_MAX_NAME] or self.workload.namespace or "default"

    def identify(self, head: Head, body_user: str = "", named: HeaderNames | None = None) -> Identity:
        """Return who calls: by header, else by body, else by API key, else by address. named are a policy's own headers."""
        fingerprint = self._fingerprint(head)
        user_header, team_header, session_header = self._headers(named)
        user, source = self._user(head.headers.get(user_header, ""), body_user, fingerprint, head.source_address)
        return Identity(
            user=user[:_MAX_NAME],
            user_source=source,
            tenant=self.tenant(head),
            session=head.headers.get(session_header, "")[:_MAX_NAME],
            pod=self.workload.pod,
            namespace=self.workload.namespace,
            service_account=self.workload.service_account,
            source_address=head.source_address,
            key_fingerprint=fingerprint,
            team=head.headers.get(team_header, "")[:_MAX_NAME],
        )

    def _headers(self, named: HeaderNames | None) -> tuple[str, str, str]:
        if named is None:
            return self.user_header, self.team_header, self.session_header
        return (
            named.user or self.user_header,
            named.team or self.team_header,
            named.session or self.session_header,
        )

    @staticmethod
    def _user(named: str, body_user: str, fingerprint: str, address: str) -> tuple[str, str]:
        if named:
            return named, "header"
        if body_user:
            return body_user, "body"
        if fingerprint:
            return f"key:{fingerprint}", "api_key"
        return f"ip:{address.rpartition(':')[0]}", "address"

    def _fingerprint(self, head: Head) -> str:
        for name in _KEY_HEADERS:
            value = head.headers.get(name)
            if value:
                return self.digest(value, 8).hex()
        return ""
