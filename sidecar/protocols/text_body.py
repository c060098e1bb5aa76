"""Bodies that are no JSON: text as one segment, or bytes that nobody can read.

In: bytes. Out: segments, or how much was not scanned and why.
"""

import codecs
import re

from sidecar.types import LlmReply, Segment, Surface, Unscanned, UnscannedReason

# Text in another encoding than UTF-8, or with bytes put in to hide it: of Latin-1 text 2 to 12 of 100 characters are no UTF-8, of
# pictures and archives more than half.
_WRONG_SHARE = 0.2
_WRONG = re.compile(r"[\ufffd\x00-\x08\x0e-\x1f]")

MAX_TEXT_BYTES = 256 * 1024  # of an answer that is no JSON; what is beyond is counted


def read_text(data: bytes, surface: Surface, *, cut: bool = False) -> tuple[tuple[Segment, ...], tuple[Unscanned, ...]]:
    """Return the text of a body, and how many bytes of it are no UTF-8. cut: a character may be cut at the end."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data, final=not cut)
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        wrong = len(_WRONG.findall(text))
        if wrong > _WRONG_SHARE * len(text):
            return (), (Unscanned(UnscannedReason.BINARY, len(data)),)
        return (Segment(text, surface),), (Unscanned(UnscannedReason.BINARY, wrong),)
    return ((Segment(text, surface),) if text else ()), ()


def read_reply(data: bytes, dropped: int = 0) -> LlmReply:
    """Return the reply in an answer that is no JSON, of which dropped further bytes were not kept."""
    dropped += max(0, len(data) - MAX_TEXT_BYTES)
    segments, unscanned = read_text(data[:MAX_TEXT_BYTES], Surface.OUTPUT, cut=bool(dropped))
    limit = (Unscanned(UnscannedReason.LIMIT, dropped),) if dropped else ()
    return LlmReply(segments=segments, unscanned=(*unscanned, *limit))
