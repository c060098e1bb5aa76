"""The books: one batch of records, one transaction, and who is told of it.

In: decoded rows. Out: what storing did. Records, rollups and every ledger (user risk, budgets, alerts) move in the same
transaction, so that a crash leaves all or nothing of a batch; listeners (metrics, live feed, tracing) are told after the
commit, in the writer's thread.
Never: a listener that waits: it counts or puts into a bounded queue. Never an acknowledgement before the commit.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from analytics.store import database, records
from analytics.types import DecisionRow, Stored

Ledger = Callable[[Connection, Stored], None]
Listener = Callable[[Stored], None]


class Books:
    """Where records are written. Ledgers run in their order, in the transaction; listeners after it."""

    def __init__(self, engine: Engine, ledgers: Sequence[Ledger] = (), listeners: Sequence[Listener] = ()) -> None:
        self._engine = engine
        self._ledgers = tuple(ledgers)
        self._listeners = tuple(listeners)

    def store(self, rows: Sequence[DecisionRow]) -> Stored:
        """Store a batch, commit, tell the listeners; return what it did.

        Raises: sqlalchemy.exc.DBAPIError, whatever a ledger raises; nothing of the batch is stored then.
        """
        with database.writing(self._engine) as connection:
            stored = records.store(connection, rows)
            for ledger in self._ledgers:
                ledger(connection, stored)
        for listener in self._listeners:
            listener(stored)
        return stored
