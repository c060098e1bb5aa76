"""The API as a client sees it, over a real store: the mission's calls, errors of one shape, metrics, headers."""

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.api import application as web
from analytics.store import database
from tests.analytics.conftest import build_application, local_client


def test_metrics_have_the_missions_names(client: TestClient) -> None:
    answer = client.get("/metrics")
    kinds = [line.split()[2:] for line in answer.text.splitlines() if line.startswith("# TYPE")]
    assert [kind for kind in kinds if not kind[0].endswith("_created")] == [
        ["inference_requests_total", "counter"],
        ["inference_latency_seconds", "histogram"],
        ["security_threats_total", "counter"],
        ["model_performance_score", "gauge"],
        ["douane_ingest_records_total", "counter"],
        ["douane_ingest_failed_batches_total", "counter"],
        ["douane_ingest_batch_records", "histogram"],
        ["douane_ingest_commit_seconds", "histogram"],
    ]


def test_security_headers_are_on_every_answer(client: TestClient) -> None:
    for path in ("/dashboard", "/api/health", "/nowhere", "/dashboard/static/dashboard.css"):
        headers = client.get(path).headers
        assert {name: headers.get(name) for name in web.HEADERS} == web.HEADERS


def test_root_leads_to_the_dashboard(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/dashboard")


def test_openapi_describes_every_endpoint_its_errors_and_examples(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operations = {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    first = {"get /api/usage/analytics", "get /api/decisions", "get /api/dashboard/recommendations", "get /api/health"}
    assert first <= set(operations)
    shapes = {
        answer["content"]["application/json"]["schema"]["$ref"].rsplit("/")[-1]
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if status >= "400"
    }
    assert shapes == {"ErrorBody", "Health", "Ready"}
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["components"]["schemas"]["ModelUsage"]["properties"]["model"]["examples"] == ["gpt-4o"]


def test_every_error_has_one_shape(client: TestClient) -> None:
    errors = {
        path: (answer.status_code, answer.json())
        for path in ("/nowhere", "/api/usage/analytics?days=0", "/api/decisions/abc", "/api/decisions/" + "0" * 32)
        for answer in [client.get(path)]
    }
    assert errors == {
        "/nowhere": (404, {"error": {"type": "not_found", "message": "there is nothing at /nowhere"}}),
        "/api/usage/analytics?days=0": (
            422,
            {
                "error": {
                    "type": "invalid_request",
                    "message": "days: Input should be greater than or equal to 1",
                    "param": "days",
                }
            },
        ),
        "/api/decisions/abc": (
            422,
            {
                "error": {
                    "type": "invalid_request",
                    "message": "decision_id: String should match pattern '^[0-9a-f]{32}$'",
                    "param": "decision_id",
                }
            },
        ),
        "/api/decisions/" + "0" * 32: (
            404,
            {"error": {"type": "not_found", "message": "no decision has this id", "param": "decision_id"}},
        ),
    }
    answer = client.post("/api/decisions")
    expected = {"error": {"type": "method_not_allowed", "message": "Method Not Allowed"}}
    assert (answer.status_code, answer.json(), answer.headers["allow"]) == (405, expected, "GET")


def test_an_unexpected_error_has_the_shape_and_tells_nothing(application: FastAPI) -> None:
    @application.get("/api/broken")
    def broken() -> None:
        raise RuntimeError("password=hunter2")

    with local_client(application) as client:
        answer = client.get("/api/broken")
    expected = {"error": {"type": "internal", "message": "something went wrong here; the log says what"}}
    assert (answer.status_code, answer.json()) == (500, expected)


def test_a_database_that_is_away_is_503_of_the_same_shape() -> None:
    engine: Engine = database.connect("postgresql+psycopg://douane@127.0.0.1:1/douane")
    with local_client(build_application(engine)) as client:
        answer = client.get("/api/usage/analytics")
        health = client.get("/api/health")
    expected = {"error": {"type": "unavailable", "message": "the database cannot be reached"}}
    assert (answer.status_code, answer.json()) == (503, expected)
    assert (health.status_code, health.json()["status"], health.json()["database_reachable"]) == (
        503,
        "unavailable",
        False,
    )
