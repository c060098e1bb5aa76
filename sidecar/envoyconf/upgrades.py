"""What happens to a request that asks for another protocol: a WebSocket is shown to the sidecar, all others Envoy refuses.

In: the gateway's external processor and router. Out: the connection manager's upgrade configuration.
A WebSocket has a filter chain of its own: its body never ends, so nothing of it may be buffered. The sidecar answers the headers by
policy (`websocket`), and then only counts what passes.
The processor has a name of its own here: the routes' settings for ext_proc are for whole bodies.
Never: fails open. A connection that nobody looks at begins only when policy said so.
Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/http/upgrades
"""

from dataclasses import replace

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state import v3 as state
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state import v3 as set_filter_state
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm

from sidecar.envoyconf.typed import pack

UPGRADE_ATTRIBUTE = "request.headers['upgrade']"
_NAME = "douane.upgrade"


def websocket(
    processor: ext_proc.ExternalProcessor, send: list[hcm.HttpFilter]
) -> hcm.HttpConnectionManagerUpgradeConfig:
    """Return the chain of WebSockets: ask, then send."""
    header, body = ext_proc.ProcessingModeHeaderSendMode, ext_proc.ProcessingModeBodySendMode
    asked = replace(
        processor,
        processing_mode=ext_proc.ProcessingMode(
            request_header_mode=header.SEND,
            request_body_mode=body.STREAMED,
            response_header_mode=header.SEND,
            response_body_mode=body.STREAMED,
            request_trailer_mode=header.SKIP,
            response_trailer_mode=header.SKIP,
        ),
        request_attributes=[*processor.request_attributes, UPGRADE_ATTRIBUTE],
    )
    return hcm.HttpConnectionManagerUpgradeConfig(
        upgrade_type="websocket", filters=[hcm.HttpFilter(name=_NAME, typed_config=pack(asked)), _over_http1(), *send]
    )


def _over_http1() -> hcm.HttpFilter:
    """Offer the provider HTTP/1.1 alone: over HTTP/2 few servers know WebSockets (RFC 8441)."""
    protocols = state.FilterStateValue(
        object_key="envoy.network.application_protocols",
        format_string=core.SubstitutionFormatString(text_format_source=core.DataSource(inline_string="http/1.1")),
        shared_with_upstream=state.FilterStateValueSharedWithUpstream.ONCE,
    )
    return hcm.HttpFilter(
        name="envoy.filters.http.set_filter_state",
        typed_config=pack(set_filter_state.Config(on_request_headers=[protocols])),
    )
