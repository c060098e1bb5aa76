"""The authority: what it signs, who accepts it, and how it is replaced."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sidecar.certs.authority import (
    AUTHORITY_LIFE,
    Authority,
    AuthorityError,
    Leaf,
    constraints,
    open_authority,
    rotate,
    trusted,
    uncovered,
    utc_now,
)

HOSTS = ("api.openai.com", "*.openai.azure.com", "*-aiplatform.googleapis.com", "localhost")


@contextmanager
def serving(leaf: Leaf, folder: Path) -> Iterator[int]:
    """Serve TLS with a leaf on a loopback port; every connection is greeted."""
    import socket

    path = folder / f"{leaf.name}.pem"
    path.write_bytes(leaf.key_pem + leaf.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        with context.wrap_socket(connection, server_side=True) as secure:
                            secure.recv(4096)
                            secure.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def curl(name: str, port: int, roots: Path) -> "subprocess.CompletedProcess[str]":
    command = [
        "curl",
        "-sS",
        "--cacert",
        str(roots),
        "--connect-to",
        f"{name}:443:127.0.0.1:{port}",
        f"https://{name}/",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def python(name: str, port: int, roots: Path) -> bool:
    import socket

    context = ssl.create_default_context(cafile=str(roots))
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False


def roots(folder: Path, *certificates: x509.Certificate) -> Path:
    from cryptography.hazmat.primitives.serialization import Encoding

    path = folder / f"roots-{len(list(folder.iterdir()))}.pem"
    path.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates))
    return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "ca", HOSTS)


def test_clients_accept_a_leaf_of_its_hosts(authority: Authority, tmp_path: Path) -> None:
    for name in ("api.openai.com", "mine.openai.azure.com", "us-central1-aiplatform.googleapis.com"):
        with serving(authority.leaf(name), tmp_path) as port:
            found = curl(name, port, tmp_path / "ca" / "ca.pem")
            assert (found.stdout, found.stderr) == ("hello", "")
            assert python(name, port, tmp_path / "ca" / "ca.pem")


def test_clients_refuse_a_leaf_beyond_its_constraints(authority: Authority, tmp_path: Path) -> None:
    """Even who has the key cannot impersonate other hosts: clients keep the constraints."""

    class Unlimited(Authority):
        __slots__ = ()

        def signs_for(self, name: str) -> bool:
            return True

    thief = Unlimited(
        authority.folder, authority.certificate, authority.key, authority.cross, authority.stamp, authority.now
    )
    with serving(thief.leaf("bank.example"), tmp_path) as port:
        assert "ermitted subtree violation" in curl("bank.example", port, tmp_path / "ca" / "ca.pem").stderr
        assert not python("bank.example", port, tmp_path / "ca" / "ca.pem")


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
    late = Authority(
        authority.folder,
        authority.certificate,
        authority.key,
        (),
        authority.stamp,
        lambda: utc_now() + AUTHORITY_LIFE - timedelta(days=1),
    )
    assert late.leaf("localhost").not_after == authority.certificate.not_valid_after_utc


def test_a_rotation_is_accepted_by_those_who_trust_either_side(authority: Authority, tmp_path: Path) -> None:
    new = rotate(tmp_path / "ca", HOSTS)
    assert new.certificate != authority.certificate
    assert authority.reloaded().certificate == new.certificate
    assert trusted(tmp_path / "ca") == (new.certificate, authority.certificate)
    with serving(new.leaf("api.openai.com"), tmp_path) as port:
        for certificate in (authority.certificate, new.certificate):
            known = roots(tmp_path, certificate)
            assert curl("api.openai.com", port, known).stdout == "hello"
            assert python("api.openai.com", port, known)
    again = rotate(tmp_path / "ca", HOSTS)
    assert len(trusted(tmp_path / "ca")) == 3
    with serving(again.leaf("localhost"), tmp_path) as port:
        assert python("localhost", port, roots(tmp_path, new.certificate))


def test_nothing_changes_without_a_rotation(authority: Authority, tmp_path: Path) -> None:
    assert authority.reloaded() is authority
    assert open_authority(tmp_path / "ca", ()).certificate == authority.certificate


def _opened(folder: Path) -> int:
    return open_authority(folder, HOSTS).certificate.serial_number


def test_processes_that_race_get_the_same_one(tmp_path: Path) -> None:
    with ProcessPoolExecutor(8) as pool:
        assert len(set(pool.map(_opened, [tmp_path / "new"] * 8))) == 1


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
    (tmp_path / "ca" / "authority.pem").write_text("nothing")
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


def test_hosts_added_later_are_told(authority: Authority) -> None:
    assert uncovered(authority, (*HOSTS, "llm.corp.example")) == ("llm.corp.example",)
