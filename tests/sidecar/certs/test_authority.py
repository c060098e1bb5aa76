"""The authority: what it signs, its files, and how it is replaced. Who accepts its leaves: test_clients.py."""

import dataclasses
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.certs.authority import (
    Authority,
    AuthorityError,
    constraints,
    open_authority,
    overlapping,
    replace_file,
    rotate,
    trusted,
    uncovered,
    utc_now,
)
from sidecar.certs.signing import AUTHORITY_LIFE, OVERLAPS

HOSTS = ("api.openai.com", "*.openai.azure.com", "*-aiplatform.googleapis.com", "localhost")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "ca", HOSTS)


@pytest.mark.parametrize(
    "name",
    ["bank.example", "openai.com", "evilapi.openai.com.example", "", "API.OPENAI.COM", "a b.openai.azure.com",
     "-x.openai.azure.com", "x..openai.azure.com", "127.0.0.1", "é.openai.azure.com", "a" * 300 + ".openai.azure.com"],
)  # fmt: skip
def test_it_signs_for_no_other_name(authority: Authority, name: str) -> None:
    with pytest.raises(ValueError, match="may not sign"):
        authority.leaf(name)


def test_a_leaf_lives_days_and_never_longer_than_the_authority(authority: Authority, tmp_path: Path) -> None:
    assert timedelta(days=5) < authority.leaf("localhost").not_after - utc_now() <= timedelta(days=7)
    late = dataclasses.replace(authority, now=lambda: utc_now() + AUTHORITY_LIFE - timedelta(days=1))
    assert late.leaf("localhost").not_after == authority.certificate.not_valid_after_utc


def test_a_rotation_leaves_a_way_to_the_roots_before(authority: Authority, tmp_path: Path) -> None:
    known = [authority.certificate]
    for number in range(OVERLAPS + 1):
        new = rotate(tmp_path / "ca", HOSTS)
        known.insert(0, new.certificate)
        assert authority.reloaded().certificate == new.certificate
        assert trusted(tmp_path / "ca") == tuple(known)
        assert overlapping(new) == min(number + 1, OVERLAPS)


def test_what_has_ended_is_in_no_chain(authority: Authority, tmp_path: Path) -> None:
    new = rotate(tmp_path / "ca", HOSTS)
    assert new.leaf("localhost").chain_pem.count(b"BEGIN") == 4
    late = dataclasses.replace(new, now=lambda: authority.certificate.not_valid_after_utc + timedelta(seconds=1))
    assert late.leaf("localhost").chain_pem.count(b"BEGIN") == 2


def test_nothing_changes_without_a_rotation(authority: Authority, tmp_path: Path) -> None:
    assert authority.reloaded() is authority
    assert open_authority(tmp_path / "ca", ()).certificate == authority.certificate


def _opened(folder: Path) -> int:
    return open_authority(folder, HOSTS).certificate.serial_number


def test_processes_that_race_get_the_same_one(tmp_path: Path) -> None:
    with ProcessPoolExecutor(8) as pool:
        assert len(set(pool.map(_opened, [tmp_path / "new"] * 8))) == 1


def test_a_certificate_that_is_missing_is_written_again(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca" / "ca.pem").unlink()
    open_authority(tmp_path / "ca", HOSTS)
    assert trusted(tmp_path / "ca") == (authority.certificate,)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", b"whole", 0o640)
    with pytest.raises(TypeError):
        replace_file(tmp_path / "file", "no bytes", 0o644)  # type: ignore[arg-type]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"whole")]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_the_key_is_its_owner_s_alone(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "ca" / "authority.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ca" / "ca.pem").stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    with pytest.raises(AuthorityError, match=f"chmod 600 {path}"):
        open_authority(tmp_path / "ca", HOSTS)


def test_damaged_missing_and_ended_files_are_named(authority: Authority, tmp_path: Path) -> None:
    later = lambda: utc_now() + AUTHORITY_LIFE + timedelta(days=1)  # noqa: E731 - a clock
    with pytest.raises(AuthorityError, match="douane ca rotate"):
        open_authority(tmp_path / "ca", HOSTS, later)
    assert rotate(tmp_path / "ca", HOSTS, later).cross == ()
    whole = (tmp_path / "ca" / "authority.pem").read_text()
    other = (rotate(tmp_path / "ca", HOSTS).folder / "authority.pem").read_text()
    key_of_another = whole[: whole.index("-----BEGIN CERT")] + other[other.index("-----BEGIN CERT") :]
    (tmp_path / "ca" / "authority.pem").write_text(key_of_another)
    with pytest.raises(AuthorityError, match="no key of ours"):
        open_authority(tmp_path / "ca", HOSTS)
    for text in ("nothing", whole[: whole.index("-----BEGIN CERT")], whole[: whole.rindex("-----BEGIN CERT")]):
        (tmp_path / "ca" / "authority.pem").write_text(text)
        with pytest.raises(AuthorityError, match="damaged"):
            authority.reloaded()
    (tmp_path / "ca" / "authority.pem").unlink()
    with pytest.raises(AuthorityError, match="there is no authority"):
        authority.reloaded()
    (tmp_path / "ca" / "authority.pem").touch(0o600)
    with pytest.raises(AuthorityError, match="damaged"):
        open_authority(tmp_path / "ca", HOSTS)
    with pytest.raises(AuthorityError, match="there is no authority"):
        rotate(tmp_path / "other", HOSTS)


def test_constraints_are_whole_labels() -> None:
    assert constraints(
        ("api.openai.com", "*.openai.azure.com", "*-aiplatform.googleapis.com", "b.*.amazonaws.com")
    ) == (
        "api.openai.com",
        "openai.azure.com",
        "googleapis.com",
        "amazonaws.com",
    )


@pytest.mark.parametrize("host", ["*", "llm-*"])
def test_an_authority_for_every_name_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(AuthorityError, match="cannot be constrained"):
        open_authority(tmp_path / "ca", (*HOSTS, host))
    assert not (tmp_path / "ca" / "authority.pem").exists()


def test_hosts_added_later_are_told(authority: Authority) -> None:
    assert uncovered(authority, (*HOSTS, "llm.corp.example")) == ("llm.corp.example",)
