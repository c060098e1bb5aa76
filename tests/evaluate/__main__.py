"""`make eval`: how much the pipeline finds, and how often it is wrong.

In: the development texts. Out: tables on the terminal; with --write the summary in docs/evaluation.md, which README quotes.
Examples go to the terminal and nowhere else.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.evaluate import needles, summary
from tests.evaluate.judge import Judged, detectors, judge_all
from tests.train.corpus import load_rows

ALERT, DENY = 5.0, 15.0
LENGTHS = ((100, "up to 100"), (300, "101-300"), (1000, "301-1,000"), (5000, "1,001-5,000"), (1 << 30, "over 5,000"))


def main() -> None:
    """Judge all rows and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/evaluation.md")
    parser.add_argument("--examples", type=int, default=0, help="how many missed and wrong texts to show (0)")
    options = parser.parse_args()
    rows = load_rows("attacks_core", "attacks_extended", "benign")
    fold_of, models = detectors(rows)
    judged = judge_all([*rows, *load_rows("contested", "harmful_request", "code_abuse")], fold_of, models)
    table = summary.build(judged)
    print(table)
    for name, key in _KEYS.items():
        _print_by(name, key, judged)
    _print_curve(judged)
    _print_confusion(judged)
    _print_needles(needles.find(rows, fold_of, models))
    _print_slowest(judged)
    if options.examples:
        _print_examples(judged, options.examples)
    if options.write:
        path = Path("docs/evaluation.md")
        path.write_text(summary.page(table), encoding="utf-8")
        print(f"written: {path}")


def _length(one: Judged) -> str:
    return next(name for limit, name in LENGTHS if len(one.row.text) <= limit)


_KEYS: dict[str, Callable[[Judged], str]] = {
    "source": lambda one: one.row.source,
    "category": lambda one: one.row.category,
    "surface": lambda one: one.row.surface,
    "language": lambda one: one.row.lang,
    "length": _length,
}


def share(judged: Sequence[Judged], floor: float) -> str:
    """Return the share of texts at or above a score as text."""
    return f"{100 * sum(one.score >= floor for one in judged) / max(1, len(judged)):6.2f} %"


def _print_by(name: str, key: Callable[[Judged], str], judged: Iterable[Judged]) -> None:
    print(f"\nby {name}:                                         texts    alert     deny")
    groups: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for one in judged:
        label = one.row.file if one.row.file != "benign" or not one.row.attack else "attacks_extended"
        groups[label, key(one)].append(one)
    for (file, value), members in sorted(groups.items()):
        print(f"  {file:18} {value:26} {len(members):6} {share(members, ALERT)} {share(members, DENY)}")


def _print_curve(judged: Sequence[Judged]) -> None:
    core, benign = summary.core(judged), summary.benign(judged)
    print("\nfalse alarms allowed -> attacks_core found (score needed)")
    for rate in (0.001, 0.005, 0.01, 0.02):
        floor = summary.floor_at(benign, rate)
        found = sum(one.score > floor for one in core) / len(core)
        print(f"  {100 * rate:4.1f} %   {100 * found:5.1f} %   (above {floor:g})")
    print("\ncalibration: share of attacks (attacks_core against benign) by score")
    for low, high in ((0, 2), (2, 5), (5, 10), (10, 15), (15, 1000)):
        attacks = sum(low <= one.score < high for one in core)
        harmless = sum(low <= one.score < high for one in benign)
        print(f"  {low:2} to {high:4}: {attacks:5} attacks, {harmless:6} benign")


def _print_confusion(judged: Sequence[Judged]) -> None:
    print("\nstrongest threat found, by category of attack")
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for one in summary.core(judged):
        groups[one.row.category][one.threats[0][0] if one.score >= ALERT else "-"] += 1
    for category, counts in sorted(groups.items()):
        print(f"  {category:20} " + ", ".join(f"{kind} {count}" for kind, count in counts.most_common(6)))


def _print_needles(found: Sequence[needles.Needle]) -> None:
    kib = needles.HAY_CHARS // 1024
    print(f"\nattacks of {needles.SHORT} to {needles.LONG} characters, alone and inside {kib} KB of documents")
    for name, floor in (("alert", ALERT), ("deny", DENY)):
        quiet = [needle for needle in found if needle.hay < floor]
        alone = sum(needle.alone >= floor for needle in quiet)
        within = sum(needle.within >= floor for needle in quiet)
        share = 100 * within / max(1, alone)
        loud = len(found) - len(quiet)
        print(f"  {name}: {alone} of {len(quiet)} alone, {within} inside ({share:.0f} %); {loud} hays by themselves")


def _print_slowest(judged: Sequence[Judged]) -> None:
    print("\nslowest (micros per KB)")
    for one in sorted(judged, key=lambda one: -one.micros / max(1024, len(one.row.text)))[:5]:
        print(
            f"  {1024 * one.micros / max(1024, len(one.row.text)):8.0f}  {one.row.id} ({one.row.source}, {len(one.row.text)} chars)"
        )


def _print_examples(judged: Sequence[Judged], many: int) -> None:
    wrong = sorted(summary.benign(judged), key=lambda one: -one.score)[:many]
    missed = [one for one in summary.core(judged) if one.score < ALERT]
    print("\nworst false alarms")
    for one in wrong:
        print(f"  {one.score:5.1f} {one.row.source:16} {[t[1:] for t in one.threats[:3]]} {one.row.text[:160]!r}")
    print(f"\nmissed ({len(missed)})")
    for one in missed[:: max(1, len(missed) // many)]:
        print(f"  {one.score:5.1f} {one.row.source:16} {one.row.text[-160:]!r}")


if __name__ == "__main__":
    main()
