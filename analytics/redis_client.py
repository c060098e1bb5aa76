"""The connection to Redis, one server or a cluster, and whether it keeps what it acknowledges.

In: a redis:// or rediss:// URL. Out: a client; a Keeping that says what is lost when.
Who speaks to Redis says `RedisError` and means all of it: away, loading, a replica, out of memory.
Never: a long wait. A caller is a gRPC handler or a loop that comes again; both want to know soon.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
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


class Link:
    """One Redis, connected to when it is first needed: it may be away when the service starts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()
        self._client: Client | None = None

    def client(self) -> Client:
        """Return the client, for any thread. Raises: RedisError as long as the server was never reached."""
        with self._lock:
            if self._client is None:
                self._client = connect(self._url)
            return self._client

    def close(self) -> None:
        """Close the connections; a later use opens them again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None


def connect(url: str) -> Client:
    """Return a client; a cluster is recognised by asking.

    Bounds: a dropped connection is tried once more, nothing else is.
    Raises: RedisError when the server cannot be reached, ValueError for a URL of another kind.
    """
    one: Any = redis.Redis.from_url(url, **_options())
    if not one.info("cluster")["cluster_enabled"]:
        return cast(Client, one)
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


def _of_masters(client: Any, section: str) -> list[dict[str, Any]]:
    if isinstance(client, redis.RedisCluster):
        return [client.info(section, target_nodes=[node]) for node in client.get_primaries()]  # type: ignore[no-untyped-call] # the library does not say
    return [client.info(section)]


def _fsync(client: Any) -> str:
    try:
        return str(client.config_get("appendfsync").get("appendfsync", ""))
    except ResponseError:  # hosted services refuse CONFIG
        return ""
