"""values.yaml and its schema: every value is commented and described, and nothing else is let in."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from sidecar.envoyconf.providers import PROVIDERS
from tests.helm import policy_schema
from tests.helm.chart import CHART

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
# Tables whose lines are entries and not settings: the comment stands above the table.
_TABLES = ("models",)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    found: dict[str, Any] = SCHEMA["definitions"][reference.removeprefix("#/definitions/")] if reference else schema
    return found


def _undescribed(values: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name, value in values.items():
        if name not in properties:
            yield f"{path}{name}"
        elif isinstance(value, dict) and "properties" in _resolved(properties[name]):
            yield from _undescribed(value, _resolved(properties[name]), f"{path}{name}.")


def _open_objects(schema: Any, path: str) -> Iterator[str]:
    """Yield the object schemas that would let anything in."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _open_objects(item, f"{path}/{index}")
    elif isinstance(schema, dict):
        if schema.get("type") == "object" and "additionalProperties" not in schema:
            yield path
        for name, item in schema.items():
            if name not in ("if", "then"):
                yield from _open_objects(item, f"{path}/{name}")


def test_every_value_is_in_the_schema() -> None:
    assert list(_undescribed(yaml.safe_load(VALUES), SCHEMA, "")) == []


def test_the_schema_lets_nothing_else_in() -> None:
    """Helm's own `global`, and Kubernetes' own matchExpressions, are not ours to describe."""
    free = ["/properties/global", "/definitions/selector/properties/matchExpressions/items"]
    assert list(_open_objects(SCHEMA, "")) == free


def test_a_comment_stands_above_each_value() -> None:
    lines = VALUES.splitlines()
    missing, table = [], ""
    for before, line in zip(["", *lines], lines, strict=False):
        found = re.match(r"( *)([\w-]+):(.*)", line)
        if found is None:
            continue
        indent, name, value = found.groups()
        table = name if not indent else table
        inside = bool(indent) and (table in _TABLES or name in ("requests", "limits"))
        if value.strip() and not inside and not before.lstrip().startswith("#"):
            missing.append(name)
    assert missing == []


def test_the_schema_knows_the_sidecar_s_policy_and_providers() -> None:
    policy, definitions = policy_schema.parts()
    assert SCHEMA["properties"]["policy"] == policy, "run `python -m tests.helm.policy_schema`"
    assert {name: part for name, part in SCHEMA["definitions"].items() if name.startswith("policy")} == definitions
    assert SCHEMA["definitions"]["provider"]["enum"] == [p.name for p in PROVIDERS]
