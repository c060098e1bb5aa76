"""Which host names are LLM hosts: those of the provider table, and those that look like one.

In: a host name, a port. Out: Llm: the provider's name, and whether it is of the table (what the doors inspect) or only looks so.
A name that merely looks like an LLM host is worth a look, not an accusation; the report keeps the two apart.
Never: a lookup; a name is judged by itself.
Source: the providers' public API references and product pages, read 2026-11; ports from the servers' own documentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sidecar.envoyconf import providers as table
from sidecar.envoyconf.providers import PROVIDERS, Provider


@dataclass(frozen=True, slots=True)
class Llm:
    """What a host is. name is empty for a host that is no LLM host as far as its name tells."""

    name: str = ""
    listed: bool = False


# Domain -> who serves models there; a domain stands for all below it. Chat pages are here too: a prompt is a prompt.
_DOMAINS = {
    "openai.com": "openai",
    "chatgpt.com": "openai",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "inference.ai.azure.com": "azure",
    "models.github.ai": "github_models",
    "githubcopilot.com": "github_copilot",
    "copilot.microsoft.com": "microsoft_copilot",
    "anthropic.com": "anthropic",
    "claude.ai": "anthropic",
    "claude.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "aiplatform.googleapis.com": "gemini",
    "gemini.google.com": "gemini",
    "aistudio.google.com": "gemini",
    "mistral.ai": "mistral",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "openrouter.ai": "openrouter",
    "endpoints.huggingface.cloud": "huggingface",
    "router.huggingface.co": "huggingface",
    "api-inference.huggingface.co": "huggingface",
    "groq.com": "groq",
    "x.ai": "xai",
    "grok.com": "xai",
    "deepseek.com": "deepseek",
    "perplexity.ai": "perplexity",
    "together.xyz": "together",
    "together.ai": "together",
    "fireworks.ai": "fireworks",
    "replicate.com": "replicate",
    "deepinfra.com": "deepinfra",
    "cerebras.ai": "cerebras",
    "sambanova.ai": "sambanova",
    "integrate.api.nvidia.com": "nvidia",
    "ai.api.nvidia.com": "nvidia",
    "ai21.com": "ai21",
    "voyageai.com": "voyage",
    "jina.ai": "jina",
    "moonshot.ai": "moonshot",
    "moonshot.cn": "moonshot",
    "dashscope.aliyuncs.com": "qwen",
    "dashscope-intl.aliyuncs.com": "qwen",
    "bigmodel.cn": "zhipu",
    "z.ai": "zhipu",
    "minimax.io": "minimax",
    "minimaxi.com": "minimax",
    "novita.ai": "novita",
    "api.runpod.ai": "runpod",
    "gateway.ai.cloudflare.com": "cloudflare_ai",
    "ai-gateway.vercel.sh": "vercel_ai",
    "portkey.ai": "portkey",
    "ollama.com": "ollama",
}
# AWS and Vertex put the region into the name: bedrock-runtime.eu-west-1.amazonaws.com, europe-west4-aiplatform.googleapis.com.
_SHAPES = (
    ("bedrock", ".amazonaws.com", "bedrock"),
    ("bedrock", ".api.aws", "bedrock"),
    ("", "-aiplatform.googleapis.com", "gemini"),
)
# Words between dots and dashes of a name: model servers that people run themselves.
_WORDS = frozenset(
    {"ollama", "vllm", "litellm", "localai", "lmstudio", "llamacpp", "openwebui", "openai", "llm", "sglang"}
)
# Default ports: Ollama (docs.ollama.com/faq), LM Studio (lmstudio.ai/docs/developer), both read 2026-11.
_PORTS = {11434: "ollama", 1234: "lmstudio"}


@lru_cache(maxsize=4096)
def llm_host(name: str, port: int = 0, providers: Sequence[Provider] = PROVIDERS) -> Llm:
    """Return what a host is, by its name in lower case and the port it was reached at (0: not known).

    Shape: providers is a tuple, those of this installation (an upstream served elsewhere counts as its provider).
    """
    if listed := table.llm_host(f"{name}:{port}" if port else name, tuple(providers)):
        return Llm(listed, listed=True)
    for provider in providers:
        if provider.moved and name == provider.host and port in (0, provider.port):
            return Llm(provider.name, listed=True)
    return Llm(_looks_like(name, port))


def _looks_like(name: str, port: int) -> str:
    parts = name.split(".")
    for place in range(len(parts)):
        if found := _DOMAINS.get(".".join(parts[place:])):
            return found
    for begin, end, found in _SHAPES:
        if name.startswith(begin) and name.endswith(end):
            return found
    words = _WORDS.intersection(name.replace(".", "-").replace("_", "-").split("-"))
    return min(words) if words else _PORTS.get(port, "")
