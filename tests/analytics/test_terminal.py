from datetime import UTC, datetime, timedelta

import pytest

from analytics.terminal import moment, tell, written


def test_what_is_said_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    tell("3 records")
    assert capsys.readouterr() == ("", "douane-analytics: 3 records\n")


@pytest.mark.parametrize("text", ["2026-11-18T11:10:00Z", "2026-11-18T12:10:00+01:00", "2026-11-18T11:10:00"])
def test_a_moment_without_a_zone_is_in_utc(text: str) -> None:
    read = moment(text)
    assert read == datetime(2026, 11, 18, 11, 10, tzinfo=UTC)
    assert read.utcoffset() in (timedelta(0), timedelta(hours=1))


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        moment("yesterday")


def test_moments_are_written_to_the_minute() -> None:
    assert written(1_795_000_200_999_999) == "2026-11-18T11:10Z"
