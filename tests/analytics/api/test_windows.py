from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.api import errors, windows
from tests.analytics.conftest import build_application


@pytest.fixture
def asked(sqlite_engine: Engine) -> TestClient:
    application = FastAPI()
    errors.install(application)
    application.state.context = build_application(sqlite_engine).state.context

    @application.get("/")
    def window(span: windows.Asked) -> windows.WindowBody:
        return span.body

    return TestClient(application)


DAY = {"from": "2026-11-17T10:30:30Z", "to": "2026-11-18T10:30:00Z"}


@pytest.mark.parametrize(
    ("query", "start", "end", "bucket_s"),
    [
        ({}, "2026-11-11T11:00:00Z", "2026-11-18T12:00:00Z", 3_600),
        ({"days": 30}, "2026-10-19T00:00:00Z", "2026-11-19T00:00:00Z", 86_400),
        (DAY, "2026-11-17T10:00:00Z", "2026-11-18T11:00:00Z", 3_600),
        ({"from": "2026-11-18T12:00:30+01:00"}, "2026-11-18T11:00:00Z", "2026-11-18T11:37:00Z", 60),
    ],
)
def test_windows_are_whole_buckets(
    asked: TestClient, query: dict[str, Any], start: str, end: str, bucket_s: int
) -> None:
    answer = asked.get("/", params=query)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in ("start", "end", "bucket_s")} == {
        "start": start,
        "end": end,
        "bucket_s": bucket_s,
    }


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"days": 0}, "days"),
        ({"days": 367}, "days"),
        ({"days": 7, **DAY}, "days"),
        ({"to": DAY["to"]}, "from"),
        ({"from": DAY["to"], "to": DAY["from"]}, "from"),
        ({"from": "2024-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "0001-01-01T00:00:00Z"}, "from"),
        ({"from": "9999-12-31T23:59:59Z"}, "from"),
        ({"from": "2026-11-17T10:30:30"}, "from"),
    ],
)
def test_what_is_no_window_is_named(asked: TestClient, query: dict[str, Any], param: str) -> None:
    answer = asked.get("/", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
