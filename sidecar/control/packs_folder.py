"""The users' rules in force: read from a folder of packs, read again when a file in it changes.

In: a path. Out: the current Ruleset.
A broken new set leaves the old one in force, logged and counted. Exchanges keep the set they began with.
Never: a set that is half old and half new; reading or compiling on the event loop.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from sidecar.detectors.ruleset import Ruleset, build_ruleset, read_packs

log = logging.getLogger("douane.packs")

_POLL_S = 0.5


class PacksFolder:
    """Holds the ruleset in force. required: the folder was named, so that a missing one is a mistake.

    Raises: PackError or OSError from the constructor when the first reading fails: a start without rules that somebody
    wrote would be a guess.
    """

    def __init__(self, path: Path, count: Callable[..., None], *, required: bool = False) -> None:
        self._path = path
        self._count = count
        self._required = required
        self._complaint = ""
        self._files = self._read()
        self.current: Ruleset = build_ruleset(self._files)

    def _read(self) -> dict[str, str]:
        if not self._required and not self._path.is_dir():
            return {}
        return read_packs(self._path)

    def refresh(self) -> bool:
        """Read the folder again; return True when another set is in force now. Blocks while it reads and compiles."""
        try:
            files = self._read()
            if files == self._files:
                self._complaint = ""
                return False
            self._files = files
            self.current = build_ruleset(files)
        except (OSError, ValueError) as error:
            self._refused(str(error))
            return False
        self._complaint = ""
        self._count(good=True)
        log.info("packs.changed", extra={"version": self.current.version, "files": len(files)})
        return True

    def _refused(self, complaint: str) -> None:
        """Complain once of a fault that stays: what cannot be read is met again at every poll."""
        if complaint == self._complaint:
            return
        self._complaint = complaint
        self._count(good=False)
        log.error("packs.refused", extra={"reason": complaint, "kept": self.current.version})

    async def watch(self, changed: Callable[[], None] = lambda: None) -> None:
        """Refresh until cancelled, calling changed on the event loop after each new set."""
        while True:
            await asyncio.sleep(_POLL_S)
            if await asyncio.to_thread(self.refresh):
                changed()
