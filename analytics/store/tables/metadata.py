"""What every table shares: the metadata they are listed in, the names of constraints, the JSON type of both engines.

Never: a server-side default or trigger; what a row holds is decided in Python.
"""

from sqlalchemy import JSON, MetaData
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_name)s",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
JSON_VALUE = JSON().with_variant(JSONB(), "postgresql")
