"""Rule packs: YAML files read into frozen rules, or refused with the rule, the field and the remedy.

In: the text of a pack and of the word lists. Out: Rules with patterns ready for RE2.
A pattern is RE2, case-insensitive, with two shorthands: a blank outside [...] means \\s+
(an optional one \\s*), and <name> stands for the
word list of that name (packs/words.yaml, or `words` of the pack itself), which may hold other <names>.
A rule may carry texts of its own that it must raise, or must not: `douane rules check` runs them.
Never: a rule without source and reason; patterns that RE2 refuses; the same id twice.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import yaml

from sidecar.detectors.gates import unread
from sidecar.types import Surface, ThreatType

# Where text of people and of the world arrives. system and tool_definition hold orders by nature, output is ours.
DEFAULT_SURFACES = (Surface.USER, Surface.TOOL_RESULT, Surface.DOCUMENT)
WEIGHT_MAX = 20.0
_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_NAME = re.compile(r"<([a-z][a-z0-9_]*)>")
_CLASS_OR_BLANK = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]| +[?*]?")
_WORDS_DEEP = 6
PATTERN_MAX = 200_000  # characters of a pattern with its word lists written out; ours stay below 40,000
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads our packs ten times faster


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
    must_fire: tuple[str, ...] = ()
    must_not_fire: tuple[str, ...] = ()


class PackSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A pack: a family, its rules, and word lists that only these rules see."""

    family: str
    rules: tuple[RuleSpec, ...]
    words: dict[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to run. weights holds the weight per surface; a surface without one is not looked at."""

    id: str
    type: ThreatType
    weights: Mapping[Surface, float]
    patterns: tuple[str, ...]
    unless: str
    confidence: float
    source: str = ""
    must_fire: tuple[str, ...] = ()
    must_not_fire: tuple[str, ...] = ()
    file: str = ""

    @property
    def place(self) -> str:
        """Where the rule stands, as complaints begin."""
        return f"{self.file}: rule {self.id}" if self.file else f"rule {self.id}"


def read_yaml(text: str, file: str) -> object:
    """Return what a YAML text says.

    Raises: PackError naming the file when it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_YAML)  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise PackError(f"{file}: not YAML: {error}") from error


def load_words(text: str, file: str = "words") -> dict[str, str]:
    """Return the word lists of packs/words.yaml as alternations.

    Shape: name -> "(?:a|b|c)"; alternatives are set apart by " | " and may name other lists.
    Raises: PackError when the file is not a mapping of names to such texts.
    """
    try:
        lists = msgspec.convert(read_yaml(text, file), dict[str, str])
    except msgspec.ValidationError as error:
        raise PackError(f"{file}: {error}; write each list as `name: word | word`") from error
    return _alternations(lists)


def _alternations(lists: Mapping[str, str]) -> dict[str, str]:
    return {name: f"(?:{'|'.join(alternatives.split(' | '))})" for name, alternatives in lists.items()}


def load_pack(text: str, words: Mapping[str, str], file: str) -> tuple[Rule, ...]:
    """Return the rules of a pack.

    Raises: PackError naming file, rule and field.
    """
    raw = read_yaml(text, file)
    try:
        spec = msgspec.convert(raw, PackSpec)
    except msgspec.ValidationError as error:
        raise PackError(f"{file}: {_place(raw, str(error))}") from error
    known = {**words, **_alternations(spec.words)}
    return tuple(_rule(rule, spec.family, known, file) for rule in spec.rules)


def check_unique(rules: Iterable[Rule]) -> None:
    """Raise PackError when an id is used twice: ids are permanent and name one thing."""
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise PackError(f"{rule.place}: id: it is used twice; give one of the two rules another id")
        seen.add(rule.id)


def _place(raw: object, message: str) -> str:
    """Put the rule's id in front of msgspec's message, which counts rules by number only, and the remedy behind it."""
    message += _remedy(message)
    number = re.search(r"rules\[(\d+)\]", message)
    if number is None or not isinstance(raw, dict):
        return message
    rule = raw["rules"][int(number[1])]
    return f"rule {rule.get('id', number[1]) if isinstance(rule, dict) else number[1]}: {message}"


def _remedy(message: str) -> str:
    """Return what may stand there instead, for the mistakes that have a closed answer."""
    known: Iterable[str] = ()
    if "unknown field" in message:
        known = RuleSpec.__struct_fields__ if "rules[" in message else PackSpec.__struct_fields__
    elif "Invalid enum value" in message:
        known = [member.value for member in (ThreatType if message.endswith(".type`") else Surface)]
    elif "rules" not in message:
        known = PackSpec.__struct_fields__
    return f"; known: {', '.join(known)}" if known else ""


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
    except ValueError as error:
        raise refuse("pattern", str(error)) from error
    for pattern in patterns:
        if unread(pattern):
            raise refuse("pattern", f"write {unread(pattern)!r} in another way: groups as (?:...), \\x41 for codes")
    cases = spec.must_fire, spec.must_not_fire
    return Rule(spec.id, spec.type, weights, expanded, unless, spec.confidence, spec.source, *cases, file)


def expand(pattern: str, words: Mapping[str, str]) -> str:
    """Return a pattern as RE2 reads it: word lists written out, blanks made \\s+.

    Raises: KeyError for a word list that does not exist, ValueError for lists that hold each other or too much.
    """
    for _ in range(_WORDS_DEEP):
        if not _NAME.search(pattern):
            break
        pattern = _NAME.sub(lambda match: words[match[1]], pattern)
        if len(pattern) > PATTERN_MAX:
            raise ValueError(f"with its word lists it is longer than {PATTERN_MAX:,} characters; name fewer lists")
    if _NAME.search(pattern):
        raise ValueError(f"word lists nest deeper than {_WORDS_DEEP}, or hold each other; write one of them out")
    return _CLASS_OR_BLANK.sub(_blank, pattern.strip())


def _blank(match: re.Match[str]) -> str:
    if match[0][0] != " ":
        return match[0]
    return r"\s*" if match[0][-1] in "?*" else r"\s+"
