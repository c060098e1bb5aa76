"""Settings of the store: where records are kept and how long, and what calls cost.

Never: the content of database_url in a text, since it holds a password.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class StoreSettings(BaseSettings):
    """Where records are kept, how long, and what they cost."""

    data_dir: Path = Field(
        default=Path("~/.local/share/douane"), description="Folder of the embedded database; made when it is missing."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="sqlite:///FILE or postgresql+psycopg://USER@HOST/DB; unset: analytics.db in data_dir.",
    )
    retention_days: int = Field(
        default=90,
        ge=1,
        le=3_650,
        description="Days that records are kept; PostgreSQL drops the partitions of older days.",
    )
    retention_minutes_days: int = Field(
        default=7, ge=1, le=3_650, description="Days that sums per minute are kept (timelines of two hours and less)."
    )
    retention_hours_days: int = Field(
        default=180, ge=15, le=3_650, description="Days that sums per hour are kept (timelines of two weeks and less)."
    )
    retention_daily_days: int = Field(
        default=0, ge=0, le=36_500, description="Days that sums per day are kept; 0: for ever."
    )
    prices_file: Path | None = Field(
        default=None, description="YAML or JSON file of prices that go before the list prices; see docs."
    )

    @property
    def url(self) -> str:
        """The database URL in force."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.expanduser() / 'analytics.db'}"
