"""The rules in force: ours, and what users' packs add to them or change about them.

In: a folder of packs (*.yaml as ours, words.yaml with further word lists, overrides.yaml with ids to disable and weights).
Out: a frozen Ruleset: detectors and the version of all they look for.
Users' rules are a detector of their own ("user"), so that a reload compiles them and nothing of ours.
Never: a set of which a part is broken; an id that means two things; a change of a set in use.
"""

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from sidecar.detectors import DETECTORS, Detector, ruleset_version, shipped_words
from sidecar.detectors.contextual import CONTEXTUAL
from sidecar.detectors.pack import WEIGHT_MAX, PackError, Rule, load_pack, load_words, read_yaml
from sidecar.detectors.patterns import PatternDetector
from sidecar.types import Finding, Surface, ThreatType, View

USER = "user"
WORDS, OVERRIDES = "words.yaml", "overrides.yaml"
FILE_BYTES_MAX = 4 << 20


@dataclass(frozen=True, slots=True)
class Described:
    """A rule as people see it. weights: the weight on each surface that it looks at; file: the pack, empty for code."""

    id: str
    type: ThreatType
    detector: str
    weights: Mapping[Surface, float]
    source: str
    file: str


class Overrides(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """overrides.yaml: rules that are switched off, and rules that weigh otherwise wherever they look."""

    disable: tuple[str, ...] = ()
    weights: dict[str, float] = msgspec.field(default_factory=dict)


class Adjusted:
    """A detector with some of its rules switched off or weighing otherwise. As safe in threads as what it wraps."""

    def __init__(self, inner: Detector, overrides: Overrides) -> None:
        """RULES are those that are left, with the weights they have now."""
        self.name = inner.name
        self._inner = inner
        self._disabled = frozenset(overrides.disable)
        self._old = {rule.id: rule for rule in _rules(inner) if rule.id in overrides.weights}
        self._new = overrides.weights
        self.RULES = tuple(self._changed(rule) for rule in _rules(inner) if rule.id not in self._disabled)

    def _changed(self, rule: Any) -> Any:
        if rule.id not in self._old:
            return rule
        weight = self._new[rule.id]
        if hasattr(rule, "weights"):
            return replace(rule, weights=dict.fromkeys(rule.weights, weight))
        return replace(rule, weight=weight)

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return what the wrapped detector sees, without the rules that are off.

        Units: a weight keeps what lowered it (`unless`): the new weight is lowered by the same factor.
        """
        found = self._inner.detect(view)
        return tuple(self._weighed(one, view.surface) for one in found if one.rule_id not in self._disabled)

    def _weighed(self, finding: Finding, surface: Surface) -> Finding:
        rule = self._old.get(finding.rule_id)
        if rule is None:
            return finding
        factor = finding.weight / (_weights(rule).get(surface) or finding.weight)
        return replace(finding, weight=self._new[finding.rule_id] * factor)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The detectors in force and the version of what they look for; results of one version are the same for one text.

    overrides are for the detectors of one exchange (contextual.py), which are made later; those of detectors are in them.
    """

    detectors: tuple[Detector, ...]
    version: str
    overrides: Overrides = field(default_factory=Overrides)

    def adjusted(self, context: tuple[Detector, ...]) -> tuple[Detector, ...]:
        """Return the detectors of one exchange with the overrides that concern them."""
        if self.version == DEFAULT.version:
            return context
        return tuple(_adjusted(detector, self.overrides) for detector in context)


DEFAULT = Ruleset(DETECTORS, ruleset_version())


def load_ruleset(folder: Path | None) -> Ruleset:
    """Return our rules with those of a folder, ours alone when there is no folder.

    Raises: PackError naming file, rule, field and remedy; OSError when the folder cannot be read.
    """
    return DEFAULT if folder is None else build_ruleset(read_packs(folder))


def read_packs(folder: Path) -> dict[str, str]:
    """Return the packs of a folder: file name -> text, sorted; files that begin with a dot are left out.

    Raises: PackError for a file that is no pack by name, size or encoding; OSError when the folder cannot be read.
    """
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    misnamed = [name for name in names if name.endswith(".yml")]
    if misnamed:
        raise PackError(f"{misnamed[0]}: it would not be read; rename it to {misnamed[0][:-4]}.yaml")
    return {name: _read(folder / name) for name in names if name.endswith(".yaml")}


def _read(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > FILE_BYTES_MAX:
        raise PackError(f"{path.name}: larger than {FILE_BYTES_MAX >> 20} MiB; split it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PackError(f"{path.name}: not UTF-8 (byte {error.start}); save it as UTF-8") from None


def build_ruleset(files: Mapping[str, str]) -> Ruleset:
    """Return our rules with those of packs given as file name -> text.

    Raises: PackError naming file, rule, field and remedy.
    """
    if not files:
        return DEFAULT
    rules = tuple(_users_rules(files))
    detectors = (*DETECTORS, PatternDetector(USER, rules)) if rules else DETECTORS
    overrides = Overrides()
    if OVERRIDES in files:
        overrides = _overrides(files[OVERRIDES], (*detectors, *CONTEXTUAL))
        detectors = tuple(_adjusted(detector, overrides) for detector in detectors)
    return Ruleset(detectors, _version(files), overrides)


def _users_rules(files: Mapping[str, str]) -> Iterator[Rule]:
    words = {**shipped_words(), **_users_words(files.get(WORDS))}
    ours = {rule.id for detector in (*DETECTORS, *CONTEXTUAL) for rule in _rules(detector)}
    for name in sorted(files):
        if name not in (WORDS, OVERRIDES):
            for rule in load_pack(files[name], words, name):
                if rule.id in ours:
                    remedy = f"choose another id; to change the rule we ship, name it in {OVERRIDES}"
                    raise PackError(f"{rule.place}: id: Douane ships a rule of this id; {remedy}")
                yield rule


def _users_words(text: str | None) -> dict[str, str]:
    lists = load_words(text, WORDS) if text is not None else {}
    for name in lists:
        if name in shipped_words():
            remedy = f"choose another name; your list may hold <{name}>"
            raise PackError(f"{WORDS}: {name}: Douane ships a list of this name; {remedy}")
    return lists


def _overrides(text: str, detectors: Iterable[Any]) -> Overrides:
    try:
        overrides = msgspec.convert(read_yaml(text, OVERRIDES) or {}, Overrides)
    except msgspec.ValidationError as error:
        raise PackError(f"{OVERRIDES}: {error}; known: disable: [rule ids], weights: {{rule id: number}}") from error
    known = {rule.id for detector in detectors for rule in _rules(detector)}
    for rule_id in (*overrides.disable, *overrides.weights):
        if rule_id not in known:
            near = difflib.get_close_matches(rule_id, sorted(known), 1)
            remedy = f"did you mean {near[0]}?" if near else "`douane rules list` shows all ids"
            raise PackError(f"{OVERRIDES}: rule {rule_id}: there is no rule of this id; {remedy}")
    for rule_id, weight in overrides.weights.items():
        if not 0 < weight <= WEIGHT_MAX:
            raise PackError(f"{OVERRIDES}: rule {rule_id}: weights: use a number above 0 and up to {WEIGHT_MAX:g}")
    return overrides


def _adjusted(detector: Detector, overrides: Overrides) -> Detector:
    """Return the detector itself where the overrides do not concern it."""
    concerned = {*overrides.disable, *overrides.weights}
    return Adjusted(detector, overrides) if any(rule.id in concerned for rule in _rules(detector)) else detector


def _version(files: Mapping[str, str]) -> str:
    """Return a digest over our version and the packs, 12 hex digits; lengths keep texts from running into each other."""
    digest = hashlib.sha256(ruleset_version().encode())
    for name in sorted(files):
        for part in (name.encode(), files[name].encode()):
            digest.update(b"%d:%s" % (len(part), part))
    return digest.hexdigest()[:12]


def described(ruleset: Ruleset) -> tuple[Described, ...]:
    """Return every rule of a set, in the order of the detectors."""
    return tuple(
        Described(
            rule.id,
            getattr(rule, "type", ThreatType.SECRET_LEAK),
            detector.name,
            _weights(rule),
            getattr(rule, "source", ""),
            getattr(rule, "file", ""),
        )
        for detector in (*ruleset.adjusted(CONTEXTUAL), *ruleset.detectors)
        for rule in _rules(detector)
    )


def _rules(detector: Any) -> tuple[Any, ...]:
    """Return a detector's rules: each has an id, and weights per surface or one weight."""
    return tuple(getattr(detector, "RULES", ()))


def _weights(rule: Any) -> Mapping[Surface, float]:
    """Return a rule's weight on each surface it looks at; one weight counts on all."""
    if hasattr(rule, "weights"):
        weights: Mapping[Surface, float] = rule.weights
        return weights
    return dict.fromkeys(Surface, getattr(rule, "weight", 0.0))
