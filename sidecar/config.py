"""The settings, read once from the environment and `.env`.

In: environment variables. Out: Settings. Nothing reads the environment later.
A bad value stops the start with the variable's name and what is allowed. README's table is compared with this class by a test.
"""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sidecar.certs.roots import system_roots
from sidecar.envoyconf.providers import PROVIDERS, Provider, provider_named, with_hosts
from sidecar.policy import Policy
from sidecar.types import Mode

Port = Annotated[int, Field(ge=1, le=65535)]
PortOrNone = Annotated[int, Field(ge=0, le=65535)]


class ConfigError(ValueError):
    """A setting has a value that cannot be used."""


class Settings(BaseSettings):
    """Every setting of the sidecar and of `douane up`."""

    model_config = SettingsConfigDict(env_prefix="DOUANE_", env_file=".env", extra="ignore", frozen=True)

    data: Path = Field(Path("~/.local/share/douane"), description="Folder of spools, databases, sockets and keys")
    bind: str = Field("127.0.0.1", description="Address of the gateway; beyond loopback see DOUANE_REMOTE_PAGES")
    remote_pages: bool = Field(
        False, description="Offer pages and API beyond loopback too; analytics then needs an administrator's account"
    )
    port: Port = Field(8000, description="Port of the gateway")
    proxy_port: PortOrNone = Field(3128, description="Port of the forward proxy (HTTPS_PROXY); 0: none")
    proxy_bind: str = Field("127.0.0.1", description="Address of the forward proxy; whoever reaches it can use it")
    transparent_port: PortOrNone = Field(
        0, description="Port that envoy/capture.sh redirects connections to, usually 15001; 0: none"
    )
    connect_ports: Annotated[tuple[Port, ...], NoDecode] = Field(
        (443,), description="Ports that the forward proxy's CONNECT leads to: 443,8443"
    )
    llm_hosts: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Further LLM hosts to inspect, with whose format they speak: llm.corp.example=openai,...",
    )
    admin_port: Port = Field(9901, description="Port of Envoy's admin page, always on loopback")
    metrics_port: Port = Field(9464, description="Port of the sidecar's Prometheus metrics, on loopback")
    analytics_http_port: Port = Field(8080, description="Port of analytics: dashboard, API, docs")
    analytics_grpc_port: Port = Field(8081, description="Port on which analytics takes records")
    analytics_grpc: str = Field("", description="host:port of another analytics; empty: `douane up` starts one itself")
    analytics_token: SecretStr | None = Field(
        None, description="Token that analytics knows this sidecar by; needed unless it is on this machine"
    )
    analytics_ca: Path | None = Field(None, description="Certificates that analytics is verified against; set: TLS")
    analytics_cert: Path | None = Field(None, description="This sidecar's certificate for analytics (mTLS)")
    analytics_key: Path | None = Field(None, description="The key of this sidecar's certificate")
    workers: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1), ge=1, le=64, description="Sidecar worker processes"
    )
    upstreams: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict, description="Providers served elsewhere: openai=http://127.0.0.1:9999,..."
    )
    upstream_ca_file: str = Field(
        default_factory=lambda: system_roots(os.environ),
        description="Certificates that providers are verified against",
    )
    demo_port: Port = Field(8090, description="Port of the stand-in provider, started when no provider key is set")
    mode: Mode = Field(Mode.ENFORCE, description="enforce blocks and fails closed; observe records and fails open")
    policy_file: Path | None = Field(
        None, description="Policy file, hot-reloaded; default: policy.yaml in the data folder"
    )
    models_file: Path | None = Field(
        None, description="Model names of /generate; default: models.yaml in the data folder"
    )
    packs_dir: Path | None = Field(
        None, description="Folder of your own rules, hot-reloaded; default: packs in the data folder, if it exists"
    )
    max_body_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, le=128 * 1024 * 1024, description="Largest request body, bytes"
    )
    spool_max_bytes: int = Field(512 * 1024 * 1024, ge=65536, description="Largest spool per worker, bytes")
    spool_sync: bool = Field(
        False, description="Flush every record to disk before its verdict leaves (survives power cuts)"
    )
    user_header: str = Field("x-user-id", description="Request header that names the user")
    tenant_header: str = Field("x-tenant-id", description="Request header that names the tenant")
    team_header: str = Field("x-team-id", description="Request header that names the team")
    session_header: str = Field("x-session-id", description="Request header that names the session")
    drain_s: float = Field(10.0, ge=0, le=3600, description="Seconds that open answers get when stopping")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR")
    digest_key: SecretStr | None = Field(
        None,
        description="Key of digests, 32 or more hex digits, the same for a fleet; default: made once in the data folder",
    )
    pod_name: str = Field("", description="Pod, as Kubernetes' downward API says")
    pod_namespace: str = Field("", description="Namespace; also the tenant when no header names one")
    service_account: str = Field("", description="Service account")
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="Key used for /generate calls to OpenAI"
    )
    openrouter_api_key: SecretStr | None = Field(
        None, validation_alias="OPENROUTER_API_KEY", description="Key used for /generate calls to OpenRouter"
    )
    anthropic_api_key: SecretStr | None = Field(
        None, validation_alias="ANTHROPIC_API_KEY", description="Key of Anthropic: real hosts are used when it is set"
    )
    alert_security_threshold: float = Field(
        5.0,
        gt=0,
        le=Policy().deny_score,
        validation_alias=AliasChoices("ALERT_SECURITY_THRESHOLD", "DOUANE_ALERT_SECURITY_THRESHOLD"),
        description="Score from which a request raises an alert",
    )
    auto_block_critical_threats: bool = Field(
        True,
        validation_alias=AliasChoices("AUTO_BLOCK_CRITICAL_THREATS", "DOUANE_AUTO_BLOCK_CRITICAL_THREATS"),
        description="Refuse requests whose score is CRITICAL (15 and more)",
    )

    @field_validator("connect_ports", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Read ports separated by commas."""
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value

    @field_validator("upstreams", "llm_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Read name=url pairs separated by commas."""
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        return {name.strip(): url.strip() for name, _, url in pairs}

    @field_validator("upstreams")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        """Check the names and URLs here, so that the complaint names this variable."""
        for name, url in value.items():
            provider_named(name).redirected(url)
        return value

    @field_validator("llm_hosts")
    @classmethod
    def _hosts(cls, value: dict[str, str]) -> dict[str, str]:
        with_hosts(PROVIDERS, value.items())
        return value

    @field_validator("digest_key")
    @classmethod
    def _hexadecimal(cls, value: SecretStr | None) -> SecretStr | None:
        _digest_key(value)
        return value

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return self.data.expanduser().absolute()

    def secret_key(self) -> bytes | None:
        """Return the configured digest key."""
        return _digest_key(self.digest_key)

    def keys(self) -> dict[str, str]:
        """Return the provider keys that are set, by provider."""
        known = {
            "openai": self.openai_api_key,
            "openrouter": self.openrouter_api_key,
            "anthropic": self.anthropic_api_key,
        }
        return {name: key.get_secret_value() for name, key in known.items() if key and key.get_secret_value()}

    def demo(self) -> bool:
        """True when no provider key and no upstream is set: the stand-in provider answers."""
        return not self.keys() and not self.upstreams

    def providers(self) -> tuple[Provider, ...]:
        """Return the providers with those served elsewhere redirected."""
        elsewhere = dict(self.upstreams)
        if self.demo():
            elsewhere = {p.name: f"http://127.0.0.1:{self.demo_port}" for p in PROVIDERS}
        return tuple(p.redirected(elsewhere[p.name]) if p.name in elsewhere else p for p in PROVIDERS)

    def host_providers(self) -> tuple[Provider, ...]:
        """Return the providers as the proxy and transparent doors know them: real hosts, unless DOUANE_UPSTREAMS moves them."""
        known = with_hosts(PROVIDERS, self.llm_hosts.items())
        return tuple(p.redirected(self.upstreams[p.name]) if p.name in self.upstreams else p for p in known)

    def llm_names(self) -> tuple[str, ...]:
        """Return every host name and pattern that is inspected, without ports."""
        return tuple(
            host.partition(":")[0] for p in self.host_providers() if p.hosts for host in p.hosts if host[:2] != "*:"
        )

    def default_policy(self) -> Policy:
        """Return what a policy file that says nothing means."""
        return Policy(
            mode=self.mode, alert_score=self.alert_security_threshold, block_critical=self.auto_block_critical_threats
        )


def _digest_key(value: SecretStr | None) -> bytes | None:
    """Raises: ValueError when it is not 32 to 128 hex digits."""
    if value is None:
        return None
    try:
        key = bytes.fromhex(value.get_secret_value())
    except ValueError:
        raise ValueError("not hexadecimal") from None
    if not 16 <= len(key) <= 64:
        raise ValueError("32 to 128 hex digits are needed")
    return key


def load_settings(**overrides: Any) -> Settings:
    """Return the settings; overrides come from the command line and win.

    Raises: ConfigError naming each variable, the shape of its value, and what is allowed.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise ConfigError("\n".join(_complaint(item) for item in error.errors())) from None


def _complaint(item: Any) -> str:
    names = [str(part) for part in item["loc"]]
    field = names[0] if names else "settings"
    variable = field if field.isupper() else f"DOUANE_{field.upper()}"
    shape = f"{type(item.get('input')).__name__} of {len(str(item.get('input')))} characters"
    return f"{variable}: {item['msg']} (got a {shape})"
