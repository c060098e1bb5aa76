"""Quiet hours: when a channel is not to be disturbed, and until when.

In: hours and a zone as an administrator writes them ("22:00-07:00 Europe/Paris"), a moment. Out: QuietHours, the end of a quiet
time. Days of change to and from summer time: the end is the wall clock's, so such a night is an hour longer or shorter.
Never: the decision what is urgent enough; see alerts/wanted.
"""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from analytics.types.alerts import QuietHours

_WRITTEN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)(?: ([A-Za-z0-9_+/-]{1,64}))?")


def parse(text: str) -> QuietHours | None:
    """Return the hours that a text names, None for an empty one; without a zone they are UTC's.

    Raises: ValueError that says what is expected.
    """
    if not text.strip():
        return None
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise ValueError("hours like 22:00-07:00 Europe/Paris are expected")
    start, end = (int(match[at]) * 60 + int(match[at + 1]) for at in (1, 3))
    if start == end:
        raise ValueError("quiet hours must end at another time than they begin")
    zone = match[5] or "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("the time zone is not known; give one like Europe/Paris") from None
    return QuietHours(start, end, zone)


def written(quiet: QuietHours | None) -> str:
    """Return hours as `parse` reads them, empty for none."""
    if quiet is None:
        return ""
    start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (quiet.start_minute, quiet.end_minute))
    return f"{start}-{end} {quiet.zone}"


def until(quiet: QuietHours | None, now_unix_us: int) -> int | None:
    """Return when the quiet time that holds a moment ends, None when it is not quiet then."""
    if quiet is None:
        return None
    zone = ZoneInfo(quiet.zone)
    local = datetime.fromtimestamp(now_unix_us / 1e6, zone)
    minute = local.hour * 60 + local.minute
    wraps = quiet.end_minute < quiet.start_minute
    after_start, before_end = minute >= quiet.start_minute, minute < quiet.end_minute
    if not ((after_start or before_end) if wraps else (after_start and before_end)):
        return None
    day = local.date() + timedelta(days=1) if wraps and after_start else local.date()
    end = datetime.combine(day, time(quiet.end_minute // 60, quiet.end_minute % 60), zone)
    return round(end.timestamp() * 1e6)
