"""`douane rules`: lists the rules in force, and tests users' packs by the texts that they carry.

In: arguments. Out: lines, and an exit status: 0 well, 1 a rule does not do what its pack says, 2 a pack that cannot be used.
Never: a pack called good whose texts were not run.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sidecar.detectors.pack import PackError, Rule
from sidecar.detectors.patterns import INNOCENT
from sidecar.detectors.ruleset import USER, Described, Ruleset, build_ruleset, described, load_ruleset, read_packs
from sidecar.pipeline import Pipeline
from sidecar.types import Segment

_NEVER = 2**62


def list_rules(parsed: argparse.Namespace) -> int:
    """Run `douane rules list`."""
    rules = described(load_ruleset(parsed.packs))
    if parsed.json:
        for rule in rules:
            print(msgspec.json.encode(_as_json(rule)).decode())
        return 0
    width = max(len(rule.id) for rule in rules)
    for rule in rules:
        print(f"{rule.id:<{width}}  {rule.type.value:<20}  {_weights(rule):<44}  {_source(rule)}")
    return 0


def _as_json(rule: Described) -> dict[str, object]:
    return {
        "id": rule.id,
        "type": rule.type.value,
        "detector": rule.detector,
        "weights": {surface.value: weight for surface, weight in rule.weights.items()},
        "source": rule.source,
        "file": rule.file,
    }


def _weights(rule: Described) -> str:
    """Return surfaces with their weight, those of one weight together: 7 user,document 15 tool_result."""
    groups: dict[float, list[str]] = {}
    for surface, weight in rule.weights.items():
        groups.setdefault(weight, []).append(surface.value)
    return " ".join(f"{weight:g} {','.join(surfaces)}" for weight, surfaces in groups.items())


def _source(rule: Described) -> str:
    return f"{rule.file}: {rule.source}" if rule.detector == USER else rule.source


def check_packs(parsed: argparse.Namespace) -> int:
    """Run `douane rules check`: each path is a folder of packs, or one pack, taken as a set of its own."""
    status = 0
    for path in parsed.paths:
        try:
            ruleset = _loaded(path)
        except (PackError, OSError) as error:
            print(f"REFUSED  {error}")
            status = 2
            continue
        failed = [line for rule in _users(ruleset) for line in _checked(rule, ruleset)]
        print(f"{path}: {len(_users(ruleset))} rules, {len(failed)} failures, version {ruleset.version}")
        status = max(status, 1 if failed else 0)
    return status


def _loaded(path: Path) -> Ruleset:
    """A pack alone may use the word lists that stand beside it."""
    if path.is_dir():
        return build_ruleset(read_packs(path))
    files = read_packs(path.parent)
    if path.name not in files:
        raise PackError(f"{path.name}: not a pack; name a folder, or a file that ends in .yaml")
    return build_ruleset({name: text for name, text in files.items() if name in (path.name, "words.yaml")})


def _users(ruleset: Ruleset) -> tuple[Rule, ...]:
    rules: tuple[Rule, ...] = next((getattr(d, "RULES", ()) for d in ruleset.detectors if d.name == USER), ())
    return rules


def _checked(rule: Rule, ruleset: Ruleset) -> Iterator[str]:
    """Print how a rule fared, and yield its failures."""
    failures = [f"must fire: {text}" for text in rule.must_fire if not fires(rule, text, ruleset)]
    failures += [f"must not fire: {text}" for text in rule.must_not_fire if fires(rule, text, ruleset)]
    cases = len(rule.must_fire) + len(rule.must_not_fire)
    print(f"{'FAIL' if failures else 'pass' if cases else 'none'}  {rule.place}: {cases} texts")
    for failure in failures:
        print(f"        {failure!r}")
        yield failure


def fires(rule: Rule, text: str, ruleset: Ruleset) -> bool:
    """Tell whether a text raises a rule at its weight on the first surface it looks at; beside `unless` it only whispers."""
    surface = next(iter(rule.weights))
    inspection = Pipeline(lambda: 0, ruleset).inspect_text(Segment(text, surface), _NEVER)
    floor = INNOCENT * rule.weights[surface]
    return any(found.rule_id == rule.id and found.weight > floor for _, found in inspection.assessment.found)
