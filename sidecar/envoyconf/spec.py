"""What the builder needs to know: one frozen value.

In: nothing. Out: GatewaySpec, and the names that Envoy's configuration and the codec share.
"""

from dataclasses import dataclass

from sidecar.envoyconf.providers import PROVIDERS, Provider

# The header by which the sidecar tells Envoy's router which provider a /generate call goes to. Clients cannot set it:
# it is removed before routing and again before the request leaves.
PROVIDER_HEADER = "x-douane-provider"
INTERNAL_HEADERS = (PROVIDER_HEADER, "x-douane-decision-id")

# How Envoy tells the sidecar's own refusals from others: their response_code_details. Envoy allows no spaces there.
REFUSAL_DETAILS = "douane_refused"

# Where Envoy keeps the content-encoding that it took from an answer, and the codings the sidecar can take off (sidecar/inflate.py).
CODING_NAMESPACE, CODING_KEY = "douane", "coding"
CODINGS = ("gzip", "x-gzip", "br", "zstd")


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """One gateway.

    Units: *_ms milliseconds, *_bytes bytes, *_s seconds.
    Shape: sockets are paths of Unix sockets, one per sidecar worker.
    """

    sockets: tuple[str, ...]
    routes_file: str
    providers: tuple[Provider, ...] = PROVIDERS
    bind: str = "127.0.0.1"
    gateway_port: int = 8000
    admin_port: int = 9901
    analytics: tuple[str, int] | None = ("127.0.0.1", 8080)
    max_body_bytes: int = 16 * 1024 * 1024
    message_timeout_ms: int = 750
    fail_open: bool = False
    idle_timeout_s: int = 300
    identity_headers: tuple[str, ...] = ("x-user-id", "x-tenant-id", "x-session-id")
    ca_file: str = "/etc/ssl/certs/ca-certificates.crt"
