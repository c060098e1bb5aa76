"""Server-sent events, read from bytes that may be split anywhere.

In: chunks of a body. Out: the data of each complete event.
Source: WHATWG HTML, section 9.2.6 (event stream interpretation), read 2026-11.
Never: holds more than one event; decodes before the event's bytes are all there.
"""

# One event larger than this is no event of an LLM API; what follows is dropped and counted by the caller.
MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventReader:
    """An incremental reader. overflowed counts bytes given up because an event grew beyond MAX_EVENT_BYTES."""

    __slots__ = ("_data", "_rest", "_size", "overflowed")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self.overflowed = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that this chunk completes, in order.

        Bounds: linear in the chunk plus what one open line holds.
        """
        text = self._rest + chunk if self._rest else chunk
        lines = text.replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_EVENT_BYTES:
            self.overflowed += len(self._rest)
            self._rest = b""
        events: list[bytes] = []
        for line in lines:
            self._line(line, events)
        return events

    def finish(self) -> list[bytes]:
        """Return what an end of stream completes: some servers leave the last blank line away."""
        events: list[bytes] = []
        if self._rest:
            self._line(self._rest, events)
            self._rest = b""
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if line.startswith(b"data:"):
            self._size += len(line)
            if self._size > MAX_EVENT_BYTES:
                self.overflowed += len(line)
            else:
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line in (b"", b"\r"):
            if self._data:
                events.append(b"\n".join(self._data))
            self._data, self._size = [], 0
