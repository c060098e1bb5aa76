"""The policy as a JSON Schema (draft 2020-12), made from the settings themselves: what analytics checks documents by.

In: nothing. Out: a plain value, written to proto/douane/policy.schema.json by `make proto`; a test compares.
The schema says what one field may be. What only several fields say together (alert_score at most deny_score, names that stand
twice, an override that sets what no override may) parse_policy says.
"""

from typing import Any

import msgspec

from sidecar.policy.document import WHOLE
from sidecar.policy.settings import REQUEST_SURFACES, Leaks, OnThreat, Policy
from sidecar.types import ThreatType

_ADDRESS = "https://json-schema.org/draft/2020-12/schema"
_PASSING = {"enum": ["allow_unscanned", "deny"]}


def policy_schema() -> dict[str, Any]:
    """Return the schema of a policy document."""
    _, parts = msgspec.json.schema_components((Policy,), ref_template="#/$defs/{name}")
    policy = parts.pop("Policy")
    fields = policy["properties"]
    del fields["version"]
    fields["unscanned"] = {**_PASSING, "default": fields["unscanned"]["default"]}
    fields["websocket"] = {**_PASSING, "default": fields["websocket"]["default"]}
    fields["thresholds"] = _keyed({surface.value: {"$ref": "#/$defs/Threshold"} for surface in REQUEST_SURFACES})
    fields["actions"] = _keyed({kind.value: _action(kind) for kind in ThreatType if kind is not ThreatType.USER_RISK})
    settable = {name: schema for name, schema in fields.items() if name not in WHOLE}
    parts["Override"]["properties"]["set"] = _keyed(settable) | {"minProperties": 1}
    for unused in ("Action", "Surface", "ThreatType", "OnThreat"):
        parts.pop(unused, None)
    return {
        "$schema": _ADDRESS,
        "title": "Douane policy",
        "type": "object",
        "additionalProperties": False,
        "properties": fields,
        "$defs": {name: parts[name] for name in sorted(parts)},
    }


def _keyed(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": fields}


def _action(kind: ThreatType) -> dict[str, Any]:
    leak = kind.value in Leaks.__struct_fields__
    return {"enum": [action.value for action in OnThreat if leak or action is not OnThreat.PSEUDONYMISE]}
