"""Who calls: user, tenant, workload, and the keyed digests that stand for what must not be stored.

In: a Head, the body's own idea of its user, the installation's key. Out: Identity.
Never: keeps an API key, or a plain hash of one (a plain hash of a short secret can be guessed).
Source: DESIGN 5.
"""

import hashlib
from dataclasses import dataclass

from sidecar.types import Head, Identity

# The headers providers take their API keys in, first found wins. Source: the providers' API references, read 2026-11.
_KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_MAX_NAME = 128


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

    def digest(self, text: str, size: int = 16) -> bytes:
        """Return the keyed BLAKE2b digest of a text, size bytes long. Lone surrogates are kept apart, not refused."""
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size, key=self.key).digest()

    def identify(self, head: Head, body_user: str = "") -> Identity:
        """Return who calls: by header, else by body, else by API key, else by address."""
        fingerprint = self._fingerprint(head)
        user, source = self._user(head, body_user, fingerprint)
        return Identity(
            user=user[:_MAX_NAME],
            user_source=source,
            tenant=head.headers.get(self.tenant_header, "")[:_MAX_NAME] or self.workload.namespace or "default",
            session=head.headers.get(self.session_header, "")[:_MAX_NAME],
            pod=self.workload.pod,
            namespace=self.workload.namespace,
            service_account=self.workload.service_account,
            source_address=head.source_address,
            key_fingerprint=fingerprint,
        )

    def _user(self, head: Head, body_user: str, fingerprint: str) -> tuple[str, str]:
        named = head.headers.get(self.user_header, "")
        if named:
            return named, "header"
        if body_user:
            return body_user, "body"
        if fingerprint:
            return f"key:{fingerprint}", "api_key"
        return f"ip:{head.source_address.rpartition(':')[0]}", "address"

    def _fingerprint(self, head: Head) -> str:
        for name in _KEY_HEADERS:
            value = head.headers.get(name)
            if value:
                return self.digest(value, 8).hex()
        return ""
