"""Settings of who may do what: log-ins, sessions, sidecars' tokens and certificates, the identity provider.

Never: a password, a token or a client's secret in a text.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from analytics.access.origin import is_loopback
from analytics.config.fields import PREFIX, ConfigError

Names = Annotated[tuple[str, ...], NoDecode]


class AccessSettings(BaseSettings):
    """Who may do what."""

    authentication: Literal["auto", "required"] = Field(
        default="auto",
        description="auto: this machine's own users need no account while there is none; required: everybody does.",
    )
    admin_name: str = Field(default="admin", description="Name of the account that ADMIN_PASSWORD makes.")
    admin_password: SecretStr | None = Field(
        default=None, description="Makes the first administrator at the start, while there is none; for containers."
    )
    sidecar_token: SecretStr | None = Field(
        default=None,
        description="A token that every sidecar of this installation may use, 32 characters or more; for containers.",
    )
    public_url: str = Field(
        default="", description="How browsers reach the dashboard, https://douane.example; needed for OIDC."
    )
    trusted_proxies: Names = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Networks of proxies whose X-Forwarded-For tells who logs in, separated by commas.",
    )
    # NIST SP 800-63B-4, 2.2.3 (AAL2): an hour of inactivity, 24 hours in all.
    session_idle_s: int = Field(default=3_600, ge=60, le=2_592_000, description="Seconds until an unused session ends.")
    session_max_s: int = Field(default=86_400, ge=60, le=2_592_000, description="Seconds until every session ends.")
    metrics_open: bool = Field(
        default=False, description="Let everybody read /metrics, where others need an account or a token."
    )
    grpc_cert: Path | None = Field(default=None, description="Certificate of the ingest server; set: TLS.")
    grpc_key: Path | None = Field(default=None, description="The key of the ingest server's certificate.")
    grpc_client_ca: Path | None = Field(
        default=None, description="Authority of sidecars' certificates; set: every sidecar must show one (mTLS)."
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(one.strip() for one in value.split(",") if one.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            ipaddress.ip_network(one)
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.rstrip("/")):
            raise ValueError("give scheme and host, https://douane.example")
        return value.rstrip("/").lower()

    @field_validator("sidecar_token")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        # 32 characters: 128 bits even when they are hex digits, the least that NIST SP 800-131A calls secure.
        if value is not None and value.get_secret_value() and len(value.get_secret_value()) < 32:
            raise ValueError("at least 32 characters; `openssl rand -hex 32` makes one")
        return value or None

    @property
    def origins(self) -> tuple[str, ...]:
        """What browsers call our own pages, beside what they were asked for by."""
        return (self.public_url,) if self.public_url else ()


class OidcSettings(BaseSettings):
    """The identity provider."""

    oidc_issuer: str = Field(default="", description="OIDC provider; its discovery document lies below. Empty: none.")
    oidc_client_id: str = Field(default="", description="Our client id at the provider.")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Our client secret; unset: a public client (PKCE is used either way)."
    )
    oidc_scopes: str = Field(default="openid profile email", description="Scopes that are asked for.")
    oidc_name_claim: str = Field(default="preferred_username", description="Claim that names the account.")
    oidc_role_claim: str = Field(default="groups", description="Claim that OIDC_ROLES maps: a text or a list.")
    oidc_roles: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Roles by the claim's values: ops=admin,acme-soc=analyst@acme; the highest counts, others are refused.",
    )

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [one.rpartition("=") for one in value.split(",") if one.strip()]
        return {name.strip(): role.strip() for name, _, role in pairs}

    @field_validator("oidc_roles")
    @classmethod
    def _roles(cls, value: dict[str, str]) -> dict[str, str]:
        for name, role in value.items():
            if not name or role.partition("@")[0] not in ("viewer", "analyst", "admin"):
                raise ValueError("give value=role or value=role@tenant; roles are viewer, analyst, admin")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _https(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ValueError("an issuer's URL is https")
        return value


def check(settings: AccessSettings, oidc: OidcSettings) -> None:
    """Raises: ConfigError when one setting needs another that is not there."""
    pairs = (
        ("GRPC_CERT", "GRPC_KEY", bool(settings.grpc_cert) is bool(settings.grpc_key)),
        ("GRPC_CLIENT_CA", "GRPC_CERT", bool(settings.grpc_cert) or not settings.grpc_client_ca),
        ("OIDC_ISSUER", "OIDC_CLIENT_ID", bool(oidc.oidc_client_id) or not oidc.oidc_issuer),
        ("OIDC_ISSUER", "OIDC_ROLES", bool(oidc.oidc_roles) or not oidc.oidc_issuer),
        ("OIDC_ISSUER", "PUBLIC_URL", bool(settings.public_url) or not oidc.oidc_issuer),
    )
    for name, needed, there in pairs:
        if not there:
            raise ConfigError(f"{PREFIX}{name}: it needs {PREFIX}{needed} beside it")
