"""Envoy's messages read into events, answers written into Envoy's bytes. The oracle of the bytes is in tests/proto."""

from typing import Any

import pytest
from douane.envoy import ext_proc_pb2 as pb

from sidecar.extproc import codec
from sidecar.extproc.events import (
    NO_HEAD,
    AnswerHead,
    Phase,
    Proceed,
    Refuse,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
)
from sidecar.types import Head

AT = 17
REQUEST = {
    "request.path": "/v1/chat/completions?x=1",
    "request.method": "POST",
    "request.host": "api.test",
    "request.id": "r-1",
    "source.address": "10.0.0.7:4711",
    "xds.route_name": "gateway/openai",
    "request.headers['x-user-id']": "ada",
    "request.headers['content-type']": "application/json",
}
HEAD = Head(
    "POST",
    "/v1/chat/completions?x=1",
    "api.test",
    "r-1",
    "10.0.0.7:4711",
    {"x-user-id": "ada", "content-type": "application/json"},
)


def message(kind: str, attributes: dict[str, Any] | None = None, **fields: Any) -> pb.ProcessingRequest:
    made = pb.ProcessingRequest()
    inner = getattr(made, kind)
    inner.SetInParent()
    for name, value in fields.items():
        setattr(inner, name, value)
    if attributes is not None:
        made.attributes["envoy.filters.http.ext_proc"].update(attributes)
    return made


def test_request_body_with_attributes() -> None:
    assert codec.read(message("request_body", REQUEST, body=b"{}"), AT) == RequestBody(
        AT, b"{}", HEAD, "gateway/openai"
    )


def test_request_body_after_headers_has_no_head() -> None:
    assert codec.read(message("request_body", body=b"{}"), AT) == RequestBody(AT, b"{}", None, "")


def test_request_headers_with_attributes() -> None:
    assert codec.read(message("request_headers", REQUEST, end_of_stream=True), AT) == RequestHeaders(
        AT, HEAD, "gateway/openai", True
    )


def test_request_headers_without_attributes_are_read_from_the_map() -> None:
    """Envoy fills either value or raw_value."""
    made = message("request_headers")
    for name, field, value in (
        (":method", "value", "POST"),
        (":path", "raw_value", b"/v1/x"),
        (":authority", "raw_value", b"api.test"),
        ("x-request-id", "value", "r-1"),
        ("x-user-id", "raw_value", b"\xff"),
    ):
        made.request_headers.headers.headers.add(key=name, **{field: value})
    head = Head("POST", "/v1/x", "api.test", "r-1", "", {"x-request-id": "r-1", "x-user-id": "�"})
    assert codec.read(made, AT) == RequestHeaders(AT, head, "", False)


def test_response_headers() -> None:
    attributes = {**REQUEST, "response.code": 429.0, "response.code_details": "via_upstream"}
    assert codec.read(message("response_headers", attributes, end_of_stream=True), AT) == ResponseHeaders(
        AT, AnswerHead(429, "via_upstream"), True, HEAD, "gateway/openai"
    )


def test_response_headers_without_attributes_know_nothing() -> None:
    assert codec.read(message("response_headers"), AT) == ResponseHeaders(AT, AnswerHead(), False, NO_HEAD, "")


def test_first_response_body_carries_the_answer_s_head() -> None:
    attributes = {**REQUEST, "response.code": 413.0, "response.code_details": "request_payload_too_large"}
    assert codec.read(message("response_body", attributes, body=b"x", end_of_stream=True), AT) == ResponseBody(
        AT, b"x", True, AnswerHead(413, "request_payload_too_large"), HEAD, "gateway/openai"
    )


def test_later_response_body_is_only_bytes() -> None:
    assert codec.read(message("response_body", body=b"x"), AT) == ResponseBody(AT, b"x", False)


def test_attributes_of_another_filter_are_not_ours() -> None:
    made = message("request_body", body=b"{}")
    made.attributes["another.filter"].update(REQUEST)
    assert codec.read(made, AT) == RequestBody(AT, b"{}", None, "")


def test_missing_attributes_are_empty_not_an_error() -> None:
    assert codec.read(message("request_body", {}, body=b"{}"), AT) == RequestBody(AT, b"{}", Head(), "")


@pytest.mark.parametrize("kind", ["request_trailers", "response_trailers"])
def test_trailers_were_never_asked_for(kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        codec.read(message(kind), AT)


def test_empty_message_is_refused() -> None:
    with pytest.raises(ValueError, match="None"):
        codec.read(pb.ProcessingRequest(), AT)


@pytest.mark.parametrize("phase", list(Phase))
def test_going_on_is_the_empty_answer_of_its_phase(phase: Phase) -> None:
    expected = pb.ProcessingResponse()
    getattr(expected, phase.value).SetInParent()
    assert codec.write(Proceed(phase)) == expected.SerializeToString()
    assert pb.ProcessingResponse.FromString(codec.write(Proceed(phase))).WhichOneof("response") == phase.value


def test_refusal_is_an_immediate_response() -> None:
    written = pb.ProcessingResponse.FromString(codec.write(Refuse(403, b'{"error": {}}', "d-1")))
    overwrite = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    assert written == pb.ProcessingResponse(
        immediate_response=pb.ImmediateResponse(
            status=pb.HttpStatus(code=403),
            body=b'{"error": {}}',
            details="douane_refused",
            headers=pb.HeaderMutation(
                set_headers=[
                    pb.HeaderValueOption(header=pb.HeaderValue(key=key, raw_value=value), append_action=overwrite)
                    for key, value in (("content-type", b"application/json"), ("x-douane-decision-id", b"d-1"))
                ]
            ),
        )
    )


@pytest.mark.parametrize(
    ("wait_s", "told"),
    [
        (0, {}),
        (60, {"retry-after": b"60", "retry-after-ms": b"60000"}),
        (61, {"retry-after": b"61", "retry-after-ms": b"61000", "x-should-retry": b"false"}),
    ],
)
def test_a_refusal_that_passes_with_time_says_when(wait_s: int, told: dict[str, bytes]) -> None:
    answer = pb.ProcessingResponse.FromString(codec.write(Refuse(429, b"{}", "d-1", wait_s))).immediate_response
    headers = {option.header.key: option.header.raw_value for option in answer.headers.set_headers}
    assert {name: value for name, value in headers.items() if "retry" in name} == told


def test_rewrite_replaces_body_and_headers_and_routes_again() -> None:
    answer = Proceed(Phase.REQUEST_BODY, b"new", ((":path", "/v1/é"), ("content-length", "3")), reroute=True)
    common = pb.ProcessingResponse.FromString(codec.write(answer)).request_body.response
    assert (common.body_mutation.body, common.clear_route_cache) == (b"new", True)
    assert [(o.header.key, o.header.raw_value, o.append_action) for o in common.header_mutation.set_headers] == [
        (":path", "/v1/é".encode(), pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD),
        ("content-length", b"3", pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD),
    ]


def test_body_emptied_is_not_a_body_kept() -> None:
    common = pb.ProcessingResponse.FromString(codec.write(Proceed(Phase.RESPONSE_BODY, b""))).response_body.response
    assert common.body_mutation.WhichOneof("mutation") == "body"


def test_the_coding_that_envoy_took_from_the_headers_is_known() -> None:
    made = message("response_body", {"response.code": 200}, body=b"x")
    made.metadata_context.filter_metadata["douane"].update({"coding": "gzip"})
    event = codec.read(made, AT)
    assert isinstance(event, ResponseBody)
    assert event.answer == AnswerHead(200, "", coding="gzip")


def test_headers_can_be_taken_away() -> None:
    written = pb.ProcessingResponse.FromString(
        codec.write(Proceed(Phase.REQUEST_BODY, b"{}", without=("content-encoding",)))
    )
    assert list(written.request_body.response.header_mutation.remove_headers) == ["content-encoding"]
