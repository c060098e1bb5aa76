"""The record stream: batches wait in Redis between ingest and the workers that write them into the database.

In: batches, as sidecars sent them. Out: entries for a worker, each until it is done or buried; depths for metrics.
SHARDS Redis Streams hold them; a batch goes to its tenant's. All keys of a shard carry the same hash tag, so that a Redis
Cluster keeps them on one node and spreads the shards; what must happen together is a script on that node.
* Bounded: a shard holds at most so many entries and bytes, waiting and buried ones together; beyond it `append` raises
  StreamFull and the sidecar keeps its spool. Nothing is ever trimmed.
* Taken once: a consumer group hands each entry to one worker; what a dead worker held is claimed by another.
* Buried: what cannot be stored goes to the shard's dead stream, record by record, with the reason, until somebody looks.
Never: an entry removed before `done` or `bury`; a look inside a batch.
"""

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from analytics.redis_client import Link

# More than the masters of a usual Redis Cluster (3), few enough for a thread of each worker a shard. Never changed: a batch
# in a shard that nobody reads would be lost.
SHARDS = 4
GROUP = "workers"

_APPEND = """
local waiting = redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[3])
local held = tonumber(redis.call('GET', KEYS[2]) or '0')
if waiting >= tonumber(ARGV[2]) or held + #ARGV[1] > tonumber(ARGV[3]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'batch', ARGV[1])
redis.call('INCRBY', KEYS[2], #ARGV[1])
return 1
"""
_DONE = """
local gone = 0
for place = 2, #ARGV, 2 do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[place])
  redis.call('HDEL', KEYS[4], ARGV[place])
  if redis.call('XDEL', KEYS[1], ARGV[place]) == 1 then
    redis.call('DECRBY', KEYS[2], ARGV[place + 1])
    gone = gone + 1
  end
end
return gone
"""
# ARGV: group, entry, bytes of the entry, then batch and reason of each record buried.
_BURY = """
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
if redis.call('XDEL', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('DECRBY', KEYS[2], ARGV[3])
for place = 4, #ARGV, 2 do
  redis.call('XADD', KEYS[3], '*', 'batch', ARGV[place], 'reason', ARGV[place + 1])
  redis.call('INCRBY', KEYS[2], #ARGV[place])
end
return 1
"""
_REVIVE = """
local found = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', ARGV[1])
for _, one in ipairs(found) do
  redis.call('XADD', KEYS[1], '*', 'batch', one[2][2])
  redis.call('XDEL', KEYS[3], one[1])
end
return #found
"""
# A consumer that holds nothing and has long been silent was a process that is gone.
_FORGET = """
local gone = 0
for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  if one[4] == 0 and one[6] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], one[2])
    gone = gone + 1
  end
end
return gone
"""


class StreamFull(Exception):  # noqa: N818 - a state, not a fault
    """The shard holds as much as it may; the batch was not taken."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a shard may hold."""

    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch that waits. id is `<milliseconds>-<count>`: when it was appended."""

    id: str
    batch: bytes


@dataclass(frozen=True, slots=True)
class Depth:
    """What a shard holds: batches that wait, those of them that a worker has in hand, records buried, bytes of all."""

    waiting: int
    pending: int
    dead: int
    bytes: int
    oldest_unix_ms: int | None


def shard_of(tenant: str) -> int:
    """Return the shard of a tenant's batches."""
    return zlib.crc32(tenant.encode()) % SHARDS


class RecordStream:
    """The shards. Every method raises RedisError when Redis cannot do it."""

    def __init__(self, link: Link, limit: Limit, prefix: str = "douane") -> None:
        self._link = link
        self._limit = limit
        names = ("records", "bytes", "dead", "tries")
        self._keys = [[f"{prefix}:{{records-{shard}}}:{name}" for name in names] for shard in range(SHARDS)]

    def append(self, shard: int, batch: bytes) -> None:
        """Take a batch; when this returns, Redis has it. Raises: StreamFull."""
        if not self._eval(_APPEND, shard, batch, self._limit.entries, self._limit.bytes):
            raise StreamFull

    def read(self, shard: int, consumer: str, count: int, block_ms: int) -> list[Entry]:
        """Return entries that nobody has taken yet, after waiting for one at most block_ms; the group is made when missing."""
        stream = self._keys[shard][0]
        try:
            found = self._client.xreadgroup(GROUP, consumer, {stream: ">"}, count=count, block=block_ms)
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            self._make_group(stream)
            return []
        return _entries(found[0][1]) if found else []

    def _make_group(self, stream: str) -> None:
        with suppress(ResponseError):  # BUSYGROUP: another worker was first
            self._client.xgroup_create(stream, GROUP, id="0", mkstream=True)

    def claim(self, shard: int, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        """Return entries that were taken long ago and are not done: their worker is dead, or was slow."""
        try:
            found = self._client.xautoclaim(self._keys[shard][0], GROUP, consumer, idle_ms, "0-0", count=count)
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            return []
        return _entries(found[1])

    def tried(self, shard: int, entry: Entry, change: int = 1) -> int:
        """Count one more attempt at an entry that a worker left behind; return how many there were."""
        return int(self._client.hincrby(self._keys[shard][3], entry.id, change))

    def done(self, shard: int, entries: Sequence[Entry]) -> int:
        """Remove entries whose records are committed; return how many were still there."""
        sized = [value for entry in entries for value in (entry.id, len(entry.batch))]
        return int(self._eval(_DONE, shard, GROUP, *sized))

    def bury(self, shard: int, entry: Entry, dead: Sequence[tuple[bytes, str]]) -> None:
        """Remove an entry, and keep what could not be stored of it: batches with reasons. Doing it again changes nothing."""
        self._eval(_BURY, shard, GROUP, entry.id, len(entry.batch), *(value for one in dead for value in one))

    def dead(self, shard: int, count: int) -> list[tuple[Entry, str]]:
        """Return what is buried, oldest first, with the reasons."""
        found = self._client.xrange(self._keys[shard][2], count=count)
        return [(Entry(_text(one), fields[b"batch"]), _text(fields[b"reason"])) for one, fields in found]

    def revive(self, shard: int, count: int) -> int:
        """Put what is buried back into the line, oldest first; return how much."""
        return int(self._eval(_REVIVE, shard, count))

    def forget_consumers(self, shard: int, idle_ms: int) -> int:
        """Remove consumers that hold nothing and were silent so long; return how many."""
        try:
            return int(self._eval(_FORGET, shard, GROUP, idle_ms))
        except ResponseError as error:
            if "NOGROUP" in str(error) or "no such key" in str(error):
                return 0
            raise

    def depth(self, shard: int) -> Depth:
        """Return what a shard holds now."""
        stream, size, dead, _ = self._keys[shard]
        first = self._client.xrange(stream, count=1)
        try:
            pending = int(self._client.xpending(stream, GROUP)["pending"])
        except ResponseError:  # no worker was ever here
            pending = 0
        return Depth(
            waiting=int(self._client.xlen(stream)),
            pending=pending,
            dead=int(self._client.xlen(dead)),
            bytes=int(self._client.get(size) or 0),
            oldest_unix_ms=int(_text(first[0][0]).partition("-")[0]) if first else None,
        )

    @property
    def _client(self) -> Any:
        """The client, untyped: the library's annotations are unions over every protocol version and option."""
        return self._link.client()

    def _eval(self, script: str, shard: int, *values: Any) -> Any:
        keys = self._keys[shard]
        return self._client.eval(script, len(keys), *keys, *values)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _entries(found: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Entry]:
    return [Entry(_text(one), fields[b"batch"]) for one, fields in found if fields]
