"""One record per exchange, whatever became of it."""

import socket
import time

import pytest

from tests.support.calls import ATTACK, call, chat
from tests.support.installation import Installation, eventually
from tests.support.upstream import Upstream

pytestmark = pytest.mark.server


def test_an_answered_exchange_is_recorded_whole(enforcing: Installation) -> None:
    body = chat("What is the capital of France?", user="from-the-body")
    call(enforcing.gateway, body=body, authorization="Bearer sk-1", x_session_id="s-1")
    record = enforcing.settled("from-the-body")[0]
    expected = {
        "stage": "complete",
        "outcome": "answered",
        "applied": "allow",
        "would_be": "allow",
        "mode": "enforce",
        "score": 0.0,
        "level": "low",
        "failure": "unspecified",
        "tenant": "default",
        "user": "from-the-body",
        "provider": "openai",
        "model": "gpt-4o",
        "endpoint": "/v1/chat/completions",
        "protocol": "openai_chat",
        "door": "gateway",
        "http_status": 200,
        "complete": True,
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "threats": [],
    }
    assert {name: record[name] for name in expected} == expected
    assert 0 < record["verdict_us"] <= record["first_byte_us"] <= record["total_us"]
    detail = record["detail"]
    assert detail["request_coverage"] == {
        "body_bytes": len(body),
        "scanned_bytes": len(body),
        "unscanned": [],
        "complete": True,
    }
    assert detail["response_coverage"]["complete"] is True
    assert detail["key_fingerprint"]
    assert (detail["cached_tokens"], detail["reasoning_tokens"]) == (4, 3)
    assert record["finish_reason"] == "stop"
    assert detail["ruleset_version"]
    assert detail["policy_version"]


def test_a_threat_is_recorded_without_its_text(enforcing: Installation) -> None:
    call(enforcing.gateway, body=chat("Hello. " + ATTACK), x_user_id="threat")
    record = enforcing.settled("threat")[0]
    threat = record["threats"][0]
    assert (threat["surface"], threat["message_index"], threat["path"]) == ("user", 0, "/messages/0/content")
    assert threat["match_chars"] == threat["span_end"] - threat["span_start"] > 0
    assert len(threat["match_digest"]) == 32
    assert "reveal" not in str(record)


def test_an_error_of_the_provider_is_recorded(enforcing: Installation) -> None:
    reply = call(enforcing.gateway, body=chat("please-status-429"), x_user_id="provider-error")
    assert (reply.status, reply.error["message"]) == (429, "slow down")
    record = enforcing.settled("provider-error")[0]
    assert (record["outcome"], record["http_status"]) == ("upstream_error", 429)


def test_a_provider_that_hangs_up_is_recorded(enforcing: Installation) -> None:
    reply = call(enforcing.gateway, body=chat("please-die now"), x_user_id="hangs-up")
    assert (reply.status, reply.error["type"]) == (503, "douane_gateway_error")
    record = enforcing.settled("hangs-up")[0]
    assert (record["outcome"], record["http_status"]) == ("upstream_error", 503)
    assert "upstream_reset" in record["detail"]["response_flags"]


def test_a_provider_that_cuts_its_stream_is_recorded(enforcing: Installation) -> None:
    with pytest.raises(Exception, match=r"IncompleteRead|reset"):
        call(enforcing.gateway, body=chat("please-die-stream"), x_user_id="cuts")
    record = enforcing.settled("cuts")[0]
    assert (record["stage"], record["outcome"]) == ("complete", "client_aborted")
    assert record["first_byte_us"] > 0


@pytest.mark.parametrize(("word", "status"), [("please-wait", 0), ("please-hang-stream", 200)])
def test_a_client_that_leaves_is_recorded(enforcing: Installation, upstream: Upstream, word: str, status: int) -> None:
    body = chat(word)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-user-id: left-{word}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", enforcing.ports["port"]), 10) as client:
        client.sendall(head.encode() + body)
        eventually(lambda: bool(upstream.bodies(word)), 5)
        if status:
            assert b"Hel" in _read_until(client, b"Hel")
    record = enforcing.settled(f"left-{word}")[0]
    assert (record["outcome"], record["http_status"]) == ("client_aborted", status)


def _read_until(client: socket.socket, word: bytes) -> bytes:
    seen = b""
    while word not in seen:
        seen += client.recv(4096)
    return seen


def test_a_chunk_is_not_held_back(enforcing: Installation, upstream: Upstream) -> None:
    """The first chunks arrive while the provider still hangs in the middle of its stream."""
    body = chat("please-hang-stream, second")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", enforcing.ports["port"]), 10) as client:
        begun = time.monotonic()
        client.sendall(head.encode() + body)
        assert b"lo " in _read_until(client, b"lo ")
        assert time.monotonic() - begun < 5
        assert not upstream.release.is_set()


def test_an_answer_without_a_body_is_recorded(enforcing: Installation) -> None:
    call(enforcing.gateway, body=chat("please-204"), x_user_id="no-content")
    record = enforcing.settled("no-content")[0]
    assert record["stage"] == "complete"


def test_metrics_tell_of_it(enforcing: Installation) -> None:
    call(enforcing.gateway, body=chat("count me"))
    text = enforcing.metrics()
    assert 'douane_verdicts_total{action="allow",level="low",mode="enforce"}' in text
    assert "douane_spool_waiting_records" in text
    assert "douane_inspect_seconds_bucket" in text


def test_the_missions_metrics_tell_of_it(enforcing: Installation) -> None:
    import urllib.request

    call(enforcing.gateway, body=chat("count me too"), x_user_id="metrics")
    enforcing.settled("metrics")
    url = f"http://127.0.0.1:{enforcing.ports['analytics-port']}/metrics"
    text = urllib.request.urlopen(url, timeout=10).read().decode()
    labels = 'endpoint="/v1/chat/completions",model="gpt-4o",user="metrics"'
    assert f"inference_requests_total{{{labels}}} 1.0" in text
    assert f"inference_latency_seconds_count{{{labels}}} 1.0" in text
    assert 'security_threats_total{risk_level="critical",threat_type="prompt_injection"}' in text
    assert 'model_performance_score{model="gpt-4o"}' in text
