"""What differs between two policies: setting by setting, and as a unified text.

In: two documents, or two texts. Out: changes in the order of their paths; a diff as `diff -u` writes it.
Entries of lists that have a name or an id are compared with their namesake, so that one put in front does not change all others;
lists of plain values tell what came and what went. Never: judges a change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, Literal

from analytics.control.policies import Document

# What names an entry of a list in a policy, the first that it has.
_NAMES = ("name", "id", "rule")


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that differs. before is None for what came, after is None for what went."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


def differences(before: Document, after: Document) -> tuple[Difference, ...]:
    """Return what is set differently in two documents."""
    return tuple(_mappings("", before, after))


def unified(before: str, after: str, names: tuple[str, str]) -> str:
    """Return the texts' difference as `diff -u` writes it, under their names; empty when they are the same."""
    lines = unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _mappings(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        inner = f"{path}.{name}" if path else name
        if name not in before:
            yield Difference(inner, "added", after=after[name])
        elif name not in after:
            yield Difference(inner, "removed", before=before[name])
        else:
            yield from _values(inner, before[name], after[name])


def _values(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _mappings(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(path, before, after)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):  # True == 1 in Python
        yield Difference(path, "changed", before, after)


def _lists(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Difference]:
    keyed = [_by_name(one) for one in (before, after)]
    if keyed[0] is not None and keyed[1] is not None:
        yield from _mappings(path, keyed[0], keyed[1])
        return
    if any(isinstance(one, Mapping | list) for one in (*before, *after)):
        places = [{f"{place:03}": value for place, value in enumerate(one)} for one in (before, after)]
        yield from _mappings(path, places[0], places[1])
        return
    yield from (Difference(path, "removed", before=one) for one in before if one not in after)
    yield from (Difference(path, "added", after=one) for one in after if one not in before)


def _by_name(entries: Sequence[Any]) -> Mapping[str, Any] | None:
    """Return a list's entries by their names; None when one has none or two share one."""
    named: dict[str, Any] = {}
    for entry in entries:
        name = next((entry[key] for key in _NAMES if key in entry), None) if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or name in named:
            return None
        named[name] = entry
    return named
