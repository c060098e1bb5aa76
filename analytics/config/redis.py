"""Settings of Redis: the buffer between ingest and workers, the live feed over replicas, the scheduler's leader.

Never: the content of redis_url in a text, since it may hold a password.
"""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from analytics.config.fields import also


class RedisSettings(BaseSettings):
    """What replicas share. Without redis_url one process does the same by itself."""

    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias=also("REDIS_URL"),
        description="redis://HOST:PORT or rediss:// of a server or a cluster; unset: one process, nothing shared.",
    )
    role: Literal["all", "ingest", "worker"] = Field(
        default="all",
        description="What this process does with records when there is a Redis: take them in, write them, or both (all).",
    )
    buffer_entries: int = Field(
        default=25_000,
        ge=10,
        description="Batches that wait in Redis in each of its 4 shards at most; then sidecars keep theirs.",
    )
    buffer_bytes: int = Field(
        default=256 << 20,
        ge=1 << 20,
        description="Bytes that wait in Redis in each of its 4 shards at most; then sidecars keep theirs.",
    )
    redis_volatile: bool = Field(
        default=False,
        description="Take records in although Redis forgets them in a restart (no append-only file, or it may evict).",
    )
    worker_idle_s: float = Field(
        default=30.0,
        ge=0.1,
        le=3_600,
        description="Seconds after which a batch that a worker has in hand is given to another one.",
    )
