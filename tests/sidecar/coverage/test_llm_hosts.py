import pytest

from sidecar.coverage.llm_hosts import Llm, llm_host
from sidecar.envoyconf.providers import PROVIDERS, Provider


@pytest.mark.parametrize("provider", [one for one in PROVIDERS if one.host], ids=lambda one: one.name)
def test_hosts_of_the_provider_table_are_listed(provider: Provider) -> None:
    assert llm_host(provider.host, 443) == Llm(provider.name, listed=True)


def test_an_upstream_served_elsewhere_counts_as_its_provider() -> None:
    moved = (PROVIDERS[-1].redirected("http://gpu.internal:8000"),)
    assert llm_host("gpu.internal", 8000, moved) == Llm(PROVIDERS[-1].name, listed=True)
    assert llm_host("gpu.internal", 22, moved) == Llm()


@pytest.mark.parametrize(
    ("name", "port", "found"),
    [
        ("eu.api.openai.com", 443, "openai"),
        ("my-company.openai.azure.com", 443, "azure"),
        ("abc123.us-east-1.aws.endpoints.huggingface.cloud", 443, "huggingface"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", 443, "bedrock"),
        ("europe-west4-aiplatform.googleapis.com", 443, "gemini"),
        ("generativelanguage.googleapis.com", 443, "gemini"),
        ("claude.ai", 443, "anthropic"),
        ("ollama.internal", 80, "ollama"),
        ("team-vllm.svc.cluster.local", 8000, "vllm"),
        ("llm_gateway.corp.example", 443, "llm"),
        ("10.0.0.9", 11434, "ollama"),
        ("gpu-box", 1234, "lmstudio"),
        ("openai.com.relay.example", 443, "openai"),
    ],
)
def test_llm_hosts_are_known_by_name_and_port(name: str, port: int, found: str) -> None:
    assert llm_host(name, port).name == found


@pytest.mark.parametrize("name", ["claude.ai", "ollama.internal", "team-vllm.svc.cluster.local", "chatgpt.com"])
def test_hosts_beyond_the_table_only_look_like_one(name: str) -> None:
    assert not llm_host(name, 443).listed
    assert llm_host(name, 443).name


@pytest.mark.parametrize(
    "name",
    [
        "pypi.org",
        "github.com",
        "notopenai.com",
        "s3.eu-west-1.amazonaws.com",
        "storage.googleapis.com",
        "bedrock.example",
        "xx.ai",
        "llmnr.local",
        "10.0.0.9",
        "",
    ],
)
def test_other_names_are_none(name: str) -> None:
    assert llm_host(name, 443) == Llm()
