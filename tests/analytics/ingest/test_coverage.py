import pytest

from analytics.ingest.coverage import MAX_COUNT, MAX_ROWS, decode_coverage
from analytics.ingest.decode import RecordError
from analytics.types import CoverageRows, PassThroughRow, SightRow, Workload
from tests.analytics.coverage_traffic import HOUR, SOURCE, host, report, sight
from tests.analytics.traffic import BEGAN_UNIX_US


def test_a_report_becomes_rows() -> None:
    name = "api.openai.com"
    row = PassThroughRow(HOUR, "proxy", name, "openai", True, 4, 1, 100, 2_000, "10.0.0.7", BEGAN_UNIX_US, 1)
    assert decode_coverage(report(host(), sight())) == CoverageRows(
        SOURCE,
        Workload("shop", "shop-1", "buyer", "node-1"),
        (row,),
        (SightRow(HOUR, "gateway", "failure_mode_allowed", 2, 1),),
    )


@pytest.mark.parametrize("source", ["", "5" * 31, "G" * 32, "5" * 33, "' OR 1=1 --"])
def test_a_report_without_a_source_is_refused(source: str) -> None:
    with pytest.raises(RecordError, match="32 hex digits"):
        decode_coverage(report(host(), source=source))


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(RecordError, match="at most"):
        decode_coverage(report(*[sight()] * (MAX_ROWS + 1)))


@pytest.mark.parametrize(
    "row",
    [
        host(hour_unix_s=HOUR + 1),
        host(hour_unix_s=0),
        host(hour_unix_s=2**63),
        host(revision=0),
        host(revision=2**63),
        host(last_unix_us=5),
        sight(kind=""),
        sight(hour_unix_s=7),
        sight(revision=0),
    ],
)
def test_a_row_that_can_never_be_stored_is_left_out_and_counted(row: object) -> None:
    found = decode_coverage(report(row, host("pypi.org"), sight("watched_s")))
    assert (len(found.hosts), len(found.sights), found.rejected) == (1, 1, 1)


def test_what_strangers_claim_is_made_harmless() -> None:
    found = decode_coverage(report(host("a\x00b" + "c" * 500, connections=2**64 - 1), machine="m\x00"))
    (row,) = found.hosts
    assert row.host == ("a\ufffdb" + "c" * 500)[:253]
    assert row.connections == MAX_COUNT
    assert found.workload.machine == "m\ufffd"


def test_the_latest_revision_of_a_key_stands_last() -> None:
    found = decode_coverage(report(host(revision=9, connections=9), host(revision=3, connections=3)))
    assert [row.connections for row in found.hosts] == [3, 9]
