"""How connections that pass without inspection are written down: one JSON line when they reach their host, one a minute, one at
their end.

In: a file's path, the name of a door. Out: access log messages and options for Envoy's tcp_proxy filters, and for the connection
manager of plain HTTP that passes through. sidecar/coverage follows the file.
The byte counts of a line are sums since the connection began, so a lost line costs nothing that the next does not bring.
What the lines carry from clients (SNI, authority) is what clients claim; Envoy escapes it as JSON.
Source: Envoy 1.40, access log command operators; tried on it: tests/envoy/test_pass_through_log.py.
"""

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.access_loggers.file import v3 as file
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy import v3 as tcp_proxy
from envoy_data_plane.google.protobuf import Struct

from sidecar.envoyconf.spec import NAMED_HOST
from sidecar.envoyconf.typed import pack, seconds

# Filter state that a CONNECT hands to the internal listener where its bytes are carried on, beside NAMED_HOST (host:port as text):
# who asked, since connections there come from Envoy.
CLIENT_STATE = "douane.client"
# How stale the byte counts of an open tunnel may be. A line a minute and tunnel is 0.4 KB.
REFRESH_S = 60
STAT_PREFIX = "passed_"

_FIELDS = {
    "kind": "%ACCESS_LOG_TYPE%",
    "connection": "%CONNECTION_ID%",
    "stream": "%STREAM_ID%",  # a UUID of Envoy's for TCP; for HTTP the request id, which a client may choose
    "start": "%START_TIME(%s.%6f)%",
    "written": "%EMIT_TIME(%s.%6f)%",
    "duration_ms": "%DURATION%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "connect": f"%FILTER_STATE({NAMED_HOST}:PLAIN)%",
    "authority": "%REQ(:AUTHORITY)%",  # empty for TCP
    "upstream": "%UPSTREAM_HOST%",
    "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",  # on a transparent listener where the client wanted to go
    "via": f"%FILTER_STATE({CLIENT_STATE}:PLAIN)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "bytes_out": "%BYTES_RECEIVED%",
    "bytes_in": "%BYTES_SENT%",
    "flags": "%RESPONSE_FLAGS%",
}


def pass_through_log(path: str, door: str) -> list[accesslog.AccessLog]:
    """Return the access logs of a tcp_proxy that lets a door's connections pass without inspection."""
    lines = core.SubstitutionFormatString(json_format=Struct.from_dict({**_FIELDS, "door": door}))
    written = file.FileAccessLog(path=path, log_format=lines)
    return [accesslog.AccessLog(name="envoy.access_loggers.file", typed_config=pack(written))]


def passed_requests_log(path: str, door: str, route_name: str) -> list[accesslog.AccessLog]:
    """Return the access logs of a connection manager: requests that leave by a route without inspection, and no others."""
    (log,) = pass_through_log(path, door)
    expression = cel.ExpressionFilter(expression=f"xds.route_name == '{route_name}'")
    log.filter = accesslog.AccessLogFilter(
        extension_filter=accesslog.ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel", typed_config=pack(expression)
        )
    )
    return [log]


def pass_through_log_options() -> tcp_proxy.TcpProxyTcpAccessLogOptions:
    """Return when tcp_proxy writes: as soon as the host is reached, every REFRESH_S, and (always) at the end."""
    return tcp_proxy.TcpProxyTcpAccessLogOptions(
        flush_access_log_on_connected=True, access_log_flush_interval=seconds(REFRESH_S)
    )


def pass_through_stat(door: str) -> str:
    """Return the stat_prefix of such a tcp_proxy: Envoy's own count of connections is compared with the lines written."""
    return f"{STAT_PREFIX}{door}"
