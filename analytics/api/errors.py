"""The one shape of an API error: {"error": {"type", "message", "param"?}}, for every status and every path.

In: whatever an endpoint or the framework raises. Out: JSON. Never: a traceback, a statement or a setting in an answer.
"""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Route

_LOG = logging.getLogger("analytics.api")
_TYPES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limited",
    503: "unavailable",
}


class ErrorDetail(BaseModel):
    """What went wrong."""

    type: str = Field(description="Which kind of error it is.", examples=["invalid_request"])
    message: str = Field(
        description="What is wrong, for people.", examples=["days: Input should be less than or equal to 366"]
    )
    param: str | None = Field(default=None, description="The parameter at fault.", examples=["days"])


class ErrorBody(BaseModel):
    """Every error of this API."""

    error: ErrorDetail


class ApiError(Exception):
    """An error that an endpoint answers with."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of error statuses."""
    return {status: {"model": ErrorBody, "description": HTTPStatus(status).phrase} for status in statuses}


def install(application: FastAPI) -> None:
    """Make every error of the application have the one shape."""
    application.add_exception_handler(ApiError, _api_error)
    application.add_exception_handler(HTTPException, _http_error)
    application.add_exception_handler(RequestValidationError, _invalid)
    for kind in (OperationalError, PoolTimeout):
        application.add_exception_handler(kind, _database)
    application.add_exception_handler(Exception, _unexpected)


def answer(status: int, message: str, param: str | None = None) -> JSONResponse:
    """Return an error; a 401 says which way to log in a program has (RFC 9110, 11.6.1)."""
    kind = _TYPES.get(status, "internal" if status >= 500 else "invalid_request")
    error = {"type": kind, "message": message} | ({"param": param} if param else {})
    headers = {"www-authenticate": 'Bearer realm="douane"'} if status == 401 else None
    return JSONResponse({"error": error}, status, headers)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for it; narrows the type
    return answer(error.status, error.message, error.param)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer with what the framework found. A body that cannot be read (its 400) is an invalid request like any other."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it; narrows the type
    path = request.url.path
    message = f"there is nothing at {path}" if error.status_code == 404 else str(error.detail)
    found = answer(422 if error.status_code == 400 else error.status_code, message)
    found.headers.update(error.headers or {})
    if error.status_code == 405:
        found.headers["allow"] = _allowed(request) or found.headers["allow"]
    return found


def _allowed(request: Request) -> str:
    """Return the methods of every route of the first path that matches; the framework tells those of one route."""
    known = [one.original_route for one in iter_route_contexts(request.app.routes)]
    routes = [one for one in known if isinstance(one, Route) and one.path_regex.match(request.scope["path"])]
    return ", ".join(
        sorted({method for one in routes if one.path_format == routes[0].path_format for method in one.methods or ()})
    )


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it; narrows the type
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"][1:])
    return answer(422, f"{param}: {first['msg']}" if param else str(first["msg"]), param or None)


async def _database(request: Request, error: Exception) -> JSONResponse:
    kind = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
    _LOG.error("api.database", extra={"path": request.url.path, "error": kind})
    return answer(503, "the database cannot be reached")


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return answer(500, "something went wrong here; the log says what")
