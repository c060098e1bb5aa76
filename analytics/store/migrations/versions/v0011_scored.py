"""An index of the records that have a score, by user: the trail of a user's risk is read from it.

Revision: 0011. Never changed after release. Few records have a score, so it costs little; without it the trail of a busy user
reads all that user's records.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    """Create the index."""
    scored = sa.text("score > 0")
    op.create_index("records_scored", "records", ["user", "decision_id"], postgresql_where=scored, sqlite_where=scored)
