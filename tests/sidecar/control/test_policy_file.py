"""The policy in force: read again when its file changes, kept when the new one is broken."""

import asyncio
import logging
from pathlib import Path

import pytest

from sidecar.control.policy_file import PolicyFile
from sidecar.policy import Policy, policy_version
from sidecar.types import Mode


class Counted:
    """Counts readings."""

    def __init__(self) -> None:
        self.readings: list[bool] = []

    def __call__(self, *, good: bool) -> None:
        self.readings.append(good)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text("mode: observe\n")
    return path


def test_no_file_means_the_defaults() -> None:
    file = PolicyFile(None, Policy(alert_score=7.0), Counted())
    assert (file.current.alert_score, file.refresh()) == (7.0, False)


def test_changed_file_changes_the_policy(path: Path) -> None:
    counted = Counted()
    file = PolicyFile(path, Policy(), counted)
    before = file.current
    assert (before.mode, file.refresh(), counted.readings) == (Mode.OBSERVE, False, [])
    path.write_text("mode: enforce\n")
    assert file.refresh() is True
    assert file.current == Policy(version=policy_version("mode: enforce\n"))
    assert (before.mode, counted.readings) == (Mode.OBSERVE, [True])


@pytest.mark.parametrize(
    "data", [b"mode: wrong\n", b"mode: [\n", b"\xff\xfe", None], ids=["value", "yaml", "utf8", "gone"]
)
def test_broken_file_leaves_the_old_policy_and_is_counted(
    path: Path, data: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    counted = Counted()
    file = PolicyFile(path, Policy(), counted)
    before = file.current
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        assert file.refresh() is False
    assert (file.current, counted.readings) == (before, [False])
    assert [record.message for record in caplog.records] == ["policy.refused"]
    path.write_text("mode: observe\n# mended\n")
    assert file.refresh() is True


def test_broken_file_is_complained_about_once_until_it_changes(path: Path) -> None:
    counted = Counted()
    file = PolicyFile(path, Policy(), counted)
    path.write_text("mode: wrong\n")
    assert [file.refresh(), file.refresh()] == [False, False]
    assert counted.readings == [False]


def test_going_back_to_the_policy_in_force_is_not_refused(path: Path) -> None:
    """A broken edit, undone: the policy in force is the file's again, and says so."""
    counted = Counted()
    file = PolicyFile(path, Policy(), counted)
    path.write_text("mode: wrong\n")
    file.refresh()
    path.write_text("mode: observe\n")
    assert file.refresh() is True
    assert (file.current.version, counted.readings) == (policy_version("mode: observe\n"), [False, True])


@pytest.mark.parametrize("data", [b"mode: wrong\n", b"\xff"])
def test_start_with_a_broken_file_is_an_error(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"mode|UTF-8"):
        PolicyFile(path, Policy(), Counted())


def test_start_without_the_named_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        PolicyFile(tmp_path / "nowhere.yaml", Policy(), Counted())


async def test_watch_tells_of_each_new_policy(path: Path) -> None:
    changed = asyncio.Event()
    file = PolicyFile(path, Policy(), Counted())
    watching = asyncio.create_task(file.watch(changed.set))
    await asyncio.to_thread(path.write_text, "mode: enforce\n")
    await changed.wait()
    watching.cancel()
    assert file.current.mode is Mode.ENFORCE
