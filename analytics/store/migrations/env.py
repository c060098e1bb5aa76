"""Alembic's entry: runs migrations on the connection that store/database hands over, inside its transaction.

Never: opens a connection or reads a URL of its own.
"""

from alembic import context

from analytics.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
