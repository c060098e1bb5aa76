"""What the messages say; tests/envoy/test_pass_through_log.py has a real Envoy write the lines."""

from datetime import timedelta

from envoy_data_plane.envoy.extensions.access_loggers.file import v3 as file
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel

from sidecar.coverage.lines import read_line
from sidecar.envoyconf.passthrough_log import (
    pass_through_log,
    pass_through_log_options,
    pass_through_stat,
    passed_requests_log,
)
from sidecar.envoyconf.spec import NAMED_HOST


def unpacked(path: str, door: str) -> file.FileAccessLog:
    (built,) = pass_through_log(path, door)
    written = built.typed_config.unpack()
    assert isinstance(written, file.FileAccessLog)
    return written


def test_every_line_says_door_host_bytes_and_client() -> None:
    written = unpacked("/data/pass-through.log", "transparent")
    fields = written.log_format.json_format.to_dict()
    assert written.path == "/data/pass-through.log"
    assert fields["door"] == "transparent"
    assert fields["connect"] == f"%FILTER_STATE({NAMED_HOST}:PLAIN)%"
    assert {"sni", "authority", "bytes_out", "bytes_in", "duration_ms", "flags", "client", "start"} < set(fields)


def test_requests_are_written_down_for_one_route_only() -> None:
    (built,) = passed_requests_log("/x", "proxy", "proxy/passed")
    expression = built.filter.extension_filter.typed_config.unpack()
    assert expression == cel.ExpressionFilter(expression="xds.route_name == 'proxy/passed'")


def test_a_tunnel_is_written_down_before_it_ends() -> None:
    options = pass_through_log_options()
    assert options.flush_access_log_on_connected
    assert options.access_log_flush_interval == timedelta(seconds=60)


def test_the_reader_needs_what_the_writer_writes() -> None:
    fields = unpacked("/x", "proxy").log_format.json_format.to_dict()
    needed = {"connection", "start", "written", "door", "bytes_out", "bytes_in", "stream", "kind", "sni", "connect"}
    assert needed | {"authority", "upstream", "destination", "client", "flags"} <= set(fields)
    assert read_line(b"{}") is None


def test_each_door_has_a_count_of_envoys_own() -> None:
    assert pass_through_stat("proxy") == "passed_proxy"
