"""Who asks, as an endpoint takes it: `who: Viewer`, `who: Analyst` or `who: Admin`; and what the OpenAPI document says of it.

In: a request that passed the gate. Out: its Principal; 401 or 403 in the API's one shape.
Never: an endpoint without one of the three, but for those of gate.OPEN_PATHS; the tenant of `who` goes into every read.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import Response

from analytics.access.identify import Known
from analytics.access.principal import ROLES, Principal, Role
from analytics.access.refusals import AccessError
from analytics.api.context import Context
from analytics.api.errors import ApiError, responses
from analytics.api.gate import Gate, refusal


def known(request: Request) -> Known:
    """Return what the gate found out; who may be None on an open path. Without a gate nobody is known."""
    found: Known = getattr(request.state, "known", Known())
    return found


def _principal(found: Annotated[Known, Depends(known)]) -> Principal:
    if found.who is None:
        raise ApiError(401, found.why)
    return found.who


class _Requires:
    """A role as a dependency; the role can be read from it."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, who: Annotated[Principal, Depends(_principal)]) -> Principal:
        if not who.may(self.role):
            raise ApiError(403, f"this needs the role {self.role}; {who.name} is {who.role}")
        return who


Whoever = Annotated[Known, Depends(known)]
Viewer = Annotated[Principal, Depends(_Requires("viewer"))]
Analyst = Annotated[Principal, Depends(_Requires("analyst"))]
Admin = Annotated[Principal, Depends(_Requires("admin"))]


def whole(who: Principal) -> None:
    """Raises: ApiError when somebody bound to a tenant asks for what concerns the whole installation."""
    if who.tenant is not None:
        raise ApiError(403, f"this concerns the whole installation; {who.name} is bound to the tenant {who.tenant}")


def role_of(route: APIRoute) -> Role | None:
    """Return the role that a route asks for, None when it asks for none."""
    found = [call.role for call in _calls(route.dependant) if isinstance(call, _Requires)]
    return max(found, key=ROLES.index, default=None)


def _calls(dependant: Dependant) -> list[Callable[..., Any] | None]:
    return [dependant.call, *(call for one in dependant.dependencies for call in _calls(one))]


def install(application: FastAPI, context: Context) -> None:
    """Put the gate before everything, give refusals their shape, and tell the OpenAPI document who may call what."""
    application.add_middleware(Gate, context=context)
    application.add_exception_handler(AccessError, _refused)
    application.openapi = lambda: _document(application)  # type: ignore[method-assign] # FastAPI's way to change it


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AccessError)  # noqa: S101 - registered for it; narrows the type
    return refusal(error)


def _document(application: FastAPI) -> dict[str, Any]:
    if application.openapi_schema:
        return application.openapi_schema
    made = get_openapi(
        title=application.title,
        version=application.version,
        description=application.description,
        routes=application.routes,
    )
    made.setdefault("components", {})["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token, `dou_...`."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "douane_session",
            "description": "A log-in at /dashboard/login; changes carry x-csrf-token beside it.",
        },
    }
    for context in iter_route_contexts(application.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema:
            _describe(route, made["paths"][route.path_format])
    application.openapi_schema = made
    return made


def _describe(route: APIRoute, path: dict[str, Any]) -> None:
    """Say of a route's operations who may call them; none is needed where no role is asked for."""
    role = role_of(route)
    for method in route.methods or ():
        operation = path[method.lower()]
        operation["security"] = [{"token": []}, {"session": []}] if role else []
        if role:
            operation["x-role"] = role
            _add_errors(operation, 401, 403)
        if "requestBody" in operation:
            _add_errors(operation, 400)  # a body that is no UTF-8


def _add_errors(operation: dict[str, Any], *statuses: int) -> None:
    shape = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    for status, told in responses(*statuses).items():
        operation["responses"].setdefault(str(status), {"description": told["description"], "content": shape})
