"""Every route of the OpenAPI document, tried by those who may not: another tenant, a role too low, nobody.

New endpoints are covered as they come: what is tried is read from the document, ids from what their owner is shown.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.access.principal import PERSONAL_SCOPES, ROLES, SIDECAR_SCOPES
from analytics.api import auth
from analytics.api.gate import OPEN_PATHS
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from analytics.store import database
from tests.analytics.access.people_here import tenant
from tests.analytics.api.visitors import program, remote, visitor
from tests.analytics.traffic import record

MARK = "MARKED-OF-ACME"
EVERY = tuple(sorted(PERSONAL_SCOPES))
ENDLESS = {"/api/stream"}  # answered until the client leaves; tests/analytics/api/test_stream.py asks whose events come
# Changes that a viewer may make: what it says about its own exchange, and about itself.
OWN = {"post /api/feedback", "post /api/session", "delete /api/session", "put /api/session/password"}


@pytest.fixture
def served(sqlite_engine: Engine) -> FastAPI:
    """An installation with records of acme, marked in every text that a record has, and of zeta."""
    with database.writing(sqlite_engine) as connection:
        tenant(connection, "acme")
        tenant(connection, "zeta")
    rows = []
    for number in range(60):
        one = record(number)
        one.identity.tenant = "acme"
        if number % 3 == 0:
            one.identity.tenant = "zeta"
        else:
            _mark(one)
        rows.append(decode(one))
    Books(sqlite_engine).store(rows)
    return remote(sqlite_engine)


def _mark(one: Any) -> None:
    for name in ("user", "namespace", "pod", "service_account"):
        setattr(one.identity, name, f"{MARK}-{name}")
    for name in ("model", "endpoint", "provider", "session", "host", "sidecar", "finish_reason"):
        setattr(one, name, f"{MARK}-{name}")
    one.reasons.append(f"{MARK}-reason")
    for threat in one.threats:
        threat.rule_id = f"{MARK}.rule"


def operations(application: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in application.openapi()["paths"].items():
        for method, operation in methods.items():
            if path not in ENDLESS:
                yield method, path, operation


def _ids(value: Any) -> Iterator[str]:
    """Yield every text of an answer that could name something in a path."""
    if isinstance(value, dict):
        for one in value.values():
            yield from _ids(one)
    elif isinstance(value, list):
        for one in value:
            yield from _ids(one)
    elif isinstance(value, str) and 0 < len(value) <= 64 and re.fullmatch(r"[\w.:@-]+", value):
        yield value


def paths(path: str, owner: TestClient) -> list[str]:
    """Return a path with what its owner sees in the list above it, at most a few."""
    if "{" not in path:
        return [path]
    above = path.partition("/{")[0]
    listed = owner.get(above)
    is_list = listed.status_code == 200 and "json" in listed.headers.get("content-type", "")
    found = list(dict.fromkeys(_ids(listed.json()))) if is_list else []
    marked = [one for one in found if MARK in one or re.fullmatch(r"[0-9a-f]{16,32}", one)]
    names = [*marked[:6], *[one for one in found if one not in marked][:4], "acme", f"{MARK}-user"]
    return [re.sub(r"\{[^}]+\}", name, path) for name in names]


def body(operation: dict[str, Any], document: dict[str, Any]) -> Any:
    """Return the example of an operation's body, None when it has none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return _example(content.get("schema", {}), document) if content else None


def _example(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _example(document["components"]["schemas"][schema["$ref"].rsplit("/")[-1]], document)
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" in schema:
        return {name: _example(one, document) for name, one in schema["properties"].items() if "default" not in one}
    options = [one for key in ("anyOf", "oneOf", "allOf") for one in schema.get(key, ()) if one.get("type") != "null"]
    if options:
        return _example(options[0], document)
    return (
        schema["enum"][0]
        if "enum" in schema
        else {"boolean": True, "integer": 1, "array": []}.get(schema.get("type", ""), "x")
    )


def snapshot(application: FastAPI, owner: TestClient) -> dict[str, Any]:
    """Return what an owner is shown of everything that has no clock in it."""
    found = {}
    for method, path, _ in operations(application):
        if (
            method == "get"
            and "{" not in path
            and path.rpartition("/")[2]
            in (*("accounts", "tokens", "tenants", "policies", "channels", "silences", "decisions"),)
        ):
            answer = owner.get(path).text
            found[path] = re.sub(r'"(last_used_at|updated_at|seen_at)":("[^"]*"|null)', "", answer)
    return found


def test_another_tenant_sees_nothing_of_this_one(served: FastAPI, sqlite_engine: Engine) -> None:
    acme = program(served, sqlite_engine, "admin", "acme", EVERY)
    zeta = program(served, sqlite_engine, "admin", "zeta", EVERY)
    shown_to_its_owner, leaks = set(), []
    for method, path, _ in operations(served):
        if method != "get":
            continue
        for one in paths(path, acme):
            for query in ("", "?tenant=acme", f"?user={MARK}-user"):
                if MARK in acme.get(one + query).text:
                    shown_to_its_owner.add(path)
                answer = zeta.get(one + query)
                text = (
                    answer.text.replace(f"{MARK}-user", "") if query.startswith("?user") or MARK in one else answer.text
                )
                if MARK in text or answer.status_code >= 500:
                    leaks.append((one + query, answer.status_code))
    assert leaks == []
    # Otherwise there is nothing that could have been seen.
    assert {
        "/api/decisions",
        "/api/decisions/{decision_id}",
        "/api/usage/analytics",
        "/api/export",
    } <= shown_to_its_owner


def test_the_pages_show_another_tenant_nothing_either(served: FastAPI, sqlite_engine: Engine) -> None:
    acme = program(served, sqlite_engine, "admin", "acme", EVERY)
    zeta = program(served, sqlite_engine, "admin", "zeta", EVERY)
    decisions = [one["decision_id"] for one in acme.get("/api/decisions").json()["decisions"]]
    assert MARK in acme.get(f"/dashboard/decisions/{decisions[0]}").text
    assert MARK in acme.get("/dashboard").text
    assert zeta.get("/dashboard").status_code == 200
    for path in ("/dashboard", "/dashboard/fragment", f"/dashboard/decisions/{decisions[0]}"):
        assert MARK not in zeta.get(path).text


def test_another_tenant_changes_nothing_of_this_one(served: FastAPI, sqlite_engine: Engine) -> None:
    acme = program(served, sqlite_engine, "admin", "acme", EVERY)
    zeta = program(served, sqlite_engine, "admin", "zeta", EVERY)
    document = served.openapi()
    wanted = {"name": "amy", "role": "viewer", "password": "correct horse battery"}
    assert acme.post("/api/accounts", json=wanted).status_code == 201
    before = snapshot(served, acme)
    assert any("amy" in text for text in before.values())
    for method, path, operation in operations(served):
        if method == "get":
            continue
        for one in paths(path, acme):
            answer = zeta.request(method, one, json=body(operation, document))
            assert answer.status_code < 500, (method, one, answer.text)
            assert MARK not in answer.text.replace(f"{MARK}-user", "") or MARK in one, (method, one)
    assert snapshot(served, acme) == before


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_a_role_too_low_is_refused_whatever_it_asks(served: FastAPI, sqlite_engine: Engine, role: str) -> None:
    one = program(served, sqlite_engine, role, "acme", EVERY)  # type: ignore[arg-type] # a role
    document, tried = served.openapi(), 0
    for method, path, operation in operations(served):
        needed = operation.get("x-role")
        if method != "get" and f"{method} {path}" not in OWN:
            assert needed in ("analyst", "admin"), f"{method} {path} changes something, and asks for the role {needed}"
        if needed is not None and ROLES.index(needed) > ROLES.index(role):  # type: ignore[arg-type] # a role
            answer = one.request(method, re.sub(r"\{[^}]+\}", "0" * 32, path), json=body(operation, document))
            assert answer.status_code in (403, 422), (method, path, answer.status_code)
            if answer.status_code == 403:
                assert answer.json()["error"]["type"] == "forbidden"
            tried += 1
    assert tried > 5


def test_nobody_is_answered_anything(served: FastAPI) -> None:
    stranger = visitor(served)
    for method, path, operation in operations(served):
        if path in OPEN_PATHS:
            assert operation["security"] == []
            continue
        answer = stranger.request(method, re.sub(r"\{[^}]+\}", "x", path), json={})
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "unauthorized"), (method, path)
        assert operation["security"] == [{"token": []}, {"session": []}]


def test_a_sidecar_s_token_reads_nothing(served: FastAPI, sqlite_engine: Engine) -> None:
    sidecar = program(served, sqlite_engine, "admin", None, tuple(SIDECAR_SCOPES))
    for method, path, _ in operations(served):
        if path not in OPEN_PATHS:
            assert sidecar.request(method, re.sub(r"\{[^}]+\}", "x", path), json={}).status_code == 403, (method, path)


def test_every_route_says_who_may_call_it(served: FastAPI) -> None:
    """The gate lets in everybody who is known; a route without a role would answer a viewer of any tenant."""
    open_paths = OPEN_PATHS | {"/metrics"}  # /metrics: see test_gate
    every = [one.original_route for one in iter_route_contexts(served.routes)]
    found = [one for one in every if isinstance(one, APIRoute)]
    assert [one.path for one in found if auth.role_of(one) is None and one.path not in open_paths] == []
    assert len(found) > 20
    json.dumps(served.openapi())
