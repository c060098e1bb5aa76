"""The connection to Redis, one server or a cluster, and whether it keeps what it acknowledges.

In: a redis:// or rediss:// URL. Out: a client; a Keeping that says what is lost when.
Who speaks to Redis says `RedisError` and means all of it: away, loading, a replica, out of memory.
Never: a long wait. A caller is a gRPC handler or a loop that comes again; both want to know soon.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

# A Redis in the same network answers in a millisecond; its own longest stop is the flush of `appendfsync always`.
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0

Client = redis.Redis | redis.RedisCluster


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a Redis promises. fsync is always, everysec or no; empty where the server does not say (CONFIG is refused)."""

    append_only: bool
    fsync: str
    evicts: bool

    @property
    def trouble(self) -> str:
        """Why records must not be left with it, empty when they may."""
        if not self.append_only:
            return "it keeps nothing over a restart: start it with --appendonly yes"
        if self.evicts:
            return "it drops keys when its memory is full: set maxmemory-policy noeviction"
        return ""


def connect(url: str) -> Client:
    """Return a client; a cluster is recognised by asking.

    Bounds: a dropped connection is tried once more, nothing else is.
    Raises: RedisError when the server cannot be reached, ValueError for a URL of another kind.
    """
    one: redis.Redis = redis.Redis.from_url(url, **_options())
    if not one.info("cluster")["cluster_enabled"]:
        return one
    one.close()
    return redis.RedisCluster.from_url(url, **_options())


def _options() -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": ANSWER_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),
        "health_check_interval": 30,
    }


def keeping(client: Client) -> Keeping:
    """Return what the server promises; the least that any master of a cluster does. Raises: RedisError."""
    persistence, memory = _of_masters(client, "persistence"), _of_masters(client, "memory")
    policies = {str(one["maxmemory_policy"]) for one in memory if int(one["maxmemory"]) > 0}
    return Keeping(
        append_only=all(int(one["aof_enabled"]) == 1 for one in persistence),
        fsync=_fsync(client),
        evicts=bool(policies - {"noeviction"}),
    )


def _of_masters(client: Client, section: str) -> Iterable[Mapping[str, Any]]:
    if isinstance(client, redis.RedisCluster):
        by_node = client.info(section, target_nodes=redis.RedisCluster.PRIMARIES)
        return list(by_node.values()) if "redis_version" not in by_node and _nested(by_node) else [by_node]
    return [client.info(section)]


def _nested(answer: Mapping[str, Any]) -> bool:
    return all(isinstance(one, Mapping) for one in answer.values())


def _fsync(client: Client) -> str:
    try:
        return str(client.config_get("appendfsync").get("appendfsync", ""))
    except ResponseError:  # hosted services refuse CONFIG
        return ""


__all__ = ["Client", "Keeping", "RedisError", "connect", "keeping"]
