"""What no schema says of a policy: settings that contradict each other, names that stand twice, moments that are none.

In: a document that the schema lets pass, the defaults of what it leaves out. Out: problems, each with its path.
Source: what the sidecar refuses (sidecar/policy/settings, document); a test compares the two.
Never: raises.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

SCOPED = ("exceptions", "budgets", "overrides")
# What the sidecar needs before it has read the body, and what it knows only then.
_EARLY, _LATE = frozenset(("deadline_ms", "canaries")), frozenset(("model", "user"))

Complaint = tuple[str, str]  # path, message


def complaints(document: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield what contradicts itself."""
    yield from _scores(document, defaults)
    for kind in SCOPED:
        yield from _twice(kind, document.get(kind) or ())
    for place, one in enumerate(document.get("budgets") or ()):
        if one["unit"] != "usd" and one["limit"] != int(one["limit"]):
            yield f"budgets[{place}].limit", f"{one['limit']:g} is no whole number of {one['unit']}"
    for place, one in enumerate(document.get("exceptions") or ()):
        if moment_unix_us(one["until"]) is None:
            yield f"exceptions[{place}].until", "a date, or a moment with its offset: 2026-12-31T12:00:00Z"
    for place, one in enumerate(document.get("overrides") or ()):
        whole = {"user_risk": {**defaults["user_risk"], **(document.get("user_risk") or {})}}
        yield from _override(f"overrides[{place}]", one, whole)


def _scores(document: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[Complaint]:
    alert, deny = (document.get(name, defaults[name]) for name in ("alert_score", "deny_score"))
    if alert > deny:
        yield "alert_score", f"{alert:g} is above deny_score {deny:g}"
    yield from _tightening("", {**defaults["user_risk"], **(document.get("user_risk") or {})})


def _tightening(path: str, risk: Mapping[str, Any]) -> Iterator[Complaint]:
    if risk["tighten_from"] >= risk["tighten_to"]:
        told = f"{risk['tighten_from']:g} is not below tighten_to {risk['tighten_to']:g}"
        yield f"{path}user_risk.tighten_from", told


def _twice(kind: str, entries: Any) -> Iterator[Complaint]:
    names = [one.get("name") for one in entries]
    for place, name in enumerate(names):
        if name and name in names[:place]:
            yield f"{kind}[{place}].name", f"{name!r} stands twice"


def _override(path: str, one: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield what is wrong with an override, alone over the rest; an alert_score above deny_score comes down to it."""
    if not any(one["match"].values()):
        yield f"{path}.match", "it is empty: what holds for all requests stands outside of overrides"
    early = sorted(_EARLY & one["set"].keys())
    late = sorted(name for name in _LATE if one["match"].get(name))
    if early and late:
        yield f"{path}.set", f"{early[0]} is needed before the body is read, and {late[0]} is known only then"
    risk = {**whole["user_risk"], **(one["set"].get("user_risk") or {})}
    yield from _tightening(f"{path}.set.", risk)


def moment_unix_us(text: str) -> int | None:
    """Return when a date (its end, UTC) or a moment with its offset is; None for anything else."""
    try:
        if len(text) == len("2026-12-31"):
            end = datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=1)
        else:
            end = datetime.fromisoformat(text)
        return None if end.tzinfo is None else int(end.timestamp() * 1e6)
    except (ValueError, OverflowError):
        return None
