"""The users' rules in force: read again when the folder changes, kept when the new ones are broken."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from sidecar.control.packs_folder import PacksFolder
from sidecar.detectors.ruleset import DEFAULT

GOOD = """
family: shop
rules:
  - {id: shop.a, type: jailbreak, weight: 5, pattern: 'free voucher', source: here, why: a test}
"""


class Counted:
    """Counts readings."""

    def __init__(self) -> None:
        self.readings: list[bool] = []

    def __call__(self, *, good: bool) -> None:
        self.readings.append(good)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "packs"
    path.mkdir()
    (path / "shop.yaml").write_text(GOOD)
    return path


def test_a_folder_that_nobody_named_may_be_missing_and_come_later(tmp_path: Path) -> None:
    folder = PacksFolder(tmp_path / "packs", Counted())
    assert (folder.current, folder.refresh()) == (DEFAULT, False)
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "shop.yaml").write_text(GOOD)
    assert folder.refresh() is True
    assert folder.current.version != DEFAULT.version


def test_a_named_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        PacksFolder(tmp_path / "nowhere", Counted(), required=True)


def test_a_start_with_a_broken_pack_is_an_error(path: Path) -> None:
    (path / "shop.yaml").write_text("family: [")
    with pytest.raises(ValueError, match=r"shop\.yaml"):
        PacksFolder(path, Counted())


def test_good_broken_good_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted()
    folder = PacksFolder(path, counted)
    first = folder.current
    (path / "shop.yaml").write_text(GOOD.replace("weight: 5", "weight: many"))
    with caplog.at_level(logging.ERROR):
        assert [folder.refresh(), folder.refresh()] == [False, False]
    assert folder.current is first
    assert [(record.message, "rule shop.a" in record.__dict__["reason"]) for record in caplog.records] == [
        ("packs.refused", True)
    ]
    (path / "shop.yaml").write_text(GOOD.replace("weight: 5", "weight: 7"))
    assert (folder.refresh(), folder.refresh()) == (True, False)
    assert folder.current.version != first.version
    assert first.detectors[-1] is not folder.current.detectors[-1]
    assert counted.readings == [False, True]


def test_what_cannot_be_read_is_complained_about_once(path: Path) -> None:
    counted = Counted()
    folder = PacksFolder(path, counted, required=True)
    (path / "shop.yaml").write_bytes(b"\xff")
    assert [folder.refresh(), folder.refresh()] == [False, False]
    (path / "shop.yaml").write_text(GOOD)
    assert folder.refresh() is False
    (path / "shop.yaml").write_bytes(b"\xff")
    assert folder.refresh() is False
    assert counted.readings == [False, False]


def test_a_named_folder_that_goes_keeps_its_rules(path: Path) -> None:
    counted = Counted()
    folder = PacksFolder(path, counted, required=True)
    (path / "shop.yaml").unlink()
    path.rmdir()
    assert folder.refresh() is False
    assert (folder.current.version != DEFAULT.version, counted.readings) == (True, [False])


async def test_watch_compiles_beside_the_loop_and_tells_on_it(path: Path) -> None:
    changed = asyncio.Event()
    threads: list[threading.Thread] = []

    def count(*, good: bool) -> None:
        threads.append(threading.current_thread())

    folder = PacksFolder(path, count)
    watching = asyncio.create_task(folder.watch(changed.set))
    await asyncio.to_thread((path / "more.yaml").write_text, GOOD.replace("shop.a", "shop.b"))
    await changed.wait()
    watching.cancel()
    assert [thread is threading.main_thread() for thread in threads] == [False]
