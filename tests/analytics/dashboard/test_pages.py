import re

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from analytics.ingest.decode import decode
from analytics.store import database, records
from analytics.types import DecisionRow
from tests.analytics.ingest.test_decode import hostile
from tests.analytics.traffic import record, threats


def store(engine: Engine, *rows: DecisionRow) -> None:
    with database.writing(engine) as connection:
        records.store(connection, rows)


def test_an_empty_dashboard_says_what_to_send(client: TestClient) -> None:
    page = client.get("/dashboard")
    assert page.status_code == 200
    assert "curl http://localhost:8000/generate" in page.text
    assert "Latest decisions" not in page.text


@pytest.mark.parametrize("span", ["1h", "24h", "7d", "30d"])
def test_tiles_and_table_show_the_numbers(client: TestClient, sqlite_engine: Engine, span: str) -> None:
    store(sqlite_engine, *(decode(record(number)) for number in range(40)))
    page = client.get("/dashboard", params={"span": span}).text
    tiles = dict(re.findall(r"<h2>([^<]+)</h2><p class=\"big\">([^<]+)</p>", page))
    tokens = sum(record(number).usage.total_tokens for number in range(40))
    assert (tiles["Requests"], tiles["Blocked"], tiles["Threats"], tiles["Errors"]) == ("40", "4", "8", "0")
    assert tiles["Tokens"] == f"{tokens:,}".replace(",", "\u202f")
    shown = re.findall(r"/dashboard/decisions/([0-9a-f]{32})", page)
    assert shown == [record(number).decision_id for number in range(39, 14, -1)]


def test_the_fragment_is_the_live_part_of_the_page(client: TestClient, sqlite_engine: Engine) -> None:
    store(sqlite_engine, decode(record(1)))
    assert client.get("/dashboard/fragment").text.strip() in client.get("/dashboard").text


def test_a_span_that_is_not_offered_is_refused(client: TestClient) -> None:
    assert client.get("/dashboard?span=9y").json()["error"]["param"] == "span"


def test_a_decision_shows_threats_reasons_and_the_rest(client: TestClient, sqlite_engine: Engine) -> None:
    store(sqlite_engine, decode(record(9)))
    page = client.get(f"/dashboard/decisions/{record(9).decision_id}").text
    assert re.findall(r"<code>([a-z_]+\.[a-z_]+)</code>", page) == ["prompt_injection.some_rule", "jailbreak.some_rule"]
    assert re.findall(r"<li>([^<]+)</li>", page) == ["prompt_injection.ignore_instructions +10.0", "jailbreak.dan +7.5"]
    assert "900 of 900 bytes scanned" in page


@pytest.mark.parametrize("decision_id", ["0" * 32, "x", "<script>alert(1)</script>", "%00"])
def test_an_unknown_decision_is_a_page_of_its_own(client: TestClient, decision_id: str) -> None:
    page = client.get(f"/dashboard/decisions/{decision_id}")
    if "/" in decision_id:  # no such path at all
        assert page.json()["error"]["type"] == "not_found"
        return
    assert (page.status_code, "No such decision" in page.text, "<script>alert" in page.text) == (404, True, False)


def test_hostile_text_is_escaped_everywhere(client: TestClient, sqlite_engine: Engine) -> None:
    bad = hostile()
    store(sqlite_engine, decode(bad), decode(record(9, threats=threats(["jailbreak"]), model="<b>m</b>\"'")))
    pages = [client.get(path).text for path in ("/dashboard", f"/dashboard/decisions/{bad.decision_id}")]
    assert [len(re.findall(r"<script", page)) for page in pages] == [1, 1]  # our own
    assert all("&lt;script&gt;alert(" in page for page in pages)
    assert "<b>m" not in pages[0]
    assert "{{7*7}}" in pages[0]


def test_pages_reference_no_foreign_host_and_nothing_inline(client: TestClient, sqlite_engine: Engine) -> None:
    store(sqlite_engine, decode(record(9)))
    for path in ("/dashboard", "/dashboard/fragment", f"/dashboard/decisions/{record(9).decision_id}"):
        page = client.get(path).text
        assert [
            one for one in re.findall(r"(?:src|href|action)=\"([^\"]*)\"", page) if not one.startswith(("/", "data:,"))
        ] == []
        assert not re.search(r"\son\w+=|style=|<style|<script>|javascript:", page)
    for name in ("dashboard.css", "dashboard.js"):
        assert not re.search(r"https?://|@import", client.get(f"/dashboard/static/{name}").text)
