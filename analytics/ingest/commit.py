"""The books: batches of records, written together, and who is told of them.

In: decoded rows, from any thread. Out: what storing did. Records, rollups and every ledger (user risk, budgets, alerts) move
in the same transaction, so that a crash leaves all or nothing of a batch; listeners (metrics, live feed, tracing) are told
after the commit, in the thread that committed.
Group commit: while one transaction runs, further callers queue; whoever comes next takes all that wait into one transaction,
so that a flush to disk, a lock and an upsert of a bucket are paid once for many batches. Each caller returns after the commit
that holds its rows, with what became of them. If rows together cannot be stored, each batch is tried alone.
Bounds: a transaction takes at most MOST_ROWS rows, or one batch if that is larger.
Never: a listener that waits: it counts or puts into a bounded queue. Never an acknowledgement before the commit.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from analytics.ingest.price import Prices
from analytics.store import database, partitions, records
from analytics.types import DecisionRow, Stored

# Sixteen full batches of sidecars. More saves little (a bucket's upsert is shared already), and costs memory: 10 KB a row.
MOST_ROWS = 8_000

Ledger = Callable[[Connection, Stored], None]
Listener = Callable[[Stored], None]


@dataclass(frozen=True, slots=True)
class _Ticket:
    """One caller's batch, and where its result will be."""

    rows: Sequence[DecisionRow]
    result: Future[Stored] = field(default_factory=Future)


class Books:
    """Where records are written. Ledgers run in their order, in the transaction; listeners after it.

    With prices, records that come without a cost are given the one that is known.
    """

    def __init__(
        self,
        engine: Engine,
        ledgers: Sequence[Ledger] = (),
        listeners: Sequence[Listener] = (),
        prices: Prices | None = None,
    ) -> None:
        self._engine = engine
        self._prices = prices
        self._ledgers = tuple(ledgers)
        self._listeners = tuple(listeners)
        self._waiting: deque[_Ticket] = deque()
        self._turn = Lock()
        self._days: set[int] = set()

    def store(self, rows: Sequence[DecisionRow]) -> Stored:
        """Store a batch, commit, tell the listeners; return what it did.

        Raises: sqlalchemy.exc.DBAPIError, whatever a ledger raises; nothing of the batch is stored then.
        """
        ticket = _Ticket(rows if self._prices is None else [self._prices.priced(row) for row in rows])
        self._waiting.append(ticket)
        with self._turn:
            while not ticket.result.done():  # else whoever had the turn before stored it too
                self._settle(self._together())
        return ticket.result.result()

    def _together(self) -> list[_Ticket]:
        taken = [self._waiting.popleft()]
        count = len(taken[0].rows)
        while self._waiting and count + len(self._waiting[0].rows) <= MOST_ROWS:
            taken.append(self._waiting.popleft())
            count += len(taken[-1].rows)
        return taken

    def _settle(self, tickets: list[_Ticket]) -> None:
        """Give every ticket its result."""
        try:
            whole = self._commit([row for ticket in tickets for row in ticket.rows])
        except BaseException as error:
            if len(tickets) > 1 and isinstance(error, Exception) and not isinstance(error, OperationalError):
                for ticket in tickets:  # one of them may be what cannot be stored
                    self._settle([ticket])
                return
            for ticket in tickets:
                ticket.result.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for ticket, stored in zip(tickets, _split(whole, tickets), strict=True):
                ticket.result.set_result(stored)

    def _commit(self, rows: Sequence[DecisionRow]) -> Stored:
        self._make_partitions(rows)
        with database.writing(self._engine) as connection:
            stored = records.store(connection, rows)
            for ledger in self._ledgers:
                ledger(connection, stored)
        for listener in self._listeners:
            listener(stored)
        return stored

    def _make_partitions(self, rows: Sequence[DecisionRow]) -> None:
        """Make the partitions of days not met before, in transactions of their own; failing that the default one serves."""
        days = {day for row in rows if (day := partitions.day_of(row.decision_id)) is not None} - self._days
        if days:
            partitions.make(self._engine, days, partitions.MOST)
            self._days |= days


def _split(whole: Stored, tickets: Sequence[_Ticket]) -> list[Stored]:
    """Return what a transaction did, as parts of it for each batch."""
    if len(tickets) == 1:
        return [whole]
    parts: list[Stored] = []
    begin = 0
    for ticket in tickets:
        taken = whole.taken[begin : begin + len(ticket.rows)]
        begin += len(ticket.rows)
        mine = {id(row) for row in ticket.rows}
        parts.append(
            Stored(
                stored=sum(taken),
                unchanged=len(taken) - sum(taken),
                counted=tuple(row for row in whole.counted if id(row) in mine),
                changes=tuple(change for change in whole.changes if id(change.row) in mine),
                taken=taken,
            )
        )
    return parts
