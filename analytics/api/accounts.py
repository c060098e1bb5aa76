"""/api/accounts: people's accounts, for administrators; those of a tenant see and change that tenant's only.

Never: a password or its hash in an answer.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from analytics.access import people
from analytics.access.people import NAME, Changes, NewAccount
from analytics.access.principal import Role
from analytics.api.auth import Admin
from analytics.api.context import Use
from analytics.api.errors import responses
from analytics.api.session import Secret
from analytics.store import accounts, database

router = APIRouter(tags=["access"])

Name = Annotated[str, Path(pattern=NAME, examples=["alice"])]


class AccountBody(BaseModel):
    """An account."""

    name: str = Field(examples=["alice"])
    role: Role
    tenant: str | None = Field(
        description="The tenant it is bound to; null: the whole installation.", examples=["acme"]
    )
    oidc: bool = Field(description="Whether this person logs in at the identity provider.")
    disabled: bool
    created_at: datetime
    last_login_at: datetime | None


class Accounts(BaseModel):
    """The accounts that may be shown, by name."""

    accounts: list[AccountBody]


class Creation(BaseModel):
    """A new account."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME, examples=["alice"])
    role: Role = Field(examples=["analyst"])
    tenant: str | None = Field(default=None, max_length=256, description="Bind it to a tenant.", examples=["default"])
    password: Secret


class Change(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    disabled: StrictBool | None = None
    password: Secret | None = Field(default=None, description="A new password; ends the account's sessions.")


@router.get("/api/accounts", responses=responses(401, 403, 503))
def list_accounts(context: Use, who: Admin) -> Accounts:
    """Return people's accounts."""
    with context.engine.connect() as connection:
        found = accounts.every(connection, who.tenant)
    return Accounts(accounts=[_body(one) for one in found])


@router.post("/api/accounts", status_code=201, responses=responses(401, 403, 409, 422, 503))
def create_account(context: Use, who: Admin, wanted: Creation) -> AccountBody:
    """Make an account; an administrator of a tenant makes them for that tenant."""
    new = NewAccount(wanted.name, wanted.role, wanted.tenant or who.tenant, wanted.password.get_secret_value())
    with database.writing(context.engine) as connection:
        return _body(people.create(connection, who, new, context.clock()))


@router.get("/api/accounts/{name}", responses=responses(401, 403, 404, 422, 503))
def one_account(context: Use, who: Admin, name: Name) -> AccountBody:
    """Return one account."""
    with context.engine.connect() as connection:
        return _body(people.visible(connection, who, name))


@router.patch("/api/accounts/{name}", responses=responses(401, 403, 404, 409, 422, 503))
def change_account(context: Use, who: Admin, name: Name, wanted: Change) -> AccountBody:
    """Change an account's role or password, or disable it; it takes effect with the person's next request."""
    values: dict[str, Any] = {"role": wanted.role, "disabled": wanted.disabled}
    password = wanted.password.get_secret_value() if wanted.password else None
    with database.writing(context.engine) as connection:
        return _body(people.change(connection, who, name, Changes(**values, password=password), context.clock()))


@router.delete("/api/accounts/{name}", status_code=204, responses=responses(401, 403, 404, 409, 422, 503))
def remove_account(context: Use, who: Admin, name: Name) -> None:
    """Remove an account and end its sessions; tokens that it made stay."""
    with database.writing(context.engine) as connection:
        people.remove(connection, who, name, context.clock())


def _body(account: accounts.Account) -> AccountBody:
    return AccountBody(
        name=account.name,
        role=account.role,
        tenant=account.tenant,
        oidc=account.subject is not None,
        disabled=account.disabled,
        created_at=datetime.fromtimestamp(account.created_unix_s, UTC),
        last_login_at=moment(account.last_login_unix_s),
    )


def moment(unix_s: int | None) -> datetime | None:
    """Return a moment in UTC, None for never."""
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC)
