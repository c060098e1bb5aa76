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

# The clusters that routes and filters name.
CLUSTER_SIDECAR = "sidecar"
CLUSTER_ANALYTICS = "analytics"
CLUSTER_SDS = "sds"
CLUSTER_HOST_TLS = "host-tls"  # the host a request names, over TLS
CLUSTER_HOST_PLAIN = "host-plain"
CLUSTER_INSPECTION = "inspection"  # the internal listener where CONNECT's tunnels end; both have this name
CLUSTER_PASSED = "passed"
CLUSTER_ORIGINAL = "original"

# Where Envoy keeps the content-encoding that it took from an answer, and the codings the sidecar can take off (sidecar/inflate.py).
CODING_NAMESPACE, CODING_KEY = "douane", "coding"
CODINGS = ("gzip", "x-gzip", "br", "zstd")

# What Envoy holds for a connection whose other side reads slowly (its own default). Bodies to inspect have a limit of their own, on
# their routes; with max_body_bytes here, twenty slow readers cost 380 MB.
CONNECTION_BUFFER = 1024 * 1024

# Where CONNECT's door hands on the host that a tunnel leads to. Not under Envoy's own name for such a host: what is opened would go
# there as well, and not to the host that its Host header names.
NAMED_HOST = "douane.named_host"
# Envoy's name for the client a tunnel comes from; else all of them would come from within Envoy.
CLIENT_ADDRESS = "envoy.filters.listener.original_dst.remote_ip"


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """One gateway.

    Units: *_ms milliseconds, *_bytes bytes, *_s seconds.
    Shape: sockets are paths of Unix sockets, one per sidecar worker; folder is where Envoy watches its tables;
    providers are what the gateway offers by path, host_providers what the other doors know by host; a port of 0 is no door.
    """

    sockets: tuple[str, ...]
    folder: str
    providers: tuple[Provider, ...] = PROVIDERS
    host_providers: tuple[Provider, ...] = PROVIDERS
    bind: str = "127.0.0.1"
    gateway_port: int = 8000
    proxy_port: int = 0
    proxy_bind: str = "127.0.0.1"
    transparent_port: int = 0
    transparent_bind: tuple[str, ...] = ("127.0.0.1",)
    connect_ports: tuple[int, ...] = (443,)
    deny_unknown_hosts: bool = False
    passed_idle_s: int = 3600
    passed_log: str = (
        "/var/lib/douane/coverage/pass-through.log"  # what passes without inspection; sidecar/coverage follows it
    )
    name: str = "douane"  # in the Via header of what the proxy passes on: one that comes back has gone in a circle
    admin_port: int = 9901
    analytics: tuple[str, int] | None = ("127.0.0.1", 8080)
    max_body_bytes: int = 16 * 1024 * 1024
    message_timeout_ms: int = 750
    fail_open: bool = False
    hold_answers: bool = False  # the sidecar sees the head of every answer, and says how its body shall be shown
    idle_timeout_s: int = 300
    identity_headers: tuple[str, ...] = ("x-user-id", "x-tenant-id", "x-session-id")
    ca_file: str = "/etc/ssl/certs/ca-certificates.crt"

    @property
    def doors(self) -> tuple[str, ...]:
        """The doors beside the gateway."""
        ports = {"proxy": self.proxy_port, "transparent": self.transparent_port}
        return tuple(door for door, port in ports.items() if port)

    @property
    def tables(self) -> tuple[str, ...]:
        """The route tables: the gateway's, and of each other door one for plain HTTP and one for opened TLS."""
        return ("gateway", *(table for door in self.doors for table in (door, f"{door}-opened")))

    def table_file(self, table: str) -> str:
        """Return the file that Envoy watches for a route table."""
        return f"{self.folder}/routes-{table}.json"

    @property
    def doors_file(self) -> str:
        """The file that Envoy watches for listeners."""
        return f"{self.folder}/doors.json"

    @property
    def sds_socket(self) -> str:
        """Where certificates are asked for."""
        return f"{self.folder}/sds.sock"
