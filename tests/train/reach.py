"""How far detection reaches in a language: `python -m tests.train.reach es` on the texts that its phrase bank makes.

In: a language with a bank. Out: per family, how many texts the whole pipeline alerts on and denies; with --show the missed attacks
and the ordinary texts that alert. The texts are ours: the numbers say where stems and rules are missing, not how good detection is.
"""

import argparse
from collections import defaultdict

from sidecar.detectors.ruleset import DEFAULT
from sidecar.pipeline import Pipeline
from sidecar.types import Segment, Surface
from tests.train.generate import Sample, generate, load_banks

ALERT, DENY = 5.0, 15.0
FAR = 1 << 62


def main() -> None:
    """Scan the samples of a language and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language")
    parser.add_argument("--show", type=int, default=0, help="how many missed and wrong texts to print per family (0)")
    options = parser.parse_args()
    banks = [bank for bank in load_banks() if bank.language == options.language]
    line = Pipeline(lambda: 0, DEFAULT)
    groups: dict[tuple[bool, str], list[tuple[float, str, Sample]]] = defaultdict(list)
    for sample in generate(7, banks):
        assessment = line.inspect_text(Segment(sample.text, Surface(sample.surface)), FAR).assessment
        rules = ", ".join(f"{threat.finding.rule_id} {threat.score:g}" for threat in assessment.threats[:3])
        groups[sample.attack, sample.family].append((assessment.score, rules, sample))
    for (attack, family), found in sorted(groups.items()):
        alerted, denied = (100 * sum(score >= floor for score, *_ in found) / len(found) for floor in (ALERT, DENY))
        print(
            f"{'attack' if attack else 'benign'} {family:20} {len(found):5}  alert {alerted:5.1f} %  deny {denied:5.1f} %"
        )
        wrong = [one for one in found if (one[0] >= ALERT) != attack][: options.show]
        for score, rules, sample in wrong:
            print(f"    {score:5.1f} {sample.surface:11} {sample.text[:200]!r} {rules}")


if __name__ == "__main__":
    main()
