"""`python -m tests.helm.policy_schema`: write the policy's schema into the chart's, after a change of the sidecar's settings.

In: the sidecar's policy schema. Out: helm/douane/values.schema.json with it in `properties.policy` and
`definitions.policy*`, a line each.
A test compares, so that the two cannot differ.
"""

import json
import re
from typing import Any

from sidecar.policy.schema import policy_schema
from tests.helm.chart import CHART

PATH = CHART / "values.schema.json"
_SAID = ("title", "description", "default", "$schema")


def parts() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the policy's schema as the chart has it: the object itself, and its definitions by their names there."""
    schema = _bare(policy_schema())
    definitions = {f"policy{name}": part for name, part in schema.pop("$defs").items()}
    return schema, definitions


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    bare = {name: _bare(item) for name, item in value.items() if name not in _SAID and (name, item) != ("required", [])}
    if "$ref" in bare:
        bare["$ref"] = bare["$ref"].replace("#/$defs/", "#/definitions/policy")
    return bare


def written(text: str) -> str:
    """Return the chart's schema with the policy's in it."""
    schema, definitions = parts()
    lines = [f"        {json.dumps(name)}: {json.dumps(part)}" for name, part in schema["properties"].items()]
    policy = '    "policy": {\n      "type": "object",\n      "additionalProperties": false,\n      "properties": {\n'
    policy += ",\n".join(lines) + "\n      }\n    },\n"
    text = re.sub(r'    "policy": \{\n.*?\n    \},\n', lambda _: policy, text, count=1, flags=re.DOTALL)
    text = re.sub(r'    "policy[A-Z]\w+": .*\n', "", text)
    named = "".join(f"    {json.dumps(name)}: {json.dumps(part)},\n" for name, part in definitions.items())
    return text.replace('  "definitions": {\n', '  "definitions": {\n' + named, 1)


if __name__ == "__main__":
    PATH.write_text(written(PATH.read_text(encoding="utf-8")), encoding="utf-8")
