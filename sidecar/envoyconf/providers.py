"""The one table of LLM hosts: what Douane knows of each, and under which path the gateway offers it.

In: nothing. Out: PROVIDERS; host names told apart. A new provider is one line here.
Hosts are names, or patterns: a star stands for letters, digits, hyphens and underscores, at the beginning for dots as well, and
before a port for an address too: *.openai.azure.com, bedrock-runtime.*-*.amazonaws.com (a region; s3 is none), *:11434. Only what
is listed is ever decrypted.
Source: the providers' public API references, read 2026-11.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Provider:
    """An LLM host. A request to gateway_prefix + rest goes to https://host:port + upstream_prefix + rest.

    Shape: more are other names and patterns that are this provider's at the proxy and transparent doors; without a
    gateway_prefix there is no base URL for it; moved says that it is served elsewhere (DOUANE_UPSTREAMS).
    """

    name: str
    host: str
    gateway_prefix: str = ""
    upstream_prefix: str = "/"
    key_variable: str = ""
    more: tuple[str, ...] = ()
    port: int = 443
    tls: bool = True
    moved: bool = False
    names: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every name and pattern of this provider, as clients call it."""
        return self.names or tuple(name for name in (self.host, *self.more) if name)

    @property
    def gateway(self) -> bool:
        """True when the gateway has a path for it, and knows where that leads."""
        return bool(self.gateway_prefix and self.host)

    def redirected(self, url: str) -> "Provider":
        """Return this provider served from another base URL, such as http://127.0.0.1:8090.

        Raises: ValueError when the URL has no http(s) scheme or no host, or carries more than a host and a port.
        """
        parts = urlsplit(url)
        more = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None
        if parts.scheme not in ("http", "https") or not parts.hostname or more:
            raise ValueError("an upstream is http(s)://host[:port] and nothing else")  # the URL may hold a password
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        return replace(self, host=parts.hostname, port=port, tls=tls, moved=True, names=self.hosts)


# Longest prefixes first: Envoy takes the first route that matches. Those without a host are offered by path once DOUANE_UPSTREAMS
# says where they are.
PROVIDERS: tuple[Provider, ...] = (
    Provider("openrouter", "openrouter.ai", "/openrouter/v1/", "/api/v1/", "OPENROUTER_API_KEY"),
    Provider("anthropic", "api.anthropic.com", "/anthropic/v1/", "/v1/", "ANTHROPIC_API_KEY"),
    Provider(
        "gemini",
        "generativelanguage.googleapis.com",
        "/gemini/",
        key_variable="GEMINI_API_KEY",
        more=("aiplatform.googleapis.com", "*-aiplatform.googleapis.com"),
    ),
    Provider("mistral", "api.mistral.ai", "/mistral/v1/", "/v1/", "MISTRAL_API_KEY", more=("codestral.mistral.ai",)),
    Provider("cohere", "api.cohere.com", "/cohere/", key_variable="COHERE_API_KEY", more=("api.cohere.ai",)),
    Provider(
        "azure",
        "",
        "/azure/",
        key_variable="AZURE_OPENAI_API_KEY",
        more=(
            "*.openai.azure.com",
            "*.cognitiveservices.azure.com",
            "*.services.ai.azure.com",
            "*.models.ai.azure.com",
        ),
    ),
    Provider(
        "bedrock", "", "/bedrock/", more=("bedrock-runtime.*-*.amazonaws.com", "bedrock-runtime-fips.*-*.amazonaws.com")
    ),
    Provider("groq", "api.groq.com", "/groq/v1/", "/openai/v1/", "GROQ_API_KEY"),
    Provider("together", "api.together.xyz", "/together/v1/", "/v1/", "TOGETHER_API_KEY", more=("api.together.ai",)),
    Provider("fireworks", "api.fireworks.ai", "/fireworks/v1/", "/inference/v1/", "FIREWORKS_API_KEY"),
    Provider("deepseek", "api.deepseek.com", "/deepseek/v1/", "/v1/", "DEEPSEEK_API_KEY"),
    Provider("xai", "api.x.ai", "/xai/v1/", "/v1/", "XAI_API_KEY"),
    Provider("perplexity", "api.perplexity.ai", "/perplexity/v1/", "/", "PERPLEXITY_API_KEY"),
    Provider("cerebras", "api.cerebras.ai", "/cerebras/v1/", "/v1/", "CEREBRAS_API_KEY"),
    Provider("nvidia", "integrate.api.nvidia.com", "/nvidia/v1/", "/v1/", "NVIDIA_API_KEY"),
    Provider(
        "huggingface",
        "router.huggingface.co",
        "/huggingface/v1/",
        "/v1/",
        "HF_TOKEN",
        more=("api-inference.huggingface.co", "*.endpoints.huggingface.cloud"),
    ),
    Provider("ollama", "", "/ollama/", more=("*:11434",), port=11434, tls=False),
    Provider("openai", "api.openai.com", "/v1/", "/v1/", "OPENAI_API_KEY", more=("*.api.openai.com",)),
)


def provider_named(name: str, providers: tuple[Provider, ...] = PROVIDERS) -> Provider:
    """Return the provider of that name.

    Raises: ValueError naming the known ones.
    """
    for provider in providers:
        if provider.name == name:
            return provider
    raise ValueError(f"unknown provider {name!r}; known: {', '.join(p.name for p in providers)}")


def with_hosts(providers: tuple[Provider, ...], added: Iterable[tuple[str, str]]) -> tuple[Provider, ...]:
    """Return the providers with further (host or pattern, provider) pairs, as DOUANE_LLM_HOSTS names them.

    Raises: ValueError for an unknown provider, or a host that is none.
    """
    found = {provider.name: provider for provider in providers}
    for host, name in added:
        if not _HOST.fullmatch(host.lower()):
            raise ValueError(f"{host!r} is no host name or pattern such as llm.corp.example or *.llm.corp.example")
        if not _names_a_domain(host):
            raise ValueError(
                f"{host!r} is every host there is; name a domain behind the star, as in *.llm.corp.example"
            )
        provider = provider_named(name, providers)
        found[name] = replace(found[provider.name], more=(*found[provider.name].more, host.lower()))
    return tuple(found.values())


def _names_a_domain(host: str) -> bool:
    """Tell whether a pattern can be certified: our authority is constrained to domains. *:8080 needs no certificate."""
    name = host.partition(":")[0]
    return "*" not in name or host[:2] == "*:" or "." in name.rpartition("*")[2]


_HOST = re.compile(r"(\*\.)?[a-z0-9*]([a-z0-9.*-]*[a-z0-9*])?(:[0-9]{1,5})?")


def host_pattern(hosts: Iterable[str]) -> str:
    """Return a regular expression (RE2) that matches these hosts whole, ports left away where a host names none.

    A name may end in a dot, which says that it is whole (RFC 1034, 3.1): it leads to the same host.
    """
    return "(?i)(?:" + "|".join(_expression(host) for host in hosts) + ")"


def _expression(host: str) -> str:
    name, colon, port = host.partition(":")
    first, *rest = (re.escape(part).replace(r"\-", "-") for part in name.split("*"))
    if not first and rest:
        begin = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])" if colon and not rest[0] else "[a-z0-9._-]+"
        first, *rest = begin + rest[0], *rest[1:]
    return "[a-z0-9_-]+".join((first, *rest)) + r"\.?" + (f":{port}" if port else "")


def llm_host(name: str, providers: tuple[Provider, ...] = PROVIDERS) -> str:
    """Return the provider a host name (with or without port) belongs to, empty for none."""
    bare = name.partition(":")[0]
    for provider in providers:
        pattern = host_pattern(provider.hosts)
        if re.fullmatch(pattern, bare) or re.fullmatch(pattern, name):
            return provider.name
    return ""
