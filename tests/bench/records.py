"""What a record costs, and what the line from body to verdict costs, in this process and without sockets.

In: a folder on a disk. Out: microseconds per record and per body.
The records are those of real exchanges: bodies go through codec, exchange, pipeline and policy as in a worker. Every step
is timed over batches with different bodies, and the median batch counts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from douane.envoy.ext_proc_pb2 import ProcessingRequest

from sidecar.detectors.ruleset import DEFAULT
from sidecar.extproc import codec
from sidecar.extproc.events import Inspected
from sidecar.extproc.exchange import Exchange
from sidecar.extproc.surroundings import Surroundings
from sidecar.identity import Identifier
from sidecar.pipeline import Pipeline
from sidecar.policy import Policy, PolicySet
from sidecar.record.build import completion_bytes, verdict_bytes
from sidecar.record.publish import frame
from sidecar.record.spool import Spool
from sidecar.refusal import refusal_body
from sidecar.types import Completion, Head, Verdict
from tests.bench import upstream
from tests.bench.bodies import KIB, pool, stamped

_NAMESPACE = "envoy.filters.http.ext_proc"
_ATTRIBUTES = {
    "request.path": "/v1/chat/completions",
    "request.method": "POST",
    "request.host": "127.0.0.1:8000",
    "request.id": "0d7e4b1e-6a3c-4b8f-9a51-0f4c5a7b2f11",
    "source.address": "127.0.0.1:43210",
    "xds.route_name": "gateway/openai",
    "request.headers['content-type']": "application/json",
    "request.headers['authorization']": "Bearer bench-1",
    "request.headers['x-user-id']": "user-1",
}
_ID = "0193f0a1b2c37d4e8f5a6b7c8d9e0f1a"
_BATCH = 250
_FAR_US = 10**15

Item = TypeVar("Item")


@dataclass(frozen=True)
class RecordCosts:
    """Microseconds: steps per record, pipeline and exchange per body by its size in KB."""

    steps_us: dict[str, float]
    pipeline_us: dict[int, float]
    exchange_us: dict[int, float]
    record_bytes: int


def _now_us() -> int:
    return time.monotonic_ns() // 1000


def measure(folder: Path, batches: int) -> RecordCosts:
    """Return what the steps cost; more batches take longer and waver less."""
    around = _surroundings()
    wire = {size: [_message(stamped(body, n)) for n, body in enumerate(pool(size * KIB, 40))] for size in (1, 10, 100)}
    halves = [_exchange(wire[1][n % 40], around) for n in range(_BATCH)]
    verdicts = [verdict for verdict, _ in halves]
    completions = [completion for _, completion in halves]
    digest = around.identifier.digest
    firsts = [verdict_bytes(verdict, "bench/0", digest) for verdict in verdicts]
    seconds = [completion_bytes(completion, 1, digest) for completion in completions]
    steps = {
        "verdict_bytes": _per_item(verdicts, lambda verdict: verdict_bytes(verdict, "bench/0", digest), batches),
        "completion_bytes": _per_item(completions, lambda half: completion_bytes(half, 1, digest), batches),
        **_spool_steps(folder, firsts, seconds, batches),
    }
    return RecordCosts(
        steps,
        {size: _pipeline(around.pipeline, messages, batches) for size, messages in wire.items()},
        {size: _per_item(some, lambda m: _exchange(m, around), batches) for size, some in wire.items()},
        len(firsts[0]) + len(seconds[0]),
    )


def _surroundings() -> Surroundings:
    return Surroundings(
        pipeline=Pipeline(_now_us, DEFAULT),
        identifier=Identifier(b"k" * 32),
        models={},
        keys={},
        paths={},
        wall_offset_us=0,
        refusal=refusal_body,
    )


def _message(body: bytes) -> bytes:
    """Return Envoy's message for a body, as bytes."""
    request = ProcessingRequest()
    for name, value in _ATTRIBUTES.items():
        request.attributes[_NAMESPACE].fields[name].string_value = value
    request.request_body.body = body
    request.request_body.end_of_stream = True
    return request.SerializeToString()


def _answer() -> bytes:
    request = ProcessingRequest()
    fields = request.attributes[_NAMESPACE].fields
    fields["response.code"].number_value = 200
    fields["response.code_details"].string_value = "via_upstream"
    for name, value in _ATTRIBUTES.items():
        fields[name].string_value = value
    request.response_body.body = upstream.ANSWER
    request.response_body.end_of_stream = True
    return request.SerializeToString()


_ANSWER = _answer()


def _exchange(wire: bytes, around: Surroundings) -> tuple[Verdict, Completion]:
    """Take one exchange through everything but sockets and spool."""
    exchange = Exchange(_ID, PolicySet.one(Policy()), around)
    step = exchange.receive(codec.read(ProcessingRequest.FromString(wire), _now_us()))
    assert step.inspect is not None
    inspection = around.pipeline.inspect(step.inspect.head, step.inspect.data, _FAR_US)
    decided = exchange.receive(Inspected(_now_us(), inspection))
    assert decided.answer is not None
    codec.write(decided.answer)
    ended = exchange.receive(codec.read(ProcessingRequest.FromString(_ANSWER), _now_us()))
    assert ended.answer is not None
    codec.write(ended.answer)
    assert isinstance(decided.save, Verdict)
    assert isinstance(ended.save, Completion)
    return decided.save, ended.save


def _pipeline(pipeline: Pipeline, messages: Sequence[bytes], batches: int) -> float:
    head = Head("POST", "/v1/chat/completions")
    bodies = [ProcessingRequest.FromString(message).request_body.body for message in messages]
    return _per_item(bodies, lambda body: pipeline.inspect(head, body, _FAR_US), batches)


def _per_item(items: Sequence[Item], work: Callable[[Item], object], batches: int) -> float:
    """Return the microseconds per item of the median batch; the first batch warms up."""
    return median([_timed(items, work) for _ in range(batches + 1)][1:])


def _timed(items: Sequence[Item], work: Callable[[Item], object]) -> float:
    begun = time.perf_counter_ns()
    for item in items:
        work(item)
    return (time.perf_counter_ns() - begun) / len(items) / 1000


def _spool_steps(folder: Path, firsts: list[bytes], seconds: list[bytes], batches: int) -> dict[str, float]:
    """Time a spool's life: batches of records added, completed, framed and removed."""
    spool = Spool(folder / "bench-spool.db")
    try:
        rounds = [_spool_round(spool, firsts, seconds) for _ in range(batches)]
    finally:
        spool.close()
    names = ("spool.add", "spool.complete", "publish (frame, remove)")
    return dict(zip(names, map(median, zip(*rounds, strict=True)), strict=True))


def _spool_round(spool: Spool, firsts: list[bytes], seconds: list[bytes]) -> tuple[float, float, float]:
    numbers: list[int] = []
    add = _timed(firsts, lambda body: numbers.append(spool.add(body, final=False)))
    complete = _timed(list(zip(numbers, seconds, strict=True)), lambda pair: spool.complete(*pair))
    return add, complete, _timed([spool], _publish) / len(firsts)


def _publish(spool: Spool) -> None:
    batch = spool.peek(_BATCH, 2**30)
    frame([body for _, body in batch])
    spool.remove(len(batch))
    spool.checkpoint()
