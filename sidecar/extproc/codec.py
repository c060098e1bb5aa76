"""Envoy's messages to our words, and our words to Envoy's bytes.

In: ProcessingRequest. Out: events; and for an answer the bytes of a ProcessingResponse.
Answers that only say "go on" are serialized once, at import: they are most of what is sent.
Never: protobuf messages beyond this module.
Source: Envoy 1.40, external_processor.proto, and what was tried on it (the attribute names arrive as the expressions that asked).
"""

from dataclasses import replace

from douane.envoy import ext_proc_pb2 as pb
from google.protobuf.struct_pb2 import Struct

from sidecar.envoyconf.spec import CODING_KEY, CODING_NAMESPACE, REFUSAL_DETAILS
from sidecar.extproc.events import (
    NO_HEAD,
    Answer,
    AnswerHead,
    Event,
    Phase,
    Proceed,
    Refuse,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
)
from sidecar.types import Head

_NAMESPACE = "envoy.filters.http.ext_proc"
_HEADER = "request.headers['"
_PATIENCE_S = 60  # MAX_RETRY_AFTER_DELAY of openai/_constants.py


def read(request: pb.ProcessingRequest, at_us: int) -> Event:
    """Return the event in a message.

    Raises: ValueError for a message we never asked for, such as trailers.
    """
    kind = request.WhichOneof("request")
    attributes = request.attributes.get(_NAMESPACE)
    if kind == "request_body":
        head, route = _head(attributes) if attributes is not None else (None, "")
        return RequestBody(at_us, request.request_body.body, head, route)
    if kind == "response_body":
        return _response_body(request, attributes, at_us)
    if kind == "request_headers":
        head, route = _head(attributes) if attributes is not None else (_head_of(request.request_headers), "")
        return RequestHeaders(at_us, head, route, request.request_headers.end_of_stream)
    if kind == "response_headers":
        answer, head, route = _answer(attributes, request)
        answer = replace(answer, content_type=_content_type(request.response_headers))
        return ResponseHeaders(at_us, answer, request.response_headers.end_of_stream, head, route)
    raise ValueError(f"Envoy sent {kind}, which was never asked for")


def _response_body(request: pb.ProcessingRequest, attributes: Struct | None, at_us: int) -> ResponseBody:
    body = request.response_body
    if attributes is None:
        return ResponseBody(at_us, body.body, body.end_of_stream)
    answer, head, route = _answer(attributes, request)
    return ResponseBody(at_us, body.body, body.end_of_stream, answer, head, route)


def _head(attributes: Struct) -> tuple[Head, str]:
    values = {name: value.string_value for name, value in attributes.fields.items()}
    headers = {name[len(_HEADER) : -2]: text for name, text in values.items() if name.startswith(_HEADER)}
    head = Head(
        method=values.get("request.method", ""),
        path=values.get("request.path", ""),
        host=values.get("request.host", ""),
        request_id=values.get("request.id", ""),
        source_address=values.get("source.address", ""),
        headers=headers,
    )
    return head, values.get("xds.route_name", "")


def _head_of(headers: pb.HttpHeaders) -> Head:
    """Read the header map itself, for an Envoy configured without attributes. Values may stand in either field."""
    values = {h.key: h.value or h.raw_value.decode("utf-8", "replace") for h in headers.headers.headers}
    return Head(
        method=values.get(":method", ""),
        path=values.get(":path", ""),
        host=values.get(":authority", ""),
        request_id=values.get("x-request-id", ""),
        headers={name: value for name, value in values.items() if not name.startswith(":")},
    )


def _content_type(headers: pb.HttpHeaders) -> str:
    found = (h for h in headers.headers.headers if h.key == "content-type")
    return next((h.value or h.raw_value.decode("utf-8", "replace") for h in found), "")


def _answer(attributes: Struct | None, request: pb.ProcessingRequest) -> tuple[AnswerHead, Head, str]:
    if attributes is None:
        return AnswerHead(), NO_HEAD, ""
    fields = attributes.fields
    code = fields["response.code"].number_value if "response.code" in fields else 0
    details = fields["response.code_details"].string_value if "response.code_details" in fields else ""
    head, route = _head(attributes)
    ours = request.metadata_context.filter_metadata.get(CODING_NAMESPACE)
    coding = ours.fields[CODING_KEY].string_value if ours is not None and CODING_KEY in ours.fields else ""
    return AnswerHead(int(code), details, coding=coding), head, route


def write(answer: Answer) -> bytes:
    """Return the bytes of the ProcessingResponse that carries an answer out."""
    if isinstance(answer, Refuse):
        return _refusal(answer)
    if answer.collect:
        return _COLLECT
    if answer.body is None and not answer.headers:
        return _GO_ON[answer.phase]
    return _rewrite(answer)


def _refusal(answer: Refuse) -> bytes:
    headers = [("content-type", "application/json"), ("x-douane-decision-id", answer.decision_id), *_waiting(answer)]
    immediate = pb.ImmediateResponse(body=answer.body, details=REFUSAL_DETAILS, headers=_mutation(headers))
    immediate.status.code = answer.status
    return pb.ProcessingResponse(immediate_response=immediate).SerializeToString()


def _waiting(answer: Refuse) -> list[tuple[str, str]]:
    """Return what tells a client, and the SDK in it, when to try again.

    SDKs of OpenAI, Anthropic and Cohere read retry-after-ms before retry-after. OpenAI's takes a wait of more than a minute for
    none and tries again within seconds; Anthropic's sleeps for as long as it is told. x-should-retry: false has both give the
    error to the program, which can do something better.
    Source: _base_client.py of openai 3.54 and anthropic 2.13, http_client.py of cohere 7.3.
    """
    if not answer.wait_s:
        return []
    headers = [("retry-after", str(answer.wait_s)), ("retry-after-ms", str(answer.wait_s * 1000))]
    return headers if answer.wait_s <= _PATIENCE_S else [*headers, ("x-should-retry", "false")]


def _rewrite(answer: Proceed) -> bytes:
    common = pb.CommonResponse(header_mutation=_mutation(list(answer.headers)), clear_route_cache=answer.reroute)
    common.header_mutation.remove_headers.extend(answer.without)
    if answer.body is not None:
        common.body_mutation.body = answer.body
    response = pb.ProcessingResponse()
    getattr(response, answer.phase).response.CopyFrom(common)
    return response.SerializeToString()


def _mutation(headers: list[tuple[str, str]]) -> pb.HeaderMutation:
    """Headers we set overwrite whatever the client sent under that name."""
    overwrite = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    options = [
        pb.HeaderValueOption(header=pb.HeaderValue(key=key, raw_value=value.encode()), append_action=overwrite)
        for key, value in headers
    ]
    return pb.HeaderMutation(set_headers=options)


def _go_on(phase: Phase) -> bytes:
    response = pb.ProcessingResponse()
    getattr(response, phase).SetInParent()
    return response.SerializeToString()


_GO_ON = {phase: _go_on(phase) for phase in Phase}


def _collect() -> bytes:
    """The answer's head waits; its body comes whole, or Envoy answers 500 where it is larger than its buffers."""
    response = pb.ProcessingResponse()
    response.response_headers.SetInParent()
    response.mode_override.response_body_mode = pb.ProcessingMode.BUFFERED
    return response.SerializeToString()


_COLLECT = _collect()
