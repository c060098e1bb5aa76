"""What the policy endpoints take and give: bodies in YAML or JSON, versions, heads, differences.

In: requests' bodies, bounded. Out: documents that have been read and checked; answers' models.
Never: a policy's text outside of its own fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from pydantic import BaseModel, Field

from analytics.api.errors import ApiError
from analytics.control import policies
from analytics.control.policies import Document, PolicyError
from analytics.types.control import PolicyVersion

_EXAMPLE = {"mode": "enforce", "deny_score": 12, "leaks": {"secret_leak": "redact"}}
# For OpenAPI: what a body may be.
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            # No type: what a YAML text says may be anything, nothing too (a file of comments is an empty policy).
            "application/yaml": {"schema": {}, "example": "mode: enforce\ndeny_score: 12\n"},
            "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
        },
    }
}
Tenant = Annotated[
    str,
    Path(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00-\x1f\x7f/]+$",
        description="A tenant, or * for all tenants without a policy of their own.",
        examples=["default"],
    ),
]


@dataclass(frozen=True, slots=True)
class Given:
    """A policy as it was sent: its text, and what it says. A JSON body's text is the same as YAML."""

    text: str
    document: Document


async def _raw(request: Request) -> bytes:
    """Return a body. Raises: ApiError 413 before it is in memory."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > policies.MAX_BYTES:
            raise ApiError(413, f"a policy has at most {policies.MAX_BYTES} bytes")
    return bytes(data)


def _given(request: Request, data: Annotated[bytes, Depends(_raw)]) -> Given | None:
    """Return the policy in a body, None for an empty one. Raises: ApiError 422 that names the first place at fault."""
    if not data.strip():
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ApiError(422, "the body is not UTF-8") from None
    try:
        if "json" in request.headers.get("content-type", ""):
            if text.strip() == "null":
                raise ApiError(422, "the body is null; an empty policy is {}")
            document = policies.read_json(text)
            text = policies.write_yaml(document)
        else:
            document = policies.read_yaml(text)
        policies.check(document)
    except PolicyError as error:
        raise refused(error) from None
    return Given(text, document)


def refused(error: PolicyError) -> ApiError:
    """Return the answer to a policy that cannot be in force: the first problem whole, the others by their places."""
    first, *others = error.problems
    also = (
        f" (and {len(others)} more: {', '.join(dict.fromkeys(one.path or 'the whole' for one in others))})"
        if others
        else ""
    )
    return ApiError(422, f"{first}{also}"[:1_000], first.path or None)


Body = Annotated[Given | None, Depends(_given)]


class Version(BaseModel):
    """One version of a policy. It never changes."""

    number: int = Field(examples=[3])
    digest: str = Field(description="What records carry as policy_version.", examples=["9f86d081884c"])
    author: str = Field(examples=["alice"])
    note: str = Field(examples=["deny earlier during the incident"])
    created_at: datetime


class VersionDetail(Version):
    """A version with its content."""

    text: str = Field(description="YAML.", examples=["mode: enforce\n"])
    document: dict[str, Any] = Field(examples=[_EXAMPLE])


class Refusal(BaseModel):
    """A sidecar that could not use the policy that it was sent."""

    sidecar: str = Field(examples=["web-1/0"])
    version: str = Field(description="What is in force there instead.", examples=["built-in"])
    refused: str = Field(description="What it was sent.", examples=["9f86d081884c"])
    reason: str


class Rollout(BaseModel):
    """Which versions are in force in the sidecars that were seen within the last minute."""

    sidecars: int = Field(description="Sidecar workers that watch.", examples=[4])
    versions: dict[str, int] = Field(description="Workers by the digest of the policy in force.")
    refusals: list[Refusal] = Field(description="At most 100.")


class Head(BaseModel):
    """Where a tenant's policy stands."""

    tenant: str = Field(examples=["default"])
    active: int | None = Field(description="The version in force; null: sidecars go by their own file.", examples=[3])
    digest: str | None = Field(description="Of the version in force.", examples=["9f86d081884c"])
    latest: int = Field(examples=[3])
    changed_at: datetime
    changed_by: str = Field(examples=["alice"])


class HeadDetail(Head):
    """Where a tenant's policy stands, with what is in force."""

    version: VersionDetail | None
    rollout: Rollout


class Turn(BaseModel):
    """A moment from which on a version was in force, or none."""

    kind: str = Field(description="activate, withdraw or rollback.", examples=["activate"])
    number: int | None
    actor: str
    note: str
    at: datetime


class Change(BaseModel):
    """One setting that differs."""

    path: str = Field(examples=["user_risk.quarantine_at"])
    kind: str = Field(examples=["changed"])
    before: Any = None
    after: Any = None


class Diff(BaseModel):
    """What differs between two versions."""

    from_number: int
    to_number: int
    changes: list[Change]
    unified: str = Field(description="As `diff -u` writes it.")


def moment(unix_us: int) -> datetime:
    """Return a time as answers show it."""
    return datetime.fromtimestamp(unix_us / 1e6, UTC)


def version_fields(one: PolicyVersion) -> Mapping[str, Any]:
    """Return the fields of a Version or VersionDetail."""
    return {
        "number": one.number,
        "digest": one.digest,
        "author": one.author,
        "note": one.note,
        "created_at": moment(one.created_unix_us),
        "text": one.text,
        "document": dict(one.document),
    }
