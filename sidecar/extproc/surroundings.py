"""What every exchange of a worker shares: made at its start, and again with another pipeline when the rules change.

In: nothing. Out: Surroundings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.identity import Identifier
from sidecar.pipeline import Pipeline
from sidecar.protocols import generate
from sidecar.types import Verdict


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every exchange of a worker shares. wall_offset_us turns the monotonic clock into Unix time."""

    pipeline: Pipeline
    identifier: Identifier
    models: Mapping[str, generate.Target]
    keys: Mapping[str, str]
    paths: Mapping[str, str]
    wall_offset_us: int
    refusal: Callable[[Verdict], bytes]
