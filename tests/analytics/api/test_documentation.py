"""The OpenAPI document says what everything is: every operation, parameter and field of the reading API has its words."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

PREFIXES = (
    *("/api/usage/", "/api/security/summary", "/api/security/threats", "/api/security/timeline", "/api/decisions"),
    *("/api/feedback", "/api/costs", "/api/latency", "/api/quality", "/api/stream", "/api/health", "/api/ready"),
)
OTHERS = ("/api/security/users", "/api/security/users/{user}")  # beside those of risk and quarantine


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    held: dict[str, Any] = client.get("/openapi.json").json()
    return held


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        if path in OTHERS or path.startswith(PREFIXES):
            yield from ((f"{method.upper()} {path}", operation) for method, operation in methods.items())


def test_operations_and_parameters_have_words_and_examples(document: dict[str, Any]) -> None:
    missing: list[str] = []
    for name, operation in operations(document):
        missing += [f"{name}: {word}" for word in ("summary", "description") if not operation.get(word)]
        for one in operation.get("parameters", []):
            told = one.get("schema", {})
            if not (one.get("description") or told.get("description")):
                missing.append(f"{name} {one['name']}: description")
            if not any(holder.get(word) for holder in (one, told) for word in ("example", "examples")):
                missing.append(f"{name} {one['name']}: example")
    assert missing == []


def schemas(node: Any, document: dict[str, Any], met: set[str]) -> None:
    """Collect the names of the schemas that a node leads to."""
    if isinstance(node, dict):
        reference = node.get("$ref", "")
        name = reference.rpartition("/")[2]
        if reference and name not in met:
            met.add(name)
            schemas(document["components"]["schemas"][name], document, met)
        for value in node.values():
            schemas(value, document, met)
    elif isinstance(node, list):
        for value in node:
            schemas(value, document, met)


def test_fields_have_words_and_examples(document: dict[str, Any]) -> None:
    met: set[str] = set()
    for _, operation in operations(document):
        schemas(operation, document, met)
    assert {
        "UsageAnalytics",
        "DecisionDetail",
        "SecuritySummary",
        "Costs",
        "Latency",
        "QualityBody",
        "VerdictIn",
    } <= met
    missing: list[str] = []
    for name in sorted(met):
        for field, told in document["components"]["schemas"][name].get("properties", {}).items():
            nested = "$ref" in str(told)
            if not (nested or told.get("description")):  # what is nested has its own words
                missing.append(f"{name}.{field}: description")
            if not (nested or "examples" in told):
                missing.append(f"{name}.{field}: examples")
    assert missing == []


def test_every_error_of_an_operation_is_of_the_one_shape(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        statuses = set(operation["responses"])
        assert "503" in statuses, name
        if "/health" not in name and "/ready" not in name:
            assert {"401", "403"} <= statuses, name
            shapes = {
                operation["responses"][status]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                for status in statuses
                if status >= "400"
            }
            assert shapes == {"ErrorBody"}, name
