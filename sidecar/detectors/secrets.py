"""Secrets in texts: keys of known vendors, private keys, tokens.

In: a View. Out: secret_leak Findings whose span is the secret itself, so that redaction takes it and nothing else.
Each shape must also look random (entropy per character), or placeholders such as sk-xxxx would alert.
Weights: a secret alerts (>= 5) wherever it stands; it is never CRITICAL by itself, for people do paste keys.
Never: checking a key with its vendor, keeping a match.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import re2

from sidecar.detectors.patterns import options, source_span
from sidecar.types import Finding, ThreatType, View

SET_MEMORY_BYTES = 16 << 20
SPANS_MAX = 64
_PLACEHOLDERS = ("example", "your-", "your_", "xxxx", "placeholder", "12345678901234567890", "<", "...")


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of secret. entropy is the least bits per character of the part behind the prefix."""

    id: str
    pattern: str
    source: str
    weight: float = 9.0
    entropy: float = 3.0


# Source: the vendors' documentation of their token formats, read 2025; entropy floors measured on random and
# placeholder values (tests/rules/secrets).
RULES = (
    Shape(
        "secrets.private_key",
        r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|\s)*(?:[A-Za-z0-9+/=]{16,}(?:\\[nr]|\s)*)+"
        r"(?:[A-Za-z0-9+/=]{1,16}(?:\\[nr]|\s)*)?(?:-----END [A-Z ]{0,30}-----)?",
        "RFC 7468",
        12.0,
    ),
    Shape(
        "secrets.openai_key", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}\b", "OpenAI API reference", 9.0, 3.4
    ),
    Shape("secrets.anthropic_key", r"\bsk-ant-[a-z]{2,6}\d{2}-[A-Za-z0-9_-]{60,}", "Anthropic console", 9.0, 3.5),
    Shape("secrets.aws_access_key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", "AWS IAM identifiers", 8.0, 2.8),
    Shape("secrets.aws_secret_key", r"(?i:aws.{0,20}secret.{0,20})[=:\s\"']{1,5}[A-Za-z0-9/+]{40}\b", "AWS IAM", 10.0),
    Shape("secrets.github_token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})\b", "GitHub", 9.0),
    Shape("secrets.gitlab_token", r"\bglpat-[A-Za-z0-9_-]{20,}", "GitLab token prefixes", 9.0),
    Shape("secrets.slack_token", r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}", "Slack token types", 9.0, 2.6),
    Shape(
        "secrets.slack_webhook",
        r"hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{6,12}/[A-Za-z0-9/]{20,}",
        "Slack incoming webhooks",
        8.0,
    ),
    Shape("secrets.google_api_key", r"\bAIza[A-Za-z0-9_-]{35}\b", "Google Cloud API keys", 8.0),
    Shape("secrets.stripe_key", r"\b[sr]k_live_[A-Za-z0-9]{20,}\b", "Stripe API keys", 10.0),
    Shape("secrets.huggingface_token", r"\bhf_[A-Za-z0-9]{30,}\b", "Hugging Face access tokens", 8.0),
    Shape("secrets.npm_token", r"\bnpm_[A-Za-z0-9]{36}\b", "npm token format", 8.0),
    Shape("secrets.pypi_token", r"\bpypi-AgE[A-Za-z0-9_-]{60,}", "PyPI API tokens", 9.0),
    Shape("secrets.sendgrid_key", r"\bSG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{40,46}", "SendGrid API keys", 9.0),
    Shape("secrets.telegram_token", r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b", "Telegram Bot API", 8.0),
    Shape("secrets.jwt", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}", "RFC 7519", 6.0),
    Shape(
        "secrets.connection_string",
        r"\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqps?)(?:\+[a-z0-9]+)?://[^\s:@/]{1,60}:[^\s@/]{8,80}"
        r"@[a-z0-9.-]{4,80}",
        "RFC 3986 userinfo",
        7.0,
    ),
)


class SecretDetector:
    """All shapes as one detector. Safe to call from several threads."""

    def __init__(self, name: str) -> None:
        """Compile every shape. Raises: re2.error for a shape that RE2 refuses."""
        self.name = name
        self.RULES = RULES
        self._set = re2.Set.SearchSet(options(SET_MEMORY_BYTES, case_sensitive=True))
        for shape in RULES:
            self._set.Add(shape.pattern)
        self._set.Compile()
        self._patterns = tuple(re2.compile(shape.pattern, options(4 << 20, case_sensitive=True)) for shape in RULES)

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return the secrets in a view. Folded views have no case, so that few shapes match there by design.

        Bounds: one linear pass, plus one per shape that hit.
        """
        hits = self._set.Match(view.text.encode("utf-8", "replace"))
        if not hits:
            return ()
        return tuple(finding for index in sorted(hits) for finding in self._findings(index, view))

    def _findings(self, index: int, view: View) -> Iterator[Finding]:
        shape = RULES[index]
        text = view.text if view.text.isascii() else view.text.encode("utf-8", "replace").decode()
        for match in islice(self._patterns[index].finditer(text), SPANS_MAX):
            if _entropy(match.group()) >= shape.entropy and not _placeholder(match.group()):
                span = source_span(view, *match.span())
                yield Finding(ThreatType.SECRET_LEAK, self.name, shape.id, span, shape.weight, 1.0, view.kind)


def _entropy(secret: str) -> float:
    """Return Shannon's entropy in bits per character of the last 40 characters."""
    tail = secret[-40:]
    return -sum(n / len(tail) * math.log2(n / len(tail)) for n in Counter(tail).values())


def _placeholder(secret: str) -> bool:
    """Tell whether a secret says of itself that it is none."""
    low = secret.lower()
    return any(word in low for word in _PLACEHOLDERS)
