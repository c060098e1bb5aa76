"""The words of alerts: what a rule saw, what is open, who is told how, and what became of telling them.

In: nothing of ours. Out: frozen values, Occurrence -> Alert -> Notice -> Delivery.
Units: *_unix_us are microseconds and *_unix_s seconds since 1970 UTC; *_s are seconds.
Text in titles, texts and facts may come from attackers: a channel escapes it for its own format.
Never: a secret; what a channel needs to reach its target is sealed (alerts/vault).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# The mission's three levels, least first.
ALERT_LEVELS = ("info", "warning", "critical")
ALERT_STATES = ("open", "acknowledged", "resolved")
# Why somebody is told: it is new, it became worse, it goes on, nobody answered, it is over, somebody tries a channel.
NOTICE_KINDS = ("opened", "raised", "repeated", "escalated", "resolved", "test")
# What becomes of a notice: waits (also between attempts), sent, given up, no longer wanted.
DELIVERY_STATES = ("pending", "delivered", "failed", "dropped")

AlertLevel = Literal["info", "warning", "critical"]


def rank(level: str) -> int:
    """Return a level's place, 0 for the least."""
    return ALERT_LEVELS.index(level)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that a rule saw. With its tenant, `key` says what it is about: the same key joins the open alert.

    Shape: facts are (label, value) pairs in the order they are shown; decisions ids of exchanges, newest first. count: how many
    times it was seen.
    """

    rule: str
    level: str
    tenant: str
    key: str
    title: str
    text: str
    moment_unix_us: int
    user: str = ""
    model: str = ""
    endpoint: str = ""
    decisions: tuple[str, ...] = ()
    score: float | None = None
    facts: tuple[tuple[str, str], ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it stands. At most one per tenant and key is not resolved.

    Shape: decisions are the ids seen last, newest first, at most KEPT_DECISIONS; title, text, facts, score and the names
    are those of the worst occurrence, of the newest among equals.
    opened_, touched_ and notified_ are our own clock's, first_ and last_ the moments that the occurrences name.
    """

    alert_id: str
    tenant: str
    rule: str
    level: str
    key: str
    title: str
    text: str
    count: int
    first_unix_us: int
    last_unix_us: int
    opened_unix_us: int
    touched_unix_us: int
    user: str = ""
    model: str = ""
    endpoint: str = ""
    score: float | None = None
    facts: tuple[tuple[str, str], ...] = ()
    decisions: tuple[str, ...] = ()
    notified_unix_us: int | None = None
    acknowledged_unix_us: int | None = None
    acknowledged_by: str = ""
    resolved_unix_us: int | None = None
    resolved_by: str = ""
    note: str = ""

    @property
    def state(self) -> str:
        """open, acknowledged or resolved."""
        if self.resolved_unix_us is not None:
            return "resolved"
        return "open" if self.acknowledged_unix_us is None else "acknowledged"


KEPT_DECISIONS = 10  # enough to look at; the API finds the rest by user and time


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that nobody is told of for a while. An empty matcher matches everything; level matches it and less."""

    silence_id: str
    tenant: str
    rule: str
    user: str
    model: str
    level: str
    starts_unix_us: int
    ends_unix_us: int
    created_by: str
    why: str


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours in which a channel is not disturbed by less than CRITICAL; minutes of a day in a zone, end before start wraps."""

    start_minute: int
    end_minute: int
    zone: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One place that notices go to. tenant empty: the alerts of every tenant.

    after_s: 0 is told at once; more is told only of CRITICAL alerts that nobody acknowledged in so many seconds.
    quiet is as alerts.quiet writes it. sealed is what its kind needs, encrypted; empty for channels of the settings.
    """

    channel_id: str
    name: str
    kind: str
    tenant: str
    least: str
    rules: tuple[str, ...]
    quiet: str
    after_s: int
    enabled: bool = True
    sealed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a channel is to tell. delivery_id is the same in every attempt, so that a receiver can tell a repetition."""

    delivery_id: str
    kind: str
    alert: Alert
    alert_url: str = ""
    decision_url: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one attempt. detail is shown to operators: never a secret, never more than a status and an error's name."""

    result: Literal["ok", "retry", "failed"]
    detail: str = ""
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One notice on its way to one channel, as the outbox holds it."""

    delivery_id: str
    alert_id: str
    tenant: str
    channel_id: str
    kind: str
    state: str
    attempts: int
    created_unix_us: int
    due_unix_us: int
    leased_until_unix_us: int = 0
    lease: str = ""
    finished_unix_us: int | None = None
    detail: str = ""


AlertKey = tuple[str, str]  # tenant, key


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds that concerns a batch.

    Shape: alerts are the unresolved ones by tenant and key; waiting (alert, channel) pairs whose notice has not left; told
    channels that had a notice, by alert; opened counts alerts of (tenant, rule) opened in the burst window.
    """

    alerts: Mapping[AlertKey, Alert] = field(default_factory=dict)
    waiting: frozenset[tuple[str, str]] = frozenset()
    told: Mapping[str, frozenset[str]] = field(default_factory=dict)
    opened: Mapping[AlertKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written: alerts new or changed, notices new."""

    alerts: tuple[Alert, ...] = ()
    notices: tuple[Outgoing, ...] = ()
