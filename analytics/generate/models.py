"""The models that the traffic asks, each with its laws of time and its price.

In: nothing. Out: MODELS, and tables of their laws in MODELS' order.
An answer takes the time to its first token and then the time of each token, both log-normal.
Source: decode speed and time to first token: SyFI TraceLab, "context decode speed" (tracelab.cs.washington.edu, read
2026-11): Claude 50-54 tokens/s, Codex 55-74 tokens/s and 1.5-2.9 s to the first token at long contexts. Smaller models'
speeds (twice that) and the spread sigma are assumptions. Prices are those of genai-prices 0.2.3 below its tiers' borders
(test_models compares them); local models have none. Error rates are assumptions of the size that BurstGPT reports
(arXiv 2401.17644, up to 5 % failed calls), lower for the large hosts.
"""

from dataclasses import dataclass

import numpy as np

from analytics.generate.chance import Integers, log_normal


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians and the logarithms' sigmas. Units: milliseconds to the first token, microseconds a token."""

    first_ms: float
    first_sigma: float
    token_us: float
    token_sigma: float


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one host.

    Units: prices are nano-US-dollars a token of input, of cached input and of output, None where nobody knows; error_ppm
    is the chance of an error in a million calls; max_prompt is in tokens.
    """

    provider: str
    name: str
    host: str
    endpoint: str
    speed: Speed
    price: tuple[int, int, int] | None
    error_ppm: int
    max_prompt: int = 190_000  # below the border of the price tiers (200,000), so that one price holds

    @property
    def protocol(self) -> str:
        """The reader of the sidecar that understands its bodies."""
        return _PROTOCOLS.get(self.endpoint, "gemini")


_CHAT, _RESPONSES, _MESSAGES, _OLLAMA = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"
_FLASH = "/v1beta/models/gemini-2.5-flash:generateContent"
_PROTOCOLS = {_CHAT: "openai_chat", _RESPONSES: "openai_responses", _MESSAGES: "anthropic_messages", _OLLAMA: "ollama"}
_OPENAI, _ANTHROPIC, _MISTRAL = "api.openai.com", "api.anthropic.com", "api.mistral.ai"
_GEMINI, _LOCAL = "generativelanguage.googleapis.com", "models.internal:11434"
_SONNET, _HAIKU, _LARGE = "claude-sonnet-4-5", "claude-haiku-4-5", "mistral-large-latest"

MODELS = (
    Model("openai", "gpt-4o", _OPENAI, _CHAT, Speed(600, 0.5, 15_000, 0.35), (2_500, 1_250, 10_000), 4_000, 120_000),
    Model("openai", "gpt-4o-mini", _OPENAI, _CHAT, Speed(420, 0.5, 9_000, 0.35), (150, 75, 600), 3_000, 120_000),
    Model("openai", "gpt-5", _OPENAI, _RESPONSES, Speed(1_900, 0.7, 15_500, 0.3), (1_250, 125, 10_000), 5_000),
    Model("openai", "gpt-5-mini", _OPENAI, _RESPONSES, Speed(900, 0.6, 8_500, 0.3), (250, 25, 2_000), 4_000),
    Model("anthropic", _SONNET, _ANTHROPIC, _MESSAGES, Speed(1_400, 0.5, 19_000, 0.3), (3_000, 300, 15_000), 6_000),
    Model("anthropic", _HAIKU, _ANTHROPIC, _MESSAGES, Speed(700, 0.5, 9_500, 0.3), (1_000, 100, 5_000), 5_000),
    Model("gemini", "gemini-2.5-flash", _GEMINI, _FLASH, Speed(550, 0.5, 6_500, 0.4), (300, 30, 2_500), 6_000),
    Model("mistral", _LARGE, _MISTRAL, _CHAT, Speed(500, 0.5, 17_000, 0.4), (2_000, 2_000, 6_000), 8_000, 120_000),
    Model("ollama", "qwen3:8b", _LOCAL, _OLLAMA, Speed(800, 0.8, 28_000, 0.25), None, 12_000, 32_000),
)

PLACE = {model.name: place for place, model in enumerate(MODELS)}
LARGEST = PLACE[_SONNET]  # the dearest of the list

FIRST_US: Integers = np.stack([log_normal(one.speed.first_ms * 1_000, one.speed.first_sigma, 50_000) for one in MODELS])
TOKEN_US: Integers = np.stack([log_normal(one.speed.token_us, one.speed.token_sigma, 500) for one in MODELS])
ERROR_PPM: Integers = np.array([one.error_ppm for one in MODELS], dtype=np.int64)
MAX_PROMPT: Integers = np.array([one.max_prompt for one in MODELS], dtype=np.int64)
PRICES: Integers = np.array([one.price or (0, 0, 0) for one in MODELS], dtype=np.int64)
PRICED = np.array([one.price is not None for one in MODELS])
