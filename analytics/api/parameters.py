"""What endpoints are asked with, beside their window: whose rows, which dimensions, which page.

In: query parameters. Out: a Question (a Slice of the store and its Span), a Page; the opaque text of a cursor.
Never: a tenant beyond the one that asks; text that a database refuses (NUL becomes the replacement character, as stored).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from analytics.access.principal import Principal
from analytics.api.auth import Viewer
from analytics.api.errors import ApiError
from analytics.api.windows import Asked, Span
from analytics.store.cubes import Slice

# As ingest cuts them (ingest/decode.py): nothing longer is held.
NAME_CHARS, PATH_CHARS = 256, 2_048
MAX_LIMIT = 1_000
# The longest key is an endpoint of 2,048 characters, each up to four bytes, half as much again in base64.
_CURSOR_CHARS = 16_384
_MAX_INTEGER = 2**63 - 1


def moment(unix_s: float) -> datetime:
    """Return the moment in UTC."""
    return datetime.fromtimestamp(unix_s, UTC)


def _stored(text: str) -> str:
    return text.replace("\x00", "\ufffd")


Name = Annotated[str, StringConstraints(max_length=NAME_CHARS), AfterValidator(_stored)]
PathName = Annotated[str, StringConstraints(max_length=PATH_CHARS), AfterValidator(_stored)]
DecisionId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
# What people write. NUL is refused by databases; a lone surrogate by pydantic.
Note = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")]
Cursor = Annotated[str, StringConstraints(max_length=_CURSOR_CHARS, pattern=r"^[A-Za-z0-9_-]+$")]
# How a list of the traffic cube is asked for: what tells its items apart, and how many of them.
Dimension = Annotated[
    Literal["model", "provider", "endpoint"], Query(description="What to list by.", examples=["model"])
]
Most = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items of the list.", examples=[20])]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Most entries of a page.", examples=[50])]


def encode_cursor(*parts: Any) -> str:
    """Return the text of a cursor that holds JSON values."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str, keys: int) -> tuple[int, tuple[str, ...]]:
    """Return the (value, key) that `encode_cursor(sort, value, *key)` wrote for a list of the same order.

    Raises: ApiError 422 for any other text.
    """
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        made_for, value, *key = parts
        key = [str(one).encode().decode() for one in key]  # a lone surrogate cannot be sent to a database
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise ApiError(422, "cursor: this is no next_cursor of a page", "cursor") from error
    known = type(value) is int and abs(value) <= _MAX_INTEGER and not any("\x00" in one for one in key)
    if made_for != sort or len(key) != keys or not known:
        raise ApiError(422, "cursor: it belongs to a list of another order", "cursor")
    return value, tuple(key)


def scope(who: Principal, tenant: str | None) -> str | None:
    """Return whose rows are read: the tenant asked for, else all that may be seen. Raises: ApiError 403."""
    if tenant is None:
        return who.tenant
    if not who.sees(tenant):
        raise ApiError(403, "tenant: this is another tenant's", "tenant")
    return tenant


def _reads(
    who: Viewer,
    tenant: Annotated[
        Name | None, Query(description="One tenant; all that may be seen when left out.", examples=["default"])
    ] = None,
) -> str | None:
    return scope(who, tenant)


# Whose rows are read: None means every tenant's.
Reads = Annotated[str | None, Depends(_reads)]


def _narrowed(
    model: Annotated[Name | None, Query(description="One model.", examples=["gpt-4o"])] = None,
    provider: Annotated[Name | None, Query(description="One provider.", examples=["openai"])] = None,
    endpoint: Annotated[PathName | None, Query(description="One endpoint.", examples=["/v1/chat/completions"])] = None,
    user: Annotated[Name | None, Query(description="One user.", examples=["alice"])] = None,
) -> Mapping[str, str]:
    given = {"model": model, "provider": provider, "endpoint": endpoint, "user": user}
    return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the rollups, and the window as the answer shows it."""

    slice: Slice
    span: Span


def _asked(tenant: Reads, span: Asked, equal: Annotated[Mapping[str, str], Depends(_narrowed)]) -> Question:
    return Question(Slice(span.window, tenant, equal), span)


def _of_traffic(
    tenant: Reads,
    span: Asked,
    model: Annotated[Name | None, Query(description="One model.", examples=["gpt-4o"])] = None,
    provider: Annotated[Name | None, Query(description="One provider.", examples=["openai"])] = None,
    endpoint: Annotated[PathName | None, Query(description="One endpoint.", examples=["/v1/chat/completions"])] = None,
) -> Question:
    return Question(Slice(span.window, tenant, _narrowed(model, provider, endpoint)), span)


def _whole(tenant: Reads, span: Asked) -> Question:
    return Question(Slice(span.window, tenant), span)


# About a window, narrowed by model, provider, endpoint or user; by all but the user; and about a window as a whole.
Narrowed = Annotated[Question, Depends(_asked)]
Trafficked = Annotated[Question, Depends(_of_traffic)]
Whole = Annotated[Question, Depends(_whole)]


class Page(BaseModel):
    """Which part of a list."""

    limit: Limit = 100
    cursor: Cursor | None = Field(
        default=None, description="The previous page's next_cursor.", examples=["WyJyZXF1ZXN0cyIsNDIsImdwdC00byJd"]
    )


Paged = Annotated[Page, Query()]
