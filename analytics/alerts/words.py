"""What a notice says, in plain words, before a channel gives it its format.

In: a Notice, whose texts may come from attackers. Out: single lines without control characters, cut to a length.
Never: an escape for a format; each channel does its own. Never a line break out of a record's text: it could forge a line.
"""

import unicodedata
from datetime import UTC, datetime

from analytics.types.alerts import Alert, Notice

TITLE_CHARS = (
    150  # the least that a channel shows of a title: Slack's header block, api.slack.com/reference/block-kit, 2026-11
)
VALUE_CHARS = 300
TEXT_CHARS = 1_500
LABEL_CHARS = 40
MAX_FACTS = 8
# Control, format (bidi overrides, zero width), surrogate, private, unassigned; line and paragraph separators.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PREFIXES = {
    "opened": "",
    "raised": "Now worse: ",
    "repeated": "Still open: ",
    "escalated": "Nobody acknowledged: ",
    "resolved": "Resolved: ",
    "test": "Test: ",
}


def clean(text: str, limit: int = VALUE_CHARS) -> str:
    """Return a text as one line of at most `limit` characters: what cannot be seen becomes a space, spaces become one."""
    seen = "".join(" " if unicodedata.category(one) in _HARMFUL else one for one in text[: limit * 4])
    line = " ".join(seen.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def title(notice: Notice) -> str:
    """Return the headline: why it is told, how bad it is, what it is."""
    alert = notice.alert
    kind = "resolved" if alert.state == "resolved" else notice.kind
    return clean(f"{_PREFIXES[kind]}{alert.level.upper()}: {alert.title}", TITLE_CHARS)


def text(notice: Notice) -> str:
    """Return the sentence or two below the headline."""
    return clean(notice.alert.text, TEXT_CHARS)


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return what else is worth knowing, as (label, value), values never empty.

    Bounds: MAX_FACTS facts of the rule's own beside the alert's.
    """
    alert = notice.alert
    known = [
        ("User", alert.user),
        ("Model", alert.model),
        ("Endpoint", alert.endpoint),
        ("Score", "" if alert.score is None else f"{alert.score:g}"),
        *alert.facts[:MAX_FACTS],
        ("Tenant", alert.tenant),
        ("Times", str(alert.count)),
        ("First seen", moment(alert.first_unix_us)),
        ("Last seen", moment(alert.last_unix_us) if alert.count > 1 else ""),
        *_handled(alert),
    ]
    return [(clean(label, LABEL_CHARS), clean(value)) for label, value in known if clean(value)]


def _handled(alert: Alert) -> list[tuple[str, str]]:
    found = []
    if alert.acknowledged_unix_us is not None:
        found.append(("Acknowledged", f"by {alert.acknowledged_by} at {moment(alert.acknowledged_unix_us)}"))
    if alert.resolved_unix_us is not None:
        found.append(("Resolved", f"by {alert.resolved_by} at {moment(alert.resolved_unix_us)}"))
    return found


def moment(unix_us: int) -> str:
    """Return a moment as people read it."""
    return datetime.fromtimestamp(unix_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def stamp(unix_us: int) -> str:
    """Return a moment as programs read it, RFC 3339."""
    return datetime.fromtimestamp(unix_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
