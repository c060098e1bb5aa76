import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from sidecar.coverage import tally as module
from sidecar.coverage.counters import Count
from sidecar.coverage.follow import Position
from sidecar.coverage.llm_hosts import llm_host
from sidecar.coverage.tally import CountHour, HostHour, Tally, hour_of, tally_path
from tests.sidecar.coverage.test_lines import PASSAGE

HOUR = hour_of(PASSAGE.started_us)
HOUR_US = 3_600_000_000
OPEN = replace(PASSAGE, ended=False, bytes_out=0, bytes_in=0)


def opened(path: Path) -> Tally:
    return Tally(path, llm_host, lambda: "a" * 32)


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Tally]:
    found = opened(tmp_path / "tally.db")
    yield found
    found.close()


def row(**fields: object) -> HostHour:
    usual = HostHour(HOUR, "proxy", "api.openai.com", "openai", True, 1, 0, 1517, 3034, "127.0.0.1", PASSAGE.written_us)
    return replace(usual, **fields)


def hosts(tally: Tally) -> list[HostHour]:
    return [replace(one, revision=0) for one in tally.since(0)[0]]


def test_the_tally_lies_in_the_data_folder(tmp_path: Path) -> None:
    assert tally_path(tmp_path) == tmp_path / "coverage" / "tally.db"


def test_a_connection_is_counted_once_whatever_the_number_of_its_lines(tally: Tally) -> None:
    lines = [OPEN, replace(OPEN, bytes_out=17), replace(OPEN, bytes_out=1000, bytes_in=34), PASSAGE]
    for one in lines:
        tally.take([one], [], HOUR, None)
    assert hosts(tally) == [row()]


def test_a_lost_line_costs_nothing_that_the_next_does_not_bring(tally: Tally) -> None:
    tally.take([OPEN, PASSAGE], [], HOUR, None)
    assert hosts(tally) == [row()]


def test_a_tunnel_counts_where_it_began_and_its_bytes_where_they_moved(tally: Tally) -> None:
    later = replace(PASSAGE, ended=False, written_us=PASSAGE.written_us + HOUR_US, bytes_out=2000, bytes_in=4000)
    tally.take([replace(PASSAGE, ended=False), later], [], HOUR, None)
    second = row(hour=HOUR + 3600, connections=0, bytes_out=483, bytes_in=966, last_us=later.written_us)
    assert hosts(tally) == [row(), second]


def test_open_connections_survive_a_new_start(tmp_path: Path) -> None:
    first = opened(tmp_path / "tally.db")
    first.take([replace(PASSAGE, ended=False, bytes_out=500)], [], HOUR, Position(7, 42))
    first.close()
    again = opened(tmp_path / "tally.db")
    assert (again.id, again.position) == ("a" * 32, Position(7, 42))
    again.take([PASSAGE], [], HOUR, None)
    assert hosts(again) == [row()]
    again.close()


def test_attempts_that_never_reached_the_host_are_told_apart(tally: Tally) -> None:
    tally.take([replace(PASSAGE, reached=False, bytes_out=0, bytes_in=0)], [], HOUR, None)
    assert hosts(tally) == [row(failed=1, bytes_out=0, bytes_in=0)]


def test_the_client_seen_last_is_kept(tally: Tally) -> None:
    newer = replace(PASSAGE, key="2", client="10.0.0.2", written_us=PASSAGE.written_us + 5)
    tally.take([newer, replace(PASSAGE, key="3", client="10.0.0.3")], [], HOUR, None)
    assert [one.client for one in hosts(tally)] == ["10.0.0.2"]


def test_counts_add_up_per_hour_and_door(tally: Tally) -> None:
    for value in (2, 3):
        tally.take([], [Count("gateway", "streams_failed", value), Count("", "watched_s", 5)], HOUR, None)
    tally.take([], [Count("gateway", "streams_failed", 1)], HOUR + 3600, None)
    assert [replace(one, revision=0) for one in tally.since(HOUR)[1]] == [
        CountHour(HOUR, "", "watched_s", 10),
        CountHour(HOUR, "gateway", "streams_failed", 5),
        CountHour(HOUR + 3600, "gateway", "streams_failed", 1),
    ]


def test_made_up_names_cannot_hide_an_llm_host(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HOSTS", 3)
    flood = [replace(PASSAGE, key=str(n), host=f"n{n}.example") for n in range(10)]
    models = [replace(PASSAGE, key=f"m{n}", host=f"n{n}.openai.azure.com") for n in range(5)]
    tally.take([*flood, *models, replace(PASSAGE, key="x", host="n0.example")], [], HOUR, None)
    assert {(one.host, one.llm): one.connections for one in hosts(tally)} == {
        ("n0.example", ""): 2,
        ("n1.example", ""): 1,
        ("n2.example", ""): 1,
        ("_other", ""): 7,
        ("n0.openai.azure.com", "azure"): 1,
        ("n1.openai.azure.com", "azure"): 1,
        ("n2.openai.azure.com", "azure"): 1,
        ("_other", "azure"): 2,
    }


def test_a_false_sni_does_not_hide_the_host_that_connect_named(tally: Tally) -> None:
    names = [("pypi.org", "api.openai.com"), ("api.openai.com", "pypi.org"), ("vllm.local", "api.openai.com")]
    lines = [replace(PASSAGE, key=sni, host=sni, also=((connect, 443),)) for sni, connect in names]
    tally.take([*lines, replace(PASSAGE, key="4", host="pypi.org", also=(("github.com", 443),))], [], HOUR, None)
    assert {one.host: one.connections for one in hosts(tally)} == {"api.openai.com": 3, "pypi.org": 1}


def test_door_names_are_capped(tally: Tally) -> None:
    tally.take([replace(PASSAGE, key=str(n), door=f"d{n}") for n in range(20)], [], HOUR, None)
    assert len({one.door for one in hosts(tally)}) == module.MAX_DOORS + 1


def test_what_was_added_is_told_for_metrics(tally: Tally) -> None:
    passages = [PASSAGE, replace(PASSAGE, key="2", host="pypi.org"), replace(PASSAGE, key="3", host="vllm.local")]
    added = tally.take(passages, [], HOUR, None)
    assert dict(added.connections) == {("proxy", "listed"): 1, ("proxy", "no"): 1, ("proxy", "looks_like"): 1}
    assert added.bytes_out["proxy", "no"] == 1517
    assert added.bytes_in["proxy", "no"] == 3034


def test_batches_hold_what_changed_until_it_is_acknowledged(tally: Tally) -> None:
    tally.take([replace(PASSAGE, key=str(n), host=f"h{n}") for n in range(5)], [Count("", "watched_s", 1)], HOUR, None)
    sent: list[str] = []
    while (batch := tally.waiting(2)).hosts or batch.counts:
        sent += [one.host for one in batch.hosts] + [one.kind for one in batch.counts]
        tally.acknowledge(batch)
    assert sorted(sent) == ["h0", "h1", "h2", "h3", "h4", "watched_s"]
    tally.take([replace(PASSAGE, key="n", host="h3")], [], HOUR, None)
    assert [(one.host, one.connections) for one in tally.waiting(2).hosts] == [("h3", 2)]


def test_a_change_between_sending_and_acknowledgement_waits_on(tally: Tally) -> None:
    tally.take([PASSAGE], [], HOUR, None)
    batch = tally.waiting(10)
    tally.take([replace(PASSAGE, key="2")], [], HOUR, None)
    tally.acknowledge(batch)
    assert [one.connections for one in tally.waiting(10).hosts] == [2]


def test_a_failure_in_the_middle_keeps_nothing_of_a_piece(tally: Tally) -> None:
    tally.take([PASSAGE], [], HOUR, Position(1, 10))
    before = hosts(tally), tally.position, tally.waiting(10)
    tally._db.execute("CREATE TRIGGER full BEFORE INSERT ON counts BEGIN SELECT raise(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.Error, match="disk full"):
        tally.take([replace(PASSAGE, key="2")], [Count("", "watched_s", 1)], HOUR, Position(1, 20))
    assert (hosts(tally), tally.position, tally.waiting(10)) == before
    tally._db.execute("DROP TRIGGER full")
    tally.take([replace(PASSAGE, key="2")], [], HOUR, Position(1, 20))
    assert (hosts(tally)[0].connections, tally.position) == (2, Position(1, 20))


def test_old_hours_and_dead_connections_are_forgotten(tally: Tally) -> None:
    old = replace(OPEN, key="old", started_us=PASSAGE.started_us - 40 * 24 * HOUR_US, written_us=PASSAGE.written_us)
    old = replace(old, written_us=old.started_us)
    tally.take([old, OPEN], [Count("", "watched_s", 1)], hour_of(old.started_us), None)
    tally.prune(PASSAGE.written_us)
    assert [one.hour for one in hosts(tally)] == [HOUR]
    assert tally.since(0)[1] == []
    assert tally._db.execute("SELECT count(*) FROM open").fetchone() == (1,)


def test_providers_served_elsewhere_are_told_by_the_function_given(tmp_path: Path) -> None:
    found = Tally(tmp_path / "t.db", partial(llm_host, providers=()), lambda: "b" * 32)
    found.take([PASSAGE], [], HOUR, None)
    assert [(one.llm, one.listed) for one in hosts(found)] == [("openai", False)]
    found.close()
