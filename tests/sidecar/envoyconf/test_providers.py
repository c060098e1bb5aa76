"""The table of LLM hosts."""

from dataclasses import replace

import pytest

from sidecar.envoyconf.providers import PROVIDERS, provider_named

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
    assert OPENAI.redirected(url) == replace(OPENAI, host=host, port=port, tls=tls)


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
    with pytest.raises(ValueError, match="unknown provider 'openia'; known: openrouter, anthropic, openai"):
        provider_named("openia")


def test_names_and_prefixes_are_used_once_and_longest_first() -> None:
    prefixes = [provider.gateway_prefix for provider in PROVIDERS]
    assert len({provider.name for provider in PROVIDERS}) == len(PROVIDERS)
    for index, prefix in enumerate(prefixes):
        assert not any(later.startswith(prefix) for later in prefixes[index + 1 :])
    assert all(p.endswith("/") for provider in PROVIDERS for p in (provider.gateway_prefix, provider.upstream_prefix))
