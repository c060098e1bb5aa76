"""API tokens as text: how one is made, how one is read.

In: randomness, or the text of an Authorization header. Out: a token's id, and the digest that the store holds of its secret.
A token is `dou_<id>_<secret>`: the prefix lets scanners of repositories find a leaked one, the id finds the row without
looking at the secret, the secret is 256 random bits.
The digest is plain SHA-256, and that is enough: what slow hashes (argon2) protect are secrets that can be guessed, and 2^256
cannot be. A slow hash would cost every call of every sidecar 0.1 s and 64 MB, and protect nothing.
Never: the secret in a row, a log or an answer, but for the one answer that shows it.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

PREFIX = "dou_"
_ID_BYTES, _SECRET_BYTES = 8, 32
_TOKEN = re.compile(r"dou_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token: its text, which is shown once, and what is kept of it."""

    text: str = field(repr=False)
    id: str
    digest: str


def mint(entropy: Callable[[int], bytes]) -> Minted:
    """Return a new token. entropy returns so many random bytes."""
    token_id = entropy(_ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(entropy(_SECRET_BYTES)).rstrip(b"=").decode()
    return Minted(f"{PREFIX}{token_id}_{secret}", token_id, digest(secret))


def read(text: str) -> tuple[str, str] | None:
    """Return a token's id and the digest of its secret; None when the text is no token of ours."""
    found = _TOKEN.fullmatch(text)
    return (found[1], digest(found[2])) if found else None


def digest(secret: str) -> str:
    """Return what is kept of a secret of 256 random bits: 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def credentials(authorization: str) -> str | None:
    """Return what an Authorization header of the scheme Bearer holds, None for any other (RFC 6750, 2.1)."""
    scheme, _, value = authorization.strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None
