"""Words: one line each, cut, nothing that cannot be seen."""

import pytest

from analytics.alerts import words
from tests.analytics.alerts.sample import MOMENT_US, NASTY, notice


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("  two\r\nlines\t ", "two lines"),
        ("a\x00b\u202ec\u200bd\u2028e\ud800f", "a b c d e f"),
        ("é 漢字 🙂", "é 漢字 🙂"),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_a_text_becomes_one_line(text: str, line: str) -> None:
    assert words.clean(text) == line


def test_cleaning_is_bounded_for_endless_texts_of_nothing() -> None:
    assert words.clean("\n" * 10_000_000 + "end") == ""


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("opened", "CRITICAL: prompt injection by alice was denied"),
        ("raised", "Now worse: CRITICAL: prompt injection by alice was denied"),
        ("repeated", "Still open: CRITICAL: prompt injection by alice was denied"),
        ("escalated", "Nobody acknowledged: CRITICAL: prompt injection by alice was denied"),
        ("resolved", "Resolved: CRITICAL: prompt injection by alice was denied"),
        ("test", "Test: CRITICAL: prompt injection by alice was denied"),
    ],
)
def test_a_title_says_why_it_is_told(kind: str, title: str) -> None:
    assert words.title(notice(kind)) == title


def test_a_notice_that_waited_until_its_alert_was_resolved_says_so() -> None:
    one = notice("opened", resolved_unix_us=MOMENT_US, resolved_by="bob")
    assert words.title(one) == "Resolved: CRITICAL: prompt injection by alice was denied"


def test_facts_are_the_alerts_names_then_the_rules_own_then_its_times() -> None:
    one = notice(count=3, last_unix_us=MOMENT_US + 60_000_000, acknowledged_unix_us=MOMENT_US, acknowledged_by="bob")
    assert words.facts(one) == [
        ("User", "alice"),
        ("Model", "gpt-4o"),
        ("Endpoint", "/v1/chat/completions"),
        ("Score", "17.5"),
        ("Threats", "prompt_injection.ignore_instructions +10"),
        ("Action", "deny"),
        ("Tenant", "default"),
        ("Times", "3"),
        ("First seen", "2026-11-18 11:06:40 UTC"),
        ("Last seen", "2026-11-18 11:07:40 UTC"),
        ("Acknowledged", "by bob at 2026-11-18 11:06:40 UTC"),
    ]


def test_nothing_of_a_record_makes_a_second_line() -> None:
    one = notice(title=NASTY, text=NASTY, user=NASTY, facts=((NASTY, NASTY),) * 40)
    texts = [words.title(one), words.text(one), *(part for pair in words.facts(one) for part in pair)]
    assert [text for text in texts if len(text.splitlines()) != 1 or "\u202e" in text] == []
    assert len(words.facts(one)) == 4 + words.MAX_FACTS + 3


def test_moments() -> None:
    assert words.stamp(MOMENT_US + 1) == "2026-11-18T11:06:40.000001Z"
    assert words.moment(MOMENT_US) == "2026-11-18 11:06:40 UTC"
