"""Delivery: the spool's records to analytics, in batches, until each is acknowledged.

In: a Spool, a function that sends one request. Out: nothing; delivered records leave the spool.
A record is removed only after analytics says it has committed it, so delivery is at least once. Verdicts whose exchange lasts
long are announced once beforehand, so that a lost machine leaves a trace of them too.
Never: decodes a record (a batch is framed from the bytes in the spool), or gives up.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Protocol

from douane.v1.control_pb2 import PublishResponse
from douane.v1.decision_pb2 import DecisionRecord

from sidecar.record.spool import Spool, SpoolFull

log = logging.getLogger("douane.publish")

_BATCH_RECORDS = 500
_BATCH_BYTES = 2 * 1024 * 1024  # below gRPC's default limit of 4 MiB per message
_LINGER_S = 0.25  # how long records gather: a batch costs analytics a commit; the dashboard is this much behind
_ANNOUNCE_AFTER_S = 5.0
_BACKOFF_S = (0.1, 5.0)  # first and longest wait after a failure
_CHECKPOINT_EVERY = 2000  # records between checkpoints: about 8 MiB of log

Send = Callable[[bytes], Awaitable[PublishResponse]]


class RefusedError(ConnectionError):
    """Analytics takes nothing from us: our token or certificate is not good, and only an operator can mend that."""


class Counts(Protocol):
    """What the publisher counts."""

    def published(self, stored: int, rejected: int) -> None: ...

    def publish_failed(self) -> None: ...

    def publish_refused(self) -> None: ...


def frame(bodies: list[bytes]) -> bytes:
    """Return a PublishRequest of serialized records: field 1, length-delimited, per record (protobuf wire format)."""
    parts: list[bytes] = []
    for body in bodies:
        parts += (b"\x0a", _varint(len(body)), body)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class Publisher:
    """Delivers one spool. clock is monotonic seconds."""

    def __init__(self, spool: Spool, send: Send, counts: Counts, clock: Callable[[], float], random: Random) -> None:
        self._spool = spool
        self._send = send
        self._counts = counts
        self._clock = clock
        self._random = random
        self._wait = _BACKOFF_S[0]
        self._since_checkpoint = 0
        self._announced = 0
        self._candidates: tuple[float, int] = (clock(), 0)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await asyncio.sleep(_LINGER_S)
            await self._round()

    async def drain(self, timeout_s: float) -> int:
        """Deliver what waits within the time, whatever hangs; return how many records still wait."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._spool.waiting:
                    await self._round()
        return self._spool.waiting

    async def _round(self) -> None:
        """Send everything that waits, batch after batch; after a failure wait longer each time."""
        try:
            while batch := self._spool.peek(_BATCH_RECORDS, _BATCH_BYTES):
                await self._deliver(batch)
            await self._announce()
            self._wait = _BACKOFF_S[0]
        except (ConnectionError, SpoolFull) as error:  # delivered but not removed: delivered again, stored once
            self._tell(error)
            await asyncio.sleep(self._wait * (0.5 + self._random.random()))
            self._wait = min(self._wait * 2, _BACKOFF_S[1])

    def _tell(self, error: Exception) -> None:
        self._counts.publish_failed()
        waits = {"reason": str(error), "waiting": self._spool.waiting}
        if isinstance(error, RefusedError):
            self._counts.publish_refused()
            log.error("publish.refused", extra=waits)
        else:
            log.warning("publish.failed", extra=waits)

    async def _deliver(self, batch: list[tuple[int, bytes]]) -> None:
        response = await self._send(frame([body for _, body in batch]))
        refused = {item.decision_id: item.reason for item in response.rejected}
        self._spool.remove(len(batch), _refused(batch, refused) if refused else ())
        self._counts.published(len(batch) - len(refused), len(refused))
        self._since_checkpoint += len(batch)
        if self._since_checkpoint >= _CHECKPOINT_EVERY:
            self._since_checkpoint = 0
            self._spool.checkpoint()

    async def _announce(self) -> None:
        """Send verdicts that have been open since the last look, at least _ANNOUNCE_AFTER_S ago."""
        looked, newest = self._candidates
        if self._clock() - looked < _ANNOUNCE_AFTER_S:
            return
        still = [(seq, body) for seq, body in self._spool.open.items() if self._announced < seq <= newest]
        if still:
            await self._send(frame([body for _, body in still[:_BATCH_RECORDS]]))
            self._announced = still[:_BATCH_RECORDS][-1][0]
        if len(still) <= _BATCH_RECORDS:
            self._candidates = (self._clock(), max(self._spool.open, default=newest))


def _refused(batch: list[tuple[int, bytes]], refused: dict[str, str]) -> list[tuple[int, bytes, str]]:
    """Return the records of a batch that analytics will never take. Rare, so decoding them here is fine."""
    found = []
    for seq, body in batch:
        reason = refused.get(DecisionRecord.FromString(body).decision_id)
        if reason is not None:
            found.append((seq, body, reason))
    return found
