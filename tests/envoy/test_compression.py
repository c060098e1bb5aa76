"""Compressed bodies through a real Envoy: what the provider receives, what the client gets, and what the record says."""

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import codings
from tests.support.calls import ATTACK, Reply, call, chat
from tests.support.installation import Installation
from tests.support.upstream import CHAT, Upstream

pytestmark = pytest.mark.server

CODINGS = ("gzip", "br", "zstd")
# Assembled, so that scanners of this repository stay quiet.
TOKEN = "gh" + "p_" + "a8Fk2LmQ9xZt7Rw4Vb1Nc6YdE3uHj5Ks0PoG"


@pytest.fixture(scope="module")
def pseudonymising(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Installation]:
    folder = Path(tmp_path_factory.mktemp("d")) / "data"
    policy = "leaks: {secret_leak: pseudonymise}\n"
    installation = Installation(folder, policy=policy, DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    yield installation
    assert installation.stop() == 0


def packed(installation: Installation, data: bytes, coding: str, **more: Any) -> Reply:
    return call(installation.gateway, body=data, content_encoding=coding, **more)


def said(reply: Reply) -> str:
    """Return the text of an answer, streamed or not."""
    if not reply.body.startswith(b"data:"):
        text: str = reply.json["choices"][0]["message"]["content"]
        return text
    events = [json.loads(line[6:]) for line in reply.body.split(b"\n") if line.startswith(b"data: {")]
    return "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])


# ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("coding", CODINGS)
def test_the_provider_receives_the_plain_body(
    enforcing: Installation, upstream: Upstream, coding: str, framing: str
) -> None:
    body = chat(f"packed {coding} {framing}")
    user = f"packed-{coding}-{framing}"
    reply = packed(enforcing, codings.WHOLE[coding](body), coding, chunked=framing == "chunked", x_user_id=user)
    assert (reply.status, reply.json) == (200, CHAT)
    (received,) = (r for r in upstream.received if r.body == body)
    assert received.headers["content-length"] == str(len(body))
    assert "content-encoding" not in received.headers
    assert "transfer-encoding" not in received.headers
    (record,) = enforcing.settled(user)
    assert (record["applied"], record["outcome"], record["complete"]) == ("allow", "answered", True)
    assert record["detail"]["request_coverage"]["scanned_bytes"] == len(body)


def test_over_http2_too(enforcing: Installation, upstream: Upstream, tmp_path: Path) -> None:
    body = chat("packed over h2")
    (tmp_path / "body").write_bytes(codings.WHOLE["gzip"](body))
    answered = subprocess.run(
        [
            *("curl", "-s", "--http2-prior-knowledge", f"{enforcing.gateway}/v1/chat/completions"),
            *("--data-binary", f"@{tmp_path / 'body'}"),
            *("-H", "content-type: application/json", "-H", "content-encoding: gzip"),
        ],
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert json.loads(answered.stdout) == CHAT
    assert upstream.bodies("packed over h2") == [body]


@pytest.mark.parametrize("coding", CODINGS)
def test_an_attack_does_not_hide_in_it_and_no_byte_leaves(
    enforcing: Installation, upstream: Upstream, coding: str
) -> None:
    before = len(upstream.received)
    assert packed(enforcing, codings.WHOLE[coding](chat(ATTACK)), coding).status == 403
    assert len(upstream.received) == before


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_refused_and_recorded(enforcing: Installation, upstream: Upstream, coding: str) -> None:
    before, user = len(upstream.received), f"bomb-{coding}"
    reply = packed(enforcing, codings.WHOLE[coding](bytes(10_000_000)), coding, x_user_id=user)
    assert (reply.status, reply.error["code"]) == (413, "douane_too_large")
    (record,) = enforcing.settled(user)
    assert (record["outcome"], record["failure"], record["http_status"]) == ("failed", "too_large", 413)
    assert len(upstream.received) == before


def test_a_bomb_that_drips_is_refused_when_it_is_whole(enforcing: Installation) -> None:
    bomb = codings.WHOLE["br"](bytes(10_000_000))
    connection = http.client.HTTPConnection("127.0.0.1", enforcing.ports["port"], timeout=10)
    pieces = (bytes([byte]) for byte in bomb)
    headers = {"content-type": "application/json", "content-encoding": "br", "transfer-encoding": "chunked"}
    connection.request("POST", "/v1/chat/completions", pieces, headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_bomb_takes_no_memory_of_envoy_or_worker(enforcing: Installation) -> None:
    """A gigabyte in each of eight bodies; both processes stay far below one."""
    bombs = [(coding, codings.WHOLE[coding](bytes(1_000_000_000))) for coding in ("zstd", "br")]
    for coding, bomb in bombs * 4:
        assert packed(enforcing, bomb, coding).status == 413
    for name, pid in enforcing.children().items():
        if name == "envoy" or name.startswith("worker"):
            status = Path(f"/proc/{pid}/status").read_text()
            peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
            assert peak_kb < 500_000, name


def test_a_bomb_in_a_bomb_is_no_text_but_one_coding_is_taken_off_only(enforcing: Installation) -> None:
    inner = codings.WHOLE["gzip"](bytes(50_000_000))
    reply = packed(enforcing, codings.WHOLE["gzip"](inner), "gzip", x_user_id="nested")
    assert (reply.status, reply.error["code"]) == (400, "douane_malformed_body")
    assert packed(enforcing, codings.WHOLE["gzip"](inner), "gzip, gzip").status == 415


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("damage", ["corrupt", "truncated", "behind", "lie"])
def test_a_broken_body_is_refused_and_recorded(
    enforcing: Installation, upstream: Upstream, coding: str, damage: str
) -> None:
    """Of a text body too, of which a part could be read."""
    before, user = len(upstream.received), f"broken-{coding}-{damage}"
    whole = codings.WHOLE[coding](b"ordinary text, " * 50)
    data = {
        "corrupt": bytes([whole[0] ^ 0xFF]) + whole[1:],
        "truncated": whole[:-2],
        "behind": whole + b"more",
        "lie": b"plain all the same",
    }[damage]
    reply = packed(enforcing, data, coding, content_type="text/plain", x_user_id=user)
    assert (reply.status, reply.error["code"]) == (400, "douane_malformed_body")
    (record,) = enforcing.settled(user)
    assert (record["outcome"], record["failure"], record["complete"]) == ("failed", "malformed_body", False)
    assert len(upstream.received) == before


def test_two_header_lines_are_two_codings(enforcing: Installation) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", enforcing.ports["port"], timeout=10)
    body = codings.WHOLE["gzip"](codings.WHOLE["br"](chat("two lines")))
    connection.putrequest("POST", "/v1/chat/completions")
    for name, value in (("content-type", "application/json"), ("content-length", str(len(body)))):
        connection.putheader(name, value)
    connection.putheader("content-encoding", "br")
    connection.putheader("content-encoding", "gzip")
    connection.endheaders(body)
    assert connection.getresponse().status == 415
    connection.close()


def test_observe_mode_sends_a_broken_body_on_as_it_came(observing: Installation, upstream: Upstream) -> None:
    data = codings.WHOLE["gzip"](chat("seen only"))[:-3]
    assert packed(observing, data, "gzip", x_user_id="observed-cut").status == 200
    assert upstream.received[-1].body == data
    assert upstream.received[-1].headers["content-encoding"] == "gzip"
    (record,) = observing.settled("observed-cut")
    assert (record["applied"], record["would_be"]) == ("allow_unscanned", "deny")


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chunked", [False, True], ids=["swift", "careful"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("coding", CODINGS)
def test_an_answer_that_comes_compressed_goes_on_plain(
    enforcing: Installation, coding: str, stream: bool, chunked: bool
) -> None:
    user = f"answer-{coding}-{stream}-{chunked}"
    body = chat(f"please-{coding}", stream=stream)
    reply = call(enforcing.gateway, body=body, chunked=chunked, x_user_id=user)
    assert said(reply) == "Hello — you."
    assert "content-encoding" not in reply.headers
    (record,) = enforcing.settled(user)
    assert (record["outcome"], record["total_tokens"], record["complete"]) == ("answered", 18, True)


def test_a_compressed_stream_stays_a_live_stream(enforcing: Installation, upstream: Upstream) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", enforcing.ports["port"], timeout=10)
    body = chat("please-hang-stream please-gzip", stream=True)
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    first = b"".join(answer.readline() for _ in range(3))
    assert first.count(b"data: {") == 2  # the provider has not sent the rest, and will not before it is released
    upstream.release.set()
    connection.close()
    upstream.release.clear()


@pytest.mark.parametrize("request_coding", ["", *CODINGS])
@pytest.mark.parametrize("answer_coding", ["", *CODINGS])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_pseudonyms_work_in_every_coding(
    pseudonymising: Installation, upstream: Upstream, request_coding: str, answer_coding: str, stream: bool
) -> None:
    text = f"please-echo {request_coding}-{answer_coding}-{stream}, please-{answer_coding} {TOKEN}"
    body = chat(text, stream=stream)
    if request_coding:
        reply = packed(pseudonymising, codings.WHOLE[request_coding](body), request_coding)
    else:
        reply = call(pseudonymising.gateway, body=body)
    assert said(reply) == text
    assert "content-encoding" not in reply.headers
    (seen,) = upstream.bodies(f"please-echo {request_coding}-{answer_coding}-{stream},")
    assert TOKEN.encode() not in seen


def test_generate_takes_and_gives_compressed_bodies(enforcing: Installation) -> None:
    body = chat("please-echo please-gzip").replace(b'"model": "gpt-4o"', b'"model_name": "gpt4"')
    reply = call(enforcing.gateway, "/generate", codings.WHOLE["gzip"](body), content_encoding="gzip")
    assert reply.json["result"] == "please-echo please-gzip"


def test_an_answer_in_another_coding_goes_on_as_it_is_and_counts_as_unscanned(enforcing: Installation) -> None:
    reply = call(enforcing.gateway, body=chat("please-deflate"), x_user_id="deflated")
    assert reply.headers["content-encoding"] == "deflate"
    (record,) = enforcing.settled("deflated")
    assert (record["outcome"], record["complete"]) == ("answered", False)


def test_an_answer_that_breaks_off_is_an_error_to_its_client(enforcing: Installation) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        call(enforcing.gateway, body=chat("please-gzip please-cut"), x_user_id="cut")
    (record,) = enforcing.settled("cut")
    assert record["outcome"] == "upstream_error"
    assert "answer: the gzip body is cut short" in record["detail"]["reasons"]
