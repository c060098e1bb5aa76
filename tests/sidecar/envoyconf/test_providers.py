"""The table of LLM hosts."""

from dataclasses import replace

import pytest

from sidecar.envoyconf.providers import PROVIDERS, host_pattern, llm_host, provider_named, with_hosts

OPENAI = provider_named("openai")


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://127.0.0.1:8090", "127.0.0.1", 8090, False),
        ("http://localhost/", "localhost", 80, False),
        ("https://a.test", "a.test", 443, True),
        ("https://a.test:8443", "a.test", 8443, True),
        ("http://[::1]:1", "::1", 1, False),
    ],
)
def test_provider_can_be_served_elsewhere(url: str, host: str, port: int, tls: bool) -> None:
    moved = replace(OPENAI, host=host, port=port, tls=tls, moved=True, names=OPENAI.hosts)
    assert OPENAI.redirected(url) == moved


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.test",
        "127.0.0.1:8090",
        "ftp://a.test",
        "http://",
        "http://:80",
        "http://a.test/v1",
        "http://a.test?x=1",
        "http://a.test#x",
        "http://user:password@a.test",
        "http://a.test:99999",
        "http://a.test:port",
    ],
)
def test_url_that_is_more_or_less_than_a_host_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        OPENAI.redirected(url)
    assert "password" not in str(caught.value)


def test_unknown_provider_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown provider 'openia'; known: openrouter, anthropic, gemini"):
        provider_named("openia")


@pytest.mark.parametrize("host", ["*", "llm-*", "llm-*:8443"])
def test_a_pattern_without_a_domain_is_refused(host: str) -> None:
    """Our authority, which is constrained to the domains, could then sign for every name."""
    with pytest.raises(ValueError, match="name a domain behind the star"):
        with_hosts(PROVIDERS, [(host, "openai")])
    assert "*:8443" in with_hosts(PROVIDERS, [("*:8443", "openai")])[-1].hosts


def test_names_and_prefixes_are_used_once_and_longest_first() -> None:
    prefixes = [provider.gateway_prefix for provider in PROVIDERS]
    assert len({provider.name for provider in PROVIDERS}) == len(PROVIDERS)
    for index, prefix in enumerate(prefixes):
        assert not any(later.startswith(prefix) for later in prefixes[index + 1 :])
    assert all(p.endswith("/") for provider in PROVIDERS for p in (provider.gateway_prefix, provider.upstream_prefix))


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("api.openai.com", "openai"),
        ("API.OpenAI.com:443", "openai"),
        ("eu.api.openai.com", "openai"),
        ("mine.openai.azure.com", "azure"),
        ("openai.azure.com", ""),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("s3.us-east-1.amazonaws.com", ""),
        ("bedrock-runtime.evil.example", ""),
        ("us-central1-aiplatform.googleapis.com", "gemini"),
        ("storage.googleapis.com", ""),
        ("api.openai.com.evil.example", ""),
        ("evil-api.openai.com", ""),
        ("ollama.internal:11434", "ollama"),
        ("ollama.internal", ""),
        ("", ""),
    ],
)
def test_hosts_are_told_apart(name: str, provider: str) -> None:
    assert llm_host(name) == provider


def test_a_moved_provider_keeps_its_hosts() -> None:
    moved = provider_named("azure").redirected("https://localhost:9443")
    assert llm_host("mine.openai.azure.com", (moved,)) == "azure"
    assert llm_host("localhost", (moved,)) == ""


def test_hosts_of_one_s_own_are_added() -> None:
    found = with_hosts(PROVIDERS, [("LLM.corp.example", "openai"), ("*.models.corp.example:8443", "anthropic")])
    assert llm_host("llm.corp.example", found) == "openai"
    assert llm_host("a.models.corp.example:8443", found) == "anthropic"
    assert llm_host("api.openai.com", found) == "openai"
    for host, name, words in (("llm.corp.example", "openia", "unknown provider"), ("https://x/", "openai", "no host")):
        with pytest.raises(ValueError, match=words):
            with_hosts(PROVIDERS, [(host, name)])


def test_a_pattern_matches_nothing_else() -> None:
    assert host_pattern(("a.b", "*-c.d")) == r"(?i)(?:a\.b\.?|[a-z0-9._-]+-c\.d\.?)"
