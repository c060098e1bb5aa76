"""The identity provider: OpenID Connect's authorization code flow, with state, nonce and PKCE.

In: settings, what the provider answers. Out: where to send a browser, and who came back: a subject, a name, a role.
The ID token is checked by Authlib and joserfc: signature by the provider's keys, issuer, audience, expiry, nonce (OpenID Connect
Core 1.0, 3.1.3.7); algorithms are asymmetric ones only, so that our client secret never verifies anything.
Never: a role for somebody whose claim names none; a token of the provider's in a log.
"""

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped] # it ships no type information
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from analytics.access.principal import ROLES, Role
from analytics.access.refusals import AccessError
from analytics.config import Settings

_TIMEOUT_S = 10.0
_LEEWAY_S = 60  # clocks differ
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
CALLBACK = "/api/session/oidc/callback"


@dataclass(frozen=True, slots=True)
class Flow:
    """One log-in under way: what the browser keeps until it comes back."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who came back."""

    subject: str
    name: str
    role: Role
    tenant: str | None


class Provider:
    """The provider that the settings name; its discovery document and keys are read when they are first needed."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._settings = settings
        self._http = httpx.Client(transport=transport, timeout=_TIMEOUT_S)
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {}

    def way(self, flow: Flow) -> str:
        """Return where a browser logs in. Raises: AccessError when the provider is away."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._settings.public_url + CALLBACK,
            "scope": self._settings.oidc_scopes,
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._discovered()['authorization_endpoint']}?{urlencode(asked)}"

    def person(self, code: str, flow: Flow, now_s: float) -> Person:
        """Return who a code speaks for. Raises: AccessError."""
        try:
            claims = self._claims(self._exchanged(code, flow), flow, now_s)
        except (JoseError, ValueError, KeyError) as error:
            raise AccessError(
                "unknown", f"the identity provider's answer is not good: {type(error).__name__}"
            ) from error
        return _person(claims, self._settings)

    def _exchanged(self, code: str, flow: Flow) -> str:
        settings = self._settings
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.public_url + CALLBACK,
            "client_id": settings.oidc_client_id,
            "code_verifier": flow.verifier,
        }
        secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
        auth = (settings.oidc_client_id, secret) if secret else None
        return str(self._answer("POST", self._discovered()["token_endpoint"], data=sent, auth=auth)["id_token"])

    def _claims(self, token: str, flow: Flow, now_s: float) -> Mapping[str, Any]:
        keys = KeySet.import_key_set(self._answer("GET", self._discovered()["jwks_uri"]))  # type: ignore[arg-type] # JSON
        decoded = jwt.decode(token, keys, algorithms=_ALGORITHMS)
        settings = self._settings
        options = {
            "iss": {"essential": True, "value": self._discovered()["issuer"]},
            "aud": {"essential": True, "value": settings.oidc_client_id},
        }
        given = {"nonce": flow.nonce, "client_id": settings.oidc_client_id}
        claims = CodeIDToken(decoded.claims, decoded.header, options, given)
        claims.validate(now=int(now_s), leeway=_LEEWAY_S)
        return dict(claims)

    def _discovered(self) -> dict[str, Any]:
        with self._lock:
            if not self._known:
                issuer = self._settings.oidc_issuer.rstrip("/")
                known = self._answer("GET", f"{issuer}/.well-known/openid-configuration")
                if str(known.get("issuer", "")).rstrip("/") != issuer:
                    raise AccessError("unknown", "the identity provider calls itself something else")
                self._known = known
            return self._known

    def _answer(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, url, **more)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise AccessError(
                "unknown", f"the identity provider does not answer as it should: {type(error).__name__}"
            ) from error
        return found


def _person(claims: Mapping[str, Any], settings: Settings) -> Person:
    held = claims.get(settings.oidc_role_claim, [])
    groups = [held] if isinstance(held, str) else [one for one in held if isinstance(one, str)]
    found = [settings.oidc_roles[one].partition("@") for one in groups if one in settings.oidc_roles]
    if not found:
        raise AccessError("forbidden", "the identity provider knows you, and nothing there gives you a role here")
    # The highest role; of two alike, the one of every tenant.
    role, _, tenant = max(found, key=lambda one: (_rank(one[0]), not one[2]))
    name = str(claims.get(settings.oidc_name_claim) or claims.get("email") or claims["sub"]).lower()
    return Person(f"{claims['iss']} {claims['sub']}", name, ROLES[_rank(role)], tenant or None)


def _rank(role: str) -> int:
    return [str(one) for one in ROLES].index(role)
