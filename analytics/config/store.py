"""Settings of the store: where records are kept.

Never: the content of database_url in a text, since it holds a password.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class StoreSettings(BaseSettings):
    """Where records are kept."""

    data_dir: Path = Field(
        default=Path("~/.local/share/douane"), description="Folder of the embedded database; made when it is missing."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="sqlite:///FILE or postgresql+psycopg://USER@HOST/DB; unset: analytics.db in data_dir.",
    )

    @property
    def url(self) -> str:
        """The database URL in force."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.expanduser() / 'analytics.db'}"
