from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CoverageReport(_message.Message):
    __slots__ = ("source", "workload", "pass_through", "sights")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    PASS_THROUGH_FIELD_NUMBER: _ClassVar[int]
    SIGHTS_FIELD_NUMBER: _ClassVar[int]
    source: str
    workload: Workload
    pass_through: _containers.RepeatedCompositeFieldContainer[PassThrough]
    sights: _containers.RepeatedCompositeFieldContainer[Sight]
    def __init__(self, source: _Optional[str] = ..., workload: _Optional[_Union[Workload, _Mapping]] = ..., pass_through: _Optional[_Iterable[_Union[PassThrough, _Mapping]]] = ..., sights: _Optional[_Iterable[_Union[Sight, _Mapping]]] = ...) -> None: ...

class Workload(_message.Message):
    __slots__ = ("pod", "namespace", "service_account", "machine")
    POD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    pod: str
    namespace: str
    service_account: str
    machine: str
    def __init__(self, pod: _Optional[str] = ..., namespace: _Optional[str] = ..., service_account: _Optional[str] = ..., machine: _Optional[str] = ...) -> None: ...

class PassThrough(_message.Message):
    __slots__ = ("hour_unix_s", "door", "host", "llm", "listed", "connections", "failed", "bytes_out", "bytes_in", "last_client", "last_unix_us", "revision")
    HOUR_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    LLM_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    LAST_CLIENT_FIELD_NUMBER: _ClassVar[int]
    LAST_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    hour_unix_s: int
    door: str
    host: str
    llm: str
    listed: bool
    connections: int
    failed: int
    bytes_out: int
    bytes_in: int
    last_client: str
    last_unix_us: int
    revision: int
    def __init__(self, hour_unix_s: _Optional[int] = ..., door: _Optional[str] = ..., host: _Optional[str] = ..., llm: _Optional[str] = ..., listed: _Optional[bool] = ..., connections: _Optional[int] = ..., failed: _Optional[int] = ..., bytes_out: _Optional[int] = ..., bytes_in: _Optional[int] = ..., last_client: _Optional[str] = ..., last_unix_us: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class Sight(_message.Message):
    __slots__ = ("hour_unix_s", "door", "kind", "count", "revision")
    HOUR_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    hour_unix_s: int
    door: str
    kind: str
    count: int
    revision: int
    def __init__(self, hour_unix_s: _Optional[int] = ..., door: _Optional[str] = ..., kind: _Optional[str] = ..., count: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class CoverageReceipt(_message.Message):
    __slots__ = ("stored", "unchanged", "rejected")
    STORED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    stored: int
    unchanged: int
    rejected: int
    def __init__(self, stored: _Optional[int] = ..., unchanged: _Optional[int] = ..., rejected: _Optional[int] = ...) -> None: ...
