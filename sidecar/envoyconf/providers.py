"""The one table of LLM hosts: what Douane knows of each, and under which path the gateway offers it.

In: nothing. Out: PROVIDERS. A new provider is one line here.
Source: the providers' public API references, read 2026-11.
"""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Provider:
    """An LLM host. A request to gateway_prefix + rest goes to https://host:port + upstream_prefix + rest."""

    name: str
    host: str
    gateway_prefix: str
    upstream_prefix: str
    key_variable: str
    port: int = 443
    tls: bool = True

    def redirected(self, url: str) -> "Provider":
        """Return this provider served from another base URL, such as http://127.0.0.1:8090.

        Raises: ValueError when the URL has no http(s) scheme or no host, or carries more than a host and a port.
        """
        parts = urlsplit(url)
        more = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None
        if parts.scheme not in ("http", "https") or not parts.hostname or more:
            raise ValueError("an upstream is http(s)://host[:port] and nothing else")  # the URL may hold a password
        tls = parts.scheme == "https"
        return replace(self, host=parts.hostname, port=parts.port or (443 if tls else 80), tls=tls)


# Longest prefixes first: Envoy takes the first route that matches.
PROVIDERS: tuple[Provider, ...] = (
    Provider("openrouter", "openrouter.ai", "/openrouter/v1/", "/api/v1/", "OPENROUTER_API_KEY"),
    Provider("anthropic", "api.anthropic.com", "/anthropic/v1/", "/v1/", "ANTHROPIC_API_KEY"),
    Provider("openai", "api.openai.com", "/v1/", "/v1/", "OPENAI_API_KEY"),
)


def provider_named(name: str, providers: tuple[Provider, ...] = PROVIDERS) -> Provider:
    """Return the provider of that name.

    Raises: ValueError naming the known ones.
    """
    for provider in providers:
        if provider.name == name:
            return provider
    raise ValueError(f"unknown provider {name!r}; known: {', '.join(p.name for p in providers)}")
