"""Policy documents: read from YAML or JSON, checked against the schema, named by their digest.

In: the text of a request's body, from somebody who may write policies; it is still bounded and read without trust.
Out: plain mappings, the problems found in them, the digest that records carry as `policy_version`.
The schema is generated from the sidecar's own Policy (douane/policy.schema.json), so both ends read a document alike; what
the schema cannot say is in consistency.py.
Never: decides by a policy (the sidecar does; dry_run tells what it would do), stores one (store/policies), or reads what is
ambiguous: a key that stands twice, an alias, a number that is none.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import yaml
from douane.v1 import control_pb2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from analytics.control.consistency import SCOPED, complaints

# A policy that names thousands of users has some 100 KB; every sidecar holds every policy in memory.
MAX_BYTES = 256 * 1024
# The Policy's own nesting is below ten; the parsers descend once for each level.
MAX_DEPTH = 24
MAX_PROBLEMS = 50
_MESSAGE_CHARS = 300
# Beside the generated contract, of which it is a part.
_SCHEMA = Path(control_pb2.__file__).parents[1] / "policy.schema.json"
_WHOLE = ""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place. path is dotted, list places in brackets; empty for the whole document."""

    path: str
    message: str

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.path}: {self.message}" if self.path else self.message


class PolicyError(ValueError):
    """A document that cannot be in force. problems has at least one entry."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(one) for one in problems))
        self.problems = problems


class _Strict(yaml.CSafeLoader):
    """YAML's safe loader that refuses a key standing twice: the parser would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node. Raises: yaml.YAMLError."""
        seen: set[Any] = set()
        for key, _ in node.value:
            name = key.value
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Document:
    """Return the document of a YAML text.

    Raises: PolicyError that names the line.
    """
    _check_size(text)
    try:
        _check_events(text)
        return _mapping(yaml.load(text, Loader=_Strict))  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise PolicyError(Problem(_WHOLE, _yaml_fault(error))) from None
    except (ValueError, TypeError, OverflowError) as error:  # a date such as 2026-13-45, a key that is a list
        if isinstance(error, PolicyError):
            raise
        raise PolicyError(Problem(_WHOLE, f"not readable: {error}"[:_MESSAGE_CHARS])) from None


def read_json(text: str) -> Document:
    """Return the document of a JSON text.

    Raises: PolicyError that names the line.
    """
    _check_size(text)
    try:
        return _mapping(json.loads(text, object_pairs_hook=_once, parse_constant=_no_number))
    except PolicyError:
        raise
    except RecursionError:
        raise PolicyError(Problem(_WHOLE, f"nested deeper than {MAX_DEPTH}")) from None
    except ValueError as error:
        raise PolicyError(Problem(_WHOLE, f"not JSON: {error}"[:_MESSAGE_CHARS])) from None


def write_yaml(document: Document) -> str:
    """Return a document as YAML, in the order of its keys."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120)


def digest(text: str) -> str:
    """Return the name of a policy text in records: 12 hex digits, as the sidecar computes it (sidecar.policy.policy_version)."""
    return blake2b(text.encode(), digest_size=6).hexdigest()


def check(document: Document) -> None:
    """Return when a document may be in force.

    Raises: PolicyError with at most MAX_PROBLEMS problems, in the document's order.
    """
    found = [_problem(error) for error in _validator().iter_errors(document)]
    found = found or [Problem(path, message) for path, message in complaints(document, defaults())]
    if found:
        raise PolicyError(*sorted(dict.fromkeys(found), key=lambda one: one.path)[:MAX_PROBLEMS])


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of a policy (draft 2020-12)."""
    found: Mapping[str, Any] = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return found


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def _check_size(text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PolicyError(Problem(_WHOLE, f"larger than {MAX_BYTES} bytes"))
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise PolicyError(Problem(_WHOLE, "not text: it holds NUL or half a character"))


def _check_events(text: str) -> None:
    """Walk a YAML text without building anything. Raises: PolicyError for aliases and depth, yaml.YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise PolicyError(Problem(_WHOLE, f"line {_line(event)}: aliases are not read"))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise PolicyError(Problem(_WHOLE, f"nested deeper than {MAX_DEPTH}"))


def _line(event: yaml.Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.line + 1


def _mapping(value: Any) -> Document:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PolicyError(Problem(_WHOLE, "the policy is not a mapping of settings"))
    return {str(key): _plain(each, 1) for key, each in value.items()}


def _plain(value: Any, depth: int) -> Any:
    """Return a value in JSON's types: moments become their ISO text. Raises: PolicyError."""
    if depth > MAX_DEPTH:
        raise PolicyError(Problem(_WHOLE, f"nested deeper than {MAX_DEPTH}"))
    if isinstance(value, dict):
        return {str(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise PolicyError(Problem(_WHOLE, f"{value} is no number to reckon with"))
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise PolicyError(Problem(_WHOLE, f"a value of type {type(value).__name__} is not read"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise PolicyError(Problem(_WHOLE, f"{name!r} stands twice"))
        found[name] = value
    return found


def _no_number(name: str) -> Any:
    raise PolicyError(Problem(_WHOLE, f"{name} is no number to reckon with"))


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    told = str(getattr(error, "problem", None) or "not YAML")
    return (f"line {mark.line + 1}: {told}" if mark is not None else told)[:_MESSAGE_CHARS]


def _problem(error: ValidationError) -> Problem:
    """Return the innermost cause of a schema's complaint: of alternatives, the one that came furthest."""
    while error.context:
        error = max(error.context, key=lambda one: len(one.absolute_path))
    path, instance, wanted = list(error.absolute_path), cast("Any", error.instance), cast("Any", error.validator_value)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        extra = next((name for name in instance if name not in known), "")
        return Problem(dotted([*path, extra]), "there is no such setting")
    if error.validator == "required":
        missing = next((name for name in wanted if name not in instance), "")
        return Problem(dotted([*path, missing]), "it is missing")
    return Problem(dotted(path), error.message[:_MESSAGE_CHARS])


def dotted(parts: Any) -> str:
    """Return a path as text: budgets[0].limit."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@cache
def defaults() -> Document:
    """Return every setting that is no list of scopes with the value that the schema gives it, groups filled in."""
    return {name: _default(value) for name, value in schema()["properties"].items() if name not in SCOPED}


def _default(given: Mapping[str, Any]) -> Any:
    """Return a setting's default; of a group each of its own settings'."""
    part = schema()["$defs"].get(given.get("$ref", "").removeprefix("#/$defs/"), {})
    inner = part.get("properties")
    if inner:
        return {name: _default(value) for name, value in inner.items()}
    return given.get("default", {} if given.get("type") == "object" else None)
