"""How long a change takes from the API to every sidecar: `python -m tests.analytics.control.bench_push [STREAMS] [CHANGES]`.

In: numbers of streams and changes. Out: milliseconds from the request that activates a policy to the last stream that has it, for
changes made in this process (nudged) and for those that another replica made (found by the poll), and the CPU seconds it took.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from sqlalchemy import Engine

from analytics.store import database
from tests.analytics.control.steering import activate
from tests.analytics.control.watching import Call, Served, heard, serving, watching


async def _has(call: Call, text: str) -> float:
    while True:
        snapshot = await heard(call)
        if any(one.text == text for one in snapshot.policies):
            return time.perf_counter()


async def _change(engine: Engine, served: Served, calls: list[Call], number: int, *, nudged: bool) -> float:
    text = f"deny_score: {10 + number}"
    waiting = [asyncio.create_task(_has(call, text)) for call in calls]
    await asyncio.sleep(0.3)
    began = time.perf_counter()
    await asyncio.to_thread(activate, engine, text)
    if nudged:
        served.hub.nudge()
    return (max(await asyncio.gather(*waiting)) - began) * 1e3


async def _run(engine: Engine, streams: int, changes: int) -> None:
    async with serving(engine) as served, AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(watching(served.port, sidecar=f"s-{n}/0")) for n in range(streams)]
        for call in calls:
            await heard(call)
        began = time.process_time()
        await asyncio.sleep(5)
        print(f"{streams} streams, nothing new: {(time.process_time() - began) / 5 * 100:.1f} % of a CPU, both ends")
        for nudged in (True, False):
            began = time.process_time()
            took = [await _change(engine, served, calls, n + changes * nudged, nudged=nudged) for n in range(changes)]
            cpu = (time.process_time() - began) / changes * 1e3
            how = "same process" if nudged else "another replica"
            print(
                f"{how}: median {statistics.median(took):.0f} ms, worst {max(took):.0f} ms to the last; {cpu:.0f} ms CPU"
            )


def main(streams: int, changes: int) -> None:
    """Measure over SQLite in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        engine = database.connect(f"sqlite:///{Path(folder) / 'bench.db'}")
        database.migrate(engine)
        asyncio.run(_run(engine, streams, changes))
        engine.dispose()


if __name__ == "__main__":
    main(*(int(value) for value in (*sys.argv[1:3], *("3", "20")[len(sys.argv) - 1 :])))
