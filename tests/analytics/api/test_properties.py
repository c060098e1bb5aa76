"""The whole application against its own OpenAPI document: schemathesis makes requests of every operation it lists.

Whatever comes in, valid or not: no 500, a status and a content type that the document names, a body of the schema it names.
Each operation's examples, the edges of each of its parameters, then random requests, with a fixed seed. A router that is
added to the application is asked too, with no line here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.access import keys
from analytics.access.principal import LOCAL, PERSONAL_SCOPES
from analytics.api.auth import Viewer
from analytics.api.errors import responses
from analytics.store import database
from tests.analytics.books import fill, varied
from tests.analytics.conftest import NOW_UNIX_S, build_application

# Random requests of each operation; the edges alone are some dozens to some hundreds.
EXAMPLES = 10
SEED = 20_261_125
# Who logs in shows in the body who comes; only a session can be ended.
SHOW_THEMSELVES = {"POST /api/session", "GET /api/session/oidc/callback", "DELETE /api/session"}
# What cannot be asked so: it ends when the client leaves. tests/analytics/api/test_stream.py asks it.
ENDLESS = ("/api/stream",)
# Beyond what a schema can say: `from` before `to`, a cursor of this very list, a rule that fired.
SEMANTIC = ["2xx", "400", "401", "403", "404", "409", "422"]
CONFIG: dict[str, Any] = {
    "seed": SEED,
    "cache": {"enabled": False},  # it would remember between runs, in a folder of the repository
    "generation": {"max-examples": EXAMPLES, "deterministic": True, "no-shrink": True, "database": "none"},
    "phases": {"stateful": {"enabled": False}},
    "checks": {"positive_data_acceptance": {"expected-statuses": SEMANTIC}},
}
ROWS = varied(60)


@dataclass(frozen=True, slots=True)
class Whole:
    """The application over a small store, and a token of somebody who may do everything."""

    application: FastAPI
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request shows."""
        return {"authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="module")
def engine_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = database.connect(f"sqlite:///{tmp_path_factory.mktemp('properties') / 'properties.db'}")
    database.migrate(engine)
    fill(engine, ROWS)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def whole(engine_of_all: Engine) -> Whole:
    with database.writing(engine_of_all) as connection:
        new = keys.NewToken("properties", "admin", scopes=tuple(PERSONAL_SCOPES))
        _, token = keys.create(connection, LOCAL, new, NOW_UNIX_S)
    return Whole(build_application(engine_of_all), token)


def told(event: events.ScenarioFinished) -> Iterator[str]:
    """Yield what went wrong in a scenario, with the command that shows it."""
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                yield f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"


def broken_contracts(whole: Whole, paths: str = "^/") -> tuple[list[str], Counter[tuple[str, int]]]:
    """Return what went wrong, each once, and how often each operation was answered with which status."""
    config = SchemathesisConfig.from_dict(CONFIG | {"auth": {"openapi": {"token": {"bearer": whole.token}}}})
    schema = schemathesis.openapi.from_asgi("/openapi.json", whole.application, config=config)
    failures: list[str] = []
    answered: Counter[tuple[str, int]] = Counter()
    for event in from_schema(schema.exclude(path=list(ENDLESS)).include(path_regex=paths)).execute():
        if isinstance(event, events.NonFatalError):  # what the application raised: a 500 to a client
            failures.append(f"raised: {event.label}: {event.value!r}")
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.ScenarioFinished):
            failures.extend(told(event))
            for one in event.recorder.interactions.values():
                answered[event.recorder.label, one.response.status_code if one.response else 0] += 1
    return list(dict.fromkeys(failures)), answered


@pytest.mark.timeout(300)
def test_no_request_breaks_the_contract(whole: Whole) -> None:
    failures, answered = broken_contracts(whole)
    assert "\n\n".join(failures) == ""
    by_status: dict[str, set[int]] = defaultdict(set)
    for label, status in answered:
        by_status[label].add(status)
    refused = {label for label, statuses in by_status.items() if statuses == {401}}
    assert refused - SHOW_THEMSELVES == set()  # else the gate was tested and nothing behind it
    assert answered.total() > EXAMPLES * len(by_status)


def test_what_breaks_is_found(whole: Whole, engine_of_all: Engine) -> None:
    """A 500 beyond a number, an answer that is not the one promised: else the test above says nothing."""
    application = build_application(engine_of_all)

    @application.get("/api/broken", responses=responses(401, 403, 422))
    def broken(who: Viewer, number: int = 1) -> dict[str, int]:
        return {"rest": 10 // (0 if number > 10 else 1)}

    @application.get("/api/lying", responses={200: {"model": list[int]}, **responses(401, 403)})
    def lying(who: Viewer) -> JSONResponse:
        return JSONResponse({"not": "a list"})

    failures, _ = broken_contracts(replace(whole, application=application), "^/api/(broken|lying)$")
    assert {failure.partition(":")[0] for failure in failures} == {"raised", "response_schema_conformance"}


HOSTILE = [
    *("\x00", "a\x00b", "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "\ufffd", "\U0010ffff"),
    *("-1", "0", "9" * 25, "9" * 5_000, "-9223372036854775809", "1e309", "-0", "NaN", "inf", "0x10", "١٢", " 7", "1_0"),
    *("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-14:00"),
    *("10000-01-01T00:00:00Z", "2026-11-18T11:06:40", "2026-02-30T00:00:00Z", "-2026-11-18T11:06:40Z"),
    *("' OR '1'='1", "%", "../../etc/passwd", "{}", "[]", "null", "x" * 20_000, ""),
]


def parameters(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, operations in document["paths"].items():
        for one in operations.get("get", {}).get("parameters", []):
            if one["in"] == "query" and path not in ENDLESS:
                yield path, one["name"]


def test_hostile_values_of_every_parameter_are_answered(whole: Whole) -> None:
    """Numbers, moments, texts and cursors that are none: an answer or an error of the one shape, never 500.

    All of them where a parameter's name is met first, each eighth of them where it is met again.
    """
    met: Counter[str] = Counter()
    with TestClient(whole.application, raise_server_exceptions=False, headers=whole.headers) as client:
        document = client.get("/openapi.json").json()
        ids = {"{decision_id}": ROWS[0].decision_id, "{user}": "alice"}
        for path, name in parameters(document):
            for real, value in ids.items():
                path = path.replace(real, value)
            if "{" in path:
                continue
            met[name] += 1
            for value in HOSTILE if met[name] == 1 else HOSTILE[met[name] % 8 :: 8]:
                answer = client.get(path, params={name: value})
                assert answer.status_code < 500, (path, name, value[:50], answer.text)
                if answer.status_code >= 400:
                    assert set(answer.json()) == {"error"}, (path, name, value[:50], answer.text)


@pytest.mark.parametrize(
    "path", ["/api/decisions/%00", "/api/decisions/%FF", "/api/decisions/" + "a" * 5_000, "/api/%ED%A0%80"]
)
def test_hostile_paths_are_answered(whole: Whole, path: str) -> None:
    with TestClient(whole.application, raise_server_exceptions=False, headers=whole.headers) as client:
        answer = client.get(path)
    assert (answer.status_code in (404, 422), set(answer.json())) == (True, {"error"})
