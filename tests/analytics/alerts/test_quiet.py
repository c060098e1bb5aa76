"""Quiet hours: what is written, and when they end, also on nights when the clock is changed."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from analytics.alerts import quiet
from analytics.types.alerts import QuietHours

PARIS = "Europe/Paris"


def at(text: str, zone: str = PARIS) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("", None),
        ("  ", None),
        ("22:00-07:00 Europe/Paris", QuietHours(1320, 420, PARIS)),
        ("00:00-06:30", QuietHours(0, 390, "UTC")),
    ],
)
def test_hours_are_read(text: str, hours: QuietHours | None) -> None:
    assert quiet.parse(text) == hours
    assert quiet.parse(quiet.written(hours)) == hours


@pytest.mark.parametrize(
    "text", ["22-7", "24:00-07:00", "22:00-22:00", "22:00-07:00 Mars/Olympus", "22:00-07:00 ../../etc/passwd", "soon"]
)
def test_what_is_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|must end|not known"):
        quiet.parse(text)


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        ("22:00-07:00 Europe/Paris", "2026-11-18T21:59:59", None),
        ("22:00-07:00 Europe/Paris", "2026-11-18T22:00:00", "2026-11-19T07:00:00"),
        ("22:00-07:00 Europe/Paris", "2026-11-19T06:59:59", "2026-11-19T07:00:00"),
        ("22:00-07:00 Europe/Paris", "2026-11-19T07:00:00", None),
        ("12:00-13:30 Europe/Paris", "2026-11-18T12:15:00", "2026-11-18T13:30:00"),
        ("12:00-13:30 Europe/Paris", "2026-11-18T23:00:00", None),
        # The night to winter time is an hour longer, the one to summer time an hour shorter; the wall clock decides.
        ("22:00-07:00 Europe/Paris", "2026-10-24T23:00:00", "2026-10-25T07:00:00"),
        ("22:00-07:00 Europe/Paris", "2026-03-28T23:00:00", "2026-03-29T07:00:00"),
    ],
)
def test_when_quiet_hours_end(hours: str, now: str, end: str | None) -> None:
    assert quiet.until(quiet.parse(hours), at(now)) == (None if end is None else at(end))


def test_without_hours_it_is_never_quiet() -> None:
    assert quiet.until(None, at("2026-11-18T03:00:00")) is None
