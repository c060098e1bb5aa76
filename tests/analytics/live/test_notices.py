from analytics.ingest.decode import decode
from analytics.live.feed import LiveEvent
from analytics.live.notices import NOTABLE_PER_SECOND, PER_SECOND, Notices
from analytics.types import Change, Stored
from tests.analytics.traffic import record


class Sink:
    """A feed that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[LiveEvent] = []

    def publish(self, *events: LiveEvent) -> None:
        self.events += events


def stored(*numbers: int, **fields: object) -> Stored:
    rows = [decode(record(number, **fields)) for number in numbers]
    return Stored(len(rows), 0, tuple(rows), tuple(Change(row, "", 0.0) for row in rows))


def test_a_notice_says_what_a_list_shows_and_no_content() -> None:
    sink = Sink()
    Notices(sink, lambda: 0.0)(
        stored(9, content={"prompt": "secret words", "response": "", "capture": 3}, session="s-1")
    )
    (event,) = sink.events
    row = decode(record(9))
    assert (event.kind, event.tenant, event.id) == ("decision", "default", "")
    assert event.data == {
        "decision_id": row.decision_id,
        "stage": "complete",
        "outcome": "denied",
        "applied": "deny",
        "would_be": "deny",
        "mode": "enforce",
        "score": 17.5,
        "level": "critical",
        "failure": "unspecified",
        "user": "user-9",
        "team": "",
        "session": "s-1",
        "provider": "openai",
        "model": "gpt-4o",
        "endpoint": "/v1/chat/completions",
        "door": "gateway",
        "http_status": 403,
        "total_tokens": None,
        "started_unix_us": row.started_unix_us,
        "verdict_us": 700,
        "total_us": 0,
        "threats": ["jailbreak", "prompt_injection"],
        "left_out": 0,
    }


def test_many_are_thinned_out_a_second_and_tenant_and_the_notable_are_kept() -> None:
    now = [5.0]
    sink = Sink()
    notices = Notices(sink, lambda: now[0])
    notices(stored(*range(1_000)))  # every tenth is denied
    notices(stored(1, identity={"tenant": "acme"}))
    assert [event.tenant for event in sink.events].count("acme") == 1
    actions = [event.data["applied"] for event in sink.events if event.tenant == "default"]
    assert (actions.count("allow"), actions.count("deny")) == (PER_SECOND, NOTABLE_PER_SECOND)
    now[0] = 6.0
    notices(stored(1, 2))
    told = [event.data["left_out"] for event in sink.events if event.tenant == "default"]
    assert (sum(told), told[-1]) == (1_000 - PER_SECOND - NOTABLE_PER_SECOND, 0)


def test_a_batch_that_changed_nothing_says_nothing() -> None:
    sink = Sink()
    Notices(sink, lambda: 0.0)(Stored(0, 5))
    assert sink.events == []
