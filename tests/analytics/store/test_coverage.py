from dataclasses import replace

from sqlalchemy import Engine

from analytics.ingest.coverage import decode_coverage
from analytics.ingest.decode import decode
from analytics.store import coverage, database, records
from analytics.types import CoverageView, DoorCalls, PassedHost, Window, Workload, WorkloadCoverage
from tests.analytics.coverage_traffic import HOUR, host, report, sight
from tests.analytics.traffic import BEGAN_UNIX_US, record

WINDOW = Window(HOUR - 3_600, HOUR + 3_600, 3_600)
SHOP = Workload("shop", "shop-1", "buyer", "node-1")
OPENAI = PassedHost("proxy", "api.openai.com", "openai", True, 4, 1, 100, 2_000, "10.0.0.7", BEGAN_UNIX_US)
PYPI = replace(OPENAI, host="pypi.org", llm="", listed=False)


def store(engine: Engine, *reports: object, now: int = HOUR) -> list[int]:
    with database.writing(engine) as connection:
        return [coverage.store(connection, decode_coverage(one), now) for one in reports]


def view(engine: Engine, window: Window = WINDOW) -> CoverageView:
    with engine.connect() as connection:
        return coverage.read(connection, window)


def test_a_report_is_stored_once_however_often_it_comes(engine: Engine) -> None:
    first = report(host(), host("pypi.org"), sight(), sight("watched_s", door="", count=60))
    assert store(engine, first, first) == [4, 0]
    shop = WorkloadCoverage(
        SHOP, HOUR, (), (OPENAI, PYPI), (("", "watched_s", 60), ("gateway", "failure_mode_allowed", 2))
    )
    assert view(engine) == CoverageView(WINDOW, (shop,), ((HOUR - 3_600, 0, 0, 0), (HOUR, 0, 8, 4)))


def test_a_later_revision_replaces_and_an_earlier_one_changes_nothing(engine: Engine) -> None:
    changes = store(
        engine,
        report(host(revision=5, connections=5), sight(revision=5, count=5)),
        report(host(revision=4, connections=4), sight(revision=4, count=4)),
        report(host(revision=6, connections=6), sight(revision=6, count=6)),
    )
    (shop,) = view(engine).workloads
    assert changes == [2, 0, 2]
    assert (shop.hosts[0].connections, shop.sights) == (6, (("gateway", "failure_mode_allowed", 6),))


def test_a_new_tally_of_the_same_workload_is_added(engine: Engine) -> None:
    store(engine, report(host()), report(host(), source="6" * 32))
    (shop,) = view(engine).workloads
    assert shop.hosts == (replace(OPENAI, connections=8, failed=2, bytes_out=200, bytes_in=4_000),)


def test_hours_are_summed_and_the_client_seen_last_is_shown(engine: Engine) -> None:
    older = host(hour_unix_s=HOUR - 3_600, last_client="99.9.9.9", last_unix_us=BEGAN_UNIX_US - 1)
    outside = host(hour_unix_s=HOUR - 7_200)
    store(engine, report(older, host(), outside))
    (shop,) = view(engine).workloads
    assert shop.hosts == (replace(OPENAI, connections=8, failed=2, bytes_out=200, bytes_in=4_000),)


def test_calls_of_records_and_reports_meet_by_workload(engine: Engine) -> None:
    identity = {"user": "u", "namespace": "shop", "pod": "shop-1", "service_account": "buyer"}
    with database.writing(engine) as connection:
        records.store(connection, [decode(record(0, identity=identity, sidecar="node-1/0")), decode(record(1))])
    store(engine, report(host()))
    calls = DoorCalls("gateway", requests=1, answered=1, body_bytes=2_100, scanned_bytes=2_100)
    assert [(one.workload, one.last_seen_unix_s, one.calls) for one in view(engine).workloads] == [
        (SHOP, HOUR, (calls,)),
        (Workload("", "", "", "web-1"), None, (calls,)),
    ]
    assert view(engine).timeline == ((HOUR - 3_600, 0, 0, 0), (HOUR, 2, 4, 4))


def test_workloads_with_uninspected_llm_hosts_come_first(engine: Engine) -> None:
    quiet = report(host("pypi.org", connections=900), source="6" * 32, pod="a-1", machine="a")
    failed = host(connections=3, failed=3, bytes_in=0)
    tried = report(failed, source="7" * 32, pod="b-1", machine="b")
    store(engine, quiet, tried, report(host()))
    found = view(engine).workloads
    assert [one.workload.pod for one in found] == ["shop-1", "a-1", "b-1"]
    assert [len(one.llm_hosts) for one in found] == [1, 0, 0]


def test_the_latest_word_of_any_tally_is_when_a_workload_was_heard_of(engine: Engine) -> None:
    store(engine, report(host()), now=HOUR)
    store(engine, report(source="6" * 32), now=HOUR + 50)
    assert view(engine).workloads[0].last_seen_unix_s == HOUR + 50


def test_windows_are_in_hours_up_to_two_weeks_then_in_days() -> None:
    now = HOUR + 100
    assert coverage.last(1, now) == Window(HOUR + 3_600 - 86_400, HOUR + 3_600, 3_600)
    long = coverage.last(30, now)
    assert (long.grain_s, long.end_unix_s % 86_400, long.end_unix_s - long.start_unix_s) == (86_400, 0, 30 * 86_400)


def test_days_add_up_the_hours_within(engine: Engine) -> None:
    store(engine, report(host(), host(hour_unix_s=HOUR - 3_600)))
    day = HOUR - HOUR % 86_400
    assert view(engine, Window(day, day + 86_400, 86_400)).timeline == ((day, 0, 8, 8),)
