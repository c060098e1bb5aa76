import re

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.dashboard.coverage import HEIGHT, chart
from analytics.ingest.coverage import decode_coverage
from analytics.ingest.decode import decode
from analytics.store import coverage, database, records
from tests.analytics.conftest import NOW_UNIX_S
from tests.analytics.coverage_traffic import HOUR, host, report, sight
from tests.analytics.traffic import record


def store(engine: Engine, *reported: object) -> None:
    with database.writing(engine) as connection:
        for one in reported:
            coverage.store(connection, decode_coverage(one), int(NOW_UNIX_S))


@pytest.mark.parametrize("span", ["1h", "24h", "7d", "30d"])
def test_uninspected_llm_hosts_are_an_alarm(client: TestClient, sqlite_engine: Engine, span: str) -> None:
    store(sqlite_engine, report(host(), host("pypi.org", connections=99), sight()))
    page = client.get("/dashboard", params={"span": span}).text
    assert "1 LLM host reached uninspected" in page
    assert re.findall(r'<tr class="alarm"><td class="clip" title="([^"]+)">', page) == ["api.openai.com"]
    figures = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page))
    assert figures["Passed by Envoy without the sidecar"] == "2"
    assert figures["Connections passed by"] == "103 · 4.2 kB"


def test_silence_is_not_called_clean(client: TestClient, sqlite_engine: Engine) -> None:
    with database.writing(sqlite_engine) as connection:
        records.store(connection, [decode(record(1))])
    page = client.get("/dashboard").text
    assert "no sidecar has reported" in page
    assert "never a coverage report" in page
    assert "QUIC" in page


def test_a_sidecar_that_saw_nothing_says_as_far_as_was_seen(client: TestClient, sqlite_engine: Engine) -> None:
    store(sqlite_engine, report(host("pypi.org")))
    page = client.get("/dashboard").text
    assert "no LLM host reached uninspected, as far as was seen" in page
    assert 'class="alarm"' not in page


def test_losses_are_shown_with_their_meaning(client: TestClient, sqlite_engine: Engine) -> None:
    store(sqlite_engine, report(sight("message_timeouts", count=7), sight("streams_started"), sight("brand_new")))
    page = client.get("/dashboard").text
    assert re.findall(r"<dt>(Messages that [^<]+|Brand new)</dt><dd>(\d+)</dd>", page) == [
        ("Brand new", "2"),
        ("Messages that the sidecar did not answer in time", "7"),
    ]


def test_an_empty_dashboard_stays_empty(client: TestClient) -> None:
    assert "Coverage" not in client.get("/dashboard").text


def test_names_of_strangers_are_escaped(client: TestClient, sqlite_engine: Engine) -> None:
    store(sqlite_engine, report(host('"><script>alert(1)</script>')))
    page = client.get("/dashboard").text
    assert len(re.findall("<script", page)) == 1  # our own
    assert "&#34;&gt;&lt;script&gt;" in page


def test_bars_stand_on_each_other_and_a_few_llm_connections_are_seen() -> None:
    found = chart([(HOUR, 50, 50, 1), (HOUR + 3_600, 0, 0, 0)], 3_600)
    first, second = found.bars
    assert found.top == 100
    assert [(part.kind, part.height) for part in first.parts] == [
        ("blocked", 3.0),
        ("aside", HEIGHT * 0.49),
        ("passed", HEIGHT * 0.5),
    ]
    assert [part.y for part in first.parts] == sorted((part.y for part in first.parts), reverse=True)
    assert all(part.y >= 0 for part in first.parts)
    assert second.parts == ()
    assert "50 calls inspected, 50 connections passed by, 1 of them to LLM hosts" in first.label


def test_a_chart_of_nothing_has_no_bars() -> None:
    assert (chart([], 3_600).bars, chart([], 3_600).top) == ((), 0)
