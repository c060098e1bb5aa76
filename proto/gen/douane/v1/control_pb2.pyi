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
    __slots__ = ("sidecar", "tenant", "version", "policies", "installation")
    SIDECAR_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_FIELD_NUMBER: _ClassVar[int]
    sidecar: str
    tenant: str
    version: int
    policies: _containers.RepeatedCompositeFieldContainer[PolicyState]
    installation: str
    def __init__(self, sidecar: _Optional[str] = ..., tenant: _Optional[str] = ..., version: _Optional[int] = ..., policies: _Optional[_Iterable[_Union[PolicyState, _Mapping]]] = ..., installation: _Optional[str] = ...) -> None: ...

class PolicyState(_message.Message):
    __slots__ = ("tenant", "version", "refused_version", "refusal")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REFUSED_VERSION_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    version: str
    refused_version: str
    refusal: str
    def __init__(self, tenant: _Optional[str] = ..., version: _Optional[str] = ..., refused_version: _Optional[str] = ..., refusal: _Optional[str] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("version", "full", "policies", "users", "budgets", "prices", "installation", "continued")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_FIELD_NUMBER: _ClassVar[int]
    CONTINUED_FIELD_NUMBER: _ClassVar[int]
    version: int
    full: bool
    policies: _containers.RepeatedCompositeFieldContainer[PolicyDocument]
    users: _containers.RepeatedCompositeFieldContainer[UserRisk]
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetUse]
    prices: _containers.RepeatedCompositeFieldContainer[ModelPrice]
    installation: str
    continued: bool
    def __init__(self, version: _Optional[int] = ..., full: _Optional[bool] = ..., policies: _Optional[_Iterable[_Union[PolicyDocument, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[UserRisk, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[BudgetUse, _Mapping]]] = ..., prices: _Optional[_Iterable[_Union[ModelPrice, _Mapping]]] = ..., installation: _Optional[str] = ..., continued: _Optional[bool] = ...) -> None: ...

class PolicyDocument(_message.Message):
    __slots__ = ("tenant", "version", "text")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    version: str
    text: str
    def __init__(self, tenant: _Optional[str] = ..., version: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class UserRisk(_message.Message):
    __slots__ = ("tenant", "user", "risk", "as_of_unix_us", "quarantined_until_unix_us", "reason", "half_life_s", "reset_unix_us")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    AS_OF_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_UNTIL_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HALF_LIFE_S_FIELD_NUMBER: _ClassVar[int]
    RESET_UNIX_US_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    user: str
    risk: float
    as_of_unix_us: int
    quarantined_until_unix_us: int
    reason: str
    half_life_s: float
    reset_unix_us: int
    def __init__(self, tenant: _Optional[str] = ..., user: _Optional[str] = ..., risk: _Optional[float] = ..., as_of_unix_us: _Optional[int] = ..., quarantined_until_unix_us: _Optional[int] = ..., reason: _Optional[str] = ..., half_life_s: _Optional[float] = ..., reset_unix_us: _Optional[int] = ...) -> None: ...

class BudgetUse(_message.Message):
    __slots__ = ("tenant", "budget", "key", "window_unix_s", "others", "own", "resets_unix_s", "unit")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    RESETS_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    budget: str
    key: str
    window_unix_s: int
    others: int
    own: int
    resets_unix_s: int
    unit: str
    def __init__(self, tenant: _Optional[str] = ..., budget: _Optional[str] = ..., key: _Optional[str] = ..., window_unix_s: _Optional[int] = ..., others: _Optional[int] = ..., own: _Optional[int] = ..., resets_unix_s: _Optional[int] = ..., unit: _Optional[str] = ...) -> None: ...

class ModelPrice(_message.Message):
    __slots__ = ("provider", "model", "prompt_nanousd", "completion_nanousd", "cached_nanousd")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_NANOUSD_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_NANOUSD_FIELD_NUMBER: _ClassVar[int]
    CACHED_NANOUSD_FIELD_NUMBER: _ClassVar[int]
    provider: str
    model: str
    prompt_nanousd: float
    completion_nanousd: float
    cached_nanousd: float
    def __init__(self, provider: _Optional[str] = ..., model: _Optional[str] = ..., prompt_nanousd: _Optional[float] = ..., completion_nanousd: _Optional[float] = ..., cached_nanousd: _Optional[float] = ...) -> None: ...
