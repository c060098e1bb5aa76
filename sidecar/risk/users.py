"""User risk as this worker knows it: what it has seen itself, and what analytics tells of everybody.

In: the threats of exchanges, what analytics pushed, the time. Out: a Standing: how risky a user is now, and whether in quarantine.
Risk is a sum of scores, each halved every half-life. Of a user the larger counts: what was pushed, decayed to now, or what this
worker saw: analytics is behind by a second or so, and this worker knows only its own part (N workers of a host: each its own).
A text counts once for a user and half-life: chat clients resend the conversation with every turn, and one doubtful sentence in a
long chat must not add up to an attacker.
Bounds: USERS_MAX users seen here, the least recently risky forgotten first; PUSHED_MAX pushed. A user without a score is not kept.
Never: text (its hash, salted for this process, for one half-life), a lock, I/O.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sidecar.policy.settings import RiskSettings
from sidecar.types import Assessment

# Some 750 bytes a user with three threats (measured with tracemalloc, 2026-11): 20,000 take 15 MB.
USERS_MAX = 20_000
PUSHED_MAX = 200_000
# A user whose threats are more than these within a half-life is no false positive.
_MARKS_MAX = 64
_HALVINGS_MAX = 60.0  # beyond, nothing is left of any score

Key = tuple[str, str]  # tenant, user


class Pushed(Protocol):
    """What analytics tells of a user: risk as it was at as_of, over all sidecars. Times are Unix microseconds, 0 for never."""

    @property
    def risk(self) -> float: ...
    @property
    def as_of_unix_us(self) -> int: ...
    @property
    def half_life_s(self) -> float: ...
    @property
    def quarantined_until_unix_us(self) -> int: ...
    @property
    def reset_unix_us(self) -> int: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How a user stands now. quarantined_until_us is 0 for one who is in no quarantine."""

    risk: float = 0.0
    quarantined_until_us: int = 0
    reason: str = ""


NOBODY = Standing()


class _Seen:
    """What this worker saw of a user. forgiven is what of the risk no longer leads to a quarantine."""

    __slots__ = ("at_us", "forgiven", "marks", "reason", "risk", "until_us")

    def __init__(self, at_us: int) -> None:
        self.risk = 0.0
        self.forgiven = 0.0
        self.at_us = at_us
        self.until_us = 0
        self.reason = ""
        self.marks: dict[int, int] = {}

    def decay(self, now_us: int, half_life_s: float) -> None:
        left = remaining(now_us - self.at_us, half_life_s)
        self.risk, self.forgiven, self.at_us = self.risk * left, self.forgiven * left, max(now_us, self.at_us)


class UserRisks:
    """Holds the risk of users. One for each worker; not for several threads."""

    def __init__(self, users_max: int = USERS_MAX) -> None:
        self._users_max = users_max
        self._seen: OrderedDict[Key, _Seen] = OrderedDict()
        self._pushed: Mapping[Key, Pushed] = {}

    def __len__(self) -> int:
        """Return how many users are remembered of what was seen here."""
        return len(self._seen)

    def apply(self, pushed: Mapping[Key, Pushed]) -> None:
        """Take what analytics tells, all of it: a user who is not in it has no pushed risk any more.

        A reset, and the end of a quarantine before its time, hold for what was seen here too.
        Bounds: linear in the users pushed; of more than PUSHED_MAX those in quarantine and then the riskiest are kept.
        """
        if len(pushed) > PUSHED_MAX:
            riskiest = sorted(pushed.items(), key=lambda item: (-item[1].quarantined_until_unix_us, -item[1].risk))
            pushed = dict(riskiest[:PUSHED_MAX])
        before, self._pushed = self._pushed, pushed
        for key in [key for key in self._seen if key in pushed or key in before]:
            self._corrected(key, before.get(key), pushed.get(key))

    def _corrected(self, key: Key, before: Pushed | None, now: Pushed | None) -> None:
        reset = now.reset_unix_us if now is not None else 0
        if reset > (before.reset_unix_us if before is not None else 0):
            del self._seen[key]
            return
        until = before.quarantined_until_unix_us if before is not None else 0
        if until and (now is None or not now.quarantined_until_unix_us):
            seen = self._seen[key]
            seen.until_us, seen.forgiven = 0, seen.risk

    def standing(self, key: Key, settings: RiskSettings, now_us: int) -> Standing:
        """Return how a user stands. Bounds: two look-ups."""
        seen, pushed = self._seen.get(key), self._pushed.get(key)
        if seen is None and pushed is None:
            return NOBODY
        risk, until, reason = 0.0, 0, ""
        if seen is not None:
            risk = seen.risk * remaining(now_us - seen.at_us, settings.half_life_s)
            until, reason = seen.until_us, seen.reason
        if pushed is not None:
            risk = max(risk, pushed.risk * remaining(now_us - pushed.as_of_unix_us, pushed.half_life_s))
            if pushed.quarantined_until_unix_us >= until:
                until, reason = pushed.quarantined_until_unix_us, pushed.reason
        return Standing(risk, until, reason) if until > now_us else Standing(risk)

    def add(self, key: Key, assessment: Assessment, settings: RiskSettings, now_us: int) -> None:
        """Add what is new in an assessment to a user's risk; with quarantine_at it may put them in quarantine.

        Who is in quarantine already gets no longer one for trying again.
        """
        if not assessment.score or not key[1]:
            return
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = _Seen(now_us)
            while len(self._seen) > self._users_max:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(key)
        seen.decay(now_us, settings.half_life_s)
        seen.risk += _news(seen.marks, assessment, now_us, settings.half_life_s)
        if settings.quarantine_at and seen.until_us <= now_us and seen.risk - seen.forgiven >= settings.quarantine_at:
            seen.until_us = now_us + int(settings.quarantine_s * 1e6)
            seen.reason = f"user risk {seen.risk:.1f} reached quarantine_at {settings.quarantine_at:g}"
            seen.forgiven = seen.risk


def _news(marks: dict[int, int], assessment: Assessment, now_us: int, half_life_s: float) -> float:
    """Return the score of the threats that did not count within the last half-life, and note them."""
    fresh = 0.0
    for threat in assessment.threats:
        mark = hash((threat.finding.rule_id, threat.segment.text))
        counted = marks.get(mark)
        if counted is not None and now_us - counted < half_life_s * 1e6:
            continue
        fresh += threat.score
        marks.pop(mark, None)
        marks[mark] = now_us
    for mark in list(marks)[: max(0, len(marks) - _MARKS_MAX)]:
        del marks[mark]
    return fresh


def remaining(elapsed_us: int, half_life_s: float) -> float:
    """Return what is left of a risk after a time; 1 for a time that lies ahead (another machine's clock)."""
    if elapsed_us <= 0:
        return 1.0
    halvings = elapsed_us / (half_life_s * 1e6) if half_life_s > 0 else _HALVINGS_MAX
    return float(0.5**halvings) if halvings < _HALVINGS_MAX else 0.0
