"""Policy documents: what is read, what is refused and where it is at fault, what a text is called."""

import json

import pytest

from analytics.control import policies
from analytics.control.policies import PolicyError, Problem
from sidecar.policy import policy_version

NO_TAG = "line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:x'"
YAML = "mode: observe\nleaks:\n  secret_leak: redact\nexceptions:\n- {rule: x, until: 2026-12-31, reason: r, who: w}\n"
DOCUMENT = {
    "mode": "observe",
    "leaks": {"secret_leak": "redact"},
    "exceptions": [{"rule": "x", "until": "2026-12-31", "reason": "r", "who": "w"}],
}


def test_yaml_and_json_say_the_same() -> None:
    assert [policies.read_yaml(YAML), policies.read_json(json.dumps(DOCUMENT))] == [DOCUMENT, DOCUMENT]
    assert policies.read_yaml(policies.write_yaml(DOCUMENT)) == DOCUMENT
    assert [policies.read_yaml("# nothing\n"), policies.read_json("{}")] == [{}, {}]
    policies.check(DOCUMENT)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mode: observe\nmode: enforce", Problem("", "line 2: 'mode' stands twice")),
        ("a: &x 1\nb: *x", Problem("", "line 2: aliases are not read")),
        ("- mode", Problem("", "the policy is not a mapping of settings")),
        ("mode: [", Problem("", "line 2: did not find expected node content")),
        ("deny_score: .nan", Problem("", "nan is no number to reckon with")),
        ("a: " + "[" * 30 + "]" * 30, Problem("", "nested deeper than 24")),
        ("a: !!python/name:x", Problem("", NO_TAG)),
        ("a: 2026-13-45", Problem("", "not readable: month must be in 1..12")),
        ("a: \ud800", Problem("", "not text: it holds NUL or half a character")),
        ("a: " + "x" * policies.MAX_BYTES, Problem("", "larger than 262144 bytes")),
        ("a: !!binary aGk=", Problem("", "a value of type bytes is not read")),
    ],
)  # fmt: skip
def test_what_is_ambiguous_or_hostile_is_not_read(text: str, problem: Problem) -> None:
    with pytest.raises(PolicyError) as raised:
        policies.read_yaml(text)
    assert raised.value.problems == (problem,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('{"a": NaN}', "NaN is no number to reckon with"),
        ('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested deeper than 24"),
        ("{", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("3", "the policy is not a mapping of settings"),
    ],
)
def test_what_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as raised:
        policies.read_json(text)
    assert raised.value.problems == (Problem("", message),)


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        ({"frob": 1}, ["frob: there is no such setting"]),
        ({"user_risk": {"half_life_s": 1}}, ["user_risk.half_life_s: 1 is less than the minimum of 60"]),
        (
            {"mode": "maybe", "deny_score": "high"},
            ["deny_score: 'high' is not of type 'number'", "mode: 'maybe' is not one of ['enforce', 'observe']"],
        ),
        ({"budgets": [{"name": "a", "unit": "usd", "window": "day"}]}, ["budgets[0].limit: it is missing"]),
        ({"lists": {"users": {"deny": [3]}}}, ["lists.users.deny[0]: 3 is not of type 'string'"]),
        ({"alert_score": 16}, ["alert_score: 16 is above deny_score 15"]),
    ],
)  # fmt: skip
def test_problems_are_named_with_their_path(document: policies.Document, problems: list[str]) -> None:
    with pytest.raises(PolicyError) as raised:
        policies.check(document)
    assert [str(one) for one in raised.value.problems] == problems
    assert str(raised.value) == "; ".join(problems)


def test_a_text_has_the_name_that_the_sidecar_gives_it() -> None:
    assert policies.digest(YAML) == policy_version(YAML)


def test_every_setting_has_a_default_and_none_is_a_problem() -> None:
    defaults = policies.defaults()
    policies.check(defaults)
    assert set(defaults) == set(policies.schema()["properties"]) - {"exceptions", "budgets", "overrides"}
    assert (defaults["deny_score"], defaults["leaks"]) == (15.0, {"secret_leak": "report", "pii_leak": "report"})
    assert defaults["lists"]["users"] == {"allow": [], "deny": []}
