"""What clients trust."""

import contextlib
import shutil
import ssl
import subprocess
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from sidecar.certs.authority import AuthorityError, open_authority, rotate, utc_now
from sidecar.certs.bundle import STORE_PASSWORD, bundle
from sidecar.certs.roots import made_of, system_roots
from sidecar.certs.signing import AUTHORITY_LIFE

HOSTS = ("api.openai.com",)
BEGIN = b"-----BEGIN CERTIFICATE-----"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    open_authority(tmp_path / "ca", HOSTS)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    return tmp_path


def test_the_bundle_is_the_roots_and_ours(folder: Path) -> None:
    made = bundle(folder / "ca", folder / "roots.pem")
    data = made.everything.read_bytes()
    assert made_of(made.everything) == (folder / "roots.pem",)
    assert (folder / "roots.pem").read_bytes() in data
    assert data.endswith((folder / "ca" / "ca.pem").read_bytes())
    assert (data.count(BEGIN), b"PRIVATE KEY" in data) == (2, False)
    assert ssl.create_default_context(cafile=str(made.everything)).cert_store_stats()["x509_ca"] == 2
    assert made.added.read_bytes().endswith((folder / "ca" / "ca.pem").read_bytes())
    assert made.added.read_bytes().count(BEGIN) == 1


def test_certificates_of_the_user_s_own_are_kept_and_nothing_else_of_their_files(folder: Path) -> None:
    corp = trustme.CA()
    (folder / "corp.pem").write_bytes(corp.private_key_pem.bytes() + corp.cert_pem.bytes())
    own = (folder / "corp.pem", folder / "none.pem", folder)
    made = bundle(folder / "ca", folder / "roots.pem", own)
    for path in (made.everything, made.added):
        assert corp.cert_pem.bytes() in path.read_bytes()
        assert b"PRIVATE KEY" not in path.read_bytes()
        assert made_of(path) == (folder / "roots.pem", folder / "corp.pem")
    assert made.everything.read_bytes().count(BEGIN) == 3


def test_environments_that_name_other_files_have_files_of_their_own(folder: Path) -> None:
    shutil.copy(folder / "roots.pem", folder / "others.pem")
    one, other = (bundle(folder / "ca", folder / name) for name in ("roots.pem", "others.pem"))
    assert len({one.everything, one.added, one.truststore, other.everything, other.added, other.truststore}) == 6
    assert bundle(folder / "ca", Path(system_roots({}))).everything == folder / "ca" / "bundle.pem"


def test_it_follows_a_rotation_and_forgets_what_has_ended(folder: Path) -> None:
    path = bundle(folder / "ca", folder / "roots.pem").everything
    before = path.stat().st_mtime_ns
    assert bundle(folder / "ca", folder / "roots.pem").everything.stat().st_mtime_ns == before
    rotate(folder / "ca", HOSTS)
    made = bundle(folder / "ca", folder / "roots.pem")
    assert (made.everything.read_bytes().count(BEGIN), made.added.read_bytes().count(BEGIN)) == (3, 2)
    later = lambda: utc_now() + AUTHORITY_LIFE + timedelta(days=2)  # noqa: E731 - a clock
    assert bundle(folder / "ca", folder / "roots.pem", (), later).everything.read_bytes().count(BEGIN) == 1


def test_missing_roots_are_named(folder: Path) -> None:
    with pytest.raises(AuthorityError, match="DOUANE_UPSTREAM_CA_FILE"):
        bundle(folder / "ca", folder / "none.pem")


def _made(folder: Path) -> bytes:
    for _ in range(5):
        with contextlib.suppress(FileNotFoundError):
            bundle(folder / "ca", folder / "roots.pem").truststore.unlink()
    return bundle(folder / "ca", folder / "roots.pem").everything.read_bytes()


def test_processes_that_race_write_whole_files(folder: Path) -> None:
    with ProcessPoolExecutor(8) as pool:
        assert len(set(pool.map(_made, [folder] * 8))) == 1
    assert not list((folder / "ca").glob(".*"))


@pytest.mark.server
def test_java_reads_the_truststore(folder: Path) -> None:
    keytool = shutil.which("keytool")
    assert keytool, "keytool is missing: apt-get install default-jdk-headless (make packages does)"
    path = bundle(folder / "ca", folder / "roots.pem").truststore
    stamp = path.stat().st_mtime_ns
    assert bundle(folder / "ca", folder / "roots.pem").truststore.stat().st_mtime_ns == stamp
    listed = subprocess.run(
        [keytool, "-list", "-keystore", str(path), "-storepass", STORE_PASSWORD],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert listed.stdout.count("trustedCertEntry") == 2
