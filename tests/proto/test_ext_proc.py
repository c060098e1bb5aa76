"""Our few messages of Envoy's protocol are Envoy's: the same bytes as envoy-data-plane writes and reads (the oracle)."""

from collections.abc import Iterator
from typing import Any

import pytest
from douane.envoy import ext_proc_pb2 as pb
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as filter_v3
from envoy_data_plane.envoy.service.ext_proc import v3 as oracle
from envoy_data_plane.envoy.type import v3 as type_v3
from envoy_data_plane.google.protobuf import Struct, Value
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

# Envoy keeps some of them in other packages; the wire does not tell.
ELSEWHERE: dict[str, Any] = {
    "Metadata": core.Metadata,
    "HeaderMap": core.HeaderMap,
    "HeaderValue": core.HeaderValue,
    "HeaderValueOption": core.HeaderValueOption,
    "HttpStatus": type_v3.HttpStatus,
    "ProcessingMode": filter_v3.ProcessingMode,
}
MESSAGES = pb.DESCRIPTOR.message_types_by_name
FIELDS = [(message, field) for message in MESSAGES.values() for field in message.fields]
NAMES = [f"{message.name}.{field.name}" for message, field in FIELDS]


def theirs(descriptor: Descriptor) -> Any:
    return ELSEWHERE.get(descriptor.name) or getattr(oracle, descriptor.name)


def sample(field: FieldDescriptor) -> Any:
    """Return a value for a field that is not its default. 403 stands for every number: HttpStatus is an enum there."""
    kinds = {
        FieldDescriptor.CPPTYPE_STRING: "é" if field.type == FieldDescriptor.TYPE_STRING else b"\x00\xff",
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_INT32: 403,
        FieldDescriptor.CPPTYPE_ENUM: 1,
    }
    return kinds[field.cpp_type]


def set_one(message: Message, field: FieldDescriptor) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name)["envoy.filters.http.ext_proc"].fields["request.path"].string_value = "/v1"
    elif field.message_type is not None:
        inner = getattr(message, field.name)
        (inner.add() if field.is_repeated else inner).SetInParent()
    elif field.is_repeated:
        getattr(message, field.name).append(sample(field))
    else:
        setattr(message, field.name, sample(field))


@pytest.mark.parametrize(("descriptor", "field"), FIELDS, ids=NAMES)
def test_field_has_envoys_bytes_in_both_directions(descriptor: Descriptor, field: FieldDescriptor) -> None:
    ours = getattr(pb, descriptor.name)()
    set_one(ours, field)
    data = ours.SerializeToString()
    assert data
    read = theirs(descriptor).parse(data)
    assert not getattr(read, "_unknown_fields", b"")
    assert getattr(read, field.name) not in (None, [], {}, "", b"", 0)
    assert bytes(read) == data
    assert getattr(pb, descriptor.name).FromString(bytes(read)) == ours


def test_enums_have_envoys_numbers() -> None:
    statuses = {item.name: item.value for item in oracle.CommonResponseResponseStatus}
    actions = {item.name: item.value for item in core.HeaderValueOptionHeaderAppendAction}
    assert dict(pb.CommonResponse.ResponseStatus.items()) == statuses
    assert dict(pb.HeaderValueOption.HeaderAppendAction.items()).items() <= actions.items()


def test_service_has_envoys_name() -> None:
    service = pb.DESCRIPTOR.services_by_name["ExternalProcessor"]
    assert service.full_name == "envoy.service.ext_proc.v3.ExternalProcessor"
    method = service.methods_by_name["Process"]
    assert (method.client_streaming, method.server_streaming) == (True, True)


def requests() -> Iterator[tuple[Any, pb.ProcessingRequest]]:
    """Yield pairs of what Envoy sends, in its words and in ours."""
    struct = Struct(fields={"request.path": Value(string_value="/v1/x"), "response.code": Value(number_value=200.0)})
    for kind in ("request_body", "response_body"):
        mine = pb.ProcessingRequest()
        getattr(mine, kind).body = b'{"a": 1}'
        getattr(mine, kind).end_of_stream = True
        mine.attributes["envoy.filters.http.ext_proc"].update({"request.path": "/v1/x", "response.code": 200.0})
        body = oracle.HttpBody(body=b'{"a": 1}', end_of_stream=True)
        yield oracle.ProcessingRequest(**{kind: body}, attributes={"envoy.filters.http.ext_proc": struct}), mine
    for kind in ("request_headers", "response_headers"):
        mine = pb.ProcessingRequest()
        getattr(mine, kind).headers.headers.add(key=":path", raw_value=b"/v1/x")
        getattr(mine, kind).headers.headers.add(key="a", value="b")
        values = [core.HeaderValue(key=":path", raw_value=b"/v1/x"), core.HeaderValue(key="a", value="b")]
        yield oracle.ProcessingRequest(**{kind: oracle.HttpHeaders(headers=core.HeaderMap(headers=values))}), mine


@pytest.mark.parametrize(("envoys", "ours"), list(requests()))
def test_request_reads_the_same(envoys: Any, ours: pb.ProcessingRequest) -> None:
    assert pb.ProcessingRequest.FromString(bytes(envoys)) == ours
    assert oracle.ProcessingRequest.parse(ours.SerializeToString()) == envoys


def test_what_envoy_sends_beyond_our_fields_is_kept_and_harmless() -> None:
    """observability_mode and protocol_config are not declared here; they must not break the reading."""
    envoys = oracle.ProcessingRequest(
        request_body=oracle.HttpBody(body=b"{}", end_of_stream=True),
        metadata_context=core.Metadata(),
        protocol_config=oracle.ProtocolConfiguration(),
    )
    assert pb.ProcessingRequest.FromString(bytes(envoys)).request_body.body == b"{}"
