"""Bodies of the policy endpoints: YAML or JSON, bounded, refused with their place."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from analytics.control.policies import MAX_BYTES
from tests.analytics.api.steering import YAML, Api, api, error

PATH = "/api/policies/default/validate"


@pytest.fixture
def on(sqlite_engine: Engine) -> Iterator[Api]:
    with api(sqlite_engine) as one:
        yield one


def test_yaml_and_json_are_the_same_policy(on: Api) -> None:
    document = {"mode": "observe", "leaks": {"pii_leak": "deny"}}
    yaml = on.client.post(PATH, content="mode: observe\nleaks: {pii_leak: deny}", headers=YAML).json()
    as_json = on.client.post(PATH, json=document).json()
    assert (yaml["document"], as_json["document"]) == (document, document)
    assert (yaml["valid"], yaml["digest"]) != (as_json["valid"], as_json["digest"])  # a digest names a text


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"mode: maybe", "yaml", (422, "mode: 'maybe' is not one of ['enforce', 'observe']", "mode")),
        (
            json.dumps({"frob": 1, "user_risk": {"half_life_s": 1}}).encode(),
            "json",
            (422, "frob: there is no such setting (and 1 more: user_risk.half_life_s)", "frob"),
        ),
        (b"\xff", "yaml", (422, "the body is not UTF-8", None)),
        (b"a: [", "yaml", (422, "line 2: did not find expected node content", None)),
        (b'{"a": 1, "a": 2}', "json", (422, "'a' stands twice", None)),
        (b"  ", "yaml", (422, "the body holds no policy", None)),
        (b"a" * (MAX_BYTES + 1), "yaml", (413, f"a policy has at most {MAX_BYTES} bytes", None)),
    ],
)
def test_what_is_no_policy_is_refused_with_its_place(
    on: Api, body: bytes, kind: str, expected: tuple[int, str, str | None]
) -> None:
    answer = on.client.post(PATH, content=body, headers={"content-type": f"application/{kind}"})
    assert error(answer) == expected
