"""Who accepts what our authority signs: real handshakes of curl, Python, Node and Java."""

import ipaddress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sidecar.certs.authority import Authority, open_authority, rotate, utc_now
from sidecar.certs.signing import OVERLAPS, Leaf
from tests.support.tls_clients import CLIENTS, Client, serving

HOSTS = ("api.openai.com", "*.openai.azure.com", "*-aiplatform.googleapis.com", "localhost")
# Java 17 cannot compare an IPv6 address with a permitted one of IPv4, and refuses by an exception of its own.
_CONSTRAINED = ("subtree violation", "name constraints", "out of bounds")
pytestmark = pytest.mark.server


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "ca", HOSTS)


def pem(folder: Path, *certificates: x509.Certificate) -> Path:
    path = folder / f"roots-{len(list(folder.iterdir()))}.pem"
    path.write_bytes(b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates))
    return path


def stolen(authority: Authority, name: str, *sans: x509.GeneralName) -> Leaf:
    """Return what a thief of the authority's key could sign."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.signer.key.public_key())
    ends = utc_now() + timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.signer.issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(hours=1))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName(sans), critical=True)
        .add_extension(issuer, critical=False)
        .sign(authority.signer.key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (certificate, authority.signer.issuer))
    return Leaf(name, chain, private, ends)


def test_a_leaf_of_its_hosts_is_accepted(authority: Authority, tmp_path: Path, client: Client) -> None:
    for name in ("api.openai.com", "mine.openai.azure.com", "us-central1-aiplatform.googleapis.com"):
        with serving(authority.leaf(name), tmp_path) as port:
            assert client(name, port, tmp_path / "ca" / "ca.pem") == "accepted"


def test_what_a_thief_of_the_key_signs_is_refused(authority: Authority, tmp_path: Path, client: Client) -> None:
    """Permitted names bind names only: with names alone permitted, every client took one for 127.0.0.1."""
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    for name, *sans in (
        ("bank.example", x509.DNSName("bank.example")),
        ("127.0.0.1", addresses[0]),
        ("localhost", x509.DNSName("localhost"), addresses[1]),
    ):
        with serving(stolen(authority, name, *sans), tmp_path) as port:
            assert any(word in client(name, port, tmp_path / "ca" / "ca.pem") for word in _CONSTRAINED)
    with serving(stolen(authority, "localhost", x509.DNSName("localhost")), tmp_path) as port:
        assert client("localhost", port, tmp_path / "ca" / "ca.pem") == "accepted"  # the leaf is well formed


def test_a_client_may_sleep_through_three_rotations(authority: Authority, tmp_path: Path, client: Client) -> None:
    known = [authority.certificate, *(rotate(tmp_path / "ca", HOSTS).certificate for _ in range(OVERLAPS))]
    with serving(open_authority(tmp_path / "ca", HOSTS).leaf("api.openai.com"), tmp_path) as port:
        for certificate in known:
            assert client("api.openai.com", port, pem(tmp_path, certificate)) == "accepted"
        assert client("api.openai.com", port, pem(tmp_path, *known)) == "accepted"
        stranger = open_authority(tmp_path / "other", HOSTS).certificate
        assert client("api.openai.com", port, pem(tmp_path, stranger)) != "accepted"


def test_a_host_added_with_a_rotation_needs_the_new_certificate(
    authority: Authority, tmp_path: Path, client: Client
) -> None:
    new = rotate(tmp_path / "ca", (*HOSTS, "llm.corp.example"))
    with serving(new.leaf("llm.corp.example"), tmp_path) as port:
        assert client("llm.corp.example", port, pem(tmp_path, authority.certificate)) != "accepted"
        for roots in ((new.certificate,), (authority.certificate, new.certificate)):
            assert client("llm.corp.example", port, pem(tmp_path, *roots)) == "accepted"
