"""GET /api/coverage: what went through customs and what did not, per workload."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from analytics.api.auth import Viewer, whole
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.parameters import moment
from analytics.api.usage import Days
from analytics.api.windows import WindowBody
from analytics.insight import coverage as insight
from analytics.store import coverage
from analytics.types import DoorCalls, PassedHost, WorkloadCoverage

MAX_WORKLOADS = 500
MAX_HOSTS = 200

router = APIRouter(tags=["coverage"])


class CoverageSummary(BaseModel):
    """The window as a whole."""

    calls: int = Field(description="Calls that were inspected, or should have been.", examples=[1200])
    calls_unscanned: int = Field(description="Of these, passed with bytes nobody looked at.", examples=[12])
    fail_open: int = Field(description="Of these, passed although their inspection failed.", examples=[0])
    envoy_fail_open: int = Field(description="Calls Envoy let pass without the sidecar, as it counts.", examples=[0])
    body_bytes: int = Field(description="Bytes of these calls, both ways.", examples=[2_500_000])
    scanned_bytes: int = Field(description="Bytes of them that were looked at.", examples=[2_450_000])
    pass_through_connections: int = Field(description="Connections passed without inspection.", examples=[310])
    pass_through_bytes: int = Field(examples=[91_000_000])
    llm_hosts: int = Field(description="LLM hosts reached without inspection; should be 0.", examples=[1])
    llm_connections: int = Field(description="Connections that reached them.", examples=[4])
    losses: int = Field(description="Losses of sight, all kinds; see workloads[].losses.", examples=[0])


class DoorBody(BaseModel):
    """The calls of one door, from decision records."""

    door: str = Field(examples=["gateway"])
    requests: int = Field(examples=[1200])
    answered: int = Field(examples=[1100])
    denied: int = Field(examples=[60])
    failed: int = Field(description="Inspection failed and the call was refused.", examples=[2])
    upstream_error: int = Field(examples=[38])
    client_aborted: int = Field(examples=[0])
    unknown: int = Field(description="Nobody saw how they ended.", examples=[0])
    allow_unscanned: int = Field(description="Policy let them pass unscanned.", examples=[3])
    fail_open: int = Field(description="Passed although their inspection failed.", examples=[0])
    passed_unscanned: int = Field(description="Passed with bytes nobody looked at.", examples=[12])
    body_bytes: int = Field(examples=[2_500_000])
    scanned_bytes: int = Field(examples=[2_450_000])


class HostBody(BaseModel):
    """One host that was not inspected. Its name is what clients claimed."""

    door: str = Field(examples=["proxy"])
    host: str = Field(examples=["pypi.org"])
    llm: str = Field(description="Whose LLM host it is; empty for none.", examples=[""])
    listed: bool = Field(description="True: of the provider table. False: it only looks like an LLM host.")
    reached: bool = Field(description="False when every connection failed.")
    connections: int = Field(description="Requests where plain HTTP passes through.", examples=[14])
    failed: int = Field(description="Of these, never reached the host.", examples=[0])
    bytes_out: int = Field(examples=[9_120])
    bytes_in: int = Field(examples=[1_204_300])
    last_client: str = Field(description="Address of the client seen last.", examples=["10.1.2.3"])
    last_seen: datetime


class LossBody(BaseModel):
    """One of Envoy's counters, or of the sidecar's own blindness."""

    door: str = Field(description="Empty: of no door in particular.", examples=["gateway"])
    kind: str = Field(examples=["failure_mode_allowed"])
    count: int = Field(examples=[2])
    loss: bool = Field(description="False for what losses are held against, such as streams_started.")
    meaning: str


class WorkloadBody(BaseModel):
    """One workload. Outside Kubernetes only the machine has a name."""

    namespace: str = Field(examples=["shop"])
    pod: str = Field(examples=["shop-7d9f"])
    service_account: str = Field(examples=["shop"])
    machine: str = Field(examples=["shop-7d9f"])
    last_report: datetime | None = Field(description="When its sidecar last told what it did not inspect.")
    doors: list[DoorBody]
    llm_hosts: list[HostBody] = Field(description="LLM hosts reached without inspection. Should be empty.")
    pass_through: list[HostBody] = Field(description="All hosts not inspected: LLM hosts first, then the busiest 200.")
    hosts_left_out: int = Field(description="Not listed, but in the summary.", examples=[0])
    losses: list[LossBody]


class CoverageBucket(BaseModel):
    """One bucket of time; a bucket without anything is there with zeros."""

    start: datetime
    calls: int = Field(examples=[52])
    pass_through: int = Field(examples=[14])
    llm: int = Field(description="Of the connections passed through, those to LLM hosts.", examples=[0])


class Coverage(BaseModel):
    """The answer."""

    window: WindowBody
    summary: CoverageSummary
    workloads: list[WorkloadBody] = Field(description="Those with uninspected LLM hosts first; at most 500.")
    workloads_left_out: int = Field(description="Not listed, but in the summary.", examples=[0])
    timeline: list[CoverageBucket]
    blind_spots: list[str] = Field(description="What these numbers cannot say.")


@router.get("/api/coverage", responses=responses(401, 403, 422, 503))
def read_coverage(context: Use, who: Viewer, days: Days = 7) -> Coverage:
    """Return what was inspected and what was not in the last days, and what cannot be known.

    Calls come from decision records. Hosts passed through and losses of sight come from what Envoy wrote down and counted,
    summed per hour by each sidecar and delivered about every 15 seconds.
    """
    whole(who)  # what was not inspected is kept by workload, and workloads name no tenant
    now = context.clock()
    window = coverage.last(days, now)
    with context.engine.connect() as connection:
        view = coverage.read(connection, window)
    return Coverage(
        window=WindowBody(
            start=moment(window.start_unix_s), end=moment(window.end_unix_s), days=days, bucket_s=window.grain_s
        ),
        summary=CoverageSummary.model_validate(insight.summarise(view), from_attributes=True),
        workloads=[_workload(one) for one in view.workloads[:MAX_WORKLOADS]],
        workloads_left_out=max(0, len(view.workloads) - MAX_WORKLOADS),
        timeline=[
            CoverageBucket(start=moment(start), calls=calls, pass_through=passed, llm=llm)
            for start, calls, passed, llm in view.timeline
        ],
        blind_spots=insight.blind_spots(view, now),
    )


def _workload(one: WorkloadCoverage) -> WorkloadBody:
    return WorkloadBody(
        namespace=one.workload.namespace,
        pod=one.workload.pod,
        service_account=one.workload.service_account,
        machine=one.workload.machine,
        last_report=moment(one.last_seen_unix_s) if one.last_seen_unix_s else None,
        doors=[_door(calls) for calls in one.calls],
        llm_hosts=[_host(host) for host in one.llm_hosts[:MAX_HOSTS]],
        pass_through=[_host(host) for host in one.hosts[:MAX_HOSTS]],
        hosts_left_out=max(0, len(one.hosts) - MAX_HOSTS),
        losses=[_loss(*sight) for sight in one.sights],
    )


def _door(calls: DoorCalls) -> DoorBody:
    return DoorBody.model_validate(calls, from_attributes=True)


def _host(host: PassedHost) -> HostBody:
    return HostBody(
        door=host.door,
        host=host.host,
        llm=host.llm,
        listed=host.listed,
        reached=host.reached,
        connections=host.connections,
        failed=host.failed,
        bytes_out=host.bytes_out,
        bytes_in=host.bytes_in,
        last_client=host.last_client,
        last_seen=moment(host.last_unix_us / 1e6),
    )


def _loss(door: str, kind: str, count: int) -> LossBody:
    meaning = insight.MEANINGS.get(kind, kind.replace("_", " "))
    return LossBody(door=door, kind=kind, count=count, loss=kind not in insight.SEEN, meaning=meaning)
