"""Douane's certificate authority: made once per installation, it signs the certificates shown in the place of LLM hosts.

In: a folder, the host names it may sign for, a clock. Out: leaves; files in the folder:
    authority.pem   the issuer's key and certificate, the root's, and after rotations the cross-certificates; 0600, replaced in one
                    rename
    ca.pem          the root's certificate, for clients
    previous-*.pem  certificates of roots before, until they end
It can sign for LLM hosts alone, see signing.py. A wildcard becomes the domain below it: who gets hold of the key can impersonate
LLM hosts, and hosts of amazonaws.com and googleapis.com, to clients that trust it; nobody's bank.
Rotation overlaps: the new root is also signed by the old issuer, and leaves come with that. A client that trusts only the old root
and one that trusts only the new accept the same leaf, over three rotations; the old key is gone with the rotation. Hosts added
since are refused by clients that know only the old root.
Who accepts and refuses what: tests/sidecar/certs/test_clients.py (curl, Python, Node, Java).
Never: hands out a key but a leaf's own; signs for a name beyond its constraints (clients would refuse it).
"""

import contextlib
import fcntl
import ipaddress
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.certs.signing import OVERLAPS, Leaf, Signer, key_pem, new_leaf, new_signer, pem

_PEM, _PUBLIC, _PREVIOUS = "authority.pem", "ca.pem", "previous-{}.pem"
_OTHERS = 0o077

Clock = Callable[[], datetime]
Chain = tuple[x509.Certificate, ...]


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class AuthorityError(ValueError):
    """The authority's files cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority as it was read. cross leads to the roots before it; stamp tells its file's version."""

    folder: Path
    signer: Signer
    cross: Chain
    stamp: int
    now: Clock

    @property
    def certificate(self) -> x509.Certificate:
        """The root, which clients trust."""
        return self.signer.root

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains this authority may sign for; a name below one is covered as well."""
        return self.signer.domains

    def leaf(self, name: str) -> Leaf:
        """Return a new certificate for a host name. Units: about 1 ms.

        Raises: ValueError for what is none, or no name this authority may sign for.
        """
        if not self.signs_for(name):
            raise ValueError(f"the authority may not sign for {name!r}")
        return new_leaf(self.signer, name, self.now(), _good(self.cross, self.now))

    def signs_for(self, name: str) -> bool:
        """Tell whether clients would accept a leaf for a host name."""
        if not _is_host_name(name):
            return False
        return any(name == domain or name.endswith(f".{domain}") for domain in self.domains)

    def reloaded(self) -> "Authority":
        """Return this authority, or the one that has taken its place in the folder.

        Raises: AuthorityError when the files cannot be used any more.
        """
        return self if _stamp(self.folder) == self.stamp else _read(self.folder, self.now)


def open_authority(folder: Path, hosts: tuple[str, ...], now: Clock = utc_now) -> Authority:
    """Return the authority of a folder, made there for these hosts when it has none.

    Bounds: processes that race for it all return the same one.
    Raises: AuthorityError when it has ended, or its key can be read by others, or a host leaves it unconstrained.
    """
    with locked(folder):
        if not (folder / _PEM).exists():
            _write(folder, *new_signer(constraints(hosts), now()))
        found = _read(folder, now)
        if not (folder / _PUBLIC).exists() or (folder / _PUBLIC).read_bytes() != pem(found.certificate):
            replace_file(folder / _PUBLIC, pem(found.certificate), 0o644)  # removed, or a crash came between the two
    if not _good((found.certificate,), now):
        raise AuthorityError(f"{folder / _PEM} has ended; make a new one with `douane ca rotate`")
    return found


def rotate(folder: Path, hosts: tuple[str, ...], now: Clock = utc_now) -> Authority:
    """Put a new authority in the place of a folder's; leaves of the new one are accepted by those who trust the old one.

    Raises: AuthorityError when there is no authority that can be read.
    """
    with locked(folder):
        old = _read(folder, now)
        still_good = bool(_good((old.certificate,), now))
        signer, cross = new_signer(constraints(hosts), now(), old.signer if still_good else None)
        number = f"{old.certificate.serial_number:x}"[:12]
        replace_file(folder / _PREVIOUS.format(number), pem(old.certificate), 0o644)
        _write(folder, signer, (*cross, *_good(old.cross, now))[: 2 * OVERLAPS])
    return _read(folder, now)


def trusted(folder: Path, now: Clock = utc_now) -> Chain:
    """Return the certificates that clients may trust: the authority's, and those before it that have not ended.

    Shape: newest first.
    """
    before = sorted(folder.glob(_PREVIOUS.format("*")), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    paths = (folder / _PUBLIC, *before)
    return _good(tuple(x509.load_pem_x509_certificate(path.read_bytes()) for path in paths if path.exists()), now)


def overlapping(authority: Authority) -> int:
    """Return the number of roots before it whose clients accept its leaves."""
    return len(authority.cross) // 2


def _good(certificates: Chain, now: Clock) -> Chain:
    """Return those that have not ended."""
    return tuple(certificate for certificate in certificates if certificate.not_valid_after_utc > now())


def uncovered(authority: Authority, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts of a table that an authority may not sign for: they were added after it was made."""
    return tuple(domain for domain in constraints(hosts) if not authority.signs_for(domain))


def constraints(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the domains that hosts and patterns such as *.openai.azure.com need: what stands behind the last star.

    Raises: AuthorityError for a pattern with no domain behind its star: it would let the authority sign for every name.
    """
    return tuple(dict.fromkeys(_domain(host.lower()) for host in hosts))


def _domain(host: str) -> str:
    """A star may stand for a part of a label (*-aiplatform.googleapis.com): constraints know whole labels only."""
    domain = host.rpartition("*")[2].partition(".")[2] if "*" in host else host
    if not domain:
        raise AuthorityError(
            f"the authority cannot be constrained to {host!r}: name a domain, as in *.llm.corp.example"
        )
    return domain


def _is_host_name(name: str) -> bool:
    """RFC 1123: labels of letters, digits and inner hyphens, 253 characters in all; an address is none."""
    labels = name.split(".")
    well = all(label and len(label) <= 63 and label.strip("-") == label for label in labels)
    plain = name.isascii() and name == name.lower() and name.replace(".", "").replace("-", "").isalnum()
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return False
    return well and plain and len(name) <= 253


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into an authority's folder, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(folder: Path, signer: Signer, cross: Chain) -> None:
    chain = b"".join(pem(one) for one in (signer.issuer, signer.root, *cross))
    replace_file(folder / _PEM, key_pem(signer.key) + chain, 0o600)
    replace_file(folder / _PUBLIC, pem(signer.root), 0o644)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file whole or not at all; nobody else can read it meanwhile, and who writes it at the same time has a draft apart."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 until it is whole
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _stamp(folder: Path) -> int:
    try:
        return (folder / _PEM).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _read(folder: Path, now: Clock) -> Authority:
    path = folder / _PEM
    try:
        status, data = path.stat(), path.read_bytes()
        key = serialization.load_pem_private_key(data, None)
        issuer, root, *cross = x509.load_pem_x509_certificates(data)
        issuer.verify_directly_issued_by(root)
    except FileNotFoundError:
        raise AuthorityError(f"there is no authority in {folder}; `douane ca show` makes one") from None
    except (ValueError, TypeError, InvalidSignature):
        raise AuthorityError(f"{path} is damaged, or of an older Douane; remove it, and a new one is made") from None
    if status.st_mode & _OTHERS:
        raise AuthorityError(f"{path} can be read by others: chmod 600 {path}, and `douane ca rotate` if they have")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != issuer.public_key():
        raise AuthorityError(f"{path} holds no key of ours; remove it, and a new authority is made")
    return Authority(folder, Signer(key, issuer, root), tuple(cross), status.st_mtime_ns, now)
