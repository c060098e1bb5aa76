"""Alerts and notices for tests: ordinary ones, and one whose every text comes from an attacker."""

from typing import Any

from analytics.types.alerts import Alert, Notice

MOMENT_US = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z
DECISION = "019a9713a200700080000000000000aa"
ALERT = f"{MOMENT_US // 1_000:012x}7000800000000000beef"
NASTY = (
    "<script>alert(1)</script> <!channel> <@U123> <https://evil.example|click> [x](https://evil.example) *b* "
    "`c` {{DATE(2026)}} & \u202eoiler\u202c\r\nBcc: victim@example.com\n\nLevel: INFO"
)


def alert(**fields: Any) -> Alert:
    """Return a CRITICAL alert of alice."""
    values: dict[str, Any] = {
        "alert_id": ALERT,
        "tenant": "default",
        "rule": "security",
        "level": "critical",
        "key": "security/alice/prompt_injection",
        "title": "prompt injection by alice was denied",
        "text": "An exchange scored 17.5; the level CRITICAL begins at 15.",
        "count": 1,
        "first_unix_us": MOMENT_US,
        "last_unix_us": MOMENT_US,
        "opened_unix_us": MOMENT_US,
        "touched_unix_us": MOMENT_US,
        "user": "alice",
        "model": "gpt-4o",
        "endpoint": "/v1/chat/completions",
        "score": 17.5,
        "facts": (("Threats", "prompt_injection.ignore_instructions +10"), ("Action", "deny")),
        "decisions": (DECISION,),
    }
    return Alert(**values | fields)


def notice(kind: str = "opened", **fields: Any) -> Notice:
    """Return a notice of that alert."""
    return Notice(
        delivery_id="019a9713a200700080000000000d0001",
        kind=kind,
        alert=alert(**fields),
        alert_url="https://douane.example/api/alerts/" + ALERT,
        decision_url="https://douane.example/dashboard/decisions/" + DECISION,
    )


def hostile() -> Notice:
    """Return a notice whose every text of a record is an attacker's."""
    return notice(title=NASTY, text=NASTY, user=NASTY, model=NASTY, endpoint=NASTY, key=NASTY, facts=((NASTY, NASTY),))
