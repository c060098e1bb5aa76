"""Who asks, as an endpoint takes it: `who: Viewer`, `who: Analyst` or `who: Admin`.

In: a request. Out: its Principal; 403 in the API's one shape where its role is too low.
Never: an endpoint without one of the three; the tenant of `who` goes into every read.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from analytics.access.principal import LOCAL, Principal, Role
from analytics.api.errors import ApiError


def _principal(_request: Request) -> Principal:
    return LOCAL


def _requires(role: Role) -> Callable[[Principal], Principal]:
    def check(who: Annotated[Principal, Depends(_principal)]) -> Principal:
        if not who.may(role):
            raise ApiError(403, f"this needs the role {role}; {who.name} is {who.role}")
        return who

    return check


Viewer = Annotated[Principal, Depends(_requires("viewer"))]
Analyst = Annotated[Principal, Depends(_requires("analyst"))]
Admin = Annotated[Principal, Depends(_requires("admin"))]
