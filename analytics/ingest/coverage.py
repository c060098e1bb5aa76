"""From the contract's CoverageReport to frozen CoverageRows.

In: a protobuf report; the hosts in it are what strangers claimed. Out: rows that both engines can hold.
A row that can never be stored (an hour that is none, no revision) is left out and counted; a report without a source raises.
Never: protobuf messages further inward.
"""

import re
from collections.abc import Iterable

from douane.v1 import coverage_pb2 as pb

from analytics.ingest.decode import EARLIEST_UNIX_US, LATEST_UNIX_US, MAX_INTEGER, RecordError
from analytics.types import HOUR_S, CoverageRows, PassThroughRow, SightRow, Workload

MAX_ROWS = 2_000  # the contract's limit, for each kind
NAME_CHARS = 253  # a host name's longest, RFC 1035
MAX_COUNT = 2**48  # 256 TiB in an hour: what is beyond is no count, and sums of such must stay below 63 bits
_ID = re.compile(r"[0-9a-f]{32}")


def decode_coverage(report: pb.CoverageReport) -> CoverageRows:
    """Return the rows of a report; of several with one key the latest revision stands last.

    Raises: RecordError when it names no source, or has more rows than the contract allows.
    """
    if not _ID.fullmatch(report.source):
        raise RecordError("source must be 32 hex digits")
    if max(len(report.pass_through), len(report.sights)) > MAX_ROWS:
        raise RecordError(f"at most {MAX_ROWS} rows of each kind in one report")
    hosts = tuple(sorted(map(_host, filter(_sound, report.pass_through)), key=_revision))
    sights = tuple(sorted(map(_sight, filter(_sound_sight, report.sights)), key=_revision))
    rejected = len(report.pass_through) + len(report.sights) - len(hosts) - len(sights)
    return CoverageRows(report.source, _workload(report.workload), hosts, sights, rejected)


def _workload(workload: pb.Workload) -> Workload:
    namespace, pod, account, machine = texts(
        (workload.namespace, workload.pod, workload.service_account, workload.machine)
    )
    return Workload(namespace, pod, account, machine)


def texts(values: Iterable[str]) -> tuple[str, ...]:
    """Return texts as both engines hold them: no NUL, no endless ones."""
    return tuple(value.replace("\x00", "\ufffd")[:NAME_CHARS] for value in values)


def _sound(row: pb.PassThrough) -> bool:
    return _sound_hour(row.hour_unix_s, row.revision) and EARLIEST_UNIX_US <= row.last_unix_us < LATEST_UNIX_US


def _sound_sight(row: pb.Sight) -> bool:
    return _sound_hour(row.hour_unix_s, row.revision) and bool(row.kind)


def _sound_hour(hour: int, revision: int) -> bool:
    moment_us = hour * 1_000_000
    return hour % HOUR_S == 0 and EARLIEST_UNIX_US <= moment_us < LATEST_UNIX_US and 0 < revision <= MAX_INTEGER


def _host(row: pb.PassThrough) -> PassThroughRow:
    door, host, llm, client = texts((row.door, row.host, row.llm, row.last_client))
    return PassThroughRow(
        hour_unix_s=row.hour_unix_s,
        door=door,
        host=host,
        llm=llm,
        listed=row.listed,
        connections=min(row.connections, MAX_COUNT),
        failed=min(row.failed, MAX_COUNT),
        bytes_out=min(row.bytes_out, MAX_COUNT),
        bytes_in=min(row.bytes_in, MAX_COUNT),
        last_client=client,
        last_unix_us=row.last_unix_us,
        revision=row.revision,
    )


def _sight(row: pb.Sight) -> SightRow:
    door, kind = texts((row.door, row.kind))
    return SightRow(row.hour_unix_s, door, kind, min(row.count, MAX_COUNT), row.revision)


def _revision(row: PassThroughRow | SightRow) -> int:
    return row.revision
