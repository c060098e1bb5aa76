"""Rule packs: YAML files read into frozen rules, or refused with the rule, the field and the remedy.

In: the text of a pack and of the word lists. Out: Rules with patterns ready for RE2.
A pattern is RE2, case-insensitive, with two shorthands: a blank outside [...] means \\s+
(an optional one \\s*), and <name> stands for the
word list of that name (packs/words.yaml), which may hold other <names>.
Never: a rule without source and reason; patterns that RE2 refuses; the same id twice.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import yaml

from sidecar.types import Surface, ThreatType

# Where text of people and of the world arrives. system and tool_definition hold orders by nature, output is ours.
DEFAULT_SURFACES = (Surface.USER, Surface.TOOL_RESULT, Surface.DOCUMENT)
WEIGHT_MAX = 20.0
_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_NAME = re.compile(r"<([a-z][a-z0-9_]*)>")
_CLASS_OR_BLANK = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]| +[?*]?")
_WORDS_DEEP = 6


class PackError(ValueError):
    """A pack that cannot be used; the message names file, rule, field and remedy."""


class RuleSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One rule as it stands in a pack."""

    id: str
    type: ThreatType
    weight: float
    source: str
    why: str
    pattern: str = ""
    patterns: tuple[str, ...] = ()
    surfaces: tuple[Surface, ...] = DEFAULT_SURFACES
    weights: dict[Surface, float] = msgspec.field(default_factory=dict)
    unless: str = ""
    confidence: float = 1.0


class PackSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A pack: a family and its rules."""

    family: str
    rules: tuple[RuleSpec, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to run. weights holds the weight per surface; a surface without one is not looked at."""

    id: str
    type: ThreatType
    weights: Mapping[Surface, float]
    patterns: tuple[str, ...]
    unless: str
    confidence: float


def load_words(text: str) -> dict[str, str]:
    """Return the word lists of packs/words.yaml as alternations.

    Shape: name -> "(?:a|b|c)"; alternatives are set apart by " | " and may name other lists.
    Raises: PackError when the file is not a mapping of names to such texts.
    """
    raw = yaml.safe_load(text)
    try:
        lists = msgspec.convert(raw, dict[str, str])
    except msgspec.ValidationError as error:
        raise PackError(f"words: {error}; write each list as `name: word | word`") from error
    return {name: f"(?:{'|'.join(alternatives.split(' | '))})" for name, alternatives in lists.items()}


def load_pack(text: str, words: Mapping[str, str], file: str) -> tuple[Rule, ...]:
    """Return the rules of a pack.

    Raises: PackError naming file, rule and field.
    """
    try:
        spec = msgspec.convert(yaml.safe_load(text), PackSpec)
    except yaml.YAMLError as error:
        raise PackError(f"{file}: not YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise PackError(f"{file}: {_place(text, str(error))}") from error
    return tuple(_rule(rule, spec.family, words, file) for rule in spec.rules)


def check_unique(rules: Iterable[Rule]) -> None:
    """Raise PackError when an id is used twice: ids are permanent and name one thing."""
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise PackError(f"rule {rule.id}: the id is used twice; give one of the two rules another id")
        seen.add(rule.id)


def _place(text: str, message: str) -> str:
    """Put the rule's id in front of msgspec's message, which counts rules by number only."""
    number = re.search(r"rules\[(\d+)\]", message)
    raw = yaml.safe_load(text)
    if number is None or not isinstance(raw, dict):
        return message
    rule = raw["rules"][int(number[1])]
    return f"rule {rule.get('id', number[1]) if isinstance(rule, dict) else number[1]}: {message}"


def _rule(spec: RuleSpec, family: str, words: Mapping[str, str], file: str) -> Rule:
    def refuse(field: str, remedy: str) -> PackError:
        return PackError(f"{file}: rule {spec.id}: {field}: {remedy}")

    if not _ID.fullmatch(spec.id) or spec.id.partition(".")[0] != family:
        raise refuse("id", f"write it as {family}.name in lower case letters, digits and _")
    if not all(0 < weight <= WEIGHT_MAX for weight in (spec.weight, *spec.weights.values())):
        raise refuse("weight", f"use a number above 0 and up to {WEIGHT_MAX:g} (CRITICAL begins at 15)")
    if not spec.source.strip() or not spec.why.strip():
        raise refuse("source/why", "say where the rule comes from and why it is there")
    patterns = (spec.pattern, *spec.patterns) if spec.pattern else spec.patterns
    if not patterns:
        raise refuse("pattern", "give `pattern` or a list of `patterns`")
    weights = dict.fromkeys(spec.surfaces, spec.weight) | dict(spec.weights)
    try:
        expanded = tuple(expand(pattern, words) for pattern in patterns)
        unless = expand(spec.unless, words)
    except KeyError as error:
        raise refuse("pattern", f"no word list is called {error}; add it to words.yaml") from error
    return Rule(spec.id, spec.type, weights, expanded, unless, spec.confidence)


def expand(pattern: str, words: Mapping[str, str]) -> str:
    """Return a pattern as RE2 reads it: word lists written out, blanks made \\s+.

    Raises: KeyError for a word list that does not exist.
    """
    for _ in range(_WORDS_DEEP):
        if not _NAME.search(pattern):
            break
        pattern = _NAME.sub(lambda match: words[match[1]], pattern)
    return _CLASS_OR_BLANK.sub(_blank, pattern.strip())


def _blank(match: re.Match[str]) -> str:
    if match[0][0] != " ":
        return match[0]
    return r"\s*" if match[0][-1] in "?*" else r"\s+"
