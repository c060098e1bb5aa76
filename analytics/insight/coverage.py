"""What a coverage view means: totals, and an honest list of what it cannot say.

In: a CoverageView. Out: Summary, sentences. Never: calls a silence clean.
"""

import ipaddress
from collections import Counter
from dataclasses import dataclass

from analytics.types import CoverageView, PassedHost, WorkloadCoverage

# Envoy's and our own counters -> what each means for whoever asks what was not seen. The kinds are those of
# sidecar/coverage/counters.py; an unknown kind (a newer sidecar's) is shown by its name.
MEANINGS = {
    "failure_mode_allowed": "calls that Envoy let pass because the sidecar did not answer (observe mode)",
    "message_timeouts": "messages that the sidecar did not answer in time",
    "streams_failed": "exchanges whose stream to the sidecar failed: refused in enforce mode, passed in observe mode",
    "spurious_msgs_received": "answers of the sidecar that Envoy did not expect; the rest of such an exchange goes unseen",
    "server_half_closed": "streams that the sidecar's side ended first: Envoy carries on without it",
    "rejected_header_mutations": "changes to headers that Envoy refused to make",
    "streams_started": "exchanges that Envoy began to show to the sidecar",
    "starts": "times Douane began",
    "clean_stops": "times Douane ended as it was told to",
    "watched_s": "seconds that Envoy was looked at",
    "pass_through_connections": "connections that Envoy itself counted on pass-through",
    "log_write_failed": "writes to a log file that failed: connections passed without a line",
    "lines_unreadable": "lines of the pass-through log, or halves of them, that could not be read",
    "log_shed": "times the pass-through log was emptied unread: the tally could not be written, and the disk would have filled",
    "records_lost": "records that a sidecar's worker could not write down: what they said is gone",
    "records_rejected": "records that were refused here for good; they are kept aside in the sidecar's spool",
    "envoy_restarts": "times Envoy ended unasked: what it counted in the last seconds before is not known",
    "unclean_stops": "times Douane itself was killed: nothing was looked at until the next start",
}
# Kinds that are no loss: what the others are held against.
SEEN = frozenset({"streams_started", "watched_s", "pass_through_connections", "starts", "clean_stops"})
# Kinds that say a call passed although it was not inspected.
FAIL_OPEN = frozenset({"failure_mode_allowed"})

# What no counter of ours can know, whatever the numbers say.
_ALWAYS = (
    "Traffic that never came to a door is not here: programs that ignore HTTPS_PROXY, QUIC (UDP 443), the addresses, ports and "
    "users that capture.sh leaves out, and workloads without a sidecar.",
    "Hosts are what clients named (SNI, CONNECT, Host). A client may name another host than it talks to, or hide the name (ECH).",
    "Of connections that passed through, who talked to whom, when and how much is known; what was said is not.",
)


@dataclass(frozen=True, slots=True)
class Summary:
    """The sums of a view. llm_hosts counts names; llm_connections what went to them uninspected."""

    calls: int
    calls_unscanned: int
    fail_open: int
    envoy_fail_open: int
    body_bytes: int
    scanned_bytes: int
    pass_through_connections: int
    pass_through_bytes: int
    llm_hosts: int
    llm_connections: int
    losses: int


def summarise(view: CoverageView) -> Summary:
    """Return the sums."""
    calls = [one for workload in view.workloads for one in workload.calls]
    hosts = [one for workload in view.workloads for one in workload.hosts]
    llm = [one for workload in view.workloads for one in workload.llm_hosts]
    sights = sights_of(view)
    return Summary(
        calls=sum(one.requests for one in calls),
        calls_unscanned=sum(one.passed_unscanned for one in calls),
        fail_open=sum(one.fail_open for one in calls),
        envoy_fail_open=sum(sights[kind] for kind in FAIL_OPEN),
        body_bytes=sum(one.body_bytes for one in calls),
        scanned_bytes=sum(one.scanned_bytes for one in calls),
        pass_through_connections=sum(one.connections for one in hosts),
        pass_through_bytes=sum(one.bytes_out + one.bytes_in for one in hosts),
        llm_hosts=len({one.host for one in llm}),
        llm_connections=sum(one.connections - one.failed for one in llm),
        losses=sum(count for kind, count in sights.items() if kind not in SEEN),
    )


def sights_of(view: CoverageView) -> Counter[str]:
    """Return Envoy's counters and our blindness by kind, all workloads together."""
    found: Counter[str] = Counter()
    for workload in view.workloads:
        for _, kind, count in workload.sights:
            found[kind] += count
    return found


def blind_spots(view: CoverageView, now_unix_s: float) -> list[str]:
    """Return what this view cannot say, most particular first; never empty."""
    return [*_unnamed(view), *_unwritten(view), *_silent(view, now_unix_s), *_ALWAYS]


def _unnamed(view: CoverageView) -> list[str]:
    hosts = [one for workload in view.workloads for one in workload.hosts if not one.llm and nameless(one)]
    count = sum(one.connections for one in hosts)
    return [f"{count} connections named no host: only their address is known."] if count else []


def nameless(host: PassedHost) -> bool:
    """True when only the address of a host is known."""
    try:
        ipaddress.ip_address(host.host)
    except ValueError:
        return host.host.startswith("_")
    return True


def _unwritten(view: CoverageView) -> list[str]:
    """Envoy's count of connections is held against the lines: more counted than written down means lost lines."""
    missing = sum(_missing(workload) for workload in view.workloads)
    return [f"Envoy counted {missing} connections on pass-through that no line tells of."] if missing else []


def _missing(workload: WorkloadCoverage) -> int:
    counted: Counter[str] = Counter()
    for door, kind, count in workload.sights:
        if kind == "pass_through_connections":
            counted[door] += count
    written: Counter[str] = Counter()
    for host in workload.hosts:
        written[host.door] += host.connections
    return sum(max(0, counted[door] - written[door]) for door in counted)


_SILENT_S = 3_600


def _silent(view: CoverageView, now_unix_s: float) -> list[str]:
    silent = [one for one in view.workloads if one.last_seen_unix_s and now_unix_s - one.last_seen_unix_s > _SILENT_S]
    mute = [one for one in view.workloads if one.last_seen_unix_s is None]
    found = [f"Not heard of for an hour or more: {_workloads(len(silent))}."] if silent else []
    return found + ([f"Calls, but never a coverage report, came from {_workloads(len(mute))}."] if mute else [])


def _workloads(count: int) -> str:
    return f"{count} workload" if count == 1 else f"{count} workloads"
