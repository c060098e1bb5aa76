"""/api/tokens: tokens for programs and sidecars, for administrators. A token's text is in one answer, and never again.

Never: a secret, or its digest, in any other answer.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from analytics.access import keys
from analytics.access.keys import NewToken
from analytics.access.principal import Role
from analytics.api.accounts import moment
from analytics.api.auth import Admin
from analytics.api.context import Use
from analytics.api.errors import ApiError, responses
from analytics.api.windows import Moment
from analytics.store import database, tokens

router = APIRouter(tags=["access"])

Scope = Literal["read", "change", "export", "feedback", "metrics", "access", "ingest", "control"]
TokenId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", examples=["0199d1c2a4b07c3e"])]
_LATEST_UNIX_S = 4_102_444_800  # 2100-01-01: what the store's times and calendars hold


class TokenBody(BaseModel):
    """A token, without its text."""

    token_id: str = Field(examples=["0199d1c2a4b07c3e"])
    name: str = Field(examples=["grafana"])
    role: Role
    tenant: str | None = Field(
        description="The tenant it is bound to; null: the whole installation.", examples=["acme"]
    )
    scopes: list[str] = Field(description="What it was made for; empty: what its role allows.", examples=[["read"]])
    created_by: str = Field(examples=["alice"])
    created_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None


class NewTokenBody(TokenBody):
    """A token that was just made."""

    token: str = Field(description="The token itself: keep it now, it is not shown again.", examples=["dou_..."])


class Tokens(BaseModel):
    """The tokens that may be shown, newest first; revoked and expired ones too."""

    tokens: list[TokenBody]


class Creation(BaseModel):
    """A new token."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["grafana"])
    role: Role = Field(examples=["viewer"])
    tenant: str | None = Field(default=None, max_length=256, description="Bind it to a tenant.", examples=["default"])
    scopes: list[Scope] = Field(
        default=[],
        max_length=8,
        description="What it is for; empty: what its role allows. Sidecars: ingest and control.",
        examples=[["read"]],
    )
    expires_at: Moment | None = Field(default=None, examples=["2030-01-01T00:00:00Z"])


@router.get("/api/tokens", responses=responses(401, 403, 503))
def list_tokens(context: Use, who: Admin) -> Tokens:
    """Return tokens, without their texts."""
    with context.engine.connect() as connection:
        found = tokens.every(connection, who.tenant)
    return Tokens(tokens=[_body(one) for one in found])


@router.post("/api/tokens", status_code=201, responses=responses(401, 403, 422, 503))
def create_token(context: Use, who: Admin, response: Response, wanted: Creation) -> NewTokenBody:
    """Make a token; this answer alone shows it."""
    expires = None if wanted.expires_at is None else int(wanted.expires_at.timestamp())
    if expires is not None and expires > _LATEST_UNIX_S:
        raise ApiError(422, "expires_at: at the latest 2100-01-01", "expires_at")
    new = NewToken(wanted.name, wanted.role, wanted.tenant or who.tenant, tuple(wanted.scopes), expires)
    with database.writing(context.engine) as connection:
        token, text = keys.create(connection, who, new, context.clock())
    response.headers["cache-control"] = "no-store"
    return NewTokenBody(token=text, **_body(token).model_dump())


@router.delete("/api/tokens/{token_id}", responses=responses(401, 403, 404, 422, 503))
def revoke_token(context: Use, who: Admin, token_id: TokenId) -> TokenBody:
    """Revoke a token: it opens nothing from the next request on. Doing it again changes nothing."""
    with database.writing(context.engine) as connection:
        return _body(keys.revoke(connection, who, token_id, context.clock()))


def _body(token: tokens.Token) -> TokenBody:
    return TokenBody(
        token_id=token.token_id,
        name=token.name,
        role=token.role,
        tenant=token.tenant,
        scopes=list(token.scopes),
        created_by=token.created_by,
        created_at=moment(token.created_unix_s),
        expires_at=moment(token.expires_unix_s),
        last_used_at=moment(token.last_used_unix_s),
        revoked_at=moment(token.revoked_unix_s),
    )
