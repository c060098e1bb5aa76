from douane.v1 import coverage_pb2 as _coverage_pb2
from douane.v1 import decision_pb2 as _decision_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PublishRequest(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[_decision_pb2.DecisionRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[_decision_pb2.DecisionRecord, _Mapping]]] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("stored", "unchanged", "rejected")
    STORED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    stored: int
    unchanged: int
    rejected: _containers.RepeatedCompositeFieldContainer[Rejected]
    def __init__(self, stored: _Optional[int] = ..., unchanged: _Optional[int] = ..., rejected: _Optional[_Iterable[_Union[Rejected, _Mapping]]] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("decision_id", "reason")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    reason: str
    def __init__(self, decision_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("sidecar", "tenant", "version")
    SIDECAR_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    sidecar: str
    tenant: str
    version: int
    def __init__(self, sidecar: _Optional[str] = ..., tenant: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("version", "full", "policy_yaml", "users", "budgets")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    POLICY_YAML_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    version: int
    full: bool
    policy_yaml: bytes
    users: _containers.RepeatedCompositeFieldContainer[UserRisk]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    def __init__(self, version: _Optional[int] = ..., full: _Optional[bool] = ..., policy_yaml: _Optional[bytes] = ..., users: _Optional[_Iterable[_Union[UserRisk, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ...) -> None: ...

class UserRisk(_message.Message):
    __slots__ = ("tenant", "user", "risk", "as_of_unix_us", "quarantined_until_unix_us", "reason")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    AS_OF_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_UNTIL_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    user: str
    risk: float
    as_of_unix_us: int
    quarantined_until_unix_us: int
    reason: str
    def __init__(self, tenant: _Optional[str] = ..., user: _Optional[str] = ..., risk: _Optional[float] = ..., as_of_unix_us: _Optional[int] = ..., quarantined_until_unix_us: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("key", "unit", "limit", "used", "resets_unix_us")
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    RESETS_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    key: str
    unit: str
    limit: int
    used: int
    resets_unix_us: int
    def __init__(self, key: _Optional[str] = ..., unit: _Optional[str] = ..., limit: _Optional[int] = ..., used: _Optional[int] = ..., resets_unix_us: _Optional[int] = ...) -> None: ...
