"""API tokens: who may make and revoke which, and whom a token speaks for.

In: a transaction, who asks, what they want; a token's text. Out: tokens, Principals. Raises AccessError in words for whoever asked.
A token opens no more than whoever made it: its tenant is theirs, and of the scopes only those they have. It is shown once.
Never: a token's secret anywhere but in the answer that shows it.
"""

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from analytics.access import bearer
from analytics.access.people import check_tenant
from analytics.access.principal import PERSONAL_SCOPES, SCOPES, SIDECAR_SCOPES, TOKEN_SCOPES, Principal, Role
from analytics.access.refusals import AccessError
from analytics.store import audit, tokens
from analytics.store.tokens import Token

NOTE_EVERY_S = 60  # a token's last use is written at most so often


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is made of. expires_unix_s None: never."""

    name: str
    role: Role
    tenant: str | None = None
    scopes: tuple[str, ...] = ()
    expires_unix_s: int | None = None


def create(
    connection: Connection,
    by: Principal,
    new: NewToken,
    now_s: float,
    entropy: Callable[[int], bytes] = os.urandom,
) -> tuple[Token, str]:
    """Make a token; return it and its text. Raises: AccessError."""
    check_tenant(connection, by, new.tenant)
    _check_scopes(by, new)
    if new.expires_unix_s is not None and new.expires_unix_s <= now_s:
        raise AccessError("invalid", "a token does not expire before it is made", "expires_at")
    minted = bearer.mint(entropy)
    scopes = tuple(one for one in SCOPES if one in new.scopes)
    token = Token(minted.id, new.name, new.role, new.tenant, scopes, by.name, int(now_s), new.expires_unix_s)
    tokens.add(connection, token, minted.digest)
    audit.add(connection, replace(_entry(by, "token.create", token, now_s), after=shown(token)))
    return token, minted.text


def revoke(connection: Connection, by: Principal, token_id: str, now_s: float) -> Token:
    """Make a token open nothing any more, from the next request on. Doing it again changes nothing. Raises: AccessError."""
    found = tokens.find(connection, token_id)
    if found is None or (by.tenant is not None and found[0].tenant != by.tenant):
        raise AccessError("missing", "no token has this id", "token_id")
    token = found[0]
    if token.revoked_unix_s is None:
        tokens.revoke(connection, token_id, int(now_s))
        audit.add(connection, replace(_entry(by, "token.revoke", token, now_s), before=shown(token)))
    return replace(token, revoked_unix_s=token.revoked_unix_s or int(now_s))


def whose(connection: Connection, text: str, now_s: float) -> tuple[Token, Principal] | None:
    """Return a token and whom it speaks for; None for what is no token, or opens nothing (any more)."""
    read = bearer.read(text)
    found = tokens.find(connection, read[0]) if read else None
    if read is None or found is None:
        return None
    token, digest = found
    if not hmac.compare_digest(read[1], digest) or not token.good(now_s):
        return None
    scopes = frozenset(token.scopes) if token.scopes else TOKEN_SCOPES
    return token, Principal(f"token:{token.name}", token.role, token.tenant, scopes)


def due(token: Token, now_s: float) -> bool:
    """Return whether a token's use is to be written down again."""
    return token.last_used_unix_s is None or token.last_used_unix_s <= now_s - NOTE_EVERY_S


def shown(token: Token) -> dict[str, Any]:
    """Return what the audit trail says of a token."""
    told = {name: getattr(token, name) for name in ("name", "role", "tenant", "expires_unix_s")}
    return told | {"scopes": list(token.scopes)}


def _check_scopes(by: Principal, new: NewToken) -> None:
    unknown = [one for one in new.scopes if one not in SCOPES]
    if unknown:
        raise AccessError("invalid", f"scopes are {', '.join(SCOPES)}", "scopes")
    # People let sidecars in, though they are none.
    may = by.scopes | SIDECAR_SCOPES if by.scopes >= PERSONAL_SCOPES else by.scopes
    wanted = frozenset(new.scopes) or TOKEN_SCOPES
    if not wanted <= may:
        raise AccessError("forbidden", f"{by.name} has not the scopes {', '.join(sorted(wanted - may))}", "scopes")


def _entry(by: Principal, action: str, token: Token, now_s: float) -> audit.Entry:
    return audit.Entry(int(now_s * 1e6), by.name, action, token.token_id, token.tenant or "")
