"""The schema and the parser agree on what a policy is."""

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from sidecar.policy import Policy, parse_policy
from sidecar.policy.schema import policy_schema
from tests.test_docs import ROOT

VALIDATOR = Draft202012Validator(policy_schema())


def uncommented() -> dict[str, Any]:
    """Return what policy.yaml says where its examples are taken out of their comments."""
    lines = (ROOT / "sidecar/policy.yaml").read_text(encoding="utf-8").splitlines()
    names = tuple(f"{name}:" for name in Policy.__struct_fields__)
    taken, inside = [], False
    for line in lines:
        text = line.removeprefix("# ")
        inside = text.startswith(names) or (inside and text.startswith("  "))
        if inside:
            taken.append(text)
    read: dict[str, Any] = msgspec.yaml.decode("\n".join(taken))
    return read


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(policy_schema())
    assert policy_schema()["properties"].keys() == set(Policy.__struct_fields__) - {"version"}


def test_every_example_of_the_policy_file_is_a_policy() -> None:
    given = uncommented()
    assert given.keys() == set(Policy.__struct_fields__) - {"version"}
    text = msgspec.json.encode(given).decode()
    assert parse_policy(text, Policy()).overrides[0].name == "contractors"
    assert list(VALIDATOR.iter_errors(msgspec.json.decode(text))) == []


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "watch"},
        {"deadline_ms": 601},
        {"deadline_ms": 1.5},
        {"alert_score": 0},
        {"unscanned": "redact"},
        {"thresholds": {"output": {"deny": 3}}},
        {"thresholds": {"user": {"deny": 0}}},
        {"actions": {"user_risk": "deny"}},
        {"actions": {"jailbreak": "pseudonymise"}},
        {"canaries": ["short"]},
        {"lists": {"users": {"deny": ["a\nb"]}}},
        {"identity": {"user": "X-User"}},
        {"user_risk": {"half_life_s": 1}},
        {"budgets": [{"name": "a b", "limit": 1, "unit": "usd", "window": "day"}]},
        {"budgets": [{"name": "a", "limit": -1, "unit": "usd", "window": "day"}]},
        {"exceptions": [{"rule": "r", "until": "soon", "reason": "w", "who": "a"}]},
        {"overrides": [{"name": "o", "match": {"user": "a"}, "set": {"unknown_hosts": "deny"}}]},
        {"overrides": [{"name": "o", "match": {"user": "a"}, "set": {"mode": "watch"}}]},
        {"overrides": [{"name": "o", "match": {"users": "a"}, "set": {"mode": "observe"}}]},
        {"version": "mine"},
        {"mood": "good"},
    ],
)
def test_what_the_schema_refuses_the_parser_refuses(given: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(given)
    with pytest.raises(ValueError, match=r"."):
        parse_policy(msgspec.json.encode(given).decode(), Policy())
