"""/api/tenants: whom the installation serves. Who is bound to a tenant sees that one only.

Never: a tenant's rows of any other kind.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from analytics.access import estates
from analytics.access.estates import NAME
from analytics.api.accounts import moment
from analytics.api.auth import Admin, Viewer
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.store import database, tenants

router = APIRouter(tags=["access"])

Name = Annotated[str, Path(pattern=NAME, examples=["acme"])]
Title = Annotated[str, Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Acme Corporation"])]


class TenantBody(BaseModel):
    """A tenant."""

    name: str = Field(description="As records bear it.", examples=["acme"])
    title: str = Field(examples=["Acme Corporation"])
    created_at: datetime | None = Field(description="null: records name it, nobody made it here.")


class Tenants(BaseModel):
    """The tenants that may be shown, by name."""

    tenants: list[TenantBody]


class Creation(BaseModel):
    """A new tenant."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME, examples=["acme"])
    title: Title = ""


class Change(BaseModel):
    """A tenant's new title."""

    model_config = ConfigDict(extra="forbid")

    title: Title


@router.get("/api/tenants", responses=responses(401, 403, 503))
def list_tenants(context: Use, who: Viewer) -> Tenants:
    """Return tenants: those made here, and those that records name."""
    with context.engine.connect() as connection:
        found = tenants.every(connection, who.tenant)
    return Tenants(tenants=[_body(one) for one in found])


@router.post("/api/tenants", status_code=201, responses=responses(401, 403, 409, 422, 503))
def create_tenant(context: Use, who: Admin, wanted: Creation) -> TenantBody:
    """Make a tenant, so that accounts and tokens can be bound to it."""
    with database.writing(context.engine) as connection:
        return _body(estates.create(connection, who, wanted.name, wanted.title, context.clock()))


@router.patch("/api/tenants/{name}", responses=responses(401, 403, 404, 422, 503))
def change_tenant(context: Use, who: Admin, name: Name, wanted: Change) -> TenantBody:
    """Give a tenant another title."""
    with database.writing(context.engine) as connection:
        return _body(estates.rename(connection, who, name, wanted.title, context.clock()))


@router.delete("/api/tenants/{name}", status_code=204, responses=responses(401, 403, 404, 409, 422, 503))
def remove_tenant(context: Use, who: Admin, name: Name) -> None:
    """Forget a tenant that no account and no token is bound to; its records stay."""
    with database.writing(context.engine) as connection:
        estates.remove(connection, who, name, context.clock())


def _body(tenant: tenants.Tenant) -> TenantBody:
    return TenantBody(name=tenant.name, title=tenant.title, created_at=moment(tenant.created_unix_s))
