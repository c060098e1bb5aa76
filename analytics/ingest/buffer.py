"""Taking batches into Redis: the sidecar is answered when Redis has them, and the workers write them later.

In: batches of protobuf records. Out: how many were taken, and which can never be stored: they are decoded before, so that
the sidecar is told at once. In the answer `stored` means taken in charge.
What the answer promises is what Redis promises: with `appendfsync always` a batch survives whatever its disk survives;
with `everysec` (Redis's default) a power cut may cost the batches of the last second or two; a Redis that forgets in
a restart, or may evict, is refused unless the operator allows it (DOUANE_ANALYTICS_REDIS_VOLATILE).
Never: an answer before Redis's; a batch taken beyond the stream's limit.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from threading import Lock

from douane.v1 import control_pb2 as pb

from analytics.ingest.stream import RecordStream, shard_of
from analytics.ingest.writing import Decoded, decoded
from analytics.redis_client import Link, keeping
from analytics.telemetry import Metrics

# A Redis that was replaced by a careless one must not go unnoticed for long; asking costs it next to nothing.
CHECK_EVERY_S = 60.0
_LOG = logging.getLogger("analytics.ingest")


class NotKept(Exception):  # noqa: N818 - named for what it is, STYLE 6
    """Redis would not keep what it is given; the text says why and what to do."""


class Safeguard:
    """Whether Redis keeps what it takes. clock is monotonic seconds."""

    def __init__(self, link: Link, clock: Callable[[], float], *, allow_volatile: bool) -> None:
        self._link = link
        self._clock = clock
        self._allow = allow_volatile
        self._lock = Lock()
        self._checked: float | None = None

    def check(self) -> None:
        """Ask Redis, unless it was asked a short while ago. Raises: NotKept; RedisError."""
        with self._lock:
            if self._checked is not None and self._clock() - self._checked < CHECK_EVERY_S:
                return
            kept = keeping(self._link.client())
            if kept.trouble and not self._allow:
                self._checked = None
                raise NotKept(f"Redis cannot be trusted with records: {kept.trouble}")
            if self._checked is None:
                fields = {"fsync": kept.fsync or "unknown", "trouble": kept.trouble}
                _LOG.log(logging.WARNING if kept.trouble else logging.INFO, "buffer.keeping", extra=fields)
            self._checked = self._clock()


class Buffer:
    """Puts batches into the stream; for any thread."""

    def __init__(self, stream: RecordStream, safeguard: Safeguard, metrics: Metrics) -> None:
        self._stream = stream
        self._safeguard = safeguard
        self._metrics = metrics

    def publish(self, request: pb.PublishRequest) -> pb.PublishResponse:
        """Take one batch and return the answer to it. Raises: StreamFull, NotKept, RedisError; it is sent again then."""
        self._safeguard.check()
        batch = decoded(request)
        for shard, part in _by_shard(batch).items():
            self._stream.append(shard, part.SerializeToString())
        if batch.rejected:
            fields = {"records": len(batch.rejected), "reason": batch.rejected[0].reason}
            _LOG.warning("ingest.rejected", extra=fields)
        self._metrics.records.labels("rejected").inc(len(batch.rejected))
        return pb.PublishResponse(stored=len(batch.rows), rejected=batch.rejected)


def _by_shard(batch: Decoded) -> dict[int, pb.PublishRequest]:
    """Return the good records by their tenants' shards; a sidecar's batch is nearly always of one tenant."""
    parts: dict[int, pb.PublishRequest] = defaultdict(pb.PublishRequest)
    for row, record in zip(batch.rows, batch.records, strict=True):
        parts[shard_of(row.tenant)].records.append(record)
    return parts
