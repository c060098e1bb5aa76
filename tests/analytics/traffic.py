"""Records as sidecars send them, for tests and the benchmark: the same number makes the same record."""

from collections.abc import Sequence
from typing import Any

from douane.v1 import decision_pb2 as pb

BEGAN_UNIX_US = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z, in the middle of an hour and of a day
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5")


def decision_id(number: int, unix_us: int = BEGAN_UNIX_US) -> str:
    """Return an id of UUIDv7's layout; ids sort by time, then number."""
    return f"{unix_us // 1000:012x}7{number >> 60 & 0xFFF:03x}8{number:015x}"


def record(number: int, *, stage: int = pb.STAGE_COMPLETE, users: int = 20, **fields: Any) -> pb.DecisionRecord:
    """Return an ordinary record: answered, every tenth one denied with two threats, started number x 0.1 s after BEGAN.

    fields overrule; given as nested dicts for messages.
    """
    denied = number % 10 == 9
    started = BEGAN_UNIX_US + number * 100_000
    values: dict[str, Any] = _answered(number) | (_denied() if denied else {})
    if stage != pb.STAGE_COMPLETE:
        values["outcome"] = pb.OUTCOME_PENDING if stage == pb.STAGE_VERDICT else pb.OUTCOME_UNKNOWN
        values |= {"usage": None, "http_status": 0, "response_coverage": None}
    total_us = 0 if denied or stage != pb.STAGE_COMPLETE else 200_000 + (number * 7_919) % 3_000_000
    values |= {
        "decision_id": decision_id(number, started),
        "stage": stage,
        "identity": {"user": f"user-{number % users}", "user_source": "header", "tenant": "default"},
        "timings": {"started_unix_us": started, "inspect_us": 300, "verdict_us": 700, "total_us": total_us},
    }
    return pb.DecisionRecord(**{name: value for name, value in (values | fields).items() if value is not None})


def _answered(number: int) -> dict[str, Any]:
    return {
        "outcome": pb.OUTCOME_ANSWERED,
        "applied": pb.ACTION_ALLOW,
        "would_be": pb.ACTION_ALLOW,
        "mode": pb.MODE_ENFORCE,
        "level": pb.RISK_LEVEL_LOW,
        "provider": "openai",
        "model": MODELS[number % len(MODELS)],
        "endpoint": "/v1/chat/completions",
        "method": "POST",
        "host": "api.openai.com",
        "protocol": "openai_chat",
        "door": "gateway",
        "request_id": f"req-{number}",
        "http_status": 200,
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 100 + number % 50, "completion_tokens": 40, "total_tokens": 140 + number % 50},
        "request_coverage": {"body_bytes": 900, "scanned_bytes": 900, "complete": True},
        "response_coverage": {"body_bytes": 1_200, "scanned_bytes": 1_200, "complete": True},
        "policy_version": "1",
        "ruleset_version": "2026.11",
        "sidecar": "web-1/0",
        "messages": 3,
        "prompt_chars": 800,
        "response_chars": 600,
    }


def _denied() -> dict[str, Any]:
    return {
        "outcome": pb.OUTCOME_DENIED,
        "applied": pb.ACTION_DENY,
        "would_be": pb.ACTION_DENY,
        "score": 17.5,
        "level": pb.RISK_LEVEL_CRITICAL,
        "threats": threats(("prompt_injection", "jailbreak")),
        "reasons": ["prompt_injection.ignore_instructions +10.0", "jailbreak.dan +7.5"],
        "http_status": 403,
        "usage": None,
        "response_coverage": None,
    }


def threats(types: Sequence[str]) -> list[pb.Threat]:
    """Return one threat of each type, in the first message."""
    return [
        pb.Threat(
            type=pb.ThreatType.Value(f"THREAT_TYPE_{name.upper()}"),
            detector=name,
            rule_id=f"{name}.some_rule",
            surface=pb.SURFACE_USER,
            path="/messages/0/content",
            score=10.0,
            confidence=0.9,
            span_end=23,
            match_chars=23,
            match_digest=b"\x9f" * 16,
            view="as_sent",
        )
        for name in types
    ]
