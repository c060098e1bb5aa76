"""What clients trust."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from sidecar.certs.authority import AuthorityError, open_authority, rotate, utc_now
from sidecar.certs.bundle import STORE_PASSWORD, bundle, truststore
from sidecar.certs.signing import AUTHORITY_LIFE

HOSTS = ("api.openai.com",)
BEGIN = b"-----BEGIN CERTIFICATE-----"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    open_authority(tmp_path / "ca", HOSTS)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    return tmp_path


def test_the_bundle_is_the_roots_and_ours(folder: Path) -> None:
    data = bundle(folder / "ca", folder / "roots.pem").read_bytes()
    assert data.startswith((folder / "roots.pem").read_bytes().rstrip(b"\n"))
    assert data.endswith((folder / "ca" / "ca.pem").read_bytes())
    assert (data.count(BEGIN), b"PRIVATE KEY" in data) == (2, False)


def test_it_follows_a_rotation_and_forgets_what_has_ended(folder: Path) -> None:
    path = bundle(folder / "ca", folder / "roots.pem")
    before = path.stat().st_mtime_ns
    assert bundle(folder / "ca", folder / "roots.pem").stat().st_mtime_ns == before
    rotate(folder / "ca", HOSTS)
    assert bundle(folder / "ca", folder / "roots.pem").read_bytes().count(BEGIN) == 3
    later = lambda: utc_now() + AUTHORITY_LIFE + timedelta(days=2)  # noqa: E731 - a clock
    assert bundle(folder / "ca", folder / "roots.pem", later).read_bytes().count(BEGIN) == 1


def test_missing_roots_are_named(folder: Path) -> None:
    with pytest.raises(AuthorityError, match="DOUANE_UPSTREAM_CA_FILE"):
        bundle(folder / "ca", folder / "none.pem")


@pytest.mark.server
def test_java_reads_the_truststore(folder: Path) -> None:
    keytool = shutil.which("keytool")
    assert keytool, "keytool is missing: apt-get install openjdk-17-jre-headless (make packages does)"
    path = truststore(folder / "ca", folder / "roots.pem")
    stamp = path.stat().st_mtime_ns
    assert truststore(folder / "ca", folder / "roots.pem").stat().st_mtime_ns == stamp
    listed = subprocess.run(
        [keytool, "-list", "-keystore", str(path), "-storepass", STORE_PASSWORD],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert listed.stdout.count("trustedCertEntry") == 2
