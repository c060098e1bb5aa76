"""Which filter chain a connection takes, as a small reading of the matcher tells.

tests/envoy/test_round_the_doors.py asks a real Envoy.
"""

import re
from dataclasses import replace
from typing import Any

import pytest

from sidecar.envoyconf.chains import chosen_chain
from sidecar.envoyconf.spec import GatewaySpec

SPEC = GatewaySpec(sockets=("/tmp/w-0.sock",), folder="/run/douane", proxy_port=3128, transparent_port=15001)


def holds(predicate: dict[str, Any], inputs: dict[str, str]) -> bool:
    ((kind, value),) = predicate.items()
    if kind == "notMatcher":
        return not holds(value, inputs)
    if kind in ("andMatcher", "orMatcher"):
        return {"andMatcher": all, "orMatcher": any}[kind](holds(one, inputs) for one in value["predicate"])
    text = inputs.get(value["input"]["name"], "")
    return re.fullmatch(value["valueMatch"]["safeRegex"]["regex"], text) is not None


def chain(door: str, spec: GatewaySpec = SPEC, **inputs: str) -> str:
    tree = chosen_chain(spec, door).to_dict()
    for one in tree["matcherList"]["matchers"]:
        if holds(one["predicate"], inputs):
            return str(one["onMatch"]["action"]["name"])
    return str(tree["onNoMatch"]["action"]["name"])


@pytest.mark.parametrize("door", ["proxy", "transparent"])
def test_llm_hosts_are_opened_and_only_they(door: str) -> None:
    for name in ("api.openai.com", "API.OpenAI.com", "api.openai.com.", "x.openai.azure.com"):
        assert chain(door, server_name=name, transport="tls", port="443") == "opened"
    for name in ("bedrock-runtime.us-east-1.amazonaws.com", "europe-west4-aiplatform.googleapis.com"):
        assert chain(door, server_name=name, transport="tls", port="443") == "opened"
    for name in (
        "s3.us-east-1.amazonaws.com",
        "bedrock-runtime.s3.us-east-1.amazonaws.com",
        "storage.googleapis.com",
        "",
    ):
        assert chain(door, server_name=name, transport="tls", port="443", protocol="'h2','http/1.1'") == "passed"


def test_a_tunnel_to_an_llm_host_carries_nothing_else() -> None:
    for name in ("", "other.example"):
        assert chain("proxy", named_host="api.openai.com:443", server_name=name, transport="tls") == "closed"
    assert chain("proxy", named_host="api.openai.com.:443", transport="raw_buffer") == "closed"
    assert chain("proxy", named_host="ollama.internal:11434", transport="tls") == "closed"
    assert chain("proxy", named_host="192.0.2.1:443", server_name="api.openai.com", transport="tls") == "opened"


def test_a_tunnel_carries_tls_or_nothing() -> None:
    assert chain("proxy", named_host="files.example:443", transport="tls") == "passed"
    assert chain("proxy", named_host="files.example:443", transport="raw_buffer") == "closed"


def test_what_was_redirected_is_told_apart() -> None:
    assert chain("transparent", transport="raw_buffer", protocol="http/1.1", port="80") == "plain"
    assert chain("transparent", transport="raw_buffer", protocol="h2c", port="8000") == "plain"
    assert chain("transparent", transport="raw_buffer", port="3306") == "passed"
    assert chain("transparent", transport="raw_buffer", port="443") == "closed"
    for protocol in ("", "http/1.1"):
        assert chain("transparent", transport="raw_buffer", protocol=protocol, port="15001") == "closed"
    assert chain("transparent", transport="tls", server_name="files.example", port="15001") == "closed"
    wider = replace(SPEC, connect_ports=(443, 8443))
    assert chain("transparent", wider, transport="raw_buffer", port="8443") == "closed"


def test_unknown_hosts_are_closed_where_policy_denies_them() -> None:
    denying = replace(SPEC, deny_unknown_hosts=True)
    assert chain("proxy", denying, named_host="files.example:443", transport="tls") == "closed"
    assert chain("transparent", denying, server_name="files.example", transport="tls", port="443") == "closed"
    assert chain("transparent", denying, server_name="api.openai.com", transport="tls", port="443") == "opened"
