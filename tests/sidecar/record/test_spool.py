"""Records on disk: what a kill, a full disk and a smaller number of workers leave."""

import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from douane.v1 import decision_pb2 as pb

from sidecar.record.spool import Spool, SpoolFull

PAGE = 4096


def body(number: int, size: int = 0, stage: "pb.Stage" = pb.STAGE_VERDICT) -> bytes:
    return pb.DecisionRecord(decision_id=f"{number:032x}", stage=stage, endpoint="x" * size).SerializeToString()


def stages(spool: Spool) -> list[tuple[str, int]]:
    found = [pb.DecisionRecord.FromString(data) for _, data in spool.peek(10_000, 2**40)]
    return [(record.decision_id[-2:], record.stage) for record in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker-0.db"


def test_final_record_waits_until_it_is_removed(path: Path) -> None:
    spool = Spool(path)
    spool.add(body(1), final=True)
    spool.add(body(2), final=True)
    assert [data for _, data in spool.peek(10, 2**20)] == [body(1), body(2)]
    assert spool.peek(10, 2**20) == spool.peek(10, 2**20)
    spool.remove(1)
    assert ([data for _, data in spool.peek(10, 2**20)], spool.waiting) == ([body(2)], 1)
    spool.remove(1)
    assert (spool.peek(10, 2**20), spool.waiting) == ([], 0)


def test_open_record_is_completed_in_place(path: Path) -> None:
    spool = Spool(path)
    first, second = spool.add(body(1), final=False), spool.add(body(2), final=False)
    assert (spool.waiting, list(spool.open)) == (0, [first, second])
    spool.complete(second, pb.DecisionRecord(stage=pb.STAGE_COMPLETE).SerializeToString())
    assert (stages(spool), list(spool.open)) == ([("02", pb.STAGE_COMPLETE)], [first])


@pytest.mark.parametrize(
    ("count", "max_bytes", "expected"),
    [(2, 2**20, 2), (10, 1, 1), (10, 2 * len(body(0, 100)), 2), (10, 2**20, 4)],
)
def test_batch_is_bounded_but_never_empty(path: Path, count: int, max_bytes: int, expected: int) -> None:
    spool = Spool(path)
    for number in range(4):
        spool.add(body(number, 100), final=True)
    assert len(spool.peek(count, max_bytes)) == expected


def test_kill_loses_nothing_and_marks_what_was_open(path: Path) -> None:
    """Dropping the object without close is what a kill leaves: the log has not been moved into the file."""
    killed = Spool(path)
    killed.add(body(1), final=True)
    killed.add(body(2), final=False)
    done = killed.add(body(3), final=False)
    killed.complete(done, pb.DecisionRecord(stage=pb.STAGE_COMPLETE).SerializeToString())
    del killed
    spool = Spool(path)
    assert (spool.recovered, spool.waiting, spool.open) == (1, 3, {})
    assert stages(spool) == [("01", pb.STAGE_VERDICT), ("02", pb.STAGE_INCOMPLETE), ("03", pb.STAGE_COMPLETE)]
    record = pb.DecisionRecord.FromString(spool.peek(2, 2**20)[1][1])
    assert record.outcome == pb.OUTCOME_UNKNOWN


def test_kill_while_somebody_reads_is_recovered_too(path: Path) -> None:
    """A copy of the files is what the next process finds, whatever the first still holds open."""
    killed = Spool(path)
    killed.add(body(1), final=False)
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    assert stages(Spool(copy)) == [("01", pb.STAGE_INCOMPLETE)]
    killed.close()


def test_second_recovery_finds_nothing_open(path: Path) -> None:
    Spool(path).add(body(1), final=False)
    Spool(path).close()
    spool = Spool(path)
    assert (spool.recovered, stages(spool)) == (0, [("01", pb.STAGE_INCOMPLETE)])


def test_removed_records_do_not_come_back(path: Path) -> None:
    spool = Spool(path)
    spool.add(body(1), final=True)
    spool.remove(1)
    del spool
    assert Spool(path).waiting == 0


def fill(spool: Spool) -> int:
    """Write until nothing more can be written; return how many records there are."""
    for number in count():
        try:
            spool.add(body(number, 1000), final=True)
        except SpoolFull:
            return number
    raise AssertionError("the spool takes everything")


def test_full_spool_says_so_and_takes_again_after_a_delivery(path: Path) -> None:
    spool = Spool(path, 64 * PAGE)
    written = fill(spool)
    assert written > 64
    assert spool.waiting == written
    spool.remove(written)
    assert fill(spool) > 64


def test_completion_that_finds_the_spool_full_is_abandoned_as_incomplete(path: Path) -> None:
    spool = Spool(path, 64 * PAGE)
    seq = spool.add(body(7), final=False)
    written = fill(spool)
    with pytest.raises(SpoolFull):
        spool.complete(seq, b"\x0a\xff\x7f" + b"x" * 16383)
    spool.abandon(seq)
    assert (spool.waiting, spool.open) == (written + 1, {})
    assert stages(spool)[-1] == ("07", pb.STAGE_INCOMPLETE)
    spool.remove(written + 1)
    del spool
    assert Spool(path).waiting == 0


def test_many_records_are_read_back_from_disk_in_order(path: Path) -> None:
    spool = Spool(path)
    for number in range(4200):
        spool.add(body(number), final=True)
    assert [data for _, data in spool.peek(5000, 2**30)] == [body(number) for number in range(4200)]


def rejected(path: Path) -> list[tuple[str, bytes]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT reason, body FROM rejected ORDER BY seq").fetchall()


def test_rejected_records_are_kept_aside_with_the_reason(path: Path) -> None:
    spool = Spool(path)
    spool.add(body(1), final=True)
    seq = spool.add(body(2), final=True)
    spool.remove(2, [(seq, body(2), "no decision_id")])
    assert (spool.waiting, rejected(path)) == (0, [("no decision_id", body(2))])


def test_rejected_records_find_room_in_a_full_spool(path: Path) -> None:
    spool = Spool(path, 64 * PAGE)
    written = fill(spool)
    half = [(seq, data, "no") for seq, data in spool.peek(written // 2, 2**30)]
    spool.remove(written, half)
    assert (spool.waiting, len(rejected(path))) == (0, written // 2)


def test_removal_that_fails_leaves_the_spool_as_it_was(path: Path) -> None:
    """A transaction left open would swallow every later verdict at the next kill."""
    spool = Spool(path, 64 * PAGE)
    written = fill(spool)
    with pytest.raises(SpoolFull):
        spool.remove(1, [(1, b"x" * 2**20, "no")])
    assert (spool.waiting, rejected(path)) == (written, [])
    spool.remove(written)
    spool.add(body(9), final=True)
    del spool
    assert stages(Spool(path)) == [("09", pb.STAGE_VERDICT)]


def test_absorbed_spool_is_taken_over_and_removed(path: Path, tmp_path: Path) -> None:
    other_path = tmp_path / "worker-7.db"
    other = Spool(other_path)
    other.add(body(1), final=True)
    other.add(body(2), final=False)
    seq = other.add(body(3), final=True)
    del other
    spool = Spool(path)
    spool.add(body(4), final=True)
    assert spool.absorb(other_path) == 3
    assert stages(spool) == [
        ("04", pb.STAGE_VERDICT),
        ("01", pb.STAGE_VERDICT),
        ("02", pb.STAGE_INCOMPLETE),
        ("03", pb.STAGE_VERDICT),
    ]
    assert seq == 3
    assert sorted(file.name.split("-")[1] for file in tmp_path.iterdir() if "worker-7" in file.name) == []
    del spool
    assert Spool(path).waiting == 4


def test_absorbing_keeps_what_was_rejected(path: Path, tmp_path: Path) -> None:
    other_path = tmp_path / "worker-7.db"
    other = Spool(other_path)
    seq = other.add(body(1), final=True)
    other.remove(1, [(seq, body(1), "no")])
    other.close()
    spool = Spool(path)
    own = spool.add(body(2), final=True)
    spool.remove(1, [(own, body(2), "never")])
    assert spool.absorb(other_path) == 0
    assert sorted(rejected(path)) == [("never", body(2)), ("no", body(1))]


def test_absorbing_what_does_not_fit_leaves_it_for_later(path: Path, tmp_path: Path) -> None:
    other_path = tmp_path / "worker-7.db"
    other = Spool(other_path)
    other.add(body(1, 100_000), final=True)
    other.close()
    spool = Spool(path, 64 * PAGE)
    written = fill(spool)
    assert spool.absorb(other_path) == 0
    assert (spool.waiting, other_path.exists()) == (written, True)
    spool.remove(written)
    assert (spool.absorb(other_path), other_path.exists()) == (1, False)


def test_synchronous_spool_works_alike(path: Path) -> None:
    spool = Spool(path, sync=True)
    spool.add(body(1), final=True)
    spool.checkpoint()
    spool.close()
    assert stages(Spool(path)) == [("01", pb.STAGE_VERDICT)]
