"""What the commands of a terminal share: lines for people, moments as they type them, the code of a stop.

In: text. Out: lines on standard error, so that standard output stays for data. Never: content of records.
"""

import sys
from datetime import UTC, datetime

STOPPED = 130  # what a shell reports of a program that Ctrl-C ended


def tell(line: str) -> None:
    """Say something on standard error."""
    print(f"douane-analytics: {line}", file=sys.stderr, flush=True)


def moment(text: str) -> datetime:
    """Return an RFC 3339 moment; without a zone it is in UTC. Raises: ValueError."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def written(unix_us: int) -> str:
    """Return a moment as people read it, to the minute."""
    return f"{datetime.fromtimestamp(unix_us // 1_000_000, UTC):%Y-%m-%dT%H:%MZ}"
