"""The memo: a text that was looked at is not looked at again. Chat clients send the whole conversation with every turn.

In: a text with its surface and what it costs to look at it. Out: the findings, from memory where they are known.
A memo belongs to one ruleset: new rules begin with an empty one. Texts are kept as keyed digests only: the key is random and never
leaves the process, so that a memory dump does not tell what was said.
Never: texts, growth beyond its bounds, an entry for an inspection that failed.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from sidecar.types import Finding, Segment

# Some 300 bytes an entry without findings (measured with tracemalloc, 2026-11): 16,384 entries take 5 MB.
ENTRIES_MAX = 16_384
# Entries with many findings count as many: about 200 bytes each.
FINDINGS_MAX = 32_768
_DIGEST_BYTES = 16


class Memo:
    """What the detectors of one ruleset found in the texts seen last. Safe to call from several threads."""

    def __init__(self, key: bytes, entries_max: int = ENTRIES_MAX) -> None:
        """key is random, up to 64 bytes; entries_max bounds the texts remembered."""
        self._key = key
        self._entries_max = entries_max
        self._known: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        self._findings = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Return how many texts are remembered."""
        return len(self._known)

    def findings(self, segment: Segment, look: Callable[[Segment], tuple[Finding, ...]]) -> tuple[Finding, ...]:
        """Return what was found in this text on this surface before, else look and remember.

        Bounds: one digest of the text, 1 ms per MB.
        Raises: what look raises; nothing is remembered then.
        """
        digest = self._digest(segment)
        with self._lock:
            known = self._known.get(digest)
            if known is not None:
                self._known.move_to_end(digest)
                return known
        found = look(segment)
        with self._lock:
            if digest not in self._known:
                self._known[digest] = found
                self._findings += len(found)
                while len(self._known) > self._entries_max or self._findings > FINDINGS_MAX:
                    _, forgotten = self._known.popitem(last=False)
                    self._findings -= len(forgotten)
        return found

    def _digest(self, segment: Segment) -> bytes:
        surface = segment.surface.encode()
        digest = hashlib.blake2b(key=self._key, digest_size=_DIGEST_BYTES, person=surface[:16])
        digest.update(segment.text.encode("utf-8", "surrogatepass"))
        return digest.digest()
