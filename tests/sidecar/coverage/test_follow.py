"""Rotation, truncation, half lines, kills: every line is handed out once, whatever happens between two looks."""

import random
from pathlib import Path

import pytest

from sidecar.coverage.follow import Follower, Position, log_path


class Kept:
    """What a caller keeps: lines and position together, so that a kill can be played between any two steps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.broken = 0
        self.position = Position()
        self.follower = Follower(path, self.position)

    def read(self) -> None:
        while True:
            piece = self.follower.read()
            if not piece.more:
                return
            self.lines += piece.lines
            self.broken += piece.broken
            self.position = piece.position
            self.follower.passed(piece.position)

    def killed(self) -> None:
        self.follower.close()
        self.follower = Follower(self.path, self.position)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pass-through.log"


def test_the_log_lies_in_the_data_folder(tmp_path: Path) -> None:
    assert log_path(tmp_path) == tmp_path / "coverage" / "pass-through.log"


def test_a_line_is_handed_out_when_it_has_its_end(path: Path) -> None:
    kept = Kept(path)
    kept.read()
    append(path, b"one\ntw")
    kept.read()
    assert kept.lines == [b"one"]
    append(path, b"o\n\nthree\n")
    kept.read()
    assert (kept.lines, kept.broken) == ([b"one", b"two", b"three"], 0)


def test_a_new_start_goes_on_where_the_last_one_was(path: Path) -> None:
    append(path, b"one\ntwo\n")
    kept = Kept(path)
    kept.read()
    kept.killed()
    append(path, b"three\n")
    kept.read()
    assert kept.lines == [b"one", b"two", b"three"]


def test_a_kill_before_the_position_is_kept_repeats_into_the_same_transaction(path: Path) -> None:
    append(path, b"one\n")
    kept = Kept(path)
    kept.follower.read()  # and killed before anything was kept
    kept.killed()
    kept.read()
    assert kept.lines == [b"one"]


def test_rotation_finishes_the_moved_file_first(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\n")
    kept.read()
    assert not kept.follower.rotate(100)
    assert kept.follower.rotate(3)
    append(path.with_name(path.name + ".1"), b"two\n")  # the writer has not opened the next file yet
    kept.read()
    assert kept.follower.rotate(3), "the writer must be told again"
    append(path.with_name(path.name + ".1"), b"three\n")
    append(path, b"four\n")
    kept.read()
    assert kept.lines == [b"one", b"two", b"three", b"four"]
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name, path.name + ".2"]


def test_no_second_rotation_while_the_first_is_being_read(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\n")
    assert kept.follower.rotate(1)
    append(path, b"two\n")
    assert not kept.follower.rotate(1)
    kept.read()
    assert kept.follower.rotate(1)
    append(path, b"three\n")
    kept.read()
    assert kept.lines == [b"one", b"two", b"three"]


def test_a_kill_after_the_last_line_of_a_moved_file_does_not_read_it_again(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\n")
    kept.read()
    kept.follower.rotate(1)
    append(path, b"two\n")
    kept.position = Position(path.stat().st_ino, 0)  # kept, and killed before the file was put aside
    kept.killed()
    kept.read()
    assert kept.lines == [b"one", b"two"]
    assert not kept.follower.rotate(1)  # puts the finished one aside
    assert kept.follower.rotate(1)


def test_a_file_that_somebody_else_moved_is_read_to_its_end(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\n")
    kept.read()
    append(path, b"two\n")
    path.rename(path.with_name("pass-through.log.2026-11-25"))
    append(path, b"three\n")
    kept.read()
    assert kept.lines == [b"one", b"two", b"three"]


def test_a_file_moved_while_nobody_looked_is_found_again(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\n")
    kept.read()
    append(path, b"two\n")
    path.rename(path.with_name("pass-through.log.old"))
    append(path, b"three\n")
    kept.killed()
    kept.read()
    assert kept.lines == [b"one", b"two", b"three"]


def test_a_file_emptied_in_place_is_counted_and_read_on(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\ntwo\n")
    kept.read()
    path.write_bytes(b"")
    kept.read()
    append(path, b"three\n")
    kept.read()
    assert (kept.lines, kept.broken) == ([b"one", b"two", b"three"], 1)


def test_half_a_line_at_the_end_of_a_moved_file_is_counted(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\nha")
    kept.read()
    path.rename(path.with_name("pass-through.log.1"))
    append(path, b"two\n")
    kept.read()
    assert (kept.lines, kept.broken) == ([b"one", b"two"], 1)


def test_endless_bytes_without_a_line_end_are_passed_over(path: Path) -> None:
    kept = Kept(path)
    append(path, b"x" * 3_000_000)
    kept.read()
    append(path, b"\none\n")
    kept.read()
    assert (kept.lines, kept.broken) == ([b"one"], 3)


def test_a_deleted_file_is_waited_for(path: Path) -> None:
    kept = Kept(path)
    append(path, b"one\n")
    kept.read()
    path.unlink()
    kept.read()
    append(path, b"two\n")
    kept.read()
    assert kept.lines == [b"one", b"two"]


@pytest.mark.parametrize("seed", range(60))
def test_any_order_of_writes_rotations_and_kills_hands_out_every_line_once(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    kept, writing, sent = Kept(path), path, 0
    for _ in range(300):
        step = chance.random()
        if step < 0.6:
            append(writing, b"%d\n" % sent)
            sent += 1
        elif step < 0.75:
            kept.read()
        elif step < 0.85 and kept.follower.rotate(chance.randrange(40)):
            writing = path.with_name(path.name + ".1")
            if chance.random() < 0.5:
                append(path, b"")
                writing = path
        elif step < 0.92:
            kept.killed()
        elif writing != path:
            append(path, b"")  # the writer opens the next file
            writing = path
    append(path, b"")
    kept.read()
    assert kept.lines == [b"%d" % number for number in range(sent)]
    assert kept.broken == 0
