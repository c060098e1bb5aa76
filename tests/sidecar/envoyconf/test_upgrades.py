"""The chain of WebSockets. That frames flow is in tests/envoy/test_websocket.py."""

from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc

from sidecar.envoyconf.filters import EXT_PROC, connection_manager, request_attributes
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.upgrades import UPGRADE_ATTRIBUTE

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane")


def test_the_sidecar_is_asked_and_nothing_is_buffered() -> None:
    manager = connection_manager(SPEC, "gateway")
    (upgrade,) = manager.upgrade_configs
    assert upgrade.upgrade_type == "websocket"
    asked, _, send = upgrade.filters
    assert asked.name != EXT_PROC  # the routes' settings for whole bodies must not reach it
    assert send.name == "envoy.filters.http.router"
    processor = asked.typed_config.unpack()  # type: ignore[union-attr]
    assert isinstance(processor, ext_proc.ExternalProcessor)
    assert not processor.failure_mode_allow
    assert processor.request_attributes == [*request_attributes(SPEC), UPGRADE_ATTRIBUTE]
    header, body = ext_proc.ProcessingModeHeaderSendMode, ext_proc.ProcessingModeBodySendMode
    mode = processor.processing_mode
    assert mode is not None
    assert (mode.request_header_mode, mode.response_header_mode) == (header.SEND, header.SEND)
    assert (mode.request_body_mode, mode.response_body_mode) == (body.STREAMED, body.STREAMED)


def test_a_websocket_over_http2_is_one_too() -> None:
    options = connection_manager(SPEC, "gateway").http2_protocol_options
    assert options is not None
    assert options.allow_connect
