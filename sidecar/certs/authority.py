"""Douane's certificate authority: made once per installation, it signs the certificates shown in the place of LLM hosts.

In: a folder, the host names it may sign for, a clock. Out: leaves; files in the folder:
    authority.pem   key, certificate and, after a rotation, the cross-certificate; 0600, replaced in one rename
    ca.pem          the certificate, for clients
    previous-*.pem  certificates of authorities before, until they end
It signs for nothing else: the names are critical name constraints (RFC 5280, 4.2.1.10), which OpenSSL keeps, so curl, Python and
Node. Java does not read them on a root that it trusts, and they say nothing of addresses: there who gets hold of the key can
impersonate other hosts too. A wildcard becomes the domain below it.
Rotation overlaps: the new authority's certificate is also signed by the old one (a cross-certificate, RFC 4158, 1.2), and leaves
come with it. A client that trusts only the old certificate and one that trusts only the new accept the same leaf; the old key is
gone with the rotation.
Never: hands out a key but a leaf's own; signs for a name beyond its constraints (clients would refuse it).
"""

import contextlib
import fcntl
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Apple's clients take no leaf of more than 825 days from private authorities; ours live days, so that a lost one matters little.
LEAF_LIFE = timedelta(days=6)
# Clocks of clients differ; the CA/Browser Forum's practice is to date back by an hour.
BACKDATED = timedelta(hours=1)
AUTHORITY_LIFE = timedelta(
    days=5 * 365
)  # twice that of a server's usual refresh cycle; `ca rotate` renews it at any time
_PEM, _PUBLIC, _PREVIOUS = "authority.pem", "ca.pem", "previous-{}.pem"
_OTHERS = 0o077

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class AuthorityError(ValueError):
    """The authority's files cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate for one name, with its chain up to, but without, the root."""

    name: str
    chain_pem: bytes
    key_pem: bytes
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority as it was read. stamp tells its file's version."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    cross: tuple[x509.Certificate, ...]
    stamp: int
    now: Clock

    def leaf(self, name: str) -> Leaf:
        """Return a new certificate for a host name or an address. Units: about 1 ms.

        Raises: ValueError for what is neither, or no name this authority may sign for.
        """
        if not self.signs_for(name):
            raise ValueError(f"the authority may not sign for {name!r}")
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(self.now() + LEAF_LIFE, self.certificate.not_valid_after_utc)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        built = (
            _builder(x509.Name([]), self.certificate.subject, key, (self.now() - BACKDATED, ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(_issuer_key(self.key), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        chain = b"".join(_pem(certificate) for certificate in (built, *self.cross))
        return Leaf(name, chain, _key_pem(key), ends)

    def signs_for(self, name: str) -> bool:
        """Tell whether clients would accept a leaf for a host name."""
        if not _is_host_name(name):
            return False
        return any(name == domain or name.endswith(f".{domain}") for domain in self.domains)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains this authority may sign for; a name below one is covered as well."""
        found = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
        return tuple(str(subtree.value) for subtree in found or () if isinstance(subtree, x509.DNSName))

    def reloaded(self) -> "Authority":
        """Return this authority, or the one that has taken its place in the folder.

        Raises: AuthorityError when the files cannot be used any more.
        """
        return self if _stamp(self.folder) == self.stamp else _read(self.folder, self.now)


def open_authority(folder: Path, hosts: tuple[str, ...], now: Clock = utc_now) -> Authority:
    """Return the authority of a folder, made there for these hosts when it has none.

    Bounds: processes that race for it all return the same one.
    Raises: AuthorityError when it has ended, or its key can be read by others.
    """
    with _locked(folder):
        if not (folder / _PEM).exists():
            _write(folder, *_made(hosts, now))
    found = _read(folder, now)
    if found.certificate.not_valid_after_utc <= now():
        raise AuthorityError(f"{folder / _PEM} has ended; make a new one with `douane ca rotate`")
    return found


def rotate(folder: Path, hosts: tuple[str, ...], now: Clock = utc_now) -> Authority:
    """Put a new authority in the place of a folder's; leaves of the new one are accepted by those who trust the old one.

    Raises: AuthorityError when there is no authority that can be read.
    """
    with _locked(folder):
        old = _read(folder, now)
        key, certificate, _ = _made(hosts, now)
        cross: tuple[x509.Certificate, ...] = ()
        if old.certificate.not_valid_after_utc > now():
            cross = (_crossed(old, certificate, key),)
        number = f"{old.certificate.serial_number:x}"[:12]
        replace_file(folder / _PREVIOUS.format(number), _pem(old.certificate), 0o644)
        _write(folder, key, certificate, cross)
    return _read(folder, now)


def trusted(folder: Path, now: Clock = utc_now) -> tuple[x509.Certificate, ...]:
    """Return the certificates that clients may trust: the authority's, and those before it that have not ended."""
    paths = (folder / _PUBLIC, *sorted(folder.glob(_PREVIOUS.format("*"))))
    found = (x509.load_pem_x509_certificate(path.read_bytes()) for path in paths if path.exists())
    return tuple(certificate for certificate in found if certificate.not_valid_after_utc > now())


def uncovered(authority: Authority, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts of a table that an authority may not sign for: they were added after it was made."""
    return tuple(domain for domain in constraints(hosts) if not authority.signs_for(domain))


def constraints(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the domains that hosts and patterns such as *.openai.azure.com need: what stands behind the last star."""
    found = (host.lower().rpartition("*")[2] for host in hosts)
    return tuple(dict.fromkeys(_whole_labels(host, rest) for host, rest in zip(hosts, found, strict=True)))


def _whole_labels(host: str, rest: str) -> str:
    """A star may stand for a part of a label (*-aiplatform.googleapis.com): constraints know whole labels only."""
    return rest if "*" not in host else rest.partition(".")[2]


def _made(
    hosts: tuple[str, ...], now: Clock
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate, tuple[x509.Certificate, ...]]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Douane"),
            x509.NameAttribute(
                NameOID.COMMON_NAME, f"Douane on {socket.gethostname()[:30]} since {now():%Y-%m-%d %H:%M}"
            ),
        ]
    )
    permitted = [x509.DNSName(domain) for domain in constraints(hosts)]
    builder = _authority_builder(subject, subject, key, (now() - BACKDATED, now() + AUTHORITY_LIFE), 1)
    constrained = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    return key, constrained.sign(key, hashes.SHA256()), ()


def _crossed(old: Authority, new: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return the new authority's certificate as the old one signs it; of the names they share clients accept all."""
    ends = min(old.certificate.not_valid_after_utc, new.not_valid_after_utc)
    builder = _authority_builder(new.subject, old.certificate.subject, key, (new.not_valid_before_utc, ends), 0)
    return builder.add_extension(_issuer_key(old.key), critical=False).sign(old.key, hashes.SHA256())


def _authority_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    life: tuple[datetime, datetime],
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        _builder(subject, issuer, key, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(life[0])
        .not_valid_after(life[1])
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_key(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _is_host_name(name: str) -> bool:
    """RFC 1123: labels of letters, digits and inner hyphens, 253 characters in all; an address is none."""
    labels = name.split(".")
    well = all(label and len(label) <= 63 and label.strip("-") == label for label in labels)
    plain = name.isascii() and name == name.lower() and name.replace(".", "").replace("-", "").isalnum()
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return False
    return well and plain and len(name) <= 253


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(
    folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, cross: tuple[x509.Certificate, ...]
) -> None:
    chain = b"".join(_pem(item) for item in (certificate, *cross))
    replace_file(folder / _PEM, _key_pem(key) + chain, 0o600)
    replace_file(folder / _PUBLIC, _pem(certificate), 0o644)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file whole or not at all; nobody else can read it meanwhile."""
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _stamp(folder: Path) -> int:
    return (folder / _PEM).stat().st_mtime_ns


def _read(folder: Path, now: Clock) -> Authority:
    path = folder / _PEM
    try:
        status, data = path.stat(), path.read_bytes()
        key = serialization.load_pem_private_key(data, None)
        certificate, *cross = x509.load_pem_x509_certificates(data)
    except FileNotFoundError:
        raise AuthorityError(f"there is no authority in {folder}; `douane ca show` makes one") from None
    except ValueError:
        raise AuthorityError(f"{path} is damaged; remove it, and a new authority is made") from None
    if status.st_mode & _OTHERS:
        raise AuthorityError(f"{path} can be read by others: chmod 600 {path}, and `douane ca rotate` if they have")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{path} holds no key of ours; remove it, and a new authority is made")
    return Authority(folder, certificate, key, tuple(cross), status.st_mtime_ns, now)
