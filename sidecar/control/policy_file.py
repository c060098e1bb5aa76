"""The policy in force: read from a file, read again when it changes.

In: a path, the defaults, a clockless poll. Out: the current Policy.
A broken new file leaves the old policy in force, logged and counted. Exchanges keep the snapshot they began with.
Never: a policy that is half old and half new.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from sidecar.policy import Compiled, Policy, parse_policy

log = logging.getLogger("douane.policy")

_POLL_S = 0.5


class PolicyFile:
    """Holds the policy in force.

    Raises: ValueError from the constructor when the first reading fails: a start without a policy would be a guess.
    """

    def __init__(self, path: Path | None, defaults: Policy, count: Callable[..., None]) -> None:
        self._path = path
        self._defaults = defaults
        self._count = count
        self._text = self._read()
        self._use(parse_policy(self._text, defaults))

    def of(self, _tenant: str) -> Compiled:
        """Return the policy in force, compiled: the file's is every tenant's."""
        return self._compiled

    def _use(self, policy: Policy) -> None:
        self._compiled, self.current = Compiled(policy), policy

    def _read(self) -> str:
        if self._path is None:
            return ""
        try:
            return self._path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"the policy file is not UTF-8: {error.reason}") from None

    def refresh(self) -> bool:
        """Read the file again; return True when another policy is in force now."""
        try:
            text = self._read()
            if text == self._text:
                return False
            self._text = text
            self._use(parse_policy(text, self._defaults))
        except (OSError, ValueError) as error:
            self._refused(error)
            return False
        self._count(good=True)
        log.info("policy.changed", extra={"version": self.current.version, "mode": self.current.mode.value})
        return True

    def _refused(self, error: Exception) -> None:
        self._count(good=False)
        log.error("policy.refused", extra={"reason": str(error), "kept": self.current.version})

    async def watch(self, changed: Callable[[], None] = lambda: None) -> None:
        """Refresh until cancelled, calling changed after each new policy."""
        while True:
            await asyncio.sleep(_POLL_S)
            if self.refresh():
                changed()
