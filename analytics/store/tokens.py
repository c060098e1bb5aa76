"""API tokens: their rows; the secret is nowhere but with whoever was shown it.

In: Token values, digests. Out: Token values.
Never: a token's text; a rule about who may make which (analytics/access/keys.py).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from analytics.access.principal import Role
from analytics.store.tables import TOKENS


@dataclass(frozen=True, slots=True)
class Token:
    """A token. scopes empty: what its role allows; times are seconds since 1970, None for never."""

    token_id: str
    name: str
    role: Role
    tenant: str | None
    scopes: tuple[str, ...]
    created_by: str
    created_unix_s: int
    expires_unix_s: int | None = None
    last_used_unix_s: int | None = None
    revoked_unix_s: int | None = None

    def good(self, now_s: float) -> bool:
        """Return whether it opens anything at a moment."""
        return self.revoked_unix_s is None and (self.expires_unix_s is None or now_s < self.expires_unix_s)


_FIELDS = tuple(Token.__dataclass_fields__)


def every(connection: Connection, tenant: str | None) -> list[Token]:
    """Return the tokens that may be shown, newest first, those that no longer open anything too."""
    statement = select(TOKENS).order_by(TOKENS.c.created_unix_s.desc(), TOKENS.c.token_id)
    if tenant is not None:
        statement = statement.where(TOKENS.c.tenant == tenant)
    return [_token(row) for row in connection.execute(statement)]


def find(connection: Connection, token_id: str) -> tuple[Token, str] | None:
    """Return a token and the digest of its secret."""
    row = connection.execute(select(TOKENS).where(TOKENS.c.token_id == token_id)).first()
    return (_token(row), row.digest) if row else None


def add(connection: Connection, token: Token, digest: str) -> None:
    """Add a token."""
    values = {name: getattr(token, name) for name in _FIELDS}
    connection.execute(insert(TOKENS), values | {"scopes": " ".join(token.scopes), "digest": digest})


def revoke(connection: Connection, token_id: str, now_s: int) -> None:
    """Make a token open nothing from now on; its row stays, for the audit trail's sake."""
    connection.execute(update(TOKENS).where(TOKENS.c.token_id == token_id).values(revoked_unix_s=now_s))


def used(connection: Connection, token_id: str, now_s: int, every_s: int) -> None:
    """Note that a token was used, unless that was noted within every_s."""
    before = TOKENS.c.last_used_unix_s
    due = or_(before.is_(None), before <= now_s - every_s)
    connection.execute(update(TOKENS).where(TOKENS.c.token_id == token_id, due).values(last_used_unix_s=now_s))


def _token(row: Any) -> Token:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Token(**values | {"scopes": tuple(row.scopes.split())})
