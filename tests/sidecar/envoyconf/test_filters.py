"""The filter chain: what Envoy sends to the sidecar, and in which order things happen."""

from dataclasses import replace

import pytest
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc

from sidecar.envoyconf.filters import connection_manager, processing_mode, request_attributes, response_attributes
from sidecar.envoyconf.spec import GatewaySpec

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane")


def test_the_sidecar_is_asked_before_the_buffer_lets_headers_go() -> None:
    """Without the buffer behind ext_proc the API key would reach the provider before the verdict (ENVOY.md 1)."""
    names = [f.name for f in connection_manager(SPEC, "gateway").http_filters]
    # The answer's coding is kept before ext_proc sees it: filters of an answer run from the last to the first.
    assert names == [
        "envoy.filters.http.ext_proc",
        "envoy.filters.http.buffer",
        "envoy.filters.http.header_to_metadata",
        "envoy.filters.http.router",
    ]
    alone = connection_manager(replace(SPEC, sockets=()), "gateway")
    assert [f.name for f in alone.http_filters] == ["envoy.filters.http.router"]


def test_attributes_are_what_the_codec_reads() -> None:
    asked = request_attributes(replace(SPEC, identity_headers=("x-who",)))
    assert {"request.path", "request.method", "request.host", "request.id", "source.address", "xds.route_name"} < set(
        asked
    )
    assert {
        "request.headers['authorization']",
        "request.headers['content-encoding']",
        "request.headers['x-who']",
    } < set(asked)
    assert response_attributes(SPEC) == ["response.code", "response.code_details", *request_attributes(SPEC)]


@pytest.mark.parametrize("request_headers", [True, False])
@pytest.mark.parametrize("whole_response", [True, False])
def test_request_body_always_comes_whole(request_headers: bool, whole_response: bool) -> None:
    header, body = ext_proc.ProcessingModeHeaderSendMode, ext_proc.ProcessingModeBodySendMode
    sent = header.SEND if request_headers else header.SKIP
    assert processing_mode(request_headers=request_headers, whole_response=whole_response) == ext_proc.ProcessingMode(
        request_header_mode=sent,
        request_body_mode=body.BUFFERED,
        response_header_mode=sent,
        response_body_mode=body.BUFFERED if whole_response else body.STREAMED,
        request_trailer_mode=header.SKIP,
        response_trailer_mode=header.SKIP,
    )


def test_clients_cannot_send_our_internal_headers() -> None:
    (early,) = connection_manager(SPEC, "gateway").early_header_mutation_extensions
    packed = bytes(early.typed_config or b"")
    assert b"x-douane-provider" in packed
    assert b"x-douane-decision-id" in packed


def test_doors_by_host_look_names_up_and_the_proxy_hands_its_target_on() -> None:
    opened = [f.name for f in connection_manager(SPEC, "proxy-opened").http_filters]
    assert opened[-2:] == ["envoy.filters.http.dynamic_forward_proxy", "envoy.filters.http.router"]
    proxy = connection_manager(SPEC, "proxy")
    assert [f.name for f in proxy.http_filters][3] == "envoy.filters.http.set_filter_state"
    assert [config.upgrade_type for config in proxy.upgrade_configs] == ["websocket", "CONNECT"]
    for name in ("proxy", "proxy-opened", "transparent-opened"):
        manager = connection_manager(SPEC, name)
        behind = [f.name for f in manager.http_filters][3:]
        assert [f.name for f in manager.upgrade_configs[0].filters][
            2:
        ] == behind  # a WebSocket is led as any request is
