import json
from dataclasses import replace
from typing import Any

import pytest

from sidecar.coverage.lines import Passage, is_whole, read_line

LINE: dict[str, Any] = {
    "authority": None,
    "bytes_in": 3034,
    "bytes_out": 1517,
    "client": "127.0.0.1:43742",
    "connect": None,
    "connection": 1,
    "destination": "127.0.0.1:39523",
    "door": "proxy",
    "duration_ms": 4026,
    "flags": "-",
    "kind": "TcpConnectionEnd",
    "sni": "api.openai.com",
    "start": "1795591937.924542",
    "stream": "c6a723d2-67bd-4e95-b8d6-85d6edecf26e",
    "upstream": "162.159.140.245:443",
    "written": "1795591941.950582",
}
PASSAGE = Passage(
    key="1/1795591937.924542/c6a723d2-67bd-4e95-b8d6-85d6edecf26e",
    door="proxy",
    host="api.openai.com",
    port=443,
    named=True,
    client="127.0.0.1",
    started_us=1_795_591_937_924_542,
    written_us=1_795_591_941_950_582,
    bytes_out=1517,
    bytes_in=3034,
    ended=True,
    reached=True,
)


def line(**fields: Any) -> bytes:
    return json.dumps({**LINE, **fields}).encode()


def read(**fields: Any) -> Passage:
    found = read_line(line(**fields))
    assert found is not None
    return found


def test_a_line_as_envoy_writes_it() -> None:
    assert read() == PASSAGE


@pytest.mark.parametrize(
    ("fields", "host", "port", "named"),
    [
        ({"sni": "API.OpenAI.com."}, "api.openai.com", 443, True),
        ({"sni": None, "connect": "example.org:8443"}, "example.org", 8443, True),
        ({"sni": "in.sni", "connect": "other.example:8443"}, "in.sni", 8443, True),
        ({"sni": None, "authority": "ollama:11434"}, "ollama", 11434, True),
        ({"sni": None}, "162.159.140.245", 443, False),
        ({"sni": None, "upstream": "[2001:db8::1]:443"}, "2001:db8::1", 443, False),
        ({"sni": None, "connect": "[2001:db8::2]:443"}, "2001:db8::2", 443, True),
        ({"sni": None, "upstream": None}, "127.0.0.1", 39523, False),
        ({"sni": None, "upstream": "envoy://internal/x", "destination": "envoy://internal/"}, "_unknown", 0, False),
        ({"sni": "-", "connect": "-", "upstream": "-", "destination": "-"}, "_unknown", 0, False),
    ],
)
def test_the_host_is_what_the_client_named_else_an_address(
    fields: dict[str, Any], host: str, port: int, named: bool
) -> None:
    found = read(**fields)
    assert (found.host, found.port, found.named) == (host, port, named)


def test_all_names_that_a_client_gave_are_kept() -> None:
    found = read(sni="pypi.org", connect="api.openai.com:443")
    assert (found.host, found.also) == ("pypi.org", (("api.openai.com", 443),))
    assert read(sni="pypi.org", connect="pypi.org:443").also == ()


def test_a_client_behind_connect_is_told_by_what_was_handed_over() -> None:
    assert read(client="envoy://internal_client_address/", via="10.0.0.7:5000").client == "10.0.0.7"
    assert read(client="envoy://internal_client_address/").client == ""


@pytest.mark.parametrize("kind", ["TcpUpstreamConnected", "TcpPeriodic", "DownstreamStart"])
def test_a_connection_is_open_until_its_last_line(kind: str) -> None:
    assert read(kind=kind) == replace(PASSAGE, ended=False)


@pytest.mark.parametrize("flags", ["UF", "UF,URX", "UH", "NR", "DF"])
def test_a_host_that_was_never_reached_is_told_by_flags_and_bytes(flags: str) -> None:
    assert not read(flags=flags, bytes_in=0).reached
    assert read(flags=flags, bytes_in=1).reached
    answered_by_envoy = read(flags=flags, bytes_in=279, kind="DownstreamEnd", authority="x.example")
    assert (answered_by_envoy.reached, answered_by_envoy.bytes_in) == (False, 0)


def test_names_of_strangers_are_made_harmless() -> None:
    found = read(sni="<script>\x1b[31m" + "a" * 400)
    assert found.host == ("?script???31m" + "a" * 400)[:253]


@pytest.mark.parametrize("cut", range(1, len(line())))
def test_half_a_line_before_a_whole_one_costs_the_half_only(cut: int) -> None:
    joined = line()[:cut] + line()
    assert read_line(joined) == PASSAGE
    assert not is_whole(joined)


@pytest.mark.parametrize("cut", range(0, len(line()), 7))
def test_half_a_line_alone_is_unreadable(cut: int) -> None:
    assert read_line(line()[:cut]) is None


def test_braces_in_a_name_do_not_make_a_line_two() -> None:
    odd = line(sni="a{b")
    assert is_whole(odd)
    assert read_line(odd) == replace(PASSAGE, host="a?b")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b'{"connection": "x"}',
        b"{" * 1000,
        line(start="soon"),
        line(bytes_in=None),
        line(start="1.x"),
    ],
)
def test_what_is_no_line_is_none(data: bytes) -> None:
    assert read_line(data) is None


def test_numbers_beyond_sense_are_bounded() -> None:
    assert read(bytes_out=2**63 - 1).bytes_out == 2**62
    assert read(bytes_in=-5).bytes_in == 0
