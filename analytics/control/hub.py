"""The hub: reads what changed, holds the newest state, wakes the streams that are behind. One in each analytics process.

In: the store, looked at every POLL_S and at once when this process changed something itself (`nudge`). Out: a State, and a signal.
Replicas need nothing of each other: each reads the version that all share in the database, so a change made at one is told by all
within POLL_S and one read. What steers is told at once; numbers that move (risk, budgets) are gathered for COALESCE_S.
Never: work for a stream (each takes what it lacks from the state); a statement on the event loop.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from analytics.control.rules import RulesInForce
from analytics.control.state import Delta, Prices, State, read

_LOG = logging.getLogger("analytics.control")

# A change is told within 1 s (issue 5): a quarter of it to notice, half of it at most to gather.
POLL_S = 0.25
COALESCE_S = 0.5
# Prices change with the models met, or with a new price list: nobody waits for them.
PRICES_EVERY_S = 30.0

ReadPrices = Callable[[Connection], Prices]


class Hub:
    """Holds the state. clock returns seconds since 1970 UTC, monotonic measures waits."""

    def __init__(
        self,
        engine: Engine,
        rules: RulesInForce,
        prices: ReadPrices,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.state = State()
        self.failing = False
        self.telling = (-1, -1)
        self._engine = engine
        self._rules = rules
        self._prices = prices
        self._clock = clock
        self._monotonic = monotonic
        self._told = asyncio.Event()
        self._nudged = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reading = asyncio.Lock()
        self._told_at = self._prices_at = float("-inf")
        self._untold = False

    @property
    def version(self) -> int:
        """The installation's version that the state is at, -1 before the first reading."""
        return -1 if self.state.at is None else self.state.at.version

    def nudge(self) -> None:
        """Look at the store now. From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._nudged.set)

    async def run(self) -> None:
        """Follow the store until cancelled. While it is away streams keep what they have."""
        self._loop = asyncio.get_running_loop()
        while True:
            try:
                await self.refresh()
                self.failing = False
            except SQLAlchemyError as error:
                if not self.failing:
                    _LOG.error("control.store_away", extra={"error": type(error).__name__})
                self.failing = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):  # wait_for may lose a cancellation (before Python 3.12)
                    await self._nudged.wait()
            self._nudged.clear()

    async def refresh(self) -> None:
        """Read what is newer, and tell it where it is time. Raises: SQLAlchemyError."""
        async with self._reading:
            now = self._monotonic()
            delta = await asyncio.to_thread(self._read)
            if delta is not None:
                self.state.take(delta)
                self._untold = True
            if now - self._prices_at >= PRICES_EVERY_S:
                self._prices_at = now
                self._untold |= self.state.take_prices(await asyncio.to_thread(self._read_prices))
                self.state.drop_past(int(self._clock()))
            if self._untold and ((delta is not None and delta.steers) or now - self._told_at >= COALESCE_S):
                self._untold, self._told_at = False, now
                self.telling = (self.version, self.state.prices_version)
                self._told.set()
                self._told = asyncio.Event()

    async def news(self, version: int, prices: int, timeout_s: float) -> bool:
        """Wait until there is more to tell than this version and these prices; return False when nothing came in time."""
        if self.telling[0] > version or self.telling[1] > prices:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._told.wait()
        except TimeoutError:
            return False
        return True

    def wake(self) -> None:
        """Wake every stream, whatever there is to tell: for the end."""
        self._told.set()

    def _read(self) -> Delta | None:
        with self._engine.connect() as connection:
            return read(connection, self.state.at, self._rules, int(self._clock()))

    def _read_prices(self) -> Prices:
        with self._engine.connect() as connection:
            return self._prices(connection)
